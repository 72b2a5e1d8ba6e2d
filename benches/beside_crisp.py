"""Critical paths from a file, beside CRISP (uber-research/CRISP) on the same traces as Jaeger wrote them.

CRISP analyses the traces of one operation, each a file of JSON. Both begin with what is on the disk and end
with the critical time of every call path. It is installed in a virtual environment that
TRACESCAPE_BENCH_PEERS names; without it we are alone. What a span costs does not depend on how many there
are, so rates are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import workload

from tracescape_analytics.critical_path import critical_path
from tracescape_storage.duckdb_file import DuckDBStore, open_reader

ROUNDS = 3
TARGET = 100


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=200_000, help="spans that CRISP analyses")
    parser.add_argument("--ours", type=int, default=10_000_000, help="spans of the second file, for us alone")
    parser.add_argument("--file", type=Path, default=os.environ.get("TRACESCAPE_BENCH_SPANS"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, root = of_one_operation(_table(options.file, options.spans), options.spans)
        spans, traces = table.num_rows, len(table["trace_id"].unique())
        print(f"{spans:,} spans of {traces:,} traces of {root[0]} {root[1]}")
        same = _ours(Path(folder) / "same.db", table)
        _print("Tracescape, the same spans", spans, same)
        peer = _peer()
        theirs = None
        if peer:
            written = Path(folder) / "jaeger"
            write_jaeger(table, written)
            theirs = {mode: _crisp(peer, written, root, mode) for mode in ((), ("--lightMode",))}
            for mode, taken in theirs.items():
                _print(f"CRISP {' '.join(mode)}", spans, taken)
        many = _ours(Path(folder) / "many.db", _table(options.file, options.ours))
        _print("Tracescape, many spans", options.ours, many)
        for mode, taken in (theirs or {}).items():
            name, each = f"CRISP {' '.join(mode)}".strip(), taken[0] / spans
            print(
                f"  {name}: ours is {each / (same[0] / spans):.0f}× as fast on the same spans,"
                f" {each / (many[0] / options.ours):.0f}× a span on many (target {TARGET})"
            )


def _table(file: Path | None, count: int) -> pa.Table:
    return workload.recorded(file, count) if file else workload.random(count)


def of_one_operation(table: pa.Table, count: int) -> tuple[pa.Table, tuple[str, str]]:
    """Whole traces whose root is the commonest one, and that root's service and operation."""
    frame = pl.from_arrow(table.select(["trace_id", "span_id", "parent_span_id", "service", "operation"]))
    assert isinstance(frame, pl.DataFrame)
    roots = frame.filter(pl.col("parent_span_id") == 0)
    (root,) = (
        roots.group_by("service", "operation").len().sort("len").tail(1).select(roots.columns[3:]).rows()
    )
    named = (pl.col("service") == root[0]) & (pl.col("operation") == root[1])
    traces = roots.filter(named)["trace_id"].unique(maintain_order=True)
    rows = frame.with_row_index("row").filter(pl.col("trace_id").is_in(traces.implode()))
    return table.take(rows["row"].head(count).to_arrow()), root


def write_jaeger(table: pa.Table, folder: Path) -> None:
    """A file of Jaeger JSON for each trace; times are microseconds there."""
    folder.mkdir()
    columns = ["trace_id", "span_id", "parent_span_id", "service", "operation", "start_ns", "duration_ns"]
    frame = pl.from_arrow(table.select(columns))
    assert isinstance(frame, pl.DataFrame)
    for (trace,), rows in frame.group_by("trace_id"):
        assert isinstance(trace, bytes)
        processes = {service: {"serviceName": service, "tags": []} for service in set(rows["service"])}
        spans = [_jaeger_span(trace.hex(), row) for row in rows.iter_rows(named=True)]
        written = {"data": [{"traceID": trace.hex(), "spans": spans, "processes": processes}]}
        (folder / f"{trace.hex()}.json").write_text(json.dumps(written))


def _jaeger_span(trace: str, row: dict[str, int | str]) -> dict[str, object]:
    parent = int(row["parent_span_id"]) % 2**64
    above = {"refType": "CHILD_OF", "traceID": trace, "spanID": f"{parent:016x}"}
    return {
        "traceID": trace,
        "spanID": f"{int(row['span_id']) % 2**64:016x}",
        "operationName": row["operation"],
        "references": [above] if parent else [],
        "startTime": int(row["start_ns"]) // 1000,
        "duration": max(int(row["duration_ns"]) // 1000, 1),
        "processID": row["service"],
        "tags": [],
        "logs": [],
        "warnings": None,
    }


Taken = tuple[float, float]  # seconds on the clock, and of CPU


def _ours(path: Path, table: pa.Table) -> Taken:
    store = DuckDBStore(path)
    for begin in range(0, table.num_rows, 100_000):
        store.append({"spans": table.slice(begin, 100_000)})
    store.close()

    def ask() -> None:
        reader = open_reader(path)
        critical_path(reader, by="path")
        reader.close()

    ask()  # compiled
    return min(_timed(ask, resource.RUSAGE_SELF) for _ in range(ROUNDS))


def _crisp(program: Path, folder: Path, root: tuple[str, str], mode: tuple[str, ...]) -> Taken:
    command = [program, "-s", root[0], "-a", root[1], "-i", folder, "-o", folder.parent / "out", *mode]
    cores = str(len(os.sched_getaffinity(0)))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def ask() -> None:
        (folder.parent / "out").mkdir(exist_ok=True)
        done = subprocess.run(
            [*command, "--parallelism", cores],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder.parent,
            env=environment,
        )
        if done.returncode:
            raise SystemExit(f"CRISP failed: {done.stderr[-500:]}")

    return _timed(ask, resource.RUSAGE_CHILDREN)


def _timed(ask: Callable[[], None], whose: int) -> Taken:
    before, begin = resource.getrusage(whose), time.perf_counter()
    ask()
    after, seconds = resource.getrusage(whose), time.perf_counter() - begin
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _print(name: str, spans: int, taken: Taken) -> None:
    seconds, cpu = taken
    print(
        f"  {name:<40}{seconds:8.2f} s {spans / seconds:>14,.0f} spans/s"
        f"   CPU {cpu / spans * 1e9:12,.0f} ns a span",
        flush=True,
    )


def _peer() -> Path | None:
    for folder in filter(None, os.environ.get("TRACESCAPE_BENCH_PEERS", "").split(os.pathsep)):
        if list(Path(folder).glob("lib/python*/site-packages/crisp")):
            return Path(folder).resolve() / "bin" / "crisp-trace"
    print(
        "CRISP: python -m venv peers && peers/bin/pip install psutil jinja2 matplotlib"
        " git+https://github.com/uber-research/CRISP; TRACESCAPE_BENCH_PEERS=peers"
    )
    return None


if __name__ == "__main__":
    main()
