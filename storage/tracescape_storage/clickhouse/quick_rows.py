"""What ``rows.span_rows`` gives, column by column instead of row by row: five times faster.

That one is how it is meant. Two things differ: text columns are dictionary-coded where they came so, and of
two spans with the same ids the first has the events and links of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.attributes import decode_attributes
from tracescape_storage.clickhouse.columns import KIND_WORDS, STATUS_WORDS
from tracescape_storage.clickhouse.rows import SPAN_ROWS, Tables, span_rows, text_of, texts_of
from tracescape_storage.hex_text import Array, fixed_bytes, hex_of_bytes, hex_of_spans
from tracescape_storage.schema import SPANS

_MAP: Final = pa.map_(pa.string(), pa.string())
_TIME: Final = pa.timestamp("ns")
#: Attributes with lists, maps, or what JSON cannot hold (see ``attributes``); or with text that looks so.
_UNUSUAL: Final = r'"\$|:[\[{]'
#: Numbers become texts as they are read. So many rows at a time: each call costs, and so does memory.
_READ: Final = json.JSONDecoder(parse_int=str, parse_float=lambda text: text_of(float(text)))
_AT_ONCE: Final = 1_000


def quick_span_rows(tables: Tables) -> pa.Table:
    """`SPAN_ROWS` for ``spans``, with what ``events, links, resources, scopes`` say of them.

    Attributes that have columns of their own take the slow way.
    """
    spans = _one_chunk(tables["spans"])
    if not spans.num_rows or set(spans.column_names) - set(SPANS.names):
        return span_rows(tables)
    ids = spans["trace_id"].chunk(0), spans["span_id"].to_numpy()
    keys = _keys(*ids)
    resources = _Named(tables.get("resources"), "resource_id", spans["resource_id"])
    scopes = _Named(tables.get("scopes"), "scope_id", spans["scope_id"])
    arrays: dict[str, pa.Array] = {
        "Timestamp": spans["start_ns"].chunk(0).cast(_TIME),
        "TraceId": _trace_hex(ids[0]),
        "SpanId": hex_of_spans(ids[1]),
        "ParentSpanId": hex_of_spans(spans["parent_span_id"].to_numpy()),
        "TraceState": _text(spans, "trace_state"),
        "SpanName": _coded(spans["operation"].chunk(0)),
        "SpanKind": _words(spans["kind"], KIND_WORDS),
        "ServiceName": _coded(spans["service"].chunk(0)),
        "ResourceAttributes": resources.maps("attributes"),
        "ScopeName": scopes.texts("name"),
        "ScopeVersion": scopes.texts("version"),
        "SpanAttributes": _maps(spans["attributes"]),
        "Duration": pa.array(np.maximum(spans["duration_ns"].to_numpy(), 0).astype(np.uint64)),
        "StatusCode": _words(spans["status"], STATUS_WORDS),
        "StatusMessage": _text(spans, "status_message"),
    }
    events = _Parts(tables.get("events"), keys)
    arrays |= {
        "Events.Timestamp": events.lists("time_ns", lambda values: values.cast(_TIME), _TIME),
        "Events.Name": events.lists("name", _plain, pa.string()),
        "Events.Attributes": events.lists("attributes", _maps, _MAP),
    }
    links = _Parts(tables.get("links"), keys)
    arrays |= {
        "Links.TraceId": links.lists(
            "linked_trace_id", lambda ids: hex_of_bytes(fixed_bytes(ids, 16)), pa.string()
        ),
        "Links.SpanId": links.lists("linked_span_id", lambda ids: hex_of_spans(ids.to_numpy()), pa.string()),
        "Links.TraceState": links.lists("trace_state", _plain, pa.string()),
        "Links.Attributes": links.lists("attributes", _maps, _MAP),
    }
    return pa.Table.from_arrays([arrays[name] for name in SPAN_ROWS.names], schema=SPAN_ROWS)


def _one_chunk(table: pa.Table) -> pa.Table:
    return table.unify_dictionaries().combine_chunks()


def _trace_hex(ids: pa.Array) -> pa.Array:
    return hex_of_bytes(fixed_bytes(ids, 16))


def _plain(values: pa.Array) -> pa.Array:
    """Text, dictionary-coded or not, ``""`` where there is none."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.string()).fill_null("")


def _coded(values: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_dictionary(values.type):
        return values.cast(pa.dictionary(pa.int32(), pa.string()))
    return values.dictionary_encode()


def _text(table: pa.Table, name: str) -> pa.Array:
    """A column of text; ``""`` everywhere where the table lacks it."""
    if name not in table.column_names:
        return pa.repeat(pa.scalar(""), len(table))
    return _plain(table[name].chunk(0))


def _words(codes: pa.ChunkedArray, words: Mapping[int, tuple[str, ...]]) -> pa.DictionaryArray:
    """What codes from 0 on are called; an unknown one as 0."""
    numbers = codes.to_numpy().astype(np.int32)
    known = np.where((numbers >= 0) & (numbers < len(words)), numbers, 0)
    return pa.DictionaryArray.from_arrays(known, [words[code][0] for code in range(len(words))])


def _keys(trace_ids: pa.Array, span_ids: Array) -> pa.Array:
    """Both ids as 24 bytes."""
    joined = np.empty((len(span_ids), 24), np.uint8)
    joined[:, :16] = fixed_bytes(trace_ids, 16)
    joined[:, 16:] = span_ids.astype(np.int64).view(np.uint8).reshape(-1, 8)
    return pa.Array.from_buffers(pa.binary(24), len(joined), [None, pa.py_buffer(joined)])


class _Named:
    """Resources or scopes of spans: what they say is put into Arrow once and taken for each span."""

    def __init__(self, contents: pa.Table | None, key: str, ids: pa.ChunkedArray) -> None:
        self._rows = [] if contents is None else contents.to_pylist()
        # Behind the last stands one that says nothing, for ids that are not there.
        known = pa.array([row[key] for row in self._rows], pa.int64())
        self._numbers = pc.fill_null(pc.index_in(ids.chunk(0), known), len(self._rows))

    def maps(self, name: str) -> pa.Array:
        pairs = [texts_of(row[name]) for row in self._rows]
        return pa.array([*pairs, []], _MAP).take(self._numbers)

    def texts(self, name: str) -> pa.Array:
        return pa.array([*(row[name] or "" for row in self._rows), ""], pa.string()).take(self._numbers)


class _Parts:
    """Events or links, in the order of their spans; those whose span is not there are left out."""

    def __init__(self, table: pa.Table | None, keys: pa.Array) -> None:
        self._spans = len(keys)
        self._table = None
        if table is None or not table.num_rows:
            return
        table = _one_chunk(table)
        owners = pc.index_in(_keys(table["trace_id"].chunk(0), table["span_id"].to_numpy()), keys)
        there = owners.is_valid()
        numbers = owners.filter(there).to_numpy()
        order = np.argsort(numbers, kind="stable")
        self._table = _one_chunk(table.filter(there).take(order)) if len(order) else None
        self._offsets = np.zeros(self._spans + 1, np.int32)
        np.cumsum(np.bincount(numbers, minlength=self._spans), out=self._offsets[1:])

    def lists(self, name: str, change: Callable[[Any], pa.Array], kind: pa.DataType) -> pa.Array:
        """A list a span of a column's values, after ``change``."""
        if self._table is None:
            offsets = np.zeros(self._spans + 1, np.int32)
            return pa.ListArray.from_arrays(offsets, pa.array([], kind), type=pa.list_(kind))
        values = change(self._table[name].chunk(0))
        return pa.ListArray.from_arrays(self._offsets, values, type=pa.list_(kind))


def _maps(texts: pa.Array | pa.ChunkedArray) -> pa.MapArray:
    """JSON texts of attributes as maps of texts."""
    unusual = pc.match_substring_regex(texts, _UNUSUAL).to_numpy(zero_copy_only=False)
    listed = texts.to_pylist()
    keys: list[str] = []
    values: list[Any] = []
    counts = np.zeros(len(listed) + 1, np.int32)
    for begin in range(0, len(listed), _AT_ONCE):
        plain = _READ.decode(f"[{','.join(listed[begin : begin + _AT_ONCE])}]")
        for row, found in enumerate(plain, begin):
            if unusual[row]:
                found = decode_attributes(listed[row])
            keys += found
            values += found.values()
            counts[row + 1] = len(found)
    written = [value if type(value) is str else text_of(value) for value in values]
    offsets = np.cumsum(counts, dtype=np.int32)
    return pa.MapArray.from_arrays(offsets, pa.array(keys, pa.string()), pa.array(written, pa.string()))
