"""From a topology to a scene, and from a scene to a window or a picture: the only package that knows VTK.

Importing it loads no graphics; the first picture does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracescape_render.errors import RenderError
    from tracescape_render.film import film_flight, film_ride, film_time
    from tracescape_render.picture import screenshot
    from tracescape_render.route import Route, route_of
    from tracescape_render.scene import Scene, build_scene
    from tracescape_render.snapshot import Snapshot
    from tracescape_render.start import Start
    from tracescape_render.window import open_window

__all__ = [
    "RenderError",
    "Route",
    "Scene",
    "Snapshot",
    "Start",
    "build_scene",
    "film_flight",
    "film_ride",
    "film_time",
    "open_window",
    "route_of",
    "screenshot",
]

_HOMES = {
    "RenderError": "errors",
    "Route": "route",
    "Scene": "scene",
    "Snapshot": "snapshot",
    "Start": "start",
    "build_scene": "scene",
    "film_flight": "film",
    "film_ride": "film",
    "film_time": "film",
    "open_window": "window",
    "route_of": "route",
    "screenshot": "picture",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'tracescape_render' has no attribute {name!r}")
    return getattr(import_module(f"tracescape_render.{_HOMES[name]}"), name)
