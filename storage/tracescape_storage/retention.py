"""How much a store keeps: by the age of arrival and by size, the oldest arrivals first.

Age counts from arrival, so old traces that are replayed today stay. Whole commits go at a time. DuckDB writes
new rows into the space of old ones, and gives back to the file system what lies free at the file's end.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

_log = logging.getLogger(__name__)

DEFAULT_MAX_AGE_NS: Final = 14 * 86_400_000_000_000
DEFAULT_MAX_BYTES: Final = 50 << 30
#: Down to what share of the permitted size: not one commit after the other.
_ENOUGH: Final = 0.9


class Limits(NamedTuple):
    """What a store may keep; None is no limit."""

    max_age_ns: int | None = DEFAULT_MAX_AGE_NS
    max_bytes: int | None = DEFAULT_MAX_BYTES


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


class Retention:
    """Keeps one store within its limits; for one thread."""

    def __init__(self, store: Prunes, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._held = False  # readers kept what went last from being freed

    def enforce(self, now_ns: int) -> int:
        """Prune what is beyond the limits; how many spans went.

        Raises:
            StoreError: the store could not be changed; another time may do.
        """
        used = self._store.used_bytes()
        before = max(self._too_old(now_ns), self._too_much(used))
        pruned = self._store.prune(before) if before else 0
        if pruned:
            self._held = self._store.used_bytes() >= used
            _log.info("%s spans were pruned: the store may keep no more", f"{pruned:,}")
        return pruned

    def _too_old(self, now_ns: int) -> int:
        return 0 if self._limits.max_age_ns is None else max(now_ns - self._limits.max_age_ns, 0)

    def _too_much(self, used: int) -> int:
        """What arrived before this has to go for the store's size; 0 for nothing."""
        limit = self._limits.max_bytes
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
