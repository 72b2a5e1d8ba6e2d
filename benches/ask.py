"""Asking a store of many spans, through the notebook's own methods; ClickHouse: ``clickhouse.py``.

``python benches/ask.py`` makes 10 M spans (a few minutes), then asks: right after they were stored, with the
file opened anew, and while 50,000 spans a second arrive.

Tried for the p95 beside the stream and not kept, as no gain showed: 2 M spans, the collector in a process
of its own, two cores that others used too, so that a p95 of one variant alone ranged from 61 to 122 ms. A
trace by its id, p95: as it is 61, 68, 80, 122 ms; the thread that settles at nice 10: 112 (one run); a
commit every 0.75 s instead of every 0.25 s: 75, but the search 448 against 77 (one run, the machine
busier); a switch interval of 1 ms instead of Python's 5 ms: 64, 109, 161. It is to be measured again on a
quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from load import Load, Running
from many_spans import BEGIN_NS, HOURS, OPERATIONS, SERVICES, USERS, batches

import tracescape as ts
from tracescape.collector import Collector
from tracescape.store import Store
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.retention import Limits

ASKED = 40
HOUR_NS = 3_600_000_000_000
TARGET_MS = {"a trace by its id": 15, "service, operation, duration in an hour": 15, "a rare attribute": 150}


def main() -> None:
    """Print what each question takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--rate", type=float, default=50_000, help="spans a second that arrive meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.db"
        store = DuckDBStore(path)
        begin, ids = time.perf_counter(), []
        for tables in batches(options.spans):
            store.append(tables)
            ids += tables["spans"]["trace_id"][:1].to_pylist()
        print(f"{options.spans:,} spans stored in {time.perf_counter() - begin:.0f} s", flush=True)
        asked = _asked(ids)
        _print("right after they were stored", _ask(Store(store.reader()), asked))
        store.close()
        print(f"\n{path.stat().st_size / options.spans:.1f} bytes a span in the file (target 50)")
        with ts.open(path) as opened:
            alone = _ask(opened, asked)
            _print("the file opened anew", alone)
            _print_rows(opened)
        _while_writing(path, asked, options.rate, alone)


Asked = dict[str, list[Callable[[Store], object]]]
#: Seconds of each question, by the name of its kind.
Taken = dict[str, list[float]]


class Questions:
    """What is asked, drawn once."""

    def __init__(self, ids: list[bytes]) -> None:
        generator = np.random.default_rng(3)
        self.traces = [ids[index].hex() for index in generator.integers(0, len(ids), ASKED)]
        hours = generator.integers(0, HOURS, ASKED)
        self.since = [BEGIN_NS + int(hour) * HOUR_NS for hour in hours]
        self.services = [int(number) for number in generator.integers(0, len(SERVICES), ASKED)]
        self.operations = [25 * each + int(n) for each, n in zip(self.services, hours, strict=True)]
        self.users = [str(number) for number in generator.integers(0, USERS, ASKED)]

    def ours(self) -> Asked:
        searches: list[Callable[[Store], object]] = [
            lambda store, s=since, n=number, o=operation: store.search(
                service=SERVICES[n],
                operation=OPERATIONS[o],
                min_duration="5ms",
                since=s,
                until=s + HOUR_NS,
                spans=True,
            )
            for since, number, operation in zip(self.since, self.services, self.operations, strict=True)
        ]
        return {
            "a trace by its id": [lambda store, t=trace: store.trace(t) for trace in self.traces],
            "service, operation, duration in an hour": searches,
            "a rare attribute": [
                lambda store, u=user: store.search(attributes={"user.id": u}, spans=True, limit=1000)
                for user in self.users
            ],
        }


def _asked(ids: list[bytes]) -> Questions:
    return Questions(ids)


def _ask(store: Store, asked: Questions) -> Taken:
    taken = {}
    for name, calls in asked.ours().items():
        calls[0](store)
        seconds = []
        for call in calls:
            begin = time.perf_counter()
            call(store)
            seconds.append(time.perf_counter() - begin)
        taken[name] = seconds
    return taken


def _print(title: str, taken: Taken, **before: Taken) -> None:
    """``before``: what it is compared with, by what that is called."""
    print(f"\n{title} (ms, {ASKED} different ones each)")
    for name, seconds in taken.items():
        p50, p95 = statistics.median(seconds) * 1e3, _p95(seconds) * 1e3
        ratios = [f"{p95 / 1e3 / _p95(other[name]):.1f}× of {said}" for said, other in before.items()]
        slower = f"   p95 {', '.join(ratios)}" if ratios else ""
        print(f"  {name:<44} p50 {p50:8.1f}   p95 {p95:8.1f}   target {TARGET_MS[name]}{slower}", flush=True)


def _p95(seconds: list[float]) -> float:
    return float(np.quantile(seconds, 0.95))


def _print_rows(store: Store) -> None:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        rows = store.sql(
            "select trace_id, span_id, service, operation, start_ns, duration_ns, status from spans_v"
            " limit 1000000"
        ).height
        seconds.append(time.perf_counter() - begin)
    print(f"\n{rows:,} rows of 7 columns as a frame: {statistics.median(seconds):.2f} s (target 1)")


def _while_writing(path: Path, asked: Questions, rate: float, file: Taken) -> None:
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0", limits=Limits(None, None)) as collector:
        with ts.connect(collector.http_url) as store:
            quiet = _ask(store, asked)
        _print("over HTTP, alone", quiet)
        load = Load(spans=512, clients=4, seconds=40, rate=rate / 512)
        running = Running(collector.grpc_endpoint.removeprefix("http://"), load)
        time.sleep(3)
        with ts.connect(collector.http_url) as store:
            taken = _ask(store, asked)
        sent = running.finish()
    arrived = f"{sent.spans / sent.seconds:,.0f} spans/s"
    _print(f"over HTTP while {arrived} arrive", taken, file=file, HTTP=quiet)


if __name__ == "__main__":
    main()
