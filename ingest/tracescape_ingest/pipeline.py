"""From accepted requests to the store: admitted, not seen before, in the journal, answered, settled.

Two threads. The first takes everything that waits, leaves out what has been accepted before, writes the rest
to the journal at once and answers; so an acknowledgement costs one ``fdatasync`` that many share. The second
brings what is in the journal into the store, many requests to a transaction: a columnar store wants whole row
groups. Whoever asks the store calls `Pipeline.settle` first and sees everything that was acknowledged before.

What is acknowledged is in the journal, so nothing that goes wrong later may lose it: the second thread takes
nothing off its queue before the store has it, goes past nothing that the store refused, and what it cannot
store at all is kept as a file of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import ModuleType
from typing import Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from tracescape_ingest.accepting import Accepted
from tracescape_ingest.counting import Commit, Counting
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.fast_spans import ScannedRequest
from tracescape_ingest.sifting import KINDS, Seldom, Sieve
from tracescape_ingest.together import Admission, Waiting, for_one_waiter, is_of_content, tables_of
from tracescape_storage.duckdb_file import Position
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.journal import Journal, Known, Record

_log = logging.getLogger(__name__)

DEFAULT_MAX_WAITING_BYTES: Final = 160 << 20
#: DuckDB's row group. Whole ones go straight into the file, compressed; anything less goes through its log
#: first and is written again at a checkpoint.
ROW_GROUP: Final = 122_880
#: How many of them a transaction has at most: its tables are in memory beside what they are made of.
_MOST_ROW_GROUPS: Final = 2
#: How long what is acknowledged may wait for company when nobody asks for it.
DEFAULT_LINGER_S: Final = 0.25
#: How long a question waits for what is not in the store yet, before it is answered without.
DEFAULT_SETTLE_S: Final = 5.0
#: So many items within so many seconds are a stream, beside which a question waits for no commit: it sees
#: what was acknowledged so long before, and all of it once nothing more comes for a moment.
_STREAM_ITEMS: Final = 20_000
_STREAM_S: Final = 2.0
_FRESH_S: Final = 0.8
_PAUSE_S: Final = 0.03
_LEFT_BEHIND_BYTES: Final = 64 << 20
_RETRY_S: Final = 1.0
_FAILURES_TOGETHER: Final = 3
SIGNALS: Final = {kind: signal for signal, kind in KINDS.items()}


class Appends(Protocol):
    """The part of a store that this needs; see `DuckDBStore`."""

    def append(self, *batches: Mapping[str, pa.Table], position: Position | None = None) -> None:
        """See `DuckDBStore.append`."""
        ...


class _Batch(NamedTuple):
    """What goes into the store together: the first ``whole`` that wait, and the beginning of the next."""

    requests: list[Accepted]
    whole: int
    rest: Accepted | None  # of the next
    rows: int
    position: Position


class Pipeline:
    """Stores accepted requests of one store.

    Args:
        store: where they settle.
        journal: where they are durable before that.
        position: what the store has of the journal.
        max_waiting_bytes: the admission bound over all that is not settled, decoded as it is. What an earlier
            process left in the journal does not count: it is read as it is settled.
        linger_s: see `DEFAULT_LINGER_S`.
        kernels: see `Sieve`.
        counting: where duplicates and commits are counted.
    """

    def __init__(
        self,
        store: Appends,
        journal: Journal,
        *,
        position: Position = Position(-1, 0),  # noqa: B008  # a NamedTuple: nobody can change it
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        linger_s: float = DEFAULT_LINGER_S,
        kernels: Callable[[], ModuleType | None] = lambda: None,
        counting: Counting | None = None,
    ) -> None:
        self._counting = counting or Counting()
        self._store = store
        self._journal = journal
        self._admission = Admission(max_waiting_bytes)
        self._linger_s = linger_s
        self._seen = Sieve(kernels, self._counting)
        self._seldom = Seldom(_log)
        self._known: Iterable[Known] = ()
        self._left_behind: Callable[[int], Iterator[Accepted]] = lambda after: iter(())
        self._changed = threading.Condition()
        self._arrived: deque[Waiting] = deque()
        self._unsettled: deque[Waiting] = deque()
        self._rows = 0  # of what is unsettled
        self._oldest = 0.0  # when the first of it came
        self._accepted: deque[tuple[float, int]] = deque(maxlen=10_000)  # when, and how many items
        self._closing = False
        self._journalled = False  # the first thread has ended
        self._ended = False  # the second has
        self._stuck = False  # the store does not take what is due
        self._wanted = -1  # somebody waits for everything up to this sequence
        self._settled = position.sequence
        self._journal_end = journal.last  # of what an earlier process left
        self._last = max(journal.last, self._settled)  # the last sequence that was acknowledged
        self._learned = False  # the journal has been looked through
        self._threads = [
            threading.Thread(target=self._accept, name="tracescape-journal", daemon=True),
            threading.Thread(target=self._settle_all, name="tracescape-settle", daemon=True),
        ]

    def recover(self, known: Iterable[Known], left_behind: Callable[[int], Iterator[Accepted]]) -> None:
        """Before `start`: what the journal has. Neither is read before that.

        Args:
            known: what must not be accepted again; the first thread reads it before it takes anything.
            left_behind: gives the requests beyond a sequence number that are not settled; called from the
                second thread, which reads on only as the store takes them.
        """
        self._known = known
        self._left_behind = left_behind

    def start(self) -> None:
        """Begin to take requests."""
        for thread in self._threads:
            thread.start()

    def submit(self, request: Accepted) -> Future[None]:
        """Admit ``request``; the future resolves once it is durable, or fails with `StoreError`.

        Raises:
            OverloadError: it is not admitted, and nothing of it will be stored. One that is larger than the
                whole bound is admitted alone, so that it is not refused for ever.
        """
        waiting = Waiting.of(request)
        with self._changed:
            if self._closing or self._ended or self._journalled:
                raise OverloadError("the collector is shutting down")
            self._admission.admit(waiting)
            self._arrived.append(waiting)
            self._changed.notify_all()
        return waiting.done

    @property
    def held_bytes(self) -> int:
        """The bytes that admission counts now."""
        return self._admission.held_bytes

    @property
    def is_pressed(self) -> bool:
        """Whether it pays to wait a moment before the next request: the store is catching up."""
        return self._admission.is_pressed and not (self._stuck or self._closing)

    def settle(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """Wait until the store has everything that was acknowledged before this call; whether it has.

        Does not wait for a store that takes nothing.
        """
        with self._changed:
            wanted = self._last
            self._wanted = max(self._wanted, wanted)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._settled >= wanted or self._stuck or self._ended, timeout_s)
            return self._settled >= wanted

    def catch_up(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """`settle` for a question. Beside a stream of requests it would wait for a commit each time.

        So while 10,000 items a second are accepted, and more of them as this waits for a moment, a question
        sees what was acknowledged 0.8 s before. Whoever writes and then asks sees all that they wrote.
        """
        with self._changed:
            before = self._last
            if self._is_stream() and self._is_fresh():
                self._changed.wait_for(lambda: self._last > before or self._settled >= before, _PAUSE_S)
                if self._settled >= before or (self._last > before and self._is_fresh()):
                    return True
        return self.settle(timeout_s)

    def _is_stream(self) -> bool:
        since = time.monotonic() - _STREAM_S
        while self._accepted and self._accepted[0][0] < since:
            self._accepted.popleft()
        return sum(items for _, items in self._accepted) >= _STREAM_ITEMS

    def _is_fresh(self) -> bool:
        """Whether all that is not in the store was acknowledged just now."""
        return not self._unsettled or time.monotonic() < self._oldest + _FRESH_S

    def close(self) -> None:
        """Admit nothing more, store what was admitted, end the threads. Idempotent.

        What cannot be settled now stays in the journal for the next start.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        while self._arrived:  # it was never started
            self._arrived.popleft().done.set_exception(StoreError("The collector was closed."))

    # The first thread.

    def _accept(self) -> None:
        try:
            self._learn()
            while group := self._next_arrived():
                self._journal_group(group)
        finally:
            with self._changed:
                self._journalled = True
                self._changed.notify_all()

    def _learn(self) -> None:
        """Remember what the journal has; nothing of that is removed before it has been looked through."""
        try:
            self._seen.learn(self._known)
        except Exception as error:
            _log.error("what was accepted before may be accepted a second time: %s", error)
        self._learned = True

    def _next_arrived(self) -> list[Waiting]:
        """Everything that waits; empty when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._closing)
            group = list(self._arrived)
            self._arrived.clear()
            return group

    def _journal_group(self, group: list[Waiting]) -> None:
        try:
            fresh = [waiting for waiting in group if self._is_new(waiting)]
            new = [_record(waiting.request) for waiting in fresh]
            records = self._journal.append(new, room=self._admission.held_bytes) if fresh else []
        except Exception as error:  # whatever it is, those who wait must hear of it and the thread must go on
            self._seen.drop()
            self._release(group)
            for waiting in group:
                waiting.done.set_exception(for_one_waiter(error))
            return
        # From here on it is durable, and will be settled: whatever fails now, the answer is yes.
        self._seen.count()
        for waiting, record in zip(fresh, records, strict=True):
            waiting.request.sequence = record.sequence
            waiting.request.payload = b""  # it is on disk
        with self._changed:
            if fresh:
                if not self._unsettled:
                    self._oldest = time.monotonic()
                self._unsettled.extend(fresh)
                rows = sum(len(waiting.request.content) for waiting in fresh)
                self._rows += rows
                self._accepted.append((time.monotonic(), rows))
                self._last = fresh[-1].request.sequence
            self._changed.notify_all()
        self._release([waiting for waiting in group if waiting.request.sequence < 0])
        for waiting in group:
            waiting.done.set_result(None)
        self._seen.keep()

    def _is_new(self, waiting: Waiting) -> bool:
        """Whether anything of a request is new; what is not is left out of it."""
        new = self._seen.new_of(waiting.request)
        if new is not None:
            waiting.request = new
        return new is not None

    # The second thread.

    def _settle_all(self) -> None:
        try:
            going_on = True
            for step in (self._settle_left_behind, self._settle_next):
                while going_on and (outcome := self._guarded(step)) is not None:
                    going_on = outcome
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _guarded(self, step: Callable[[], bool | None]) -> bool | None:
        """``step``, and once more later if it fails in a way that nobody foresaw."""
        try:
            return step()
        except Exception as error:
            self._seldom.say("failed", f"settling failed: {type(error).__name__}: {error}")
            _log.debug("settling failed", exc_info=error)
            return self._may_try_again()

    def _settle_left_behind(self) -> bool | None:
        """Store what an earlier process accepted, one batch at a time. None: done; False: closed over it."""
        if self._settled >= self._journal_end:
            return None
        requests: list[Accepted] = []
        rows = nbytes = 0
        for request in self._left_behind(self._settled):
            if request.sequence > self._journal_end:
                position = Position(self._journal_end, 0)
                break
            requests.append(request)
            rows += len(request.content)
            nbytes += request.nbytes
            if rows >= ROW_GROUP or nbytes >= _LEFT_BEHIND_BYTES:
                position = Position(request.sequence, 0)
                break
        else:
            position = Position(self._journal_end, 0)
        if not self._append(requests, position):
            return False
        with self._changed:
            self._settled = position.sequence
            self._changed.notify_all()
        self._forget()
        return True

    def _settle_next(self) -> bool | None:
        """Store what is due next. None: all is done; False: the collector closed over it."""
        batch = self._next_batch()
        if batch is None:
            return None
        begin = time.time_ns()
        if not self._append(batch.requests, batch.position):
            return False
        self._counting.committed(Commit(begin, time.time_ns(), len(batch.requests), batch.rows))
        with self._changed:
            self._admission.release(self._unsettled.popleft() for _ in range(batch.whole))
            if batch.rest is not None:
                self._unsettled[0].request = batch.rest
            else:
                self._oldest = time.monotonic()
            self._rows -= batch.rows
            self._settled = batch.position.sequence
            self._changed.notify_all()
        self._forget()
        return True

    def _next_batch(self) -> _Batch | None:
        """Whole row groups where there is enough for them, else everything that has waited long enough."""
        with self._changed:
            while not self._is_due():
                self._changed.wait(self._patience())
            if not self._unsettled:
                return None
            limit = min(self._rows // ROW_GROUP, _MOST_ROW_GROUPS) * ROW_GROUP
            requests: list[Accepted] = []
            rows = 0
            for waiting in self._unsettled:
                requests.append(waiting.request)
                rows += len(waiting.request.content)
                if limit and rows >= limit:
                    break
        last = requests[-1]
        stay = rows - limit if limit and isinstance(last.content, ScannedRequest) else 0
        if not stay:
            return _Batch(requests, len(requests), None, rows, Position(last.sequence, 0))
        mask = np.arange(len(last.content)) < len(last.content) - stay
        requests[-1], rest = last.keep(mask), last.keep(~mask)
        position = Position(last.sequence - 1, int(rest.content.rows[0]))
        return _Batch(requests, len(requests) - 1, rest, rows - stay, position)

    def _is_due(self) -> bool:
        if not self._unsettled:
            return self._journalled
        return (
            self._rows >= ROW_GROUP
            or self._wanted > self._settled
            or self._closing
            or time.monotonic() >= self._oldest + self._linger_s
        )

    def _patience(self) -> float | None:
        if not self._unsettled:
            return None
        return max(self._oldest + self._linger_s - time.monotonic(), 0.0)

    def _append(self, requests: list[Accepted], position: Position) -> bool:
        """Store ``requests``, however long that takes; False when the collector closes over it."""
        failures = 0
        while (error := self._attempt(requests, position)) is not None:
            if requests and is_of_content(error):
                if len(requests) > 1:
                    return self._append_one_by_one(requests, position)
                error = self._attempt(requests, position)  # perhaps it was not to blame
                if error is None:
                    break
                if is_of_content(error):
                    error = self._set_aside(requests[0], error)
                    if error is None:
                        requests = []
                        continue
            self._stop_for(error)
            if not self._may_try_again():
                return False
            failures += not isinstance(error, StoreFullError)
            if failures >= _FAILURES_TOGETHER and len(requests) > 1:
                return self._append_one_by_one(requests, position)  # less needs less memory
        self._stuck = False
        return True

    def _attempt(self, requests: list[Accepted], position: Position) -> Exception | None:
        """Store ``requests``; what went wrong, and then nothing of them is stored."""
        try:
            self._store.append(*tables_of(requests), position=position)
        except Exception as error:
            return error
        return None

    def _append_one_by_one(self, requests: list[Accepted], position: Position) -> bool:
        """One of ``requests`` cannot be stored: find it, so that it does not hold up the others."""
        for index, request in enumerate(requests):
            last = index == len(requests) - 1
            if not self._append([request], position if last else Position(request.sequence, 0)):
                return False
        return True

    def _set_aside(self, request: Accepted, reason: Exception) -> Exception | None:
        """Keep a request that cannot be stored; what went wrong with that."""
        try:
            path = self._journal.set_aside(request.sequence)
        except Exception as error:
            return error
        _log.error("a request cannot be stored: %s; it is kept as %s", reason, path)
        return None

    def _stop_for(self, error: Exception) -> None:
        self._seldom.say("stopped", f"{error}; what was accepted is safe in the journal, trying again")
        if isinstance(error, StoreFullError) and self._learned:
            try:
                self._journal.make_room()
            except OSError as failure:
                _log.debug("no room could be made", exc_info=failure)
        with self._changed:
            self._stuck = True
            self._changed.notify_all()

    def _may_try_again(self) -> bool:
        """Wait a moment; False when the collector closes."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closing, _RETRY_S)

    def _forget(self) -> None:
        if not self._learned:
            return
        try:
            self._journal.forget(self._settled)
        except OSError as error:
            self._seldom.say("kept", f"old segments of the journal could not be removed: {error}")

    def _release(self, group: Sequence[Waiting]) -> None:
        with self._changed:
            self._admission.release(group)
            self._changed.notify_all()


def _record(request: Accepted) -> Record:
    whole = len(request.content) == request.items
    return Record(
        KINDS[request.signal],
        request.payload,
        request.digest,
        request.fingerprints,
        None if whole else request.content.rows,
    )
