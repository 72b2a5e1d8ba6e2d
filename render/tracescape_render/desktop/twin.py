"""What Qt writes over the world, once more in the other eye's picture."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QLabel


class Twin(QLabel):
    """A copy of a label in the other half of what the label lies on; hidden until `shown_twice`."""

    def __init__(self, label: QLabel) -> None:
        over = label.parentWidget()
        assert over is not None
        super().__init__(over)
        self._label, self._over = label, over
        self._on = False
        self.setObjectName(label.objectName())
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(label.wordWrap())
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        label.installEventFilter(self)

    def shown_twice(self, on: bool) -> None:
        """From now on be there where the label is, or not at all."""
        self._on = on
        self._follow()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """The label has changed, or is drawn: in new words, perhaps."""
        if event.type() in (
            QEvent.Type.Show,
            QEvent.Type.Hide,
            QEvent.Type.Move,
            QEvent.Type.Resize,
            QEvent.Type.Paint,
        ):
            self._follow()
        return False

    def _follow(self) -> None:
        there = self._on and self._label.isVisible()
        self.setVisible(there)
        if there:
            half = self._over.width() // 2
            place = self._label.geometry()
            self.setText(self._label.text())
            self.setGeometry(place.translated(half if place.center().x() < half else -half, 0))
            self.raise_()
