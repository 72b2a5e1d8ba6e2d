"""Going through time over a store of many spans: what a step costs, beside a plain GROUP BY over the spans.

    python benches/timeline.py [--spans 10000000] [--store FILE]

CPU of this process, all threads, and wall time: the best of several, and the median. The target is for one
step: the timeline anew, or the world at another moment. One request at last: building a replay and a wall of
many spans, and a frame of the replay; the wall as a place.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from shop_days import filled

import tracescape as ts
from tracescape.panels import StorePanels
from tracescape_analytics.replay import replay_of
from tracescape_analytics.span_forest import plant
from tracescape_analytics.trace import trace_of
from tracescape_analytics.trace_details import TraceDetails
from tracescape_analytics.trace_pairs import pairs
from tracescape_analytics.trace_wall import wall_of
from tracescape_render.snapshot import MomentWish
from tracescape_storage.rollups import MINUTE_NS
from tracescape_storage.schema import SPANS

TARGET_MS = 100
ROUNDS = 9
TRACE_SPANS = 100_000
INSIDE_SPANS = (5_000, 100_000)
GROUP_BY = """
SELECT start_ns // {step} AS step, count(*) AS calls, count(*) FILTER (status = 2) AS errors,
    approx_quantile(duration_ns, [0.5, 0.95, 0.99]) AS quantiles
FROM spans WHERE kind IN (2, 5) GROUP BY 1 ORDER BY 1
"""


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(name: str, ask: Callable[[int], object], target_ms: int | None = TARGET_MS) -> None:
    """Print what the rounds of a question take, after one that warms up; each gets its number."""
    ask(0)
    cpu, wall = [], []
    for number in range(1, ROUNDS + 1):
        begin, used = time.perf_counter(), cpu_s()
        ask(number)
        cpu.append((cpu_s() - used) * 1e3)
        wall.append((time.perf_counter() - begin) * 1e3)
    target = "" if target_ms is None else f"   target {target_ms}"
    print(
        f"  {name:<44} CPU {min(cpu):7.1f} (median {statistics.median(cpu):7.1f})"
        f"   wall {min(wall):7.1f} (median {statistics.median(wall):7.1f}) ms{target}",
        flush=True,
    )


def steps(store: ts.Store) -> None:
    """The timeline, and the world at one moment after the other."""
    extent = store.extent()
    first = extent.first_start_ns // MINUTE_NS
    middle = (first + extent.last_start_ns // MINUTE_NS) // 2
    found = store.timeline()
    step = found["end_ns"][0] - found["start_ns"][0]
    print(f"\n{extent.spans:,} spans, {len(found)} steps of {step // MINUTE_NS} minutes")
    service = store.topology().nodes.filter(kind="service")["service"][0]
    measured("timeline of everything", lambda _: store.timeline())
    measured("timeline with a selection", lambda _: store.timeline(service=service))
    measured("DuckDB: GROUP BY over spans", lambda _: store.sql(GROUP_BY.format(step=step)), None)

    def at(number: int) -> object:
        return store.at((middle + number) * MINUTE_NS)

    for name in ("topology", "health", "services", "red", "versions"):
        measured(f"at(…).{name}()", lambda n, name=name: getattr(at(n), name)())
    second = 7_000_000_000
    measured(
        "at(…).topology() within a minute", lambda n: store.at(middle * MINUTE_NS + n * second).topology()
    )
    one, other = (store.at((middle + n) * MINUTE_NS).topology() for n in (0, 5))
    measured("topology.compare(other)", lambda _: one.compare(other))
    panels, against = StorePanels(store), (middle - 60) * MINUTE_NS
    for name, other_ns in (("a moment as a window has it", None), ("the same beside another", against)):
        measured(
            name,
            lambda n, other_ns=other_ns: panels.moment(
                MomentWish((middle + n) * MINUTE_NS, causes=False, against_ns=other_ns)
            ),
        )
    measured("marks, but for changes", lambda _: store.marks(changes=False), None)


def large_trace(spans: int) -> pa.Table:
    """One request: every span below one of the 200 before it, within its time; calls and what they call."""
    generator = np.random.default_rng(5)
    parent, start, end = (np.zeros(spans, np.int64) for _ in range(3))
    kind, service = np.full(spans, 2), np.zeros(spans, np.int64)
    end[0] = 10_000_000_000
    for i in range(1, spans):
        above = int(generator.integers(max(0, i - 200), i))
        start[i], end[i] = np.sort(generator.integers(start[above], end[above] + 1, 2))
        parent[i], calls = above + 1, kind[above] == 2
        kind[i] = 3 if calls else 2
        service[i] = service[above] if calls else generator.integers(0, 30)
    columns = {
        "trace_id": pa.array([b"0123456789abcdef"] * spans, pa.binary()),
        "span_id": pa.array(np.arange(1, spans + 1)),
        "parent_span_id": pa.array(parent),
        "start_ns": pa.array(start),
        "duration_ns": pa.array(end - start),
        "service": pa.array([f"service-{number}" for number in service]),
        "operation": pa.array([f"operation {number % 7}" for number in service]),
        "kind": pa.array(kind.astype(np.int8)),
    }
    for field in SPANS:
        if field.name not in columns:
            empty = "{}" if field.name == "attributes" else None if field.nullable else 0
            columns[field.name] = pa.array([empty] * spans, field.type)
    return pa.table(columns)


def busy_trace(spans: int) -> pa.Table:
    """One request in stages, each of parallel workers that call one service after the other."""
    generator = np.random.default_rng(3)
    parent, start, end, service = [0], [0], [1], [0]

    def begun(above: int, begin: int, length: int, of: int) -> int:
        parent.append(above + 1)
        start.append(begin)
        end.append(begin + length)
        service.append(of)
        return len(parent) - 1

    at = 1_000_000
    while len(parent) < spans:
        length = int(generator.integers(300_000_000, 900_000_000))
        stage = begun(0, at, length, 0)
        for _ in range(int(generator.integers(4, 12))):
            worker, now = begun(stage, at, length, 0), at
            while now < at + length - 80_000_000 and len(parent) < spans:
                took = min(int(generator.exponential(20_000_000)) + 1_000_000, 70_000_000)
                call = begun(worker, now, took, 0)
                handled = begun(call, now + took // 10, took * 8 // 10, int(generator.integers(1, 12)))
                for number in range(int(generator.integers(0, 4))):
                    begun(handled, now + took // 10 + number * took // 5, took // 6, service[handled])
                now += took + int(generator.integers(100_000, 3_000_000))
        at += length + 2_000_000
    end[0] = at
    rows = len(parent)
    given = {
        "span_id": np.arange(1, rows + 1),
        "parent_span_id": np.array(parent),
        "start_ns": np.array(start),
        "duration_ns": np.array(end) - np.array(start),
        "status": (generator.random(rows) < 0.003) + 1,
        "service": [f"service-{number}" for number in service],
    }
    table = large_trace(1)
    table = table.take(np.zeros(rows, np.int64))
    for name, values in given.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    return table


class _NothingBeside(TraceDetails):
    events = pl.DataFrame(
        schema={"span_id": pl.String, "time_ns": pl.Int64, "name": pl.String, "attributes": pl.String}
    )
    logs = events.rename({"name": "body"}).with_columns(
        severity=pl.lit("info"), event_name=pl.lit(None, pl.String)
    )


def one_request(store: ts.Store, spans: int) -> None:
    """The replay and the wall of a large trace."""
    table, name = large_trace(spans), b"0123456789abcdef"
    trees = plant(table)
    trace = trace_of(table, _NothingBeside(store.reader, name), store.reader, name)
    print(f"\none request of {spans:,} spans")
    measured("making its replay", lambda _: replay_of(trees, "t"), None)
    replay = replay_of(trees, "t")
    measured("a frame of it", lambda n: replay.share(n / ROUNDS), None)
    measured("making its wall", lambda _: wall_of(trace, trees, store.reader), None)
    wall = wall_of(trace, trees, store.reader)
    measured("search within", lambda _: wall.find("service-17"), None)
    measured("beside another one as large", lambda _: pairs(trace, trace), None)


def from_inside(store: ts.Store, spans: int) -> None:
    """A trace as a place, drawn off screen: what its wall costs, and each frame of turning and zooming."""
    from tracescape_render.inside.stage import WallStage
    from tracescape_render.inside.standing import standing
    from tracescape_render.picture import off_screen_plotter

    table, name = busy_trace(spans), b"0123456789abcdef"
    trace = trace_of(table, _NothingBeside(store.reader, name), store.reader, name)
    wall = wall_of(trace, plant(table), store.reader)
    print(f"\nfrom inside: a request of {len(wall.spans):,} spans on {wall.lanes:,} lanes, 1280 x 720")
    measured("what stands on the wall", lambda _: standing([wall]), None)
    plotter = off_screen_plotter((1280, 720))
    stage, window = WallStage(plotter, moving=True), plotter.render_window
    window.Render()
    print(f"  on {stage.settle()}")
    stands = standing([wall])

    def frame() -> None:
        stage.relabel()
        window.Render()
        window.WaitForCompletion()

    def first(_: int) -> None:
        stage.show(stands)
        frame()

    def turn(number: int) -> None:
        plotter.renderer.GetActiveCamera().Azimuth(1.0 if number % 2 else -1.0)
        frame()

    def zoom(number: int) -> None:
        middle, whole = (stands.first_ns + stands.last_ns) / 2, stage.whole
        reach = whole if number % 6 == 0 else stage.drawn.reach.zoomed(0.7, middle, whole.lanes / 2, whole)
        stage.reach(reach)
        frame()

    def hover(number: int) -> None:
        place = 100.0 + 90 * number, 300.0
        stage.hover(stage.body_at(*place))
        stage.words_at(*place)

    measured("cut and drawn anew", first, None)
    print(f"  {len(stage.drawn.row):,} bodies, {stage.drawn.crowded:,} spans in crowds")
    measured("a frame of turning", turn)
    measured("a frame of zooming", zoom)
    measured("hover", hover, 16)
    plotter.close()


def main() -> None:
    """Print what it all takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--store", type=Path, help="one that `shop_days.filled` made, or where to make it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.store or Path(folder) / "days.db"
        if not path.exists():
            filled(path, options.spans)
        with ts.open(path) as store:
            steps(store)
            one_request(store, TRACE_SPANS)
            for spans in INSIDE_SPANS:
                from_inside(store, spans)


if __name__ == "__main__":
    main()
