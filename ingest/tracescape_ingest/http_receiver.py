"""OTLP/HTTP: ``POST /v1/traces``, ``/v1/logs`` and ``/v1/metrics`` in protobuf or JSON.

The same access, bounds, decoders and commits as over gRPC. Keys are checked before a body is read, bodies are
bounded before and after they are unfolded, and every refusal carries a ``google.rpc.Status`` in the encoding
of the request.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracescape_ingest.access import Takes
from tracescape_ingest.bounds import Hold, TooSlowError
from tracescape_ingest.intake import Outcome, Signal
from tracescape_ingest.otlp_json import OtlpJsonError, request_of
from tracescape_ingest.reception import Reception
from tracescape_ingest.refusal import RETRY_AFTER_S, Refusal, RefusedError, too_large
from tracescape_ingest.signals import PATHS, SERVICES, answer_of

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
HEALTH_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"
#: Any client may send here, whatever its Host; nothing can be read.
OPEN_PATHS: Final = PATHS | {HEALTH_PATH, READY_PATH}
_BODY_S: Final = 60.0
_CHUNK_S: Final = 10.0
#: A parsed document takes about that many times the memory of its text.
_JSON_WEIGHT: Final = 8
#: Answers are short; what compression would not make shorter is left alone.
_GZIP_FROM_BYTES: Final = 64
#: zlib's window bits: gzip only; zlib or, as some browsers send it, a bare deflate stream.
_GZIP_BITS: Final = 31
#: gzip may be several members, one behind the other (RFC 1952, 2.2); each costs a copy of what follows it.
_MAX_MEMBERS: Final = 64


def otlp_routes(reception: Reception) -> list[Route]:
    """The OTLP routes for the collector's HTTP application."""
    compressed = [Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES)]
    return [
        route
        for signal, service in SERVICES.items()
        for route in (
            Route(
                service.path, _Exporting(reception, signal).answer, methods=["POST"], middleware=compressed
            ),
            Route(service.path, _only_post, methods=["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        )
    ]


def health_route(serving: Callable[[], bool]) -> Route:
    """``GET /healthz`` for probes: 200 while ``serving``, else 503. It needs no key."""

    async def healthz(_request: Request) -> Response:
        if serving():
            return JSONResponse({"status": "serving"})
        return JSONResponse({"status": "shutting down"}, 503, {"Retry-After": str(RETRY_AFTER_S)})

    return Route(HEALTH_PATH, healthz, methods=["GET"])


def ready_route(unready: Callable[[], str]) -> Route:
    """``GET /readyz`` for load balancers: 200, or 503 and the reason that ``unready`` gives. It needs no key.

    ``unready`` is called in a thread of its own, and may take a moment.
    """

    def readyz(_request: Request) -> Response:
        reason = unready()
        if not reason:
            return JSONResponse({"status": "ready"})
        answer = {"status": "not ready", "reason": reason}
        return JSONResponse(answer, 503, {"Retry-After": str(RETRY_AFTER_S)})

    return Route(READY_PATH, readyz, methods=["GET"])


class _Exporting:
    """The endpoint of one signal."""

    def __init__(self, reception: Reception, signal: Signal) -> None:
        self._reception = reception
        self._signal = signal

    async def answer(self, request: Request) -> Response:
        encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            outcome = await self._outcome(request, encoding)
        except ClientDisconnect:
            raise
        except Exception as error:
            return _refused(self._reception.refusal(error), encoding)
        return _encoded(answer_of(self._signal, outcome), encoding, 200)

    async def _outcome(self, request: Request, encoding: str) -> Outcome:
        if encoding not in {PROTOBUF, JSON}:
            raise _unsupported(f"{encoding or 'no content type'}: send {PROTOBUF} or {JSON}")
        intake = self._reception.access.intake_of(request.headers)
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        limit = self._reception.max_message_bytes
        with self._reception.holding(self._signal, intake) as hold:
            await self._reception.patience(intake)
            body = [await _body(request, limit, hold)]

            def submit(hold: Hold) -> Future[Outcome]:
                data = _unfolded(body.pop(), coding, limit, hold)
                return _submit(intake, self._signal, data, encoding, hold)

            return await self._reception.outcome(self._signal, submit, hold)


async def _body(request: Request, limit: int, hold: Hold) -> bytes:
    """The body as it was sent. Its bytes are held as they come, whatever its length was said to be."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > limit:
        raise too_large(limit)
    body = bytearray()
    loop = asyncio.get_running_loop()
    end = loop.time() + _BODY_S
    try:
        async with asyncio.timeout(_CHUNK_S) as patience:
            async for chunk in request.stream():
                patience.reschedule(min(loop.time() + _CHUNK_S, end))
                hold.add(len(chunk))
                body += chunk
                if len(body) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise TooSlowError("the body did not arrive in time") from None
    return bytes(body)


def _submit(intake: Takes, signal: Signal, data: bytes, encoding: str, hold: Hold) -> Future[Outcome]:
    if encoding == JSON:
        hold.add(len(data) * _JSON_WEIGHT)
        data = _protobuf_of(signal, data)
    return intake.submit(signal, data)


def _protobuf_of(signal: Signal, data: bytes) -> bytes:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OtlpJsonError(f"the body is no JSON: {error}") from error
    encoded: bytes = request_of(document, SERVICES[signal].json_key).SerializeToString()
    return encoded


def _unfolded(body: bytes, coding: str, limit: int, hold: Hold) -> bytes:
    """The body without its content coding; a bomb is cut off at ``limit`` bytes, not unfolded."""
    if coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "deflate"}:
        raise _unsupported(f"content-encoding {coding}: send gzip, deflate or none")
    bits = _GZIP_BITS if coding == "gzip" else _deflate_bits(body)
    data, rest = bytearray(), body
    for _ in range(_MAX_MEMBERS):
        unfolding = zlib.decompressobj(bits)
        try:
            data += unfolding.decompress(rest, limit + 1 - len(data))
        except zlib.error as error:
            raise _invalid(f"the body is not {coding}: {error}") from error
        if len(data) > limit:
            raise too_large(limit)
        if not unfolding.eof:
            raise _invalid(f"the {coding} body is cut off")
        rest = unfolding.unused_data
        if not rest:
            hold.add(len(data))
            return bytes(data)
    raise _invalid(f"the {coding} body has more than {_MAX_MEMBERS} members")


def _deflate_bits(body: bytes) -> int:
    """A zlib header is a multiple of 31 (RFC 1950); without one it is a bare deflate stream."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


async def _only_post(request: Request) -> Response:
    hint = f"{request.url.path} takes OTLP by POST; questions go to POST /query"
    response = _refused(Refusal(code_pb2.UNIMPLEMENTED, 405, hint), JSON)
    response.headers["Allow"] = "POST"
    return response


def _unsupported(message: str) -> RefusedError:
    return RefusedError(Refusal(code_pb2.INVALID_ARGUMENT, 415, message))


def _invalid(message: str) -> RefusedError:
    return RefusedError(Refusal(code_pb2.INVALID_ARGUMENT, 400, message))


def _refused(refusal: Refusal, encoding: str) -> Response:
    status = status_pb2.Status(code=refusal.code, message=refusal.message)
    response = _encoded(status, encoding, refusal.status)
    if refusal.retry:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _encoded(message: Message, encoding: str, status: int) -> Response:
    if encoding == JSON:
        return Response(json_format.MessageToJson(message, indent=None), status, media_type=JSON)
    return Response(message.SerializeToString(), status, media_type=PROTOBUF)
