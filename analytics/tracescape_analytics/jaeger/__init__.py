"""Jaeger's query API over a store, for the clients that people already have: Jaeger's UI, Grafana."""

from tracescape_analytics.jaeger.routes import jaeger_routes

__all__ = ["jaeger_routes"]
