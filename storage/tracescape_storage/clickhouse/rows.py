"""The store's tables as rows of the exporter's, in Arrow: what is inserted is what the exporter would write.

Attribute values become the texts that the Collector makes of them: numbers as JSON has them, bytes in base64,
lists and maps as JSON. What the exporter's tables have no column for is left out: see ``columns``.
"""

from __future__ import annotations

import base64
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from tracescape_storage.attributes import AttributeValue, decode_attributes, decode_value
from tracescape_storage.clickhouse.columns import KIND_WORDS, STATUS_WORDS
from tracescape_storage.schema import SPANS, store_columns

Texts = list[tuple[str, str]]

_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_MAP: Final = pa.map_(pa.string(), pa.string())
_TIME: Final = pa.timestamp("ns")

#: A batch of ``otel_traces``.
SPAN_ROWS: Final = pa.schema(
    [
        ("Timestamp", _TIME),
        ("TraceId", pa.string()),
        ("SpanId", pa.string()),
        ("ParentSpanId", pa.string()),
        ("TraceState", pa.string()),
        ("SpanName", _WORD),
        ("SpanKind", _WORD),
        ("ServiceName", _WORD),
        ("ResourceAttributes", _MAP),
        ("ScopeName", pa.string()),
        ("ScopeVersion", pa.string()),
        ("SpanAttributes", _MAP),
        ("Duration", pa.uint64()),
        ("StatusCode", _WORD),
        ("StatusMessage", pa.string()),
        ("Events.Timestamp", pa.list_(_TIME)),
        ("Events.Name", pa.list_(pa.string())),
        ("Events.Attributes", pa.list_(_MAP)),
        ("Links.TraceId", pa.list_(pa.string())),
        ("Links.SpanId", pa.list_(pa.string())),
        ("Links.TraceState", pa.list_(pa.string())),
        ("Links.Attributes", pa.list_(_MAP)),
    ]
)
#: A batch of ``otel_logs``.
LOG_ROWS: Final = pa.schema(
    [
        ("Timestamp", _TIME),
        ("TraceId", pa.string()),
        ("SpanId", pa.string()),
        ("TraceFlags", pa.uint8()),
        ("SeverityText", _WORD),
        ("SeverityNumber", pa.uint8()),
        ("ServiceName", _WORD),
        ("Body", pa.string()),
        ("ResourceSchemaUrl", _WORD),
        ("ResourceAttributes", _MAP),
        ("ScopeSchemaUrl", _WORD),
        ("ScopeName", pa.string()),
        ("ScopeVersion", _WORD),
        ("ScopeAttributes", _MAP),
        ("LogAttributes", _MAP),
    ]
)

#: Columns of ``spans`` that are no attributes.
SPAN_COLUMNS: Final = frozenset({*SPANS.names, *store_columns("spans").names})

Tables = Mapping[str, pa.Table]


def span_rows(tables: Tables) -> pa.Table:
    """Rows of ``otel_traces`` for ``spans``, with what ``events, links, resources, scopes`` say of them.

    ``spans`` may have columns of attributes besides (see `attribute_columns`). `SPAN_ROWS`.
    """
    spans = tables["spans"]
    contents = _Contents(tables)
    events = _by_span(tables.get("events"))
    links = _by_span(tables.get("links"))
    rows = spans.to_pylist()
    own = [name for name in spans.column_names if name not in SPAN_COLUMNS]
    keys = [(row["trace_id"], row["span_id"]) for row in rows]
    # A span that is there twice has its events once: both copies were sent with them, and one list is kept.
    of_span = {key: (events.get(key, []), links.get(key, [])) for key in keys}
    columns: dict[str, list[Any]] = {
        "Timestamp": [row["start_ns"] for row in rows],
        "TraceId": [row["trace_id"].hex() for row in rows],
        "SpanId": [_span_hex(row["span_id"]) for row in rows],
        "ParentSpanId": [_span_hex(row["parent_span_id"]) for row in rows],
        "TraceState": [row.get("trace_state") or "" for row in rows],
        "SpanName": [row["operation"] for row in rows],
        "SpanKind": [_word(KIND_WORDS, row["kind"]) for row in rows],
        "ServiceName": [row["service"] for row in rows],
        "ResourceAttributes": [contents.resource(row["resource_id"]) for row in rows],
        "ScopeName": [contents.scope(row["scope_id"])[0] for row in rows],
        "ScopeVersion": [contents.scope(row["scope_id"])[1] for row in rows],
        "SpanAttributes": [
            [*texts_of(row["attributes"]), *_texts({key: row[key] for key in own if row[key] is not None})]
            for row in rows
        ],
        "Duration": [max(row["duration_ns"], 0) for row in rows],
        "StatusCode": [_word(STATUS_WORDS, row["status"]) for row in rows],
        "StatusMessage": [row.get("status_message") or "" for row in rows],
        "Events.Timestamp": [[each["time_ns"] for each in of_span[key][0]] for key in keys],
        "Events.Name": [[each["name"] for each in of_span[key][0]] for key in keys],
        "Events.Attributes": [[texts_of(each["attributes"]) for each in of_span[key][0]] for key in keys],
        "Links.TraceId": [[each["linked_trace_id"].hex() for each in of_span[key][1]] for key in keys],
        "Links.SpanId": [[_span_hex(each["linked_span_id"]) for each in of_span[key][1]] for key in keys],
        "Links.TraceState": [[each["trace_state"] or "" for each in of_span[key][1]] for key in keys],
        "Links.Attributes": [[texts_of(each["attributes"]) for each in of_span[key][1]] for key in keys],
    }
    return _table(columns, SPAN_ROWS)


def log_rows(tables: Tables) -> pa.Table:
    """Rows of ``otel_logs`` for ``logs``, with what ``resources, scopes`` say of them. `LOG_ROWS`."""
    contents = _Contents(tables)
    rows = tables["logs"].to_pylist()
    columns: dict[str, list[Any]] = {
        "Timestamp": [row["time_ns"] for row in rows],
        "TraceId": ["" if row["trace_id"] is None else row["trace_id"].hex() for row in rows],
        "SpanId": [_span_hex(row["span_id"]) for row in rows],
        "TraceFlags": [row["flags"] & 0xFF for row in rows],
        "SeverityText": [row["severity_text"] or "" for row in rows],
        "SeverityNumber": [max(row["severity_number"], 0) & 0xFF for row in rows],
        "ServiceName": [row["service"] for row in rows],
        "Body": ["" if row["body"] is None else text_of(decode_value(row["body"])) for row in rows],
        "ResourceSchemaUrl": [contents.schema_url("resource_id", row) for row in rows],
        "ResourceAttributes": [contents.resource(row["resource_id"]) for row in rows],
        "ScopeSchemaUrl": [contents.schema_url("scope_id", row) for row in rows],
        "ScopeName": [contents.scope(row["scope_id"])[0] for row in rows],
        "ScopeVersion": [contents.scope(row["scope_id"])[1] for row in rows],
        "ScopeAttributes": [contents.scope_attributes(row["scope_id"]) for row in rows],
        "LogAttributes": [texts_of(row["attributes"]) for row in rows],
    }
    return _table(columns, LOG_ROWS)


def texts_of(attributes: str) -> Texts:
    """Keys and values of the JSON text of attributes, as the exporter writes them."""
    return [] if attributes == "{}" else _texts(decode_attributes(attributes))


def text_of(value: AttributeValue) -> str:
    """One value as the Collector makes a text of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        return _point(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _texts(attributes: Mapping[str, AttributeValue]) -> Texts:
    return [(key, text_of(value)) for key, value in attributes.items()]


def _plain(value: AttributeValue) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return _point(value)
    return value


def _point(value: float) -> str:
    """A double as ECMAScript writes it, without ``.0``; JSON has no words for what is not finite."""
    if not math.isfinite(value):
        word = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
        return f"json: unsupported value: {word}"
    text = repr(value)
    return text.removesuffix(".0")


class _Contents:
    """What resources and scopes say, each put into texts once."""

    def __init__(self, tables: Tables) -> None:
        self._rows = {key: _by_id(tables.get(table), key) for table, key in _CONTENTS}
        self._resources: dict[int, Texts] = {}

    def resource(self, number: int) -> Texts:
        if number not in self._resources:
            row = self._rows["resource_id"].get(number)
            self._resources[number] = [] if row is None else texts_of(row["attributes"])
        return self._resources[number]

    def scope(self, number: int) -> tuple[str, str]:
        row = self._rows["scope_id"].get(number)
        return ("", "") if row is None else (row["name"], row["version"] or "")

    def scope_attributes(self, number: int) -> Texts:
        row = self._rows["scope_id"].get(number)
        return [] if row is None else texts_of(row["attributes"])

    def schema_url(self, key: str, row: Mapping[str, Any]) -> str:
        found = self._rows[key].get(row[key])
        return "" if found is None else found["schema_url"] or ""


_CONTENTS: Final = (("resources", "resource_id"), ("scopes", "scope_id"))


def _by_id(table: pa.Table | None, key: str) -> dict[int, dict[str, Any]]:
    return {} if table is None else {row[key]: row for row in table.to_pylist()}


def _by_span(table: pa.Table | None) -> dict[tuple[bytes, int], list[dict[str, Any]]]:
    found: dict[tuple[bytes, int], list[dict[str, Any]]] = defaultdict(list)
    for row in [] if table is None else table.to_pylist():
        found[row["trace_id"], row["span_id"]].append(row)
    return found


def _span_hex(number: int) -> str:
    return f"{number & (1 << 64) - 1:016x}" if number else ""


def _word(words: Mapping[int, tuple[str, ...]], code: int) -> str:
    return words.get(code, words[0])[0]


def _table(columns: Mapping[str, Iterable[Any]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        array = pa.array(columns[field.name], kind)
        arrays.append(array.dictionary_encode() if pa.types.is_dictionary(field.type) else array)
    return pa.Table.from_arrays(arrays, schema=schema)
