"""Who takes the stage of a window for a while, instead of the world as it is; and the way back from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from PySide6.QtGui import QKeyEvent

from tracescape_render.journey import Place
from tracescape_render.palette import Theme

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class Asks(Protocol):
    """Who asks for something on another thread, and shows it instead of what is seen once it is there."""

    def give_up(self) -> None:
        """What was asked for is not wanted any more, and is not shown when it comes."""


class Guest(Asks, Protocol):
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
    """The last guest has the stage, those below wait; Escape, Backspace and who calls `leave` lead back.

    At most one is awaited, who has asked for what will be seen next: whoever asks after that, comes sooner,
    or leaves has other wishes, and an answer that is late must not take them elsewhere.
    """

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._guests: list[tuple[Guest, Place]] = []  # each with where one was before it
        self._awaited: Asks | None = None

    @property
    def guest(self) -> Guest | None:
        """Who has the stage; None for the world."""
        return self._guests[-1][0] if self._guests else None

    def has(self, guest: Guest) -> bool:
        """Whether it has the stage, or waits below who has."""
        return any(each is guest for each, _ in self._guests)

    def awaits(self, who: Asks) -> bool:
        """Whether what ``who`` has asked for is awaited."""
        return self._awaited is who

    def expect(self, who: Asks) -> None:
        """``who`` has asked for what is to be seen next, and nobody else has any more."""
        if self._awaited is not None and self._awaited is not who:
            self._awaited.give_up()
        self._awaited = who

    def answered(self, who: Asks) -> bool:
        """What ``who`` had asked for is there, or cannot be had; whether it was awaited still."""
        awaited = self.awaits(who)
        if awaited:
            self._awaited = None
        return awaited

    def forget(self) -> bool:
        """Nobody is awaited any more; whether somebody was."""
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.give_up()
        return awaited is not None

    def enter(self, guest: Guest) -> None:
        """``guest`` takes the stage.

        Who comes from another guest goes back to before that one, unless this one covers it.
        """
        if guest is self.guest:
            return
        self.forget()
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
        """The guest goes, and one is where one came from; else who is awaited. Whether there was anybody."""
        forgot = self.forget()
        if not self._guests:
            if forgot:
                self._window.say("what was asked for is not waited for any more")
            return forgot
        place = self._guests[-1][1]
        self._pop()
        self._window.going.return_to(place)
        return True

    def drop(self, guest: Guest) -> None:
        """This guest goes, if it has the stage; where to is not said."""
        if self.guest is guest:
            self._pop()

    def dismiss(self) -> None:
        """All guests go, and who is awaited; where to is not said."""
        self.forget()
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
        if self.awaits(guest):
            self.forget()
        guest.leave()
