"""Small widgets. What they show may come from telemetry: it is plain text, on few lines, and elided."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QLayout, QPushButton, QSizePolicy, QWidget


def words(text: str, *, quiet: bool = False, wrap: bool = False, role: str | None = None) -> QLabel:
    """A label of plain text. ``role`` is a property that the style sheet knows."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setWordWrap(wrap)
    if quiet:
        label.setProperty("quiet", True)
    if role is not None:
        label.setProperty(role, True)
    return label


def number(text: str, *, quiet: bool = False) -> QLabel:
    """A label that stands on the right of its column."""
    label = words(text, quiet=quiet)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


class Elided(QLabel):
    """One line of plain text that gives way: what does not fit ends with an ellipsis."""

    def __init__(self, text: str, *, quiet: bool = False, role: str | None = None) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if quiet:
            self.setProperty("quiet", True)
        if role is not None:
            self.setProperty(role, True)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what fits."""
        painter = QPainter(self)
        fitting = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, fitting)
        painter.end()


class Row(QPushButton):
    """A name in a table that can be gone to; elided, and & is no mnemonic."""

    def __init__(self, text: str, do: Callable[[], object]) -> None:
        super().__init__()
        self._text = text
        self.setFlat(True)
        self.setProperty("row", True)
        self.setAccessibleName(text)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.clicked.connect(lambda: do())

    def words(self) -> str:
        """What it says, whole."""
        return self._text

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """One line."""
        return QSize(40, self.fontMetrics().height() + 5)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The button, and what of its text fits."""
        super().paintEvent(event)
        painter = QPainter(self)
        fitting = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(
            self.rect(),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            fitting,
        )
        painter.end()


def button(text: str, tip: str, do: Callable[[], object], *, checkable: bool = False) -> QPushButton:
    """A button of the bar. It leaves the keyboard to the world."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    made.setProperty("choice", checkable)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.clicked.connect(lambda: do())
    return made


def clear(layout: QLayout) -> None:
    """Take everything out of a layout and let it go."""
    while (item := layout.takeAt(0)) is not None:
        inner, widget = item.layout(), item.widget()
        if inner is not None:
            clear(inner)
        if widget is not None:
            widget.hide()
            widget.deleteLater()


def restyle(widget: QWidget) -> None:
    """Look again which rules of the style sheet hold, after a property has changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
