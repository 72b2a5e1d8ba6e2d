"""Where services stand in a view, which several threads draw: one at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracescape.store import Store

#: Where services stand: x, y, z and the label of an island.
Positions = dict[str, tuple[float, ...]]


class Places:
    """The places that a store keeps, and those of newcomers; ``with`` it, they are one's own to change."""

    def __init__(self, store: Store) -> None:
        self._lock = threading.Lock()
        self._store = store
        self._positions: Positions | None = None

    def __enter__(self) -> Positions:
        self._lock.acquire()
        if self._positions is None:
            try:
                self._positions = self._store.reader.positions()
            except BaseException:
                self._lock.release()
                raise
        return self._positions

    def __exit__(self, *failure: object) -> None:
        self._lock.release()
