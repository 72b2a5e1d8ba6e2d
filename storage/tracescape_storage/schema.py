"""The tables of a Tracescape store, and the Arrow schemas that cross the wall to and from it.

Times are integer nanoseconds since the Unix epoch. Ids are bytes or integers, never text: ``trace_id`` is
16 bytes, ``span_id`` is the signed 64-bit value of its 8 bytes read big-endian, and a ``parent_span_id`` of
0 means that the span has no parent (OTLP forbids an all-zero span id).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa

SCHEMA_VERSION: Final = 1

#: Attribute keys copied into columns of their own because questions join or filter on them, as
#: ``column: (attribute keys, the first that is set wins)``. They stay in ``attributes`` too.
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
}

INTEGER_PROMOTED: Final = frozenset({"server_port", "http_status"})

_PROMOTED_FIELDS = [
    pa.field(name, pa.int32() if name in INTEGER_PROMOTED else pa.string()) for name in PROMOTED
]

#: One row a span, as ingest hands it to the store. ``attributes`` is JSON text (see ``attributes.py``).
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
        *_PROMOTED_FIELDS,
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("dropped_attributes", pa.uint32(), nullable=False),
        pa.field("dropped_events", pa.uint32(), nullable=False),
        pa.field("dropped_links", pa.uint32(), nullable=False),
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
    "resources": RESOURCES,
    "scopes": SCOPES,
}


class SpanBatch(NamedTuple):
    """What one export request (or several, concatenated) adds to the store: a table a kind of row.

    Any table may be empty; none is ``None``. ``resources`` and ``scopes`` may repeat rows that the store
    already has: the writer keeps the first.
    """

    spans: pa.Table
    events: pa.Table
    links: pa.Table
    resources: pa.Table
    scopes: pa.Table

    @property
    def nbytes(self) -> int:
        """Bytes that the batch occupies in memory: the unit of the admission bound."""
        return int(sum(table.nbytes for table in self))


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
