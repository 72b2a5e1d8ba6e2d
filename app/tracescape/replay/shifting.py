"""Recorded traces as if they happened now: later times, new ids, the same relations."""

from __future__ import annotations

import hashlib

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracescape.replay.reading import spans_of


class Shift:
    """Moves requests by ``delta_ns`` in place and gives every id a successor.

    The new id is a keyed hash of the old one: parents and links still point where they did, across requests
    as well, and the same recording moved by another delta collides with nothing.
    """

    def __init__(self, delta_ns: int) -> None:
        self._delta = delta_ns
        self._key = delta_ns.to_bytes(16, "big", signed=True)

    def apply(self, request: ExportTraceServiceRequest) -> None:
        """Shift every span, event and link of ``request``."""
        for span in spans_of(request):
            span.trace_id = self._successor(span.trace_id)
            span.span_id = self._successor(span.span_id)
            span.parent_span_id = self._successor(span.parent_span_id)
            span.start_time_unix_nano += self._delta
            span.end_time_unix_nano += self._delta
            for event in span.events:
                event.time_unix_nano += self._delta
            for link in span.links:
                link.trace_id = self._successor(link.trace_id)
                link.span_id = self._successor(link.span_id)

    def _successor(self, old: bytes) -> bytes:
        if not any(old):  # no parent stays no parent
            return old
        return hashlib.blake2b(old, digest_size=len(old), key=self._key).digest()
