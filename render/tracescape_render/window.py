"""The desktop window: a world to move in with panels beside it, that follows its source while it is open."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tracescape_render.asking import Feed
from tracescape_render.errors import RenderError
from tracescape_render.focus import body_named
from tracescape_render.palette import DARK, Theme
from tracescape_render.picture import check_graphics
from tracescape_render.snapshot import NoQuestions, Questions, Snapshot
from tracescape_render.start import Start
from tracescape_render.system import display_answers, display_name

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop
    from tracescape_render.desktop.wall_window import WallWindow
    from tracescape_render.inside.asked import InsideAnswer, InsideWish

_END_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_ON_SCREEN_S: Final = 10.0

#: What a window reports: the selected service's name, or None.
OnSelect = Callable[[str | None], None]


def open_window(
    source: Callable[[], Snapshot],
    *,
    questions: Questions | None = None,
    refresh_s: float | None = 0.5,
    start: Start | None = None,
    on_select: OnSelect | None = None,
    on_ready: Callable[[Desktop], None] | None = None,
) -> None:
    """Open a window and stay in it until it is closed; call it from the main thread.

    ``source`` is asked for what there is every ``refresh_s`` seconds on a thread of its own, more seldom when
    it takes longer than that, and only once if that is None. It may block or raise: the window goes on, says
    what is wrong, and recovers with the next good answer. ``questions`` answers about single services, on
    other threads. ``on_select`` hears of selections, ``on_ready`` gets the window once its first picture is
    drawn.

    Raises:
        RenderError: there is no display, Qt or system libraries are missing, or ``start`` names a service
            that is not there; it names what to do.
    """
    _check_display()
    start = start or Start()
    feed = Feed(source, refresh_s)
    loading = threading.Thread(target=_load, name="tracescape-load", daemon=True)
    loading.start()
    first = feed.first()
    loading.join()
    for name in (start.focus.service if start.focus else None, start.selected):
        if name is not None:
            body_named(first.scene, name)
    from tracescape_render.desktop.main import Desktop, application

    running = application()
    desktop = Desktop(feed, questions or NoQuestions(), start, on_select)
    try:
        desktop.show()
        _wait_for(running.processEvents, desktop.world.on_screen)
        desktop.begin(first)
        running.processEvents()
        with _ending(desktop.close):
            if on_ready is not None:
                on_ready(desktop)
            if not desktop.closed:
                running.exec()
    finally:
        feed.stop()
        desktop.close()
        desktop.deleteLater()
        running.sendPostedEvents(desktop, 52)  # QEvent.DeferredDelete: nothing is left to be freed later
        running.processEvents()


def open_wall(
    answer: InsideAnswer,
    *,
    ask: Callable[[InsideWish], InsideAnswer] | None = None,
    theme: Theme = DARK,
    size: tuple[int, int] = (1280, 800),
    on_ready: Callable[[WallWindow], None] | None = None,
) -> None:
    """Open a window with nothing but a trace, or two, from inside, and stay in it until it is closed.

    ``ask`` answers where others are asked for, on another thread; without it there are none. Raises
    `RenderError` as `open_window`.
    """
    _check_display()
    from tracescape_render.desktop.main import application
    from tracescape_render.desktop.wall_window import WallWindow
    from tracescape_render.inside.asked import InsideWish

    running = application()
    wish = InsideWish(answer.traces[-1].trace_id, answer.traces[0].trace_id if len(answer.traces) > 1 else "")
    window = WallWindow(wish, answer, ask or NoQuestions().inside, theme, size)
    try:
        window.show()
        _wait_for(running.processEvents, window.on_screen)
        window.begin()
        running.processEvents()
        with _ending(window.close):
            if on_ready is not None:
                on_ready(window)
            if not window.closed:
                running.exec()
    finally:
        window.close()
        window.deleteLater()
        running.sendPostedEvents(window, 52)  # as above
        running.processEvents()


def _load() -> None:
    """Load Qt and VTK while the source is asked; what goes wrong is said by who imports it in earnest."""
    with suppress(Exception):
        importlib.import_module("tracescape_render.desktop.main")


def _check_display() -> None:
    if not display_name():
        raise RenderError("There is no display (DISPLAY is not set). Use --screenshot FILE for a picture.")
    for module in ("PySide6", "pyvistaqt"):
        if importlib.util.find_spec(module) is None:
            raise RenderError(
                f"The window needs {module}, which is not installed: pip install 'tracescape[desktop]'."
                " Without it, --screenshot FILE writes a picture."
            )
    check_graphics(display=True)
    if not display_answers():
        raise RenderError(
            f"The display {display_name()} does not answer. Check DISPLAY, or use --screenshot FILE."
        )
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")  # the display that was just checked


def _wait_for(step: Callable[[], object], done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _ON_SCREEN_S
    while not done() and time.monotonic() < deadline:
        step()
        time.sleep(0.002)


@contextmanager
def _ending(close: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C and SIGTERM close the window in order; Python hears of them when the window's clock ticks.

    That is in the middle of a frame, which has to be ended first.
    """
    from PySide6.QtCore import QTimer

    before = {
        number: signal.signal(number, lambda *_: QTimer.singleShot(0, close)) for number in _END_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
