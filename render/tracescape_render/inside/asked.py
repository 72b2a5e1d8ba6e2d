"""What a window asks to step inside of a trace, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from tracescape_analytics.trace import Trace
from tracescape_analytics.trace_pairs import Pairs
from tracescape_analytics.trace_wall import Wall
from tracescape_render.camera import View

#: Instead of an id: whichever trace of the same kind is as such traces usually are.
TYPICAL: Final = "typical"


class InsideWish(NamedTuple):
    """A trace by its id, alone or ``beside`` another one: an id, or `TYPICAL`; empty for none."""

    trace_id: str
    beside: str = ""


class Seen(NamedTuple):
    """What is seen of a wall: time from ``first`` to ``last`` (ns after its beginning, as in `Standing`) on
    lanes from ``low`` to before ``high``, all of it where ``last`` is not after ``first``; the id of the span
    that is selected, empty for none; and from where, None for where all that is drawn can be seen.
    """

    first: float = 0.0
    last: float = 0.0
    low: int = 0
    high: int = 0
    span: str = ""
    view: View | None = None


@dataclass(frozen=True, eq=False)
class InsideAnswer:
    """The walls of the traces, the one that was asked for last, and their spans in full.

    ``pairs`` are those of two; the first is their left.
    """

    traces: tuple[Trace, ...]
    walls: tuple[Wall, ...]
    pairs: Pairs | None = None
