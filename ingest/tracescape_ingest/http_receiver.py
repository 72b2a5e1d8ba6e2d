"""OTLP/HTTP: ``POST /v1/traces`` in protobuf or JSON, answered once the spans are on disk.

The same decoder, admission and group commit as over gRPC. Bodies are bounded before and after they are
unfolded. Every refusal carries a ``google.rpc.Status`` in the encoding of the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from concurrent.futures import Future
from typing import Final

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracescape_ingest.decode import UndecodableError
from tracescape_ingest.group_commit import OverloadError
from tracescape_ingest.intake import Intake, Outcome, Signal
from tracescape_ingest.otlp_json import OtlpJsonError, request_of
from tracescape_storage.errors import StoreError

_log = logging.getLogger(__name__)

PATH: Final = "/v1/traces"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
DEFAULT_MAX_BODY_BYTES: Final = 64 << 20
RETRY_AFTER_S: Final = 1
#: zlib's window bits: gzip only; zlib or, as some browsers send it, a bare deflate stream.
_GZIP_BITS: Final = 31


class _RefusedError(Exception):
    """An answer other than success: the HTTP status, the gRPC code of its body, and why."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def otlp_routes(intake: Intake, *, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> list[Route]:
    """The OTLP routes for the collector's HTTP application."""

    async def traces(request: Request) -> Response:
        encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if encoding not in {PROTOBUF, JSON}:
                wanted = f"send {PROTOBUF} or {JSON}"
                raise _RefusedError(
                    415, code_pb2.INVALID_ARGUMENT, f"{encoding or 'no content type'}: {wanted}"
                )
            body = await _body(request, max_body_bytes)
            submitted = await run_in_threadpool(_submit, intake, body, request, encoding, max_body_bytes)
            outcome = await asyncio.wrap_future(submitted)
        except _RefusedError as refusal:
            return _refused(refusal, encoding)
        except OverloadError as error:
            return _refused(
                _RefusedError(503, code_pb2.UNAVAILABLE, f"{error}; send it again in a moment"), encoding
            )
        except StoreError as error:
            return _refused(_RefusedError(503, code_pb2.UNAVAILABLE, str(error)), encoding)
        return _encoded(_answer(outcome), encoding, 200)

    return [Route(PATH, traces, methods=["POST"])]


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _submit(intake: Intake, body: bytes, request: Request, encoding: str, limit: int) -> Future[Outcome]:
    data = _unfolded(body, request.headers.get("content-encoding", "identity").strip().lower(), limit)
    try:
        return intake.submit(Signal.TRACES, _protobuf_of(data) if encoding == JSON else data)
    except (UndecodableError, OtlpJsonError) as error:
        raise _RefusedError(400, code_pb2.INVALID_ARGUMENT, str(error)) from error


def _protobuf_of(data: bytes) -> bytes:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OtlpJsonError(f"the body is no JSON: {error}") from error
    encoded: bytes = request_of(document).SerializeToString()
    return encoded


def _unfolded(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its content coding; a bomb is cut off at ``limit`` bytes, not unfolded."""
    if coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "deflate"}:
        raise _RefusedError(
            415, code_pb2.INVALID_ARGUMENT, f"content-encoding {coding}: send gzip, deflate or none"
        )
    bits = _GZIP_BITS if coding == "gzip" else _deflate_bits(body)
    unfolding = zlib.decompressobj(bits)
    try:
        data = unfolding.decompress(body, limit + 1)
    except zlib.error as error:
        raise _RefusedError(400, code_pb2.INVALID_ARGUMENT, f"the body is not {coding}: {error}") from error
    if len(data) > limit:
        raise _too_large(limit)
    if not unfolding.eof:
        raise _RefusedError(400, code_pb2.INVALID_ARGUMENT, f"the {coding} body is cut off")
    return data


def _deflate_bits(body: bytes) -> int:
    """A zlib header is a multiple of 31 (RFC 1950); without one it is a bare deflate stream."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


def _too_large(limit: int) -> _RefusedError:
    return _RefusedError(
        413, code_pb2.RESOURCE_EXHAUSTED, f"the body is larger than {limit:,} bytes; send less at once"
    )


def _answer(outcome: Outcome) -> ExportTraceServiceResponse:
    answer = ExportTraceServiceResponse()
    if outcome.rejected:
        total = outcome.accepted + outcome.rejected
        _log.warning("rejected %d of %d spans: %s", outcome.rejected, total, outcome.message)
        answer.partial_success.rejected_spans = outcome.rejected
        answer.partial_success.error_message = outcome.message
    return answer


def _refused(refusal: _RefusedError, encoding: str) -> Response:
    status = status_pb2.Status(code=refusal.code, message=str(refusal))
    response = _encoded(status, encoding, refusal.status)
    if refusal.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _encoded(message: Message, encoding: str, status: int) -> Response:
    if encoding == JSON:
        return Response(json_format.MessageToJson(message, indent=None), status, media_type=JSON)
    return Response(message.SerializeToString(), status, media_type=PROTOBUF)
