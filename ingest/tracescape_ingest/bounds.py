"""What keeps a collector's memory bounded, whoever sends: bytes in hand, and messages on their way in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tracescape_ingest.group_commit import OverloadError

DEFAULT_MAX_HELD_BYTES: Final = 256 << 20

T = TypeVar("T")


class TooSlowError(Exception):
    """A request did not arrive in time."""


class Budget:
    """The bytes of all requests between their arrival and their answer. Safe to use from several threads."""

    def __init__(self, max_bytes: int = DEFAULT_MAX_HELD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes in hand now."""
        return self._held

    def hold(self) -> Hold:
        """An empty share, for one request."""
        return Hold(self)

    def _change(self, mine: int, nbytes: int) -> None:
        """Add ``nbytes`` to a share of ``mine``; one that is alone may be larger than the whole budget."""
        with self._lock:
            total = self._held + nbytes
            if nbytes > 0 and self._held > mine and total > self._max_bytes:
                raise OverloadError(f"{self._held >> 20} MiB of requests are in hand already")
            self._held = total


class Hold:
    """One request's share of a `Budget`; a context manager that gives it back."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._nbytes = 0

    def add(self, nbytes: int) -> None:
        """Hold that much more. Raises `OverloadError`; the share is then as it was."""
        self._budget._change(self._nbytes, nbytes)
        self._nbytes += nbytes

    def moved(self) -> Hold:
        """Another owner's hold of the same bytes; this one is empty afterwards."""
        other = Hold(self._budget)
        other._nbytes, self._nbytes = self._nbytes, 0
        return other

    def release(self) -> None:
        """Give everything back. Idempotent."""
        nbytes, self._nbytes = self._nbytes, 0
        self._budget._change(0, -nbytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Turnstile:
    """At most ``count`` messages on their way in at once; when others wait, the slow ones make room.

    gRPC tells the size of a message only when it is there, so their number is what bounds the memory. For
    one event loop.

    Args:
        count: how many.
        patience_s: how long one may take while others wait.
        limit_s: how long one may take, and how long one may wait for its turn.
    """

    def __init__(self, count: int, *, patience_s: float = 2.0, limit_s: float = 30.0) -> None:
        self._turns = asyncio.Semaphore(count)
        self._patience_s = patience_s
        self._limit_s = limit_s
        self._waiting = 0

    async def through(self, receive: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``receive`` gives, called when it is its turn.

        Raises:
            OverloadError: its turn did not come.
            TooSlowError: it took too long.
        """
        await self._turn()
        task = asyncio.ensure_future(receive())
        try:
            return await self._arrival(task)
        finally:
            task.cancel()
            self._turns.release()

    async def _turn(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limit_s):
                await self._turns.acquire()
        except TimeoutError:
            raise OverloadError("too many messages are on their way in already") from None
        finally:
            self._waiting -= 1

    async def _arrival(self, task: asyncio.Future[T]) -> T:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while True:
            await asyncio.wait({task}, timeout=self._patience_s)
            if task.done():
                return task.result()
            took = loop.time() - begin
            if took >= self._limit_s or (self._waiting and took >= self._patience_s):
                raise TooSlowError(f"the message did not arrive within {took:.0f} s")
