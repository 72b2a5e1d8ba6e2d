"""The search box: services and operations by what somebody half remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QWidget

from tracescape_render.finding import Hit, ranked
from tracescape_render.text import display_name

WIDTH: Final = 300
_NARROWEST: Final = 110
_LIST_WIDTH: Final = 460


class SearchBox(QLineEdit):
    """``names`` gives all that can be found, ``on_choose`` goes to one; the list hangs over ``window``."""

    def __init__(
        self,
        window: QWidget,
        names: Callable[[], Iterable[Hit]],
        on_choose: Callable[[Hit], object],
        on_leave: Callable[[], object],
    ) -> None:
        super().__init__()
        self._names, self._on_choose, self._on_leave = names, on_choose, on_leave
        self._hits: list[Hit] = []
        self._over = window
        self.setPlaceholderText("search services, operations, a trace id  ( / )")
        self.setMinimumWidth(_NARROWEST)
        self.setMaximumWidth(WIDTH)
        self.setMaxLength(200)
        self.list = QListWidget(window)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.hide()
        self.list.itemClicked.connect(lambda _: self._choose())
        self.textChanged.connect(lambda _: self._look())
        self.installEventFilter(self)

    def hits(self) -> list[Hit]:
        """What is in the list."""
        return self._hits

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Close the list when the keyboard goes elsewhere."""
        if event.type() == QEvent.Type.FocusOut:
            self.list.hide()
        elif event.type() == QEvent.Type.FocusIn and self.text():
            self._look()
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Up and down choose, Enter goes there, Esc leaves."""
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
        if step is not None and self._hits:
            self.list.setCurrentRow((self.list.currentRow() + step) % len(self._hits))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose()
        elif event.key() == Qt.Key.Key_Escape:
            self.clear()
            self.list.hide()
            self._on_leave()
        else:
            super().keyPressEvent(event)

    def _look(self) -> None:
        query = self.text().strip()
        self._hits = ranked(query, self._names()) if query else []
        self.list.clear()
        for hit in self._hits:
            what = f"{display_name(hit.operation, 60)}   –   {display_name(hit.service)}"
            shown = what if hit.operation else display_name(hit.service, 60)
            to_do = "step inside trace" if hit.inside else "ride trace"
            self.list.addItem(QListWidgetItem(f"{to_do} {hit.trace}" if hit.trace else shown))
        if query and not self._hits:
            self.list.addItem(QListWidgetItem("nothing is called like that"))
        self.list.setVisible(bool(query))
        self.list.setCurrentRow(0 if self._hits else -1)
        high = sum(self.list.sizeHintForRow(row) for row in range(self.list.count()))
        self.list.setFixedSize(_LIST_WIDTH, high + 4)
        self.list.move(self.mapTo(self._over, QPoint(0, self.height() + 4)))
        self.list.raise_()

    def _choose(self) -> None:
        row = self.list.currentRow()
        if not 0 <= row < len(self._hits):
            return
        hit = self._hits[row]
        self.clear()
        self.list.hide()
        self._on_leave()
        self._on_choose(hit)
