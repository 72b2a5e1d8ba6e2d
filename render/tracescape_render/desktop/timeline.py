"""The strip under the world: everything that is stored, where one is in it, and buttons that move there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from tracescape_render.desktop.pieces import button, restyle, words
from tracescape_render.palette import ABSENT, FAILING, HEALTHY, RGB, Theme
from tracescape_render.strip import (
    Curve,
    Lane,
    Line,
    Spot,
    lanes_of,
    spot_at,
    spots_of,
    ticks_of,
    told_at,
)

HEIGHT: Final = 112
_MARKS_HEIGHT: Final = 15
_TICKS_HEIGHT: Final = 14
_NAMES_WIDTH: Final = 92
_GAP: Final = 4
_TICK_PIXELS: Final = 95
_ZOOM: Final = 0.8
_SIDE: Final = 252


class Track(QWidget):
    """The lines, marks and the cursor.

    ``on_moment`` hears of each moment that is clicked or dragged to, ``on_zoom`` of the wheel: about
    which share of it, and by which factor; ``on_mark`` of a mark that is clicked.
    """

    def __init__(
        self,
        theme: Theme,
        on_moment: Callable[[float], object],
        on_zoom: Callable[[float, float], object],
        on_mark: Callable[[Spot], object],
    ) -> None:
        super().__init__()
        self._on_moment, self._on_zoom, self._on_mark = on_moment, on_zoom, on_mark
        self._on_a_mark = False
        self._line, self._lanes, self._spots = Line(), list[Lane](), list[Spot]()
        self._at: int | None = None
        self._against: int | None = None
        self._width_ns = 0
        self._said = ""
        self.theme = theme
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("timeline")
        self.tip = QLabel(self.window() if self.parent() else None, Qt.WindowType.ToolTip)
        self.tip.setObjectName("tip")
        self.tip.setTextFormat(Qt.TextFormat.PlainText)
        self.tip.hide()

    @property
    def line(self) -> Line:
        """What is drawn."""
        return self._line

    @property
    def spots(self) -> list[Spot]:
        """The marks that are drawn."""
        return self._spots

    def show_line(self, line: Line) -> None:
        """Draw this from now on."""
        self._line, self._lanes, self._spots = line, lanes_of(line), spots_of(line)
        self.update()

    def show_moment(self, at_ns: int | None, width_ns: int, said: str, against_ns: int | None = None) -> None:
        """Where one is (None: now), how much before it is seen, and what is said where there is no line.

        ``against_ns`` is the other moment, None for none.
        """
        moment = at_ns, width_ns, said, against_ns
        if moment != (self._at, self._width_ns, self._said, self._against):
            self._at, self._width_ns, self._said, self._against = moment
            self.update()

    def x_of(self, at_ns: float) -> float:
        """The pixel of a moment."""
        left, room = self._room()
        return left + room * self._line.share_of(at_ns)

    def _room(self) -> tuple[float, float]:
        return _NAMES_WIDTH, max(self.width() - _NAMES_WIDTH - 12.0, 1.0)

    def _share(self, x: float) -> float:
        left, room = self._room()
        return (x - left) / room

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Go there."""
        if event.button() != Qt.MouseButton.LeftButton or self._line.empty:
            return
        mark = self._mark_at(event.position())
        self._on_a_mark = mark is not None
        if mark is not None:
            self._on_mark(mark)
        else:
            self._on_moment(self._line.moment_at(self._share(event.position().x())))

    def _mark_at(self, here: QPointF) -> Spot | None:
        """The mark in the row of marks; a click elsewhere means a moment."""
        return spot_at(self._spots, self._share(here.x())) if here.y() < _MARKS_HEIGHT else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag, or tell what is there."""
        share = self._share(event.position().x())
        if event.buttons() & Qt.MouseButton.LeftButton and not self._line.empty and not self._on_a_mark:
            self._on_moment(self._line.moment_at(share))
        text = told_at(self._line, self._spots, share) if 0.0 <= share <= 1.0 else ""
        mark = self._mark_at(event.position())
        if text and mark is not None:
            text += "\na click goes there" + (", and R rides a trace that shows it" if mark.trace_id else "")
        self.setCursor(Qt.CursorShape.CrossCursor if mark is None else Qt.CursorShape.PointingHandCursor)
        self.tip.setVisible(bool(text))
        if text:
            self.tip.setText(text)
            self.tip.adjustSize()
            where = event.globalPosition().toPoint()
            left = min(where.x() + 14, self.window().frameGeometry().right() - self.tip.width() - 6)
            top = self.mapToGlobal(self.rect().topLeft()).y() - self.tip.height() - 6
            self.tip.move(max(left, 0), max(top, 0))

    def leaveEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Nothing is told any more."""
        self.tip.hide()

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802 - Qt's name
        """The tip looks like the window's."""
        self.tip.setStyleSheet(self.window().styleSheet())

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """A shorter or longer stretch of time, about the pointer."""
        if not self._line.empty:
            share = min(max(self._share(event.position().x()), 0.0), 1.0)
            self._on_zoom(share, _ZOOM ** (event.angleDelta().y() / 120.0))
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Marks, lines, times, the moment."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._line.empty:
            painter.setPen(_colour(self.theme.text_quiet))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._said or "nothing is stored yet")
            painter.end()
            return
        left, room = self._room()
        self._draw_window(painter)
        top, height = float(_MARKS_HEIGHT), self.height() - _MARKS_HEIGHT - _TICKS_HEIGHT
        for number, lane in enumerate(self._lanes):
            each = height / max(len(self._lanes), 1)
            place = QRectF(left, top + number * each + 2, room, each - _GAP)
            self._draw_lane(painter, lane, place, number)
        for spot in self._spots:
            self._draw_spot(painter, spot, left, room)
        self._draw_ticks(painter)
        self._draw_other(painter)
        self._draw_cursor(painter)
        painter.end()

    def _draw_window(self, painter: QPainter) -> None:
        left, room = self._room()
        for at, ink in ((self._at, self.theme.selection), (self._against, self.theme.arc)):
            if at is None:
                continue
            begin, end = max(self.x_of(at - self._width_ns), left), min(self.x_of(at), left + room)
            if end > begin:
                seen = QRectF(begin, 0, end - begin, self.height() - _TICKS_HEIGHT)
                painter.fillRect(seen, _colour(ink, 34 if at == self._at else 80))

    def _draw_lane(self, painter: QPainter, lane: Lane, place: QRectF, number: int) -> None:
        theme = self.theme
        failing = theme.marks[FAILING]
        whole = failing if number == 1 else theme.arc
        painter.setPen(QPen(_colour(theme.grid), 1))
        painter.drawLine(place.bottomLeft(), place.bottomRight())
        _draw_curve(painter, lane.whole, place, _colour(whole, 150), filled=True)
        if lane.selected is not None:
            _draw_curve(painter, lane.selected, place, _colour(theme.text), filled=False)
        named = QRectF(8, place.top(), _NAMES_WIDTH - 14, place.height())
        painter.setPen(_colour(theme.text_quiet))
        painter.drawText(named, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, lane.name)
        painter.drawText(named, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, lane.top)

    def _draw_spot(self, painter: QPainter, spot: Spot, left: float, room: float) -> None:
        theme, foot = self.theme, self.height() - _TICKS_HEIGHT
        begin, end = left + room * spot.begin, left + room * spot.end
        row = QRectF(begin, 2, max(end - begin, 2.0), _MARKS_HEIGHT - 5)
        if spot.kind == "deployment":
            painter.setPen(QPen(_colour(theme.text_quiet, 130), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(begin, 10), QPointF(begin, foot))
            sign = QPainterPath(QPointF(begin, 11))
            for x, y in ((begin - 5, 2), (begin + 5, 2), (begin, 11)):
                sign.lineTo(x, y)
            painter.fillPath(sign, _colour(theme.text))
        elif spot.kind == "change":
            painter.fillRect(QRectF(begin, 0, row.width(), foot), _colour(theme.cause, 34))
            painter.fillRect(row, _colour(theme.cause))
        else:
            brush = Qt.BrushStyle.BDiagPattern if spot.kind == "absence" else Qt.BrushStyle.Dense6Pattern
            painter.setPen(QPen(_colour(theme.marks[ABSENT]), 1))
            painter.setBrush(_colour(theme.marks[ABSENT]))
            painter.setBrush(brush)
            painter.drawRect(row)
            painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_ticks(self, painter: QPainter) -> None:
        left, room = self._room()
        painter.setPen(_colour(self.theme.text_quiet))
        top = self.height() - _TICKS_HEIGHT
        for share, text in ticks_of(self._line, int(room / _TICK_PIXELS)):
            x = left + room * share
            painter.drawLine(QPointF(x, top), QPointF(x, top + 3))
            if x < left + room - 50:
                painter.drawText(QPointF(x + 3, self.height() - 3), text)

    def _draw_other(self, painter: QPainter) -> None:
        """The moment that is compared with: dashed, and hollow where the other's handle is full."""
        if self._against is None:
            return
        left, room = self._room()
        x = min(max(self.x_of(self._against), left), left + room)
        foot = self.height() - _TICKS_HEIGHT
        ink = _colour(self.theme.text)
        painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, 0), QPointF(x, foot - 5))
        painter.setPen(QPen(ink, 2))
        painter.drawEllipse(QPointF(x, foot), 5, 5)

    def _draw_cursor(self, painter: QPainter) -> None:
        left, room = self._room()
        now = self._at is None
        x = left + room if now else min(max(self.x_of(self._at or 0), left), left + room)
        ink = _colour(self.theme.marks[HEALTHY] if now else self.theme.selection)
        painter.setPen(QPen(ink, 2))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height() - _TICKS_HEIGHT))
        handle = QPainterPath()
        handle.addEllipse(QPointF(x, self.height() - _TICKS_HEIGHT), 5, 5)
        painter.fillPath(handle, ink)


class Strip(QFrame):
    """The track with what says where one is, and the buttons that keys do as well."""

    def __init__(self, track: Track, actions: dict[str, tuple[str, Callable[[], object]]]) -> None:
        super().__init__()
        self.setObjectName("timeline")
        self.setFixedHeight(HEIGHT)
        self.track = track
        self.badge = words("", role="badge")
        self.badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.moment, self.more = words(""), words("", quiet=True)
        self.buttons = {name: button(name, tip, do) for name, (tip, do) in actions.items()}
        self.speed = words("×1")
        side = QWidget()
        side.setFixedWidth(_SIDE)
        rows = QVBoxLayout(side)
        rows.setContentsMargins(10, 6, 4, 6)
        rows.setSpacing(3)
        first = QHBoxLayout()
        first.addWidget(self.badge)
        first.addWidget(self.moment, 1)
        rows.addLayout(first)
        rows.addWidget(self.more)
        last = QHBoxLayout()
        last.setSpacing(0)
        for name, each in self.buttons.items():
            each.setProperty("play", True)
            last.addWidget(each)
            if name == "−":
                last.addWidget(self.speed)
        last.addStretch(1)
        rows.addLayout(last)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        line.addWidget(side)
        line.addWidget(track, 1)

    def tell(self, badge: str, state: str, moment: str, more: str, speed: str, *, plays: bool) -> None:
        """How things are; ``state`` is ``now``, ``all``, ``past`` or ``trace``."""
        for label, text in (
            (self.badge, badge),
            (self.moment, moment),
            (self.more, more),
            (self.speed, speed),
        ):
            if label.text() != text:
                label.setText(text)
        if self.badge.property("state") != state:
            self.badge.setProperty("state", state)
            restyle(self.badge)
        pause = self.buttons["▶"]
        text = "❚❚" if plays else "▶"
        if pause.text() != text:
            pause.setText(text)

    def texts(self) -> list[str]:
        """All that is written beside the track."""
        return [each.text() for each in (self.badge, self.moment, self.more, self.speed)]


def _draw_curve(painter: QPainter, curve: Curve, place: QRectF, colour: QColor, *, filled: bool) -> None:
    path, area, begun = QPainterPath(), QPainterPath(), False
    for x, y in [*zip(curve.x.tolist(), curve.y.tolist(), strict=True), (0.0, math.nan)]:
        if math.isnan(y) or not -0.01 <= x <= 1.01:
            if begun:
                area.lineTo(area.currentPosition().x(), place.bottom())
                area.closeSubpath()
            begun = False
            continue
        here = QPointF(
            place.left() + place.width() * min(max(x, 0.0), 1.0), place.bottom() - place.height() * y
        )
        if not begun:
            path.moveTo(here)
            path.lineTo(here.x() + 1.0, here.y())
            area.moveTo(here.x(), place.bottom())
        else:
            path.lineTo(here)
        area.lineTo(here)
        begun = True
    if filled:
        soft = QColor(colour)
        soft.setAlpha(80)
        painter.fillPath(area, soft)
    painter.setPen(QPen(colour, 1.4))
    painter.drawPath(path)


def _colour(colour: RGB, alpha: int = 255) -> QColor:
    return QColor(*colour, alpha)
