"""A shop of fourteen services on the OpenTelemetry SDK: the demo's application."""

from tracescape.shop.shop import Shop, ShopConfig

__all__ = ["Shop", "ShopConfig"]
