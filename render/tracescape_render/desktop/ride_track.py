"""The strip of a request: its critical path, its errors, its own time, and where one is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from tracescape_render.palette import FAILING, RGB, Theme
from tracescape_render.ride_strip import Fault, Piece, faults_of, pieces_of, ticks_of, told_at
from tracescape_render.route import Route
from tracescape_render.tempo import Tempo

_SIDE: Final = 14
_ERRORS_HEIGHT: Final = 20
_TICKS_HEIGHT: Final = 18
_TICK_PIXELS: Final = 95
_NAMED_PIXELS: Final = 34
_EVENLY: Final = "evenly paced: short steps are drawn long, long ones short  (u: to scale)"
_EVENLY_BRIEF: Final = "evenly paced, not to scale"


class RideTrack(QWidget):
    """``on_moment`` hears of each moment, epoch ns, that is clicked or dragged to."""

    def __init__(self, theme: Theme, on_moment: Callable[[int], object]) -> None:
        super().__init__()
        self._on_moment = on_moment
        self._route: Route | None = None
        self._tempo: Tempo | None = None
        self._at = 0
        self.theme = theme
        self.pieces: list[Piece] = []
        self.faults: list[Fault] = []
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("the request's time")
        self.tip = QLabel(None, Qt.WindowType.ToolTip)
        self.tip.setObjectName("tip")
        self.tip.setTextFormat(Qt.TextFormat.PlainText)
        self.tip.hide()

    def use(self, route: Route, tempo: Tempo) -> None:
        """Show this request, at this tempo."""
        self._route, self._tempo = route, tempo
        self.pieces, self.faults = pieces_of(route, tempo), faults_of(route, tempo)
        self.update()

    def show_moment(self, at_ns: int) -> None:
        """Where one is."""
        if at_ns != self._at:
            self._at = at_ns
            self.update()

    @property
    def pace(self) -> str:
        """What is written over the strip: that it is not to scale, as far as there is room; else nothing."""
        if self._tempo is None or not self._tempo.even:
            return ""
        room = self._room() * min((fault.at for fault in self.faults), default=1.0) - 14
        width = self.fontMetrics().horizontalAdvance
        return next((text for text in (_EVENLY, _EVENLY_BRIEF) if width(text) <= room), "")

    def x_of(self, at_ns: int) -> float:
        """The pixel of a moment."""
        assert self._tempo is not None
        return _SIDE + self._room() * self._tempo.share_of(at_ns)

    def _room(self) -> float:
        return max(self.width() - 2.0 * _SIDE, 1.0)

    def _share(self, x: float) -> float:
        return min(max((x - _SIDE) / self._room(), 0.0), 1.0)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Go there."""
        if event.button() == Qt.MouseButton.LeftButton and self._tempo is not None:
            self._on_moment(self._tempo.at(self._share(event.position().x())))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag, and tell what is there."""
        if self._tempo is None or self._route is None:
            return
        share = self._share(event.position().x())
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._on_moment(self._tempo.at(share))
        self.tip.setText(told_at(self._route, self._tempo, self.pieces, self.faults, share))
        self.tip.setStyleSheet(self.window().styleSheet())
        self.tip.adjustSize()
        where = event.globalPosition().toPoint()
        left = min(where.x() + 14, self.window().frameGeometry().right() - self.tip.width() - 6)
        top = self.mapToGlobal(self.rect().topLeft()).y() - self.tip.height() - 6
        self.tip.move(max(left, 0), max(top, 0))
        self.tip.show()

    def leaveEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Nothing is told any more."""
        self.tip.hide()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Errors, the critical path, times, the moment."""
        if self._tempo is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = self.x_of(self._at)
        top = float(_ERRORS_HEIGHT)
        height = max(self.height() - top - _TICKS_HEIGHT - 4, 8.0)
        for number, piece in enumerate(self.pieces):
            self._draw_piece(painter, piece, number, QRectF(0, top, 0, height), here)
        painter.setPen(_colour(self.theme.text_quiet))
        painter.drawText(QPointF(_SIDE, top - 6), self.pace)
        for fault in self.faults:
            self._draw_fault(painter, _SIDE + self._room() * fault.at, top + height)
        self._draw_ticks(painter)
        painter.setPen(QPen(_colour(self.theme.selection), 2))
        painter.drawLine(QPointF(here, 2), QPointF(here, top + height + 2))
        painter.setBrush(_colour(self.theme.selection))
        painter.drawEllipse(QPointF(here, top + height + 3), 4, 4)
        painter.end()

    def _draw_piece(self, painter: QPainter, piece: Piece, number: int, row: QRectF, here: float) -> None:
        """What is done is bright; what is to come an outline: so it is in the world."""
        left, right = (_SIDE + self._room() * share for share in (piece.begin, piece.end))
        place = QRectF(left, row.top(), max(right - left - 1.0, 1.0), row.height())
        painter.fillRect(place, _colour(self.theme.arc, 46 if number % 2 else 66))
        done = QRectF(place.left(), place.top(), min(max(here - left, 0.0), place.width()), place.height())
        if done.width() > 0:
            painter.fillRect(done, _colour(self.theme.arc, 190 if number % 2 else 230))
        if place.width() > _NAMED_PIXELS:
            fitting = painter.fontMetrics().elidedText(
                piece.name, Qt.TextElideMode.ElideRight, int(place.width() - 8)
            )
            painter.setPen(_colour(self.theme.text))
            painter.drawText(place.adjusted(4, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, fitting)

    def _draw_fault(self, painter: QPainter, x: float, foot: float) -> None:
        ink = _colour(self.theme.marks[FAILING])
        painter.setPen(QPen(ink, 1.2, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(x, 14), QPointF(x, foot))
        painter.setPen(QPen(ink, 2.4))
        painter.drawLine(QPointF(x - 4, 5), QPointF(x + 4, 13))
        painter.drawLine(QPointF(x - 4, 13), QPointF(x + 4, 5))

    def _draw_ticks(self, painter: QPainter) -> None:
        assert self._tempo is not None
        painter.setPen(_colour(self.theme.text_quiet))
        for share, text in ticks_of(self._tempo, int(self._room() / _TICK_PIXELS)):
            x = _SIDE + self._room() * share
            painter.drawLine(
                QPointF(x, self.height() - _TICKS_HEIGHT), QPointF(x, self.height() - _TICKS_HEIGHT + 4)
            )
            painter.drawText(QPointF(x + 3, self.height() - 4), text)


def _colour(colour: RGB, alpha: int = 255) -> QColor:
    return QColor(*colour, alpha)
