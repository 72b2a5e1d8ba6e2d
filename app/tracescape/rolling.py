"""Keeps the counts by minute of a collector's stores up to date."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from tracescape.periodic import Periodic
from tracescape_storage.duckdb_file import DuckDBStore

if TYPE_CHECKING:
    from tracescape_analytics.upkeep import Upkeep

DEFAULT_INTERVAL_S: Final = 15.0
#: Where little arrives, a minute by itself would cost more to roll up than it did to store.
REST_NS: Final = 1_200_000_000_000


class Rolling:
    """Rolls up ``stores`` every ``interval_s`` seconds until it is closed; closing waits for a step.

    What it needs is imported when the first interval is over: a collector should be ready before.
    """

    def __init__(self, stores: Iterable[DuckDBStore], *, interval_s: float = DEFAULT_INTERVAL_S) -> None:
        self._upkeeps: dict[int, Upkeep] = {}
        steps = [partial(self._step, number, store) for number, store in enumerate(stores)]
        self._periodic = Periodic("roll", steps, interval_s=interval_s, at_once=False)

    def close(self) -> None:
        """End it. Idempotent."""
        self._periodic.close()
        while self._upkeeps:
            self._upkeeps.popitem()[1].close()

    def _step(self, number: int, store: DuckDBStore) -> None:
        from tracescape_analytics.upkeep import Upkeep

        if number not in self._upkeeps:
            self._upkeeps[number] = Upkeep(store, rest_ns=REST_NS)
        self._upkeeps[number].step(time.time_ns())
