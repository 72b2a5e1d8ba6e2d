"""Windows of time in which to look for what is newest, from the end on.

The table's rows are in order of service, operation and time: to sort all of them by time reads all of them.
A window of time reads of each part the granules in which it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tracescape_storage.clickhouse.literals import instant
from tracescape_storage.reader import Extent

#: The first window has about so many times the rows of a page: a trace has several spans.
_ROWS_A_RESULT: Final = 16
_LEAST_NS: Final = 1_000_000_000
#: Each window is so many times as long as the one before. By less there are more questions until a rare span
#: is found, by more the last one reads more than the page needs.
_GROWS: Final = 8
#: Where a store has no more rows than that, all that is before the first window is one: each question costs
#: by itself, and of so few rows a window reads about as many granules as all of it does.
_AT_ONCE: Final = 10_000_000
#: After so many windows in a row in which something is, one is where the spans are.
_SURE: Final = 2


class Window(NamedTuple):
    """``[since_ns, until_ns)`` by start; ``None`` leaves that side open."""

    since_ns: int | None
    until_ns: int | None

    def conditions(self) -> list[str]:
        """In the server's words."""
        found = [] if self.since_ns is None else [f"Timestamp >= {instant(self.since_ns)}"]
        return found if self.until_ns is None else [*found, f"Timestamp < {instant(self.until_ns)}"]


def from_the_end(
    whole: Window, extent: Extent, results: int, last_before: Callable[[Window], int | None]
) -> Iterator[Window]:
    """``whole`` in windows that follow each other, the last first and the others longer and longer.

    Ends of ``whole`` that are open stay open: what arrives after ``extent`` was told is in the first window,
    or in the last.

    Args:
        whole: what is looked at, in the end.
        extent: what the store holds, or held some seconds ago.
        results: so many are wanted: the first window has some more rows than that, if all are alike.
        last_before: the last start before a window, if that is known to be empty. Some clocks are wrong by
            years, and the windows should be where the spans are.
    """
    first = extent.first_start_ns if whole.since_ns is None else max(whole.since_ns, extent.first_start_ns)
    end = extent.last_start_ns + 1 if whole.until_ns is None else whole.until_ns
    length = extent.last_start_ns + 1 - extent.first_start_ns
    width = max(length * results * _ROWS_A_RESULT // max(extent.spans, 1), _LEAST_NS)
    until, end, filled = whole.until_ns, min(end, extent.last_start_ns + 1), 0
    while end - width > first:
        begin = end - width
        yield Window(begin, until)
        if extent.spans <= _AT_ONCE:
            until = begin
            break
        last = last_before(Window(begin, until)) if filled < _SURE else None
        filled = filled + 1 if last is None else 0
        until, end = begin, begin if last is None else last + 1
        width *= _GROWS
    yield Window(whole.since_ns, until)


def since_of_last(extent: Extent, rows: int) -> int:
    """When the last ``rows`` rows began, if rows come evenly."""
    length = extent.last_start_ns - extent.first_start_ns
    return extent.last_start_ns - max(length * rows // max(extent.spans, 1), _LEAST_NS)
