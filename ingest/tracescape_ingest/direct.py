"""From accepted requests straight into a store that is durable by itself and shared with others.

No journal, no file: a collector in front of such a store keeps nothing, and there may be many. One thread
takes what waits, leaves out what it has accepted before, brings the rest into the store with one insert, and
only then answers. So an answer costs one insert that many share.

An insert that fails leaves one of three things behind, and the next step depends on which::

                      ┌──────── stored ───────▶ answered, remembered
    taken ─▶ insert ──┤──── certainly not ────▶ senders told to send again, forgotten
                      ├── for its content ────▶ halved until the culprit is alone: its sender is told not to
                      └───── in doubt ────────▶ senders told to send again; the same insert with the same
                                    ▲    │      token, again and again, until it is known
                                    └────┘

The store knows a token that it has seen, so an insert in doubt that is tried again is stored once. Nothing
else is taken meanwhile: when a client sends the same again, it is judged after that, and counts once.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum, auto
from types import ModuleType
from typing import Any, Final, Protocol

import pyarrow as pa

from tracescape_ingest.accepting import Accepted
from tracescape_ingest.counting import Commit, Counting
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.sifting import Seldom, Sieve
from tracescape_ingest.together import Admission, Waiting, for_one_waiter, is_of_content, tables_of
from tracescape_storage.errors import InDoubtError, StoreError, UnstorableError

_log = logging.getLogger(__name__)

DEFAULT_MAX_WAITING_BYTES: Final = 160 << 20
#: What an insert has at most, unless one request alone has more. Larger ones cost the store less a row, but
#: all of it is in memory several times.
DEFAULT_INSERT_ROWS: Final = 100_000
_INSERT_BYTES: Final = 64 << 20
#: From one insert to the next, unless this share of the rows waits: many small inserts are what a
#: column store takes worst.
DEFAULT_LINGER_S: Final = 0.2
_ENOUGH: Final = 0.25
#: Between two tries of an insert in doubt: at first, and at most.
_RETRY_S: Final = 0.1
_MAX_RETRY_S: Final = 5.0
#: How long closing waits for an insert in doubt.
DEFAULT_CLOSE_S: Final = 10.0


class Sink(Protocol):
    """A store that takes whole inserts, each once."""

    def prepare(self, *batches: Mapping[str, pa.Table]) -> Any:
        """What `insert` takes, of tables as in ``schema.TABLES``, of one signal. Touches no store.

        Raises:
            Exception: the content is to blame, unless it is a MemoryError, an OSError or a StoreError.
        """
        ...

    def insert(self, block: Any, token: str) -> None:
        """Store a block, whole, unless one with this token was stored before. Ends within a bounded time.

        Raises:
            UnstorableError: nothing of it is stored, and its content is why.
            InDoubtError: it may be stored. So it may for every error that is no StoreError.
            StoreError: any other: nothing of it is stored.
        """
        ...


class Fate(Enum):
    """What is known of an insert."""

    STORED = auto()
    NOT_STORED = auto()
    UNSTORABLE = auto()
    IN_DOUBT = auto()


def fate_of(error: Exception | None, *, doubted: bool) -> Fate:
    """What an attempt that ended so says of its insert; ``doubted``: after others that left it in doubt.

    A later attempt that certainly stored nothing says nothing of the first. One that was refused for its
    content does: the first had the same.
    """
    if error is None:
        return Fate.STORED
    if isinstance(error, UnstorableError):
        return Fate.UNSTORABLE
    if doubted or isinstance(error, InDoubtError) or not isinstance(error, StoreError):
        return Fate.IN_DOUBT
    return Fate.NOT_STORED


class Direct:
    """Stores accepted requests in a `Sink`.

    Args:
        sink: where; used by one thread. It stays the caller's to close, after this.
        max_waiting_bytes: the admission bound over all that is not answered, or in doubt.
        insert_rows: see `DEFAULT_INSERT_ROWS`.
        linger_s: see `DEFAULT_LINGER_S`.
        kernels: see `Sieve`.
        counting: where duplicates and inserts are counted.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        insert_rows: int = DEFAULT_INSERT_ROWS,
        linger_s: float = DEFAULT_LINGER_S,
        kernels: Callable[[], ModuleType | None] = lambda: None,
        counting: Counting | None = None,
    ) -> None:
        self._sink = sink
        self._admission = Admission(max_waiting_bytes)
        self._insert_rows = insert_rows
        self._linger_s = linger_s
        self._counting = counting or Counting()
        self._seen = Sieve(kernels, self._counting)
        self._seldom = Seldom(_log)
        self._changed = threading.Condition()
        self._arrived: deque[Waiting] = deque()
        self._rows = 0  # of what has arrived
        self._last_insert = -linger_s
        self._stuck = ""  # why nothing is taken
        self._close_by: float | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="tracescape-insert", daemon=True)

    def start(self) -> None:
        """Begin to take requests."""
        self._thread.start()

    def submit(self, request: Accepted) -> Future[None]:
        """Admit ``request``; the future resolves once it is stored, or fails with `StoreError`.

        Raises:
            OverloadError: it is not admitted, and nothing of it will be stored. One that is larger than the
                whole bound is admitted alone, so that it is not refused for ever.
        """
        waiting = Waiting.of(request)
        with self._changed:
            if self._close_by is not None or self._ended:
                raise OverloadError("the collector is shutting down")
            if self._stuck:
                raise OverloadError(self._stuck)
            self._admission.admit(waiting)
            self._rows += len(request.content)
            self._arrived.append(waiting)
            self._changed.notify_all()
        return waiting.done

    @property
    def held_bytes(self) -> int:
        """The bytes that admission counts now."""
        return self._admission.held_bytes

    @property
    def stuck(self) -> str:
        """Why nothing is taken: an insert is in doubt and the store does not answer; ``""`` where it does."""
        return self._stuck

    @property
    def is_pressed(self) -> bool:
        """Whether it pays to wait a moment before the next request: the store is catching up."""
        return self._admission.is_pressed and not self._stuck and self._close_by is None

    def settle(self, timeout_s: float | None = None) -> bool:
        """What was acknowledged is in the store already: True."""
        return True

    def catch_up(self, timeout_s: float | None = None) -> bool:
        """As `settle`."""
        return True

    def close(self, timeout_s: float = DEFAULT_CLOSE_S) -> None:
        """Refuse what is new, store what was admitted or tell its senders. Idempotent.

        An insert in doubt is tried for ``timeout_s`` more; its senders have been told before.
        """
        with self._changed:
            if self._close_by is None:
                self._close_by = time.monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._tell_arrived(StoreError("The collector was closed."))  # it was never started, or has failed

    # The thread.

    def _run(self) -> None:
        try:
            while group := self._next_group():
                try:
                    self._store(group)
                except Exception as error:  # whatever it is, those who wait must hear of it
                    _log.exception("storing failed in a way that nobody foresaw")
                    self._tell(group, error)
                finally:
                    self._release(group)
        finally:
            with self._changed:
                self._ended = True

    def _next_group(self) -> list[Waiting]:
        """What goes into the store together, of one signal; empty when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._close_by is not None)
            pause = self._last_insert + self._linger_s - time.monotonic()
            self._changed.wait_for(self._is_due, max(pause, 0.0))
            return self._taken()

    def _is_due(self) -> bool:
        return self._rows >= self._insert_rows * _ENOUGH or self._close_by is not None

    def _taken(self) -> list[Waiting]:
        group: list[Waiting] = []
        others: list[Waiting] = []
        rows = nbytes = 0
        while self._arrived and rows < self._insert_rows and nbytes < _INSERT_BYTES:
            waiting = self._arrived.popleft()
            if group and waiting.request.signal is not group[0].request.signal:
                others.append(waiting)
                continue
            group.append(waiting)
            rows += len(waiting.request.content)
            nbytes += waiting.nbytes
        self._arrived.extendleft(reversed(others))
        self._rows -= rows
        self._last_insert = time.monotonic()
        return group

    def _store(self, group: Sequence[Waiting]) -> None:
        """Bring ``group`` to its end: whoever waits is answered, and what is pending is kept or dropped."""
        new = [request for each in group if (request := self._seen.new_of(each.request)) is not None]
        fate, error = self._insert(group, new) if new else (Fate.STORED, None)
        if fate is Fate.STORED:
            self._seen.count()
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)
            self._seen.keep()
            return
        if fate is Fate.IN_DOUBT:  # and the collector closes over it: nobody can ask any more
            return
        self._seen.drop()
        told = all(each.done.done() for each in group)
        if fate is Fate.UNSTORABLE and len(group) > 1 and not told:
            middle = len(group) // 2
            self._store(group[:middle])
            self._store(group[middle:])
            return
        assert error is not None
        if fate is Fate.UNSTORABLE:
            self._seldom.say("content", f"a request cannot be stored: {error}")
            error = UnstorableError(str(error))
        self._tell(group, error)

    def _insert(self, group: Sequence[Waiting], new: Sequence[Accepted]) -> tuple[Fate, Exception | None]:
        try:
            block = self._sink.prepare(*tables_of(new))
        except Exception as failure:  # whatever it is, its senders are told
            return (Fate.UNSTORABLE if is_of_content(failure) else Fate.NOT_STORED), failure
        token = uuid.uuid4().hex
        begin = time.time_ns()
        error = self._attempt(block, token)
        fate = fate_of(error, doubted=False)
        if fate is Fate.IN_DOUBT:
            assert error is not None
            self._tell(group, error if isinstance(error, InDoubtError) else InDoubtError(_words(error)))
            fate, error = self._resolve(block, token, error)
        if fate is Fate.STORED:
            rows = sum(len(request.content) for request in new)
            self._counting.committed(Commit(begin, time.time_ns(), len(new), rows))
        elif fate is Fate.NOT_STORED:
            self._seldom.say("refused", f"the store takes nothing: {error}")
        return fate, error

    def _attempt(self, block: Any, token: str) -> Exception | None:
        try:
            self._sink.insert(block, token)
        except Exception as error:  # `fate_of` says what it means for the block
            return error
        return None

    def _resolve(self, block: Any, token: str, error: Exception) -> tuple[Fate, Exception | None]:
        """Try an insert in doubt until it is known; in doubt still when the collector closes over it."""
        pause_s = _RETRY_S
        failed: Exception | None = error
        try:
            while self._may_try_again(pause_s):
                failed = self._attempt(block, token)
                fate = fate_of(failed, doubted=True)
                if fate is not Fate.IN_DOUBT:
                    return fate, failed
                assert failed is not None
                self._stop_for(failed)
                pause_s = min(2 * pause_s, _MAX_RETRY_S)
            _log.error("closed before it was known whether the last insert was stored: %s", failed)
            return Fate.IN_DOUBT, failed
        finally:
            self._stuck = ""

    def _stop_for(self, error: Exception) -> None:
        """Two attempts have failed: until it goes on, nobody need wait for it."""
        self._seldom.say("doubt", f"an insert is in doubt and is tried again: {_words(error)}")
        with self._changed:
            self._stuck = f"the store does not answer ({_words(error)})"
        self._tell_arrived(StoreError(_words(error)))

    def _may_try_again(self, pause_s: float) -> bool:
        """Wait a moment; False when the collector closes and has tried for long enough."""
        with self._changed:
            if self._close_by is None:
                self._changed.wait_for(lambda: self._close_by is not None, pause_s)
            elif (left := self._close_by - time.monotonic()) > 0:
                self._changed.wait(min(pause_s, left))
            return self._close_by is None or time.monotonic() < self._close_by

    def _tell(self, group: Sequence[Waiting], error: Exception) -> None:
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_exception(for_one_waiter(error))

    def _tell_arrived(self, error: Exception) -> None:
        with self._changed:
            group = list(self._arrived)
            self._arrived.clear()
            self._rows = 0
        self._release(group)
        self._tell(group, error)

    def _release(self, group: Sequence[Waiting]) -> None:
        with self._changed:
            self._admission.release(group)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
