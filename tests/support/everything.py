"""One small store with everything in it: spans, events, links, log records, data points, typed attributes."""

from __future__ import annotations

import math

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.otlp import key_values, request, span
from support.signals import log, logs_request, metrics_request

CART = b"\xca" * 16
WEB = b"\xeb" * 16
ROOT, CHILD, OTHER = b"\0" * 7 + b"\1", b"\xff" * 8, b"\0" * 7 + b"\2"
TYPED: dict[str, object] = {
    "http.route": "/cart",
    "http.response.status_code": 200,
    "app.text": "42",
    "app.items": 42,
    "app.ratio": 0.5,
    "app.ok": True,
    "app.bytes": b"\xff",
    "app.list": [1, "1"],
    "app.nan": math.inf,
    "it's": 'a "quote"',
}


def traces() -> list[ExportTraceServiceRequest]:
    root = span("GET /cart", trace_id=CART, span_id=ROOT, start=1_000, end=9_000, attributes=TYPED)
    child = span(
        "SELECT",
        trace_id=CART,
        span_id=CHILD,
        parent=ROOT,
        start=2_000,
        end=5_000,
        kind=Span.SPAN_KIND_CLIENT,
    )
    child.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="no rows"))
    child.events.add(
        name="exception", time_unix_nano=3_000, attributes=key_values({"exception.type": "Empty", "tries": 2})
    )
    child.links.add(trace_id=WEB, span_id=OTHER, attributes=key_values({"why": "retry"}))
    other = span("GET /", trace_id=WEB, span_id=OTHER, start=5_000, end=6_000, attributes={"app.items": "42"})
    first = request(root, child, service="cart", **{"host.name": "n1", "host.cpus": 8})
    first.resource_spans[0].scope_spans[0].scope.version = "1.2"
    return [first, request(other, service="web", **{"host.name": "n2"})]


def logs() -> ExportLogsServiceRequest:
    inside = log("it's empty", trace_id=CART, span_id=CHILD, severity_number=17, attributes={"rows": 0})
    return logs_request(inside, log("outside", time_unix_nano=7_000), service="cart")


def metrics() -> ExportMetricsServiceRequest:
    points = [NumberDataPoint(time_unix_nano=time, as_int=time) for time in (1_000, 5_000)]
    return metrics_request(Metric(name="free", unit="By", gauge=Gauge(data_points=points)), service="cart")
