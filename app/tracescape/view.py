"""From a topology to something seen: a scene, a picture, a window that follows a live store."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape.horizon import horizon
from tracescape.places import Places, Positions
from tracescape.times import format_time
from tracescape.watching import Watch
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    import polars as pl

    from tracescape.panels import StorePanels
    from tracescape.store import Store, Topology
    from tracescape_render import Scene, Snapshot, Start
    from tracescape_storage.reader import Reader

#: What a live view looks back on when nothing else is asked for.
LIVE_WINDOW: Final = "5m"
_MINUTE_NS: Final = 60 * 1_000_000_000
_LIVE_WINDOW_NS: Final = 5 * _MINUTE_NS
_log = logging.getLogger(__name__)


def scene_of(
    topology: Topology,
    location: str,
    positions: Positions | None = None,
    causes: pl.DataFrame | None = None,
) -> Scene:
    """The scene of ``topology``; services named in ``positions`` stay where they were.

    ``causes`` are the `leading` of ``store.diagnose()``: the first of them carries a beacon, or, where it is
    a mere suspect, a small flag.
    """
    from tracescape_render import build_scene

    seconds = max((topology.until_ns - topology.since_ns) / 1e9, 1e-9)
    return build_scene(
        topology.nodes,
        topology.edges,
        seconds=seconds,
        positions=positions,
        caption=caption(topology, location),
        causes=causes,
    )


def caption(topology: Topology, location: str) -> str:
    """One line on what is seen: how much, from when to when, from where."""
    if not topology.spans:
        return f"no spans yet · {location}"
    window = f"{format_time(topology.since_ns)} – {format_time(topology.until_ns)}"
    return f"{topology.spans:,} spans · {topology.traces:,} traces · {window} · {location}"


def recent(store: Store) -> Topology:
    """The live window where it holds spans, else everything there is."""
    if not store.live:
        return store.topology()
    # From a whole minute on: what is counted of minutes is kept, and rates stay as right as they were.
    since = (time.time_ns() - _LIVE_WINDOW_NS) // _MINUTE_NS * _MINUTE_NS
    now = horizon(store).until_ns
    if now is None:
        found = store.topology(since)
        return found if found.spans else store.topology()
    until = (now // _MINUTE_NS + 1) * _MINUTE_NS
    found = store.topology(since, until)
    if not found.spans:
        found = store.topology(None, until)
    return dataclasses.replace(found, until_ns=now)


def follow(
    store: Store,
    ask: Callable[[Store], Topology],
    *,
    given: bool = False,
    panels: StorePanels | None = None,
) -> Callable[[], Snapshot]:
    """A source for a window: each call asks anew, and services keep their places.

    Places are the store's, where it has any, and new ones are kept there, where it can. Causes, which are
    dearer, are asked for now and then, and come with a later answer. ``given`` as in `Watch`; ``panels``
    hears what is shown.
    """
    places = Places(store) if panels is None else panels.past.places
    watch = Watch(store, given=given)

    def snapshot() -> Snapshot:
        topology = ask(store)
        causes = watch.latest(topology)
        topology = watch.completed(topology)
        if panels is not None:
            panels.shows(topology)
        anew = panels is not None and panels.takes_new_places()
        seen = horizon(store)
        newest = seen.last_ns if given or seen.until_ns is not None else topology.until_ns - 1
        with places as positions:
            shown = snapshot_of(topology, store, positions, causes, anew=anew, newest_ns=newest)
        return shown if not seen.note else _noted(shown, seen.note)

    return snapshot


def _noted(shown: Snapshot, note: str) -> Snapshot:
    scene = dataclasses.replace(shown.scene, caption=f"{shown.scene.caption} · {note}")
    return dataclasses.replace(shown, scene=scene)


def beginning_at(
    at_ns: int, source: Callable[[], Snapshot], panels: StorePanels, against_ns: int | None = None
) -> Callable[[], Snapshot]:
    """A source whose first answer is a past moment, so that a window opens there; ``source`` is now.

    ``against_ns`` is another moment that it is compared with.
    """
    from tracescape_render.snapshot import MomentWish

    first = [MomentWish(at_ns, causes=True, against_ns=against_ns)]

    def snapshot() -> Snapshot:
        return panels.moment(first.pop()) if first else source()

    return snapshot


def snapshot_of(
    topology: Topology,
    store: Store | None = None,
    positions: Positions | None = None,
    causes: pl.DataFrame | None = None,
    *,
    anew: bool = False,
    newest_ns: int | None = None,
    settled: bool = False,
) -> Snapshot:
    """What a window shows of ``topology``: the scene, its frames, and how fresh they are.

    ``anew`` and ``settled`` as in `placed`; ``newest_ns`` is the last start of all, else that of the window.
    """
    from tracescape_render import Snapshot

    there = topology.spans > 0
    newest = topology.until_ns - 1 if newest_ns is None else newest_ns
    if store is None or positions is None:
        scene = scene_of(topology, topology.location, positions, causes)
    else:
        scene = placed(topology, store, positions, causes, anew=anew, settled=settled)
    return Snapshot(
        scene,
        topology.nodes,
        topology.edges,
        seconds=(topology.until_ns - topology.since_ns) / 1e9,
        origin=topology.location,
        live=store is not None and store.live,
        newest_ns=newest if there else None,
        sentence="" if causes is None or causes.is_empty() else str(causes["sentence"][0] or ""),
        pair=("", "") if causes is None or causes.is_empty() else _pair(causes),
    )


def _pair(causes: pl.DataFrame) -> tuple[str, str]:
    first = causes.row(0, named=True)
    return str(first.get("typical_trace") or ""), str(first.get("bad_trace") or "")


def start_of(
    size: tuple[int, int],
    theme: str,
    view: str | None,
    focus: str | None,
    hops: int | None,
    direction: str,
    selected: str | None,
    *,
    split: bool = False,
    stereo: bool = False,
) -> Start:
    """How a window or a picture begins, from the options of ``tracescape explore``.

    Raises:
        ValueError: a value is none, or hops or a direction are given without a focus.
    """
    from tracescape_render import Start, palette
    from tracescape_render.focus import Focus
    from tracescape_render.view_command import parsed_view

    if focus is None and (hops is not None or direction != "both"):
        raise ValueError("--hops and --direction are counted from a service: name it with --focus")
    return Start(
        size=size,
        theme=palette.theme(theme),
        view=None if view is None else parsed_view(view),
        focus=None if focus is None else Focus(focus, hops, direction),
        selected=selected,
        split=split,
        stereo=stereo,
    )


def explore_command(target: str, time: Sequence[str]) -> list[str]:
    """The beginning of the command line that shows the same again; ``time`` as `TimeShown.words` has it."""
    return ["tracescape", "explore", target, *time]


def placed(
    topology: Topology,
    store: Store,
    positions: Positions,
    causes: pl.DataFrame | None = None,
    *,
    anew: bool = False,
    settled: bool = False,
) -> Scene:
    """The scene of ``topology``, with everybody at their place; newcomers get theirs, for good.

    ``positions`` are changed. With ``anew``, or where newcomers are more than all who have a place, everybody
    gets a new one; ``settled`` leaves those who have one there all the same.
    """
    from tracescape_render.placing import outgrown, stands

    anew = anew or (not settled and outgrown(topology.nodes["service"].to_list(), positions))
    if anew:
        positions.clear()
    found = scene_of(topology, store.location, positions, causes)
    standing = stands(found.services, found.positions, found.island, positions)
    new = {name: stand for name, stand in standing.items() if name not in positions}
    if new:
        positions.update(new)
        _keep(store.reader, new, anew=anew)
    return found


def _keep(reader: Reader, new: Positions, *, anew: bool) -> None:
    """Keep places in the store; a view that cannot is still a view."""
    try:
        reader.keep_positions(new, anew=anew)
    except StoreError as error:
        _log.warning("the places of %d services are not kept: %s", len(new), error)


def show(topology: Topology, causes: pl.DataFrame | None = None) -> None:
    """Inline in a notebook, else a window that stays until it is closed."""
    if in_notebook():
        _show_inline(scene_of(topology, topology.location, causes=causes))
    else:
        _open(lambda: snapshot_of(topology, causes=causes), topology.location)


def show_snapshot(shown: Snapshot) -> None:
    """The same of what is there already, about which nobody can be asked."""
    if in_notebook():
        _show_inline(shown.scene)
    else:
        _open(lambda: shown, shown.origin)


def _show_inline(scene: Scene) -> None:
    from IPython.display import Image, display

    display(Image(png_of(scene), retina=False))  # type: ignore[no-untyped-call]  # IPython is untyped


def _open(source: Callable[[], Snapshot], location: str) -> None:
    from tracescape_render import Start, open_window

    open_window(source, refresh_s=None, start=Start(title=f"Tracescape · {location}"))


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
