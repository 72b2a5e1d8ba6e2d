"""From a topology to something seen: a scene, a picture, a window that follows a live store."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape.times import format_time
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape.store import Store, Topology
    from tracescape_render import Scene
    from tracescape_render.placing import Transition
    from tracescape_storage.reader import Reader

#: What a live view looks back on when nothing else is asked for.
LIVE_WINDOW: Final = "5m"
_LIVE_WINDOW_NS: Final = 5 * 60 * 1_000_000_000

#: Where services stand: x, y, z and the label of an island.
Positions = dict[str, tuple[float, ...]]
_log = logging.getLogger(__name__)


def scene_of(topology: Topology, location: str, positions: Positions | None = None) -> Scene:
    """The scene of ``topology``; services named in ``positions`` stay where they were."""
    from tracescape_render import build_scene

    seconds = max((topology.until_ns - topology.since_ns) / 1e9, 1e-9)
    return build_scene(
        topology.nodes,
        topology.edges,
        seconds=seconds,
        positions=positions,
        caption=caption(topology, location),
    )


def caption(topology: Topology, location: str) -> str:
    """One line on what is seen: how much, from when to when, from where."""
    if not topology.spans:
        return f"no spans yet · {location}"
    window = f"{format_time(topology.since_ns)} – {format_time(topology.until_ns)}"
    return f"{topology.spans:,} spans · {topology.traces:,} traces · {window} · {location}"


def recent(store: Store) -> Topology:
    """The live window where it holds spans, else everything there is."""
    extent = store.extent()
    if store.live and extent.last_start_ns >= time.time_ns() - _LIVE_WINDOW_NS:
        return store.topology(since=LIVE_WINDOW)
    return store.topology()


def follow(store: Store, ask: Callable[[Store], Topology]) -> Callable[[], Scene]:
    """A source of scenes for a window: each call asks anew, and services keep their places.

    Places are the store's, where it has any, and new ones are kept there, where it can.
    """
    positions: Positions = store.reader.positions()

    def scene() -> Scene:
        return placed(ask(store), store, positions)

    return scene


def placed(topology: Topology, store: Store, positions: Positions) -> Scene:
    """The scene of ``topology``, with everybody at their place; newcomers get theirs, for good.

    ``positions`` are changed. Where newcomers are more than all who have a place, everybody gets a new one.
    """
    from tracescape_render.placing import outgrown, stands

    anew = outgrown(topology.nodes["service"].to_list(), positions)
    if anew:
        positions.clear()
    found = scene_of(topology, store.location, positions)
    standing = stands(found.services, found.positions, found.island, positions)
    new = {name: stand for name, stand in standing.items() if name not in positions}
    if new:
        positions.update(new)
        _keep(store.reader, new, anew=anew)
    return found


def placed_anew(topology: Topology, store: Store, positions: Positions) -> tuple[Scene, Transition]:
    """The scene with new places for all, and the way there from the old ones, to be shown step by step.

    ``positions`` and the store then have the new places alone. Who had none is there from the beginning.
    """
    from tracescape_render.placing import Transition, stands

    found = scene_of(topology, store.location)
    after = found.positions.astype(float)
    before = after.copy()
    for body, name in enumerate(found.services):
        before[body] = positions.get(name, tuple(after[body]))[:3]
    positions.clear()
    positions.update(stands(found.services, found.positions, found.island))
    _keep(store.reader, positions, anew=True)
    return found, Transition(before, after)


def _keep(reader: Reader, new: Positions, *, anew: bool) -> None:
    """Keep places in the store; a view that cannot is still a view."""
    try:
        reader.keep_positions(new, anew=anew)
    except StoreError as error:
        _log.warning("the places of %d services are not kept: %s", len(new), error)


def show(topology: Topology) -> None:
    """Inline in a notebook, else a window that stays until it is closed."""
    if in_notebook():
        from IPython.display import Image, display

        display(Image(png_of(topology.scene()), retina=False))  # type: ignore[no-untyped-call]  # IPython is untyped
        return
    from tracescape_render import open_window

    open_window(topology.scene, refresh_s=None, title=f"Tracescape · {topology.location}")


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"


def png_of(scene: Scene) -> bytes:
    """The picture of a scene as PNG bytes."""
    from tracescape_render import screenshot

    with tempfile.TemporaryDirectory() as folder:
        return Path(screenshot(scene, Path(folder) / "scene.png")).read_bytes()
