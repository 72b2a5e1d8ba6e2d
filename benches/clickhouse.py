"""Storing spans, and the store's standard questions: ClickHouse (chdb, the exporter's tables) beside DuckDB.

``python benches/clickhouse.py`` takes 1 M and then 10 M spans, the same ones for both, through the
collector's own writers and the notebook's own methods, in some ten minutes and 3 GB of disk. Each question is
asked of both in turn, and both have to answer the same. CPU is that of this process, which is chdb's as well.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import numpy as np
import polars as pl
from many_spans import BEGIN_NS, HOURS, OPERATIONS, SERVICES, USERS, batches

import tracescape as ts
from tracescape.store import Store
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.writer import Writer
from tracescape_storage.duckdb_file import DuckDBStore

HOUR_NS = 3_600_000_000_000
#: What is asked for comes from these; the first call of each question is not counted.
ROUNDS = 6
_MERGED_S = 120


class Took:
    """Seconds of wall clock and of CPU."""

    wall = cpu = 0.0

    @contextmanager
    def more(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += _cpu() - cpu


class Question(NamedTuple):
    """``calls`` ask, each for something else; ``told`` is what both stores have to say alike."""

    calls: list[Callable[[Store], Any]]
    told: Callable[[Any], object]


def main() -> int:
    """Print what storing and each question take; 1 where answers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, help="keep the stores here, and ask those that are here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        alike = [_bench((options.folder or Path(scratch)) / str(spans), spans) for spans in options.spans]
    return 0 if all(alike) else 1


def _bench(folder: Path, spans: int) -> bool:
    print(f"\n{spans:,} spans of {HOURS} hours, nine attributes each", flush=True)
    if not folder.is_dir():
        (folder / "clickhouse").mkdir(parents=True)
        _store(folder, spans)
    with (
        ts.open(folder / "many.db") as file,
        ts.connect(f"clickhouse+chdb://{folder / 'clickhouse'}") as clickhouse,
    ):
        return _ask(_questions(spans), file, clickhouse)


def _store(folder: Path, spans: int) -> None:
    store, writer = (
        DuckDBStore(folder / "many.db"),
        Writer(parse_address(f"clickhouse+chdb://{folder / 'clickhouse'}")),
    )
    duckdb, rows, insert, merges = Took(), Took(), Took(), Took()
    for number, batch in enumerate(batches(spans)):
        with duckdb.more():
            store.append(batch)
        with rows.more():
            block = writer.prepare(batch)
        with insert.more():
            writer.insert(block, str(number))
    writer.close()
    with duckdb.more():
        store.close()
    with merges.more():
        in_clickhouse = _merged_bytes(folder)
    print(f"{'':<44}{'DuckDB file':>14}{'ClickHouse':>14}")
    for said, file, peer in (
        ("spans/s, one thread, durable", spans / duckdb.wall, spans / (rows.wall + insert.wall)),
        ("CPU µs a span, to the commit", duckdb.cpu / spans * 1e6, (rows.cpu + insert.cpu) / spans * 1e6),
        ("… making the exporter's rows of it", None, rows.cpu / spans * 1e6),
        ("… merges after the last insert", None, merges.cpu / spans * 1e6),
        ("bytes a span on disk", (folder / "many.db").stat().st_size / spans, in_clickhouse / spans),
    ):
        print(f"  {said:<42}{_figure(file):>14}{_figure(peer):>14}", flush=True)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _merged_bytes(folder: Path) -> int:
    """What the tables occupy once the merges that were due are done."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "clickhouse"))
    try:
        until = time.monotonic() + _MERGED_S
        while int(str(client.command("SELECT count() FROM system.merges"))) and time.monotonic() < until:
            time.sleep(0.5)
        size = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table LIKE 'otel_traces%'"
        return int(str(client.command(size)))
    finally:
        client.close()


def _questions(spans: int) -> dict[str, Question]:
    generator = np.random.default_rng(3)
    known = next(batches(spans))["spans"]["trace_id"].to_pylist()
    drawn = [known[place].hex() for place in generator.integers(0, len(known), ROUNDS)]
    users = [str(number) for number in generator.integers(0, USERS, ROUNDS)]
    services = [int(number) for number in generator.integers(0, len(SERVICES), ROUNDS)]
    hours = [BEGIN_NS + int(hour) * HOUR_NS for hour in generator.integers(1, HOURS, ROUNDS)]
    return {
        "a trace by its id": Question([lambda store, t=each: store.trace(t) for each in drawn], _spans_of),  # type: ignore[misc]  # mypy knows no lambda with a default
        "the newest 20 traces": Question([lambda store: store.search()] * ROUNDS, _found),
        "the newest 20 spans of one service": Question(
            [lambda store, n=each: store.search(service=SERVICES[n], spans=True) for each in services],  # type: ignore[misc]  # as above
            _found,
        ),
        "service, operation, duration in an hour": Question(
            [
                lambda store, n=each, begin=hour: store.search(  # type: ignore[misc]  # as above
                    service=SERVICES[n],
                    operation=OPERATIONS[25 * n],
                    min_duration="5ms",
                    since=begin,
                    until=begin + HOUR_NS,
                    spans=True,
                )
                for each, hour in zip(services, hours, strict=True)
            ],
            _found,
        ),
        "a rare attribute": Question(
            [
                lambda store, u=each: store.search(attributes={"user.id": u}, spans=True, limit=1000)  # type: ignore[misc]  # as above
                for each in users
            ],
            _found,
        ),
        "critical path by service, an hour": Question(
            [
                lambda store, begin=hour: store.critical_path(  # type: ignore[misc]  # as above
                    since=begin, until=begin + HOUR_NS, by="service"
                )
                for hour in hours[:4]
            ],
            _rows,
        ),
        "compare ten minutes with those before": Question(
            [
                lambda store, begin=hour: store.compare(  # type: ignore[misc]  # as above
                    store.select(service=SERVICES[7], since=begin, until=begin + HOUR_NS // 6)
                )
                for hour in hours[:4]
            ],
            _compared,
        ),
        "topology of everything": Question([lambda store: store.topology()] * 3, _graph),
    }


def _spans_of(trace: Any) -> object:
    names = ["span_id", "parent_span_id", "service", "operation", "kind", "status", "start_ns", "duration_ns"]
    return sorted(trace.spans.select(names).rows())


def _found(page: Any) -> object:
    return page.rows.select(name for name in ("trace_id", "span_id", "start_ns") if name in page.rows).rows()


def _compared(found: Any) -> object:
    # The exporter keeps texts, so what is a number in one store is a value among others in the other.
    return found.selected, found.compared, sorted(found.attributes["attribute"])


def _graph(topology: Any) -> object:
    return [_rows(frame) for frame in (topology.nodes, topology.edges)]


def _rows(frame: pl.DataFrame) -> list[str]:
    """In any order; of measures six digits, as their sums depend on it."""
    return sorted(map(str, frame.with_columns(pl.selectors.float().round_sig_figs(6)).rows()))


def _ask(questions: dict[str, Question], file: Store, clickhouse: Store) -> bool:
    """A line a question; whether all answers are alike."""
    print(
        f"\n{'CPU ms, median ± half the range; wall ms':<44}{'DuckDB file':>24}{'ClickHouse':>24}{'CPU':>8}"
    )
    every = True
    for name, question in questions.items():
        took: list[list[Took]] = [[], []]
        alike = True
        for call in question.calls:
            told = []
            for store, taken in zip((file, clickhouse), took, strict=True):
                one = Took()
                with one.more():
                    answer = call(store)
                taken.append(one)
                told.append(question.told(answer))
            alike = alike and told[0] == told[1]
        cells = "".join(f"{_cell(taken[1:]):>24}" for taken in took)
        cpu = [statistics.median(one.cpu for one in taken[1:]) for taken in took]
        said = "" if alike else "   THE ANSWERS DIFFER"
        print(f"  {name:<42}{cells}{cpu[1] / cpu[0]:7.1f}×{said}", flush=True)
        every = every and alike
    return every


def _cell(taken: list[Took]) -> str:
    cpu = [1e3 * one.cpu for one in taken]
    wall = statistics.median(1e3 * one.wall for one in taken)
    return f"{statistics.median(cpu):,.0f} ± {(max(cpu) - min(cpu)) / 2:,.0f}; {wall:,.0f}"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
