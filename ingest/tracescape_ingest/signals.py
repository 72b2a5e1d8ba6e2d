"""The three OTLP signals as receivers see them: a gRPC service, an HTTP path, an answer."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tracescape_ingest.intake import Outcome, Signal


class Service(NamedTuple):
    """How a signal is called on the wire."""

    name: str
    path: str
    json_key: str
    answer: type[Message]
    rejected: str
    items: str


_PACKAGE: Final = "opentelemetry.proto.collector"
SERVICES: Final[dict[Signal, Service]] = {
    Signal.TRACES: Service(
        f"{_PACKAGE}.trace.v1.TraceService",
        "/v1/traces",
        "resourceSpans",
        ExportTraceServiceResponse,
        "rejected_spans",
        "spans",
    ),
    Signal.LOGS: Service(
        f"{_PACKAGE}.logs.v1.LogsService",
        "/v1/logs",
        "resourceLogs",
        ExportLogsServiceResponse,
        "rejected_log_records",
        "log records",
    ),
    Signal.METRICS: Service(
        f"{_PACKAGE}.metrics.v1.MetricsService",
        "/v1/metrics",
        "resourceMetrics",
        ExportMetricsServiceResponse,
        "rejected_data_points",
        "data points",
    ),
}
PATHS: Final = frozenset(service.path for service in SERVICES.values())


def answer_of(signal: Signal, outcome: Outcome) -> Message:
    """The Export…ServiceResponse: ``partial_success`` stays unset, not zeroed, when there is nothing to say.

    A message without rejected items is a warning: everything was taken.
    """
    service = SERVICES[signal]
    answer: Any = service.answer()
    if outcome.rejected or outcome.message:
        setattr(answer.partial_success, service.rejected, outcome.rejected)
        answer.partial_success.error_message = outcome.message
    message: Message = answer
    return message


def complaint_of(signal: Signal, outcome: Outcome) -> str:
    """One line for our own log, since the Python exporter drops answers unread; empty when all is well."""
    if not outcome.rejected and not outcome.message:
        return ""
    total = outcome.accepted + outcome.rejected
    return f"rejected {outcome.rejected} of {total} {SERVICES[signal].items}: {outcome.message}"
