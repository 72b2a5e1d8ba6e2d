"""What keeps a collector's memory bounded, whoever sends: bytes in hand, and messages on their way in."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from tracescape_ingest.errors import OverloadError

DEFAULT_MAX_HELD_BYTES: Final = 128 << 20
#: While more than this is in hand, the next message waits where it is: with its client.
DEFAULT_ROOM_BYTES: Final = 24 << 20

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


class Pressed(Protocol):
    """What may have to catch up; see `Pipeline.is_pressed`."""

    @property
    def is_pressed(self) -> bool:
        """Whether the next request had better wait."""
        ...


class Turns:
    """Lets messages wait, unread, for their turn while those before them are worked off.

    A message that is read and then refused has cost all of its way for nothing, and its memory; one that
    waits here costs the little that the network keeps of it. How large it will be nobody knows: until it is
    there it counts as what they usually are. For one event loop; while there is room, nobody waits.

    Args:
        room_bytes: how much there may be between its turn and its answer before the next one waits.
        patience_s: how long one waits.
        places: how many may wait.
    """

    def __init__(
        self, room_bytes: int = DEFAULT_ROOM_BYTES, *, patience_s: float = 2.0, places: int = 1024
    ) -> None:
        self._room_bytes = room_bytes
        self._patience_s = patience_s
        self._places = places
        self._held = 0
        self._usual = 0.0  # bytes of a message
        self._queues: dict[int, tuple[Pressed, deque[_Turn]]] = {}

    @property
    def held(self) -> int:
        """The bytes of those whose turn it is."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(queue) for _, queue in self._queues.values())

    @contextlib.asynccontextmanager
    async def turn(self, intake: Pressed) -> AsyncIterator[Callable[[int], None]]:
        """Wait until a message to ``intake`` may be read. Gives what is to be told its size when it is there.

        Raises:
            OverloadError: its turn did not come, or too many wait already.
        """
        mine = _Turn()
        if id(intake) not in self._queues and self._may_read(intake):
            self._begin(mine)
        else:
            await self._wait(intake, mine)
        try:
            yield lambda nbytes: self._arrived(mine, nbytes)
        finally:
            self._held -= mine.nbytes

    async def _wait(self, intake: Pressed, mine: _Turn) -> None:
        if self.waiting >= self._places:
            raise OverloadError(f"{self._places} requests wait for their turn already")
        loop = asyncio.get_running_loop()
        mine.comes, mine.until = loop.create_future(), loop.time() + self._patience_s
        if not self._queues:
            loop.call_later(_LOOK_S, self._look)
        self._queues.setdefault(id(intake), (intake, deque()))[1].append(mine)
        try:
            if not await mine.comes:
                raise OverloadError("more comes than can be stored")
        except asyncio.CancelledError:
            self._held -= mine.nbytes  # it had come, and nobody was there any more
            raise

    def _may_read(self, intake: Pressed) -> bool:
        fits = not self._held or self._held + self._usual <= self._room_bytes
        return fits and not intake.is_pressed

    def _begin(self, mine: _Turn) -> None:
        mine.nbytes = int(self._usual)
        self._held += mine.nbytes

    def _arrived(self, mine: _Turn, nbytes: int) -> None:
        self._usual += (nbytes - self._usual) / _USUAL_OF
        self._held += nbytes - mine.nbytes
        mine.nbytes = nbytes

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for _, queue in self._queues.values():
            while queue and (queue[0].comes.done() or queue[0].until <= loop.time()):
                queue.popleft().end(comes=False)
        while self._call_up():
            pass
        self._queues = {key: each for key, each in self._queues.items() if each[1]}
        if self._queues:
            loop.call_later(_LOOK_S, self._look)

    def _call_up(self) -> bool:
        """The next one of each intake, as long as there is room; whether there was any."""
        called = False
        for intake, queue in self._queues.values():
            if queue and self._may_read(intake):
                mine = queue.popleft()
                if not mine.comes.done():
                    self._begin(mine)
                    mine.end(comes=True)
                called = True
        return called


#: How often it is looked whose turn has come: what makes room does so on other threads, and often.
_LOOK_S: Final = 0.01
#: The usual size is that of about so many messages.
_USUAL_OF: Final = 32


class _Turn:
    """Somebody whose turn it is, or who waits for it until then."""

    comes: asyncio.Future[bool]
    until = 0.0
    nbytes = 0

    def end(self, *, comes: bool) -> None:
        """Their waiting has an end, unless they have gone away."""
        if not self.comes.done():
            self.comes.set_result(comes)


class SlowLane:
    """Lets messages arrive; those that take longer than a moment need one of ``seats`` places.

    gRPC tells the size of a message only when it is there. So what bounds the memory of unfinished messages
    is how many are slow at once, each as large as is allowed, and what the network carries in a moment. Who
    finds no seat is told to try again; who has one for long loses it to the next. Nobody waits for a turn, so
    clients that never finish are in nobody's way. For one event loop.

    Args:
        seats: how many slow messages there may be.
        moment_s: how long every message may take.
        patience_s: how long a seat is safe from others.
        limit_s: how long a message may take at all.
    """

    def __init__(
        self, seats: int, *, moment_s: float = 0.5, patience_s: float = 2.0, limit_s: float = 30.0
    ) -> None:
        self._seats = seats
        self._moment_s = moment_s
        self._patience_s = patience_s
        self._limit_s = limit_s
        self._slow: dict[_Arriving, None] = {}  # the oldest first

    async def arrival(self, receive: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``receive`` gives. Most messages are there at once: they cost no task of their own.

        Raises:
            OverloadError: it is slow, and so are too many others.
            TooSlowError: it took too long.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        arriving = _Arriving(task)
        arriving.timer = loop.call_later(self._moment_s, self._sit_down, arriving)
        try:
            return await receive()
        except asyncio.CancelledError:
            if arriving.error is None or task.uncancel() > 0:
                raise  # somebody else called it off
            raise arriving.error from None
        finally:
            arriving.timer.cancel()
            self._slow.pop(arriving, None)

    def _sit_down(self, arriving: _Arriving) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._slow) >= self._seats:
            oldest = next(iter(self._slow))
            if now - oldest.since < self._patience_s:
                arriving.end(OverloadError("too many slow messages are on their way in"))
                return
            del self._slow[oldest]
            oldest.end(TooSlowError(_TOO_SLOW))
        arriving.since = now
        self._slow[arriving] = None
        arriving.timer = loop.call_later(self._limit_s, arriving.end, TooSlowError(_TOO_SLOW))


_TOO_SLOW: Final = "the message did not arrive in time"


class _Arriving:
    """A message on its way in: who waits for it, since when it has a seat, and why it was ended."""

    timer: asyncio.TimerHandle
    since = 0.0

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self.error: Exception | None = None

    def end(self, error: Exception) -> None:
        """Let whoever waits fail with ``error``."""
        self.error = error
        self.timer.cancel()
        self._task.cancel()
