"""The door of a collector that keeps nothing: into a store that is durable by itself and shared."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import pyarrow as pa

from tracescape_ingest.accepting import Decoder, Signal
from tracescape_ingest.counting import Counting
from tracescape_ingest.direct import DEFAULT_LINGER_S, DEFAULT_MAX_WAITING_BYTES, Direct, Sink
from tracescape_ingest.intake import Door, Outcome
from tracescape_storage.attribute_columns import Sampler

#: Signals that the store has no table for, and what their senders are told.
Unkept = Mapping[Signal, str]
_NOTHING: Final[Unkept] = {}


class DirectIntake(Door):
    """Into a `Sink`; see `Direct`.

    Requests and spans that were accepted before are known for as long as this lives, and to nobody else.

    Args:
        sink: where; it stays the caller's to close, after this.
        unkept: signals all of whose items are rejected, and why.
        max_waiting_bytes: see `Direct`.
        linger_s: see `Direct`.
        compiled: see `Intake`.
        ready: see `Intake`.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        unkept: Unkept = _NOTHING,
        max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES,
        linger_s: float = DEFAULT_LINGER_S,
        compiled: bool = True,
        ready: Callable[[], None] | None = None,
    ) -> None:
        counting = Counting()
        watched = _Watched(sink)
        decoder = Decoder(secrets.randbits(63), lambda: watched.columns, ready or (lambda: None))
        pipeline = Direct(
            watched,
            max_waiting_bytes=max_waiting_bytes,
            linger_s=linger_s,
            kernels=decoder.duplicate_kernels,
            counting=counting,
        )
        super().__init__(decoder, pipeline, counting)
        self._unkept, self._direct = unkept, pipeline
        pipeline.start()
        if compiled:
            decoder.start()

    @property
    def stuck(self) -> str:
        """See `Direct.stuck`."""
        return self._direct.stuck

    def submit(self, signal: Signal, data: bytes, *, own: bool = False) -> Future[Outcome]:
        """See `Door.submit`. Items of a signal that is not kept are all rejected, with the reason."""
        if signal not in self._unkept:
            return super().submit(signal, data, own=own)
        request = self.decoder.decode(signal, data)
        rejected = request.items + request.rejected
        if not own:
            self.counting.received(signal, len(data), rejected=rejected)
        answer: Future[Outcome] = Future()
        answer.set_result(Outcome(0, rejected, self._unkept[signal] if rejected else ""))
        return answer


class _Watched:
    """A sink that tells which attributes many spans have: decoded into columns, they are not parsed again."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sampler = Sampler()
        #: As `DuckDBStore.attribute_columns`; it is replaced when more are found.
        self.columns: Mapping[str, str] = {}

    def prepare(self, *batches: Mapping[str, pa.Table]) -> Any:
        """See `Sink.prepare`."""
        for tables in batches:
            if "spans" in tables:
                new = self._sampler.look(tables["spans"]["attributes"], self.columns)
                self.columns = {**self.columns, **new}
        return self._sink.prepare(*batches)

    def insert(self, block: Any, token: str) -> None:
        """See `Sink.insert`."""
        self._sink.insert(block, token)
