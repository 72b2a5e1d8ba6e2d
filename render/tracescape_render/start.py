"""How a window or a picture begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracescape_render.camera import View
from tracescape_render.focus import Focus
from tracescape_render.palette import DARK, Theme

if TYPE_CHECKING:
    from tracescape_render.inside.asked import InsideWish, Seen


@dataclass(frozen=True)
class Start:
    """Everything that a command line can say about it.

    ``command`` is the beginning of the command line that reproduces a view. ``against_ns`` is a moment that
    the one which is shown is compared with, ``split`` sets the two beside each other. ``stereo`` shows the
    world to two eyes, beside each other. ``trace`` is ridden,
    from a ``share`` of its way if that is given, else from the beginning on; ``inside`` is a trace that is
    stepped into, ``seen`` what of its wall is seen, all of it where that is None.
    """

    title: str = "Tracescape"
    size: tuple[int, int] = (1280, 800)
    theme: Theme = DARK
    view: View | None = None
    focus: Focus | None = None
    selected: str | None = None
    against_ns: int | None = None
    split: bool = False
    stereo: bool = False
    trace: str | None = None
    share: float | None = None
    inside: InsideWish | None = None
    seen: Seen | None = None
    command: Sequence[str] = ("tracescape", "explore")
