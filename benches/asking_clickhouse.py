"""The store's standard questions to ClickHouse (chdb, the exporter's tables) and to a DuckDB file.

``python benches/asking_clickhouse.py`` makes 1 M spans (``--spans`` another number), puts the same ones into
both, and asks both through the notebook's own methods. Wall clock and CPU seconds of this process, which is
that of chdb as well; the best of several.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import numpy as np
from many_spans import BEGIN_NS, OPERATIONS, SERVICES, USERS, batches

import tracescape as ts
from tracescape.store import Store
from tracescape_storage.clickhouse import rows, tables
from tracescape_storage.duckdb_file import DuckDBStore

HOUR_NS = 3_600_000_000_000
TIMES = 5


class Took:
    """Seconds of wall clock and of CPU."""

    wall = cpu = 0.0

    @contextmanager
    def more(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += _cpu() - cpu


def main() -> None:
    """Print what storing and each question take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traces = _stored(folder, options.spans)
        with (
            ts.open(folder / "many.db") as file,
            ts.connect(f"clickhouse+chdb://{folder / 'clickhouse'}") as clickhouse,
        ):
            _print(_questions(traces), file, clickhouse)


def _stored(folder: Path, spans: int) -> list[str]:
    (folder / "clickhouse").mkdir()
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "clickhouse"))
    for statement in tables.statements():
        client.command(statement)
    store, ids = DuckDBStore(folder / "many.db"), []
    duckdb, made, inserted, count = Took(), Took(), Took(), 0
    for batch in batches(spans):
        with duckdb.more():
            store.append(batch)
        for begin in range(0, len(batch["spans"]), 50_000):
            part = dict(batch) | {"spans": batch["spans"].slice(begin, 50_000)}
            with made.more():
                converted = rows.span_rows(part)
            with inserted.more():
                client.insert_arrow("otel_traces", converted)
        ids += batch["spans"]["trace_id"][:1].to_pylist()
        count += len(batch["spans"])
    store.close()
    for said, took in (
        ("DuckDB file, durable commits", duckdb),
        ("ClickHouse, Arrow inserts of 50,000", inserted),
        ("making the exporter's rows of ours", made),
    ):
        print(f"{said:<40} {count / took.wall:12,.0f} spans/s   {took.cpu / count * 1e6:6.2f} µs CPU a span")
    size = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table LIKE 'otel_traces%'"
    in_clickhouse = int(str(client.command(size)))
    client.close()
    file = (folder / "many.db").stat().st_size
    print(f"bytes a span: DuckDB {file / count:.1f}, ClickHouse {in_clickhouse / count:.1f}")
    return [each.hex() for each in ids]


Questions = dict[str, list[Callable[[Store], object]]]


def _questions(traces: list[str]) -> Questions:
    generator = np.random.default_rng(3)
    drawn = [traces[index] for index in generator.integers(0, len(traces), TIMES)]
    users = [str(number) for number in generator.integers(0, USERS, TIMES)]
    services = [int(number) for number in generator.integers(0, len(SERVICES), TIMES)]
    return {
        "a trace by its id": [lambda store, t=trace: store.trace(t) for trace in drawn],  # type: ignore[misc]  # mypy knows no lambda with a default
        "the newest 20 traces": [lambda store: store.search()] * TIMES,
        "the newest 20 spans of one service": [
            lambda store, n=number: store.search(service=SERVICES[n], limit=20, spans=True)  # type: ignore[misc]  # mypy knows no lambda with a default
            for number in services
        ],
        "service, operation, duration in an hour": [
            lambda store, n=number: store.search(  # type: ignore[misc]  # mypy knows no lambda with a default
                service=SERVICES[n],
                operation=OPERATIONS[25 * n],
                min_duration="5ms",
                since=BEGIN_NS,
                until=BEGIN_NS + HOUR_NS,
                spans=True,
            )
            for number in services
        ],
        "a rare attribute": [
            lambda store, u=user: store.search(attributes={"user.id": u}, spans=True, limit=1000)  # type: ignore[misc]  # mypy knows no lambda with a default
            for user in users
        ],
        "topology of everything": [lambda store: store.topology()] * 3,
        "critical path by service, an hour": [
            lambda store: store.critical_path(since=BEGIN_NS, until=BEGIN_NS + HOUR_NS, by="service")
        ]
        * 3,
    }


def _print(questions: Questions, *stores: Store) -> None:
    print(f"\n{'ms, the best of several':<42}{'DuckDB file':>24}{'ClickHouse':>24}")
    for name, calls in questions.items():
        best = []
        for store in stores:
            calls[0](store)
            taken = []
            for call in calls:
                took = Took()
                with took.more():
                    call(store)
                taken.append((took.wall, took.cpu))
            best.append((min(wall for wall, _ in taken), min(cpu for _, cpu in taken)))
        told = "".join(f"{wall * 1e3:12.1f} (CPU {cpu * 1e3:6.0f})" for wall, cpu in best)
        print(f"  {name:<40}{told}", flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
