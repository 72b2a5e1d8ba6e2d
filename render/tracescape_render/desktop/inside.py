"""Stepping inside of a trace from the window, and out again to where one came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtGui import QKeyEvent

from tracescape_render.desktop.arriving import may_arrive, pause
from tracescape_render.desktop.wall_page import WallPage, id_on_clipboard, inside_words
from tracescape_render.inside.asked import TYPICAL, InsideWish, Seen
from tracescape_render.palette import Theme

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class InsidePlace(NamedTuple):
    """What one is inside of, and what is seen of it."""

    wish: InsideWish
    seen: Seen


class Inside:
    """A guest on a page of its own, which is made when it is needed: the world stays as it is behind it."""

    covers = True

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self.page: WallPage | None = None
        self._asked_at = 0.0

    def step_in(self, wish: InsideWish | None = None, seen: Seen | None = None) -> None:
        """Into a trace; without one that which was opened last, else that whose id is on the clipboard."""
        trace_id = self._window.opened_trace or id_on_clipboard()
        if wish is None and not trace_id:
            self._window.say(
                "open a trace first (a panel names some), or copy a trace id: i steps inside of it"
            )
            return
        wish = wish or InsideWish(trace_id)
        self._window.say(f"stepping inside of trace {wish.trace_id} …")
        self._made().open(wish, seen)

    def follow(self) -> None:
        """What was asked for may be there. Who goes to another page has left."""
        if self.page is None:
            return
        visiting, pages = self._window.visiting, self._window.pages
        if visiting.guest is self and pages.currentWidget() is not self.page:
            visiting.drop(self)
        self.page.tick()
        if visiting.guest is self:
            self._ask_for_more(self.page)

    def close(self) -> None:
        """The window closes."""
        if self.page is not None:
            self.page.close_all()

    # As a guest.

    def give_up(self) -> None:
        """The trace that was asked for is not shown when it comes."""
        if self.page is not None:
            self.page.give_up()

    def tick(self) -> None:
        """`follow` does it all, also before the stage is taken."""

    def enter(self) -> int:
        """The world, its panel and its time stay as they are, unseen."""
        self._window.panel.hide()
        self._window.time.strip.hide()
        self._window.riding.strip.hide()
        self._asked_at = time.monotonic()
        return self._window.pages.indexOf(self._made())

    def leave(self) -> None:
        """They are seen again."""
        self._window.panel.setVisible(self._window.selected is not None)
        rides = self._window.visiting.has(self._window.riding)
        self._window.riding.strip.setVisible(rides)
        self._window.time.strip.setVisible(not rides)

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """Keys of the wall."""
        return None if self.page is None else self.page.handler(event)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        if self.page is not None:
            self.page.use(theme)

    def words(self) -> Sequence[str]:
        """The options that show the same again."""
        if self.page is None:
            return ()
        return inside_words(self.page.wish, self.page.answer, self.page.seen)

    def here(self) -> InsidePlace | None:
        """What is seen of it."""
        page = self.page
        if page is None or page.wish is None:
            return None
        return InsidePlace(page.wish, page.seen)

    def return_to(self, here: object) -> None:
        """See the same again; another trace than that which is there is asked for."""
        if not isinstance(here, InsidePlace):
            return
        page = self._made()
        if page.wish == here.wish and page.answer is not None:
            page.look_at(here.seen)
            self._take_stage()
        else:
            page.open(here.wish, here.seen)

    def _ask_for_more(self, page: WallPage) -> None:
        """More of a trace that is under way may have arrived."""
        now = time.monotonic()
        if now - self._asked_at < pause(page.spans) or not may_arrive(self._window.snapshot, page.end_ns):
            return
        self._asked_at = now
        page.ask_for_more()

    def _typical(self, trace_id: str) -> str:
        """What the diagnosis compares a trace with, if it shows that one; else whichever is typical."""
        typical, bad = self._window.snapshot.pair
        return typical if typical and trace_id == bad else TYPICAL

    def _made(self) -> WallPage:
        if self.page is None:
            window = self._window
            self.page = WallPage(
                window.theme,
                window.questions.inside,
                say=window.say,
                on_out=window.back,
                on_asked=lambda: window.visiting.expect(self),
                on_there=self._take_stage,
                on_trouble=lambda: window.visiting.answered(self),
                typical=self._typical,
            )
            window.pages.addWidget(self.page)
        return self.page

    def _take_stage(self) -> None:
        page, visiting = self._made(), self._window.visiting
        visiting.answered(self)
        page.use(self._window.theme)
        if page.wish is not None:
            self._window.opened_trace = page.wish.trace_id
        if visiting.guest is not self:
            visiting.enter(self)
        page.view.canvas.setFocus()
