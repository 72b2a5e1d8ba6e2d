"""The world in three dimensions, as bytes: all of it, or what changed since a version that a browser has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from tracescape.page.documents import moment
from tracescape.places import Places
from tracescape.view import placed
from tracescape_render.web.level import level_of
from tracescape_render.web.world import world_of

if TYPE_CHECKING:
    import polars as pl

    from tracescape.store import Store, Topology
    from tracescape_render.scene import Scene
    from tracescape_render.web.level import Sight
    from tracescape_render.web.tables import Tables

#: Versions that are kept for those who ask what changed since.
_KEPT: Final = 16


class _Told(NamedTuple):
    """A world as somebody was told it, and what it was made from."""

    world: Tables
    topology: Topology
    scene: Scene
    past: bool


class Worlds:
    """The worlds of one store, for all who look at it, on any thread; ``store`` stays open meanwhile.

    Services stand where the store keeps them, and newcomers find their place for good.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places = Places(store)
        self._lock = threading.Lock()
        self._told: OrderedDict[str, _Told] = OrderedDict()

    def told(
        self,
        topology: Topology,
        causes: pl.DataFrame | None,
        known: str | None,
        *,
        past: bool,
        sight: Sight | None = None,
    ) -> bytes:
        """The world of ``topology``, or what is different in it from the version ``known``.

        In the ``past`` nobody moves. Whoever knows a version that is not kept any more is told everything.
        ``sight`` as `level_of`.
        """
        with self._places as positions:
            settled = past and bool(positions)
            scene = placed(topology, self._store, positions, causes, settled=settled)
        return self._tell(topology, scene, known, past=past, sight=sight)

    def again(self, known: str, sight: Sight | None) -> bytes | None:
        """The moment of the version ``known`` as ``sight`` has it: what is different; None if it is gone."""
        with self._lock:
            base = self._told.get(known)
        return (
            None
            if base is None
            else self._tell(base.topology, base.scene, known, past=base.past, sight=sight)
        )

    def _tell(
        self, topology: Topology, scene: Scene, known: str | None, *, past: bool, sight: Sight | None
    ) -> bytes:
        level = level_of(scene, sight)
        world = world_of(scene, topology.nodes, topology.edges, _about(topology, past=past), level)
        with self._lock:
            base = None if known is None else self._told.get(known)
            self._told[world.version] = _Told(world, topology, scene, past)
            self._told.move_to_end(world.version)
            if base is not None and known is not None:
                self._told.move_to_end(known)
            while len(self._told) > _KEPT:
                self._told.popitem(last=False)
        return world.whole() if base is None else world.since(base.world)


def _about(topology: Topology, *, past: bool) -> dict[str, object]:
    return {
        "since_ns": moment(topology.since_ns),
        "until_ns": moment(topology.until_ns),
        "seconds": (topology.until_ns - topology.since_ns) / 1e9,
        "spans": topology.spans,
        "traces": topology.traces,
        "past": past,
    }
