"""A collector with traces in it, asked as Jaeger's clients do."""

from __future__ import annotations

from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracescape.collector import Collector
from tracescape_ingest.intake import Signal


def stored(collector: Collector, *requests: ExportTraceServiceRequest) -> None:
    intake = next(iter(collector.lanes.values())).intake
    for each in requests:
        outcome = intake.submit(Signal.TRACES, each.SerializeToString()).result(timeout=20)
        assert not outcome.rejected, outcome.message


def got(collector: Collector, path: str, expected: int = 200, **parameters: Any) -> Any:
    answer = httpx.get(
        f"{collector.http_url}{path}", params=parameters or None, timeout=200
    )  # the first question may compile
    assert answer.status_code == expected, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def data(collector: Collector, path: str, **parameters: Any) -> Any:
    answer = got(collector, path, **parameters)
    assert set(answer) == {"data", "total", "limit", "offset", "errors"}
    return answer["data"]
