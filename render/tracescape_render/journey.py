"""Where somebody has been: the way back, and places to come back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tracescape_render.camera import View
from tracescape_render.focus import Focus

if TYPE_CHECKING:
    from tracescape_render.desktop.visiting import Guest

_REMEMBERED: Final = 50


class Place(NamedTuple):
    """A view, what is selected and what is kept in focus there, and the moment: None for now.

    ``against_ns`` is the moment that it is compared with, ``split`` whether the two are beside each other.
    ``page`` is seen, ``trace`` is the id of the trace that is open on it, ``guest`` has the stage, and
    ``within`` is where in the guest's one is, as that has told it (`Guest.here`).
    """

    view: View
    selected: str | None = None
    focus: Focus | None = None
    at_ns: int | None = None
    against_ns: int | None = None
    split: bool = False
    page: int = 0
    trace: str | None = None
    guest: Guest | None = None
    within: object = None

    @property
    def halves(self) -> bool:
        """Whether two moments are seen beside each other."""
        both = self.at_ns is not None and self.against_ns is not None
        return self.split and both and self.at_ns != self.against_ns


class Journey:
    """The places that were left, and bookmarks."""

    def __init__(self) -> None:
        self._left: list[Place] = []
        self._marks: list[Place] = []
        self._next = 0

    @property
    def can_go_back(self) -> bool:
        """Whether a place was left."""
        return bool(self._left)

    def leave(self, place: Place) -> None:
        """Remember a place before going elsewhere; the same one twice counts once."""
        if not self._left or self._left[-1] != place:
            self._left = [*self._left[1 - _REMEMBERED :], place]

    def back(self) -> Place | None:
        """The place that was left last, or None at the beginning."""
        return self._left.pop() if self._left else None

    def mark(self, place: Place) -> int:
        """Set a bookmark; its number, from 1."""
        self._marks.append(place)
        return len(self._marks)

    def next_mark(self) -> tuple[int, Place] | None:
        """The next bookmark in turn and its number, from 1; None without any."""
        if not self._marks:
            return None
        number = self._next % len(self._marks)
        self._next = number + 1
        return number + 1, self._marks[number]
