"""The world in a headset through VTK's own OpenXR, where VTK has it: its wheel for Windows has.

Nobody has tried this on hardware. What works on the headsets that people own is the page: docs/vr.md.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from tracescape_render.errors import RenderError
from tracescape_render.palette import DARK, Theme
from tracescape_render.scene import Scene

_MODULE: Final = "vtkmodules.vtkRenderingOpenXR"


def check_openxr() -> Any:
    """VTK's OpenXR. Raises `RenderError` where there is none; it says what does work."""
    try:
        return importlib.import_module(_MODULE)
    except ImportError as error:
        raise RenderError(
            "This VTK has no OpenXR (its wheel for Windows has). What works without: tracescape serve, and"
            " the world in the headset's own browser (docs/vr.md); or --stereo, two pictures on the screen."
        ) from error


def open_headset(scene: Scene, theme: Theme = DARK) -> None:
    """Show ``scene`` in the headset of this machine's OpenXR runtime until the session ends.

    Nothing is written there: VTK draws no flat text in a headset. Raises `RenderError` without OpenXR, or
    where no runtime or headset answers.
    """
    xr = check_openxr()
    from tracescape_render.picture import off_screen_plotter
    from tracescape_render.stage import Stage

    plotter = off_screen_plotter((640, 480))
    try:
        stage = Stage(plotter, theme=theme)
        stage.show(scene)
        stage.animate(1.7)
        window, renderer = xr.vtkOpenXRRenderWindow(), xr.vtkOpenXRRenderer()
        interactor = xr.vtkOpenXRRenderWindowInteractor()
        renderer.SetActiveCamera(xr.vtkOpenXRCamera())
        renderer.SetBackground(plotter.renderer.GetBackground())
        actors = plotter.renderer.GetActors()
        for number in range(actors.GetNumberOfItems()):
            renderer.AddActor(actors.GetItemAsObject(number))
        window.AddRenderer(renderer)
        interactor.SetRenderWindow(window)
        window.Initialize()
        if not window.GetVRInitialized():
            raise RenderError(
                "No OpenXR runtime or headset answers. Start the headset's software and connect it; or use"
                " its own browser: docs/vr.md."
            )
        renderer.ResetCamera()
        try:
            interactor.Start()
        finally:
            window.Finalize()
    finally:
        plotter.close()
