"""How much a store keeps: by the age of arrival and by size, the oldest arrivals first.

Age counts from arrival, so old traces that are replayed today stay. Whole commits go at a time. DuckDB writes
new rows into the space of old ones; if more than half of the file is free, it goes back to the file system.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

from tracescape_storage.journal import DEFAULT_KEPT_BYTES

_log = logging.getLogger(__name__)

DEFAULT_MAX_AGE_NS: Final = 14 * 86_400_000_000_000
DEFAULT_MAX_BYTES: Final = 50 << 30
#: Down to what share of the permitted size: not one commit after the other.
_ENOUGH: Final = 0.9
#: What part of the permitted size what was accepted last may take, beside the file.
_JOURNAL_SHARE: Final = 8
#: Between two looks at the age of what is stored: that takes more than to look at its size.
_AGING_NS: Final = 60_000_000_000
#: Rows that came later than that stay where they are in the file: a tail may be in the middle of them.
_SETTLED_S: Final = 10.0
#: Between two tries to give back free room: each costs as much as to store what is left, perhaps for nothing.
_AGAIN_NS: Final = 3_600_000_000_000


class Limits(NamedTuple):
    """What a store may keep; None is no limit."""

    max_age_ns: int | None = DEFAULT_MAX_AGE_NS
    max_bytes: int | None = DEFAULT_MAX_BYTES

    @property
    def journal_bytes(self) -> int:
        """What the journal may keep of what is settled."""
        if self.max_bytes is None:
            return DEFAULT_KEPT_BYTES
        return min(DEFAULT_KEPT_BYTES, self.max_bytes // _JOURNAL_SHARE)

    @property
    def rows_bytes(self) -> int | None:
        """What rows may occupy: what the journal leaves."""
        return None if self.max_bytes is None else self.max_bytes - self.journal_bytes


class Prunes(Protocol):
    """The part of a store that this needs; see `DuckDBStore`."""

    def used_bytes(self) -> int:
        """See `DuckDBStore.used_bytes`."""
        ...

    def arrivals(self) -> list[tuple[int, int]]:
        """See `DuckDBStore.arrivals`."""
        ...

    def prune(self, before_ns: int) -> int:
        """See `DuckDBStore.prune`."""
        ...

    def fold(self) -> None:
        """See `DuckDBStore.fold`."""
        ...

    def compact(self, *, settled_s: float) -> int:
        """See `DuckDBStore.compact`."""
        ...


class Retention:
    """Keeps one store within its limits; for one thread."""

    def __init__(self, store: Prunes, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._held = False  # readers kept what went last from being freed
        self._aged_ns: int | None = None  # when ages were looked at
        self._compacted_ns: int | None = None  # when free room was given back, or tried to be

    def enforce(self, now_ns: int) -> int:
        """Prune what is beyond the limits, and give back the room; how many spans went.

        To be called every few seconds: what arrives meanwhile is beyond the size.

        Raises:
            StoreError: the store could not be changed; another time may do.
        """
        used = self._store.used_bytes()
        if self._limits.rows_bytes is not None and used > self._limits.rows_bytes:
            self._store.fold()  # the log has rows as they came, several times as large as in the file
            used = self._store.used_bytes()
        before = max(self._too_old(now_ns), self._too_much(used))
        pruned = self._store.prune(before) if before else 0
        if pruned:
            self._held = self._store.used_bytes() >= used
            _log.info("%s spans were pruned: the store may keep no more", f"{pruned:,}")
        self._give_back(now_ns)
        return pruned

    def _give_back(self, now_ns: int) -> None:
        if self._compacted_ns is not None and 0 <= now_ns - self._compacted_ns < _AGAIN_NS:
            return
        self._compacted_ns = now_ns
        returned = self._store.compact(settled_s=_SETTLED_S)
        if returned > 0:
            _log.info("%d MiB that were free in the file went back to the file system", returned >> 20)

    def _too_old(self, now_ns: int) -> int:
        if self._limits.max_age_ns is None:
            return 0
        if self._aged_ns is not None and 0 <= now_ns - self._aged_ns < _AGING_NS:
            return 0
        self._aged_ns = now_ns
        return max(now_ns - self._limits.max_age_ns, 0)

    def _too_much(self, used: int) -> int:
        """What arrived before this has to go for the store's size; 0 for nothing."""
        limit = self._limits.rows_bytes
        held, self._held = self._held, False
        if limit is None or used <= limit or held:
            return 0
        arrivals = self._store.arrivals()
        excess = (1 - _ENOUGH * limit / used) * sum(rows for _, rows in arrivals)
        for arrived_ns, rows in arrivals[:-1]:
            excess -= rows
            if excess <= 0:
                return arrived_ns + 1
        return arrivals[-1][0] if arrivals else 0
