"""The read side of a store: one small protocol, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import pyarrow as pa

from tracescape_storage.filters import Filter


class Extent(NamedTuple):
    """What a store holds: the number of spans, the first start and the last start in epoch nanoseconds.

    ``spans`` is 0 for an empty store; then both times are 0.
    """

    spans: int
    first_start_ns: int
    last_start_ns: int


class Reader(Protocol):
    """Answers questions about stored spans; safe to use from several threads.

    Windows are ``[since_ns, until_ns)`` by span start; ``None`` leaves that side open. Every answer is a
    consistent snapshot: it holds whole commits only. No order is promised unless a method says so.
    """

    @property
    def location(self) -> str:
        """Where the spans come from, for people: a path or a URL."""
        ...

    @property
    def live(self) -> bool:
        """Whether new spans can arrive while this reader is open."""
        ...

    def extent(self) -> Extent:
        """How much there is, and from when to when."""
        ...

    def spans(
        self,
        columns: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        trace_ids: Sequence[bytes] | None = None,
        service: str | None = None,
    ) -> pa.Table:
        """Columns of the spans that match every condition given, typed as ``schema.SPANS_FULL`` has them.

        Columns in ``schema.DICTIONARY_COLUMNS`` come dictionary-coded (one dictionary a column). An unknown
        column raises ``ValueError``. ``trace_ids`` (16 bytes each) are those of any number of traces. No
        match gives a table without rows, never ``None``.
        """
        ...

    def of_traces(self, trace_ids: Sequence[bytes]) -> str:
        """SQL for the spans of these traces, a condition on ``spans``, by the fastest way this store has."""
        ...

    def condition(self, where: Filter) -> str:
        """SQL for ``where``, within its bounds, a condition on ``spans``: in this store's own words."""
        ...

    def attribute_columns(self) -> dict[str, str]:
        """The attributes of spans that have columns of their own, and their DuckDB types."""
        ...

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        """``trace_id, span_id, linked_trace_id, linked_span_id`` of spans that start in the window."""
        ...

    def positions(self) -> dict[str, tuple[float, ...]]:
        """Where services stand: x, y, z and the number of an island; empty where the store keeps none."""
        ...

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        """Keep where services stand; those that have a place keep it, unless all places are ``anew``.

        False where nothing can be kept: a file that is only read. Places are then computed, alike each time.
        """
        ...

    def sql(self, query: str) -> pa.Table:
        """The rows of exactly one read-only ``SELECT``; anything else raises ``StoreError``."""
        ...

    def holding(self) -> AbstractContextManager[None]:
        """A block whose questions in SQL, of this thread, are about the same rows.

        Of a store that has to fetch rows first, they are fetched once, and are as they were then.
        """
        ...

    def stream(self, query: str) -> pa.RecordBatchReader:
        """As `sql`, batch by batch: what is not taken is not computed, and what was taken is not kept.

        What goes wrong on the way is raised by the batch that is not there. Of a collector, the last row has
        to be taken within its time limit. Dropping the reader ends the query.
        """
        ...

    def close(self) -> None:
        """Release what the reader holds. Idempotent."""
        ...
