"""What a moment in the midst of an incident is compared with: the time before that began."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import polars as pl

import tracescape_analytics.root_cause.changes

if TYPE_CHECKING:
    from tracescape.store import Store

#: What is usual is told by so many times the length of a moment.
_LENGTHS: Final = 6
#: Changes around a moment are looked for within so many times its length, before and after.
_AROUND: Final = (10, 5)


class Changed:
    """The stretches of time in which traces of ``store`` were unlike those around. Thread-safe.

    An incident that lasts longer than a moment looks back would be compared with itself: nothing were wrong.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: list[tuple[int, int]] | None = None
        self._near: tuple[tuple[int, int], list[tuple[int, int]]] | None = None  # what was looked for last

    def knows(self, marks: pl.DataFrame) -> None:
        """Take the changes among the marks of a whole timeline (``kind, start_ns, end_ns``)."""
        with self._lock:
            self._known = _with_causes(marks.filter(kind="change"))

    def usual(self, since_ns: int, until_ns: int, *, look: bool) -> tuple[int, int] | None:
        """The time before the change in which a moment lies, epoch ns; None where it lies in none.

        Where no timeline was marked yet, spans around the moment are read if one may ``look``. When a change
        begins is known no better than to the length of what is compared, so that much before it is left out.
        """
        length = until_ns - since_ns
        change = self._change(since_ns, until_ns, look=look)
        return None if change is None else self._before(change[0] - length, length)

    def over(self, since_ns: int, until_ns: int, *, look: bool) -> int | None:
        """When the change in which a moment lies was over, epoch ns; None where it lasts, or is none."""
        change = self._change(since_ns, until_ns, look=look)
        return None if change is None or change[1] >= until_ns else change[1]

    def _change(self, since_ns: int, until_ns: int, *, look: bool) -> tuple[int, int] | None:
        length = until_ns - since_ns
        with self._lock:
            changes = self._known
            if changes is None and look:
                if self._near is None or self._near[0] != (since_ns, until_ns):
                    self._near = (since_ns, until_ns), self._around(since_ns, until_ns)
                changes = self._near[1]
        for start, end in changes or []:
            if start - length < since_ns < end + length:
                return start, end
        return None

    def _before(self, end_ns: int, length: int) -> tuple[int, int] | None:
        begin = max(end_ns - _LENGTHS * length, self._store.extent().first_start_ns)
        return (begin, end_ns) if end_ns - begin >= length else None

    def _around(self, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
        length, extent = until_ns - since_ns, self._store.extent()
        begin = max(since_ns - _AROUND[0] * length, extent.first_start_ns)
        end = min(until_ns + _AROUND[1] * length, extent.last_start_ns + 1)
        if not extent.spans or end <= begin:
            return []
        found = tracescape_analytics.root_cause.changes.changes(self._store.reader, begin, end)
        return _with_causes(found)


def _with_causes(changes: pl.DataFrame) -> list[tuple[int, int]]:
    """Begin and end of those that somebody is at fault for: others may be anything."""
    return changes.filter(pl.col("service").is_not_null()).select("start_ns", "end_ns").rows()
