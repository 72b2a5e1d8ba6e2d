"""What `rows.span_rows` and `rows.log_rows` give, column by column instead of row by row: five times faster.

Those are how it is meant. Two things differ: text columns are dictionary-coded where they came so, and of
two spans with the same ids the first has the events and links of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.attributes import decode_attributes, decode_value
from tracescape_storage.clickhouse.columns import KIND_WORDS, STATUS_WORDS
from tracescape_storage.clickhouse.rows import LOG_ROWS, SPAN_COLUMNS, SPAN_ROWS, Tables, text_of, texts_of
from tracescape_storage.hex_text import Array, fixed_bytes, hex_of_bytes, hex_of_spans

_MAP: Final = pa.map_(pa.string(), pa.string())
_TIME: Final = pa.timestamp("ns")
#: Attributes with lists, maps, or what JSON cannot hold (see ``attributes``); or with text that looks so.
_UNUSUAL: Final = r'"\$|:[\[{]'
_UNUSUAL_BODY: Final = r"^[\[{]"
#: Numbers become texts as they are read. So many rows at a time: each call costs, and so does memory.
_READ: Final = json.JSONDecoder(parse_int=str, parse_float=lambda text: text_of(float(text)))
_AT_ONCE: Final = 1_000


def quick_span_rows(tables: Tables) -> pa.Table:
    """`SPAN_ROWS` for ``spans``, with what ``events, links, resources, scopes`` say of them."""
    spans = _one_chunk(tables["spans"])
    if not spans.num_rows:
        return SPAN_ROWS.empty_table()
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
        "SpanAttributes": _with_columns(_maps(spans["attributes"]), spans),
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


def quick_log_rows(tables: Tables) -> pa.Table:
    """`LOG_ROWS` for ``logs``, with what ``resources, scopes`` say of them."""
    logs = _one_chunk(tables["logs"])
    if not logs.num_rows:
        return LOG_ROWS.empty_table()
    resources = _Named(tables.get("resources"), "resource_id", logs["resource_id"])
    scopes = _Named(tables.get("scopes"), "scope_id", logs["scope_id"])
    arrays: dict[str, pa.Array] = {
        "Timestamp": logs["time_ns"].chunk(0).cast(_TIME),
        "TraceId": _trace_hex(logs["trace_id"].chunk(0)),
        "SpanId": hex_of_spans(logs["span_id"].to_numpy()),
        "TraceFlags": _byte(logs["flags"]),
        "SeverityText": _text(logs, "severity_text").dictionary_encode(),
        "SeverityNumber": _byte(logs["severity_number"]),
        "ServiceName": _coded(logs["service"].chunk(0)),
        "Body": pa.array([text_of(body) for body in _bodies(logs["body"])], pa.string()),
        "ResourceSchemaUrl": resources.texts("schema_url").dictionary_encode(),
        "ResourceAttributes": resources.maps("attributes"),
        "ScopeSchemaUrl": scopes.texts("schema_url").dictionary_encode(),
        "ScopeName": scopes.texts("name"),
        "ScopeVersion": scopes.texts("version").dictionary_encode(),
        "ScopeAttributes": scopes.maps("attributes"),
        "LogAttributes": _maps(logs["attributes"]),
    }
    return pa.Table.from_arrays([arrays[name] for name in LOG_ROWS.names], schema=LOG_ROWS)


def _one_chunk(table: pa.Table) -> pa.Table:
    return table.unify_dictionaries().combine_chunks()


def _trace_hex(ids: pa.Array) -> pa.Array:
    """Digits of ids; ``""`` where there is none."""
    if not ids.null_count:
        return hex_of_bytes(fixed_bytes(ids, 16))
    digits = hex_of_bytes(fixed_bytes(ids.fill_null(bytes(16)), 16))
    return pc.if_else(ids.is_valid(), digits, "")


def _byte(numbers: pa.ChunkedArray) -> pa.Array:
    """The lowest eight bits; 0 of what is negative."""
    return pa.array((np.maximum(numbers.to_numpy(), 0) & 0xFF).astype(np.uint8))


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
    keys: list[str] = []
    values: list[Any] = []
    counts = np.zeros(len(texts) + 1, np.int32)
    for row, found in enumerate(_decoded(texts, _UNUSUAL, decode_attributes), 1):
        keys += found
        values += found.values()
        counts[row] = len(found)
    written = [value if type(value) is str else text_of(value) for value in values]
    offsets = np.cumsum(counts, dtype=np.int32)
    return pa.MapArray.from_arrays(offsets, pa.array(keys, pa.string()), pa.array(written, pa.string()))


def _bodies(texts: pa.ChunkedArray) -> Iterator[Any]:
    """What JSON texts say; None where there is none."""
    return _decoded(texts.fill_null("null"), _UNUSUAL_BODY, decode_value)


def _decoded(texts: pa.Array | pa.ChunkedArray, unusual: str, decode: Callable[[str], Any]) -> Iterator[Any]:
    """What JSON texts say, numbers as they are written; by ``decode`` where ``unusual`` matches."""
    odd = pc.match_substring_regex(texts, unusual).to_numpy(zero_copy_only=False)
    listed = texts.to_pylist()
    for begin in range(0, len(listed), _AT_ONCE):
        plain = _READ.decode(f"[{','.join(listed[begin : begin + _AT_ONCE])}]")
        for row, found in enumerate(plain, begin):
            yield decode(listed[row]) if odd[row] else found


def _with_columns(maps: pa.MapArray, spans: pa.Table) -> pa.MapArray:
    """The attributes of spans, and behind them those that have columns of their own."""
    own = [name for name in spans.column_names if name not in SPAN_COLUMNS]
    if not own:
        return maps
    columns = [spans[name].chunk(0) for name in own]
    there = np.stack([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=1)
    begins = maps.offsets.to_numpy()
    before = np.diff(begins)
    offsets = np.zeros(len(maps) + 1, np.int32)
    np.cumsum(before + there.sum(axis=1), out=offsets[1:])
    # Entries stand by column, those of the maps first: where each goes, then which of them is at each place.
    goes = [np.arange(begins[-1]) + np.repeat(offsets[:-1] - begins[:-1], before)]
    next_free = offsets[:-1] + before
    for number in range(len(own)):
        rows = there[:, number]
        goes.append(next_free[rows])
        next_free = next_free + rows
    order = np.empty(offsets[-1], np.int32)
    order[np.concatenate(goes)] = np.arange(offsets[-1])
    keys = [maps.keys, *(pa.repeat(name, len(each)) for name, each in zip(own, goes[1:], strict=True))]
    values = [maps.items, *(_texts_of_column(column.drop_null()) for column in columns)]
    return pa.MapArray.from_arrays(
        offsets, pa.concat_arrays(keys).take(pa.array(order)), pa.concat_arrays(values).take(pa.array(order))
    )


def _texts_of_column(values: pa.Array) -> pa.Array:
    """What `text_of` makes of each; none is null."""
    if pa.types.is_floating(values.type):
        coded = values.dictionary_encode()
        texts = pa.array([text_of(value) for value in coded.dictionary.to_pylist()], pa.string())
        return texts.take(coded.indices)
    return _plain(values)
