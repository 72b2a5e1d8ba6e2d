"""Answers in pieces: computed on threads as the client takes them, and not at all once it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tracescape_storage.errors import QueryError
from tracescape_storage.query_guard import Guard

_log = logging.getLogger(__name__)

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"


class Running:
    """One question on the threads; nothing of it blocks the event loop."""

    def __init__(self, threads: ThreadPoolExecutor, guard: Guard) -> None:
        self.guard = guard
        self._threads = threads
        self._chunks: Iterator[bytes] = iter(())
        self._gone: asyncio.Task[None] | None = None

    async def first(self, request: Request, begin: Callable[[], Iterator[bytes]]) -> bytes | None:
        """The first piece of the answer. Raises `QueryError`, and ``ClientDisconnect`` if nobody waits."""

        def start() -> bytes | None:
            self._chunks = begin()
            return next(self._chunks, None)

        self._gone = asyncio.create_task(_disconnected(request.receive))
        return await self._unless_gone(start)

    async def next(self) -> bytes | None:
        """The next piece; None at the end. Raises as `first` does."""
        return await self._unless_gone(lambda: next(self._chunks, None))

    async def close(self) -> None:
        """Let the question's cursor go."""
        if self._gone is not None:
            self._gone.cancel()
        close = getattr(self._chunks, "close", lambda: None)
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, close))

    async def _unless_gone(self, step: Callable[[], bytes | None]) -> bytes | None:
        assert self._gone is not None
        working = asyncio.get_running_loop().run_in_executor(self._threads, step)
        either: set[asyncio.Future[Any]] = {working, self._gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not working.done():  # the client is gone, or the collector ends
                self.guard.call_off()
                await asyncio.wait({working})
        if self._gone.done():
            working.exception()  # nobody wants to know
            raise ClientDisconnect
        return working.result()


class Streaming(Response):
    """The pieces of an answer, each computed when the client has taken the one before."""

    media_type = ARROW_STREAM

    def __init__(self, first: bytes | None, running: Running, end: Callable[[], Any]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._first = first
        self._running = running
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            chunk = self._first
            while chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await self._running.next()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            return
        except QueryError as error:
            # The last piece said so to those who understand; the missing end says it to the others.
            _log.info("an answer was broken off: %s", error)
        finally:
            await self._end()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
