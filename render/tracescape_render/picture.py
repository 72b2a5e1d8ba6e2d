"""A scene as a PNG, with or without a display."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape_render.camera import View
from tracescape_render.errors import RenderError
from tracescape_render.focus import Focus, body_named, narrowed, within
from tracescape_render.palette import DARK, Theme
from tracescape_render.scene import Scene
from tracescape_render.system import missing_packages

if TYPE_CHECKING:
    import pyvista as pv
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

_WINDOW_KIND: Final = "VTK_DEFAULT_OPENGL_WINDOW"


def check_graphics(*, display: bool) -> None:
    """Raise `RenderError` that names the packages if VTK would crash for the lack of them."""
    missing = missing_packages(display=display)
    if missing:
        raise RenderError(
            "Pictures need system libraries that are missing. On Debian or Ubuntu:"
            f" apt-get install -y {' '.join(missing)}"
        )


def screenshot(
    scene: Scene,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (1600, 900),
    theme: Theme = DARK,
    *,
    view: View | None = None,
    focus: Focus | None = None,
    selected: str | None = None,
    banner: Sequence[str] = (),
    arranged: Callable[[Scene], Scene] | None = None,
) -> Path:
    """Write ``scene`` to ``path`` and return it; the file is whole or absent.

    ``view`` is where the camera stands, by default where everything is seen; ``focus`` hides the rest,
    ``selected`` marks a service and shows its numbers. ``banner`` is written above the world: the first of
    the texts for which there is room. ``arranged`` makes another scene of what is in focus.

    Raises:
        RenderError: system libraries are missing, the file cannot be written, or a service is not there.
    """
    target = _writable(Path(path))
    if focus is not None:
        scene = narrowed(scene, within(scene, focus))
    chosen = None if selected is None else body_named(scene, selected)
    if arranged is not None:
        scene = arranged(scene)
        chosen = scene.services.index(selected) if selected in scene.services else None
    check_graphics(display=False)
    from tracescape_render.stage import Stage

    plotter = off_screen_plotter(size)
    try:
        stage = Stage(plotter, theme=theme)
        plotter.render_window.Render()
        stage.settle()
        stage.show(scene)
        stage.select(chosen)
        stage.proclaim(banner)
        if view is not None:
            stage.look(view)
        stage.relabel()
        stage.animate(1.7)
        return save_window(plotter.render_window, target)
    finally:
        plotter.close()


def off_screen_plotter(size: tuple[int, int]) -> pv.Plotter:
    """A plotter that needs no display; close it."""
    import pyvista as pv

    # Left to itself VTK tries an X server first, and complains when there is none. Restored at once, since a
    # window may be opened in this process later.
    before = os.environ.get(_WINDOW_KIND)
    os.environ[_WINDOW_KIND] = "vtkEGLRenderWindow"
    try:
        return pv.Plotter(off_screen=True, window_size=list(size))
    finally:
        if before is None:
            del os.environ[_WINDOW_KIND]
        else:
            os.environ[_WINDOW_KIND] = before


def save_window(window: vtkRenderWindow, path: Path) -> Path:
    """Write what ``window`` shows to ``path`` as PNG, which says what renderer drew it.

    Raises `RenderError` when that cannot be.
    """
    from vtkmodules.vtkIOImage import vtkPNGWriter
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    from tracescape_render.renderer import renderer_named

    target = _writable(path)
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    writer = vtkPNGWriter()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.AddText("Software", "Tracescape")
    writer.AddText("Renderer", renderer_named(window.ReportCapabilities()))
    writer.WriteToMemoryOn()
    writer.Write()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_bytes(memoryview(writer.GetResult()))
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RenderError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _writable(path: Path) -> Path:
    if not path.parent.is_dir():
        raise RenderError(f"The folder {path.parent} does not exist; make it, or name another file.")
    if path.is_dir():
        raise RenderError(f"{path} is a folder; name a file.")
    return path
