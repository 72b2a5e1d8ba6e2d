"""A chart in the window: moved by dragging, nearer by the wheel, clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from PySide6.QtCore import QByteArray, QPointF, QRectF
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QWidget

from tracescape_render.charts.style import plain
from tracescape_render.charts.topology import Spot
from tracescape_render.palette import Theme

_CLICK_PIXELS: Final = 4
_MOST: Final = 1.6
_MARGIN: Final = 16


class DrawingView(QWidget):
    """Shows an SVG as large as it fits. ``on_choose`` gets the name of a spot that is clicked."""

    def __init__(self, on_choose: Callable[[str], object]) -> None:
        super().__init__()
        self._on_choose = on_choose
        self._drawing = QSvgRenderer(self)
        self._spots: Mapping[str, Spot] = {}
        self._svg = ""
        self._nearer = 1.0
        self._moved = QPointF(0, 0)
        self._pressed: tuple[QPointF, QPointF] | None = None
        self.setMouseTracking(False)

    def use(self, svg: str, theme: Theme, spots: Mapping[str, Spot]) -> None:
        """Show another drawing, from where one looks now."""
        self._spots = spots
        text = plain(svg, theme)
        if text != self._svg:
            self._svg = text
            self._drawing.load(QByteArray(text.encode()))
            self.update()

    def spot_on_screen(self, name: str) -> QPointF:
        """Where a spot is in the widget."""
        spot, scale, origin = self._spots[name], self._scale(), self._origin()
        return QPointF(origin.x() + spot.x * scale, origin.y() + spot.y * scale)

    def fit(self) -> None:
        """See all of it."""
        self._nearer, self._moved = 1.0, QPointF(0, 0)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The drawing."""
        if not self._svg:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        size, scale, origin = self._drawing.defaultSize(), self._scale(), self._origin()
        place = QRectF(origin.x(), origin.y(), size.width() * scale, size.height() * scale)
        self._drawing.render(painter, place)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click or a drag begins."""
        self._pressed = event.position(), self._moved

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move the drawing."""
        if self._pressed is not None:
            self._moved = self._pressed[1] + event.position() - self._pressed[0]
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click chooses what is there."""
        pressed, self._pressed = self._pressed, None
        if pressed is None or (event.position() - pressed[0]).manhattanLength() > _CLICK_PIXELS:
            return
        scale, origin = self._scale(), self._origin()
        x, y = (event.position().x() - origin.x()) / scale, (event.position().y() - origin.y()) / scale
        for name, spot in self._spots.items():
            if (spot.x - x) ** 2 + (spot.y - y) ** 2 <= (spot.radius + 6) ** 2:
                self._on_choose(name)
                return

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See all of it again."""
        self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Nearer or farther, around the pointer."""
        before, origin = self._scale(), self._origin()
        self._nearer = min(max(self._nearer * 1.15 ** (event.angleDelta().y() / 120.0), 0.5), 12.0)
        grown = self._scale() / before
        wanted = event.position() - (event.position() - origin) * grown
        self._moved += wanted - self._origin()
        self.update()

    def _scale(self) -> float:
        size = self._drawing.defaultSize()
        across = (self.width() - 2 * _MARGIN) / max(size.width(), 1)
        down = (self.height() - 2 * _MARGIN) / max(size.height(), 1)
        return max(min(across, down, _MOST), 0.05) * self._nearer

    def _origin(self) -> QPointF:
        size, scale = self._drawing.defaultSize(), self._scale()
        left = (self.width() - size.width() * scale) / 2
        top = (self.height() - size.height() * scale) / 2
        return QPointF(left, top) + self._moved
