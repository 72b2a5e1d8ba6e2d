"""The routes of Jaeger's query service: ``/api/…`` in its own JSON, ``/api/v3/…`` in OTLP's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracescape_analytics.jaeger import asked, finding
from tracescape_analytics.jaeger.dependencies import dependencies
from tracescape_analytics.jaeger.envelopes import Document, legacy, legacy_error, response, v3_error
from tracescape_analytics.jaeger.legacy import legacy_trace_id, legacy_traces
from tracescape_analytics.jaeger.metrics import METRICS, metrics
from tracescape_analytics.jaeger.summaries import summaries
from tracescape_analytics.jaeger.uploads import Transforming, Uploaded
from tracescape_analytics.otlp_json import traces_document
from tracescape_analytics.whole_trace import WholeTrace, whole_traces
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Reader

_log = logging.getLogger(__name__)

#: Whole traces are made in memory: one answer holds so many spans, or one trace that is larger.
MOST_SPANS: Final = 100_000
#: Questions at a time; the others wait.
_RUNNING: Final = 4
_NOT_FOUND: Final = "trace not found"

Answer: TypeAlias = tuple[Document, int]
Question: TypeAlias = Callable[[Reader, Request], Answer]


def jaeger_routes(
    reader_of: Callable[[Request], Reader], tables_of: Callable[[bytes], Uploaded]
) -> list[Route]:
    """The routes for the collector's HTTP application.

    Args:
        reader_of: gives whoever asks a reader of their store, in a thread; it is closed afterwards.
        tables_of: decodes OTLP JSON, see `Transforming`.
    """
    readers = _Readers(reader_of)
    posts = [
        Route("/api/transform", Transforming(tables_of), methods=["POST"]),
        Route("/api/archive/{trace_id}", _Asking(readers, _no_archive, legacy_error), methods=["POST"]),
    ]
    gets = [
        Route(path, _Asking(readers, question, refused), methods=["GET"])
        for path, question, refused in (
            ("/api/services", _services, legacy_error),
            ("/api/services/{service:path}/operations", _operations_of, legacy_error),
            ("/api/operations", _operations, legacy_error),
            ("/api/traces", _traces, legacy_error),
            ("/api/traces/{trace_id}", _trace, legacy_error),
            ("/api/dependencies", _dependencies, legacy_error),
            ("/api/metrics/{metric}", _metrics, legacy_error),
            ("/api/v3/services", _v3_services, v3_error),
            ("/api/v3/operations", _v3_operations, v3_error),
            ("/api/v3/traces", _v3_traces, v3_error),
            ("/api/v3/traces/{trace_id}", _v3_trace, v3_error),
            ("/api/v3/trace-summaries", _v3_summaries, v3_error),
            ("/api/v3/dependencies", _v3_dependencies, v3_error),
        )
    ]
    return posts + gets


class _Readers:
    """Readers for requests, and how many of those may ask at a time."""

    def __init__(self, of: Callable[[Request], Reader]) -> None:
        self.of = of
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def limiter(self) -> anyio.CapacityLimiter:
        """Made inside the event loop that it is for."""
        self._limiter = self._limiter or anyio.CapacityLimiter(_RUNNING)
        return self._limiter


class _Asking:
    """An endpoint: one question in a thread, its errors in the words of its version."""

    def __init__(
        self, readers: _Readers, question: Question, refused: Callable[[str, int], Document]
    ) -> None:
        self._readers = readers
        self._question = question
        self._refused = refused

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request; an instance is an ASGI application."""
        request = Request(scope, receive)
        answer = await anyio.to_thread.run_sync(self._answer, request, limiter=self._readers.limiter)
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        try:
            reader = self._readers.of(request)
            try:
                document, status = self._question(reader, request)
            finally:
                reader.close()
        except asked.ParameterError as error:
            document, status = self._refused(str(error), 400), 400
        except StoreError as error:
            _log.warning("a question of a Jaeger client failed: %s", error)
            document, status = self._refused(str(error), 500), 500
        return response(document, status)


def _services(reader: Reader, _request: Request) -> Answer:
    names = finding.services(reader)
    return legacy(names, len(names)), 200


def _operations_of(reader: Reader, request: Request) -> Answer:
    names = sorted({each.name for each in finding.operations(reader, request.path_params["service"])})
    return legacy(names, len(names)), 200


def _operations(reader: Reader, request: Request) -> Answer:
    service = request.query_params.get("service")
    if not service:
        raise asked.ParameterError("parameter 'service' is required")
    found = finding.operations(reader, service, asked.kind_of(request.query_params))
    data = [{"name": each.name, "spanKind": each.kind} for each in found]
    return legacy(data, len(data)), 200


def _traces(reader: Reader, request: Request) -> Answer:
    search, ids = asked.legacy_search(request.query_params)
    wanted = ids or finding.trace_ids(reader, search)
    traces = whole_traces(reader, wanted, most_spans=MOST_SPANS)
    return legacy(legacy_traces(traces), errors=_missing(wanted, traces)), 200


def _missing(wanted: Sequence[bytes], traces: Sequence[WholeTrace]) -> list[Document]:
    """An error a trace that was asked for and is not in the answer: it is unknown, or there was no room."""
    there = {trace.trace_id for trace in traces}
    spans = sum(len(trace.spans) for trace in traces)
    reason = _NOT_FOUND if spans < MOST_SPANS // 2 else f"not read: an answer holds {MOST_SPANS} spans"
    return [{"msg": reason, "traceID": legacy_trace_id(each)} for each in wanted if each not in there]


def _trace(reader: Reader, request: Request) -> Answer:
    traces = whole_traces(reader, [asked.trace_id(request.path_params["trace_id"])])
    if not traces:
        return legacy_error(_NOT_FOUND, 404), 404
    return legacy(legacy_traces(traces)), 200


def _dependencies(reader: Reader, request: Request) -> Answer:
    since_ns, until_ns = asked.legacy_window(request.query_params)
    service = request.query_params.get("service", "")
    return legacy(dependencies(reader, since_ns, until_ns, service)), 200


def _metrics(reader: Reader, request: Request) -> Answer:
    metric = request.path_params["metric"]
    if metric == "minstep":
        return legacy(1), 200
    if metric not in METRICS:
        return legacy_error(f"there is no metric {metric!r}", 404), 404
    query = asked.metrics_query(request.query_params, quantile=metric == "latencies")
    return metrics(reader, metric, query), 200


def _no_archive(_reader: Reader, _request: Request) -> Answer:
    """Its UI shows the button only where it is told of an archive; what is stored here is kept anyway."""
    return legacy_error("archive storage is not configured", 501), 501


def _v3_services(reader: Reader, _request: Request) -> Answer:
    return {"services": finding.services(reader)}, 200


def _v3_operations(reader: Reader, request: Request) -> Answer:
    parameters = request.query_params
    found = finding.operations(reader, parameters.get("service", ""), asked.kind_of(parameters))
    return {"operations": [{"name": each.name, "spanKind": each.kind or "internal"} for each in found]}, 200


def _v3_traces(reader: Reader, request: Request) -> Answer:
    wanted = finding.trace_ids(reader, asked.v3_search(request.query_params))
    return _otlp(whole_traces(reader, wanted, most_spans=MOST_SPANS))


def _v3_trace(reader: Reader, request: Request) -> Answer:
    try:
        wanted = asked.trace_id(request.path_params["trace_id"])
    except asked.ParameterError as error:
        raise asked.ParameterError(f"malformed parameter trace_id: {error}") from None
    asked.v3_window(request.query_params)  # read, so that a malformed one is refused; ids need no window here
    return _otlp(whole_traces(reader, [wanted]))


def _otlp(traces: Sequence[WholeTrace]) -> Answer:
    if not traces:
        return v3_error("No traces found", 404), 404
    return {"result": traces_document(traces)}, 200


def _v3_summaries(reader: Reader, request: Request) -> Answer:
    wanted = finding.trace_ids(reader, asked.v3_search(request.query_params))
    return {"summaries": summaries(reader, wanted)}, 200


def _v3_dependencies(reader: Reader, request: Request) -> Answer:
    since_ns, until_ns = asked.v3_window(request.query_params)
    if since_ns is None or until_ns is None:
        raise asked.ParameterError("startTime and endTime are required")
    found = dependencies(reader, since_ns, until_ns)
    return {"dependencies": [{**each, "callCount": str(each["callCount"])} for each in found]}, 200
