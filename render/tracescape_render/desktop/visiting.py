"""Who takes the stage of a window for a while, instead of the world as it is; and the way back from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from PySide6.QtGui import QKeyEvent

from tracescape_render.journey import Place
from tracescape_render.palette import Theme

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class Guest(Protocol):
    """Something else to see: a request on its way through the world, the inside of a trace.

    It is seen on a page of its own (`Pages.addWidget`), or draws into the world's, and says which in `enter`.
    """

    def enter(self) -> int:
        """Take the stage; the page on which that is."""

    def leave(self) -> None:
        """Clear the stage: everything that was drawn and shown for it goes."""

    def tick(self) -> None:
        """Some time has gone by, 30 times a second."""

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What a key does here, before the window is asked; None for what it does anywhere."""

    def use(self, theme: Theme) -> None:
        """Wear other colours."""

    def words(self) -> Sequence[str]:
        """The options that show the same again, for the command that ``k`` copies."""


class Visiting:
    """At most one guest at a time; Escape, Backspace and whoever else calls `leave` lead back."""

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._from: Place | None = None
        self.guest: Guest | None = None

    def enter(self, guest: Guest) -> None:
        """``guest`` takes the stage. Who comes from another guest goes back to before that one."""
        if guest is self.guest:
            return
        came = self._from or self._window.going.place
        self.dismiss()
        self._from = came
        self.guest = guest
        self._window.set_page(guest.enter())

    def leave(self) -> bool:
        """The guest goes, and one is where one came from; whether there was one."""
        place = self._from
        if self.guest is None or place is None:
            return False
        self.dismiss()
        self._window.going.return_to(place)
        return True

    def dismiss(self) -> None:
        """The guest goes, if there is one; where to is not said."""
        guest, self.guest, self._from = self.guest, None, None
        if guest is not None:
            guest.leave()

    def tick(self) -> None:
        """Some time has gone by."""
        if self.guest is not None:
            self.guest.tick()

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What a key does for the guest; None for nothing."""
        return None if self.guest is None else self.guest.handler(event)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        if self.guest is not None:
            self.guest.use(theme)

    def words(self) -> Sequence[str]:
        """The options of a command line that show the guest."""
        return () if self.guest is None else self.guest.words()
