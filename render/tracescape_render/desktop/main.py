"""The window itself: its parts, what Qt tells it, and what it does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from tracescape_render.asking import Feed
from tracescape_render.desktop.asked import Asked
from tracescape_render.desktop.bar import Bar
from tracescape_render.desktop.choice import Choice
from tracescape_render.desktop.going import Going
from tracescape_render.desktop.inside import Inside
from tracescape_render.desktop.keys import KEYS, handler_of
from tracescape_render.desktop.menu import show_menu
from tracescape_render.desktop.pages import TRACE, WORLD, Pages
from tracescape_render.desktop.panel import Panel
from tracescape_render.desktop.riding import RidingGuest
from tracescape_render.desktop.search_box import SearchBox
from tracescape_render.desktop.showing import Showing
from tracescape_render.desktop.status import StatusLine
from tracescape_render.desktop.style import style_sheet
from tracescape_render.desktop.taking import Taking
from tracescape_render.desktop.told import hidden_words, tip_text
from tracescape_render.desktop.travelling import Travelling
from tracescape_render.desktop.twin import Twin
from tracescape_render.desktop.viewport import World
from tracescape_render.desktop.visiting import Visiting
from tracescape_render.desktop.wall_page import WALL_KEYS
from tracescape_render.finding import Hit
from tracescape_render.inside.asked import InsideWish
from tracescape_render.palette import THEMES, Theme
from tracescape_render.scene import Scene
from tracescape_render.snapshot import Questions, Snapshot
from tracescape_render.start import Start
from tracescape_render.text import display_name

FRAME_MS: Final = 33

#: What a window reports: the selected service's name, or None.
OnSelect = Callable[[str | None], None]


class Desktop(QWidget):
    """Not thread-safe: everything happens on the thread that draws; others only ask.

    Its parts, each with one thing to do: ``showing`` what of which moment is drawn, ``choice`` who is
    selected and in focus, ``going`` to places and back, ``time`` through what is stored, ``visiting`` who
    else takes the stage, ``taking`` along what is seen, ``asked`` on other threads; and what is seen of them:
    ``world``, ``pages``, ``panel``, ``bar``, ``box``, ``status``.
    """

    def __init__(
        self, feed: Feed[Snapshot], questions: Questions, start: Start, on_select: OnSelect | None
    ) -> None:
        super().__init__()
        self.feed, self.questions, self.start, self.on_select = feed, questions, start, on_select
        self.theme = start.theme
        self.closed = False
        self._trouble, self._silent_since = "", 0.0
        self.asked = Asked(questions)
        self.showing = Showing(self)
        self.choice = Choice(self, start.selected, start.focus)
        self.going, self.taking, self.visiting = Going(self), Taking(self), Visiting(self)
        self.inside, self.opened_trace = Inside(self), ""
        self._build()

    def begin(self, snapshot: Snapshot) -> None:
        """Show the first snapshot, once the window is on the screen. Who is named in ``start`` is in it."""
        self.world.stage.settle()
        self.use_stereo(self.start.stereo)
        self.time.begin(snapshot, self.start.against_ns, split=self.start.split)
        self.showing.begin(snapshot)
        focus = self.choice.focus
        if self.start.view is not None:
            self.world.look(self.start.view, fly=False)
        self.select(self.selected or (None if focus is None else focus.service))
        self.asked.names(snapshot)
        if self.start.inside is not None:
            self.inside.step_in(self.start.inside, self.start.seen)
        elif self.start.trace is not None:
            self.riding.ride(self.start.trace, self.start.share, self.start.view)
        self._clock.start(FRAME_MS)
        self._tick()

    @property
    def snapshot(self) -> Snapshot:
        """What is shown."""
        return self.showing.snapshot

    @property
    def scene(self) -> Scene:
        """What of it is in focus."""
        return self.showing.scene

    @property
    def selected(self) -> str | None:
        """The selected service."""
        return self.choice.selected

    # What can be done. Each is a key, most are buttons; the parts do the rest.

    def select(self, name: str | None) -> None:
        """Select a service and show its panel, or nothing."""
        self.choice.select(name)

    def set_page(self, page: int) -> None:
        """The world, the map, a table, or the trace that was opened."""
        self.pages.setCurrentIndex(page)
        self.tell_bar()
        seen = self.pages.currentWidget()
        if seen is not None:
            seen.setFocus()
        self.fill_page()

    def next_page(self) -> None:
        """From one to the next."""
        count = TRACE + 1 if self.pages.has_trace else TRACE
        self.set_page((self.pages.currentIndex() + 1) % count)

    def open_trace(self, trace_id: str) -> None:
        """Show a trace's waterfall, and put its id on the clipboard."""
        QGuiApplication.clipboard().setText(trace_id)
        self.say(f"opening trace {trace_id}; its id is on the clipboard")
        self.ask_for_trace(trace_id)

    def ask_for_trace(self, trace_id: str) -> None:
        """Show a trace's waterfall once it is there."""
        self.visiting.expect(self.asked)
        self.asked.trace(trace_id)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        self.theme = theme
        self.setStyleSheet(style_sheet(theme))
        self.showing.wear()
        self.time.use(theme)
        self.visiting.use(theme)
        self.tell_panel()
        self.fill_page()

    def next_theme(self) -> None:
        """Dark, light, colour-blind."""
        themes = list(THEMES.values())
        self.use(themes[(themes.index(self.theme) + 1) % len(themes)])
        self.say(f"{self.theme.name} colours")

    def search(self) -> None:
        """Go on in the search box."""
        self.box.setFocus()
        self.box.selectAll()

    def say(self, text: str) -> None:
        """Tell something that passes, at the foot."""
        self.status.say(text)

    def lay_out(self) -> None:
        """New places for all, which is rarely wanted: people remember where things are."""
        if self.snapshot.at_ns is not None:
            self.say("the past stays where it is: End goes back to now")
            return
        self.say("new places for all, kept from now on")
        self.questions.lay_out()
        self.feed.again()

    def toggle_labels(self) -> None:
        """Names on bodies, or none."""
        self.world.stage.labels_on = not self.world.stage.labels_on
        self.world.changed()

    def toggle_stereo(self) -> None:
        """Two pictures, for two eyes, or one again."""
        self.use_stereo(not self.world.stereo)
        told = "for two eyes: the left picture is the left eye's" if self.world.stereo else "one picture"
        self.say(told)

    def use_stereo(self, on: bool) -> None:
        """As many pictures of the world; what is written over it is in each of them."""
        self.world.stereo = on
        self.time.halves = 2 if on else 1
        self._banner.shown_twice(on)

    def toggle_help(self) -> None:
        """The page of keys."""
        self._help.setText(WALL_KEYS if self.visiting.guest is self.inside else KEYS)
        self._help.setVisible(not self._help.isVisible())
        self._place_help()

    def let_go(self) -> None:
        """Close the help, else leave who has the stage, else let go of the selection, the focus, a moment."""
        if self._help.isVisible():
            self._help.hide()
        elif not self.visiting.leave() and not self.choice.let_go():
            self.time.compare(None)

    def back(self) -> None:
        """Where one was before."""
        if not self.visiting.leave():
            self.going.back()

    # How Qt tells what happens.

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """The keys that `KEYS` lists; first those of who has the stage."""
        handler = self.visiting.handler(event) or handler_of(self, event)
        if handler is None:
            event.ignore()
        else:
            handler()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the help in the middle, and the panel in proportion."""
        self.panel.fit(self.width())
        self._place_help()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Free everything. What is being asked is not waited for long."""
        if self.closed:
            return
        self.closed = True
        self._clock.stop()
        self.hide()
        self.visiting.dismiss()
        self.inside.close()
        self.riding.close()
        self.asked.stop()
        self.time.close()
        self.world.close()

    # What the parts have told to others.

    def tell_panel(self, trouble: str = "") -> None:
        """What is known of the selected service."""
        pressed = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton
        if self.selected is not None and not (pressed and self.panel.underMouse()):
            self.panel.tell(self.selected, self.snapshot, self.theme, self.asked.known, trouble)

    def tell_bar(self) -> None:
        """Where one is, above."""
        self.bar.tell(
            self.pages.currentIndex(),
            self.choice.focus,
            trace=self.pages.has_trace,
            can_go_back=self.going.can_go_back or self.visiting.guest is not None,
        )

    def fill_page(self) -> None:
        """What is beside the world, at once."""
        self.pages.fill(self.snapshot, self.scene, self.selected, self.theme)

    # How it is built, and what it does by itself.

    def _build(self) -> None:
        self.setObjectName("window")
        self.setWindowTitle(self.start.title)
        self.resize(*self.start.size)
        self.setStyleSheet(style_sheet(self.theme))
        self.world = World(
            self,
            self.theme,
            on_click=self.going.clicked,
            on_go=self.going.to_selected,
            on_move=self.going.leave,
            on_reopened=lambda: self.world.mark(self.selected, reveal=False),
            tip_of=self._tip,
            on_frame=self.showing.saw_frame,
        )
        self.world.canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.world.canvas.customContextMenuRequested.connect(lambda where: show_menu(self, where))
        self.pages = Pages(self.world.canvas, self.theme, self.select)
        self.riding = RidingGuest(self)
        self.panel = Panel(
            self.going.to,
            self.open_trace,
            lambda: self.select(None),
            self.riding.ride,
            lambda trace_id, beside: self.inside.step_in(InsideWish(trace_id, beside)),
        )
        self.panel.hide()
        self.status = StatusLine()
        self.time = Travelling(
            self.showing, self.say, self.questions, self.theme, self.world.canvas, self.going.to_mark
        )
        self._banner = Twin(self.time.banner)
        self.box = SearchBox(self, self._names, self._found, lambda: self.world.canvas.setFocus())
        self.bar = Bar(
            self.box,
            on_page=self.set_page,
            on_hops=self.choice.set_hops,
            on_way=self.choice.set_way,
            actions={
                "back": ("where one was before  (Backspace)", self.back),
                "worst": ("go to the worst  (n)", self.going.to_worst),
                "inside": (
                    "step inside the trace that was opened last  (i)",
                    lambda: self.inside.step_in(),
                ),
                "ride": ("ride a request through the world  (R)", lambda: self.riding.ride()),
                "colours": ("other colours  (t)", self.next_theme),
                "?": ("keys", self.toggle_help),
            },
        )
        self._arrange()
        self._help = QLabel(KEYS, self)
        self._help.setObjectName("help")
        self._help.setTextFormat(Qt.TextFormat.PlainText)
        self._help.hide()
        self.box.list.raise_()
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._tick)
        self.world.canvas.setFocus()

    def _arrange(self) -> None:
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.pages, 1)
        middle.addWidget(self.panel)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.bar)
        whole.addLayout(middle, 1)
        whole.addWidget(self.time.strip)
        whole.addWidget(self.riding.strip)
        whole.addWidget(self.status)

    def _tick(self) -> None:
        answer = self.feed.take()
        if isinstance(answer, Exception):
            self._silent_since = self._silent_since or time.monotonic()
            self._trouble = _sentence(answer)
        elif answer is not None:
            self._trouble, self._silent_since = "", 0.0
            self.showing.follow(answer)
        self.time.tick()
        self.world.pace = self.time.pace
        self._take_answers()
        self.riding.follow()
        self.visiting.tick()
        self.inside.follow()
        if self.pages.currentIndex() == WORLD:
            self.world.tick()
        self._tell_status()

    def _take_answers(self) -> None:
        for details in self.asked.take_details(self.selected, self.snapshot):
            self.tell_panel(_sentence(details) if isinstance(details, Exception) else "")
        self.asked.take_names()
        for trace_id, chart in self.asked.take_traces():
            if not self.visiting.answered(self.asked):
                continue
            if isinstance(chart, Exception):
                self.say(f"trace {trace_id}: {_sentence(chart)}")
            else:
                self.opened_trace = trace_id
                self.pages.open_trace(trace_id, chart)
                self.set_page(TRACE)

    def _tell_status(self) -> None:
        trouble = ""
        if self._trouble:
            silent = time.monotonic() - self._silent_since
            trouble = f"no answer for {silent:.0f} s: {self._trouble[:110]} – trying again"
        frames = self.world.frames_per_second()
        pace = f"{frames} frames/s" if frames else "still"
        renderer = self.world.stage.profile.renderer.partition("(")[0].strip()
        effects = self.showing.effects
        speed = f"{pace} · {1e3 * effects.frame_s:.0f} ms a frame · {display_name(renderer, 24)}"
        hidden = hidden_words(self.scene, self.showing.whole, effects.level)
        self.status.tell(self.snapshot, trouble, hidden, speed)

    def _tip(self, body: int) -> str:
        assert self.world.stage.scene is not None
        return tip_text(self.world.stage.scene, body, self.asked.index)

    def _names(self) -> Iterator[Hit]:
        yield from (Hit(service, "") for service in self.snapshot.scene.services)
        operations = self.asked.index.operations
        yield from map(Hit, operations["service"].to_list(), operations["operation"].to_list())

    def _found(self, hit: Hit) -> None:
        if hit.inside:
            self.inside.step_in(InsideWish(hit.trace))
            return
        self.set_page(WORLD)
        if hit.trace:
            self.riding.ride(hit.trace)
        else:
            self.going.to(hit.service)

    def _place_help(self) -> None:
        self._help.adjustSize()
        room = self.pages.geometry()
        self._help.move(room.center() - self._help.rect().center())
        self._help.raise_()


def application() -> QApplication:
    """The one application of the process."""
    there = QApplication.instance()
    return there if isinstance(there, QApplication) else QApplication(["tracescape"])


def _sentence(error: Exception) -> str:
    return display_name(error, 160) if str(error) else type(error).__name__
