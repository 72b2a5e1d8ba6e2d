"""What of a trace is looked at to answer for a minute: spans that start in it or in one of its neighbours.

Every count belongs to a minute and depends on no other span, so that the minutes of a window add up whatever
the window is. Nearly all traces fit into two minutes and are looked at as a whole. One that does not is cut:
each of its minutes is answered from a copy of the spans around it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_analytics.windows import MINUTE_NS, Window
from tracescape_native.tally import extents_of

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class Contexts(NamedTuple):
    """Traces, cut where they are long.

    ``rows``: rows that stand again behind all others, int64, shape (copies,), ``trace`` their trace numbers,
    which follow those of the whole traces. ``low`` and ``high``, int64 ns, shape (traces,): a trace answers
    for what starts in [low, high).
    """

    rows: IntArray
    trace: IntArray
    low: IntArray
    high: IntArray


def contexts(trace: IntArray, traces: int, start: IntArray, window: Window) -> Contexts:
    """Cut the traces of a window; ``trace`` and ``start`` are int64, shape (n,)."""
    low = np.full(traces, _EARLIEST if window.since_ns is None else window.since_ns, np.int64)
    high = np.full(traces, _LATEST if window.until_ns is None else window.until_ns, np.int64)
    first, last = extents_of(trace, start, traces)
    long = last // MINUTE_NS - first // MINUTE_NS > 1
    if not long.any():
        return Contexts(np.empty(0, np.int64), np.empty(0, np.int64), low, high)
    rows, number, of_minute = _cut(trace, start, window, long)
    minute = of_minute * MINUTE_NS
    low_cut, high_cut = np.maximum(minute, low[0]), np.minimum(minute + MINUTE_NS, high[0])
    low[long] = high[long] = 0
    return Contexts(rows, number + traces, np.concatenate([low, low_cut]), np.concatenate([high, high_cut]))


def _cut(
    trace: IntArray, start: IntArray, window: Window, long: NDArray[np.bool_]
) -> tuple[IntArray, IntArray, IntArray]:
    # Rows of each (trace, minute) that has spans in the window, with the minutes beside it.
    rows = np.flatnonzero(long[trace])
    minute = start[rows] // MINUTE_NS
    base = int(minute.min()) - 1
    span = int(minute.max()) - base + 2
    own = np.unique((trace[rows] * span + minute - base)[window.holds(start[rows])])
    keys = np.concatenate([trace[rows] * span + minute - base + step for step in (-1, 0, 1)])
    place = np.minimum(np.searchsorted(own, keys), max(len(own) - 1, 0))
    wanted = np.flatnonzero(own[place] == keys) if len(own) else np.empty(0, np.int64)
    return np.tile(rows, 3)[wanted], place[wanted], own % span + base
