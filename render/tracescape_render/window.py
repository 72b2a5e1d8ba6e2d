"""The desktop window: a scene to move in, that follows its source while it is open."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from tracescape_render.camera import View
from tracescape_render.errors import RenderError
from tracescape_render.palette import DARK, THEMES, Theme
from tracescape_render.picture import check_graphics, save_window
from tracescape_render.scene import Scene
from tracescape_render.system import display_answers, display_name

FRAME_MS: Final = 33
_CLICK_PIXELS: Final = 4
_TURN_DEGREES: Final = 3.0
_STEP: Final = 0.05
_END_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

KEYS: Final = """\
drag              orbit          wheel          nearer, farther
w a s d           fly            e c            up, down
arrows            turn           f              see everything
click             select         Esc            select nothing
g                 go to it       n              go to the worst
l                 labels         t              other colours
p                 save a picture ?              these keys
q                 quit"""

#: What a window reports: the selected service's name, or None.
OnSelect = Callable[[str | None], None]


def open_window(
    source: Callable[[], Scene],
    *,
    refresh_s: float | None = 1.0,
    title: str = "Tracescape",
    size: tuple[int, int] = (1280, 800),
    theme: Theme = DARK,
    on_select: OnSelect | None = None,
    on_ready: Callable[[Window], None] | None = None,
) -> None:
    """Open a window and stay in it until it is closed; call it from the main thread.

    ``source`` is asked for the scene every ``refresh_s`` seconds on a thread of its own, more seldom when it
    takes longer than that, and only once if that is None. It may block or raise: the window goes on, says
    what is wrong, and recovers with the next good answer. ``on_select`` hears
    of selections, ``on_ready`` gets the window once its first picture is drawn.

    Raises:
        RenderError: there is no display, or system libraries are missing; it names what to do.
    """
    if not display_name():
        raise RenderError("There is no display (DISPLAY is not set). Use --screenshot FILE for a picture.")
    check_graphics(display=True)
    if not display_answers():
        raise RenderError(
            f"The display {display_name()} does not answer. Check DISPLAY, or use --screenshot FILE."
        )
    feed = _Feed(source, refresh_s)
    window = Window(feed, title, size, theme, on_select)
    try:
        window.run(on_ready)
    finally:
        feed.stop()
        window.close()


class _Feed:
    """Asks a source again and again on its own thread; the latest answer waits to be taken."""

    def __init__(self, source: Callable[[], Scene], refresh_s: float | None) -> None:
        self._source = source
        self._refresh_s = refresh_s
        self._stopped = threading.Event()
        self._latest: queue.SimpleQueue[Scene | Exception] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tracescape-scenes", daemon=True)

    def first(self) -> Scene:
        """The first scene; its failure is the caller's."""
        scene = self._source()
        if self._refresh_s is not None:
            self._thread.start()
        return scene

    def take(self) -> Scene | Exception | None:
        """The newest answer since the last call, or None."""
        newest: Scene | Exception | None = None
        while not self._latest.empty():
            newest = self._latest.get_nowait()
        return newest

    def stop(self) -> None:
        """Ask no more. An answer that is under way is not waited for long."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        assert self._refresh_s is not None
        pause = self._refresh_s
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                self._latest.put(self._source())
            except Exception as error:  # whatever it is, it belongs on the screen
                self._latest.put(error)
            pause = max(self._refresh_s, time.monotonic() - began)  # at most half of a core's time


class Window:
    """What happens in an open window. Everything runs on the thread that called `run`."""

    def __init__(
        self, feed: _Feed, title: str, size: tuple[int, int], theme: Theme, on_select: OnSelect | None
    ) -> None:
        self._feed = feed
        self._title = title
        self._size = size
        self._theme = theme
        self._on_select = on_select
        self._began = time.monotonic()
        self._signalled = threading.Event()
        self._pressed_at: tuple[int, int] | None = None
        self._seen_view: object = None
        self._plotter: Any = None

    def run(self, on_ready: Callable[[Window], None] | None = None) -> None:
        """Show the window until it is closed."""
        import pyvista as pv

        from tracescape_render.stage import Stage

        scene = self._feed.first()
        self._plotter = pv.Plotter(window_size=list(self._size), title=self._title)
        self.stage = Stage(self._plotter, moving=True, theme=self._theme)
        self.stage.show(scene)
        self._help = _help_actor(self._plotter)
        self._plotter.iren.initialize()
        self._plotter.iren.clear_key_event_callbacks()
        self._interactor = self._plotter.iren.interactor
        self._plotter.render_window.SetWindowName(self._title)
        self._listen()
        self._plotter.render()
        self.stage.settle()
        self.stage.look(self.stage.overview())
        self._draw()
        self._interactor.CreateRepeatingTimer(FRAME_MS)
        if on_ready is not None:
            on_ready(self)
        with _ending(self._signalled):
            self._interactor.Start()

    def close(self) -> None:
        """Free the window and all that was drawn in it. Idempotent."""
        if self._plotter is not None:
            self._plotter.close()
            self._plotter = None

    def select(self, body: int | None) -> None:
        """Select a body, or nothing."""
        self.stage.select(body)
        if self._on_select is not None:
            assert self.stage.scene is not None
            self._on_select(None if body is None else self.stage.scene.services[body])

    def _listen(self) -> None:
        from vtkmodules.vtkInteractionStyle import vtkInteractorStyleTerrain

        style: Any = vtkInteractorStyleTerrain()
        style.SetCurrentRenderer(self._plotter.renderer)
        # VTK's own keys (w for wireframe, e for exit, 3 for stereo) are not ours.
        style.AddObserver("CharEvent", lambda *_: None)
        style.AddObserver("KeyPressEvent", lambda *_: self._key(self._interactor.GetKeySym() or ""))
        # Once a drag begins, the style alone hears of the mouse: so clicks are told from drags through it.
        style.AddObserver("LeftButtonPressEvent", _in_turn(self._pressed, style.OnLeftButtonDown))
        style.AddObserver("LeftButtonReleaseEvent", _in_turn(style.OnLeftButtonUp, self._released))
        self._interactor.SetInteractorStyle(style)
        self._style = style  # the interactor does not keep it alive
        for event, handler in (
            ("TimerEvent", self._tick),
            ("MouseMoveEvent", self._moved),
            ("ConfigureEvent", self._draw),
            ("ExitEvent", self._quit),
        ):
            self._interactor.AddObserver(event, _in_turn(handler), 1.0)

    def _tick(self) -> None:
        if self._signalled.is_set():
            self._quit()
            return
        answer = self._feed.take()
        if isinstance(answer, Exception):
            self.stage.say(f"{_sentence(answer)} – trying again")
        elif answer is not None:
            self._replace(answer)
        self.stage.animate(time.monotonic() - self._began)
        self._draw()

    def _replace(self, scene: Scene) -> None:
        old = self.stage.scene
        assert old is not None
        self.stage.show(scene, keep_view=bool(len(old.positions)))

    def _draw(self) -> None:
        view = (self.stage.view(), self.stage.size, id(self.stage.scene), self.stage.labels_on)
        if view != self._seen_view:
            self._seen_view = view
            self._plotter.renderer.ResetCameraClippingRange()
            self.stage.relabel()
        self._plotter.render_window.Render()

    def _pointer(self) -> tuple[int, int]:
        x, y = self._interactor.GetEventPosition()
        return x, y

    def _moved(self) -> None:
        if self._pressed_at is None:
            self.stage.hover(self.stage.body_at(*self._pointer()))

    def _pressed(self) -> None:
        self._pressed_at = self._pointer()

    def _released(self) -> None:
        pressed, self._pressed_at = self._pressed_at, None
        here = self._pointer()
        if pressed is not None and np.hypot(here[0] - pressed[0], here[1] - pressed[1]) <= _CLICK_PIXELS:
            self.select(self.stage.body_at(*here))

    def _key(self, key: str) -> None:
        handler = self._handlers().get(key if key in {"question"} else key.lower())
        if handler is not None:
            handler()
            self._draw()

    def _handlers(self) -> dict[str, Callable[[], object]]:
        return {
            "w": lambda: self._fly(forward=1),
            "s": lambda: self._fly(forward=-1),
            "a": lambda: self._fly(right=-1),
            "d": lambda: self._fly(right=1),
            "e": lambda: self._fly(up=1),
            "c": lambda: self._fly(up=-1),
            "left": lambda: self._turn(_TURN_DEGREES),
            "right": lambda: self._turn(-_TURN_DEGREES),
            "up": lambda: self._tilt(_TURN_DEGREES),
            "down": lambda: self._tilt(-_TURN_DEGREES),
            "f": lambda: self.stage.look(self.stage.overview()),
            "escape": lambda: self.select(None),
            "g": self._go_to_selection,
            "n": self._go_to_worst,
            "l": self._toggle_labels,
            "t": self._change_theme,
            "p": self._save_picture,
            "question": lambda: self._help.SetVisibility(not self._help.GetVisibility()),
            "q": self._quit,
        }

    def _fly(self, forward: float = 0, right: float = 0, up: float = 0) -> None:
        position, focus = (np.array(point) for point in self.stage.view())
        ahead = focus - position
        distance = float(np.linalg.norm(ahead))
        side = np.cross(ahead, [0.0, 0.0, 1.0])
        move = forward * ahead / distance + right * side / max(float(np.linalg.norm(side)), 1e-9)
        move = (move + np.array([0.0, 0.0, up])) * max(distance, 8.0) * _STEP
        self.stage.look(View(tuple(position + move), tuple(focus + move)))

    def _turn(self, degrees: float) -> None:
        self._plotter.renderer.GetActiveCamera().Azimuth(degrees)

    def _tilt(self, degrees: float) -> None:
        camera = self._plotter.renderer.GetActiveCamera()
        position, focus = (np.array(point) for point in self.stage.view())
        upward = np.degrees(np.arcsin((position - focus)[2] / np.linalg.norm(position - focus)))
        if 2.0 < upward + degrees < 88.0:
            camera.Elevation(degrees)
            camera.SetViewUp(0.0, 0.0, 1.0)

    def _go_to_selection(self) -> None:
        if self.stage.selected is not None:
            self.stage.go_to(self.stage.selected)

    def _go_to_worst(self) -> None:
        assert self.stage.scene is not None
        worst = self.stage.scene.worst()
        if worst is None:
            self.stage.say("All is well: nothing is degraded, failing or absent.")
            return
        self.select(worst)
        self.stage.go_to_worst()

    def _toggle_labels(self) -> None:
        self.stage.labels_on = not self.stage.labels_on

    def _change_theme(self) -> None:
        themes = list(THEMES.values())
        self.stage.use(themes[(themes.index(self.stage.theme) + 1) % len(themes)])

    def _save_picture(self) -> None:
        path = Path.cwd() / f"tracescape-{time.strftime('%Y%m%d-%H%M%S')}.png"
        try:
            self.stage.say(f"saved {save_window(self._plotter.render_window, path)}")
        except RenderError as error:
            self.stage.say(str(error))

    def _quit(self) -> None:
        self._interactor.TerminateApp()


@contextmanager
def _ending(signalled: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set ``signalled``: an exception inside VTK's loop would end the process at once."""
    before = {number: signal.signal(number, lambda *_: signalled.set()) for number in _END_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_turn(*handlers: Callable[[], object]) -> Callable[..., None]:
    """VTK's observer that calls ``handlers`` one after the other, without VTK's arguments."""

    def observe(*_: object) -> None:
        for handler in handlers:
            handler()

    return observe


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _help_actor(plotter: Any) -> Any:
    from tracescape_render.lettering import help_actor

    actor = help_actor(KEYS)
    plotter.renderer.AddViewProp(actor)
    return actor
