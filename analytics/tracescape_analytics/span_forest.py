"""From the span tables that a store hands out to trees of integers, and back to names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_native.forest import Forest, SpanArrays, build_forest
from tracescape_native.grouping import group_ids
from tracescape_storage.schema import ANALYSIS_COLUMNS, PROMOTED

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: What a question about calls reads on top of ``ANALYSIS_COLUMNS``.
CALL_COLUMNS: Final = (*ANALYSIS_COLUMNS, *PROMOTED)

_LATEST: Final = 2**63 - 1


@dataclass(frozen=True)
class SpanForest:
    """Span trees with their names.

    ``service``, ``operation`` and ``status`` are int64 of shape (m,), in the forest's order; the first two
    are indices into ``services`` and ``operations``. ``table`` is what the forest was built from:
    ``forest.rows`` are its rows.
    """

    table: pa.Table
    forest: Forest
    service: IntArray
    operation: IntArray
    status: IntArray
    services: list[str]
    operations: list[str]

    @property
    def duration(self) -> IntArray:
        """Nanoseconds, int64, shape (m,); never negative."""
        return self.forest.end - self.forest.start

    def codes(self, column: str) -> tuple[IntArray, list[str]]:
        """A text column as indices into its distinct values, -1 for null, in the forest's order.

        A column that the table lacks is null everywhere.
        """
        if column not in self.table.column_names:
            return np.full(len(self.forest.rows), -1, np.int64), []
        codes, names = dictionary_codes(self.table[column])
        return codes[self.forest.rows], names


def integers(column: pa.ChunkedArray) -> IntArray:
    """An integer column without nulls as a new int64 array: kernels get one dtype, and may write to it."""
    return np.array(column.to_numpy(), dtype=np.int64)


def dictionary_codes(column: pa.ChunkedArray) -> tuple[IntArray, list[str]]:
    """Indices into the distinct values of a text column (int64, -1 for null), and those values."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        return np.empty(0, np.int64), []
    indices = array.indices if not array.null_count else pc.fill_null(array.indices.cast(pa.int64()), -1)
    return np.array(indices.to_numpy(), dtype=np.int64), array.dictionary.to_pylist()


def trace_numbers(column: pa.ChunkedArray) -> tuple[IntArray, int]:
    """Traces numbered from 0 in order of appearance (int64), and how many there are."""
    array = column.combine_chunks()
    if len(array) == 0:
        return np.empty(0, np.int64), 0
    try:
        fixed = array.cast(pa.binary(16))
    except pa.ArrowInvalid:  # some id is not 16 bytes long, which no exporter should send
        encoded = array.dictionary_encode()
        return np.array(encoded.indices.to_numpy(), dtype=np.int64), len(encoded.dictionary)
    halves = np.frombuffer(fixed.buffers()[1], np.int64).reshape(-1, 2)
    halves = halves[fixed.offset : fixed.offset + len(fixed)]
    # Copies on purpose: contiguous halves, writable like every array that kernels get.
    return group_ids(halves[:, 0].copy(), halves[:, 1].copy())


def span_ends(start: IntArray, duration: IntArray) -> IntArray:
    """``start + duration``, at the latest at the end of int64's time instead of wrapping around."""
    end = start + np.maximum(duration, 0)
    wrapped = end < start
    if wrapped.any():
        end[wrapped] = _LATEST
    return end


def plant(table: pa.Table) -> SpanForest:
    """Grow the trees of a table that has ``schema.ANALYSIS_COLUMNS``; further columns are kept as they are.

    Copies of a span (same trace and span id, equal in all of ``ANALYSIS_COLUMNS``) are dropped.
    """
    trace, _ = trace_numbers(table["trace_id"])
    service, services = dictionary_codes(table["service"])
    operation, operations = dictionary_codes(table["operation"])
    kind = integers(table["kind"])
    status = integers(table["status"])
    start = integers(table["start_ns"])
    forest = build_forest(
        SpanArrays(
            trace=trace,
            span_id=integers(table["span_id"]),
            parent_id=integers(table["parent_span_id"]),
            start=start,
            end=span_ends(start, integers(table["duration_ns"])),
            kind=np.where((kind < 0) | (kind > 5), 0, kind),
            resource=integers(table["resource_id"]),
            content=(service * max(len(operations), 1) + operation) * 256 + (status & 255),
        )
    )
    rows = forest.rows
    return SpanForest(table, forest, service[rows], operation[rows], status[rows], services, operations)
