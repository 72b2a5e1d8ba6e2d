"""What of the exporter's rows is which column of which of the store's tables.

The exporter keeps every attribute value as text. Keys that semantic conventions give whole numbers
(`attribute_columns.WELL_KNOWN`) are numbers again here; all others stay the texts that they are.
What the exporter does not keep is 0 or null: flags, counts of what was dropped, schema URLs, and when a row
arrived.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.layout import Layout
from tracescape_storage.clickhouse.literals import Bound, literal
from tracescape_storage.schema import ARRIVED, PROMOTED, TRACE_KEY, URL_HOST

#: OTLP's codes by the words of the exporter, of today's and of older releases.
KIND_WORDS: Final[dict[int, tuple[str, ...]]] = {
    0: ("Unspecified", "SPAN_KIND_UNSPECIFIED", ""),
    1: ("Internal", "SPAN_KIND_INTERNAL"),
    2: ("Server", "SPAN_KIND_SERVER"),
    3: ("Client", "SPAN_KIND_CLIENT"),
    4: ("Producer", "SPAN_KIND_PRODUCER"),
    5: ("Consumer", "SPAN_KIND_CONSUMER"),
}
STATUS_WORDS: Final[dict[int, tuple[str, ...]]] = {
    0: ("Unset", "STATUS_CODE_UNSET", ""),
    1: ("Ok", "STATUS_CODE_OK"),
    2: ("Error", "STATUS_CODE_ERROR"),
}
UNKNOWN_SERVICE: Final = "unknown_service"


class Source(NamedTuple):
    """Rows of one of the store's tables.

    Attributes:
        origin: what follows ``FROM``.
        columns: each of the store's columns as an expression over that.
        grouped: what follows ``GROUP BY``, where the rows are the distinct ones of another table.
    """

    origin: str
    columns: dict[str, str]
    grouped: str = ""


def sources_of(layout: Layout) -> dict[str, Source]:
    """The store's tables that can be read; those that cannot have no rows: metrics, exemplars."""
    found = {
        "spans": Source(layout.traces, span_columns(layout)),
        "events": Source(_events(layout), _EVENT_COLUMNS),
        "links": Source(_links(layout), _LINK_COLUMNS),
        "resources": Source(_resources(layout), _RESOURCE_COLUMNS),
        "scopes": Source(layout.traces, _scope_columns(layout), "scope_id, name, version"),
    }
    if layout.logs:
        found["logs"] = Source(layout.logs, _log_columns(layout))
    return found


def span_id(column: str) -> str:
    """The number that 16 hex digits are to a store; 0 for none."""
    return f"reinterpretAsInt64(reverse(unhex({column})))"


def trace_key(column: str) -> str:
    """See `schema.TRACE_KEY`."""
    return f"reinterpretAsInt32(reverse(substring(unhex({column}), 14, 3)))"


def service(column: str = "ServiceName") -> str:
    """The name, or what SDKs call a service that has none."""
    return f"if({column} = '', {literal(UNKNOWN_SERVICE)}, toString({column}))"


def code(column: str, words: dict[int, tuple[str, ...]]) -> str:
    """OTLP's code of a word."""
    pairs = [(literal(word), str(number)) for number, names in words.items() for word in names if number]
    names, numbers = ", ".join(pair[0] for pair in pairs), ", ".join(pair[1] for pair in pairs)
    return f"toInt8(transform(toString({column}), [{names}], [{numbers}], 0))"


def attribute(key: str, column: str = "SpanAttributes") -> str:
    """The value of a key; null where there is none, or where it is no number and should be one."""
    if WELL_KNOWN.get(key) == "BIGINT":
        return f"toInt64OrNull({column}[{literal(key)}])"
    return f"if(mapContains({column}, {literal(key)}), {column}[{literal(key)}], NULL)"


def attribute_named(key: str, bound: Bound) -> str:
    """The value of a key that a person wrote, a text; null where there is none."""
    name = bound.text(key)
    return f"if(mapContains(SpanAttributes, {name}), SpanAttributes[{name}], NULL)"


def json_of(column: str) -> str:
    """The JSON text of attributes, as `attributes.encode_attributes` writes it."""
    plain = f"toJSONString({column})"
    # A key that begins with a dollar has it twice: a map with one is hardly ever seen, so it pays to look.
    doubled = "(k, v) -> (if(startsWith(k, '$'), concat('$', k), toString(k)), v)"
    escaped = f"toJSONString(mapApply({doubled}, {column}))"
    return f"if(arrayExists(k -> startsWith(k, '$'), mapKeys({column})), {escaped}, {plain})"


def span_columns(layout: Layout) -> dict[str, str]:
    """The columns of ``spans``: `schema.SPANS`, what a store adds, and `attribute_columns.WELL_KNOWN`."""
    keys = ", ".join(literal(key) for key, kind in WELL_KNOWN.items() if kind != "BIGINT")
    numbers = " AND ".join(
        f"NOT (k = {literal(key)} AND toInt64OrNull(v) IS NOT NULL)"
        for key, kind in WELL_KNOWN.items()
        if kind == "BIGINT"
    )
    rest = f"mapFilter((k, v) -> k NOT IN ({keys}) AND {numbers}, SpanAttributes)"
    return {
        "trace_id": "unhex(TraceId)",
        "span_id": span_id("SpanId"),
        "parent_span_id": span_id("ParentSpanId"),
        "start_ns": "toUnixTimestamp64Nano(Timestamp)",
        "duration_ns": "toInt64(Duration)",
        "service": service(),
        "operation": "toString(SpanName)",
        "kind": code("SpanKind", KIND_WORDS),
        "status": code("StatusCode", STATUS_WORDS),
        "status_message": "nullIf(toString(StatusMessage), '')",
        "trace_state": "nullIf(toString(TraceState), '')",
        "flags": "toUInt32(0)",
        "resource_id": _RESOURCE_ID,
        "scope_id": _scope_id(layout),
        "attributes": json_of(rest),
        "dropped_attributes": "toUInt32(0)",
        "dropped_events": "toUInt32(0)",
        "dropped_links": "toUInt32(0)",
        ARRIVED: "toInt64(0)",
        TRACE_KEY: trace_key("TraceId"),
        **{key: attribute(key) for key in WELL_KNOWN},
    }


def scope_name(layout: Layout) -> str:
    """The name of the scope; releases that had no column for it kept it among the attributes."""
    own = "ScopeName" in layout.span_columns
    return "toString(ScopeName)" if own else "SpanAttributes['otel.scope.name']"


def scope_version(layout: Layout) -> str:
    """The version of the scope, as `scope_name`."""
    own = "ScopeVersion" in layout.span_columns
    return "toString(ScopeVersion)" if own else "SpanAttributes['otel.scope.version']"


def _scope_id(layout: Layout) -> str:
    return f"reinterpretAsInt64(cityHash64({scope_name(layout)}, {scope_version(layout)}))"


def _scope_columns(layout: Layout) -> dict[str, str]:
    return {
        "scope_id": _scope_id(layout),
        "name": scope_name(layout),
        "version": f"nullIf({scope_version(layout)}, '')",
        "attributes": "'{}'",
        "dropped_attributes": "toUInt32(0)",
        "schema_url": "CAST(NULL AS Nullable(String))",
    }


_RESOURCE_ID: Final = "reinterpretAsInt64(cityHash64(toString(ServiceName), toString(ResourceAttributes)))"


def _resources(layout: Layout) -> str:
    def distinct(table: str) -> str:
        return (
            f"SELECT {_RESOURCE_ID} AS id, any(toString(ServiceName)) AS of_service,"
            f" any(ResourceAttributes) AS said FROM {table} GROUP BY id"
        )

    tables = [layout.traces, *([layout.logs] if layout.logs else [])]
    every = " UNION ALL ".join(distinct(table) for table in tables)
    return (
        "(SELECT id, any(of_service) AS ServiceName, any(said) AS ResourceAttributes"
        f" FROM ({every}) GROUP BY id)"
    )


def _said(*keys: str) -> str:
    values = ", ".join(f"nullIf(ResourceAttributes[{literal(key)}], '')" for key in keys)
    return values if len(keys) == 1 else f"coalesce({values})"


_RESOURCE_COLUMNS: Final = {
    "resource_id": "id",
    "service": service(),
    "namespace": _said("service.namespace"),
    "instance": _said("service.instance.id"),
    "version": _said("service.version"),
    "environment": _said("deployment.environment.name", "deployment.environment"),
    "attributes": json_of("ResourceAttributes"),
    "dropped_attributes": "toUInt32(0)",
    "schema_url": "CAST(NULL AS Nullable(String))",
}
_OF_SPAN: Final = {
    "trace_id": "unhex(TraceId)",
    "span_id": span_id("SpanId"),
    ARRIVED: "toInt64(0)",
    TRACE_KEY: trace_key("TraceId"),
    "dropped_attributes": "toUInt32(0)",
}


def _events(layout: Layout) -> str:
    return (
        f"{layout.traces} ARRAY JOIN `Events.Timestamp` AS event_time, `Events.Name` AS event_name,"
        " `Events.Attributes` AS event_attributes"
    )


_EVENT_COLUMNS: Final = {
    **_OF_SPAN,
    "time_ns": "toUnixTimestamp64Nano(event_time)",
    "name": "toString(event_name)",
    "attributes": json_of("event_attributes"),
}


def _links(layout: Layout) -> str:
    return (
        f"{layout.traces} ARRAY JOIN `Links.TraceId` AS linked_trace, `Links.SpanId` AS linked_span,"
        " `Links.TraceState` AS linked_state, `Links.Attributes` AS link_attributes"
    )


_LINK_COLUMNS: Final = {
    **_OF_SPAN,
    "start_ns": "toUnixTimestamp64Nano(Timestamp)",
    "linked_trace_id": "unhex(linked_trace)",
    "linked_span_id": span_id("linked_span"),
    "trace_state": "nullIf(linked_state, '')",
    "flags": "toUInt32(0)",
    "attributes": json_of("link_attributes"),
}


def _log_columns(layout: Layout) -> dict[str, str]:
    def there(column: str, sql: str, otherwise: str) -> str:
        return sql if column in layout.log_columns else otherwise

    nothing = "CAST(NULL AS Nullable(String))"
    return {
        "time_ns": "toUnixTimestamp64Nano(Timestamp)",
        "observed_time_ns": "toInt64(0)",
        "time_is_observed": "false",
        "severity_number": "toInt32(SeverityNumber)",
        "severity_text": "nullIf(toString(SeverityText), '')",
        "body": "if(Body = '', NULL, toJSONString(Body))",
        "event_name": there("EventName", "nullIf(toString(EventName), '')", nothing),
        "trace_id": "if(TraceId = '', NULL, unhex(TraceId))",
        "span_id": span_id("SpanId"),
        "flags": there("TraceFlags", "toUInt32(TraceFlags)", "toUInt32(0)"),
        "service": service(),
        "resource_id": _RESOURCE_ID,
        "scope_id": there(
            "ScopeVersion",
            "reinterpretAsInt64(cityHash64(toString(ScopeName), toString(ScopeVersion)))",
            "toInt64(0)",
        ),
        "attributes": json_of("LogAttributes"),
        "dropped_attributes": "toUInt32(0)",
        ARRIVED: "toInt64(0)",
        TRACE_KEY: f"if(TraceId = '', NULL, {trace_key('TraceId')})",
    }


def promoted_columns() -> dict[str, str]:
    """`schema.PROMOTED` as expressions, as the view ``spans_full`` has them."""
    found = {name: _first(keys) for name, keys in PROMOTED.items()}
    host = f"nullIf(lower(extract(ifNull({found['url_host']}, ''), {literal(URL_HOST)})), '')"
    unnamed = f"{found['peer_service']} IS NULL AND {found['server_address']} IS NULL"
    return {**found, "url_host": f"if({unnamed}, {host}, NULL)"}


def _first(keys: tuple[str, ...]) -> str:
    values = ", ".join(attribute(key) for key in keys)
    return values if len(keys) == 1 else f"coalesce({values})"
