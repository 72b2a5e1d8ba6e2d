"""The window itself: what is shown, selected and kept in focus, and who is asked about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from tracescape_render.asking import Asker, Feed
from tracescape_render.camera import View, close_up
from tracescape_render.charts.chart import Chart
from tracescape_render.desktop.bar import Bar
from tracescape_render.desktop.keys import KEYS, handler_of
from tracescape_render.desktop.menu import show_menu
from tracescape_render.desktop.pages import MAP, TRACE, WORLD, Pages
from tracescape_render.desktop.panel import Panel
from tracescape_render.desktop.search_box import SearchBox
from tracescape_render.desktop.status import StatusLine
from tracescape_render.desktop.style import style_sheet
from tracescape_render.desktop.told import hidden_words, tip_text
from tracescape_render.desktop.travelling import Travelling
from tracescape_render.desktop.viewport import World
from tracescape_render.effects import SPARE, STILL, Effects
from tracescape_render.errors import RenderError
from tracescape_render.finding import Hit
from tracescape_render.focus import Focus, body_named, narrowed, within
from tracescape_render.journey import Journey, Place
from tracescape_render.moving import nearer
from tracescape_render.palette import THEMES, Theme, in_the_past
from tracescape_render.picture import save_window
from tracescape_render.scene import Scene
from tracescape_render.snapshot import Details, Index, Questions, Snapshot
from tracescape_render.start import Start
from tracescape_render.text import display_name
from tracescape_render.view_command import view_command

FRAME_MS: Final = 33
_TURN_DEGREES: Final = 3.0
#: Details and names are asked for again this seldom while things change.
_DETAILS_EVERY_S: Final = 5.0
_INDEX_EVERY_S: Final = 30.0
_TOLD_OPERATIONS: Final = 4
_ROOM_AROUND: Final = 1.8

#: What a window reports: the selected service's name, or None.
OnSelect = Callable[[str | None], None]


class Desktop(QWidget):
    """Not thread-safe: everything happens on the thread that draws; others only ask."""

    def __init__(
        self, feed: Feed[Snapshot], questions: Questions, start: Start, on_select: OnSelect | None
    ) -> None:
        super().__init__()
        self._feed, self._start, self._on_select = feed, start, on_select
        self._questions = questions
        self._details: Asker[tuple[str, int | None, Questions], Details] = Asker(
            lambda wish: wish[2].details(wish[0]), "details"
        )
        self._index_asker: Asker[Questions, Index] = Asker(lambda asked: asked.index(), "names")
        self._traces: Asker[str, Chart] = Asker(questions.trace, "traces")
        self._journey, self._effects = Journey(), Effects()
        self._index = Index()
        self._known: Details | None = None
        self._opened: NDArray[np.float32] | None = None
        self._trouble, self._silent_since = "", 0.0
        self._asked_at = self._index_at = 0.0
        self.theme, self.focus, self.selected = start.theme, start.focus, start.selected
        self._newest: Snapshot | None = None  # what now looks like, also while the past is shown
        self.snapshot: Snapshot
        self.scene: Scene
        self.closed = False
        self._build()

    def begin(self, snapshot: Snapshot) -> None:
        """Show the first snapshot, once the window is on the screen."""
        self.world.stage.settle()
        self.snapshot = snapshot
        self._newest = snapshot if snapshot.at_ns is None else None
        self._had_bodies = len(snapshot.scene.positions) > 0
        self.time.begin(snapshot)
        self._wear()
        if self.selected is not None:
            body_named(snapshot.scene, self.selected)
        self._show(keep_view=False)
        if self.focus is not None:
            self.selected = self.selected or self.focus.service
        if self._start.view is not None:
            self.world.look(self._start.view, fly=False)
        self.select(self.selected)
        self._index_asker.want(self._answering)
        self._clock.start(FRAME_MS)
        self._tick()

    # What can be done. Each is a key, most are buttons.

    def select(self, name: str | None) -> None:
        """Select a service and show its panel, or nothing."""
        self.selected, self._known = name, None
        self.world.mark(name, reveal=True)
        self.panel.setVisible(name is not None)
        if name is None:
            self._details.forget()
        else:
            self._ask_details()
            self.panel.tell(name, self.snapshot, self.theme)
        self.pages.mark(name)
        self.time.select(name)
        if self.pages.currentIndex() == MAP:
            self._fill_page()
        if self._on_select is not None:
            self._on_select(name)

    def go_to(self, name: str) -> None:
        """Select a service and fly to it; if it is hidden, everything is shown again."""
        if name not in self.snapshot.scene.services:
            self.say(f"{display_name(name)} is not in what is shown now")
            return
        self._leave()
        if name not in self.scene.services:
            self.focus = None
            self._show()
        self.select(name)
        place = self.scene.positions[self.scene.services.index(name)]
        self._approach(place)

    def go_to_selected(self) -> None:
        """Fly to what is selected, else to what was opened last."""
        if self.selected is None and self._opened is not None:
            self._leave()
            self._approach(self._opened)
        elif self.selected is None:
            self.say("nothing is selected: click a service first")
        else:
            self.go_to(self.selected)

    def go_to_worst(self) -> None:
        """Fly to the cause of what is wrong, else to what is worst."""
        worst = self.snapshot.scene.worst()
        if worst is None:
            self.say("All is well: nothing is degraded, failing or absent.")
            return
        self.set_page(WORLD)
        self.go_to(self.snapshot.scene.services[worst])
        if self.scene.beacon is not None:
            self._approach(self.scene.beacon)

    def set_hops(self, hops: int | None) -> None:
        """Keep only what is so many calls away from the selected (or from what is in focus)."""
        if hops is None:
            self._focus_on(None)
            return
        name = self.selected or (self.focus.service if self.focus is not None else None)
        if name is None:
            self.say("select a service first: click one, or search with /")
            self._tell_bar()
            return
        self._focus_on(Focus(name, hops, "both" if self.focus is None else self.focus.direction))

    def set_way(self, direction: str) -> None:
        """Follow only callers (``up``), only what is called (``down``), or both."""
        name = self.selected or (self.focus.service if self.focus is not None else None)
        if name is None:
            self.say("select a service first: click one, or search with /")
        elif direction == "both" and (self.focus is None or self.focus.hops is None):
            self._focus_on(None)
        else:
            self._focus_on(Focus(name, self.focus.hops if self.focus else None, direction))
        self._tell_bar()

    def toggle_way(self, direction: str) -> None:
        """The same, and both again the second time."""
        already = self.focus is not None and self.focus.direction == direction
        self.set_way("both" if already else direction)

    def see_everything(self) -> None:
        """From where all that is not hidden can be seen."""
        self._leave()
        self.world.see_everything()

    def back(self) -> None:
        """Where one was before."""
        place = self._journey.back()
        if place is None:
            self.say("this is where you began")
        else:
            self._return_to(place)

    def set_bookmark(self) -> None:
        """Remember this view."""
        self.say(f"bookmark {self._journey.mark(self._place())} set; B goes from one to the next")

    def next_bookmark(self) -> None:
        """Go to the next bookmark."""
        found = self._journey.next_mark()
        if found is None:
            self.say("there is no bookmark yet: b sets one")
            return
        self._leave()
        self._return_to(found[1])
        self.say(f"bookmark {found[0]}")

    def set_page(self, page: int) -> None:
        """The world, the map, a table, or the trace that was opened."""
        self.pages.setCurrentIndex(page)
        self._tell_bar()
        seen = self.pages.currentWidget()
        if seen is not None:
            seen.setFocus()
        self._fill_page()

    def next_page(self) -> None:
        """From one to the next."""
        count = TRACE + 1 if self.pages.has_trace else TRACE
        self.set_page((self.pages.currentIndex() + 1) % count)

    def open_trace(self, trace_id: str) -> None:
        """Show a trace's waterfall, and put its id on the clipboard."""
        QGuiApplication.clipboard().setText(trace_id)
        self.say(f"opening trace {trace_id}; its id is on the clipboard")
        self._traces.want(trace_id)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        self.theme = theme
        self.setStyleSheet(style_sheet(theme))
        self._wear()
        self.time.use(theme)
        self._tell_panel()
        self._fill_page()

    def next_theme(self) -> None:
        """Dark, light, colour-blind."""
        themes = list(THEMES.values())
        self.use(themes[(themes.index(self.theme) + 1) % len(themes)])
        self.say(f"{self.theme.name} colours")

    def command(self) -> str:
        """The command line that shows what is seen now."""
        command = self.snapshot.command or self._start.command
        return view_command(command, self.world.view, self.focus, self.selected, self.theme)

    def copy_command(self) -> None:
        """Put it on the clipboard."""
        QGuiApplication.clipboard().setText(self.command())
        self.say("copied: the command that reproduces this view")

    def copy_told(self) -> None:
        """Put on the clipboard what is told of what is under the pointer, else of what is selected."""
        text = self.world.tip
        if not text and self.selected in self.scene.services:
            text = tip_text(self.scene, self.scene.services.index(self.selected), self._index)
        if not text:
            self.say("nothing to copy: point at a service, or select one")
            return
        QGuiApplication.clipboard().setText(text)
        self.say(f"copied: {text.splitlines()[0]}")

    def save_picture(self) -> None:
        """Write a PNG of the world into the working folder."""
        path = Path.cwd() / f"tracescape-{time.strftime('%Y%m%d-%H%M%S')}.png"
        try:
            self.say(f"saved {save_window(self.world.canvas.render_window, path)}")
        except RenderError as error:
            self.say(str(error))

    def search(self) -> None:
        """Go on in the search box."""
        self.box.setFocus()
        self.box.selectAll()

    def say(self, text: str) -> None:
        """Tell something that passes, at the foot."""
        self.status.say(text)

    def move_to(self, view: View) -> None:
        """Be there at once."""
        self.world.look(view, fly=False)

    def lay_out(self) -> None:
        """New places for all, which is rarely wanted: people remember where things are."""
        if self.snapshot.at_ns is not None:
            self.say("the past stays where it is: End goes back to now")
            return
        self.say("new places for all, kept from now on")
        self._questions.lay_out()
        self._feed.again()

    def toggle_labels(self) -> None:
        """Names on bodies, or none."""
        self.world.stage.labels_on = not self.world.stage.labels_on
        self.world.changed()

    def toggle_help(self) -> None:
        """The page of keys."""
        self._help.setVisible(not self._help.isVisible())
        self._place_help()

    def let_go(self) -> None:
        """Close the help, else let go of the selection, else of the focus."""
        if self._help.isVisible():
            self._help.hide()
        elif self.selected is not None:
            self.select(None)
        elif self.focus is not None:
            self._focus_on(None)

    # How Qt tells what happens.

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """The keys that `KEYS` lists."""
        handler = handler_of(self, event)
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
        for asker in (self._details, self._index_asker, self._traces):
            asker.stop()
        self.time.close()
        self.world.close()

    # How it is built, and what it does by itself.

    def _build(self) -> None:
        self.setObjectName("window")
        self.setWindowTitle(self._start.title)
        self.resize(*self._start.size)
        self.setStyleSheet(style_sheet(self.theme))
        self.world = World(
            self,
            self.theme,
            on_click=self._clicked,
            on_go=self.go_to_selected,
            on_move=self._leave,
            on_reopened=lambda: self.world.mark(self.selected, reveal=False),
            tip_of=self._tip,
            on_frame=self._saw_frame,
        )
        self.world.canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.world.canvas.customContextMenuRequested.connect(lambda where: show_menu(self, where))
        self.pages = Pages(self.world.canvas, self.theme, self.select)
        self.panel = Panel(self.go_to, self.open_trace, lambda: self.select(None))
        self.panel.hide()
        self.status = StatusLine()
        self.time = Travelling(self, self._questions, self.theme, self.world.canvas)
        self.box = SearchBox(self, self._names, self._found, lambda: self.world.canvas.setFocus())
        self.bar = Bar(
            self.box,
            on_page=self.set_page,
            on_hops=self.set_hops,
            on_way=self.set_way,
            actions={
                "back": ("where one was before  (Backspace)", self.back),
                "worst": ("go to the worst  (n)", self.go_to_worst),
                "colours": ("other colours  (t)", self.next_theme),
                "?": ("keys", self.toggle_help),
            },
        )
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
        whole.addWidget(self.status)
        self._help = QLabel(KEYS, self)
        self._help.setObjectName("help")
        self._help.setTextFormat(Qt.TextFormat.PlainText)
        self._help.hide()
        self.box.list.raise_()
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._tick)
        self.world.canvas.setFocus()

    def _tick(self) -> None:
        answer = self._feed.take()
        if isinstance(answer, Exception):
            self._silent_since = self._silent_since or time.monotonic()
            self._trouble = _sentence(answer)
        elif answer is not None:
            self._trouble, self._silent_since = "", 0.0
            self._newest = answer
            if self.time.is_now:
                self._show_snapshot(answer)
        self.time.tick()
        self.world.pace = self.time.pace
        self._take_answers()
        if self.pages.currentIndex() == WORLD:
            self.world.tick()
        self._tell_status()

    @property
    def _answering(self) -> Questions:
        """Who answers about what is shown."""
        return self.snapshot.questions or self._questions

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        other = (self.snapshot.at_ns is None) != (snapshot.at_ns is None)
        self.snapshot = snapshot
        if other:
            self._wear()
        self._show()
        self._renew()

    def show_past(self, snapshot: Snapshot) -> None:
        """Show a moment; whoever is in it has no other details than those of then."""
        moved = snapshot.at_ns != self.snapshot.at_ns
        if moved:
            self._known, self._asked_at, self._index_at = None, 0.0, 0.0
        self._show_snapshot(snapshot)
        if moved:
            self._tell_panel()

    def show_now(self) -> None:
        """Show the newest again, as soon as it is known."""
        self._known, self._asked_at, self._index_at = None, 0.0, 0.0
        if self._newest is None:
            self._feed.again()
        else:
            self._show_snapshot(self._newest)
            self._tell_panel()

    def _wear(self) -> None:
        """The past has a ground of its own."""
        past = self.snapshot.at_ns is not None
        self.world.use(in_the_past(self.theme) if past else self.theme)

    def _show(self, *, keep_view: bool = True) -> None:
        """What of the snapshot is in focus."""
        if self.closed:
            return
        scene = self.snapshot.scene
        if self.focus is not None and self.focus.service in scene.services:
            scene = narrowed(scene, within(scene, self.focus))
        elif self.focus is not None:
            self.say(f"{display_name(self.focus.service)} is gone, so everything is shown")
            self.focus = None
        self.scene = scene
        first = not self._had_bodies and len(scene.positions) > 0
        self._had_bodies = self._had_bodies or first
        self.world.stage.lights_on = self._effects.level < STILL
        self.world.stage.spare = self._effects.level == SPARE
        self.world.show(scene, keep_view=keep_view and not first)
        if self.selected is not None:
            self.world.mark(self.selected, reveal=False)
        self._tell_bar()

    def _renew(self) -> None:
        """After a new snapshot: what is beside the world, if its time has come."""
        now = time.monotonic()
        if self.selected is not None and now - self._asked_at > _DETAILS_EVERY_S:
            self._ask_details()
        if now - self._index_at > _INDEX_EVERY_S:
            self._index_at = now
            self._index_asker.want(self._answering)
        self.pages.follow(self.snapshot, self.scene, self.selected, self.theme)

    def _ask_details(self) -> None:
        assert self.selected is not None
        self._asked_at = time.monotonic()
        self._details.want((self.selected, self.snapshot.at_ns, self._answering))

    def _take_answers(self) -> None:
        for (name, at_ns, _), details in self._details.take():
            if name != self.selected or at_ns != self.snapshot.at_ns:
                continue  # somebody else is selected by now, or another time is shown
            if isinstance(details, Exception):
                self._tell_panel(trouble=_sentence(details))
            else:
                self._known = details
                self._tell_panel()
        for _, index in self._index_asker.take():
            if isinstance(index, Index):
                self._index = index
        for trace_id, chart in self._traces.take():
            if isinstance(chart, Exception):
                self.say(f"trace {trace_id}: {_sentence(chart)}")
            else:
                self.pages.open_trace(chart)
                self.set_page(TRACE)

    def _tell_panel(self, trouble: str = "") -> None:
        pressed = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton
        if self.selected is not None and not (pressed and self.panel.underMouse()):
            self.panel.tell(self.selected, self.snapshot, self.theme, self._known, trouble)

    def _fill_page(self) -> None:
        self.pages.fill(self.snapshot, self.scene, self.selected, self.theme)

    def _focus_on(self, focus: Focus | None) -> None:
        if focus == self.focus:
            self._tell_bar()
            return
        self._leave()
        self.focus = focus
        self._effects.reset()
        self._show()
        self._fill_page()
        self.world.see_everything()

    def _place(self) -> Place:
        return Place(self.world.view, self.selected, self.focus, self.time.player.at_ns)

    def _approach(self, place: NDArray[np.float32]) -> None:
        """As near as one can see what is around it."""
        self.world.look(nearer(close_up(place, self.world.view), _ROOM_AROUND))

    def _leave(self) -> None:
        self._journey.leave(self._place())
        self._tell_bar()

    def _return_to(self, place: Place) -> None:
        if place.at_ns is None:
            self.time.now()
        elif place.at_ns != self.time.player.at_ns:
            self.time.stay(place.at_ns)
        if place.focus != self.focus:
            self.focus = place.focus
            self._show()
        if place.selected != self.selected:
            self.select(place.selected)
        self.world.look(place.view)
        self._tell_bar()
        self._fill_page()

    def _saw_frame(self, seconds: float) -> None:
        if self._effects.saw(seconds):
            QTimer.singleShot(0, self._show)

    def _tell_bar(self) -> None:
        self.bar.tell(
            self.pages.currentIndex(),
            self.focus,
            trace=self.pages.has_trace,
            can_go_back=self._journey.can_go_back,
        )

    def _tell_status(self) -> None:
        trouble = ""
        if self._trouble:
            silent = time.monotonic() - self._silent_since
            trouble = f"no answer for {silent:.0f} s: {self._trouble[:110]} – trying again"
        frames = self.world.frames_per_second()
        pace = f"{frames} frames/s" if frames else "still"
        renderer = self.world.stage.profile.renderer.partition("(")[0].strip()
        speed = f"{pace} · {1e3 * self._effects.frame_s:.0f} ms a frame · {display_name(renderer, 24)}"
        self.status.tell(
            self.snapshot, trouble, hidden_words(self.scene, self.snapshot.scene, self._effects.level), speed
        )

    def _tip(self, body: int) -> str:
        assert self.world.stage.scene is not None
        return tip_text(self.world.stage.scene, body, self._index)

    def _clicked(self, body: int | None) -> None:
        """A service is selected, an island opened."""
        stage = self.world.stage
        name = None if body is None else stage.service_of(body)
        self.select(name)
        self._opened = None
        if body is not None and name is None and stage.scene is not None:
            self._opened = stage.scene.positions[body].copy()
            if not self.world.open(body):
                self.say("too much is open to open more from here: double click flies there")

    def _names(self) -> Iterator[Hit]:
        yield from (Hit(service, "") for service in self.snapshot.scene.services)
        operations = self._index.operations
        yield from map(Hit, operations["service"].to_list(), operations["operation"].to_list())

    def _found(self, hit: Hit) -> None:
        self.set_page(WORLD)
        self.go_to(hit.service)

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
