"""Keeps the counts by minute of a collector's stores up to date, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape_analytics.rollups import Upkeep

_log = logging.getLogger(__name__)

DEFAULT_INTERVAL_S: Final = 15.0


class Rolling:
    """Rolls up ``stores`` every ``interval_s`` seconds until it is closed; closing waits for a step.

    What it needs is imported when the first interval is over: a collector should be ready before.
    """

    def __init__(self, stores: Iterable[DuckDBStore], *, interval_s: float = DEFAULT_INTERVAL_S) -> None:
        self._stores = list(stores)
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracescape-roll", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it. Idempotent."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        upkeeps: dict[int, Upkeep] = {}
        while not self._ended.wait(self._interval_s):
            for number, store in enumerate(self._stores):
                try:
                    if number not in upkeeps:
                        upkeeps[number] = _upkeep(store)
                    upkeeps[number].step(time.time_ns())
                except StoreError as error:
                    _log.warning("counts by minute could not be kept, trying again later: %s", error)
        for upkeep in upkeeps.values():
            upkeep.close()


def _upkeep(store: DuckDBStore) -> Upkeep:
    from tracescape_analytics.rollups import Upkeep

    return Upkeep(store)
