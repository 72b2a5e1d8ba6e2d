"""The bar above: which picture, what to search, how much of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QWidget

from tracescape_render.desktop.pages import NAMES
from tracescape_render.desktop.pieces import button
from tracescape_render.focus import Focus

_HOPS: Final = (("all", None), ("1", 1), ("2", 2), ("3", 3), ("4", 4))
_WAYS: Final = (("callers", "up"), ("both", "both"), ("called", "down"))


class Bar(QFrame):
    """Buttons for what keys do as well. Each handler does what its name says."""

    def __init__(
        self,
        search: QLineEdit,
        *,
        on_page: Callable[[int], object],
        on_hops: Callable[[int | None], object],
        on_way: Callable[[str], object],
        actions: dict[str, tuple[str, Callable[[], object]]],
    ) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setFixedHeight(44)
        line = QHBoxLayout(self)
        line.setContentsMargins(10, 0, 10, 0)
        line.setSpacing(2)
        self.pages = [
            button(name, f"show this as: {name.lower()}  (m)", _with(on_page, number), checkable=True)
            for number, name in enumerate(NAMES)
        ]
        self.hops = {
            hops: button(name, _hops_tip(hops), _with(on_hops, hops), checkable=True) for name, hops in _HOPS
        }
        self.ways = {
            way: button(name, f"follow {name}", _with(on_way, way), checkable=True) for name, way in _WAYS
        }
        self.buttons = {name: button(name, tip, do) for name, (tip, do) in actions.items()}
        _add(line, self.pages)
        line.addSpacing(14)
        line.addWidget(search, 10)
        line.addStretch(1)
        _add(line, self.hops.values())
        line.addSpacing(14)
        _add(line, self.ways.values())
        line.addSpacing(14)
        _add(line, self.buttons.values())
        self.pages[-1].hide()

    def tell(self, page: int, focus: Focus | None, *, trace: bool, can_go_back: bool) -> None:
        """Show how things are."""
        for number, each in enumerate(self.pages):
            each.setChecked(number == page)
        self.pages[-1].setVisible(trace)
        for hops, each in self.hops.items():
            each.setChecked(hops is None if focus is None else hops == focus.hops)
        for way, each in self.ways.items():
            each.setChecked(way == ("both" if focus is None else focus.direction))
        self.buttons["back"].setEnabled(can_go_back)


def _add(line: QHBoxLayout, widgets: Iterable[QWidget]) -> None:
    for each in widgets:
        line.addWidget(each)


def _with(do: Callable[..., object], value: object) -> Callable[[], object]:
    return lambda: do(value)


def _hops_tip(hops: int | None) -> str:
    if hops is None:
        return "everything  (0)"
    return f"only what is {hops} call{'s' if hops > 1 else ''} away from the selected  ({hops})"
