"""``POST /query``: one ``SELECT`` in, an Arrow IPC stream out.

Request: JSON ``{"sql": "SELECT …"}``. Answer: ``application/vnd.apache.arrow.stream``; on an error a 4xx
with JSON ``{"error": "…"}``. A failure after the first rows breaks the stream off before its end marker, so
a client never takes half an answer for a whole one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Final

import duckdb
import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tracescape_storage.errors import QueryError
from tracescape_storage.query import MAX_QUERY_BYTES, selecting

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
_MAX_BODY_BYTES: Final = MAX_QUERY_BYTES * 2


def query_routes(
    connection: Callable[[Request], duckdb.DuckDBPyConnection],
    *,
    settle: Callable[[Request], object] = lambda request: None,
) -> list[Route]:
    """The routes of a store for the collector's HTTP application.

    ``connection`` gives the open database of whoever asks: a function, since a collector may hold several,
    and a writer may have to open its file anew. ``settle`` may wait until that has
    everything which a question ought to see.
    """

    async def query(request: Request) -> Response:
        try:
            sql = _sql_of(await _bounded_body(request))
            await run_in_threadpool(settle, request)
            stream = _arrow_chunks(connection(request), sql)
            first = await run_in_threadpool(next, stream)
        except QueryError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return StreamingResponse(_chain(first, stream), media_type=ARROW_STREAM)

    return [Route("/query", query, methods=["POST"])]


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise QueryError(f"The query is longer than {MAX_QUERY_BYTES // 1024} KiB.")
    return bytes(body)


def _sql_of(body: bytes) -> str:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    sql = asked.get("sql") if isinstance(asked, dict) else None
    if not isinstance(sql, str):
        raise QueryError('The body must be JSON: {"sql": "SELECT …"}.')
    return sql


def _arrow_chunks(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[bytes]:
    sink = io.BytesIO()
    with selecting(connection, sql) as batches, pa.ipc.new_stream(sink, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield _drain(sink)
    yield _drain(sink)


def _drain(sink: io.BytesIO) -> bytes:
    chunk = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return chunk


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
