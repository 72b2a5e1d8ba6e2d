"""A store as the demo leaves it: minutes of the shop, sent through real OTLP."""

from __future__ import annotations

import time
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from tracescape.collector import Collector
from tracescape.shop import Shop, ShopConfig

MINUTE_NS = 60_000_000_000


def shop_store(path: Path, *, minutes: int = 8, degraded_minutes: int = 2, rate_per_s: float = 1.5) -> int:
    """Write the store and return how many spans the shop says were acknowledged."""
    until = time.time_ns()
    config = ShopConfig(rate_per_s=rate_per_s, degrade_after_s=(minutes - degraded_minutes) * 60.0, seed=7)
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        shop = Shop(lambda: OTLPSpanExporter(endpoint=collector.grpc_endpoint, insecure=True), config)
        sent = shop.backfill(until - minutes * MINUTE_NS, until)
        shop.shutdown()
    return sent
