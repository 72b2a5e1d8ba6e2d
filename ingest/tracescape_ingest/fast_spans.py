"""OTLP trace requests through the compiled scan: what it gives is what `decode` gives, many times faster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracescape_ingest.envelope import Scope, Sender, scope_of, sender_of
from tracescape_ingest.fields import Rejected
from tracescape_ingest.wire import DecodeError, ExportTraceServiceRequest
from tracescape_storage.attribute_columns import WELL_KNOWN

if TYPE_CHECKING:
    from tracescape_native.otlp_traces import Column, Scanned, Scanner

_MAX_KNOWN: Final = 4096


@dataclass(slots=True)
class ScannedRequest:
    """The spans of one request, scanned but not yet in columns; ``rows[i]`` are those to be stored.

    ``data`` is the request itself: names and the like stay where they are. ``columns`` are the attributes
    with columns that the scan knew; those of another request of the same store begin, or go on, alike.
    """

    data: bytes
    scanned: Scanned
    rows: np.ndarray[Any, np.dtype[np.int64]]
    senders: list[Sender]
    scopes: list[Scope]
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> ScannedRequest:
        """Only the spans where ``mask``, a bool for each that is left, says so."""
        return replace(self, rows=self.rows[mask])

    @property
    def nbytes(self) -> int:
        """Bytes that it occupies in memory, without ``data``."""
        return self.scanned.nbytes


def _sample() -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key=b"service.name").value.string_value = b"sample"
    span = group.scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=b"sample")
    span.events.add(name=b"sample")
    span.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    for key in (b"a", b"b"):
        span.attributes.add(key=key).value.string_value = b"a value with text enough for words " * 4
    span.attributes.add(key=b"c").value.double_value = 0.5
    span.attributes.add(key=b"server.address").value.string_value = b"somewhere"
    span.attributes.add(key=b"server.port").value.int_value = 80
    return bytes(request.SerializeToString())


SAMPLE: Final = _sample()


class _Scanning(NamedTuple):
    """A scanner and what it knows: columns in their order, keys that ought to have one, and the store's."""

    scanner: Scanner
    columns: tuple[Column, ...]
    wanted: tuple[Column, ...]
    store_columns: Mapping[str, str]


class FastSpans:
    """The compiled scan with what it needs to know; safe to use from several threads.

    Importing and compiling the kernels takes seconds: make it in a thread that nobody waits for.

    Args:
        seed: secret seed of the fingerprints, the same for the whole life of a store.
        columns: gives the attributes for which the store has columns, see `DuckDBStore.attribute_columns`.
        wanted: those that get one as soon as they occur.
    """

    def __init__(
        self,
        seed: int,
        columns: Callable[[], Mapping[str, str]] = lambda: {},
        wanted: Mapping[str, str] = WELL_KNOWN,
    ) -> None:
        from tracescape_native import otlp_attributes, otlp_traces

        self._kernels = otlp_traces
        self._seed = seed
        self._kinds = {
            "VARCHAR": otlp_attributes.STRING,
            "BIGINT": otlp_attributes.INT,
            "DOUBLE": otlp_attributes.DOUBLE,
            "BOOLEAN": otlp_attributes.BOOL,
        }
        self._wanted = otlp_attributes.WANTED
        self._well_known = wanted
        self._store_columns = columns
        self._changing = threading.Lock()
        self._scanning = self._with_columns((), columns())
        self._senders: dict[tuple[bytes, bytes], Sender] = {}
        self._scopes: dict[tuple[bytes, bytes], Scope] = {}

    def compile(self) -> None:
        """Run every kernel of the way into the store once, on a request that has something of everything."""
        from tracescape_ingest.duplicates import Recent
        from tracescape_ingest.span_tables import span_tables
        from tracescape_native import recent, span_columns

        found = self.scan(SAMPLE)
        assert found is not None, "the sample is what an encoder writes"
        request, _ = found
        memory = Recent(1 << 12, lambda: recent)
        memory.judge(self.fingerprints(SAMPLE, request))
        memory.keep_pending()
        memory.add(np.ones((1 << 12, 2), np.int64))
        span_tables([request, request.keep(np.zeros(1, np.bool_))])
        span_columns.grown(span_columns.new_interned(1), 1)

    def scan(self, data: bytes) -> tuple[ScannedRequest, dict[str, int]] | None:
        """The spans of an encoded request and the reasons of those that are rejected, with counts.

        None when the request is unusual, which includes every one that is no request at all: then the
        reference decoder has to decide.
        """
        scanning = self._scanning
        if self._store_columns() is not scanning.store_columns:
            scanning = self._more_columns(scanning)
        while (scanned := scanning.scanner.scan(np.frombuffer(data, np.uint8))).status:
            if scanned.status > self._wanted:
                return None
            scanning = self._more_columns(scanning, scanned.status)
        try:
            senders = [_known(self._senders, sender_of, data, row) for row in scanned.resources.tolist()]
            scopes = [_known(self._scopes, scope_of, data, row) for row in scanned.scopes.tolist()]
        except (Rejected, DecodeError):
            return None
        reasons = {self._reason(code, detail): count for code, detail, count in scanned.rejected.tolist()}
        rows = np.arange(len(scanned.words))
        return ScannedRequest(data, scanned, rows, senders, scopes, scanning.columns), reasons

    def fingerprints(self, data: bytes, request: ScannedRequest) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Two hashes a span, int64 of shape (n, 2), equal for copies of a span and its resource."""
        scanned = request.scanned
        return self._kernels.fingerprints(np.frombuffer(data, np.uint8), scanned, seed=self._seed)

    def _more_columns(self, before: _Scanning, status: int = 0) -> _Scanning:
        """What to scan with from now on: columns that the store has by now, and the key that was missed."""
        with self._changing:
            columns = self._scanning.columns
            if status:
                wanted = before.wanted[self._wanted - status]
                columns += () if wanted in columns else (wanted,)
            self._scanning = self._with_columns(columns, self._store_columns())
            return self._scanning

    def _with_columns(self, columns: tuple[Column, ...], stored: Mapping[str, str]) -> _Scanning:
        have = {key for key, _ in columns}
        columns += tuple((key, self._kinds[kind]) for key, kind in stored.items() if key not in have)
        have |= stored.keys()
        wanted = tuple((key, self._kinds[kind]) for key, kind in self._well_known.items() if key not in have)
        return _Scanning(self._kernels.Scanner(columns, wanted, self._seed), columns, wanted, stored)

    def _reason(self, code: int, detail: int) -> str:
        kernels = self._kernels
        return {
            kernels.ENDS_BEFORE_START: "the span ends before it starts",
            kernels.BEYOND_2262: "the span's time is beyond the year 2262",
            kernels.TRACE_ID_LENGTH: f"the trace id has {detail} bytes, not 16",
            kernels.TRACE_ID_ZERO: "the trace id is all zero",
            kernels.SPAN_ID_LENGTH: f"the span id has {detail} bytes, not 8",
            kernels.SPAN_ID_ZERO: "the span id is all zero",
            kernels.PARENT_ID_LENGTH: f"the parent span id has {detail} bytes, not 8",
        }[code]


def _known(known: dict[tuple[bytes, bytes], Any], decode: Any, data: bytes, bounds: list[int]) -> Any:
    """What ``decode`` makes of a resource or scope; senders repeat theirs in every request."""
    key = data[bounds[0] : bounds[1]], data[bounds[2] : bounds[3]]
    found = known.get(key)
    if found is None:
        found = decode(*key)
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[key] = found
    return found
