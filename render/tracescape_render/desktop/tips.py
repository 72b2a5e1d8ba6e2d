"""Where a tooltip goes."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QWidget

_GAP: Final = 16
_EDGE: Final = 6


def place_tip(tip: QWidget, over: QWidget, here: QPointF, half: int | None = None) -> None:
    """Beside the pointer, always whole within ``over``, or in that half of it, ``half`` pixels wide."""
    first = 0 if half is None or here.x() < half else half
    last = over.width() if half is None else first + half
    x, y = here.x() + _GAP, here.y() + _GAP
    if x + tip.width() > last - _EDGE:
        x = here.x() - _GAP - tip.width()
    if y + tip.height() > over.height() - _EDGE:
        y = here.y() - _GAP - tip.height()
    tip.move(max(int(x), first + _EDGE), max(int(y), _EDGE))
