"""Which service somebody has chosen, and how much around it they keep in focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracescape_render.desktop.pages import MAP
from tracescape_render.focus import Focus

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop

_NOBODY: Final = "select a service first: click one, or search with /"


class Choice:
    """``selected`` has its panel, ``focus`` hides the rest; None for nobody and for everything."""

    def __init__(self, window: Desktop, selected: str | None, focus: Focus | None) -> None:
        self._window = window
        self.selected, self.focus = selected, focus

    def select(self, name: str | None) -> None:
        """Select a service and show its panel, or nothing."""
        window = self._window
        self.selected = name
        window.asked.forget()
        window.world.mark(name, reveal=True)
        window.panel.setVisible(name is not None)
        if name is not None:
            window.asked.details(name, window.snapshot)
            window.panel.tell(name, window.snapshot, window.theme)
        window.pages.mark(name)
        window.time.select(name)
        if window.pages.currentIndex() == MAP:
            window.fill_page()
        if window.on_select is not None:
            window.on_select(name)

    def set_hops(self, hops: int | None) -> None:
        """Keep only what is so many calls away from the selected (or from what is in focus)."""
        if hops is None:
            self.focus_on(None)
            return
        name = self._around()
        if name is None:
            self._window.say(_NOBODY)
            self._window.tell_bar()
            return
        self.focus_on(Focus(name, hops, "both" if self.focus is None else self.focus.direction))

    def set_way(self, direction: str) -> None:
        """Follow only callers (``up``), only what is called (``down``), or both."""
        name = self._around()
        if name is None:
            self._window.say(_NOBODY)
        elif direction == "both" and (self.focus is None or self.focus.hops is None):
            self.focus_on(None)
        else:
            self.focus_on(Focus(name, self.focus.hops if self.focus else None, direction))
        self._window.tell_bar()

    def toggle_way(self, direction: str) -> None:
        """The same, and both again the second time."""
        already = self.focus is not None and self.focus.direction == direction
        self.set_way("both" if already else direction)

    def focus_on(self, focus: Focus | None) -> None:
        """Hide what is not in this focus, and see all that is."""
        window = self._window
        if focus == self.focus:
            window.tell_bar()
            return
        window.going.leave()
        self.focus = focus
        window.showing.effects.reset()
        window.showing.show()
        window.fill_page()
        window.world.see_everything()

    def let_go(self) -> bool:
        """Let go of the selection, else of the focus; whether there was anything to let go of."""
        if self.selected is not None:
            self.select(None)
        elif self.focus is not None:
            self.focus_on(None)
        else:
            return False
        return True

    def _around(self) -> str | None:
        return self.selected or (self.focus.service if self.focus is not None else None)
