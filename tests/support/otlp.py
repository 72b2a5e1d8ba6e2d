"""Readable OTLP requests for tests."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracescape_ingest.decode import decode_traces

_ids = itertools.count(1)


def any_value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        message = AnyValue()
        message.array_value.SetInParent()
        message.array_value.values.extend(any_value(item) for item in value)
        return message
    if isinstance(value, Mapping):
        message = AnyValue()
        message.kvlist_value.SetInParent()
        message.kvlist_value.values.extend(key_values(value))
        return message
    if value is None:
        return AnyValue()
    return AnyValue(string_value=str(value))


def key_values(attributes: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(
    name: str = "GET /",
    *,
    trace_id: bytes | None = None,
    span_id: bytes | None = None,
    parent: bytes = b"",
    start: int = 1_000,
    end: int = 2_000,
    kind: int = Span.SPAN_KIND_SERVER,
    attributes: Mapping[str, object] | None = None,
) -> Span:
    number = next(_ids)
    return Span(
        trace_id=number.to_bytes(16, "big") if trace_id is None else trace_id,
        span_id=number.to_bytes(8, "big") if span_id is None else span_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=key_values(attributes or {}),
    )


def request(*spans: Span, service: str | None = "shop", **resource: object) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    attributes = dict(resource) if service is None else {"service.name": service, **resource}
    group.resource.attributes.extend(key_values(attributes))
    group.scope_spans.add(spans=spans).scope.name = "test"
    return message


def batch(*spans: Span, service: str | None = "shop") -> dict[str, pa.Table]:
    return decode_traces(request(*spans, service=service).SerializeToString()).tables
