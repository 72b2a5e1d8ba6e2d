"""Critical paths and topology: the kernels, the extremes; from a file, beside a self-join.

`--file` (or TRACESCAPE_BENCH_SPANS) names a recorded span table in Parquet with the columns `trace_id,
span_id, parent_span_id` (hex), `service, operation, start_ns, duration_ns`; it is repeated up to the size.
Without one, traces are random. The rates that others on the machine leave are one thing, the CPU time that a
span costs another: both are printed.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import workload
from measure import Timing, in_turn, report

from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.span_forest import dictionary_codes, integers
from tracescape_analytics.topology import topology
from tracescape_native.critical_path import critical_paths
from tracescape_native.forest import SpanArrays, build_forest
from tracescape_native.grouping import group_ids
from tracescape_native.histograms import record
from tracescape_native.slack import leeway, what_if
from tracescape_storage.duckdb_file import DuckDBStore, open_reader

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from naive.critical_path import Walk  # the kernels' readable twin is the peer here
from naive.forest import Span, twin

EXTREME = 100_000
ROUNDS = 7
#: So many spans take seconds: only the first kernels are run on them, and seldom, so that minutes will do.
MANY, KERNELS_OF_MANY, ROUNDS_OF_MANY = 5_000_000, 2, 3
#: What ten million spans in a file may take, from the question to the answer.
TOPOLOGY_S = 1.5
CRITICAL_PATH_S = 3.0
SELF_JOIN = """
SELECT parent.service, child.service, count(*) FROM spans child
JOIN spans parent ON child.trace_id = parent.trace_id AND child.parent_span_id = parent.span_id
WHERE child.service <> parent.service GROUP BY ALL
"""


class Columns:
    """A span table as the kernels take it."""

    def __init__(self, table: pa.Table) -> None:
        halves = np.frombuffer(table["trace_id"].combine_chunks().cast(pa.binary(16)).buffers()[1], np.int64)
        self.high, self.low = halves[::2].copy(), halves[1::2].copy()
        trace, _ = group_ids(self.high, self.low)
        start = integers(table["start_ns"])
        service, _ = dictionary_codes(table["service"])
        operation, _ = dictionary_codes(table["operation"])
        self.spans = SpanArrays(
            trace=trace,
            span_id=integers(table["span_id"]),
            parent_id=integers(table["parent_span_id"]),
            start=start,
            end=start + integers(table["duration_ns"]),
            kind=integers(table["kind"]),
            resource=service,
            content=operation,
        )

    def from_ids(self) -> None:
        trace, _ = group_ids(self.high, self.low)
        critical_paths(build_forest(self.spans._replace(trace=trace)))


def readable(table: pa.Table) -> list[Span]:
    """The rows of ``table`` as the twin takes them."""
    traces = {name: number for number, name in enumerate(table["trace_id"].unique().to_pylist())}
    columns = ("trace_id", "span_id", "parent_span_id", "start_ns", "duration_ns")
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return [
        Span(traces[trace], span % 2**64, parent % 2**64, start, start + duration)
        for trace, span, parent, start, duration in rows
    ]


def walk(spans: list[Span]) -> int:
    """The twin's critical path of every main root; returns the nanoseconds on them."""
    _, roots = twin(spans)
    return sum(sum(Walk(root, 0.01).critical.values()) for root in roots)


@dataclass(frozen=True)
class Cost:
    """Seconds of each round on the clock, and the least CPU time of all threads that a round took."""

    seconds: list[float]
    cpu: float


def cost_of(run: Callable[[], object], rounds: int) -> Cost:
    """Time it, warmed up."""
    run()
    seconds, cpu = [], []
    for _ in range(rounds):
        clock, used = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - clock)
        cpu.append(time.process_time() - used)
    return Cost(seconds, min(cpu))


def show(name: str, count: int, cost: Cost) -> None:
    """A line: the median and the best rate, noise, and what a span costs."""
    median, best = statistics.median(cost.seconds), min(cost.seconds)
    noise = (max(cost.seconds) - best) / median / 2
    print(
        f"  {name:<50}{count / median / 1e6:7.1f} M spans/s ± {noise:4.0%}, best {count / best / 1e6:6.1f}"
        f"   CPU {cost.cpu / count * 1e9:6.1f} ns a span"
    )


def kernels(table: pa.Table) -> Cost:
    """What the kernels do with columns in memory; returns the cost of trees and critical paths.

    Of many spans only that, which every answer needs: the others grow alike.
    """
    count = table.num_rows
    rounds = ROUNDS if count < MANY else ROUNDS_OF_MANY
    columns = Columns(table)
    spans = columns.spans
    forest = build_forest(spans)
    faster = (forest.resource == 0).astype(np.int64)
    duration, groups = forest.end - forest.start, int(forest.resource.max()) + 1
    runs: dict[str, Callable[[], object]] = {
        "trees, clip, self time and critical path": lambda: critical_paths(build_forest(spans)),
        "  the same, from 128-bit trace ids": columns.from_ids,
        "  trees alone": lambda: build_forest(spans),
        "  clip, self time and critical path alone": lambda: critical_paths(forest),
        "slack and drag": lambda: leeway(forest),
        "what if a service were twice as fast": lambda: what_if(forest, faster, 2),
        "durations into histograms by service": lambda: record(duration, forest.resource, groups),
    }
    print(f"\nfrom columns in memory ({count:,} spans, median of {rounds} rounds)")
    wanted = list(runs)[: None if count < MANY else KERNELS_OF_MANY]
    costs = {name: cost_of(runs[name], rounds) for name in wanted}
    for name, cost in costs.items():
        show(name, count, cost)
    return next(iter(costs.values()))


def beside_readable_python(table: pa.Table) -> None:
    """Ours and the twin on the same few traces."""
    some = table["trace_id"].unique().slice(0, 10)
    few = table.filter(pc.is_in(table["trace_id"], some))
    columns, spans = Columns(few), readable(few)
    report(
        "ten traces",
        "spans",
        few.num_rows,
        in_turn({"Tracescape": columns.from_ids, "readable Python": lambda: walk(spans)}),
    )


def extremes() -> None:
    """One trace as deep, and one as wide, as any."""
    print("\none trace, trees and critical path")
    for name, spans in (("deep", workload.deep(EXTREME)), ("wide", workload.wide(EXTREME))):

        def path(spans: SpanArrays = spans) -> None:
            critical_paths(build_forest(spans))

        show(f"{EXTREME:,} {name}", EXTREME, cost_of(path, 15))


def growth(costs: dict[int, Cost]) -> None:
    """What a span costs at each size: the same, if the cost grows linearly."""
    smallest = next(iter(costs))
    first = costs[smallest].cpu / smallest
    print("\nCPU time of a span, trees and critical path")
    for count, cost in costs.items():
        each = cost.cpu / count
        print(f"  {count:>12,} spans {each * 1e9:8.1f} ns   {each / first:.2f}× that of {smallest:,}")


def waits(timings: list[Timing], count: int, target: float) -> None:
    """The seconds that a person waits, beside those that ten million spans may take."""
    for timing in timings:
        print(f"  {timing.name:<52}{timing.median:8.2f} s   target {target * count / 1e7:.2f}")


def from_file(table: pa.Table) -> None:
    """What a user waits for."""
    count = table.num_rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        store = DuckDBStore(path)
        for begin in range(0, count, 50_000):
            store.append({"spans": table.slice(begin, 50_000)})
        store.close()
        reader = open_reader(path)
        topologies = {
            "Tracescape: quantiles, states, virtual nodes": lambda: topology(reader),
            "DuckDB self-join: calls only": lambda: reader.sql(SELF_JOIN),
        }
        timings = in_turn(topologies, rounds=3)
        report("topology from the file", "spans", count, timings)
        waits(timings[:1], count, TOPOLOGY_S)
        timings = in_turn({"by operation": lambda: critical_path(reader)}, rounds=3)
        report("aggregate critical path from the file", "spans", count, timings)
        waits(timings, count, CRITICAL_PATH_S)
        others = {
            "by edge": lambda: critical_path(reader, by="edge"),
            "by call path": lambda: critical_path(reader, by="path"),
            "by call path, the slowest 1 % and the rest": lambda: critical_path(
                reader, by="path", slowest=0.01
            ),
        }
        timings = in_turn(others, rounds=1)
        report("the same, once each", "spans", count, timings)
        waits(timings, count, CRITICAL_PATH_S)
        reader.close()


def main() -> None:
    """Print every comparison at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--stored", type=int, default=10_000_000, help="spans in the file; 0 for no file")
    parser.add_argument("--file", type=Path, default=os.environ.get("TRACESCAPE_BENCH_SPANS"))
    arguments = parser.parse_args()

    @functools.lru_cache(maxsize=1)
    def table(count: int) -> pa.Table:
        return workload.recorded(arguments.file, count) if arguments.file else workload.random(count)

    beside_readable_python(table(10_000))
    extremes()
    costs = {count: kernels(table(count)) for count in arguments.spans}
    growth(costs)
    if arguments.stored:
        from_file(table(arguments.stored))


if __name__ == "__main__":
    main()
