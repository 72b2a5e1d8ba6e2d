"""The commands that ask a store: ``query``, ``search``, ``tail``, ``health``, ``compare``, ``diagnose``."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tracescape.target import open_target

if TYPE_CHECKING:  # loaded by the commands that need them: a collector starts without Polars
    import polars as pl

commands = typer.Typer()
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

FilterArgument = Annotated[
    str, typer.Argument(metavar="[FILTER]", help="""E.g. 'http.route = "/cart" and duration > 200ms'.""")
]
StoreOption = Annotated[
    str, typer.Option("--store", envvar="TRACESCAPE_STORE", help="A store file, HOST:PORT or clickhouse://…")
]
JsonOption = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")]
ParquetOption = Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file instead.")]


class SearchOrder(StrEnum):
    """Which come first."""

    newest = "newest"
    slowest = "slowest"


@commands.command()
def query(
    sql: Annotated[str, typer.Argument(help='One SELECT, e.g. "select * from spans_v limit 5".')],
    target: StoreOption = "localhost:4318",
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
) -> None:
    """Ask a store in SQL; people's view of spans is spans_v."""
    from tracescape import printing

    with open_target(target) as store:
        frame = store.sql(sql)
    if _for_programs(frame, as_json, as_csv, parquet):
        return
    printing.print_table(frame, out)
    if frame.height > printing.SHOWN_ROWS:
        out.print(f"{frame.height:,} rows; --json, --csv and --parquet have them all")


@commands.command()
def search(
    where: FilterArgument = "",
    target: StoreOption = "localhost:4318",
    service: Annotated[str | None, typer.Option(help="Name of the service.")] = None,
    operation: Annotated[str | None, typer.Option(help="Name of the operation.")] = None,
    kind: Annotated[str | None, typer.Option(help="server, client, producer, consumer, internal.")] = None,
    status: Annotated[str | None, typer.Option(help="error, ok, unset.")] = None,
    min_duration: Annotated[str | None, typer.Option(help="Such as 200ms.")] = None,
    max_duration: Annotated[str | None, typer.Option(help="Such as 2s.")] = None,
    since: Annotated[str | None, typer.Option(help="From when: 15m, ISO time or epoch ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    order: Annotated[SearchOrder, typer.Option(help="What comes first.")] = SearchOrder.newest,
    limit: Annotated[int, typer.Option(help="Rows of a page.")] = 20,
    after: Annotated[str | None, typer.Option(help="The next page: what the one before said.")] = None,
    spans: Annotated[bool, typer.Option("--spans", help="Matching spans instead of whole traces.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
) -> None:
    """Find traces, or spans, by anything that is known of them. Filters: docs/searching.md."""
    from tracescape import printing

    with open_target(target) as store:
        found = store.search(
            where,
            service=service,
            operation=operation,
            kind=kind,
            status=status,
            min_duration=min_duration,
            max_duration=max_duration,
            since=since,
            until=until,
            order=order.value,
            limit=limit,
            after=after,
            spans=spans,
        )
    if not _for_programs(found.rows, as_json, as_csv, parquet) and len(found):
        printing.print_table(printing.for_people(_brief(found.rows, spans)), out)
    if found.hint is not None:
        err.print(f"nothing found: {printing.visible(found.hint)}", markup=False, style="yellow")
    if found.after is not None:
        err.print(f"more: --after {found.after}", markup=False)


@commands.command()
def tail(
    where: FilterArgument = "",
    target: StoreOption = "localhost:4318",
    traces: Annotated[bool, typer.Option("--traces", help="Whole traces, each once.")] = False,
    as_json: JsonOption = False,
) -> None:
    """See spans arrive in a collector, until Ctrl-C. Late ones come when they arrive."""
    from tracescape.printing import json_line

    try:
        with open_target(target) as store:
            rows = store.tail(where, traces=traces)
            if err.is_terminal:  # else nobody knows whether it looks already
                err.print(f"waiting for what arrives in {store.location}; Ctrl-C ends it", markup=False)
            for row in rows:
                sys.stdout.write(json_line(row) if as_json else _line(row, traces))
                sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Who read has seen enough. What is still buffered must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@commands.command()
def health(
    target: StoreOption = "localhost:4318",
    since: Annotated[str | None, typer.Option(help="From when: 15m, ISO time or epoch ns.")] = "15m",
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Compare with the time from then to --since, not with the past day.")
    ] = None,
    apdex: Annotated[str, typer.Option(help="Calls that take no longer satisfy: Apdex's T.")] = "500ms",
    everything: Annotated[bool, typer.Option("--all", help="Healthy and idle edges too.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
) -> None:
    """See how every service and edge is, the worst first: rate, errors, latency, Apdex, state and why."""
    from tracescape import printing
    from tracescape.health_table import brief_health
    from tracescape.times import parse_duration
    from tracescape_analytics.health import Thresholds

    with open_target(target) as store:
        found = store.health(since, until, baseline, Thresholds(apdex_ns=parse_duration(apdex)))
    if not _for_programs(found, as_json, as_csv, parquet):
        printing.print_table(brief_health(found, everything), out)


@commands.command()
def compare(
    where: Annotated[str, typer.Argument(help='A filter: \'service = "cart" and status = "error"\'.')] = "",
    target: StoreOption = "localhost:4318",
    against: Annotated[str | None, typer.Option(help="The others, likewise; else the rest.")] = None,
    since: Annotated[str | None, typer.Option(help="From when: 15m, ISO time or epoch ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    slowest: Annotated[float | None, typer.Option(help="Of those, the slowest share: 0.01.")] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
) -> None:
    """See what is different about some spans: every attribute of theirs against that of others."""
    with open_target(target) as store:
        chosen = store.select(where or None, since=since, until=until, slowest=slowest)
        others = None if against is None else store.select(against, since=since, until=until)
        found = store.compare(chosen, others)
    if not _for_programs(found.values, as_json, as_csv, parquet):
        out.print(str(found), markup=False, highlight=False, soft_wrap=True)


@commands.command()
def diagnose(
    target: StoreOption = "localhost:4318",
    since: Annotated[str | None, typer.Option(help="From when: 10m, ISO time or epoch ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Where the time before it begins.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what broke: ranked causes, with traces to open. Without --since it looks for when."""
    from tracescape import printing

    with open_target(target) as store:
        found = store.diagnose(since=since, until=until, baseline=baseline)
    if as_json:
        printing.print_json(found.objects())
    else:
        out.print("\n".join(printing.visible(line) for line in str(found).split("\n")), markup=False)


@commands.command()
def timeline(
    target: StoreOption = "localhost:4318",
    service: Annotated[str | None, typer.Option(help="Of this service, database, …, not of all.")] = None,
    since: Annotated[str | None, typer.Option(help="From when: 15m, ISO time or epoch ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, likewise.")] = None,
    step: Annotated[str | None, typer.Option(help="How long a row is: 5m.")] = None,
    marks: Annotated[
        bool, typer.Option("--marks", help="Instead: changes, deployments, absences and gaps.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
) -> None:
    """See rates, errors and latency over everything stored, or --marks where something happened."""
    from tracescape import printing

    with open_target(target) as store:
        if marks:
            if service or step:
                raise ValueError("--marks are of the whole: --service and --step do not go with them")
            found = store.marks(since, until)
        else:
            found = store.timeline(since, until, step, service, printing.SHOWN_ROWS)
            found = found.filter(found["service"].eq_missing(service))
    if _for_programs(found, as_json, as_csv, parquet):
        return
    if found.is_empty():
        err.print("nothing is stored in that time" if not marks else "no marks", markup=False, style="yellow")
        return
    told = found.select("kind", "start_ns", "end_ns", "text") if marks else _brief_steps(found)
    printing.print_table(printing.for_people(told), out)


def _for_programs(frame: pl.DataFrame, as_json: bool, as_csv: bool, parquet: Path | None) -> bool:
    """Write ``frame`` for a program if one is to read it; whether it was."""
    from tracescape import printing

    if as_json + as_csv + (parquet is not None) > 1:
        raise ValueError("--json, --csv and --parquet exclude each other")
    if as_json:
        printing.print_json(frame.rows(named=True))
    elif as_csv:
        printing.print_csv(frame)
    elif parquet is not None:
        printing.write_parquet(frame, parquet)
        out.print(f"{frame.height:,} rows in {parquet}", markup=False)
    else:
        return False
    return True


def _brief(rows: pl.DataFrame, spans: bool) -> pl.DataFrame:
    """What of a page fits on a screen."""
    if spans:
        names = ["start_ns", "duration_ns", "service", "operation", "kind", "status", "trace_id", "span_id"]
    else:
        names = ["start_ns", "duration_ns", "root_service", "root_operation", "spans", "errors", "trace_id"]
    return rows.select(names)


def _brief_steps(found: pl.DataFrame) -> pl.DataFrame:
    """The steps of a timeline with units."""
    import polars as pl

    def told(name: str, form: str) -> pl.Series:
        texts = ["" if value is None else format(value, form) for value in found[name]]
        return pl.Series(texts, dtype=pl.String)

    shown = found.with_columns(
        told("rate_per_s", ",.3g").alias("calls/s"), told("error_rate", ".2%").alias("failed")
    )
    return shown.select("start_ns", "calls", "calls/s", "errors", "failed", "p50_ns", "p95_ns", "p99_ns")


def _line(row: dict[str, Any], traces: bool) -> str:
    from tracescape.printing import visible
    from tracescape.times import format_duration, format_time

    name = (
        f"{row['root_service']} {row['root_operation']}" if traces else f"{row['service']} {row['operation']}"
    )
    count = f"{row['spans']} spans, {row['errors']} errors" if traces else str(row["status"])
    head = f"{format_time(row['start_ns'])}  {format_duration(row['duration_ns']):>10}"
    return f"{head}  {count:<8}  {row['trace_id']}  {visible(name)}\n"
