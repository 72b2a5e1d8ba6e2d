"""What arrives in a store while one looks on: spans, or the traces that they belong to."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from tracescape_storage.arrivals import Arrivals
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import Filter
from tracescape_storage.reader import Reader
from tracescape_storage.search import FOUND_SPAN, MAX_TRACES, summaries_sql

DEFAULT_POLL_S: Final = 0.5
#: A trace is told so long after its first matching span: most of it has arrived by then.
SETTLE_S: Final = 2.0
_TOLD: Final = 100_000


class SpanTail(Iterator[dict[str, Any]]):
    """Matching spans in the order of their arrival, from now on; waits for the next one and never ends.

    Each is a row as `Found.rows` has it, or with the ``columns`` named. Late spans come when they arrive,
    however old. Nothing comes twice and nothing is left out, also when the store is asked seldom.

    Raises:
        StoreError: the store is a closed file, in which nothing arrives; or, from the iterator, it went away.
        ValueError: the filter or a column is wrong.
    """

    def __init__(
        self,
        reader: Reader,
        where: Filter,
        *,
        columns: Sequence[str] = FOUND_SPAN,
        poll_s: float = DEFAULT_POLL_S,
    ) -> None:
        _check(reader, poll_s)
        self._arrivals = Arrivals(reader, where, columns)
        self._poll_s = poll_s
        self._ready: deque[dict[str, Any]] = deque()

    def __next__(self) -> dict[str, Any]:
        while not self._ready:
            rows, more = self._arrivals.next()
            self._ready.extend(rows)
            if not self._ready and not more:
                time.sleep(self._poll_s)
        return self._ready.popleft()


class TraceTail(Iterator[dict[str, Any]]):
    """Traces that get a matching span from now on, each once; as `SpanTail`.

    A row is a summary as `Found.rows` has it, made ``settle_s`` after the first matching span arrived. Of the
    last 100,000 traces that were told, none is told again.
    """

    def __init__(
        self,
        reader: Reader,
        where: Filter,
        *,
        poll_s: float = DEFAULT_POLL_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        _check(reader, poll_s)
        self._reader = reader
        self._arrivals = Arrivals(reader, where, ["trace_id"])
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._waiting: OrderedDict[str, float] = OrderedDict()  # until when, the first one first
        self._told: OrderedDict[str, None] = OrderedDict()
        self._ready: deque[dict[str, Any]] = deque()

    def __next__(self) -> dict[str, Any]:
        while not self._ready:
            more = self._notice()
            self._tell()
            if not self._ready and not more:
                time.sleep(self._poll_s)
        return self._ready.popleft()

    def _notice(self) -> bool:
        rows, more = self._arrivals.next()
        settled = time.monotonic() + self._settle_s
        for trace_id in (row["trace_id"] for row in rows):
            if trace_id not in self._told:
                self._waiting.setdefault(trace_id, settled)
        return more

    def _tell(self) -> None:
        now = time.monotonic()
        due = [trace_id for trace_id, settled in self._waiting.items() if settled <= now][:MAX_TRACES]
        if not due:
            return
        self._ready.extend(
            pl.DataFrame(self._reader.sql(summaries_sql(self._reader, due))).iter_rows(named=True)
        )
        for trace_id in due:
            del self._waiting[trace_id]
            self._told[trace_id] = None
        while len(self._told) > _TOLD:
            self._told.popitem(last=False)


def _check(reader: Reader, poll_s: float) -> None:
    if not reader.live:
        raise StoreError(f"{reader.location} is a closed file: nothing arrives there. Tail its collector.")
    if not getattr(reader, "tells_arrivals", True):
        raise StoreError(
            f"{reader.location} does not tell when a span arrived, so nothing can be followed there."
            " Search it again: the newest come first."
        )
    if not 0.01 <= poll_s <= 3_600:
        raise ValueError(f"poll_s is {poll_s}; ask every 0.01 to 3,600 seconds")
