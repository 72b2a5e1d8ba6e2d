"""How much of a wall is seen: a stretch of time and of lanes, and how one moves and zooms in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tracescape_render.inside.asked import Seen

#: No nearer than this: a nanosecond is what spans are measured in.
LEAST_NS: Final = 20.0
#: So many lanes are seen with ease; where more are there, they are zoomed together with time.
EASY_LANES: Final = 28


class Reach(NamedTuple):
    """Time from ``first`` to ``last``, ns as in `Standing`, and lanes from ``low`` to before ``high``."""

    first: float
    last: float
    low: int
    high: int

    @property
    def length(self) -> float:
        """How much time, ns."""
        return self.last - self.first

    @property
    def lanes(self) -> int:
        """How many lanes."""
        return self.high - self.low

    def zoomed(self, factor: float, at: float, lane: float, whole: Reach) -> Reach:
        """``factor`` times as much, and what is at ``at`` and ``lane`` stays where it is."""
        length = min(max(self.length * factor, min(LEAST_NS, whole.length)), whole.length)
        share = (at - self.first) / self.length
        lanes = self.lanes
        if lanes > EASY_LANES or factor > 1.0:
            wanted = max(round(lanes * factor), min(lanes, EASY_LANES))
            lanes = min(wanted if wanted != lanes or factor < 1.0 else lanes + 1, whole.lanes)
        low = round(lane - (lane - self.low) / max(self.lanes, 1) * lanes)
        first = at - share * length
        return _within(Reach(first, first + length, low, low + lanes), whole)

    def moved(self, time: float, lanes: float, whole: Reach) -> Reach:
        """By a share of what is seen, in time and in lanes."""
        shift, rise = time * self.length, round(lanes * self.lanes)
        return _within(Reach(self.first + shift, self.last + shift, self.low + rise, self.high + rise), whole)

    def showing(self, lane: int, whole: Reach) -> Reach:
        """As many lanes, those around ``lane``."""
        low = lane - self.lanes // 3
        return _within(Reach(self.first, self.last, low, low + self.lanes), whole)


def around(start: int, end: int, lane: int, whole: Reach, room: float = 0.12) -> Reach:
    """What shows a span with room on both sides, and the lanes above it."""
    length = max(float(end - start), LEAST_NS / 2)
    length = min(length * (1 + 2 * room), whole.length)
    first = (start + end) / 2 - length / 2
    lanes = min(whole.lanes, EASY_LANES)
    low = lane - 2
    return _within(Reach(first, first + length, low, low + lanes), whole)


def reach_of(seen: Seen, whole: Reach) -> Reach:
    """The part of a wall that is meant, as far as that is there; the whole where none is."""
    if seen.last <= seen.first:
        return whole
    length = min(max(seen.last - seen.first, min(LEAST_NS, whole.length)), whole.length)
    lanes = min(max(seen.high - seen.low, 1), whole.lanes) if seen.high else whole.lanes
    return _within(Reach(seen.first, seen.first + length, seen.low, seen.low + lanes), whole)


def _within(reach: Reach, whole: Reach) -> Reach:
    first = min(max(reach.first, whole.first), whole.last - reach.length)
    low = min(max(reach.low, whole.low), whole.high - reach.lanes)
    return Reach(first, first + reach.length, low, low + reach.lanes)
