"""Going through time in a window: asks for moments, shows the newest that came, and says which it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import polars as pl
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from tracescape_render.asking import Asker
from tracescape_render.banner import both_words, fitting, length_words, past_words
from tracescape_render.desktop.timeline import Strip, Track
from tracescape_render.palette import Theme
from tracescape_render.playing import Player
from tracescape_render.snapshot import LineWish, MomentWish, Questions, Snapshot
from tracescape_render.strip import Line, Spot, clock_words
from tracescape_render.text import display_name

#: A live store's timeline grows; its line and its marks are asked for again this seldom.
_LINE_EVERY_S: Final = 10.0
_MARKS_EVERY_S: Final = 60.0
#: Whoever stands still for so long is told causes, which are dearer.
_STILL_S: Final = 0.4
_STEPS_OF_RANGE: Final = 0.002
#: Pixels of the banner beside its words, and at least beside the banner: the title is there.
_BANNER_PADDING: Final = 28
_BESIDE_BANNER: Final = 130


class Shows(Protocol):
    """Who shows what somebody who goes through time has come to."""

    def past(self, snapshot: Snapshot) -> None:
        """Show a moment."""

    def now(self) -> None:
        """Show the newest again."""

    def arrange(self) -> None:
        """Two moments are to be shown in another way."""


class _Asked(NamedTuple):
    """When something was asked for last, s, and for what."""

    at: float = 0.0
    what: LineWish | None = None


class Travelling:
    """Where in time a window is. Not thread-safe: only the asking is done on other threads.

    ``shows`` shows moments, ``say`` tells something that passes, the banner is ``over`` the world,
    ``on_mark`` hears of a mark that is clicked.

    Attributes:
        halves: the banner is in the left one of so many pictures beside each other.
        against_ns: the other moment, which every moment that is shown is compared with; None for none.
        split: the two stand beside each other; else they are blended.
        guest_keys: what the banner says while somebody else has the keys of time: what of the past this is,
            and what those keys do.
    """

    def __init__(
        self,
        shows: Shows,
        say: Callable[[str], object],
        questions: Questions,
        theme: Theme,
        over: QWidget,
        on_mark: Callable[[Spot], object] = lambda _: None,
    ) -> None:
        self._shows, self._say = shows, say
        self._moments: Asker[MomentWish, Snapshot] = Asker(questions.moment, "moments")
        self._causes: Asker[MomentWish, Snapshot] = Asker(questions.moment, "moments-causes")
        self._lines: Asker[LineWish, Line] = Asker(questions.line, "timeline")
        self._marks: Asker[LineWish, Line] = Asker(questions.line, "timeline-marks")
        self.player = Player()
        self.line = Line()
        self._live = False
        self._selected: str | None = None
        self._shown_range: tuple[int, int] | None = None  # None: everything
        self._wanted: int | None = None
        self._wanted_at = 0.0
        self._reasoned: int | None = None
        self._shown: Snapshot | None = None
        self._asked, self._marked = _Asked(), _Asked()
        self.trouble = ""
        self.against_ns: int | None = None
        self.split = False
        self.guest_keys: tuple[str, ...] = ()
        self.halves = 1
        self._ticked = time.monotonic()
        track = Track(theme, self.go, self.stretch, on_mark)
        self.strip = Strip(
            track,
            {
                "|◀": ("the first moment  (Home)", self.first),
                "◀": ("play backwards  (r)", self.reverse),
                "▶": ("play, pause  (Space)", self.toggle),
                "−": ("slower  (-)", self.slower),
                "+": ("faster  (+)", self.faster),
                "▶|": ("now: live again  (End)", self.now),
            },
        )
        self.banner = QLabel(over)
        self.banner.setObjectName("banner")
        self.banner.setTextFormat(Qt.TextFormat.PlainText)
        self.banner.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.banner.hide()
        self._over = over

    def begin(self, snapshot: Snapshot, against_ns: int | None = None, *, split: bool = False) -> None:
        """The window opens with this, compared with another moment or not."""
        self.against_ns, self.split = against_ns, split
        self._live = snapshot.live
        self.player = Player(live_end=self._live)
        if snapshot.at_ns is not None:
            self.player.stay(snapshot.at_ns)
            self._wanted, self._wanted_at, self._shown = snapshot.at_ns, time.monotonic(), snapshot
        self._ask_line()
        self._tell()

    # What can be done.

    @property
    def is_now(self) -> bool:
        """Whether what is newest is shown."""
        return self.player.at_ns is None

    @property
    def pace(self) -> float:
        """How fast requests move in the picture."""
        return self.player.pace()

    def go(self, at_ns: float) -> None:
        """To a moment, and stand still there."""
        if not self.line.empty:
            self.player.playing = False
            self.player.go(self.line.snapped(at_ns))

    def stay(self, at_ns: int) -> None:
        """To exactly this moment, wherever it lies."""
        self.player.stay(at_ns)

    def now(self) -> None:
        """What is newest again."""
        was_past = not self.is_now
        self.player.now()
        self._forget()
        if was_past:
            self._shows.now()

    def first(self) -> None:
        """The first moment."""
        if self._can():
            self.player.playing = False
            self.player.go(self.player.range_ns[0])

    def toggle(self) -> None:
        """Play or pause."""
        if self._can():
            self.player.toggle()

    def reverse(self) -> None:
        """Play the other way."""
        if self._can():
            self.player.play(backwards=not (self.player.playing and self.player.backwards))

    def faster(self) -> None:
        """The next speed."""
        self.player.faster()

    def slower(self) -> None:
        """The speed before."""
        self.player.faster(-1)

    def step(self, steps: int) -> None:
        """So many steps of the timeline forward, or back."""
        if self._can():
            unit = min(self.line.step_ns, 60_000_000_000)
            length = self.line.until_ns - self.line.since_ns
            by = steps * max(unit, round(_STEPS_OF_RANGE * length))
            at = self.player.range_ns[1] if self.player.at_ns is None else self.player.at_ns
            self.player.step(0)
            self.player.go(self.line.snapped(at + by))

    def mark(self) -> None:
        """What is shown is the other moment from now on; where there is one, there is none any more."""
        if self.against_ns is not None:
            self.compare(None)
            self._say("one moment again")
        elif self._can():
            self.compare(self.player.range_ns[1] if self.player.at_ns is None else self.player.at_ns)
            self._say("compared with this moment: go to another; v sets both beside each other, o ends it")

    def compare(self, against_ns: int | None, *, split: bool = False) -> None:
        """Compare with this moment, or with none."""
        if (against_ns, split) == (self.against_ns, self.split):
            return
        self.against_ns, self.split = against_ns, split
        self._wanted = self._reasoned = None
        self._shows.arrange()

    def beside(self) -> None:
        """Both moments beside each other, or blended again."""
        if self.against_ns is None:
            self._say("o marks a moment to compare with: go to another then")
        else:
            self.split = not self.split
            self._shows.arrange()

    def zoom(self, since_ns: int, until_ns: int) -> None:
        """Show this stretch of time in the strip."""
        first, last = self.line.stored_ns
        self._shown_range = None if (since_ns, until_ns) == (first, last) else (since_ns, until_ns)
        self._ask_line()

    def stretch(self, share: float, factor: float) -> None:
        """Show a longer or shorter stretch of time about a spot: of what was asked for, shown or not yet."""
        since_ns, until_ns = self._shown_range or self.line.stored_ns
        asked = dataclasses.replace(self.line, since_ns=since_ns, until_ns=until_ns)
        self.zoom(*asked.zoomed(share, factor))

    def select(self, service: str | None) -> None:
        """Show these lines besides."""
        if service != self._selected:
            self._selected = service
            self._ask_line()

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        self.strip.track.theme = theme
        self.strip.track.update()

    # What happens by itself.

    def tick(self) -> None:
        """Some time has gone by."""
        now = time.monotonic()
        seconds, self._ticked = now - self._ticked, now
        was_now = self.is_now
        self.player.advance(min(seconds, 0.5))
        if self.is_now and not was_now:
            self._forget()
            self._shows.now()
        self._take_lines()
        self._want_moment(now)
        self._take_moments()
        if self._live and now - self._asked.at > _LINE_EVERY_S:
            self._ask_line()
        self._tell()

    def close(self) -> None:
        """Ask no more."""
        self.strip.track.tip.close()
        for asker in (self._moments, self._causes, self._lines, self._marks):
            asker.stop()

    def _can(self) -> bool:
        if self.line.empty:
            self._say("there is no time to go through yet")
        return not self.line.empty

    def _forget(self) -> None:
        self._wanted = self._reasoned = None
        self._shown, self.trouble = None, ""
        self._moments.forget()
        self._causes.forget()

    def _ask_line(self) -> None:
        wish = LineWish(self._selected, self._shown_range, marks=False)
        self._asked = _Asked(time.monotonic(), wish)
        self._lines.want(wish)
        marked = wish._replace(marks=True, service=None, range_ns=None)
        if self._marked.what is None or self._asked.at - self._marked.at > _MARKS_EVERY_S:
            self._marked = _Asked(self._asked.at, marked)
            self._marks.want(marked)

    def _take_lines(self) -> None:
        for wish, line in self._lines.take():
            if wish != self._asked.what:
                continue
            if isinstance(line, Exception):
                self.strip.track.show_moment(self.player.at_ns, 0, f"no timeline: {display_name(line, 120)}")
                continue
            self._show_line(_with_marks(line, self.line.marks))
        for _, line in self._marks.take():
            if not isinstance(line, Exception):
                self._show_line(_with_marks(self.line, line.marks))

    def _show_line(self, line: Line) -> None:
        self.line = line
        self.player.reaches(*line.stored_ns)
        self.strip.track.show_line(line)

    def _want_moment(self, now: float) -> None:
        at = self.player.at_ns
        if at is None:
            return
        # Who plays goes by steps; who was sent somewhere is there.
        wanted = self.line.snapped(at) if self.player.playing and not self.line.empty else at
        if wanted != self._wanted:
            self._wanted, self._wanted_at = wanted, now
            self._moments.want(MomentWish(wanted, False, self._other(wanted)))
        still = not self.player.playing and now - self._wanted_at > _STILL_S
        if still and self._reasoned != wanted:
            self._reasoned = wanted
            self._causes.want(MomentWish(wanted, True, self._other(wanted)))

    def _take_moments(self) -> None:
        for asker in (self._moments, self._causes):
            for wish, answer in asker.take():
                if self.is_now or (wish.causes and wish.at_ns != self._wanted):
                    continue  # somebody is elsewhere by now
                if wish.against_ns != self._other(wish.at_ns):
                    continue  # another moment is the other one by now
                if isinstance(answer, Exception):
                    self.trouble = display_name(answer, 160) or type(answer).__name__
                elif not wish.causes and wish.at_ns == self._reasoned and self._has_causes(wish.at_ns):
                    continue  # what is shown says more
                else:
                    self.trouble, self._shown = "", answer
                    self._shows.past(answer)

    def _other(self, at_ns: int) -> int | None:
        return None if self.against_ns == at_ns else self.against_ns

    def _has_causes(self, at_ns: int) -> bool:
        return self._shown is not None and self._shown.at_ns == at_ns and self._shown.reasoned

    def _tell(self) -> None:
        player, shown = self.player, self._shown
        width = shown.width_ns if shown is not None else 0
        self.strip.track.show_moment(
            player.at_ns, width, "" if self.line.steps.is_empty() else "nothing is stored", self.against_ns
        )
        if player.at_ns is None:
            state, badge = ("now", "● LIVE") if self._live else ("all", "EVERYTHING")
            moment, more = (
                ("follows what arrives", "drag the timeline for the past")
                if self._live
                else ("all that is stored", "drag the timeline for a moment of it")
            )
        else:
            state, badge = "past", "PAST"
            moment, more = clock_words(player.at_ns), self._how()
        speed = f"×{player.speed:g}"
        self.strip.tell(badge, state, moment, more, speed, plays=player.playing)
        self._tell_banner(state)

    def _how(self) -> str:
        player = self.player
        if self.trouble:
            return f"no answer: {self.trouble}"
        shown = self._shown
        if shown is None or shown.at_ns is None or (shown.at_ns != self._wanted and not player.playing):
            return "asking for that moment …"
        way = "playing backwards" if player.backwards else "playing"
        doing = f"{way} ×{player.speed:g}" if player.playing else "standing still"
        return f"{doing} · the {length_words(shown.width_ns)} before"

    def _tell_banner(self, state: str) -> None:
        if state != "past":
            self.banner.hide()
            return
        shown = self._shown
        at = self.player.at_ns if shown is None or shown.at_ns is None else shown.at_ns
        assert at is not None
        width = self._over.width() // self.halves
        room = width - 2 * _BESIDE_BANNER
        text = fitting(self._banner_words(at), room, self._banner_width)
        if self.banner.text() != text:
            self.banner.setText(text)
            self.banner.adjustSize()
        self.banner.move(max((width - self.banner.width()) // 2, 0), 8)
        self.banner.setVisible(True)
        self.banner.raise_()

    def _banner_words(self, at_ns: int) -> list[str]:
        if self.against_ns is not None and self.against_ns != at_ns:
            how, other = ("beside each other", "blended") if self.split else ("blended", "beside each other")
            return both_words(at_ns, self.against_ns, how, self._how(), f"v: {other}", "o: one moment")
        told = self.guest_keys or (self._how(), f"End: {'live' if self._live else 'everything'}")
        return past_words(at_ns, time.time_ns(), *told)

    def _banner_width(self, text: str) -> int:
        return self.banner.fontMetrics().horizontalAdvance(text) + _BANNER_PADDING


def _with_marks(line: Line, marks: pl.DataFrame | None) -> Line:
    return dataclasses.replace(line, marks=marks)
