"""The collector's own metrics and spans, sent through its own intake as the service ``tracescape``.

Names follow OpenTelemetry's for collectors where there are any. Counters are cumulative since the start of
the process; a span stands for each transaction of the store (the newest 64 of an interval).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracescape_ingest.counting import DURATION_BOUNDS_S, Counts, Durations
from tracescape_ingest.envelope import UndecodableError
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.intake import Door, Signal
from tracescape_ingest.limits import DEFAULT_OBSERVE_S
from tracescape_storage.errors import StoreError

_log = logging.getLogger(__name__)

SERVICE_NAME: Final = "tracescape"
_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE

#: Counters by signal: the name, the unit, what it says, and where it is.
_COUNTERS: Final[tuple[tuple[str, str, str, Callable[[Counts], Mapping[str, int]]], ...]] = (
    ("tracescape.accepted", "{item}", "Items acknowledged, duplicates included", lambda c: c.accepted),
    ("tracescape.rejected", "{item}", "Items that cannot be stored", lambda c: c.rejected),
    ("tracescape.refused", "{request}", "Requests to be sent again later", lambda c: c.refused),
    ("tracescape.duplicates", "{item}", "Items that had been accepted before", lambda c: c.duplicates),
    ("tracescape.received", "By", "Encoded requests, unfolded", lambda c: c.received_bytes),
)


class SelfObservation:
    """Reports what ``intake`` does into itself, every ``interval_s`` seconds and at `close`."""

    def __init__(self, intake: Door, *, interval_s: float = DEFAULT_OBSERVE_S) -> None:
        self._intake = intake
        self._interval_s = interval_s
        self._start_ns = time.time_ns()
        self._resource = Resource(
            attributes=[
                _text("service.name", SERVICE_NAME),
                _text("service.version", version("tracescape")),
                KeyValue(key="process.pid", value=AnyValue(int_value=os.getpid())),
            ]
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracescape-observe", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report once more, and end. Idempotent."""
        self._ended.set()
        self._thread.join()

    def report(self) -> None:
        """Send metrics and spans of now. A collector that is full or closing does without."""
        counts = self._intake.counting.read()
        requests = [(Signal.METRICS, self._metrics(counts))]
        if counts.commits:
            requests.append((Signal.TRACES, self._spans(counts)))
        for signal, request in requests:
            with contextlib.suppress(OverloadError, StoreError):
                try:
                    self._intake.submit(signal, request, own=True).result()
                except UndecodableError:
                    _log.exception("the collector cannot read what it says of itself")

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            self.report()
        self.report()

    def _metrics(self, counts: Counts) -> bytes:
        message = ExportMetricsServiceRequest()
        group = message.resource_metrics.add(resource=self._resource)
        metrics = group.scope_metrics.add(scope=_SCOPE).metrics
        for name, unit, description, read in _COUNTERS:
            metric = metrics.add(name=name, unit=unit, description=description)
            metric.sum.aggregation_temporality = _CUMULATIVE
            metric.sum.is_monotonic = True
            for signal, value in (read(counts) or {Signal.TRACES.value: 0}).items():
                point = metric.sum.data_points.add(as_int=value)
                self._at(point)
                point.attributes.append(_text("signal", signal))
        waiting = metrics.add(name="tracescape.waiting", unit="By", description="Held, not settled")
        self._at(waiting.gauge.data_points.add(as_int=self._intake.held_bytes))
        self._histogram(metrics, "tracescape.acknowledge.duration", counts.acknowledged)
        self._histogram(metrics, "tracescape.settle.duration", counts.settled)
        return message.SerializeToString()

    def _histogram(self, metrics: Any, name: str, durations: Durations) -> None:
        metric = metrics.add(name=name, unit="s")
        metric.histogram.aggregation_temporality = _CUMULATIVE
        point = metric.histogram.data_points.add(
            count=durations.count,
            sum=durations.total_s,
            bucket_counts=durations.buckets,
            explicit_bounds=DURATION_BOUNDS_S,
        )
        self._at(point)

    def _at(self, point: Any) -> None:
        point.start_time_unix_nano = self._start_ns
        point.time_unix_nano = time.time_ns()

    def _spans(self, counts: Counts) -> bytes:
        message = ExportTraceServiceRequest()
        group = message.resource_spans.add(resource=self._resource)
        spans = group.scope_spans.add(scope=_SCOPE).spans
        for commit in counts.commits:
            span = spans.add(
                trace_id=os.urandom(16),
                span_id=os.urandom(8),
                name="settle",
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=commit.start_ns,
                end_time_unix_nano=commit.end_ns,
            )
            for key, value in (("tracescape.requests", commit.requests), ("tracescape.items", commit.items)):
                span.attributes.add(key=key).value.int_value = value
        return message.SerializeToString()


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


_SCOPE: Final = InstrumentationScope(name="tracescape.collector")
