"""From encoded requests to what can be stored: the compiled scan where it is ready, else the reference."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tracescape_ingest.decode import Rows, decode_traces
from tracescape_ingest.envelope import first_reasons
from tracescape_ingest.fast_spans import FastSpans, ScannedRequest
from tracescape_ingest.limits import KERNELS_THREAD
from tracescape_ingest.logs import decode_logs
from tracescape_ingest.metrics import decode_metrics
from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.journal import digest_of

_log = logging.getLogger(__name__)

#: What a request occupies beside its arrays: objects, locks, a future.
_OBJECTS_BYTES: Final = 4096
_NO_FINGERPRINTS: Final = np.empty((0, 2), np.int64)


class Signal(StrEnum):
    """What OTLP carries."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


@dataclass(slots=True)
class TableRequest:
    """A request in tables; ``owners`` as in `decode.Decoded`, ``rows`` as in `ScannedRequest`."""

    tables: dict[str, pa.Table]
    rows: Rows
    owners: dict[str, Rows]

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> TableRequest:
        """Only the spans where ``mask``, a bool for each that is left, says so."""
        numbers = np.cumsum(mask) - 1
        tables, owners = dict(self.tables), {}
        tables["spans"] = tables["spans"].filter(pa.array(mask))
        for name, owner in self.owners.items():
            tables[name] = tables[name].filter(pa.array(mask[owner]))
            owners[name] = numbers[owner[mask[owner]]]
        return TableRequest(tables, self.rows[mask], owners)

    @property
    def nbytes(self) -> int:
        """Bytes that it occupies in memory."""
        return int(sum(table.nbytes for table in self.tables.values()))


@dataclass(slots=True)
class Accepted:
    """A request that can be stored, and what was left out of it.

    ``fingerprints`` are those of ``content``'s spans, int64 of shape (n, 2); logs and metrics have none.
    """

    signal: Signal
    payload: bytes
    digest: bytes
    content: ScannedRequest | TableRequest
    fingerprints: Rows
    items: int
    rejected: int
    message: str
    sequence: int = -1

    def keep(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Accepted:
        """The same with only the spans where ``mask`` says so."""
        return replace(self, content=self.content.keep(mask), fingerprints=self.fingerprints[mask])

    @property
    def nbytes(self) -> int:
        """Bytes that it occupies in memory: the unit of admission."""
        return len(self.payload) + self.content.nbytes + self.fingerprints.nbytes + _OBJECTS_BYTES


class Decoder:
    """Decodes requests of one store; safe to use from several threads.

    The compiled scan is made ready in a thread of its own; until then, and for what it leaves, the reference
    decoder serves. Both give the same.

    Args:
        seed: see `DuckDBStore.seed`.
        columns: gives `DuckDBStore.attribute_columns`.
        ready: called once, from that thread, when the compiled scan serves.
        wanted: attributes that get columns as soon as they occur.
    """

    def __init__(
        self,
        seed: int,
        columns: Callable[[], Mapping[str, str]] = dict,
        ready: Callable[[], None] = lambda: None,
        wanted: Mapping[str, str] = WELL_KNOWN,
    ) -> None:
        self._seed = seed
        self._wanted = wanted
        self._columns = columns
        self._ready = ready
        self._fast: FastSpans | None = None
        self._thread = threading.Thread(target=self._prepare, name=KERNELS_THREAD, daemon=True)

    def start(self) -> None:
        """Begin to make the compiled scan ready."""
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the compiled scan serves; whether it does."""
        self._thread.join(timeout_s)
        return self._fast is not None

    def duplicate_kernels(self) -> ModuleType | None:
        """`tracescape_native.recent`, once it is compiled."""
        if self._fast is None:
            return None
        from tracescape_native import recent

        return recent

    def decode(self, signal: Signal, data: bytes) -> Accepted:
        """Decode an encoded ``Export…ServiceRequest``.

        Raises:
            UndecodableError: ``data`` is no such message.
        """
        if signal is Signal.TRACES:
            return self._quickly(data) or self._slowly(data)
        decoded = decode_logs(data) if signal is Signal.LOGS else decode_metrics(data)
        content = TableRequest(decoded.tables, np.arange(decoded.items), {})
        return Accepted(
            signal,
            data,
            digest_of(data),
            content,
            _NO_FINGERPRINTS,
            decoded.items,
            decoded.rejected,
            decoded.message,
        )

    def _quickly(self, data: bytes) -> Accepted | None:
        """None where the reference decoder has to decide."""
        fast = self._fast
        if fast is None or not data:
            return None
        try:
            found = fast.scan(data)
            if found is None:
                return None
            content, reasons = found
            prints = fast.fingerprints(data, content)
        except Exception:  # a fault of ours must cost the sender time, not the request
            _log.exception("the compiled decoder failed at a request of %d bytes", len(data))
            return None
        message, rejected = first_reasons(reasons), sum(reasons.values())
        return Accepted(
            Signal.TRACES, data, digest_of(data), content, prints, len(content), rejected, message
        )

    def _slowly(self, data: bytes) -> Accepted:
        decoded = decode_traces(data, seed=self._seed, columns=dict(self._wanted) | dict(self._columns()))
        content = TableRequest(decoded.tables, np.arange(decoded.items), decoded.owners)
        return Accepted(
            Signal.TRACES,
            data,
            digest_of(data),
            content,
            decoded.fingerprints,
            decoded.items,
            decoded.rejected,
            decoded.message,
        )

    def _prepare(self) -> None:
        try:
            fast = FastSpans(self._seed, self._columns, self._wanted)
            fast.compile()
        except Exception:  # whatever keeps the kernels from compiling, the reference goes on
            _log.exception("the compiled decoder cannot be used; the slower one serves")
            return
        self._fast = fast
        self._ready()
