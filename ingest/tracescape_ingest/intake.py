"""The door behind every receiver: encoded OTLP in, an outcome once it is durable."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import NamedTuple, Protocol

import numpy as np

from tracescape_ingest.accepting import Accepted, Decoder, Signal
from tracescape_ingest.counting import Counting
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.pipeline import (
    DEFAULT_LINGER_S,
    DEFAULT_MAX_WAITING_BYTES,
    DEFAULT_SETTLE_S,
    SIGNALS,
    Pipeline,
)
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore, Position
from tracescape_storage.journal import DEFAULT_KEPT_BYTES, Journal, Record

_log = logging.getLogger(__name__)

__all__ = ["Door", "Intake", "Outcome", "OverloadError", "Signal"]


class Outcome(NamedTuple):
    """What became of a request: items stored (duplicates included), items rejected, and the reasons.

    ``message`` is for ``partial_success.error_message``: empty when there is nothing to say.
    """

    accepted: int
    rejected: int
    message: str


def _columns_of(store: DuckDBStore) -> Callable[[], Mapping[str, str]]:
    """`DuckDBStore.attribute_columns`, without holding the store.

    The thread that compiles may still run when the process ends; what it held then would count as leaked.
    """
    reference = weakref.ref(store)

    def columns() -> Mapping[str, str]:
        held = reference()
        return {} if held is None else held.attribute_columns

    return columns


class Stores(Protocol):
    """What decoded requests are handed to; see `Pipeline` and `Direct`."""

    @property
    def is_pressed(self) -> bool:
        """See `Pipeline.is_pressed`."""
        ...

    @property
    def held_bytes(self) -> int:
        """See `Pipeline.held_bytes`."""
        ...

    def submit(self, request: Accepted) -> Future[None]:
        """See `Pipeline.submit`."""
        ...

    def settle(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """See `Pipeline.settle`."""
        ...

    def catch_up(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """See `Pipeline.catch_up`."""
        ...

    def close(self) -> None:
        """See `Pipeline.close`."""
        ...


class Door:
    """Decodes, admits and stores requests of one store. Safe to use from several threads.

    Args:
        decoder: of that store.
        pipeline: where what is decoded goes; started.
        counting: shared with ``pipeline``.
    """

    def __init__(self, decoder: Decoder, pipeline: Stores, counting: Counting) -> None:
        self.decoder = decoder
        self.counting = counting
        self._pipeline = pipeline

    @property
    def is_pressed(self) -> bool:
        """See `Pipeline.is_pressed`."""
        return self._pipeline.is_pressed

    @property
    def held_bytes(self) -> int:
        """What is in memory because it is not stored."""
        return self._pipeline.held_bytes

    def submit(self, signal: Signal, data: bytes, *, own: bool = False) -> Future[Outcome]:
        """Take an encoded ``Export…ServiceRequest``; the future resolves once its items are on disk.

        Decoding happens in the caller's thread. The future fails with `StoreError` when storing failed. What
        the collector says about itself (``own``) is not counted.

        Raises:
            UndecodableError: ``data`` is no such message.
            OverloadError: not admitted, nothing of it will be stored; sending again later is right.
        """
        begin = time.monotonic()
        counting = Counting() if own else self.counting
        request = self.decoder.decode(signal, data)
        counting.received(signal, len(data), rejected=request.rejected)
        outcome = Outcome(request.items, request.rejected, request.message)
        answer: Future[Outcome] = Future()
        answer.set_running_or_notify_cancel()  # what is admitted cannot be called off
        if not request.items:
            answer.set_result(outcome)
            return answer

        def settle(done: Future[None]) -> None:
            error = done.exception()
            if error is None:
                counting.acknowledged(signal, request.items, time.monotonic() - begin)
                answer.set_result(outcome)
            else:
                answer.set_exception(error)

        self._pipeline.submit(request).add_done_callback(settle)
        return answer

    def refused(self, signal: Signal) -> None:
        """Count a request whose sender was told to send it again, wherever that was decided."""
        self.counting.refused(signal)

    def settle(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """Wait until a question sees everything that was acknowledged before; see `Pipeline.settle`."""
        return self._pipeline.settle(timeout_s)

    def catch_up(self, timeout_s: float | None = DEFAULT_SETTLE_S) -> bool:
        """What a question of somebody else waits for; see `Pipeline.catch_up`."""
        return self._pipeline.catch_up(timeout_s)

    def close(self) -> None:
        """Refuse what is new, store what was accepted. Idempotent."""
        self._pipeline.close()


class Intake(Door):
    """Into a store in a file, through its journal.

    What an earlier process accepted and did not settle is settled first, from the journal, while requests
    are taken already.

    Args:
        store: an open store; it stays the caller's to close, after this.
        max_waiting_bytes: see `Pipeline`.
        linger_s: see `Pipeline`.
        kept_bytes: see `Journal`.
        compiled: whether to make the compiled decoder ready; without it, the reference decoder does all.
        ready: called from another thread when the compiled decoder serves.

    Raises:
        StoreError: the journal cannot be used, or belongs to another store.
    """

    def __init__(
        self,
        store: DuckDBStore,
        *,
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        linger_s: float = DEFAULT_LINGER_S,
        kept_bytes: int = DEFAULT_KEPT_BYTES,
        compiled: bool = True,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        counting = Counting()
        decoder = Decoder(store.seed, _columns_of(store), ready or (lambda: None))
        position = store.position
        self._journal = Journal(
            store.journal_folder,
            settled=position.sequence,
            partly=position.rows > 0,
            seed=store.seed,
            kept_bytes=kept_bytes,
        )
        try:
            pipeline = Pipeline(
                store,
                self._journal,
                position=position,
                max_waiting_bytes=max_waiting_bytes,
                linger_s=linger_s,
                kernels=decoder.duplicate_kernels,
                counting=counting,
            )
            pipeline.recover(self._journal.known(), lambda after: self._left_behind(after, position))
        except BaseException:
            self._journal.close()
            raise
        super().__init__(decoder, pipeline, counting)
        pipeline.start()
        if compiled:
            decoder.start()

    def reader(self) -> DuckDBReader:
        """A reader that sees everything that was acknowledged before this call."""
        self.settle()
        return self._store.reader()

    def close(self) -> None:
        """Refuse what is new, store what was accepted. Idempotent."""
        super().close()
        self._journal.close()

    def _left_behind(self, after: int, position: Position) -> Iterator[Accepted]:
        """What is in the journal beyond ``after``; ``position`` is where the store was at the start."""
        for record in self._journal.records(after):
            skipped = position.rows if record.sequence == position.sequence + 1 else 0
            try:
                yield self._decoded_again(record, skipped)
            except MemoryError:
                raise  # later there may be more
            except Exception as error:
                path = self._journal.set_aside(record.sequence)
                _log.error(
                    "a request that was accepted cannot be decoded (%s); it is kept as %s", error, path
                )

    def _decoded_again(self, record: Record, skipped: int) -> Accepted:
        """The items of a record that were new when it was accepted, without the first ``skipped`` numbers."""
        request = self.decoder.decode(SIGNALS[record.kind], record.payload)
        request.sequence = record.sequence
        rows = request.content.rows
        if record.rows is not None:
            request = request.keep(np.isin(rows, record.rows))
        if skipped:
            request = request.keep(request.content.rows >= skipped)
        return request
