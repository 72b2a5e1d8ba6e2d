"""Span tables of any size: recorded traces laid end to end, or random ones; and the two extremes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tracescape_native.forest import SpanArrays
from tracescape_storage.schema import SPANS

Integers = npt.NDArray[np.int64]

MINUTE_NS = 60_000_000_000
#: Products with these are spread over all 64 bits, and no two are alike.
_ODD = np.array([-7046029254386353131, -4417276706812531889], np.int64)
SPANS_A_TRACE, SERVICES, OPERATIONS = 40, 25, 10


def _ids(texts: pl.Series, words: int) -> Integers:
    # Hex ids as big-endian words; '' is 0.
    digits = texts.str.zfill(16 * words).str.to_lowercase().str.join("")[0]
    return np.frombuffer(bytes.fromhex(digits), ">i8").astype(np.int64).reshape(-1, words)


def recorded(path: Path, count: int, seed: int = 1) -> pa.Table:
    """The first ``count`` spans of a recorded Parquet span table, repeated with new ids, later each time.

    Rows are in the order of the minutes they start in, and in no order within a minute: as ingested.
    """
    frame = pl.read_parquet(path).sort("start_ns", "trace_id", "span_id")
    trace = _ids(frame["trace_id"], 2)
    span, parent = _ids(frame["span_id"], 1)[:, 0], _ids(frame["parent_span_id"], 1)[:, 0]
    start, duration = frame["start_ns"].to_numpy(), frame["duration_ns"].to_numpy()
    number = np.arange(count)
    row, copy = number % len(frame), number // len(frame)
    length = int(start[-1] - start[0]) // MINUTE_NS * MINUTE_NS + 2 * MINUTE_NS
    begin = start[row] + copy * length
    order = np.lexsort((np.random.default_rng(seed).random(count), begin // MINUTE_NS))
    row, copy = row[order], copy[order]
    texts = {
        name: frame[name].to_arrow().cast(pa.string()).take(pa.array(row))
        for name in ("service", "operation")
    }
    return as_table(
        {
            "trace": copied(trace[row], copy),
            "span_id": span[row],
            "parent_span_id": parent[row],
            "start_ns": begin[order],
            "duration_ns": duration[row],
        },
        texts,
    )


def copied(trace: Integers, copy: Integers) -> Integers:
    """The halves of other trace ids for each copy, int64, shape (n, 2).

    Real ids are random in every byte. Copies that share their last bytes would share the store's key of a
    trace, and whoever asks for the traces of one minute would be given all others.
    """
    return trace ^ copy[:, None] * _ODD


def random(count: int, seed: int = 1) -> pa.Table:
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
    order = np.lexsort((random.random(len(number)), start // MINUTE_NS))
    number, trace, parent, base = number[order], trace[order], parent[order], base[order]
    return as_table(
        {
            "trace": copied(np.ones((len(trace), 2), np.int64), trace),
            "span_id": base + number + 1,
            "parent_span_id": np.where(parent >= 0, base + parent + 1, 0),
            "start_ns": start[order],
            "duration_ns": (end - start)[order],
        },
        {
            "service": pa.array([f"service-{i}" for i in range(SERVICES)]).take(
                pa.array(number * 7 % SERVICES)
            ),
            "operation": pa.array([f"op {i}" for i in range(OPERATIONS)]).take(pa.array(number % OPERATIONS)),
        },
    )


def _texts(noun: str, number: Integers) -> pa.Array:
    return pa.array([f"{noun}-{i}" for i in range(int(number.max()) + 1)]).take(pa.array(number))


def as_table(numbers: dict[str, Integers], texts: dict[str, pa.Array]) -> pa.Table:
    """A table of ``schema.SPANS``; ``numbers["trace"]`` has the halves of the trace ids, all else is 0."""
    halves = numbers.pop("trace").astype(">i8")
    count = len(halves)
    columns = {name: pa.array(values) for name, values in numbers.items()} | texts
    columns["trace_id"] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), count, [None, pa.py_buffer(halves.tobytes())]
    )
    columns["attributes"] = pa.array(["{}"]).take(pa.array(np.zeros(count, np.int64)))
    columns["resource_id"] = columns["service"].dictionary_encode().indices
    arrays = []
    for field in SPANS:
        if field.name in columns:
            arrays.append(columns[field.name].cast(field.type))
        elif field.nullable:
            arrays.append(pa.nulls(count, field.type))
        else:
            arrays.append(pa.array(np.zeros(count, np.int64)).cast(field.type))
    return pa.table(arrays, schema=SPANS)


def _one_trace(parent: Integers, start: Integers, end: Integers) -> SpanArrays:
    order = np.random.default_rng(1).permutation(len(parent))
    zeros = np.zeros(len(parent), np.int64)
    ids = np.arange(1, len(parent) + 1)
    columns = (zeros, ids, parent, start, end, zeros, zeros, zeros)
    return SpanArrays(*(np.ascontiguousarray(column[order], dtype=np.int64) for column in columns))


def deep(count: int) -> SpanArrays:
    """One trace, each span the only child of the one before."""
    number = np.arange(count)
    return _one_trace(number, number, 2 * count - number)


def wide(count: int) -> SpanArrays:
    """One trace, all spans but one children of the root, overlapping."""
    number = np.arange(count)
    length = np.random.default_rng(2).integers(1, 20, count)
    return _one_trace(np.minimum(number, 1), number, np.where(number == 0, 2 * count, number + length))
