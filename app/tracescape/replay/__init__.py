"""Recorded traces, sent again through the OTLP exporter's protocol."""

from tracescape.replay.errors import ReplayError
from tracescape.replay.sending import ReplayResult, replay

__all__ = ["ReplayError", "ReplayResult", "replay"]
