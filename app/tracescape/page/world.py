"""The world in three dimensions, as bytes: all of it, or what changed since a version that a browser has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tracescape.page.documents import moment
from tracescape.places import Places
from tracescape.view import placed
from tracescape_render.web.world import world_of

if TYPE_CHECKING:
    import polars as pl

    from tracescape.store import Store, Topology
    from tracescape_render.web.tables import Tables

#: Versions that are kept for those who ask what changed since.
_KEPT: Final = 8


class Worlds:
    """The worlds of one store, for all who look at it, on any thread; ``store`` stays open meanwhile.

    Services stand where the store keeps them, and newcomers find their place for good.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places = Places(store)
        self._lock = threading.Lock()
        self._told: OrderedDict[str, Tables] = OrderedDict()

    def told(
        self, topology: Topology, causes: pl.DataFrame | None, known: str | None, *, past: bool
    ) -> bytes:
        """The world of ``topology``, or what is different in it from the version ``known``.

        In the ``past`` nobody moves. Whoever knows a version that is not kept any more is told everything.
        """
        with self._places as positions:
            settled = past and bool(positions)
            scene = placed(topology, self._store, positions, causes, settled=settled)
        world = world_of(scene, topology.nodes, _about(topology, past=past))
        with self._lock:
            base = None if known is None else self._told.get(known)
            self._told[world.version] = world
            self._told.move_to_end(world.version)
            if base is not None and known is not None:
                self._told.move_to_end(known)
            while len(self._told) > _KEPT:
                self._told.popitem(last=False)
        return world.whole() if base is None else world.since(base)


def _about(topology: Topology, *, past: bool) -> dict[str, object]:
    return {
        "since_ns": moment(topology.since_ns),
        "until_ns": moment(topology.until_ns),
        "seconds": (topology.until_ns - topology.since_ns) / 1e9,
        "spans": topology.spans,
        "traces": topology.traces,
        "past": past,
    }
