"""Keeps the stores of a collector within their limits, now and then, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Final

from tracescape_storage.errors import StoreError
from tracescape_storage.retention import Limits, Prunes, Retention

_log = logging.getLogger(__name__)

DEFAULT_INTERVAL_S: Final = 60.0


class Keeping:
    """Prunes ``stores`` at once and every ``interval_s`` seconds until it is closed."""

    def __init__(
        self, stores: Iterable[Prunes], limits: Limits, *, interval_s: float = DEFAULT_INTERVAL_S
    ) -> None:
        self._retentions = [Retention(store, limits) for store in stores]
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracescape-keep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it. Idempotent."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            for retention in self._retentions:
                try:
                    retention.enforce(time.time_ns())
                except StoreError as error:
                    _log.warning("old spans could not be pruned, trying again later: %s", error)
            if self._ended.wait(self._interval_s):
                return
