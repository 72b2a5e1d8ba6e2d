"""The routes of Jaeger's query service: ``/api/…`` in its own JSON, ``/api/v3/…`` in OTLP's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracescape_analytics.jaeger import asked, finding
from tracescape_analytics.jaeger.dependencies import dependencies
from tracescape_analytics.jaeger.legacy import legacy_trace, legacy_trace_id
from tracescape_analytics.jaeger.summaries import summaries
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

Document = dict[str, Any]
Answer = tuple[Document, int]
Question = Callable[[Reader, Request], Answer]


def jaeger_routes(reader_of: Callable[[Request], Reader]) -> list[Route]:
    """The routes for the collector's HTTP application.

    ``reader_of`` gives whoever asks a reader of their store, in a thread; it is closed afterwards.
    """
    readers = _Readers(reader_of)
    return [
        Route(path, _Asking(readers, question, refused), methods=["GET"])
        for path, question, refused in (
            ("/api/services", _services, _legacy_error),
            ("/api/services/{service:path}/operations", _operations_of, _legacy_error),
            ("/api/operations", _operations, _legacy_error),
            ("/api/traces", _traces, _legacy_error),
            ("/api/traces/{trace_id}", _trace, _legacy_error),
            ("/api/dependencies", _dependencies, _legacy_error),
            ("/api/metrics/{metric:path}", _no_metrics, _legacy_error),
            ("/api/v3/services", _v3_services, _v3_error),
            ("/api/v3/operations", _v3_operations, _v3_error),
            ("/api/v3/traces", _v3_traces, _v3_error),
            ("/api/v3/traces/{trace_id}", _v3_trace, _v3_error),
            ("/api/v3/trace-summaries", _v3_summaries, _v3_error),
            ("/api/v3/dependencies", _v3_dependencies, _v3_error),
        )
    ]


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
        response = await anyio.to_thread.run_sync(self._answer, request, limiter=self._readers.limiter)
        await response(scope, receive, send)

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
        return Response(_text(document), status, media_type="application/json")


def _text(document: Document) -> str:
    # Lone surrogates cannot be stored, so nothing here can fail to be encoded.
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _legacy(data: Any, total: int = 0, errors: Sequence[Document] = ()) -> Document:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": list(errors) or None}


def _legacy_error(message: str, status: int) -> Document:
    return _legacy(None, errors=[{"code": status, "msg": message}])


def _v3_error(message: str, status: int) -> Document:
    return {"error": {"httpCode": status, "message": message}}


def _services(reader: Reader, _request: Request) -> Answer:
    names = finding.services(reader)
    return _legacy(names, len(names)), 200


def _operations_of(reader: Reader, request: Request) -> Answer:
    names = sorted({each.name for each in finding.operations(reader, request.path_params["service"])})
    return _legacy(names, len(names)), 200


def _operations(reader: Reader, request: Request) -> Answer:
    service = request.query_params.get("service")
    if not service:
        raise asked.ParameterError("parameter 'service' is required")
    found = finding.operations(reader, service, asked.kind_of(request.query_params))
    data = [{"name": each.name, "spanKind": each.kind} for each in found]
    return _legacy(data, len(data)), 200


def _traces(reader: Reader, request: Request) -> Answer:
    search, ids = asked.legacy_search(request.query_params)
    wanted = ids or finding.trace_ids(reader, search)
    traces = whole_traces(reader, wanted, most_spans=MOST_SPANS)
    return _legacy([legacy_trace(trace) for trace in traces], errors=_missing(wanted, traces)), 200


def _missing(wanted: Sequence[bytes], traces: Sequence[WholeTrace]) -> list[Document]:
    """An error a trace that was asked for and is not in the answer: it is unknown, or there was no room."""
    there = {trace.trace_id for trace in traces}
    spans = sum(len(trace.spans) for trace in traces)
    reason = _NOT_FOUND if spans < MOST_SPANS // 2 else f"not read: an answer holds {MOST_SPANS} spans"
    return [{"msg": reason, "traceID": legacy_trace_id(each)} for each in wanted if each not in there]


def _trace(reader: Reader, request: Request) -> Answer:
    traces = whole_traces(reader, [asked.trace_id(request.path_params["trace_id"])])
    if not traces:
        return _legacy_error(_NOT_FOUND, 404), 404
    return _legacy([legacy_trace(trace) for trace in traces]), 200


def _dependencies(reader: Reader, request: Request) -> Answer:
    since_ns, until_ns = asked.legacy_window(request.query_params)
    service = request.query_params.get("service", "")
    return _legacy(dependencies(reader, since_ns, until_ns, service)), 200


def _no_metrics(_reader: Reader, _request: Request) -> Answer:
    """Jaeger's own answer where no metrics storage is configured; its UI then hides the tab's charts."""
    return _legacy_error("metrics querying is currently disabled", 501), 501


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
        return _v3_error("No traces found", 404), 404
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
