"""From the span tables that a store hands out to trees of integers, and back to names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_native.forest import Forest, SpanArrays, build_forest
from tracescape_native.grouping import group_ids
from tracescape_native.tally import ends_of
from tracescape_storage.schema import ANALYSIS_COLUMNS, PROMOTED

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: What a question about calls reads on top of ``ANALYSIS_COLUMNS``.
CALL_COLUMNS: Final = (*ANALYSIS_COLUMNS, *PROMOTED)

_ID_BYTES: Final = 16


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
    out, begin = np.empty(len(column), np.int64), 0
    for chunk in column.chunks:
        out[begin : begin + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        begin += len(chunk)
    return out


def dictionary_codes(column: pa.ChunkedArray) -> tuple[IntArray, list[str]]:
    """Indices into the distinct values of a text column (int64, -1 for null), and those values."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        return np.empty(0, np.int64), []
    indices = array.indices if not array.null_count else pc.fill_null(array.indices.cast(pa.int64()), -1)
    return np.array(indices.to_numpy(), dtype=np.int64), array.dictionary.to_pylist()


def id_bytes(column: pa.ChunkedArray) -> ByteArray | None:
    """A column of trace ids, uint8, shape (n, 16); None if some id is not 16 bytes long, which no exporter
    should send."""
    ids, begin = np.empty((len(column), _ID_BYTES), np.uint8), 0
    for chunk in column.chunks:
        part = chunk.cast(pa.binary())
        offsets = np.frombuffer(part.buffers()[1], np.int32)[part.offset : part.offset + len(part) + 1]
        if (np.diff(offsets) != _ID_BYTES).any():
            return None
        if len(part):
            data = np.frombuffer(part.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
            ids[begin : begin + len(part)] = data.reshape(-1, _ID_BYTES)
        begin += len(part)
    return ids


def trace_numbers(column: pa.ChunkedArray) -> tuple[IntArray, int]:
    """Traces numbered from 0 in order of appearance (int64), and how many there are."""
    ids = id_bytes(column)
    if ids is None:
        encoded = column.combine_chunks().dictionary_encode()
        return np.array(encoded.indices.to_numpy(), dtype=np.int64), len(encoded.dictionary)
    return numbered_ids(ids)


def numbered_ids(ids: ByteArray) -> tuple[IntArray, int]:
    """The same of ids that are 16 bytes long, uint8, shape (n, 16)."""
    halves = ids.view(np.int64)
    return group_ids(halves[:, 0], halves[:, 1])


def plant(table: pa.Table) -> SpanForest:
    """Grow the trees of a table that has ``schema.ANALYSIS_COLUMNS``; further columns are kept as they are.

    Copies of a span (same trace and span id, equal in all of ``ANALYSIS_COLUMNS``) are dropped.
    """
    trace, _ = trace_numbers(table["trace_id"])
    service, services = dictionary_codes(table["service"])
    operation, operations = dictionary_codes(table["operation"])
    kind, status = integers(table["kind"]), integers(table["status"])
    kind[(kind < 0) | (kind > 5)] = 0
    content = service * max(len(operations), 1)
    content += operation
    content <<= 8
    content |= status & 255
    start = integers(table["start_ns"])
    forest = build_forest(
        SpanArrays(
            trace=trace,
            span_id=integers(table["span_id"]),
            parent_id=integers(table["parent_span_id"]),
            start=start,
            end=ends_of(start, integers(table["duration_ns"])),
            kind=kind,
            resource=integers(table["resource_id"]),
            content=content,
        )
    )
    rows = forest.rows
    return SpanForest(table, forest, service[rows], operation[rows], status[rows], services, operations)
