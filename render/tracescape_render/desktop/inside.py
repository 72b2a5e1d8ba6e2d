"""Stepping inside of a trace from the window, and out again to where one came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtGui import QKeyEvent

from tracescape_render.desktop.wall_page import WallPage, id_on_clipboard, inside_words
from tracescape_render.inside.asked import InsideWish
from tracescape_render.palette import Theme

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class Inside:
    """A guest on a page of its own, which is made when it is needed: the world stays as it is behind it."""

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self.page: WallPage | None = None

    def step_in(self, wish: InsideWish | None = None) -> None:
        """Into a trace; without one that which was opened last, else that whose id is on the clipboard."""
        trace_id = self._window.opened_trace or id_on_clipboard()
        if wish is None and not trace_id:
            self._window.say(
                "open a trace first (a panel names some), or copy a trace id: i steps inside of it"
            )
            return
        wish = wish or InsideWish(trace_id)
        self._window.say(f"stepping inside of trace {wish.trace_id} …")
        self._made().open(wish)

    def follow(self) -> None:
        """What was asked for may be there. Who goes to another page has left."""
        if self.page is None:
            return
        visiting, pages = self._window.visiting, self._window.pages
        if visiting.guest is self and pages.currentWidget() is not self.page:
            visiting.dismiss()
        self.page.tick()

    def close(self) -> None:
        """The window closes."""
        if self.page is not None:
            self.page.close_all()

    # As a guest.

    def tick(self) -> None:
        """`follow` does it all, also before the stage is taken."""

    def enter(self) -> int:
        """The world, its panel and its time stay as they are, unseen."""
        self._window.panel.hide()
        self._window.time.strip.hide()
        return self._window.pages.indexOf(self._made())

    def leave(self) -> None:
        """They are seen again."""
        self._window.panel.setVisible(self._window.selected is not None)
        self._window.time.strip.show()

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """Keys of the wall."""
        return None if self.page is None else self.page.handler(event)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        if self.page is not None:
            self.page.use(theme)

    def words(self) -> Sequence[str]:
        """The options that show the same again."""
        return () if self.page is None else inside_words(self.page.wish, self.page.answer)

    def _made(self) -> WallPage:
        if self.page is None:
            window = self._window
            self.page = WallPage(
                window.theme,
                window.questions.inside,
                say=window.say,
                on_out=window.back,
                on_there=self._take_stage,
            )
            window.pages.addWidget(self.page)
        return self.page

    def _take_stage(self) -> None:
        page, visiting = self._made(), self._window.visiting
        page.use(self._window.theme)
        if visiting.guest is not self:
            visiting.enter(self)
        page.view.canvas.setFocus()
