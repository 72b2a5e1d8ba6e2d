"""``POST /query``: one ``SELECT`` in, an Arrow IPC stream out.

Request: JSON ``{"sql": "SELECT …"}``, with ``"time_limit_s"`` and ``"max_rows"`` where less is wanted
than the collector allows. Answer: ``application/vnd.apache.arrow.stream``, row by row as it is found:
what is not read is not computed. Errors are JSON ``{"error": "…"}``: 400 for a question that is not
answered, 503 with ``Retry-After`` while as many questions run as may.

``POST /positions``: where services stand, to be kept for all who look. Request: JSON ``{"positions":
{"cart": [x, y, z, island]}, "anew": false}``. Answer: 204, or 400, or 503 where the disk is full; see
``positions.py``.

An answer is never cut short silently. What goes wrong after the first rows, more rows than allowed
included, comes as a batch without rows whose metadata say `ERROR_KEY`, and the HTTP body ends before its
end: a client that knows neither still sees a broken transfer.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracescape_storage.answering import Running, Streaming
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import ERROR_KEY, QueryError, StoreError, UnstorableError
from tracescape_storage.limits import QueryLimits
from tracescape_storage.pool import Pool
from tracescape_storage.query import MAX_QUERY_BYTES, Guard, selecting

RETRY_AFTER_S: Final = 1
_MAX_BODY_BYTES: Final = MAX_QUERY_BYTES * 2
_MAX_POSITIONS_BYTES: Final = 32 << 20
#: DuckDB computes so many rows at a time anyway; with wide rows more would be too much to hold.
_BATCH_ROWS: Final = 2_048
_CHUNK_BYTES: Final = 1 << 20


class _Question(NamedTuple):
    sql: str
    time_s: float
    rows: int


class _BusyError(Exception):
    """As many questions run and wait as may."""


def query_routes(
    pool: Callable[[Request], Pool],
    *,
    settle: Callable[[Request], object] = lambda request: None,
    limits: QueryLimits | None = None,
) -> list[Route]:
    """The routes of a store for the collector's HTTP application.

    ``pool`` gives cursors of the database of whoever asks, for a collector may hold several. ``settle`` may
    wait until that has everything which a question ought to see.
    """
    endpoint = _Querying(pool, settle, limits or QueryLimits())
    return [Route("/query", endpoint.answer, methods=["POST"])]


def positions_routes(store: Callable[[Request], DuckDBStore]) -> list[Route]:
    """The route that keeps where services stand, in the store of whoever asks."""

    async def keep(request: Request) -> Response:
        try:
            places, anew = _positions_of(await _bounded_body(request, _MAX_POSITIONS_BYTES))
            await asyncio.to_thread(store(request).keep_positions, places, anew=anew)
        except (QueryError, UnstorableError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except StoreError as error:
            return JSONResponse({"error": str(error)}, 503, {"Retry-After": str(RETRY_AFTER_S)})
        return Response(status_code=204)

    return [Route("/positions", keep, methods=["POST"])]


class _Querying:
    """The endpoint, and the threads that questions run on."""

    def __init__(
        self,
        pool: Callable[[Request], Pool],
        settle: Callable[[Request], object],
        limits: QueryLimits,
    ) -> None:
        self._pool = pool
        self._settle = settle
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="query")
        self._free = asyncio.Semaphore(limits.running)
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Answer one question."""
        try:
            question = _question_of(await _bounded_body(request, _MAX_BODY_BYTES), self._limits)
            await self._take_turn()
        except QueryError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except _BusyError:
            busy = f"{self._limits.running} questions run already. Ask again in a moment."
            return JSONResponse({"error": busy}, 503, {"Retry-After": str(RETRY_AFTER_S)})
        running = Running(self._threads, Guard(question.time_s))
        try:
            first = await running.first(request, lambda: self._chunks(request, question, running.guard))
        except QueryError as error:
            await self._end(running)
            return JSONResponse({"error": str(error)}, status_code=400)
        except BaseException:
            await self._end(running)
            raise
        return Streaming(first, running, lambda: self._end(running))

    async def _take_turn(self) -> None:
        if self._waiting >= self._limits.waiting:
            raise _BusyError
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self._limits.wait_s)
        except TimeoutError:
            raise _BusyError from None
        finally:
            self._waiting -= 1

    async def _end(self, running: Running) -> None:
        try:
            await running.close()
        finally:
            self._free.release()

    def _chunks(self, request: Request, question: _Question, guard: Guard) -> Iterator[bytes]:
        self._settle(request)
        return _arrow_chunks(self._pool(request), question, guard)


async def _bounded_body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise QueryError(f"The request is longer than {most // 1024} KiB.")
    return bytes(body)


def _positions_of(body: bytes) -> tuple[dict[str, list[float]], bool]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    places = asked.get("positions") if isinstance(asked, dict) else None
    anew = asked.get("anew", False) if isinstance(asked, dict) else None
    if not isinstance(places, dict) or not isinstance(anew, bool):
        raise QueryError('The body must be JSON: {"positions": {"cart": [x, y, z, island]}, "anew": false}.')
    return places, anew


def _question_of(body: bytes, limits: QueryLimits) -> _Question:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    sql = asked.get("sql") if isinstance(asked, dict) else None
    if not isinstance(sql, str):
        raise QueryError('The body must be JSON: {"sql": "SELECT …"}.')
    return _Question(
        sql,
        min(_positive(asked, "time_limit_s", limits.time_s), limits.time_s),
        int(min(_positive(asked, "max_rows", limits.rows), limits.rows)),
    )


def _positive(asked: dict[str, Any], name: str, default: float) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise QueryError(f"{name} must be a number above 0.")
    return value


def _arrow_chunks(pool: Pool, question: _Question, guard: Guard) -> Iterator[bytes]:
    """The answer in pieces of about a MiB. What goes wrong once one is out is said in the last one too."""
    sink = io.BytesIO()
    writer: pa.ipc.RecordBatchStreamWriter | None = None
    begun = False
    try:
        with selecting(pool, question.sql, batch_rows=_BATCH_ROWS, guard=guard) as batches:
            writer = pa.ipc.new_stream(sink, batches.schema)
            nothing = _no_rows(batches.schema)
            for batch in _at_most(question.rows, batches):
                writer.write_batch(batch)
                if sink.tell() >= _CHUNK_BYTES:
                    yield _drain(sink)
                    begun = True
    except QueryError as error:
        if begun and writer is not None:
            writer.write_batch(nothing, custom_metadata={ERROR_KEY: str(error).encode()})
            yield _drain(sink)
        raise
    writer.close()
    yield _drain(sink)


def _at_most(rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    seen = 0
    for batch in batches:
        seen += batch.num_rows
        if seen > rows:
            raise QueryError(
                f"The answer has more than {rows:,} rows. Ask for less: LIMIT, GROUP BY, a time window."
            )
        yield batch


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def _drain(sink: io.BytesIO) -> bytes:
    chunk = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return chunk
