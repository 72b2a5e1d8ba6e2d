"""Where in a request one is, and how its time goes by: evenly through what happens, or as it did."""

from __future__ import annotations

from typing import Final

import numpy as np

from tracescape_render.route import Route
from tracescape_render.tempo import Tempo, tempo_of

#: How many times as fast as in reality, or as the even way of going by.
SPEEDS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
#: What has arrived is seen for so long, s.
LINGER_S: Final = 0.35
#: Whoever goes by real time sees all of it in about so long, s.
_ALL_S: Final = 12.0


class RidePlayer:
    """A moment of a request. Whoever draws tells it how time goes by.

    ``even`` is how it goes: as long as something happens, or as long as it took.
    """

    def __init__(self, route: Route) -> None:
        self.playing, self.backwards = True, False
        self._tempos = _tempos(route)
        self.even, self.speed = True, 1.0
        self._offset = 0.0  # ns after the first moment: epoch ns are too long for a float

    @property
    def tempo(self) -> Tempo:
        """How time goes by."""
        return self._tempos[self.even]

    @property
    def range_ns(self) -> tuple[int, int]:
        """The first and the last moment, epoch ns."""
        return self._tempos[True].range_ns

    @property
    def at_ns(self) -> int:
        """The moment, epoch ns."""
        return self.range_ns[0] + round(self._offset)

    @property
    def linger_ns(self) -> int:
        """How much of the request's time what has arrived is seen: none where time stands still."""
        if not self.playing or self.backwards:
            return 0
        return max(round(self._offset - self._moved(-LINGER_S)), 0)

    def follows(self, route: Route) -> None:
        """More of the request is known; the moment stays."""
        at_ns = self.at_ns
        self._tempos = _tempos(route)
        self.go(at_ns)

    def go(self, at_ns: int) -> None:
        """To a moment; one outside of the request is its first or last."""
        first, last = self.range_ns
        self._offset = float(min(max(at_ns, first), last) - first)

    def toggle(self) -> None:
        """Play or stand still; what was played to its end begins anew."""
        self.playing = not self.playing
        if self.playing and not self.backwards and self.at_ns >= self.range_ns[1]:
            self._offset = 0.0

    def reverse(self) -> None:
        """Play the other way."""
        self.backwards = not (self.backwards and self.playing)
        self.playing = True

    def faster(self, steps: int = 1) -> None:
        """The next speed, or with a negative number the one before."""
        number = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[min(max(number, 0), len(SPEEDS) - 1)]

    def step(self, steps: int) -> None:
        """To the next thing that happens, or with a negative number the one before; stand still there."""
        self.playing = False
        self.go(self.tempo.next_after(self.at_ns, steps))

    def set_even(self, even: bool) -> None:
        """Let time go by evenly, or as it did, at a speed at which one sees it."""
        first, last = self.range_ns
        self.even, self.speed = even, 1.0
        if not even:
            wanted = (last - first) / 1e9 / _ALL_S
            self.speed = min(SPEEDS, key=lambda speed: abs(np.log(speed / max(wanted, 1e-12))))

    def advance(self, seconds: float) -> None:
        """So much time has gone by for whoever looks; playing stops at the ends."""
        if not self.playing:
            return
        first, last = self.range_ns
        moved = self._moved(-seconds if self.backwards else seconds)
        self._offset = min(max(moved, 0.0), float(last - first))
        if self._offset <= 0.0 if self.backwards else self._offset >= last - first:
            self.playing = False

    def _moved(self, seconds: float) -> float:
        """Where one is ``seconds`` later, ns after the first moment."""
        if not self.even:
            return self._offset + seconds * self.speed * 1e9
        share = self.tempo.share_after(self._offset) + seconds * self.speed / self.tempo.seconds
        return self.tempo.offset(min(max(share, 0.0), 1.0))


def _tempos(route: Route) -> dict[bool, Tempo]:
    return {even: tempo_of(route, even=even) for even in (True, False)}
