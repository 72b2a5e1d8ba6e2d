"""The SQL for everything that belongs to one trace."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from tracescape_storage.readable import LOG_COLUMNS
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ANALYSIS_COLUMNS
from tracescape_storage.select import trace_condition as _of
from tracescape_storage.whole_attributes import put_together, whole_sql

_SPAN_ID: Final = "lpad(lower(hex(span_id)), 16, '0') AS span_id"
_LOG_NAMES: Final = (
    "time_ns",
    "severity",
    "severity_text",
    "service",
    "span_id",
    "body",
    "event_name",
    "attributes",
)


def trace_spans(reader: Reader, trace_id: bytes) -> pa.Table:
    """``schema.ANALYSIS_COLUMNS`` as stored, ``status_message``, ``scope_id`` and all ``attributes``."""
    if (ask := getattr(reader, "trace_spans", None)) is not None:
        answer: pa.Table = ask(trace_id)
        return answer
    found = reader.sql(f"SELECT {whole_sql()} FROM spans WHERE {reader.of_traces([trace_id])}")
    return put_together(found).select([*ANALYSIS_COLUMNS, "status_message", "scope_id", "attributes"])


def trace_events_sql(trace_id: bytes) -> str:
    """``span_id, time_ns, name, attributes, dropped_attributes``, in order of time."""
    return (
        f"SELECT {_SPAN_ID}, time_ns, name, attributes, dropped_attributes"
        f" FROM events WHERE {_of(trace_id)} ORDER BY time_ns, rowid"
    )


def trace_links_sql(trace_id: bytes) -> str:
    """``span_id, linked_trace_id, linked_span_id, trace_state, flags, attributes, dropped_attributes``."""
    return (
        f"SELECT {_SPAN_ID}, lower(hex(linked_trace_id)) AS linked_trace_id,"
        " lpad(lower(hex(linked_span_id)), 16, '0') AS linked_span_id,"
        f" trace_state, flags, attributes, dropped_attributes FROM links WHERE {_of(trace_id)} ORDER BY rowid"
    )


def trace_logs_sql(trace_id: bytes) -> str:
    """The log records that were written in the trace, in order of time; ``span_id`` may be empty."""
    listed = ", ".join(f"{LOG_COLUMNS[name]} AS {name}" for name in _LOG_NAMES)
    return f"SELECT {listed} FROM logs WHERE {_of(trace_id)} ORDER BY logs.time_ns, rowid"


def trace_resources_sql(reader: Reader, trace_id: bytes) -> str:
    """The resources whose spans the trace has."""
    return (
        "SELECT resource_id, service, namespace, instance, version, environment, attributes, schema_url"
        f" FROM resources WHERE resource_id IN ({_ids(reader, 'resource_id', trace_id)})"
        " ORDER BY service, resource_id"
    )


def trace_scopes_sql(reader: Reader, trace_id: bytes) -> str:
    """The instrumentation scopes whose spans the trace has."""
    return (
        "SELECT scope_id, name, version, attributes, schema_url"
        f" FROM scopes WHERE scope_id IN ({_ids(reader, 'scope_id', trace_id)})"
        " ORDER BY name, scope_id"
    )


def _ids(reader: Reader, column: str, trace_id: bytes) -> str:
    return f"SELECT {column} FROM spans WHERE {reader.of_traces([trace_id])}"


def traces_beginning_sql(prefix: str, limit: int) -> str:
    """Ids (hex) of traces that begin with the hex digits ``prefix``, of at most 32."""
    first, last = prefix.ljust(32, "0"), prefix.ljust(32, "f")
    return (
        "SELECT DISTINCT lower(hex(trace_id)) AS trace_id FROM spans"
        f" WHERE trace_id BETWEEN from_hex('{first}') AND from_hex('{last}') ORDER BY 1 LIMIT {limit}"
    )


def traces_of_span_sql(span_id: int, limit: int) -> str:
    """Ids (hex) of traces that have a span of this id."""
    return (
        "SELECT DISTINCT lower(hex(trace_id)) AS trace_id FROM spans"
        f" WHERE span_id = {span_id} ORDER BY 1 LIMIT {limit}"
    )
