"""From accepted requests to the store: admitted, not seen before, in the journal, answered, settled.

Two threads. The first takes everything that waits, leaves out what has been accepted before, writes the rest
to the journal at once and answers; so an acknowledgement costs one ``fdatasync`` that many share. The second
brings what is in the journal into the store, many requests to a transaction: a columnar store wants whole row
groups. Whoever asks the store calls `Pipeline.settle` first and sees everything that was acknowledged before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from tracescape_ingest.accepting import Accepted, Signal, TableRequest
from tracescape_ingest.counting import Commit, Counting
from tracescape_ingest.duplicates import (
    DEFAULT_REQUESTS,
    DEFAULT_SPANS,
    SAME_IDENTITY,
    SEEN,
    Recent,
    request_fingerprint,
)
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.fast_spans import ScannedRequest
from tracescape_storage.duckdb_file import Position
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.journal import Journal, Record

_log = logging.getLogger(__name__)

DEFAULT_MAX_WAITING_BYTES: Final = 256 << 20
#: DuckDB's row group. Whole ones go straight into the file, compressed; anything less goes through its log
#: first and is written again at a checkpoint.
ROW_GROUP: Final = 122_880
#: How long what is acknowledged may wait for company when nobody asks for it.
DEFAULT_LINGER_S: Final = 0.25
#: How long a question waits for what is not in the store yet, before it is answered without.
DEFAULT_SETTLE_S: Final = 5.0
_RETRY_S: Final = 1.0
_SAY_EVERY_S: Final = 30.0
_KINDS: Final = {Signal.TRACES: 1, Signal.LOGS: 2, Signal.METRICS: 3}
SIGNALS: Final = {kind: signal for signal, kind in _KINDS.items()}


class Appends(Protocol):
    """The part of a store that this needs; see `DuckDBStore`."""

    def append(self, *batches: Mapping[str, pa.Table], position: Position | None = None) -> None:
        """See `DuckDBStore.append`."""
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Accepted
    nbytes: int
    done: Future[None]


class Pipeline:
    """Stores accepted requests of one store.

    Args:
        store: where they settle.
        journal: where they are durable before that.
        max_waiting_bytes: the admission bound over all that is not settled.
        linger_s: see `DEFAULT_LINGER_S`.
        kernels: see `Recent`.
        counting: where duplicates and commits are counted.
    """

    def __init__(
        self,
        store: Appends,
        journal: Journal,
        *,
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        linger_s: float = DEFAULT_LINGER_S,
        kernels: Callable[[], ModuleType | None] = lambda: None,
        counting: Counting | None = None,
    ) -> None:
        self._counting = counting or Counting()
        self._store = store
        self._journal = journal
        self._max_waiting_bytes = max_waiting_bytes
        self._linger_s = linger_s
        self._requests = Recent(DEFAULT_REQUESTS, kernels)
        self._spans = Recent(DEFAULT_SPANS, kernels)
        self._changed = threading.Condition()
        self._arrived: deque[_Waiting] = deque()
        self._unsettled: deque[_Waiting] = deque()
        self._rows = 0  # of what is unsettled
        self._oldest = 0.0  # when the first of it came
        self._held_bytes = 0
        self._closing = False
        self._journalled = False  # the first thread has ended
        self._wanted = -1  # somebody waits for everything up to this sequence
        self._last = -1  # the last sequence that was acknowledged
        self._settled = -1
        self._said_at = -_SAY_EVERY_S
        self._threads = [
            threading.Thread(target=self._accept, name="tracescape-journal", daemon=True),
            threading.Thread(target=self._settle_all, name="tracescape-settle", daemon=True),
        ]

    def recover(self, records: Iterable[tuple[Record, Accepted | None]], position: Position) -> None:
        """Before `start`: what the journal has. ``None`` stands for a request that is settled."""
        self._last = self._settled = position.sequence
        for record, request in records:
            self._requests.add(request_fingerprint(record.digest))
            self._spans.add(record.fingerprints)
            self._last = record.sequence
            if request is None:
                continue
            request.sequence = record.sequence
            request = _as_accepted(request, record)
            if record.sequence == position.sequence + 1 and position.rows:
                request = request.keep(request.content.rows >= position.rows)
            self._unsettled.append(_Waiting(request, request.nbytes, Future()))
            self._held_bytes += request.nbytes
            self._rows += len(request.content)

    def start(self) -> None:
        """Begin to take requests."""
        for thread in self._threads:
            thread.start()

    @property
    def held_bytes(self) -> int:
        """The bytes that admission counts now."""
        return self._held_bytes

    def submit(self, request: Accepted) -> Future[None]:
        """Admit ``request``; the future resolves once it is durable, or fails with `StoreError`.

        Raises:
            OverloadError: it is not admitted, and nothing of it will be stored. One that is larger than the
                whole bound is admitted alone, so that it is not refused for ever.
        """
        waiting = _Waiting(request, request.nbytes, Future())
        with self._changed:
            if self._closing:
                raise OverloadError("the collector is shutting down")
            if self._held_bytes and self._held_bytes + waiting.nbytes > self._max_waiting_bytes:
                raise OverloadError(f"{self._held_bytes >> 20} MiB wait to be stored already")
            self._held_bytes += waiting.nbytes
            self._arrived.append(waiting)
            self._changed.notify_all()
        return waiting.done

    def settle(self, timeout_s: float = DEFAULT_SETTLE_S) -> bool:
        """Wait until the store has everything that was acknowledged before this call; whether it has."""
        with self._changed:
            wanted = self._last
            self._wanted = max(self._wanted, wanted)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= wanted, timeout_s)

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

    # The first thread.

    def _accept(self) -> None:
        while group := self._next_arrived():
            self._journal_group(group)
        with self._changed:
            self._journalled = True
            self._changed.notify_all()

    def _next_arrived(self) -> list[_Waiting]:
        """Everything that waits; empty when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._closing)
            group = list(self._arrived)
            self._arrived.clear()
            return group

    def _journal_group(self, group: list[_Waiting]) -> None:
        try:
            fresh = [waiting for waiting in group if self._is_new(waiting)]
            if fresh:
                records = self._journal.append([_record(waiting.request) for waiting in fresh])
                for waiting, record in zip(fresh, records, strict=True):
                    waiting.request.sequence = record.sequence
                    waiting.request.payload = b""  # it is on disk
        except Exception as error:  # whatever it is, those who wait must hear of it and the thread must go on
            self._requests.drop_pending()
            self._spans.drop_pending()
            self._release(group)
            for waiting in group:
                waiting.done.set_exception(_for_one_waiter(error))
            return
        self._requests.keep_pending()
        self._spans.keep_pending()
        with self._changed:
            if fresh and not self._unsettled:
                self._oldest = time.monotonic()
            self._unsettled.extend(fresh)
            self._rows += sum(len(waiting.request.content) for waiting in fresh)
            self._last = fresh[-1].request.sequence if fresh else self._last
            self._changed.notify_all()
        self._release([waiting for waiting in group if waiting.request.sequence < 0])
        for waiting in group:
            waiting.done.set_result(None)

    def _is_new(self, waiting: _Waiting) -> bool:
        """Whether anything of a request is new; what is not is left out of it."""
        request = waiting.request
        _, new = self._requests.judge(request_fingerprint(request.digest))
        if not new or not len(request.content):
            self._counting.left_out(request.signal, len(request.content))
            return False
        if not len(request.fingerprints):
            return True
        verdicts, new = self._spans.judge(request.fingerprints)
        if other := int((verdicts == SAME_IDENTITY).sum()):
            _log.warning("%d spans have ids that were stored with other content before; both are kept", other)
        if new < len(verdicts):
            self._counting.left_out(request.signal, len(verdicts) - new)
            waiting.request = request.keep(verdicts != SEEN)
        return new > 0

    # The second thread.

    def _settle_all(self) -> None:
        while group := self._next_unsettled():
            self._store_group(*group)

    def _next_unsettled(self) -> tuple[list[_Waiting], int] | None:
        """What goes into the store next, and how many rows of the last one stay; None when all is done.

        Whole row groups where there is enough for them, else everything, once it has waited long enough.
        """
        with self._changed:
            self._changed.wait_for(self._is_due, self._patience())
            while not self._is_due():
                self._changed.wait_for(self._is_due, self._patience())
            if not self._unsettled:
                return None
            limit = self._rows // ROW_GROUP * ROW_GROUP
            group: list[_Waiting] = []
            rows = 0
            while self._unsettled and (not limit or rows < limit):
                waiting = self._unsettled[0]
                group.append(waiting)
                rows += len(waiting.request.content)
                self._unsettled.popleft()
            stay = rows - limit if limit and _can_split(group[-1].request) else 0
            if not stay:
                self._oldest = time.monotonic()
            self._rows -= rows
            return group, stay

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

    def _store_group(self, group: list[_Waiting], stay: int) -> None:
        last = group[-1].request
        rest: Accepted | None = None
        position = Position(last.sequence, 0)
        requests = [waiting.request for waiting in group]
        if stay:
            mask = np.arange(len(last.content)) < len(last.content) - stay
            requests[-1], rest = last.keep(mask), last.keep(~mask)
            position = Position(last.sequence - 1, int(rest.content.rows[0]))
        begin = time.time_ns()
        if not self._append(requests, position):
            return
        items = sum(len(request.content) for request in requests)
        self._counting.committed(Commit(begin, time.time_ns(), len(requests), items))
        done = group[:-1] if rest is not None else group
        with self._changed:
            if rest is not None:
                group[-1].request = rest
                self._unsettled.appendleft(group[-1])
                self._rows += len(rest.content)
            self._settled = position.sequence
            self._changed.notify_all()
        self._release(done)
        self._journal.forget(position.sequence)

    def _append(self, requests: list[Accepted], position: Position) -> bool:
        """Store ``requests``, however long that takes; False when the collector closes over it."""
        while True:
            try:
                self._store.append(*_tables(requests), position=position)
            except Exception as error:
                self._say_seldom(f"{error}; what was accepted is safe in the journal, trying again")
                full = isinstance(error, StoreFullError)
                if not full and len(requests) > 1:
                    return self._append_one_by_one(requests, position)
                if not full:
                    self._set_aside(requests[0], error)
                    requests = []
                with self._changed:
                    if self._closing and full:
                        return False
                    self._changed.wait(_RETRY_S)
            else:
                return True

    def _append_one_by_one(self, requests: list[Accepted], position: Position) -> bool:
        """One of ``requests`` cannot be stored: find it, so that it does not hold up the others."""
        for index, request in enumerate(requests):
            last = index == len(requests) - 1
            if not self._append([request], position if last else Position(request.sequence, 0)):
                return False
        return True

    def _set_aside(self, request: Accepted, error: Exception) -> None:
        path = self._journal.set_aside(request.sequence)
        _log.error("a request cannot be stored (%s); it is kept as %s", error, path)

    def _say_seldom(self, message: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            _log.error("%s", message)

    def _release(self, group: Sequence[_Waiting]) -> None:
        with self._changed:
            self._held_bytes -= sum(waiting.nbytes for waiting in group)


def _for_one_waiter(error: Exception) -> Exception:
    """An exception of its own for each waiter, so that their tracebacks do not grow into each other."""
    if isinstance(error, StoreError):
        return type(error)(*error.args)
    return StoreError(f"Storing failed unexpectedly: {type(error).__name__}: {error}")


def _record(request: Accepted) -> Record:
    return Record(_KINDS[request.signal], request.payload, request.digest, request.fingerprints)


def _as_accepted(request: Accepted, record: Record) -> Accepted:
    """The spans of a record that is decoded again which were new when it was accepted."""
    if len(record.fingerprints) == len(request.fingerprints):
        return request
    wanted: dict[tuple[int, int], int] = {}
    for pair in map(tuple, record.fingerprints.tolist()):
        wanted[pair] = wanted.get(pair, 0) + 1
    mask = np.zeros(len(request.fingerprints), bool)
    for index, pair in enumerate(map(tuple, request.fingerprints.tolist())):
        if wanted.get(pair, 0):
            wanted[pair] -= 1
            mask[index] = True
    return request.keep(mask)


def _can_split(request: Accepted) -> bool:
    return isinstance(request.content, ScannedRequest)


def _tables(requests: Sequence[Accepted]) -> list[Mapping[str, pa.Table]]:
    """The tables of all requests: scanned ones together, those that are in tables concatenated by kind."""
    batches: list[Mapping[str, pa.Table]] = []
    scanned = [request.content for request in requests if isinstance(request.content, ScannedRequest)]
    if scanned:
        from tracescape_ingest.span_tables import span_tables

        batches.append(span_tables(scanned))
    tables: dict[str, list[Any]] = {}
    for request in requests:
        if isinstance(request.content, TableRequest):
            for name, table in request.content.tables.items():
                tables.setdefault(name, []).append(table)
    if tables:
        batches.append({name: pa.concat_tables(parts) for name, parts in tables.items()})
    return batches
