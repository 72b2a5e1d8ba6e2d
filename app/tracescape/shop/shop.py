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
from tracescape.shop.faults import Fault, Truth, truth_of
from tracescape.shop.places import SERVICES, hosts_of, next_version
from tracescape.shop.requests import Town, visit
from tracescape.shop.simulation import Instance, Service

_log = logging.getLogger(__name__)

#: A live request is recorded once this much time has passed, so that it never ends in the future.
LIVE_LAG_NS: Final = 2_500_000_000
#: Kinds of faults that need several instances of a service.
_OF_INSTANCES: Final = ("bad-version", "bad-host")
_QUEUE: Final = 16_384
_FLUSH_EVERY: Final = _QUEUE // 4


@dataclass(frozen=True)
class ShopConfig:
    """How busy, how unlucky, and what is wrong from when to when, counted from the first request.

    ``replicated``: each service has four instances, two on each of two hosts, instead of one; so it is too
    where a fault is of a host or a version.
    """

    rate_per_s: float = 5.0
    faults: tuple[Fault, ...] = ()
    error_rate: float = 0.002
    seed: int = 1
    replicated: bool = False


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
            self.config.seed,
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

    def truths(self) -> tuple[Truth, ...]:
        """What is true of the faults, in their order; empty before the first request."""
        if self._first_ns is None:
            return ()
        return tuple(truth_of(fault, self._first_ns) for fault in self.config.faults)

    def emit(self, start_ns: int) -> None:
        """Simulate one request that starts at ``start_ns``, and what follows from it."""
        if self._first_ns is None:
            self._first_ns = start_ns
        second = (start_ns - self._first_ns) / 1e9
        self._town.begin(fault for fault in self.config.faults if fault.lasts(second))
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
        faults = self.config.faults
        replicated = self.config.replicated or any(fault.kind in _OF_INSTANCES for fault in faults)
        hosts = hosts_of(name, replicated=replicated)
        old = tuple(self._instance(name, version, number, host) for number, host in enumerate(hosts, 1))
        upgraded = old
        if any(fault.kind == "bad-version" and fault.where == name for fault in faults):
            new = next_version(name)
            upgraded = tuple(
                self._instance(name, new, len(hosts) + number, hosts[number - 1], newest=True)
                if number % 2 == 0
                else instance
                for number, instance in enumerate(old, 1)
            )
        return Service(name, port, old, upgraded)

    def _instance(self, name: str, version: str, number: int, host: str, *, newest: bool = False) -> Instance:
        resource = Resource.create(
            {
                "service.name": name,
                "service.namespace": "shop",
                "service.version": version,
                "service.instance.id": f"{name}-{number}",
                "deployment.environment.name": "demo",
                "host.name": host,
            }
        )
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._recorded)
        provider.add_span_processor(self._processor)
        return Instance(name, provider.get_tracer("tracescape.shop", "1.0"), host, newest)


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
