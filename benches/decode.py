"""Decoding alone, on one core: encoded trace requests into Arrow columns, beside protobuf.

Ours includes attributes as JSON text, interning, UTF-8 checks and everything else up to the tables that the
store takes; ``FromString`` makes no columns at all. The walk reads every field into Python objects, as a
receiver in plain Python has to.
"""

from __future__ import annotations

from typing import Any

from measure import in_turn, report
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from template import ids_of, templates

from tracescape_ingest.decode import decode_traces
from tracescape_ingest.fast_spans import FastSpans
from tracescape_ingest.span_tables import span_tables

SPANS, REQUESTS, ROUNDS = 512, 60, 15

_COLUMNS = {
    "http.route": "VARCHAR",
    "url.scheme": "VARCHAR",
    "user.id": "VARCHAR",
    "app.region": "VARCHAR",
    "app.items": "BIGINT",
    "app.cached": "BOOLEAN",
}


def main() -> None:
    """Print the rates."""
    made = templates(SPANS)
    data = [made[n % len(made)].fresh(ids_of(SPANS, 1, 0, n)) for n in range(REQUESTS)]
    fast = FastSpans(1, lambda: _COLUMNS)  # what a store has after its first commit
    fast.compile()

    def ours() -> None:
        found = [fast.scan(each) for each in data]
        span_tables([request for request, _ in found if request is not None])

    contestants = {
        "Tracescape, compiled: Arrow tables": ours,
        "FromString alone: no columns": lambda: _parse(data),
        "Tracescape, compiled: the scan alone": lambda: [fast.scan(each) for each in data],
    }
    report(
        f"decode, {len(data[0]) / SPANS:.0f} bytes a span",
        "spans",
        SPANS * REQUESTS,
        in_turn(contestants, ROUNDS),
    )
    slow = {
        "Tracescape, compiled: Arrow tables": ours,
        "parse and walk into Python objects": lambda: [_walked(each) for each in data],
        "Tracescape's reference decoder": lambda: [decode_traces(each) for each in data],
    }
    report("the same beside plain Python", "spans", SPANS * REQUESTS, in_turn(slow, 3))


def _parse(data: list[bytes]) -> None:
    for each in data:
        ExportTraceServiceRequest.FromString(each)  # and dropped: keeping them would cost it memory


def _walked(data: bytes) -> list[dict[str, Any]]:
    spans = []
    for group in ExportTraceServiceRequest.FromString(data).resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            spans += [
                {
                    "resource": resource,
                    "trace_id": span.trace_id,
                    "span_id": span.span_id,
                    "parent_span_id": span.parent_span_id,
                    "name": span.name,
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": (span.status.code, span.status.message),
                    "attributes": _attributes(span.attributes),
                    "events": [(e.time_unix_nano, e.name, _attributes(e.attributes)) for e in span.events],
                }
                for span in scope.spans
            ]
    return spans


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


if __name__ == "__main__":
    main()
