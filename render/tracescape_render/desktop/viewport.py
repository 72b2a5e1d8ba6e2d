"""The world in a Qt widget: drawn when something changed, moved by the mouse."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QLabel, QWidget
from pyvistaqt import QtInteractor

from tracescape_render.camera import View
from tracescape_render.desktop.tips import place_tip
from tracescape_render.desktop.twin import Twin
from tracescape_render.moving import between, nearer, panned, tilted, turned
from tracescape_render.palette import Theme
from tracescape_render.placing import Transition
from tracescape_render.scene import Scene
from tracescape_render.settling import moved, transition
from tracescape_render.stage import Stage

_CLICK_PIXELS: Final = 4
_DEGREES_A_PIXEL: Final = 0.3
_NOTCH: Final = 0.88
_FLIGHT_S: Final = 0.45
_TIP_WIDTH: Final = 420
#: Islands open and close while one flies, so seldom that flying stays smooth.
_APPROACH_EVERY_S: Final = 0.2
_SETTLING_S: Final = 1.2
#: In a larger world everybody is at a new place at once.
_MOST_SETTLING: Final = 600

Handler = Callable[[float, float], None]


class Viewer(Protocol):
    """Who draws on a canvas, and hears of it."""

    def painted(self, seconds: float) -> None:
        """A frame took so long."""

    def resized(self) -> None:
        """The canvas has another size."""

    def pressed(self, event: QMouseEvent) -> None:
        """A button went down."""

    def moved(self, event: QMouseEvent) -> None:
        """The pointer moved."""

    def released(self, event: QMouseEvent) -> None:
        """A button went up."""

    def double_clicked(self, event: QMouseEvent) -> None:
        """A button went down twice."""

    def wheeled(self, notches: float) -> None:
        """The wheel was turned."""

    def left(self) -> None:
        """The pointer left."""


class Canvas(QtInteractor):  # type: ignore[misc]  # pyvistaqt is untyped
    """Qt's widget that VTK draws into. The mouse is ours, and keys are the window's."""

    def __init__(self, parent: QWidget, world: Viewer) -> None:
        super().__init__(parent, auto_update=False, multi_samples=0)
        self._world: Viewer | None = world
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def let_go(self) -> None:
        """Know the world no more."""
        self._world = None

    def paintGL(self) -> None:  # noqa: N802 - Qt's name
        """Draw, and say how long that took."""
        began = time.perf_counter()
        super().paintGL()
        if self._world is not None:
            self._world.painted(time.perf_counter() - began)

    def resizeGL(self, width: int, height: int) -> None:  # noqa: N802 - Qt's name
        """Labels have other places in a window of another size."""
        super().resizeGL(width, height)
        if self._world is not None:
            self._world.resized()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click or a drag begins."""
        if self._world is not None:
            self.setFocus()
            self._world.pressed(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A drag, or a look at what is under the pointer."""
        if self._world is not None:
            self._world.moved(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click, or the end of a drag."""
        if self._world is not None:
            self._world.released(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Go there."""
        if self._world is not None:
            self._world.double_clicked(event)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Nearer or farther."""
        if self._world is not None:
            self._world.wheeled(event.angleDelta().y() / 120.0)

    def leaveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Nothing is under the pointer any more."""
        if self._world is not None:
            self._world.left()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys are the window's."""
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """As above."""
        event.ignore()


class World:
    """A stage in a widget: what is drawn, when, and what the mouse does to it.

    ``on_click`` gets the body under a click, or None; ``on_go`` hears of the second click, ``on_move`` of a
    drag that begins, ``on_reopened`` of bodies that have other numbers now; ``tip_of`` says what is told of
    the body under the pointer; ``on_frame`` hears how long a frame took, s.
    """

    def __init__(
        self,
        parent: QWidget,
        theme: Theme,
        *,
        on_click: Callable[[int | None], None],
        on_go: Callable[[], None],
        on_move: Callable[[], None],
        on_reopened: Callable[[], None],
        tip_of: Callable[[int], str],
        on_frame: Callable[[float], None],
    ) -> None:
        self._on_click, self._on_go, self._on_move = on_click, on_go, on_move
        self._on_reopened = on_reopened
        self._tip_of, self._on_frame = tip_of, on_frame
        self._pressed: tuple[QPointF, QPointF, Qt.MouseButton] | None = None
        self._dragged = False
        self._flight: tuple[View, View, float] | None = None
        self._pointer: QPointF | None = None
        self._seen: object = None
        self._approached: View | None = None
        self._approached_at = 0.0
        self._settling: tuple[Scene, Transition, float, float] | None = None  # from when, until when
        self._everything: View | None = None
        self._dirty = True
        self._lit_s, self._ticked = 0.0, time.monotonic()
        self.pace = 1.0  # how fast the lights move: 0 where time stands still, negative backwards
        self._frames: list[float] = []
        self.hovered: int | None = None
        self.canvas: Any = Canvas(parent, self)
        self.stage = Stage(self.canvas, moving=True, theme=theme)
        self.stage.tells = False
        self._tip = QLabel(self.canvas)
        self._tip.setObjectName("tip")
        self._tip.setTextFormat(Qt.TextFormat.PlainText)
        self._tip.setWordWrap(True)
        self._tip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tip.hide()
        self._twin = Twin(self._tip)

    def show(self, scene: Scene, *, keep_view: bool = True) -> None:
        """Draw another scene. Who stands elsewhere in it goes there.

        Whoever sees everything goes on doing so when a beacon comes, whose flag needs room, or goes.
        """
        sees_all = self._sees_everything()
        flagged = self.stage.scene is not None and self.stage.scene.beacon is not None
        now = time.monotonic()
        arrival = now + _SETTLING_S if self._settling is None else self._settling[3]
        self._settling = None
        way = None if self.stage.whole is None else transition(self.stage.whole, scene)
        if way is not None and keep_view and len(scene.services) <= _MOST_SETTLING:
            self._settling = scene, way, now, arrival
            self.stage.show(moved(scene, way.at(0.0)), keep_view=True)
        else:
            self.stage.show(scene, keep_view=True)
        if not keep_view:
            self.see_everything(fly=False)
        elif sees_all and flagged != (scene.beacon is not None):
            self.see_everything()
        self._look_again()

    def open(self, body: int) -> bool:
        """Draw the members of a body that stands for several; False where there is no room for them."""
        opened = self.stage.open(body)
        if opened:
            self._look_again()
        return opened

    def mark(self, service: str | None, *, reveal: bool) -> None:
        """Ring a service, or what it is inside of; ``reveal`` opens that."""
        scene = self.stage.scene
        self.stage.select(None if service is None else self.stage.body_of(service, reveal=reveal))
        if self.stage.scene is not scene:
            self._look_again()
        self.changed()

    def use(self, theme: Theme) -> None:
        """Draw in other colours."""
        self.stage.use(theme)
        self.changed()

    def changed(self) -> None:
        """Draw anew at the next tick, and place the labels anew."""
        self._seen = None
        self._dirty = True

    def redraw(self) -> None:
        """Draw anew at the next tick; labels stay where they are."""
        self._dirty = True

    def resized(self) -> None:
        """Whoever sees everything goes on doing so."""
        if self._sees_everything():
            self.see_everything(fly=False)
        self.changed()

    def _sees_everything(self) -> bool:
        return self.stage.scene is not None and self._everything == self.view

    def see_everything(self, *, fly: bool = True) -> None:
        """From where all can be seen."""
        self._everything = self.stage.overview()
        self.look(self._everything, fly=fly)

    def tick(self) -> None:
        """Draw a frame if anything moved. Called by the window's clock."""
        self._fly()
        self._settle()
        self._approach()
        now = time.monotonic()
        # A hundred times as fast would be a flicker: it is ten times.
        self._lit_s += (now - self._ticked) * math.copysign(abs(self.pace) ** 0.5, self.pace)
        self._ticked = now
        lit = self.stage.lights_on and self.stage.scene is not None and len(self.stage.scene.source)
        if lit and (self.pace or self._dirty):
            self.stage.animate(self._lit_s)
            self._dirty = True
        seen = (self.stage.view(), self.stage.size, id(self.stage.scene), self.stage.labels_on)
        if seen != self._seen:
            self._seen = seen
            self.canvas.renderer.ResetCameraClippingRange()
            self.stage.relabel()
            self._dirty = True
        if self._dirty:
            self._dirty = False
            self.canvas.update()

    def look(self, view: View, *, fly: bool = True) -> None:
        """Go to a view, by a short flight if ``fly``."""
        self._flight = (self.stage.view(), view, time.monotonic()) if fly else None
        if not fly:
            self.stage.look(view)

    def on_screen(self) -> bool:
        """Whether Qt has given VTK a place to draw."""
        return self.canvas.isValid() and bool(self.canvas.render_window.GetReadyForRendering())

    @property
    def stereo(self) -> bool:
        """Whether there are two pictures beside each other, one for each eye."""
        return self.stage.stereo

    @stereo.setter
    def stereo(self, on: bool) -> None:
        sees_all = self._sees_everything()
        self.stage.stereo = on
        self._twin.shown_twice(on)
        if sees_all:  # a half is narrower
            self.see_everything(fly=False)
        self._look_again()

    @property
    def view(self) -> View:
        """Where the camera is, or is flying to."""
        return self.stage.view() if self._flight is None else self._flight[1]

    @property
    def tip(self) -> str:
        """What is told of what is under the pointer; empty for nothing."""
        return self._tip.text() if self.hovered is not None else ""

    def frames_per_second(self) -> int:
        """How many frames were drawn during the last second."""
        now = time.monotonic()
        self._frames = [moment for moment in self._frames if moment > now - 1.0]
        return len(self._frames)

    def close(self) -> None:
        """Free what VTK holds."""
        self.canvas.let_go()
        self.canvas.close()

    def painted(self, seconds: float) -> None:
        """A frame was drawn."""
        self._frames.append(time.monotonic())
        del self._frames[:-200]
        self._on_frame(seconds)

    def pressed(self, event: QMouseEvent) -> None:
        """A button went down."""
        self._pressed = event.position(), event.position(), event.button()
        self._dragged = False
        self._flight = None

    def moved(self, event: QMouseEvent) -> None:
        """Drag: left turns the world, right or middle (or with Shift) moves it."""
        here = event.position()
        if self._pressed is None:
            self._hover(here)
            return
        begun, last, button = self._pressed
        if not self._dragged and math.hypot(here.x() - begun.x(), here.y() - begun.y()) <= _CLICK_PIXELS:
            return
        if not self._dragged:
            self._dragged = True
            self.left()
            self._on_move()
        across, down = here.x() - last.x(), here.y() - last.y()
        self._pressed = begun, here, button
        shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if button == Qt.MouseButton.LeftButton and not shifted:
            view = turned(self.stage.view(), -across * _DEGREES_A_PIXEL)
            self.stage.look(tilted(view, down * _DEGREES_A_PIXEL))
        else:
            scale = 2.0 * math.tan(math.radians(15.0)) / max(self.canvas.height(), 1)
            self.stage.look(panned(self.stage.view(), -across * scale, down * scale))

    def released(self, event: QMouseEvent) -> None:
        """A button went up: where nothing was dragged, that is a click."""
        pressed, self._pressed = self._pressed, None
        if pressed is None or self._dragged:
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self._on_click(self._body_at(event.position()))
        elif event.button() == Qt.MouseButton.RightButton:
            self.canvas.customContextMenuRequested.emit(event.position().toPoint())

    def double_clicked(self, event: QMouseEvent) -> None:
        """Go to what the first click selected."""
        self._on_go()

    def wheeled(self, notches: float) -> None:
        """Nearer or farther."""
        self._flight = None
        self.stage.look(nearer(self.stage.view(), _NOTCH**notches))

    def left(self) -> None:
        """The pointer is elsewhere."""
        self.hovered = self._pointer = None
        self._tip.hide()

    def _hover(self, here: QPointF) -> None:
        self._pointer = here
        body = self._body_at(here)
        if body is None:
            self._tip.hide()
        if body != self.hovered:
            self.hovered = body
            if body is not None:
                self._tip.setText(self._tip_of(body))
                self._tip.setMaximumWidth(_TIP_WIDTH)
                self._tip.adjustSize()
                self._tip.show()
        if body is not None:
            half = self.canvas.width() // 2 if self.stereo else None
            place_tip(self._tip, self.canvas, here, half)

    def _body_at(self, here: QPointF) -> int | None:
        scale = self.canvas.devicePixelRatioF()
        return self.stage.body_at(here.x() * scale, (self.canvas.height() - 1 - here.y()) * scale)

    def _look_again(self) -> None:
        """Bodies have other numbers."""
        self.hovered = None
        if self._pointer is not None and self._pressed is None:
            self._hover(self._pointer)
        self.changed()

    def _approach(self) -> None:
        now, view = time.monotonic(), self.stage.view()
        if view == self._approached or now - self._approached_at < _APPROACH_EVERY_S:
            return
        self._approached, self._approached_at = view, now
        if self.stage.approach():
            self._on_reopened()
            self._look_again()

    def _settle(self) -> None:
        if self._settling is None:
            return
        scene, way, began, arrival = self._settling
        now = time.monotonic()
        if now >= arrival:
            self._settling = None
            self.stage.show(scene, keep_view=True)
            self._look_again()
        else:
            share = (now - began) / (arrival - began)
            self.stage.show(moved(scene, way.at(share)), keep_view=True)

    def _fly(self) -> None:
        if self._flight is None:
            return
        begin, end, moment = self._flight
        part = (time.monotonic() - moment) / _FLIGHT_S
        if part >= 1.0:
            self._flight = None
            self.stage.look(end)
            self.stage.relabel(anew=True)
        else:
            self.stage.look(between(begin, end, part))
