"""Stores and tables of the shop: through real OTLP as the demo leaves it, or quickly without a network."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import tracescape as ts
from tracescape.collector import Collector
from tracescape.shop import Fault, Shop, ShopConfig, Truth
from tracescape_ingest.intake import Intake, Signal

MINUTE_NS = 60_000_000_000


def shop_store(path: Path, *, minutes: int = 8, degraded_minutes: int = 2, rate_per_s: float = 1.5) -> int:
    """Write the store and return how many spans the shop says were acknowledged."""
    until = time.time_ns()
    fault = Fault("slow-dependency", "inventory-db", (minutes - degraded_minutes) * 60.0, math.inf)
    config = ShopConfig(rate_per_s=rate_per_s, faults=(fault,), seed=7)
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        shop = Shop(lambda: OTLPSpanExporter(endpoint=collector.grpc_endpoint, insecure=True), config)
        sent = shop.backfill(until - minutes * MINUTE_NS, until)
        shop.shutdown()
    return sent


class IntakeExporter(SpanExporter):
    """Hands OTLP to a collector's intake in the same process, as its receivers do."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._intake.submit(Signal.TRACES, encode_spans(spans).SerializeToString()).result(60)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """There is nothing to end."""


def quick_store(path: Path, config: ShopConfig, begin_ns: int, end_ns: int) -> tuple[Truth, ...]:
    """Write a store of the shop from ``begin_ns`` to ``end_ns``, and return what is true of its faults."""
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        shop = Shop(lambda: IntakeExporter(collector.lanes["default"].intake), config)
        shop.backfill(begin_ns, end_ns)
        shop.shutdown()
    return shop.truths()


@contextmanager
def broken_shop(
    path: Path, begin_ns: int, *minutes: int, rate_per_s: float = 3.0, seed: int = 3
) -> Iterator[ts.Store]:
    """So many ``minutes`` of a healthy shop, so many with a slow database of inventory, more healthy ones."""
    healthy, broken = 60.0 * minutes[0], 60.0 * minutes[1]
    fault = Fault("slow-dependency", "inventory-db", healthy, healthy + broken)
    config = ShopConfig(rate_per_s=rate_per_s, faults=(fault,), seed=seed)
    quick_store(path, config, begin_ns, begin_ns + sum(minutes) * MINUTE_NS)
    with ts.open(path) as store:
        yield store
