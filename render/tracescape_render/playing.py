"""Where in time a view is, and how it moves there: now, or a moment that stands still or plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: How many seconds of what was stored pass in one second of playing.
SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)


class Player:
    """A moment between ``first_ns`` and ``last_ns``, or now. Whoever draws tells it how time goes by.

    ``at_ns`` is the moment, None for now: what is newest. Now plays by itself and has no speed. Playing
    stops at the first moment; at the last it becomes now where there is a now (``live_end``), else stops.
    """

    def __init__(
        self, first_ns: int = 0, last_ns: int = 0, *, live_end: bool = False, speeds: Sequence[float] = SPEEDS
    ) -> None:
        self._first, self._last = first_ns, last_ns
        self._live_end, self._speeds = live_end, tuple(speeds)
        self._at: float | None = None
        self.speed = min(self._speeds, key=lambda speed: abs(speed - 1.0))
        self.playing = False
        self.backwards = False

    @property
    def at_ns(self) -> int | None:
        """The moment that is shown; None for now."""
        return None if self._at is None else round(self._at)

    @property
    def range_ns(self) -> tuple[int, int]:
        """The first and the last moment."""
        return self._first, self._last

    def reaches(self, first_ns: int, last_ns: int) -> None:
        """There is as much to go through by now; a moment that is shown stays, also outside of it."""
        self._first, self._last = first_ns, max(first_ns, last_ns)

    def go(self, at_ns: float) -> None:
        """To a moment; one before the first or after the last is that one."""
        self._at = float(min(max(at_ns, self._first), self._last))

    def stay(self, at_ns: int) -> None:
        """To a moment as it was named, wherever it lies, and stand still."""
        self._at, self.playing = float(at_ns), False

    def now(self) -> None:
        """To what is newest."""
        self._at, self.playing, self.backwards = None, False, False

    def toggle(self) -> None:
        """Play, or stand still. From now on it is the last moment that stands still."""
        if self._at is None:
            self.go(self._last)
            self.playing = False
            return
        self.playing = not self.playing
        if self.playing and not self.backwards and self._at >= self._last and not self._live_end:
            self.go(self._first)  # what was played to its end begins anew

    def play(self, *, backwards: bool) -> None:
        """Play in a direction."""
        if self._at is None:
            self.go(self._last)
        self.playing, self.backwards = True, backwards

    def faster(self, steps: int = 1) -> None:
        """The next speed, or with a negative number the one before."""
        number = self._speeds.index(self.speed) + steps
        self.speed = self._speeds[min(max(number, 0), len(self._speeds) - 1)]

    def step(self, by_ns: float) -> None:
        """A step forward or back, and stand still there."""
        self.playing = False
        self.go((self._last if self._at is None else self._at) + by_ns)

    def advance(self, seconds: float) -> None:
        """So much time has gone by for whoever looks."""
        if self._at is None or not self.playing:
            return
        way = -1.0 if self.backwards else 1.0
        reached = self._at + way * self.speed * seconds * 1e9
        self.go(reached)
        if self.backwards and reached <= self._first:
            self.playing = False
        elif not self.backwards and reached >= self._last:
            self.playing = False
            if self._live_end:
                self.now()

    def pace(self) -> float:
        """How fast things move: 1 as they did, 0 where time stands still, negative backwards."""
        if self._at is None:
            return 1.0
        return (-self.speed if self.backwards else self.speed) if self.playing else 0.0
