"""The shop as an OpenTelemetry application: providers, exporter, history and live traffic."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tracescape.exporter_log import ExporterLog, collected
from tracescape.shop.requests import Town, visit
from tracescape.shop.simulation import Service

_log = logging.getLogger(__name__)

#: Service: (version, port).
SERVICES: Final[dict[str, tuple[str, int]]] = {
    "web": ("5.2.0", 443),
    "gateway": ("2.9.1", 8080),
    "auth": ("1.4.0", 9090),
    "catalog": ("3.1.4", 8080),
    "search": ("2.0.7", 8080),
    "recommendations": ("0.9.3", 8080),
    "pricing": ("1.1.0", 9090),
    "cart": ("4.0.2", 8080),
    "checkout": ("6.3.0", 8080),
    "payment": ("2.2.2", 9090),
    "inventory": ("3.7.1", 8080),
    "shipping": ("1.8.5", 9090),
    "email": ("1.0.9", 8080),
    "fulfilment": ("2.4.0", 8080),
}

#: A live request is recorded once this much time has passed, so that it never ends in the future.
LIVE_LAG_NS: Final = 2_500_000_000
_QUEUE: Final = 16_384
_FLUSH_EVERY: Final = _QUEUE // 4


@dataclass(frozen=True)
class ShopConfig:
    """How busy, how unlucky, and from when on inventory's database is slow.

    ``degrade_after_s`` counts from the first request; None keeps the shop healthy.
    """

    rate_per_s: float = 5.0
    degrade_after_s: float | None = 60.0
    error_rate: float = 0.002
    seed: int = 1


class Shop:
    """Fourteen services in one process, each with a resource of its own, that export for real.

    Args:
        exporter_factory: makes the exporter, an OTLP one in real life.
        config: see `ShopConfig`.

    The services share one batch processor: one process has one exporter.
    """

    def __init__(
        self, exporter_factory: Callable[[], SpanExporter], config: ShopConfig | None = None
    ) -> None:
        self.config = config or ShopConfig()
        self._stack = contextlib.ExitStack()
        self._counting = _CountingExporter(exporter_factory(), self._stack.enter_context(collected()))
        self._processor = BatchSpanProcessor(
            self._counting, max_queue_size=_QUEUE, max_export_batch_size=1_000, schedule_delay_millis=500
        )
        self._recorded = _Recorded()
        self._arrivals = random.Random(self.config.seed)
        self._town = Town(
            {name: self._service(name) for name in SERVICES},
            random.Random(self.config.seed + 1),
            error_rate=self.config.error_rate,
        )
        self._first_ns: int | None = None

    @property
    def sent(self) -> int:
        """Spans that the collector has acknowledged."""
        return self._counting.sent

    @property
    def failed(self) -> int:
        """Spans that it did not acknowledge in time."""
        return self._counting.failed

    @property
    def degraded_since_ns(self) -> int | None:
        """When the fault begins, in epoch nanoseconds; None before the first request or without a fault."""
        if self._first_ns is None or self.config.degrade_after_s is None:
            return None
        return self._first_ns + round(self.config.degrade_after_s * 1e9)

    def emit(self, start_ns: int) -> None:
        """Simulate one request that starts at ``start_ns``, and what follows from it."""
        if self._first_ns is None:
            self._first_ns = start_ns
        since = self.degraded_since_ns
        self._town.degraded = since is not None and start_ns >= since
        visit(self._town, start_ns)

    def backfill(
        self, begin_ns: int, end_ns: int, progress: Callable[[int, int | None], None] | None = None
    ) -> int:
        """Send the history from ``begin_ns`` to ``end_ns`` at once; returns the spans acknowledged.

        ``progress`` is called with (milliseconds of history done, milliseconds in all).
        """
        before, flushed = self.sent, self._recorded.spans
        at = begin_ns
        self._first_ns = begin_ns
        while at < end_ns:
            self.emit(at)
            at += self._gap_ns()
            if self._recorded.spans - flushed >= _FLUSH_EVERY:  # the processor drops what overflows it
                self.flush()
                flushed = self._recorded.spans
                if progress is not None:
                    progress(round((min(at, end_ns) - begin_ns) / 1e6), round((end_ns - begin_ns) / 1e6))
        self.flush()
        return self.sent - before

    def run(self, stop: threading.Event) -> None:
        """Live traffic, until ``stop`` is set. A collector that goes away is said once; the shop goes on."""
        due = time.time_ns()
        while not stop.is_set():
            now = time.time_ns()
            if due + LIVE_LAG_NS > now:
                stop.wait(min((due + LIVE_LAG_NS - now) / 1e9, 0.5))
                continue
            self.emit(due)
            due += self._gap_ns()

    def flush(self) -> None:
        """Send what is waiting."""
        self._processor.force_flush()

    def shutdown(self) -> None:
        """Send what is waiting and end the exporter. Idempotent."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
        self._stack.close()

    def _gap_ns(self) -> int:
        return max(1, round(self._arrivals.expovariate(self.config.rate_per_s) * 1e9))

    def _service(self, name: str) -> Service:
        version, port = SERVICES[name]
        resource = Resource.create(
            {
                "service.name": name,
                "service.namespace": "shop",
                "service.version": version,
                "service.instance.id": f"{name}-1",
                "deployment.environment.name": "demo",
                "host.name": f"node-{sorted(SERVICES).index(name) % 3 + 1}",
            }
        )
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._recorded)
        provider.add_span_processor(self._processor)
        return Service(name, provider.get_tracer("tracescape.shop", "1.0"), port)


class _Recorded(SpanProcessor):
    """Counts the spans that ended."""

    spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.spans += 1


class _CountingExporter(SpanExporter):
    """Counts what the exporter behind it gets acknowledged, and says once when it does not."""

    def __init__(self, exporter: SpanExporter, log: ExporterLog) -> None:
        self._exporter = exporter
        self._exporter_log = log
        self.sent = 0
        self.failed = 0
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
            if self._failing:
                _log.warning("the shop's spans are accepted again")
        else:
            self.failed += len(spans)
            if not self._failing:
                _log.warning("the shop's spans are not accepted: %s", self._exporter_log.reason())
        self._failing = result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
