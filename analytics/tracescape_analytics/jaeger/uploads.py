"""``POST /api/transform``: OTLP JSON in, Jaeger's JSON out. Its UI asks so for uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import anyio
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from tracescape_analytics.jaeger.envelopes import legacy, legacy_error, response
from tracescape_analytics.jaeger.legacy import legacy_traces
from tracescape_analytics.whole_trace import traces_of_tables

#: What is uploaded takes many times its size while it is read.
MOST_BYTES: Final = 16 << 20
_TOO_LARGE: Final = (
    f"more than {MOST_BYTES >> 20} MiB are not shown unstored; `tracescape replay` takes any file"
)


class Uploaded(NamedTuple):
    """OTLP as tables (see `traces_of_tables`), and in words what was left out of it; empty: nothing."""

    tables: Mapping[str, pa.Table]
    left_out: str


class Transforming:
    """The endpoint; an instance is an ASGI application. Nothing is stored. One file at a time.

    ``tables_of`` decodes a body; it raises ValueError for one that is no OTLP JSON.
    """

    def __init__(self, tables_of: Callable[[bytes], Uploaded]) -> None:
        self._tables_of = tables_of
        self._one: anyio.Lock | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        self._one = self._one or anyio.Lock()  # made inside the event loop that it is for
        async with self._one:
            body = await _bounded_body(request)
            answer = await anyio.to_thread.run_sync(self._answer, body)
        await answer(scope, receive, send)

    def _answer(self, body: bytes | None) -> Response:
        if body is None:
            return response(legacy_error(_TOO_LARGE, 413), 413)
        try:
            uploaded = self._tables_of(body)
        except ValueError as error:
            return response(legacy_error(str(error), 400), 400)
        errors = [{"code": 400, "msg": uploaded.left_out}] if uploaded.left_out else []
        traces = legacy_traces(traces_of_tables(uploaded.tables))
        return response(legacy(traces, errors=errors), 200)


async def _bounded_body(request: Request) -> bytes | None:
    """The body, unless it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)
