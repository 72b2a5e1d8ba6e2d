"""Jaeger's query API over a store, for the clients that people already have: Jaeger's UI, Grafana."""

from tracescape_analytics.jaeger.routes import jaeger_routes
from tracescape_analytics.jaeger.uploads import Uploaded

__all__ = ["Uploaded", "jaeger_routes"]
