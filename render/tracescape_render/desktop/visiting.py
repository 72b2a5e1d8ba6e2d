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

    Attributes:
        covers: it leaves alone what another one has drawn into the world, and one comes back to that.
    """

    covers: bool

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

    def here(self) -> object:
        """Where in it one is: a value that stays what it is, for `return_to`."""

    def return_to(self, here: object) -> None:
        """Be there again, on the stage or not; what must be asked for first is there a little later."""


class Visiting:
    """The last guest has the stage, those below wait; Escape, Backspace and who calls `leave` lead back."""

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._guests: list[tuple[Guest, Place]] = []  # each with where one was before it

    @property
    def guest(self) -> Guest | None:
        """Who has the stage; None for the world."""
        return self._guests[-1][0] if self._guests else None

    def has(self, guest: Guest) -> bool:
        """Whether it has the stage, or waits below who has."""
        return any(each is guest for each, _ in self._guests)

    def enter(self, guest: Guest) -> None:
        """``guest`` takes the stage.

        Who comes from another guest goes back to before that one, unless this one covers it.
        """
        if guest is self.guest:
            return
        if self.has(guest):
            while self.guest is not guest:
                self._pop()
            self._window.set_page(guest.enter())
            return
        came = self._window.going.place
        if self._guests and not guest.covers:
            came = self._guests[0][1]
            self.dismiss()
        self._guests.append((guest, came))
        self._window.set_page(guest.enter())

    def leave(self) -> bool:
        """The guest goes, and one is where one came from; whether there was one."""
        if not self._guests:
            return False
        place = self._guests[-1][1]
        self._pop()
        self._window.going.return_to(place)
        return True

    def drop(self, guest: Guest) -> None:
        """This guest goes, if it has the stage; where to is not said."""
        if self.guest is guest:
            self._pop()

    def dismiss(self) -> None:
        """All guests go, if there are any; where to is not said."""
        while self._guests:
            self._pop()

    def tick(self) -> None:
        """Some time has gone by."""
        if self.guest is not None:
            self.guest.tick()

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What a key does for the guest; None for nothing."""
        return None if self.guest is None else self.guest.handler(event)

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        for guest, _ in self._guests:
            guest.use(theme)

    def words(self) -> Sequence[str]:
        """The options of a command line that show the guest."""
        return () if self.guest is None else self.guest.words()

    def here(self) -> object:
        """Where in the guest's one is; None without one."""
        return None if self.guest is None else self.guest.here()

    def _pop(self) -> None:
        guest, _ = self._guests.pop()
        guest.leave()
