"""Time windows ``[since_ns, until_ns)`` by span start, and how much more must be read to answer for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from tracescape_storage.reader import Reader

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

MINUTE_NS: Final = 60_000_000_000
#: A request that crosses the edge of a window is analysed whole if it is no further than this across it:
#: parents that started before the window and children that start after it are read, but not counted.
MARGIN_NS: Final = MINUTE_NS


class Window(NamedTuple):
    """``[since_ns, until_ns)``; ``None`` leaves a side open."""

    since_ns: int | None = None
    until_ns: int | None = None

    def holds(self, start_ns: IntArray) -> BoolArray:
        """Which of the starts (int64 ns, shape (n,)) lie in the window; bool, shape (n,)."""
        inside = np.ones(len(start_ns), np.bool_)
        if self.since_ns is not None:
            inside &= start_ns >= self.since_ns
        if self.until_ns is not None:
            inside &= start_ns < self.until_ns
        return inside

    def in_context(self) -> Window:
        """The minutes that the window touches, and one more on both sides: see ``contexts``."""
        return Window(
            None if self.since_ns is None else (self.since_ns // MINUTE_NS - 1) * MINUTE_NS,
            None if self.until_ns is None else (-(-self.until_ns // MINUTE_NS) + 1) * MINUTE_NS,
        )

    def widened(self) -> Window:
        """The window with ``MARGIN_NS`` on both sides."""
        return Window(
            None if self.since_ns is None else self.since_ns - MARGIN_NS,
            None if self.until_ns is None else self.until_ns + MARGIN_NS,
        )

    def read(self, reader: Reader, columns: Sequence[str]) -> pa.Table:
        """The spans of the widened window."""
        wide = self.widened()
        return reader.spans(columns, since_ns=wide.since_ns, until_ns=wide.until_ns)

    def links(self, reader: Reader) -> pa.Table:
        """The span links of the widened window."""
        wide = self.widened()
        return reader.links(since_ns=wide.since_ns, until_ns=wide.until_ns)


def checked(since_ns: int | None, until_ns: int | None) -> Window:
    """A window; raises ``ValueError`` if it ends before it begins."""
    if since_ns is not None and until_ns is not None and until_ns < since_ns:
        raise ValueError(f"the window ends ({until_ns}) before it begins ({since_ns})")
    return Window(since_ns, until_ns)


def bounded(reader: Reader, window: Window) -> tuple[int, int]:
    """Where the window begins and ends; where it is open, the spans do."""
    if window.since_ns is not None and window.until_ns is not None:
        return window.since_ns, window.until_ns
    extent = reader.extent()
    return closed(window, extent.first_start_ns, extent.last_start_ns if extent.spans else -1)


def closed(window: Window, first_ns: int, last_ns: int) -> tuple[int, int]:
    """The same for spans that start from ``first_ns`` to ``last_ns``."""
    since = first_ns if window.since_ns is None else window.since_ns
    until = last_ns + 1 if window.until_ns is None else window.until_ns
    return since, max(since, until)


def baseline_of(reader: Reader, window: Window) -> Window | None:
    """The same length of time just before; ``None`` where nothing is stored that is as old.

    An open end of the window is the last span that is stored. It may hold no spans all the same.
    """
    if window.since_ns is None:
        return None
    extent = reader.extent()
    until = window.until_ns if window.until_ns is not None else extent.last_start_ns + 1
    before = Window(window.since_ns - max(until - window.since_ns, 0), window.since_ns)
    if extent.spans == 0 or before.since_ns == before.until_ns or extent.first_start_ns >= window.since_ns:
        return None
    return before
