"""How fast a request goes by for whoever looks: evenly through what happens, or as it really did.

In a second of waiting nothing happens, and in the millisecond before it ten calls do. Evenly, each stretch
between two things that happen takes a share of the time that grows slowly with its length.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.route import Route

#: A stretch a hundred times as long is looked at so much longer: 100 to this power, 5 times.
_POWER: Final = 0.35
#: A replay takes so many seconds for each thing that happens, between the least and the most.
_SECONDS_EACH: Final = 0.35
SHORTEST_S: Final = 6.0
LONGEST_S: Final = 24.0

IntArray = NDArray[np.int64]


class Tempo:
    """Between the share of the way that somebody has looked at, 0 to 1, and epoch ns; both ways, increasing.

    ``moments`` are when something happens, epoch ns; ``even`` whether stretches take about equally long.
    ``seconds`` is how long all of it takes at speed 1 while it is even.
    """

    def __init__(self, moments: IntArray, *, even: bool = True) -> None:
        self._ns = np.unique(moments).astype(np.int64)
        self._offsets = (self._ns - self._ns[0]).astype(np.float64)
        lengths = np.diff(self._ns).astype(np.float64)
        self.even = even
        weights = lengths**_POWER if even else lengths
        total = float(weights.sum())
        whole = np.linspace(0.0, 1.0, len(self._ns))
        self._share = np.concatenate([[0.0], np.cumsum(weights) / total]) if total > 0 else whole
        self.seconds = float(np.clip(_SECONDS_EACH * len(lengths), SHORTEST_S, LONGEST_S))

    @property
    def range_ns(self) -> tuple[int, int]:
        """The first and the last moment."""
        return int(self._ns[0]), int(self._ns[-1])

    def at(self, share: float) -> int:
        """The moment at a share of the way."""
        return int(self._ns[0]) + round(self.offset(share))

    def offset(self, share: float) -> float:
        """How long after the beginning that is, ns, also between two of them."""
        return float(np.interp(share, self._share, self._offsets))

    def share_of(self, at_ns: int) -> float:
        """The share of the way at a moment; before the first 0, after the last 1."""
        return self.share_after(at_ns - int(self._ns[0]))

    def share_after(self, offset: float) -> float:
        """The share of the way so many ns after the beginning."""
        return float(np.interp(offset, self._offsets, self._share))

    def shares_of(self, at_ns: IntArray) -> NDArray[np.float64]:
        """Those of many moments."""
        return np.asarray(np.interp((at_ns - self._ns[0]).astype(float), self._offsets, self._share), float)

    def next_after(self, at_ns: int, steps: int) -> int:
        """The moment that is so many things that happen later, or earlier where that is negative."""
        if steps > 0:
            number = int(np.searchsorted(self._ns, at_ns, "right")) + steps - 1
        else:
            number = int(np.searchsorted(self._ns, at_ns, "left")) + steps
        return int(self._ns[min(max(number, 0), len(self._ns) - 1)])


def tempo_of(route: Route, *, even: bool = True) -> Tempo:
    """The tempo of a request: what happens are steps of its critical path, calls on it, and errors."""
    replay, path = route.replay, route.replay.critical
    on = route.critical_ns[:, 0] < route.critical_ns[:, 1]
    moments = [
        np.array([replay.start_ns, replay.end_ns, *replay.root_ns], np.int64),
        path.start,
        path.end,
        route.critical_ns[on].ravel(),
        route.moments(),
    ]
    return Tempo(np.concatenate(moments), even=even)
