"""The tables of a Tracescape store, and the Arrow schemas that cross the wall to and from it.

Times are integer nanoseconds since the Unix epoch. Ids are bytes or integers, never text: ``trace_id`` is
16 bytes, ``span_id`` is the signed 64-bit value of its 8 bytes read big-endian, and a ``parent_span_id`` of
0 means that the span has no parent (OTLP forbids an all-zero span id).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 3

#: What questions join or filter on, as ``column: (attribute keys, the first that is set wins)``: columns of
#: the view ``spans_full``. These keys always have columns of their own, see `attribute_columns`.
PROMOTED: Final[dict[str, tuple[str, ...]]] = {
    "db_system": ("db.system.name", "db.system"),
    "db_namespace": ("db.namespace", "db.name"),
    "messaging_system": ("messaging.system",),
    "messaging_destination": (
        "messaging.destination.template",
        "messaging.destination.name",
        "messaging.destination",
    ),
    "peer_service": ("service.peer.name", "peer.service"),
    "server_address": ("server.address", "net.peer.name"),
    "server_port": ("server.port", "net.peer.port"),
    "rpc_service": ("rpc.service",),
    "http_method": ("http.request.method", "http.method"),
    "http_status": ("http.response.status_code", "http.status_code"),
    "url_host": ("url.full", "http.url"),
    "gen_ai_operation": ("gen_ai.operation.name",),
    "gen_ai_provider": ("gen_ai.provider.name", "gen_ai.system"),
    "gen_ai_model": ("gen_ai.request.model", "gen_ai.response.model"),
    "gen_ai_agent": ("gen_ai.agent.name",),
    "gen_ai_tool": ("gen_ai.tool.name",),
    "adjusted_count": ("sampler.adjusted_count", "SampleRate"),
}

INTEGER_PROMOTED: Final = frozenset({"server_port", "http_status", "adjusted_count"})
#: Of those, which are read where they were sent as numbers only.
NUMBERS_ONLY: Final = frozenset({"adjusted_count"})
#: The host and, where it is said, the port of a URL, as the only group; the same to Python's ``re`` and to
#: DuckDB's RE2. ``url_host`` is that of spans that say no ``server_address`` and no ``peer_service``.
URL_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?([^/?#@]+)"

#: One row a span, as ingest hands it to the store, which may have columns of attributes besides (see
#: ``attribute_columns.py``). ``attributes`` is JSON text of all others (see ``attributes.py``).
SPANS: Final = pa.schema(
    [
        pa.field("trace_id", pa.binary(), nullable=False),
        pa.field("span_id", pa.int64(), nullable=False),
        pa.field("parent_span_id", pa.int64(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("operation", pa.string(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),  # OTLP SpanKind: 0 unset, 1 internal … 5 consumer
        pa.field("status", pa.int8(), nullable=False),  # OTLP StatusCode: 0 unset, 1 ok, 2 error
        pa.field("status_message", pa.string()),
        pa.field("trace_state", pa.string()),
        pa.field("flags", pa.uint32(), nullable=False),
        pa.field("resource_id", pa.int64(), nullable=False),
        pa.field("scope_id", pa.int64(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
        pa.field("dropped_events", pa.uint32(), nullable=False),
        pa.field("dropped_links", pa.uint32(), nullable=False),
    ]
)

#: One row a span, as questions read it: ``attributes`` is whole, and `PROMOTED` are columns.
SPANS_FULL: Final = pa.schema(
    [
        *SPANS,
        *(
            pa.field(name, pa.int64() if name in INTEGER_PROMOTED else pa.string(), nullable=True)
            for name in PROMOTED
        ),
    ]
)

#: One row a span event.
EVENTS: Final = pa.schema(
    [
        pa.field("trace_id", pa.binary(), nullable=False),
        pa.field("span_id", pa.int64(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
    ]
)

#: One row a span link. ``start_ns`` is the linking span's start, so that windows can be cut alike.
LINKS: Final = pa.schema(
    [
        pa.field("trace_id", pa.binary(), nullable=False),
        pa.field("span_id", pa.int64(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("linked_trace_id", pa.binary(), nullable=False),
        pa.field("linked_span_id", pa.int64(), nullable=False),
        pa.field("trace_state", pa.string()),
        pa.field("flags", pa.uint32(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
    ]
)

#: One row a log record. ``time_ns`` is the record's own time or, where it has none, the time it was observed
#: (``time_is_observed`` tells); 0 where it has neither. ``body`` is JSON text of the one value (see
#: ``attributes.py``), null where the record has no body. A log record outside every trace has a null
#: ``trace_id`` and a ``span_id`` of 0.
LOGS: Final = pa.schema(
    [
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("observed_time_ns", pa.int64(), nullable=False),  # 0: unknown
        pa.field("time_is_observed", pa.bool_(), nullable=False),
        pa.field("severity_number", pa.int32(), nullable=False),  # 0 unset, 1-4 trace … 21-24 fatal
        pa.field("severity_text", pa.string()),
        pa.field("body", pa.string()),
        pa.field("event_name", pa.string()),
        pa.field("trace_id", pa.binary()),
        pa.field("span_id", pa.int64(), nullable=False),
        pa.field("flags", pa.uint32(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("resource_id", pa.int64(), nullable=False),
        pa.field("scope_id", pa.int64(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
    ]
)

#: One row a data point of a metric, whatever its type; columns that its type does not have are null.
#:
#: * gauge, sum: ``value``, and exactly in ``value_int`` where the sender sent an integer; both are null where
#:   the point says that no value was recorded (the lowest bit of ``flags``);
#: * histogram: ``bucket_counts[i]`` counts values in (``bounds[i-1]``, ``bounds[i]``], the first and the last
#:   bucket open, so there is one bound fewer than buckets; both lists are empty where only ``count`` came;
#: * exponential_histogram: ``positive_counts[i]`` counts values in (base^n, base^(n+1)] where base is
#:   2^(2^-``scale``) and n is ``positive_offset`` + i, from 0; the negative ones likewise by absolute value;
#:   ``zero_count`` counts those within ``zero_threshold`` of 0;
#: * summary: ``quantile_values[i]`` is the value at ``quantiles[i]``.
#:
#: ``temporality`` is delta, cumulative or unspecified. ``metadata`` is the metric's, JSON text as attributes.
#: ``point_id`` is a hash of the whole point with its exemplars: a point that is sent twice has the same.
METRICS: Final = pa.schema(
    [
        pa.field("point_id", pa.int64(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),  # 0: unknown
        pa.field("name", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("description", pa.string()),
        pa.field("temporality", pa.string()),  # null: gauge, summary
        pa.field("monotonic", pa.bool_()),  # null: everything but sums
        pa.field("service", pa.string(), nullable=False),
        pa.field("resource_id", pa.int64(), nullable=False),
        pa.field("scope_id", pa.int64(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("value_int", pa.int64()),
        pa.field("count", pa.uint64()),
        pa.field("sum", pa.float64()),
        pa.field("min", pa.float64()),
        pa.field("max", pa.float64()),
        pa.field("bounds", pa.list_(pa.float64())),
        pa.field("bucket_counts", pa.list_(pa.uint64())),
        pa.field("scale", pa.int32()),
        pa.field("zero_count", pa.uint64()),
        pa.field("zero_threshold", pa.float64()),
        pa.field("positive_offset", pa.int32()),
        pa.field("positive_counts", pa.list_(pa.uint64())),
        pa.field("negative_offset", pa.int32()),
        pa.field("negative_counts", pa.list_(pa.uint64())),
        pa.field("quantiles", pa.list_(pa.float64())),
        pa.field("quantile_values", pa.list_(pa.float64())),
        pa.field("flags", pa.uint32(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)

#: One row an exemplar: a measurement behind a data point, with the span it was made in. It belongs to the
#: point of ``metrics`` with the same ``point_id`` and with ``time_ns`` = ``point_time_ns``, which also cuts
#: windows. ``attributes`` are those that the point's own lack. Without a span: null and 0, as in logs.
EXEMPLARS: Final = pa.schema(
    [
        pa.field("point_id", pa.int64(), nullable=False),
        pa.field("point_time_ns", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),  # of the metric
        pa.field("service", pa.string(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("value_int", pa.int64()),
        pa.field("trace_id", pa.binary()),
        pa.field("span_id", pa.int64(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
    ]
)

#: One row a distinct resource. ``resource_id`` is a hash of the content, the same in every store.
RESOURCES: Final = pa.schema(
    [
        pa.field("resource_id", pa.int64(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("namespace", pa.string()),
        pa.field("instance", pa.string()),
        pa.field("version", pa.string()),
        pa.field("environment", pa.string()),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
        pa.field("schema_url", pa.string()),
    ]
)

#: One row a distinct instrumentation scope, hashed like resources.
SCOPES: Final = pa.schema(
    [
        pa.field("scope_id", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("version", pa.string()),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
        pa.field("schema_url", pa.string()),
    ]
)

TABLES: Final[dict[str, pa.Schema]] = {
    "spans": SPANS,
    "events": EVENTS,
    "links": LINKS,
    "logs": LOGS,
    "metrics": METRICS,
    "exemplars": EXEMPLARS,
    "resources": RESOURCES,
    "scopes": SCOPES,
}

#: What the store adds to a row: ``trace_key`` is the last three bytes of the trace id as an integer, null
#: where there is none: found ten times faster than the id, and hardly ever shared. ``arrived_ns`` is when the
#: row was stored: the same for a whole commit, later for each commit. Distinct contents have neither.
TRACE_KEY: Final = "trace_key"
ARRIVED: Final = "arrived_ns"
CONTENT_KEYS: Final = {"resources": "resource_id", "scopes": "scope_id"}


def store_columns(table: str) -> pa.Schema:
    """The columns that the store adds to the rows of ``table``."""
    fields = [] if table in CONTENT_KEYS else [pa.field(ARRIVED, pa.int64(), nullable=False)]
    if "trace_id" in TABLES[table].names:
        fields.append(pa.field(TRACE_KEY, pa.int32()))
    return pa.schema(fields)


#: The columns that every question about structure and time reads, in the schema they arrive in analytics:
#: ``service`` and ``operation`` are dictionary-coded, so that kernels see integers.
ANALYSIS_COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "start_ns",
    "duration_ns",
    "service",
    "operation",
    "kind",
    "status",
    "resource_id",
)
DICTIONARY_COLUMNS: Final = frozenset({"service", "operation", *PROMOTED} - INTEGER_PROMOTED)


def empty(schema: pa.Schema) -> pa.Table:
    """A table of ``schema`` without rows."""
    return schema.empty_table()
