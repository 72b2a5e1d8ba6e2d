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

    from tracescape_render.route import Route

_WINDOW_KIND: Final = "VTK_DEFAULT_OPENGL_WINDOW"
#: In a picture of a request, what arrived within this share of its time is still seen.
_LINGERS: Final = 0.01


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
    route: Route | None = None,
    at_ns: int | None = None,
    banner: Sequence[str] = (),
    arranged: Callable[[Scene], Scene] | None = None,
    stereo: bool = False,
) -> Path:
    """Write ``scene`` to ``path`` and return it; the file is whole or absent.

    ``view`` is where the camera stands, by default where everything is seen; ``focus`` hides the rest,
    ``selected`` marks a service and shows its numbers. ``banner`` is written above the world: the first of
    the texts for which there is room. ``arranged`` makes another scene of what is in focus. ``route`` is a
    request that is drawn at a moment of it, epoch ns; by default at the one that tells most. ``stereo`` is
    for two eyes: two pictures beside each other, the left eye's on the left.

    Raises:
        RenderError: system libraries are missing, the file cannot be written, or a service is not there.
    """
    target = writable(Path(path))
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
        stage.stereo = stereo
        plotter.render_window.Render()
        stage.settle()
        stage.show(scene)
        if route is not None:
            stage.ride(route)
            at_ns = route.telling() if at_ns is None else at_ns
            stage.ride_to(at_ns, round(_LINGERS * (route.replay.end_ns - route.replay.start_ns)))
            stage.look(stage.overview_of_ride())
        else:
            stage.select(chosen)
        stage.proclaim(banner)
        if view is not None:
            stage.look(view)
        stage.relabel(anew=True)
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


def grabbed(window: vtkRenderWindow) -> bytes:
    """What ``window`` shows: rows of RGB bytes from the top."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)  # type: ignore[no-untyped-call]  # VTK's is untyped
    rows: bytes = pixels[::-1].tobytes()
    return rows


def save_window(window: vtkRenderWindow, path: Path) -> Path:
    """Write what ``window`` shows to ``path`` as PNG, which says what renderer drew it.

    Raises `RenderError` when that cannot be.
    """
    from vtkmodules.vtkIOImage import vtkPNGWriter
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    from tracescape_render.renderer import renderer_named

    target = writable(path)
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


def writable(path: Path) -> Path:
    """``path``, if a file can be there. Raises `RenderError` that says why not."""
    if not path.parent.is_dir():
        raise RenderError(f"The folder {path.parent} does not exist; make it, or name another file.")
    if path.is_dir():
        raise RenderError(f"{path} is a folder; name a file.")
    return path
