"""Many requests, one commit: what waits while a commit runs goes into the next one together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tracescape_storage.errors import StoreError
from tracescape_storage.schema import SpanBatch

DEFAULT_MAX_WAITING_BYTES: Final = 256 << 20
DEFAULT_MAX_COMMIT_ROWS: Final = 50_000


class OverloadError(Exception):
    """Not admitted: too much waits already, or the collector is closing. Sending again later is right."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: SpanBatch
    nbytes: int
    done: Future[None]


class GroupCommit:
    """Hands batches to ``append``, one call at a time, from a thread of its own.

    Args:
        append: stores a batch durably before it returns; may raise `StoreError`.
        max_waiting_bytes: the admission bound over all batches that wait or are being committed.
        max_commit_rows: spans after which a commit is not made larger.
    """

    def __init__(
        self,
        append: Callable[[SpanBatch], None],
        *,
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        max_commit_rows: int = DEFAULT_MAX_COMMIT_ROWS,
    ) -> None:
        self._append = append
        self._max_waiting_bytes = max_waiting_bytes
        self._max_commit_rows = max_commit_rows
        self._queue: deque[_Waiting] = deque()
        self._held_bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="tracescape-commit", daemon=True)
        self._thread.start()

    def submit(self, batch: SpanBatch) -> Future[None]:
        """Admit ``batch``; the future resolves once it is durable, or fails as ``append`` failed.

        Raises:
            OverloadError: the batch is not admitted, and nothing of it will be stored. A batch larger than
                the whole bound is admitted alone, so that it is not refused for ever.
        """
        nbytes = batch.nbytes
        with self._changed:
            if self._closing:
                raise OverloadError("the collector is shutting down")
            if self._held_bytes and self._held_bytes + nbytes > self._max_waiting_bytes:
                raise OverloadError(f"{self._held_bytes >> 20} MiB of spans wait to be stored already")
            waiting = _Waiting(batch, nbytes, Future())
            self._held_bytes += nbytes
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.done

    def close(self) -> None:
        """Admit nothing more, store what was admitted, end the thread. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
            with self._changed:
                self._held_bytes -= sum(waiting.nbytes for waiting in group)

    def _next_group(self) -> list[_Waiting]:
        """Everything that waits, up to the size of a commit; empty when closed and drained."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            group: list[_Waiting] = []
            rows = 0
            while self._queue and (not group or rows < self._max_commit_rows):
                waiting = self._queue.popleft()
                group.append(waiting)
                rows += waiting.batch.spans.num_rows
            return group

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            self._append(_concatenated([waiting.batch for waiting in group]))
        except Exception as error:  # whatever it is, those who wait must hear of it and the thread must go on
            for waiting in group:
                waiting.done.set_exception(_for_one_waiter(error))
        else:
            for waiting in group:
                waiting.done.set_result(None)


def _concatenated(batches: list[SpanBatch]) -> SpanBatch:
    if len(batches) == 1:
        return batches[0]
    return SpanBatch(*(pa.concat_tables(tables) for tables in zip(*batches, strict=True)))


def _for_one_waiter(error: Exception) -> Exception:
    """An exception of its own for each waiter, so that their tracebacks do not grow into each other."""
    if isinstance(error, StoreError):
        return type(error)(*error.args)
    return StoreError(f"Storing failed unexpectedly: {type(error).__name__}: {error}")
