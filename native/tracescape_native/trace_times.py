"""When each span of a trace ran, worked and waited, by the rules of its critical path.

All arrays have shape (n,) in the depth-first order of a ``Forest``, times are int64 nanoseconds. A span's
interval is shifted for clock skew and clipped to its parent's as in ``critical_path``; a span that lies
outside its parent, or a CONSUMER of a PRODUCER, keeps its own interval, and its parent does not wait for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tracescape_native.critical_path import Paths
from tracescape_native.forest import Forest
from tracescape_native.kinds import CONSUMER, PRODUCER
from tracescape_native.sorting import BoolArray, IntArray, sort_index


class TraceTimes(NamedTuple):
    """``start`` and ``end`` of each span; ``blocks`` (bool): whether its parent waits for it meanwhile."""

    start: IntArray
    end: IntArray
    blocks: BoolArray


class Pieces(NamedTuple):
    """What a span did, shape (pieces,): ``span`` (position) worked or ``waited`` (bool) in [start, end).

    The pieces of a span partition its interval, in order; what it worked adds up to its self time.
    """

    span: IntArray
    start: IntArray
    end: IntArray
    waited: BoolArray


@njit(cache=True, nogil=True)
def _clip(
    parent: IntArray, kind: IntArray, start: IntArray, end: IntArray, shift: IntArray, out: TraceTimes
) -> None:
    for i in range(len(parent)):
        begin, until, p = start[i] + shift[i], end[i] + shift[i], parent[i]
        out.start[i], out.end[i], out.blocks[i] = begin, until, False
        if p < 0:
            continue
        inner, outer = max(begin, out.start[p]), min(until, out.end[p])
        if inner < outer and not (kind[p] == PRODUCER and kind[i] == CONSUMER):
            out.start[i], out.end[i], out.blocks[i] = inner, outer, True


def trace_times(forest: Forest, paths: Paths) -> TraceTimes:
    """The times of all spans; ``paths`` are those of ``critical_paths``. O(n)."""
    n = len(forest.parent)
    found = TraceTimes(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.bool_))
    _clip(forest.parent, forest.kind, forest.start, forest.end, paths.shift, found)
    return found


@njit(cache=True, nogil=True)
def _divide(times: TraceTimes, order: IntArray, parent: IntArray, first: IntArray, out: Pieces) -> int:
    # `order`: blocking children by parent, then start; those of p are order[first[p]:first[p + 1]].
    count = 0
    for span in range(len(parent)):
        cursor, waits_from = times.start[span], times.start[span]
        for k in range(first[span], first[span + 1]):
            child = order[k]
            if times.start[child] > cursor:  # the children so far are done: it worked until this one
                if cursor > waits_from:
                    out.span[count], out.start[count], out.end[count] = span, waits_from, cursor
                    out.waited[count] = True
                    count += 1
                out.span[count], out.start[count], out.end[count] = span, cursor, times.start[child]
                out.waited[count] = False
                count += 1
                waits_from = times.start[child]
            cursor = max(cursor, times.end[child])
        if cursor > waits_from:
            out.span[count], out.start[count], out.end[count] = span, waits_from, cursor
            out.waited[count] = True
            count += 1
        if times.end[span] > cursor:
            out.span[count], out.start[count], out.end[count] = span, cursor, times.end[span]
            out.waited[count] = False
            count += 1
    return count


def pieces_of(forest: Forest, times: TraceTimes) -> Pieces:
    """How each span divides into work and waiting, by position, then time. O(n log n)."""
    n = len(forest.parent)
    order = np.flatnonzero(times.blocks)
    parent = forest.parent[order]
    first = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(parent, minlength=n), out=first[1:])
    rows = np.arange(len(order))
    sort_index(rows, parent, times.start[order], parent, np.empty(len(order), np.int64))
    capacity = n + 2 * len(order) + 1
    span, start, end = np.empty((3, capacity), np.int64)
    out = Pieces(span, start, end, np.empty(capacity, np.bool_))
    count = int(_divide(times, order[rows], forest.parent, first, out))
    return Pieces(span[:count], start[:count], end[:count], out.waited[:count])


@njit(cache=True, nogil=True)
def _look(
    times: TraceTimes, paths: Paths, parent: IntArray, at: int, running: IntArray, waits_for: IntArray
) -> int:
    count = 0
    for i in range(len(parent)):
        waits_for[i] = -1
        if not (times.start[i] <= at < times.end[i]):
            continue
        running[count] = i
        count += 1
        p = parent[i]
        if not times.blocks[i]:
            continue
        best = waits_for[p]
        on_path = paths.path_start[i] <= at < paths.path_end[i]
        if best >= 0 and not on_path:
            taken = paths.path_start[best] <= at < paths.path_end[best]
            if taken or times.end[best] >= times.end[i]:
                continue
        waits_for[p] = i
    return count


def running_at(forest: Forest, times: TraceTimes, paths: Paths, at_ns: int) -> tuple[IntArray, IntArray]:
    """The positions of the spans that run at a moment, ascending, and for each the child that it waits for.

    That is -1 for one that works. Of several children it is the one on the critical path at that moment,
    else the one that ends last (ties: the first). int64, shape (running,). O(n).
    """
    n = len(forest.parent)
    running, waits_for = np.empty((2, n), np.int64)
    count = int(_look(times, paths, forest.parent, at_ns, running, waits_for))
    return running[:count], waits_for[running[:count]]
