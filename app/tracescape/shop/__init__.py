"""A shop of fourteen services on the OpenTelemetry SDK, with faults to put in: the demo's application."""

from tracescape.shop.faults import KINDS, Fault, Truth, parsed, truth_of
from tracescape.shop.shop import Shop, ShopConfig

__all__ = ["KINDS", "Fault", "Shop", "ShopConfig", "Truth", "parsed", "truth_of"]
