"""A wall in a Qt widget: drawn when something changed, turned and zoomed by the mouse."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QLabel, QWidget

from tracescape_render.camera import View
from tracescape_render.desktop.tips import place_tip
from tracescape_render.desktop.viewport import Canvas
from tracescape_render.inside.reach import Reach, around
from tracescape_render.inside.stage import WallStage, whole_of
from tracescape_render.inside.standing import Standing
from tracescape_render.moving import nearer, panned, turned
from tracescape_render.palette import Theme

_CLICK_PIXELS: Final = 4
_DEGREES_A_PIXEL: Final = 0.25
_NOTCH: Final = 0.8
_NEARER: Final = 0.88
_FLIGHT_S: Final = 0.3
#: A wall of more bodies is at another place at once.
_MOST_FLYING: Final = 6_000
_TIP_WIDTH: Final = 460
_REMEMBERED: Final = 50


class WallView:
    """A stage in a widget. ``on_click`` gets the span under a click, or None; ``on_second`` hears that it was
    the first of a double click.
    """

    def __init__(
        self,
        parent: QWidget,
        theme: Theme,
        on_click: Callable[[int | None], None],
        on_second: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_click, self._on_second = on_click, on_second
        self.canvas: Any = Canvas(parent, self)
        self.stage = WallStage(self.canvas, moving=True, theme=theme)
        self._pressed: tuple[QPointF, QPointF, Qt.MouseButton] | None = None
        self._dragged = self._dirty = False
        self._seen: object = None
        self._overview: View | None = None
        self._flight: tuple[Reach, Reach, float] | None = None
        self._left: list[Reach] = []
        self._clicked: Reach | None = None
        self._frames: list[float] = []
        self.frame_s = 0.0
        self._pointer: QPointF | None = None
        self._tip = QLabel(self.canvas)
        self._tip.setObjectName("tip")
        self._tip.setTextFormat(Qt.TextFormat.PlainText)
        self._tip.setWordWrap(True)
        self._tip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tip.hide()

    @property
    def shows(self) -> bool:
        """Whether a wall was given."""
        return hasattr(self.stage, "wall")

    def show(self, wall: Standing, *, keep: bool = False) -> None:
        """Draw a wall; ``keep`` what was seen of the one before, and from where."""
        keep = keep and self.shows
        reach = self.reach if keep and self.reach != self.stage.whole else None
        moved = self.stage.view() if keep and self._overview != self.stage.view() else None
        self._left, self._flight = self._left if keep else [], None
        whole = whole_of(wall)
        if reach is not None:
            length = min(reach.length, whole.length)
            lanes = min(reach.lanes, whole.lanes) if reach.lanes < self.stage.whole.lanes else whole.lanes
            reach = Reach(reach.first, reach.first + length, reach.low, reach.low + lanes)
            reach = reach.moved(0.0, 0.0, whole)
        self.stage.show(wall, reach)
        self.left()
        self.see_everything()
        if moved is not None:
            self.look(moved)

    @property
    def reach(self) -> Reach:
        """How much is seen, or will be at the end of a flight."""
        return self.stage.drawn.reach if self._flight is None else self._flight[1]

    @property
    def stands_at(self) -> View | None:
        """From where the wall is seen; None where one sees all that is drawn, whatever the window's size."""
        view = self.stage.view()
        return None if view == self._overview else view

    def go(self, reach: Reach, *, fly: bool = True, remember: bool = True) -> None:
        """See another part of the wall."""
        if reach == self.reach:
            return
        if remember:
            self._left = [*self._left[1 - _REMEMBERED :], self.reach]
        if fly and len(self.stage.drawn.row) <= _MOST_FLYING:
            self._flight = self.stage.drawn.reach, reach, time.monotonic()
        else:
            self._flight = None
            self._cut(reach)

    @property
    def can_go_back(self) -> bool:
        """Whether something else was seen before."""
        return bool(self._left)

    def back(self) -> bool:
        """What was seen before; False at the beginning."""
        if not self._left:
            return False
        self.go(self._left.pop(), remember=False)
        return True

    def zoom(self, factor: float) -> None:
        """Around what is under the pointer, else around the middle."""
        if not self.shows:
            return
        time_at, lane = self._pointed()
        self.go(self.reach.zoomed(factor, time_at, lane, self.stage.whole), fly=False, remember=False)

    def pan(self, time_share: float, lane_share: float) -> None:
        """Along the wall, by a share of what is seen."""
        if self.shows:
            moved = self.reach.moved(time_share, lane_share, self.stage.whole)
            self.go(moved, fly=False, remember=False)

    def go_to(self, span: int, *, room: float = 0.12) -> None:
        """Nearer to a span, until it is about as wide as the wall."""
        wall = self.stage.wall
        start, end, lane = (int(column[span]) for column in (wall.start, wall.end, wall.lane))
        self.go(around(start, end, lane, self.stage.whole, room))

    def reveal(self, span: int) -> None:
        """See a span, with as little moving as that takes: by itself, not in a crowd."""
        drawn, wall = self.stage.drawn, self.stage.wall
        body = drawn.body_of(wall, span)
        if body is not None and drawn.span[body] >= 0 and self._flight is None:
            return
        self.go_to(span, room=1.5)

    def see_all(self) -> None:
        """The whole wall, from where all of it is seen."""
        if self.shows:
            self.go(self.stage.whole)
            self.see_everything()

    def see_everything(self) -> None:
        """From where all that is drawn can be seen."""
        self._overview = self.stage.overview()
        self.stage.look(self._overview)
        self._overview = self.stage.view()
        self.changed()

    def look(self, view: View) -> None:
        """From somewhere else."""
        self.stage.look(view)
        self.changed()

    def turn(self, across: float, up: float) -> None:
        """By degrees, around what is looked at."""
        self.stage.look(_lifted(turned(self.stage.view(), across), up))
        self.changed()

    def nearer(self, factor: float) -> None:
        """The camera, at ``factor`` times its distance."""
        self.stage.look(nearer(self.stage.view(), factor))
        self.changed()

    def select(self, span: int | None) -> None:
        """Frame a span."""
        self.stage.select(span)
        self.changed()

    def find(self, spans: np.ndarray[Any, np.dtype[np.int64]] | None) -> None:
        """Let spans stand out."""
        self.stage.find(spans)
        self.changed()

    def use(self, theme: Theme) -> None:
        """Draw in other colours."""
        if self.shows:
            self.stage.use(theme)
        else:
            self.stage.theme = theme
        self.changed()

    def toggle_labels(self) -> None:
        """Names, or none."""
        self.stage.labels_on = not self.stage.labels_on
        self.changed()

    def changed(self) -> None:
        """Draw anew at the next tick."""
        self._seen = None

    @property
    def tip(self) -> str:
        """What is told of what is under the pointer; empty for nothing."""
        return self._tip.text() if self._tip.isVisible() else ""

    def tick(self) -> None:
        """Draw a frame if anything moved."""
        if not self.shows:
            return
        self._fly()
        seen = (self.stage.view(), self.stage.size, id(self.stage.drawn), self.stage.hovered)
        if seen != self._seen:
            self._seen = seen
            self.canvas.renderer.ResetCameraClippingRange()
            self.stage.relabel()
            self.canvas.update()

    def close(self) -> None:
        """Free what VTK holds."""
        self.canvas.let_go()
        self.canvas.close()

    # What the canvas tells.

    def painted(self, seconds: float) -> None:
        """A frame was drawn."""
        self._frames = [*self._frames[-8:], seconds]
        self.frame_s = sorted(self._frames)[len(self._frames) // 2]

    def resized(self) -> None:
        """Whoever sees everything goes on doing so."""
        if self.shows and (self._overview is None or self._overview == self.stage.view()):
            self.see_everything()
        self.changed()

    def pressed(self, event: QMouseEvent) -> None:
        """A button went down."""
        self._pressed = event.position(), event.position(), event.button()
        self._dragged = False

    def moved(self, event: QMouseEvent) -> None:
        """Drag: left turns the wall, right or Shift moves along it, middle moves the camera."""
        here = event.position()
        if self._pressed is None:
            self._hover(here)
            return
        begun, last, button = self._pressed
        if not self._dragged and math.hypot(here.x() - begun.x(), here.y() - begun.y()) <= _CLICK_PIXELS:
            return
        if not self._dragged and self.shows:
            self._left = [*self._left[1 - _REMEMBERED :], self.reach]
        self._dragged = True
        self.left()
        across, down = here.x() - last.x(), here.y() - last.y()
        self._pressed = begun, here, button
        shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if button == Qt.MouseButton.LeftButton and not shifted:
            self.turn(-across * _DEGREES_A_PIXEL, down * _DEGREES_A_PIXEL)
        elif button == Qt.MouseButton.MiddleButton:
            scale = 2.0 * math.tan(math.radians(15.0)) / max(self.canvas.height(), 1)
            self.stage.look(panned(self.stage.view(), -across * scale, down * scale))
            self.changed()
        else:
            self._drag_along(last, here)

    def released(self, event: QMouseEvent) -> None:
        """A button went up: where nothing was dragged, that is a click."""
        pressed, self._pressed = self._pressed, None
        if pressed is None or self._dragged or event.button() != Qt.MouseButton.LeftButton:
            return
        body = self._body_at(event.position())
        self._clicked = None if body is None else self._around(body)
        span = self._noted(event.position()) if body is None else int(self.stage.drawn.span[body])
        self._on_click(span if span >= 0 else None)

    def double_clicked(self, event: QMouseEvent) -> None:
        """Nearer to what the first click was on: a panel may have moved the wall since."""
        self._on_second()
        if self._clicked is not None:
            self.go(self._clicked)

    def _around(self, body: int) -> Reach:
        """What shows a span, or a crowd in parts."""
        drawn, whole = self.stage.drawn, self.stage.whole
        span, reach = int(drawn.span[body]), drawn.reach
        if span >= 0:
            wall = self.stage.wall
            return around(int(wall.start[span]), int(wall.end[span]), int(wall.lane[span]), whole)
        start, end = (reach.first + edge * reach.length for edge in (drawn.left[body], drawn.right[body]))
        lane = reach.low + int(drawn.row[body]) * drawn.lanes_a_row
        near = around(round(start), round(end), lane, whole)
        nearer_by_much = near.length < 0.9 * reach.length or near.lanes < reach.lanes
        return near if nearer_by_much else reach.zoomed(0.3, start, lane, whole)

    def wheeled(self, notches: float) -> None:
        """A shorter or a longer stretch of time; with Ctrl the camera."""
        if QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            self.nearer(_NEARER**notches)
        else:
            self.zoom(_NOTCH**notches)
            if self._pointer is not None:
                self._hover(self._pointer)

    def left(self) -> None:
        """The pointer is elsewhere."""
        self._pointer = None
        self._tip.hide()
        if self.shows:
            self.stage.hover(None)

    def _drag_along(self, last: QPointF, here: QPointF) -> None:
        if not self.shows:
            return
        (then, low), (now, high) = (self.stage.place_at(*self._pixel(each)) for each in (last, here))
        reach = self.reach
        self.pan((then - now) / reach.length, (low - high) / max(reach.lanes, 1))

    def _hover(self, here: QPointF) -> None:
        self._pointer = here
        if not self.shows:
            return
        self.stage.hover(self._body_at(here))
        text = self.stage.words_at(*self._pixel(here))
        self._tip.setVisible(bool(text))
        if text:
            if text != self._tip.text():
                self._tip.setText(text)
                self._tip.setMaximumWidth(_TIP_WIDTH)
                self._tip.adjustSize()
            place_tip(self._tip, self.canvas, here)

    def _body_at(self, here: QPointF) -> int | None:
        return self.stage.body_at(*self._pixel(here)) if self.shows else None

    def _noted(self, here: QPointF) -> int:
        """The span of the note, or the first of the notes, under the pointer; -1 for none."""
        pin = self.stage.pin_at(*self._pixel(here)) if self.shows else None
        return -1 if pin is None else int(self.stage.wall.notes.span[self.stage.drawn.pins.note[pin]])

    def _pixel(self, here: QPointF) -> tuple[float, float]:
        scale = self.canvas.devicePixelRatioF()
        return here.x() * scale, (self.canvas.height() - 1 - here.y()) * scale

    def _pointed(self) -> tuple[float, float]:
        reach = self.reach
        if self._pointer is None:
            return (reach.first + reach.last) / 2, (reach.low + reach.high) / 2
        at, lane = self.stage.place_at(*self._pixel(self._pointer))
        return min(max(at, reach.first), reach.last), min(max(lane, reach.low), reach.high)

    def _cut(self, reach: Reach) -> None:
        """Draw another part; whoever sees everything goes on doing so."""
        sees_all = self._overview == self.stage.view()
        self._tip.hide()
        self.stage.reach(reach)
        if sees_all:
            self.see_everything()
        self.changed()

    def _fly(self) -> None:
        if self._flight is None:
            return
        begin, end, moment = self._flight
        part = (time.monotonic() - moment) / _FLIGHT_S
        if part >= 1.0:
            self._flight = None
            self._cut(end)
            return
        eased = part * part * (3.0 - 2.0 * part)
        ends = ((getattr(begin, name), getattr(end, name)) for name in ("first", "last", "low", "high"))
        first, last, low, high = (a + (b - a) * eased for a, b in ends)
        self._cut(Reach(first, max(last, first + 1.0), round(low), max(round(high), round(low) + 1)))


def _lifted(view: View, degrees: float) -> View:
    """Higher or lower; the stage keeps it before the wall."""
    arm = np.subtract(view.position, view.focus)
    distance, level = float(np.linalg.norm(arm)), float(np.hypot(arm[0], arm[1]))
    angle = np.arctan2(arm[2], level) + np.radians(degrees)
    angle = float(np.clip(angle, -1.5, 1.5))
    flat = distance * np.cos(angle)
    around_z = np.arctan2(arm[1], arm[0])
    x, y, z = (
        float(part) for part in (flat * np.cos(around_z), flat * np.sin(around_z), distance * np.sin(angle))
    )
    fx, fy, fz = view.focus
    return View((fx + x, fy + y, fz + z), view.focus)
