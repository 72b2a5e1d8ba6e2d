"""A real gRPC server that keeps what clients send it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Sink(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects requests; `refuse` makes it answer UNAVAILABLE."""

    endpoint: str = ""
    refuse: bool = False
    reason: str = "refused for a test"
    requests: list[trace_service_pb2.ExportTraceServiceRequest] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        if self.refuse:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.reason)
        with self._lock:
            self.requests.append(request)
            self.metadata.append(dict(context.invocation_metadata()))
        return trace_service_pb2.ExportTraceServiceResponse()

    def by_service(self) -> Iterator[tuple[str, Span]]:
        """(service, span) of everything received."""
        for request in self.requests:
            for group in request.resource_spans:
                names = [a.value.string_value for a in group.resource.attributes if a.key == "service.name"]
                for scope in group.scope_spans:
                    yield from ((names[0], span) for span in scope.spans)

    def spans(self) -> list[Span]:
        """Everything received, in order."""
        return [span for _, span in self.by_service()]


@contextmanager
def running_sink() -> Iterator[Sink]:
    """A sink that listens on a free port."""
    sink = Sink()
    server = grpc.server(ThreadPoolExecutor(8))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(sink, server)
    sink.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield sink
    finally:
        server.stop(0).wait()
