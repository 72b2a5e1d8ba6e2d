"""Requests as exporters send them: spans of ten attributes, fresh ids in every request."""

from __future__ import annotations

import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def requests(count: int, spans_each: int) -> list[bytes]:
    """``count`` encoded requests of ``spans_each`` spans of two services."""
    return [_request(spans_each, number) for number in range(count)]


def _request(spans: int, number: int) -> bytes:
    message = ExportTraceServiceRequest()
    now = time.time_ns()
    group = message.resource_spans.add()
    for key, value in {
        "service.name": f"service-{number % 2}",
        "service.version": "1.4.2",
        "service.instance.id": f"pod-{number % 4}",
        "host.name": "node-1",
    }.items():
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_spans.add()
    scope.scope.name = "bench"
    for index in range(spans):
        span = scope.spans.add(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            parent_span_id=os.urandom(8),
            name=f"GET /api/items/{{id}}/{index % 25}",
            kind=2 + index % 2,
            start_time_unix_nano=now + index,
            end_time_unix_nano=now + index + 1_000_000,
        )
        for key in range(8):
            span.attributes.add(key=f"app.attribute.{key}").value.string_value = f"value {index * key % 97}"
        span.attributes.add(key="http.request.method").value.string_value = "GET"
        span.attributes.add(key="http.response.status_code").value.int_value = 200
    return message.SerializeToString()
