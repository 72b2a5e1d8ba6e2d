"""Counts of the last minutes of a store that does not tell what is new, only how many spans a minute has.

Rows are only ever added there, so a minute with as many spans as before has the same ones. Those with others,
and the minutes beside them, are counted again; late spans change the number of their minute like all else.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from tracescape_analytics.counts import Counts
from tracescape_analytics.lately import MOST_MINUTES, Lately, Look
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.windows import MINUTE_NS, Window
from tracescape_storage.reader import Reader

#: Of a longer window than `MOST_MINUTES`, only so many are kept minute by minute.
_RECENT: Final = 15
#: Windows further than that into the future of the extent are of a clock that is wrong.
_MOST_AHEAD: Final = 2 * MOST_MINUTES
_MOST_OLDER: Final = 8


@runtime_checkable
class CountsMinutes(Protocol):
    """A reader that tells how many spans start in each minute."""

    def minute_spans(self, since_ns: int, until_ns: int | None) -> dict[int, int]:
        """How many spans start in each minute since the epoch of a window; those without are left out."""
        ...


def lately_of(reader: Reader) -> Lately:
    """What keeps the last minutes of a store, by what it tells of them."""
    return LatelyByCount(reader, reader) if isinstance(reader, CountsMinutes) else Lately(reader)


class LatelyByCount(Lately):
    """See above. Bounded as `Lately` is; no spans are held."""

    def __init__(self, reader: Reader, counter: CountsMinutes) -> None:
        self._counter = counter
        # Of each minute that is kept: how many spans it and those beside it had when it was counted.
        self._known: dict[int, tuple[int, int, int]] = {}
        self._known_older: dict[Window, dict[int, int]] = {}
        super().__init__(reader)

    def older(self, window: Window) -> Counts:
        """See `Lately.older`: asked anew when the number of spans of one of its minutes changed."""
        wide = window.in_context()
        with self._lock:
            spans = self._counter.minute_spans(wide.since_ns or 0, wide.until_ns)
            if self._known_older.get(window) != spans:
                if len(self._older) >= _MOST_OLDER:
                    self._older.clear()
                    self._known_older.clear()
                self._older[window] = counts_of(self._reader, window)
                self._known_older[window] = spans
            return self._older[window]

    def _forget(self) -> None:
        super()._forget()
        self._known.clear()
        self._known_older.clear()

    def _look(self, since: int, until_ns: int | None) -> Look | None:
        extent = self._reader.extent()
        self._first_ns, self._last_ns = extent.first_start_ns, extent.last_start_ns
        end_ns = extent.last_start_ns + 1 if until_ns is None else until_ns
        if not extent.spans or end_ns - since * MINUTE_NS < MINUTE_NS:
            return None
        end = -(-end_ns // MINUTE_NS)
        length = end - since
        begin = since - length if length <= MOST_MINUTES else since + length - _RECENT
        begin = max(begin, self._least)
        # What is there is asked first: what comes meanwhile makes another number the next time.
        limit = None if until_ns is None else (end + 1) * MINUTE_NS
        spans = self._counter.minute_spans((begin - 1) * MINUTE_NS, limit)
        if until_ns is None:  # something may have come since the extent was told
            end = max(end, max(spans, default=0) + 1)
        if end - begin > MOST_MINUTES + _MOST_AHEAD:
            return None
        self._seen = 0
        self._begins.append(begin)
        self._renew(range(begin, end), spans)
        begin = max(begin, self._least)
        inside = {minute: block for minute, block in self._minutes.items() if begin <= minute < end}
        version = (self._starts, self._changes, extent.spans)  # of older minutes, that some have changed
        return Look(version, begin, self._first_ns, self._last_ns, inside, self._groups(0))

    def _renew(self, minutes: range, spans: dict[int, int]) -> None:
        """Count those of the minutes that have other numbers of spans, or are beside such ones."""
        now = {
            minute: (spans.get(minute - 1, 0), spans.get(minute, 0), spans.get(minute + 1, 0))
            for minute in minutes
        }
        changed = {minute for minute, around in now.items() if around != self._known.get(minute)}
        if changed:
            self._changes += 1
            self._count(changed)
        self._known |= now
        least = max(min(self._begins), self._least)
        self._known = {minute: around for minute, around in self._known.items() if minute >= least}
        self._minutes = {minute: block for minute, block in self._minutes.items() if minute >= least}

    def _check_pruned(self) -> None:
        """Whole days go at once, and then the numbers of their minutes are others."""
