"""A wall as a PNG, with or without a display."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tracescape_render.camera import View
from tracescape_render.inside.reach import Reach
from tracescape_render.inside.stage import WallStage
from tracescape_render.inside.standing import Standing
from tracescape_render.palette import DARK, Theme
from tracescape_render.picture import check_graphics, off_screen_plotter, save_window, writable


def wall_screenshot(
    wall: Standing,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (1600, 900),
    theme: Theme = DARK,
    *,
    reach: Reach | None = None,
    view: View | None = None,
    selected: int | None = None,
    found: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None,
) -> Path:
    """Write ``wall`` to ``path`` and return it; the file is whole or absent.

    ``reach`` is the part that is drawn, by default all, seen from ``view`` if that is given; ``selected`` is
    a span that is framed; those in ``found`` stand out. Raises `RenderError` where libraries are missing or
    the file cannot be written.
    """
    target = writable(Path(path))
    check_graphics(display=False)
    plotter = off_screen_plotter(size)
    try:
        stage = WallStage(plotter, theme=theme)
        plotter.render_window.Render()
        stage.show(wall, reach)
        if view is not None:
            stage.look(view)
        stage.find(found)
        stage.select(selected)
        stage.relabel()
        return save_window(plotter.render_window, target)
    finally:
        plotter.close()
