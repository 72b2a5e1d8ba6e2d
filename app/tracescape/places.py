"""Where services stand in a view, which several threads draw: one at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from tracescape.store import Store

#: Where services stand: x, y, z and the label of an island.
Positions = dict[str, tuple[float, ...]]


_of_files: WeakKeyDictionary[Store, Positions] = WeakKeyDictionary()
_lock = threading.Lock()


def places_of(store: Store) -> Positions:
    """The places that a store keeps; of a file that only is read, those of everybody whom it holds.

    Nothing is kept in such a file, so places would be those of the window that is looked at, and services
    would change them from one moment to the next. What is returned is the caller's own.
    """
    if store.live:
        return store.reader.positions()
    with _lock:
        if store not in _of_files:
            _of_files[store] = _completed(store)
        return dict(_of_files[store])


def _completed(store: Store) -> Positions:
    from tracescape.view import scene_of
    from tracescape_render.placing import stands

    kept = store.reader.positions()
    whole = scene_of(store.topology(), store.location, kept)
    return stands(whole.services, whole.positions, whole.island, kept) | kept


class Places:
    """`places_of` a store, and those of newcomers; ``with`` it, they are one's own to change."""

    def __init__(self, store: Store) -> None:
        self._lock = threading.Lock()
        self._store = store
        self._positions: Positions | None = None

    def __enter__(self) -> Positions:
        self._lock.acquire()
        if self._positions is None:
            try:
                self._positions = places_of(self._store)
            except BaseException:
                self._lock.release()
                raise
        return self._positions

    def __exit__(self, *failure: object) -> None:
        self._lock.release()
