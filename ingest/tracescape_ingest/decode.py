"""OTLP trace requests to span batches, through opentelemetry-proto: the reference decoder.

It is written to be read. What it repairs and what it rejects is the receiver's contract:

* a span with a trace id that is not 16 bytes, a span id that is not 8, either all zero, a parent id of
  another length than 0 or 8, an end before its start, a time beyond 2262, or text that is not UTF-8 is
  rejected, alone; so is every span under a resource or scope whose own text is not UTF-8;
* an all-zero parent id means no parent; of duplicate attribute keys the last one wins;
* a resource without a ``service.name`` is ``unknown_service``, as the SDKs name it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa

from tracescape_ingest.wire import DecodeError, ExportTraceServiceRequest
from tracescape_storage.attributes import AttributeValue, encode_attributes
from tracescape_storage.schema import INTEGER_PROMOTED, PROMOTED, TABLES, SpanBatch

MAX_VALUE_DEPTH: Final = 32
UNKNOWN_SERVICE: Final = "unknown_service"
_MAX_NS: Final = 2**63 - 1
_INT32: Final = range(-(2**31), 2**31)
_NO_ID: Final = b"\0" * 8


class UndecodableError(ValueError):
    """The bytes are no OTLP trace request."""


class Rejected(ValueError):  # noqa: N818 - an outcome of one span, not a failure of the program
    """One span cannot be stored; the message says why."""


class Decoded(NamedTuple):
    """A request as a batch, and what was left out of it: how many spans, and the reasons with counts."""

    batch: SpanBatch
    spans: int
    rejected: int
    reasons: dict[str, int]

    @property
    def message(self) -> str:
        """For ``partial_success.error_message``: the first reasons, empty when nothing was rejected."""
        parts = [f"{count} × {reason}" for reason, count in list(self.reasons.items())[:3]]
        more = len(self.reasons) - len(parts)
        return "; ".join(parts) + (f"; and {more} other reasons" if more > 0 else "")


@dataclass
class _Rows:
    """Rows as they are found, a list a table."""

    spans: list[dict[str, object]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    links: list[dict[str, object]] = field(default_factory=list)
    resources: list[dict[str, object]] = field(default_factory=list)
    scopes: list[dict[str, object]] = field(default_factory=list)

    def batch(self) -> SpanBatch:
        return SpanBatch(
            *(pa.Table.from_pylist(getattr(self, name), schema=TABLES[name]) for name in SpanBatch._fields)
        )


class _Context(NamedTuple):
    """What a span inherits from where it stands."""

    service: str
    resource_id: int
    scope_id: int


def decode_traces(data: bytes) -> Decoded:
    """Decode an encoded ``ExportTraceServiceRequest``.

    Raises:
        UndecodableError: ``data`` is not such a message.
    """
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise UndecodableError(f"not an ExportTraceServiceRequest of {len(data)} bytes: {error}") from error
    rows, reasons = _Rows(), Counter[str]()
    for resource_spans in request.resource_spans:
        try:
            service, resource_row = _resource(resource_spans)
        except Rejected as reason:
            reasons[str(reason)] += sum(len(scope.spans) for scope in resource_spans.scope_spans)
            continue
        rows.resources.append(resource_row)
        for scope_spans in resource_spans.scope_spans:
            try:
                scope_row = _scope(scope_spans)
            except Rejected as reason:
                reasons[str(reason)] += len(scope_spans.spans)
                continue
            rows.scopes.append(scope_row)
            context = _Context(service, _row_id(resource_row, "resource_id"), _row_id(scope_row, "scope_id"))
            _add_spans(scope_spans.spans, context, rows, reasons)
    reasons = +reasons  # a bad resource without spans rejects nothing
    return Decoded(rows.batch(), len(rows.spans), reasons.total(), dict(reasons))


def _add_spans(spans: Iterable[Any], context: _Context, rows: _Rows, reasons: Counter[str]) -> None:
    for span in spans:
        try:
            row = _span(span, context)
            events = [_event(event, row) for event in span.events]
            links = [_link(link, row) for link in span.links]
        except Rejected as reason:
            reasons[str(reason)] += 1
            continue
        rows.spans.append(row)
        rows.events += events
        rows.links += links


def _span(span: Any, context: _Context) -> dict[str, object]:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if end < start:
        raise Rejected("the span ends before it starts")
    if end > _MAX_NS:
        raise Rejected("the span's time is beyond the year 2262")
    attributes = _attributes(span.attributes)
    row: dict[str, object] = {
        "trace_id": _trace_id(span.trace_id),
        "span_id": _span_id(span.span_id),
        "parent_span_id": _parent_id(span.parent_span_id),
        "start_ns": start,
        "duration_ns": end - start,
        "service": context.service,
        "operation": _text(span.name),
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "status": span.status.code if 0 <= span.status.code <= 2 else 0,
        "status_message": _text(span.status.message) or None,
        "trace_state": _text(span.trace_state) or None,
        "flags": span.flags,
        "resource_id": context.resource_id,
        "scope_id": context.scope_id,
        "attributes": encode_attributes(attributes),
        "dropped_attributes": span.dropped_attributes_count,
        "dropped_events": span.dropped_events_count,
        "dropped_links": span.dropped_links_count,
    }
    row.update(promoted(attributes))
    return row


def promoted(attributes: Mapping[str, AttributeValue]) -> dict[str, str | int | None]:
    """The columns of `schema.PROMOTED` that ``attributes`` fill; a value of the wrong type fills none."""
    columns: dict[str, str | int | None] = {}
    for column, keys in PROMOTED.items():
        value = next((attributes[key] for key in keys if attributes.get(key) is not None), None)
        if column in INTEGER_PROMOTED:
            columns[column] = _int32(value)
        else:
            columns[column] = value if isinstance(value, str) else None
    return columns


def _int32(value: AttributeValue) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT32 else None


def _event(event: Any, span: Mapping[str, object]) -> dict[str, object]:
    return {
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "time_ns": min(event.time_unix_nano, _MAX_NS),
        "name": _text(event.name),
        "attributes": encode_attributes(_attributes(event.attributes)),
        "dropped_attributes": event.dropped_attributes_count,
    }


def _link(link: Any, span: Mapping[str, object]) -> dict[str, object]:
    return {
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "start_ns": span["start_ns"],
        "linked_trace_id": _trace_id(link.trace_id, "a link's trace id"),
        "linked_span_id": _span_id(link.span_id, "a link's span id"),
        "trace_state": _text(link.trace_state) or None,
        "flags": link.flags,
        "attributes": encode_attributes(_attributes(link.attributes)),
        "dropped_attributes": link.dropped_attributes_count,
    }


def _resource(resource_spans: Any) -> tuple[str, dict[str, object]]:
    resource = resource_spans.resource
    attributes = _attributes(resource.attributes)
    service = _string(attributes, "service.name") or UNKNOWN_SERVICE
    row: dict[str, object] = {
        "service": service,
        "namespace": _string(attributes, "service.namespace"),
        "instance": _string(attributes, "service.instance.id"),
        "version": _string(attributes, "service.version"),
        "environment": _string(attributes, "deployment.environment.name")
        or _string(attributes, "deployment.environment"),
        "attributes": encode_attributes(attributes),
        "dropped_attributes": resource.dropped_attributes_count,
        "schema_url": _text(resource_spans.schema_url) or None,
    }
    return service, {"resource_id": _content_id(row), **row}


def _scope(scope_spans: Any) -> dict[str, object]:
    scope = scope_spans.scope
    row: dict[str, object] = {
        "name": _text(scope.name),
        "version": _text(scope.version) or None,
        "attributes": encode_attributes(_attributes(scope.attributes)),
        "dropped_attributes": scope.dropped_attributes_count,
        "schema_url": _text(scope_spans.schema_url) or None,
    }
    return {"scope_id": _content_id(row), **row}


def _content_id(row: Mapping[str, object]) -> int:
    """The same 63 bits for the same content, in every process and store."""
    digest = hashlib.blake2b(repr(sorted(row.items())).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _row_id(row: Mapping[str, object], column: str) -> int:
    value = row[column]
    assert isinstance(value, int)
    return value


def _attributes(pairs: Iterable[Any], depth: int = 0) -> dict[str, AttributeValue]:
    return {_text(pair.key): _value(pair.value, depth) for pair in pairs}


def _value(value: Any, depth: int) -> AttributeValue:
    if depth > MAX_VALUE_DEPTH:
        raise Rejected(f"an attribute nests deeper than {MAX_VALUE_DEPTH}")
    which = value.WhichOneof("value")
    if which is None or which == "string_value_strindex":  # the latter points into a profile's string table
        return None
    if which == "string_value":
        return _text(value.string_value)
    if which == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values]
    if which == "kvlist_value":
        return _attributes(value.kvlist_value.values, depth + 1)
    plain: bool | int | float | bytes = getattr(value, which)
    return plain


def _string(attributes: Mapping[str, AttributeValue], key: str) -> str | None:
    value = attributes.get(key)
    return value if isinstance(value, str) and value else None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("text that is not UTF-8") from None


def _trace_id(data: bytes, what: str = "the trace id") -> bytes:
    if len(data) != 16:
        raise Rejected(f"{what} has {len(data)} bytes, not 16")
    if not any(data):
        raise Rejected(f"{what} is all zero")
    return data


def _span_id(data: bytes, what: str = "the span id") -> int:
    if len(data) != 8:
        raise Rejected(f"{what} has {len(data)} bytes, not 8")
    if data == _NO_ID:
        raise Rejected(f"{what} is all zero")
    return int.from_bytes(data, "big", signed=True)


def _parent_id(data: bytes) -> int:
    if len(data) not in {0, 8}:
        raise Rejected(f"the parent span id has {len(data)} bytes, not 8")
    return int.from_bytes(data, "big", signed=True)
