"""Text on the screen: its font, its size in pixels, and the actors that write it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

import vtkmodules.vtkRenderingFreeType  # noqa: F401 - what writes in VTK
from vtkmodules.vtkRenderingCore import vtkTextActor, vtkTextProperty, vtkTextRenderer

from tracescape_render.palette import DARK, RGB

_FONT_FILE: Final = 4  # VTK_FONT_FILE, which the Python wrappers leave out
#: Pixels between a text and the edge of its ground.
PADDING: Final = 5.0
BOLD: Final = "DejaVuSans-Bold.ttf"


def help_actor(keys: str) -> vtkTextActor:
    """The key help, hidden, in type of equal width so that its columns stand."""
    actor = text_actor(15, face="DejaVuSansMono.ttf")
    actor.SetInput(keys)
    actor.SetPosition(26, 80)
    colour(actor, DARK.text, DARK.label_ground, 0.9)
    actor.GetTextProperty().SetLineSpacing(1.3)
    actor.SetVisibility(False)
    return actor


def _font(face: str) -> Path | None:
    """DejaVu, which knows more scripts than VTK's own font; it comes with matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / face
    return path if path.exists() else None


def text_actor(size: int, *, face: str = "DejaVuSans.ttf") -> vtkTextActor:
    """An actor that writes at ``size`` points at a pixel, whatever the size of the window."""
    actor = vtkTextActor()
    actor.SetTextScaleModeToNone()
    actor.PickableOff()
    text = actor.GetTextProperty()
    font = _font(face)
    if font is not None:
        text.SetFontFamily(_FONT_FILE)
        text.SetFontFile(str(font))
    text.SetFontSize(size)
    return actor


def colour(actor: vtkTextActor, ink: RGB, ground: RGB | None = None, opacity: float = 0.0) -> None:
    """Write in ``ink``, on a ground of ``opacity`` if there is one."""
    text = actor.GetTextProperty()
    text.SetColor(*(part / 255 for part in ink))
    text.SetBackgroundOpacity(opacity)
    if ground is not None:
        text.SetBackgroundColor(*(part / 255 for part in ground))


def measure(actor: vtkTextActor) -> tuple[float, float]:
    """Width and height of what an actor writes, padding included, in pixels."""
    return text_size(actor.GetInput() or "", actor.GetTextProperty())


def fit(actor: vtkTextActor, text: str, width: float, letters: tuple[int, int]) -> None:
    """Write as large as ``text`` fits, from the first of ``letters`` (points) down to the second."""
    style = actor.GetTextProperty()
    style.SetFontSize(letters[0])
    wide = text_size(text, style)[0]
    if wide > width > 0:
        style.SetFontSize(max(int(letters[0] * width / wide), letters[1]))


def width_of(style: vtkTextProperty, text: str) -> float:
    """How wide a text is, padding included, in pixels."""
    return text_size(text, style)[0]


def text_size(text: str, style: vtkTextProperty) -> tuple[float, float]:
    """Width and height of ``text`` in ``style``, padding included, in pixels."""
    box = [0, 0, 0, 0]
    vtkTextRenderer.GetInstance().GetBoundingBox(style, text, box, 72)
    return box[1] - box[0] + 2 * PADDING, box[3] - box[2] + 2 * PADDING
