"""A request in the world of its moment: shown, as a picture, as a film; without a command line."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tracescape.pictures import film, picture_of, route_in
from tracescape.view import beginning_at, explore_command, follow, in_notebook, recent

if TYPE_CHECKING:
    from tracescape.store import Store
    from tracescape_render import Route, Snapshot, Start


def show(store: Store, trace_id: str, share: float | None, start: Start) -> None:
    """Inline in a notebook, else in a window that rides it and stays until it is closed."""
    if in_notebook():
        from IPython.display import Image, display

        with tempfile.TemporaryDirectory() as folder:
            drawn = screenshot(store, trace_id, Path(folder) / "trace.png", share, start).read_bytes()
        display(Image(drawn, retina=False))  # type: ignore[no-untyped-call]  # IPython is untyped
        return
    from tracescape.panels import StorePanels
    from tracescape.past import Past
    from tracescape_render import open_window

    route = route_in(store, trace_id)
    panels = StorePanels(store, Past(store))
    source = beginning_at(route.replay.end_ns + 1, follow(store, recent, panels=panels), panels)
    start = dataclasses.replace(
        start,
        title=f"Tracescape · {store.location}",
        command=explore_command(store.location, []),
        trace=trace_id,
        share=share,
    )
    open_window(source, questions=panels, refresh_s=0.5 if store.live else None, start=start)


def screenshot(store: Store, trace_id: str, path: Path, share: float | None, start: Start) -> Path:
    """Write a picture of it at a share of its way, else where most is to be seen."""
    route = route_in(store, trace_id)
    return picture_of(_world_of(store, route), path, start, route, share)


def video(store: Store, trace_id: str, path: Path, start: Start) -> Path:
    """Write a film of its replay."""
    route = route_in(store, trace_id)
    return film(store, _world_of(store, route), path, start, route, None)


def _world_of(store: Store, route: Route) -> Snapshot:
    from tracescape.past import Past
    from tracescape_render.snapshot import MomentWish

    _, seen = Past(store).moment(MomentWish(route.replay.end_ns + 1, causes=False))
    return seen
