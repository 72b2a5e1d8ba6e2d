"""Small plots over a window of time, drawn as they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

Values = Sequence[float | None]

_HEIGHT = 64
_TOP = 18
_FOOT = 4


class Plot(QWidget):
    """Lines over steps of equal length, from 0 to the largest value; steps without a value are gaps.

    ``series`` are (values, colour), the last drawn on top; ``written`` writes a value for people.
    """

    def __init__(
        self,
        title: str,
        series: Sequence[tuple[Values, QColor]],
        written: Callable[[float], str],
        ink: QColor,
        line: QColor,
    ) -> None:
        super().__init__()
        self._title, self._series, self._written = title, series, written
        self._ink, self._line = ink, line
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setAccessibleName(f"{title}, at most {self.top_text()}")

    def top_text(self) -> str:
        """The largest value in words."""
        top = self._top()
        return "–" if top is None else self._written(top)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough to read."""
        return QSize(300, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Title, largest value, lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self._ink)
        above = QRectF(0, 0, self.width(), _TOP - 4)
        painter.drawText(above, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, self._title)
        painter.drawText(
            above, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"max {self.top_text()}"
        )
        floor = self.height() - _FOOT
        painter.setPen(QPen(self._line, 1))
        painter.drawLine(QPointF(0, floor), QPointF(self.width(), floor))
        top = self._top()
        if top:
            for values, colour in self._series:
                self._draw(painter, values, colour, max(top, 1e-12))
        painter.end()

    def _draw(self, painter: QPainter, values: Values, colour: QColor, top: float) -> None:
        height = self.height() - _FOOT - _TOP
        step = self.width() / max(len(values) - 1, 1)
        line, area, begun = QPainterPath(), QPainterPath(), None
        for number, value in enumerate([*values, None]):
            if not _known(value):
                if begun is not None:
                    area.lineTo(area.currentPosition().x(), _TOP + height)
                    area.closeSubpath()
                begun = None
                continue
            assert value is not None
            here = QPointF(number * step, _TOP + height * (1.0 - min(value / top, 1.0)))
            if begun is None:
                line.moveTo(here)
                area.moveTo(here.x(), _TOP + height)
                line.lineTo(here.x() + 1.0, here.y())  # a lonely step is a dot
            else:
                line.lineTo(here)
            area.lineTo(here)
            begun = number
        faint = QColor(colour)
        faint.setAlpha(38)
        painter.fillPath(area, faint)
        painter.setPen(QPen(colour, 1.5))
        painter.drawPath(line)

    def _top(self) -> float | None:
        known = [value for values, _ in self._series for value in values if _known(value)]
        return max((value for value in known if value is not None), default=None)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value >= 0
