"""The sending end: requests through the SDK's own gRPC exporter, paced or as fast as they are taken."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from tracescape.exporter_log import collected
from tracescape.replay.errors import ReplayError
from tracescape.replay.reading import Part, read
from tracescape.replay.shifting import Shift

_IN_FLIGHT: Final = 4
_GIVE_UP_AFTER: Final = 4

Progress = Callable[[int, int | None], None]


class ReplayResult(NamedTuple):
    """Spans acknowledged and not, requests, and the seconds it took."""

    spans_sent: int
    spans_failed: int
    requests: int
    seconds: float


class RequestExporter(OTLPSpanExporter):
    """The SDK's exporter for requests that are encoded already.

    Its channel, headers, TLS, compression, timeouts, retries and ``OTEL_*`` variables are what every Python
    service uses; only the translation from the SDK's span objects is skipped, since a recording holds things
    (dropped counts, schema URLs) that those objects cannot.
    """

    def send(self, request: ExportTraceServiceRequest) -> bool:
        """Send one request, with the exporter's retries. Whether it was acknowledged."""
        requests: Any = [request]  # `_translate_data` takes what the SDK's type does not know of
        return self._export(requests) is SpanExportResult.SUCCESS

    def _translate_data(self, data: object) -> ExportTraceServiceRequest:
        (request,) = cast("list[ExportTraceServiceRequest]", data)
        return request


def replay(
    path: Path,
    endpoint: str,
    *,
    speed: float | None = None,
    now: bool = False,
    limit: int | None = None,
    batch: int = 1_000,
    insecure: bool = True,
    headers: dict[str, str] | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    sleep: Callable[[float], object] | None = None,
) -> ReplayResult:
    """Send a recording to an OTLP/gRPC endpoint.

    Args:
        path: Parquet span table or OTLP JSON.
        endpoint: ``http://host:port``.
        speed: 1 = as recorded, N = N times as fast, None = as fast as it is taken.
        now: shift the times so that the last span ends now, and derive new ids.
        limit: only the first so many spans.
        batch: spans a request, for Parquet; OTLP JSON goes as the requests it was.
        insecure: plain text; False for TLS.
        headers: sent with every request, such as an API key.
        progress: called with (spans acknowledged or given up so far, spans in all).
        stop: ends the replay early when set.
        sleep: for tests: waits so many seconds.

    Raises:
        ReplayError: the file is no recording, the endpoint did not take even the first request, or it stopped
            taking them: four in a row were refused beyond the exporter's own retries.
    """
    recording = read(path, batch=batch, limit=limit)
    shift = Shift(time.time_ns() - recording.end_ns) if now else None
    stop = stop or threading.Event()
    parts = _paced(recording.parts, speed, stop, sleep or stop.wait)
    begin = time.monotonic()
    with collected() as log, _sender(endpoint, insecure, headers) as send:
        sent = failed = requests = refused_in_a_row = 0
        for spans, acknowledged in _outcomes(parts, send, shift):
            requests += 1
            sent += spans if acknowledged else 0
            failed += 0 if acknowledged else spans
            refused_in_a_row = 0 if acknowledged else refused_in_a_row + 1
            if refused_in_a_row >= _GIVE_UP_AFTER and sent:
                raise ReplayError(
                    f"{endpoint} has stopped taking spans ({log.reason()}). {sent:,} were acknowledged;"
                    " the rest was not sent."
                )
            if not sent and failed:
                raise ReplayError(
                    f"{endpoint} takes no spans ({log.reason()}). Is a collector listening there? Start one"
                    " with: tracescape serve"
                )
            if progress is not None:
                progress(sent + failed, recording.spans)
    return ReplayResult(sent, failed, requests, time.monotonic() - begin)


def _paced(
    parts: Iterator[Part],
    speed: float | None,
    stop: threading.Event,
    sleep: Callable[[float], object],
) -> Iterator[Part]:
    """Each part when its first span is due, the first one at once."""
    origin_ns, origin = None, time.monotonic()
    for part in parts:
        if speed is not None:
            origin_ns = part.start_ns if origin_ns is None else origin_ns
            due = origin + (part.start_ns - origin_ns) / 1e9 / speed
            wait = due - time.monotonic()
            if wait > 0:
                sleep(wait)
        if stop.is_set():
            return
        yield part


def _outcomes(
    parts: Iterator[Part], send: Callable[[ExportTraceServiceRequest], bool], shift: Shift | None
) -> Iterator[tuple[int, bool]]:
    """(spans, acknowledged) a request, in order, a few requests in flight.

    The first request goes alone: when nothing listens, that is known before a second one is sent.
    """
    with ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="replay") as pool:
        waiting: deque[tuple[int, Future[bool]]] = deque()
        for number, part in enumerate(parts):
            if shift is not None:
                shift.apply(part.request)
            waiting.append((part.spans, pool.submit(send, part.request)))
            while waiting and (number == 0 or len(waiting) >= _IN_FLIGHT):
                spans, outcome = waiting.popleft()
                yield spans, outcome.result()
        while waiting:
            spans, outcome = waiting.popleft()
            yield spans, outcome.result()


@contextmanager
def _sender(
    endpoint: str, insecure: bool, headers: dict[str, str] | None
) -> Iterator[Callable[[ExportTraceServiceRequest], bool]]:
    exporter = RequestExporter(endpoint=endpoint, insecure=insecure, headers=headers)
    try:
        yield exporter.send
    finally:
        exporter.shutdown()
