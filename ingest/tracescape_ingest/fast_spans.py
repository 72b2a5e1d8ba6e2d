"""OTLP trace requests through the compiled scan: what it gives is what `decode` gives, many times faster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracescape_ingest.envelope import Scope, Sender, scope_of, sender_of
from tracescape_ingest.fields import Rejected
from tracescape_ingest.wire import DecodeError, ExportTraceServiceRequest
from tracescape_storage.schema import INTEGER_PROMOTED, PROMOTED

if TYPE_CHECKING:
    from tracescape_native.otlp_traces import Scanned

_MAX_KNOWN: Final = 4096


@dataclass(slots=True)
class ScannedRequest:
    """The spans of one request, scanned but not yet in columns; ``rows[i]`` are those to be stored.

    ``data`` is the request itself: names and the like stay where they are.
    """

    data: bytes
    scanned: Scanned
    rows: np.ndarray[Any, np.dtype[np.int64]]
    senders: list[Sender]
    scopes: list[Scope]

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
    return bytes(request.SerializeToString())


SAMPLE: Final = _sample()


class FastSpans:
    """The compiled scan with what it needs to know; safe to use from several threads.

    Importing and compiling the kernels takes seconds: make it in a thread that nobody waits for.

    Args:
        seed: secret seed of the fingerprints, the same for the whole life of a store.
    """

    def __init__(self, seed: int) -> None:
        from tracescape_native import otlp_traces

        self._kernels = otlp_traces
        self._seed = seed
        promoted = [(keys, column in INTEGER_PROMOTED) for column, keys in PROMOTED.items()]
        self._scanner = otlp_traces.Scanner(promoted, seed)
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
        scanned = self._scanner.scan(np.frombuffer(data, np.uint8))
        if scanned.status:
            return None
        try:
            senders = [_known(self._senders, sender_of, data, row) for row in scanned.resources.tolist()]
            scopes = [_known(self._scopes, scope_of, data, row) for row in scanned.scopes.tolist()]
        except (Rejected, DecodeError):
            return None
        reasons = {self._reason(code, detail): count for code, detail, count in scanned.rejected.tolist()}
        rows = np.arange(len(scanned.words))
        return ScannedRequest(data, scanned, rows, senders, scopes), reasons

    def fingerprints(self, data: bytes, request: ScannedRequest) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Two hashes a span, int64 of shape (n, 2), equal for copies of a span and its resource."""
        scanned = request.scanned
        return self._kernels.fingerprints(np.frombuffer(data, np.uint8), scanned, seed=self._seed)

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
