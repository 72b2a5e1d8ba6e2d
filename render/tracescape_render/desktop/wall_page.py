"""The inside of a trace as a page: the wall, a bar to search and compare with, the panel of a span."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from tracescape_analytics.trace_details import SpanDetail
from tracescape_analytics.trace_wall import Wall
from tracescape_render.asking import Asker
from tracescape_render.desktop.pieces import button, words
from tracescape_render.desktop.span_panel import SpanPanel
from tracescape_render.desktop.wall_view import WallView
from tracescape_render.errors import RenderError
from tracescape_render.inside.asked import TYPICAL, InsideAnswer, InsideWish, Seen
from tracescape_render.inside.reach import reach_of
from tracescape_render.inside.stage import whole_of
from tracescape_render.inside.standing import Standing, standing
from tracescape_render.inside.told import span_words
from tracescape_render.palette import Theme
from tracescape_render.picture import save_window
from tracescape_render.text import display_name
from tracescape_render.view_command import written_part, written_view

_KEYS: Final = """\
Inside a trace
drag            turn the wall        wheel           zoom in time (Ctrl: nearer)
right drag      along the wall       double click, g zoom to the span
w s a d e x     nearer, along, up    f               all of it
/  Ctrl-F       search, or a filter  n N             next, previous hit (or error)
[ ]             parent, first child  { }             back, on along the critical path
v               beside a typical one V               beside the one on the clipboard
c               copy the span        u               read the trace again
Backspace       what was seen before Esc             let go, then out"""
WALL_KEYS: Final = f"""\
{_KEYS}
b k             bookmark, link       R               ride it through the world"""
#: In a window of its own there is no world, and no command leads there.
LONE_WALL_KEYS: Final = f"""\
{_KEYS}
t               theme                q               close"""

_TURN_DEGREES: Final = 3.0
_ZOOM: Final = 0.75
_STEP: Final = 0.15
_NEAREST: Final = 0.9
#: What makes a text a filter, see docs/searching.md.
_FILTER: Final = re.compile(r"[=<>~]|\b(exists|contains)\b|\bin\s*\(", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_HITS_NAMED: Final = 100_000

Spans = NDArray[np.int64]
Opened = tuple[InsideAnswer, Standing]


class WallPage(QWidget):
    """``ask`` answers on another thread, ``say`` tells what passes, ``on_out`` leads out again.

    ``on_asked`` hears that a trace was asked for, ``on_there`` that it is there, ``on_trouble`` that it is
    not. ``typical`` names what to put beside a trace of that id: another id, or `TYPICAL`.
    """

    def __init__(
        self,
        theme: Theme,
        ask: Callable[[InsideWish], InsideAnswer],
        *,
        say: Callable[[str], object],
        on_out: Callable[[], object],
        on_asked: Callable[[], object] = lambda: None,
        on_there: Callable[[], object] = lambda: None,
        on_trouble: Callable[[], object] = lambda: None,
        typical: Callable[[str], str] = lambda _: TYPICAL,
    ) -> None:
        super().__init__()
        self._say = say
        self._on_asked, self._on_there, self._on_trouble = on_asked, on_there, on_trouble
        self._typical = typical
        self._walls: Asker[InsideWish, Opened] = Asker(lambda wish: _opened(ask(wish)), "walls")
        self._finder: Asker[tuple[InsideAnswer, Standing, str], Spans] = Asker(_found, "finding")
        self._details: Asker[tuple[InsideAnswer, int, str], SpanDetail] = Asker(_detail, "spans")
        self.wish: InsideWish | None = None
        self.answer: InsideAnswer | None = None
        self.detail: SpanDetail | None = None
        self.hits: Spans = np.zeros(0, np.int64)
        self._hit = -1
        self._asked_for: InsideWish | None = None
        self._growing = False  # what is asked for is more of what is there
        self._then: Seen | None = None  # what will be seen of what is asked for
        self._opening = QTimer(self)
        self._opening.setSingleShot(True)
        self._opening.timeout.connect(self._open_panel)
        self.view = WallView(self, theme, self.clicked, self._opening.stop)
        self._build(on_out)

    @property
    def wall(self) -> Standing:
        """What is shown."""
        return self.view.stage.wall

    @property
    def selected(self) -> int | None:
        """The span whose panel is open."""
        return self.view.stage.selected if self.view.shows else None

    @property
    def seen(self) -> Seen:
        """What is seen of the wall, which span is selected, and from where that is seen."""
        if not self.view.shows:
            return Seen()
        reach, chosen = self.view.reach, self.selected
        span = "" if chosen is None else str(self.wall.span_id[chosen])
        seen = Seen(span=span, view=self.view.stands_at)
        if reach == self.view.stage.whole:
            return seen
        return seen._replace(
            first=round(reach.first, 3), last=round(reach.last, 3), low=reach.low, high=reach.high
        )

    @property
    def spans(self) -> int:
        """How many are there, of all traces."""
        return len(self.wall.start) if self.view.shows else 0

    @property
    def end_ns(self) -> int:
        """When the last span of the trace ended, epoch ns, as far as it is there."""
        spans = None if self.answer is None else self.answer.traces[-1].spans
        return 0 if spans is None or spans.is_empty() else int(spans["end_ns"].to_numpy().max())

    def open(self, wish: InsideWish, seen: Seen | None = None) -> None:
        """Ask for a trace, or two, and show them once they are there, or what is to be ``seen`` of them."""
        self._asked_for, self._growing = wish, False
        self._then = seen
        self._on_asked()
        self._walls.want(wish)

    def give_up(self) -> None:
        """What was asked for is not shown when it comes; more of what is there still is."""
        if not self._growing:
            self._asked_for = None
            self._walls.forget()

    def ask_for_more(self) -> None:
        """What has arrived since is shown once it is there; where there is nothing, nothing happens."""
        if self.wish is not None and self._asked_for is None:
            self._asked_for, self._growing = self.wish, True
            self._walls.want(self.wish)

    def show_answer(self, wish: InsideWish, answer: InsideAnswer, wall: Standing) -> None:
        """Show what came; what was read again is seen as it was before."""
        again = self.answer is not None and self.wish == wish
        kept = self.wall.span_id[self.selected] if again and self.selected is not None else None
        self.wish, self.answer = wish, answer
        self.view.show(wall, keep=again)
        if not again:
            self._clear_search()
            self.select(None)
            self.view.canvas.setFocus()
        else:
            self._select_id(kept, opens=not self.panel.isHidden())
            self.hits, self._hit = np.zeros(0, np.int64), -1
            self.look_for(self.box.text())
        self._beside.setEnabled(len(wall.blocks) == 1)
        self._alone.setVisible(len(wall.blocks) > 1)
        self._tell_hits()

    def look_at(self, seen: Seen) -> None:
        """See this part of the wall from there, with its span selected."""
        self.view.go(reach_of(seen, whole_of(self.wall)), fly=False)
        self._select_id(seen.span or None)
        if seen.view is None:
            self.view.see_everything()
        else:
            self.view.look(seen.view)

    def _select_id(self, span_id: str | None, *, opens: bool = True) -> None:
        """Select a span by its id, in the trace that was asked for if both have it."""
        there = [] if span_id is None else (self.wall.span_id == span_id).arg_true().to_list()
        self.select(there[-1] if there else None, opens=opens)

    # What can be done.

    def clicked(self, span: int | None) -> None:
        """As `select`; a panel that is not there yet waits, lest a double click hits what it has moved."""
        waits = span is not None and self.panel.isHidden()
        self.select(span, opens=not waits)
        if waits:
            self._opening.start(QApplication.doubleClickInterval())

    def _open_panel(self) -> None:
        self.panel.setVisible(self.selected is not None)

    def select(self, span: int | None, *, opens: bool = True) -> None:
        """Frame a span and tell everything about it, or nothing."""
        self._opening.stop()
        self.view.select(span)
        self.detail = None
        if opens or span is None:
            self.panel.setVisible(span is not None)
        if span is None or self.answer is None:
            self._details.forget()
            return
        side, void = self.wall.blocks.index(self.wall.block_of(span)), bool(self.wall.void[span])
        if not void:
            self._details.want((self.answer, side, self.wall.span_id[span]))
        self._tell_panel("no more is known of it" if void else "")

    def go_to(self, span: int) -> None:
        """Select a span and see it."""
        self.view.reveal(span)
        self.select(span)

    def search(self) -> None:
        """Go on in the search box."""
        self.box.setFocus()
        self.box.selectAll()

    def look_for(self, text: str) -> None:
        """Let everything that holds ``text``, or matches it as a filter, stand out."""
        text = text.strip()
        if not text or self.answer is None:
            self._clear_search()
            return
        self._finder.want((self.answer, self.wall, text))

    def next_hit(self, step: int = 1) -> None:
        """The next hit in time; without a search the next error, or missing span."""
        hits = self.hits if self.box.text().strip() else _trouble(self.wall)
        if not len(hits):
            found = "no hit" if self.box.text().strip() else "no errors, and nothing is missing"
            self._say(found)
            return
        here = np.flatnonzero(hits == self.selected)
        number = int(here[0]) + step if len(here) else (0 if step > 0 else -1)
        self._hit = number % len(hits)
        self.go_to(int(hits[self._hit]))
        self._tell_hits()

    def relative(self, child: bool) -> None:
        """The parent of the selected span, or its first child."""
        if self.selected is None:
            self._say("no span is selected: click one")
            return
        wall = self.wall
        if child:
            mine = np.flatnonzero(wall.parent == self.selected)
            found = int(mine[np.argmin(wall.start[mine])]) if len(mine) else -1
        else:
            found = int(wall.parent[self.selected])
        if found < 0:
            self._say("it calls nobody" if child else "nobody called it: it is where the trace begins")
        else:
            self.go_to(found)

    def along(self, step: int) -> None:
        """To the next span on the critical path, or the one before."""
        wall = self.wall
        path = wall.lit.span[np.concatenate([[True], wall.lit.span[1:] != wall.lit.span[:-1]])]
        here = np.flatnonzero(path == self.selected)
        place = int(here[0 if step < 0 else -1]) + step if len(here) else 0
        if not 0 <= place < len(path):
            self._say("this is where the critical path ends" if step > 0 else "this is where it begins")
        else:
            self.go_to(int(path[place]))

    def beside(self, other: str) -> None:
        """Put another trace beside this one."""
        if self.wish is None:
            return
        if not other:
            self._say("V takes the id of the other trace from the clipboard, and there is none")
            return
        other = self._typical(self.wish.trace_id) if other == TYPICAL else other
        self._say("looking for a typical one …" if other == TYPICAL else f"asking for {other} …")
        self.open(InsideWish(self.wish.trace_id, other))

    def alone(self) -> None:
        """Take the other trace away."""
        if self.wish is not None:
            self.open(InsideWish(self.wish.trace_id))

    def read_again(self) -> None:
        """What arrived since."""
        if self.wish is not None:
            self._say("reading it again …")
            self.open(self.wish)

    def copy(self) -> None:
        """Everything of the selected span; without one what is told of what is under the pointer."""
        text = repr(self.detail) if self.detail is not None else self.view.tip
        if not text and self.selected is not None:
            text = span_words(self.wall, self.selected)
        if not text:
            self._say("nothing to copy: point at a span, or select one")
            return
        QGuiApplication.clipboard().setText(text)
        self._say(f"copied: {text.splitlines()[0]}")

    def save_picture(self) -> None:
        """Write a PNG of the wall into the working folder."""
        path = Path.cwd() / f"tracescape-{time.strftime('%Y%m%d-%H%M%S')}.png"
        try:
            self._say(f"saved {save_window(self.view.canvas.render_window, path)}")
        except RenderError as error:
            self._say(str(error))

    def let_go(self) -> bool:
        """Of the selection, else of the search; False where there is neither."""
        if self.selected is not None:
            self.select(None)
        elif self.box.text():
            self._clear_search()
        else:
            return False
        return True

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        self.view.use(theme)

    def tick(self) -> None:
        """Some time has gone by."""
        for wish, opened in self._walls.take():
            if wish != self._asked_for:
                continue
            self._asked_for = None
            if self._growing:
                self._grow(wish, opened)
            elif isinstance(opened, Exception):
                self._say(f"trace {display_name(wish.trace_id, 40)}: {display_name(opened, 160)}")
                self._on_trouble()
            else:
                self.show_answer(wish, *opened)
                self._say(_arrived(wish, opened[0]))
                if self._then is not None:
                    self.look_at(self._then)
                self._on_there()
        for (answer, wall, text), found in self._finder.take():
            if answer is self.answer and text == self.box.text().strip():
                self._take_hits(wall, found)
        for (answer, _, span_id), detail in self._details.take():
            selected = self.selected
            if answer is not self.answer or selected is None or self.wall.span_id[selected] != span_id:
                continue
            self.detail = detail if isinstance(detail, SpanDetail) else None
            self._tell_panel(display_name(detail, 160) if isinstance(detail, Exception) else "")
        self.view.tick()

    def _grow(self, wish: InsideWish, opened: Opened | Exception) -> None:
        """What was there is shown until there is more."""
        self._growing = False
        if isinstance(opened, Exception) or self.answer is None:
            return
        answer, wall = opened
        if len(wall.start) == self.spans and len(wall.notes.span) == len(self.wall.notes.span):
            return
        self.show_answer(wish, answer, wall)
        self._say(f"more of it has arrived: {len(answer.traces[-1].spans):,} spans by now")

    def close_all(self) -> None:
        """Free everything."""
        for asker in (self._walls, self._finder, self._details):
            asker.stop()
        self.view.close()

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What a key does here; None for nothing."""
        if not self.view.shows:
            return None
        key, text, modifiers = Qt.Key(event.key()), event.text(), event.modifiers()
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            return {Qt.Key.Key_F: self.search, Qt.Key.Key_C: self.copy}.get(key)
        if modifiers & Qt.KeyboardModifier.AltModifier:
            return self.view.back if key == Qt.Key.Key_Left and self.view.can_go_back else None
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            return self._elsewhere
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return self._nearer_to_selected
        if key == Qt.Key.Key_Escape and (self.selected is not None or self.box.text()):
            return self.let_go
        if key == Qt.Key.Key_Backspace and self.view.can_go_back:
            return self.view.back
        turns = {
            Qt.Key.Key_Left: (_TURN_DEGREES, 0.0),
            Qt.Key.Key_Right: (-_TURN_DEGREES, 0.0),
            Qt.Key.Key_Up: (0.0, _TURN_DEGREES),
            Qt.Key.Key_Down: (0.0, -_TURN_DEGREES),
        }
        if key in turns:
            return lambda: self.view.turn(*turns[key])
        return self._letters().get(text)

    def _letters(self) -> dict[str, Callable[[], object]]:
        view = self.view
        return {
            "w": lambda: view.zoom(_ZOOM),
            "s": lambda: view.zoom(1 / _ZOOM),
            "a": lambda: view.pan(-_STEP, 0.0),
            "d": lambda: view.pan(_STEP, 0.0),
            "e": lambda: view.pan(0.0, _STEP),
            "x": lambda: view.pan(0.0, -_STEP),
            "+": lambda: view.nearer(_NEAREST),
            "=": lambda: view.nearer(_NEAREST),
            "-": lambda: view.nearer(1 / _NEAREST),
            "f": view.see_all,
            "g": self._nearer_to_selected,
            "/": self.search,
            "n": self.next_hit,
            "N": lambda: self.next_hit(-1),
            "[": lambda: self.relative(child=False),
            "]": lambda: self.relative(child=True),
            "{": lambda: self.along(-1),
            "}": lambda: self.along(1),
            "v": lambda: self.beside(TYPICAL),
            "V": lambda: self.beside(id_on_clipboard()),
            "u": self.read_again,
            "c": self.copy,
            "l": view.toggle_labels,
            "p": self.save_picture,
            # What these do in the world would be done unseen.
            **dict.fromkeys("01234Limor,. ", self._elsewhere),
        }

    def _elsewhere(self) -> None:
        self._say("that is for the world: Esc leads out of the trace")

    def _nearer_to_selected(self) -> None:
        if self.selected is None:
            self._say("no span is selected: click one")
        else:
            self.view.go_to(self.selected)

    def _take_hits(self, wall: Standing, found: Spans | Exception) -> None:
        if isinstance(found, Exception):
            self.hits = np.zeros(0, np.int64)
            self.view.find(None)
            self._count.setText("")
            self._say(display_name(found, 200))
            return
        self.hits, self._hit = found[np.argsort(wall.start[found], kind="stable")], -1
        self.view.find(self.hits)
        self._tell_hits()

    def _clear_search(self) -> None:
        self.hits, self._hit = np.zeros(0, np.int64), -1
        self.box.clear()
        if self.view.shows:
            self.view.find(None)
        self._tell_hits()

    def _tell_hits(self) -> None:
        if not self.box.text().strip():
            self._count.setText("")
        elif not len(self.hits):
            self._count.setText("nothing")
        else:
            place = f"{self._hit + 1:,} of " if self._hit >= 0 else ""
            self._count.setText(f"{place}{len(self.hits):,}")

    def _tell_panel(self, trouble: str = "") -> None:
        span, wall = self.selected, self.wall
        if span is None:
            return
        near = []
        parent, children = int(wall.parent[span]), np.flatnonzero(wall.parent == span)
        if parent >= 0:
            near.append(("called by", parent, wall.name(parent)))
        longest = children[np.argsort(wall.start[children] - wall.end[children], kind="stable")]
        near += [("calls", each, wall.name(each)) for each in longest[:4].tolist()]
        other = int(wall.partner[span])
        if other >= 0:
            near.append(("beside", other, wall.name(other)))
        self.panel.tell(span_words(wall, span), near, self.detail, trouble)

    def _build(self, on_out: Callable[[], object]) -> None:
        self.setObjectName("inside")
        self.box = QLineEdit()
        self.box.setPlaceholderText("search in this trace, or a filter: status = error  ( / )")
        self.box.setMaxLength(1_000)
        self.box.setMinimumWidth(180)
        self.box.textChanged.connect(self.look_for)
        self.box.returnPressed.connect(self.next_hit)
        self.box.installEventFilter(self)
        self._count = QLabel("")
        self._count.setProperty("quiet", True)
        self._beside = button(
            "beside a typical one", "another trace of the same kind  (v)", lambda: self.beside(TYPICAL)
        )
        self._alone = button("this one alone", "take the other trace away", self.alone)
        bar = QFrame()
        bar.setObjectName("bar")
        bar.setFixedHeight(40)
        line = QHBoxLayout(bar)
        line.setContentsMargins(10, 0, 10, 0)
        for widget in (
            button("‹ out", "out of the trace, to where one came from  (Esc)", on_out),
            self.box,
            self._count,
            button("‹", "previous hit  (N)", lambda: self.next_hit(-1)),
            button("›", "next hit, or error  (n)", self.next_hit),
            words(""),
            button("all", "all of the trace  (f)", self.view.see_all),
            self._beside,
            self._alone,
            button("again", "read the trace again: what arrived since  (u)", self.read_again),
        ):
            line.addWidget(widget, 3 if widget is self.box else 0)
        line.addStretch(1)
        self.panel = SpanPanel(self.go_to, self.copy, lambda: self.select(None))
        self.panel.hide()
        self._alone.hide()
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.view.canvas, 1)
        middle.addWidget(self.panel)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(bar)
        whole.addLayout(middle, 1)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Esc in the box leads back to the wall."""
        if isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Cancel):
            self._clear_search()
            self.view.canvas.setFocus()
            return True
        return super().eventFilter(watched, event)


def id_on_clipboard() -> str:
    """The trace id in what is on the clipboard; empty for none."""
    found = _HEX.search(QGuiApplication.clipboard().text()[:4_000])
    return found[0].lower() if found else ""


def _opened(answer: InsideAnswer) -> Opened:
    return answer, standing(answer.walls, answer.pairs)


def _arrived(wish: InsideWish, answer: InsideAnswer) -> str:
    """That what was asked for is there."""
    trace, said = answer.traces[-1], "Esc leads out"
    if len(answer.traces) > 1:
        kind = "a typical one, " if wish.beside == TYPICAL else ""
        said = f"under {kind}trace {answer.traces[0].trace_id[:8]}…"
    return f"inside of trace {trace.trace_id[:8]}…, {len(trace.spans):,} spans: {said}"


def _found(wish: tuple[InsideAnswer, Standing, str]) -> Spans:
    answer, wall, text = wish
    rows: list[Spans] = []
    for each, block in zip(answer.walls, wall.blocks, strict=True):
        rows.append(_hits(each, text).to_numpy() + block.first_span)
    return np.concatenate(rows)


def _hits(wall: Wall, text: str) -> pl.Series:
    """What matches a filter; what is none, but looks like one, may still be written somewhere."""
    if not is_filter(text):
        return wall.find(text)
    try:
        return wall.matching(text)
    except ValueError:
        written = wall.find(text)
        if written.is_empty():
            raise
        return written


def is_filter(text: str) -> bool:
    """Whether a text is meant as a filter: something is compared in it."""
    return _FILTER.search(text) is not None


def _detail(wish: tuple[InsideAnswer, int, str]) -> SpanDetail:
    answer, side, span_id = wish
    return answer.traces[side].span(span_id)


def _trouble(wall: Standing) -> Spans:
    """What failed or is missing, by when it began."""
    found = np.flatnonzero(wall.failed | wall.void)
    return found[np.argsort(wall.start[found], kind="stable")]


def inside_words(wish: InsideWish | None, answer: InsideAnswer | None, seen: Seen) -> Sequence[str]:
    """The options of ``tracescape explore`` that show the same again."""
    if wish is None or answer is None:
        return ()
    other = [f"--beside={answer.traces[0].trace_id}"] if len(answer.traces) > 1 else []
    part = [f"--within={written_part(seen)}"] if seen.last > seen.first else []
    span = [f"--span={seen.span}"] if seen.span else []
    stands = [] if seen.view is None else [f"--wall-view={written_view(seen.view)}"]
    return [f"--trace={answer.traces[-1].trace_id}", "--inside", *other, *part, *span, *stands]
