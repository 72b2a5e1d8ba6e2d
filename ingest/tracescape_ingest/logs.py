"""OTLP log requests to tables, through opentelemetry-proto.

What it repairs and what it rejects is the receiver's contract:

* a record with a trace id that is neither empty nor 16 bytes, a span id that is neither empty nor 8, a time
  beyond 2262, a body or attribute nested too deep, or text that is not UTF-8 is rejected, alone; so is every
  record under a resource or scope whose own text is not UTF-8;
* an all-zero id means no id; of duplicate attribute keys the last one wins;
* a record without a time of its own has the time it was observed at, as the data model asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracescape_ingest import fields
from tracescape_ingest.envelope import Context, DecodedTables, Found, Row, parsed, scope_groups
from tracescape_ingest.fields import Rejected, optional_span_id, optional_trace_id, text, time_ns
from tracescape_ingest.wire import ExportLogsServiceRequest
from tracescape_storage.attributes import encode_attributes, encode_value


def decode_logs(data: bytes) -> DecodedTables:
    """Decode an encoded ``ExportLogsServiceRequest`` to the tables logs, resources and scopes.

    Raises:
        UndecodableError: ``data`` is not such a message.
    """
    request = parsed(ExportLogsServiceRequest, data)
    found = Found()
    for group, context in scope_groups(request.resource_logs, "scope_logs", _record_count, found):
        _add_records(group.log_records, context, found)
    return found.decoded("logs")


def _record_count(group: Any) -> int:
    return len(group.log_records)


def _add_records(records: Iterable[Any], context: Context, found: Found) -> None:
    for record in records:
        try:
            found.rows["logs"].append(_record(record, context))
        except Rejected as reason:
            found.reasons[str(reason)] += 1


def _record(record: Any, context: Context) -> Row:
    own = time_ns(record.time_unix_nano, "the log record's time")
    observed = time_ns(record.observed_time_unix_nano, "the log record's observed time")
    return {
        "time_ns": own or observed,
        "observed_time_ns": observed,
        "time_is_observed": own == 0 and observed != 0,
        "severity_number": record.severity_number,
        "severity_text": text(record.severity_text) or None,
        "body": encode_value(fields.value(record.body)) if record.HasField("body") else None,
        "event_name": text(record.event_name) or None,
        "trace_id": optional_trace_id(record.trace_id),
        "span_id": optional_span_id(record.span_id),
        "flags": record.flags,
        "service": context.service,
        "resource_id": context.resource_id,
        "scope_id": context.scope_id,
        "attributes": encode_attributes(fields.attributes(record.attributes)),
        "dropped_attributes": record.dropped_attributes_count,
    }
