"""Critical paths and topology, from memory and from a file, beside readable Python and a DuckDB self-join."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import in_turn, report

from tracescape_analytics.critical_path import critical_path, critical_path_of
from tracescape_analytics.span_forest import plant
from tracescape_analytics.topology import topology
from tracescape_native.critical_path import critical_paths
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.schema import SPANS

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from naive.critical_path import Walk  # the kernels' readable twin is the peer here
from naive.forest import Span, twin

SPANS_A_TRACE, SERVICES, OPERATIONS = 40, 25, 10
SELF_JOIN = """
SELECT parent.service, child.service, count(*) FROM spans child
JOIN spans parent ON child.trace_id = parent.trace_id AND child.parent_span_id = parent.span_id
WHERE child.service <> parent.service GROUP BY ALL
"""


def spans_table(count: int, seed: int = 1) -> pa.Table:
    """Random traces of `SPANS_A_TRACE` spans: children lie inside their parents, rows are shuffled."""
    random = np.random.default_rng(seed)
    traces = max(1, count // SPANS_A_TRACE)
    number = np.tile(np.arange(SPANS_A_TRACE), traces)
    trace = np.repeat(np.arange(traces), SPANS_A_TRACE)
    parent = np.where(number > 0, (number * random.random(len(number))).astype(np.int64), -1)
    start, end = np.zeros(len(number), np.int64), np.zeros(len(number), np.int64)
    base = trace * SPANS_A_TRACE
    for k in range(SPANS_A_TRACE):  # a generation at a time: parents have smaller numbers
        rows = np.flatnonzero(number == k)
        if k == 0:
            start[rows] = 1_700_000_000_000_000_000 + trace[rows] * 1_000_000
            end[rows] = start[rows] + 100_000_000
            continue
        above = base[rows] + parent[rows]
        room = end[above] - start[above]
        start[rows] = start[above] + (room * random.random(len(rows)) * 0.5).astype(np.int64)
        end[rows] = start[rows] + (room * random.random(len(rows)) * 0.5).astype(np.int64)
    order = random.permutation(len(number))
    ids = trace[order].astype(">i8")
    trace_bytes = np.zeros((len(order), 16), np.uint8)
    trace_bytes[:, 8:] = ids.view(np.uint8).reshape(-1, 8)
    trace_bytes[:, 0] = 1
    columns: dict[str, pa.Array] = {
        "trace_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(order), [None, pa.py_buffer(trace_bytes)]
        ),
        "span_id": pa.array(base[order] + number[order] + 1),
        "parent_span_id": pa.array(np.where(parent >= 0, base + parent + 1, 0)[order]),
        "start_ns": pa.array(start[order]),
        "duration_ns": pa.array((end - start)[order]),
        "service": pa.array([f"service-{i}" for i in range(SERVICES)]).take(
            pa.array((number * 7 % SERVICES)[order])
        ),
        "operation": pa.array([f"op {i}" for i in range(OPERATIONS)]).take(
            pa.array((number % OPERATIONS)[order])
        ),
        "attributes": pa.array(["{}"]).take(pa.array(np.zeros(len(order), np.int64))),
    }
    arrays = []
    for field in SPANS:
        if field.name in columns:
            arrays.append(columns[field.name].cast(field.type))
        elif field.nullable:
            arrays.append(pa.nulls(len(order), field.type))
        else:
            arrays.append(pa.array(np.zeros(len(order), np.int64)).cast(field.type))
    return pa.table(arrays, schema=SPANS)


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


def main() -> None:
    """Print every comparison at the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    count = parser.parse_args().spans
    table = spans_table(count)
    count = table.num_rows
    sample = [row["trace_id"] for row in table.slice(0, 200).select(["trace_id"]).to_pylist()]
    few = table.filter(pc.is_in(table["trace_id"], pa.array(sample, pa.binary())))
    spans = readable(few)
    report(
        "forest, clip, self time and critical path",
        "spans",
        few.num_rows,
        in_turn(
            {
                "Tracescape, from an Arrow table": lambda: critical_paths(plant(few).forest),
                "readable Python": lambda: walk(spans),
            }
        ),
    )
    report(
        "the same on all spans",
        "spans",
        count,
        in_turn({"Tracescape, from an Arrow table": lambda: critical_path_of(table)}, rounds=3),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        store = DuckDBStore(path)
        for begin in range(0, count, 50_000):
            store.append({"spans": table.slice(begin, 50_000)})
        store.close()
        reader = open_reader(path)
        report(
            "topology from the file",
            "spans",
            count,
            in_turn(
                {
                    "Tracescape: quantiles, states, virtual nodes": lambda: topology(reader),
                    "DuckDB self-join: calls only": lambda: reader.sql(SELF_JOIN),
                },
                rounds=3,
            ),
        )
        report(
            "aggregate critical path from the file",
            "spans",
            count,
            in_turn({"Tracescape": lambda: critical_path(reader)}, rounds=3),
        )
        reader.close()


if __name__ == "__main__":
    main()
