"""Critical paths: which span a request was waiting for, at every nanosecond.

The walk back from the end of the root follows Jaeger's critical path view and CRISP (Zhang et al., USENIX ATC
2022, section 3). It departs from both in that it partitions the root's interval exactly, for any input; it
has no recursion; and equal ends have a defined order. All times are int64 nanoseconds, all arrays have
shape (n,) in the depth-first order of a ``Forest``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tracescape_native.forest import Forest
from tracescape_native.parallel import ranges_of, run_all
from tracescape_native.sorting import IntArray, sort_index
from tracescape_native.walking import Paths, Trees, walk

__all__ = ["Paths", "Segments", "critical_paths", "path_segments"]


class Segments(NamedTuple):
    """A root's critical path in time order, shape (k,): ``span`` (position) owns [``start``, ``end``)."""

    span: IntArray
    start: IntArray
    end: IntArray


def critical_paths(forest: Forest, tolerance: float = 0.01) -> Paths:
    """The critical path of every root, and the self time of every span. O(n log n) for any input.

    A SERVER child of a CLIENT parent of another resource that is no longer than its parent but sticks out of
    it is shifted, with its subtree, by the least that fits. Then children are clipped to their parents; one
    that lies outside, or a CONSUMER of a PRODUCER, does not block its parent, nor does anything below it.
    Walking back from the end of a span, the child that finishes last at or before the cursor is next (ties:
    the later start, then the smaller unsigned id); the cursor moves to its start, and what lies between is
    the span's own.

    ``tolerance`` is the part of the span's time on the path by which a child may overlap the cursor and still
    count as finishing there; it is cut off at the cursor. Raises ``ValueError`` unless 0 <= tolerance <= 1.
    """
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is a share of the parent's duration, from 0 to 1, not {tolerance}")
    n = len(forest.parent)
    trees = Trees(*(getattr(forest, name) for name in Trees._fields))
    paths = Paths(*np.empty((5, n), np.int64))  # one block: see `build_forest`

    def walk_range(first: int, last: int) -> None:
        longest = int(np.diff(forest.offsets[first : last + 1]).max(initial=1))
        walk(trees, first, last, float(tolerance), np.empty((8, longest), np.int64), paths)

    run_all(walk_range, ranges_of(forest.offsets))
    return paths


@njit(cache=True, nogil=True)
def _sweep(
    order: IntArray, path_start: IntArray, path_end: IntArray
) -> tuple[IntArray, IntArray, IntArray, int]:
    # The parts nest: in order of start, parents first, a stack of open parts says who owns each moment.
    capacity = 2 * len(order)
    span = np.empty(capacity, np.int64)
    start = np.empty(capacity, np.int64)
    end = np.empty(capacity, np.int64)
    stack = np.empty(len(order), np.int64)
    depth = 0
    count = 0
    cursor = 0
    for k in range(len(order) + 1):
        until = path_start[order[k]] if k < len(order) else np.iinfo(np.int64).max
        while depth > 0:
            top = stack[depth - 1]
            stop = min(path_end[top], until)
            if stop > cursor:
                span[count], start[count], end[count] = top, cursor, stop
                count += 1
                cursor = stop
            if path_end[top] > until:
                break
            depth -= 1
        if k < len(order):
            cursor = until
            stack[depth] = order[k]
            depth += 1
    return span, start, end, count


@njit(cache=True, nogil=True)
def _by_start(order: IntArray, path_start: IntArray, late_end: IntArray) -> None:
    sort_index(order, path_start, late_end, path_start, np.empty(len(order), np.int64))


def path_segments(forest: Forest, paths: Paths, root: int) -> Segments:
    """The segments of the critical path of the span at position ``root``, which is a root.

    They partition its interval [start, end) exactly, in time order, none of length 0. O(k log k) for the k
    spans on the path. Times are those after the shift for clock skew. Raises ``ValueError`` if ``root`` is
    not the position of a root.
    """
    if not 0 <= root < len(forest.parent) or forest.parent[root] >= 0:
        raise ValueError(f"position {root} is not that of a root")
    on_path = (
        paths.path_start[root : root + forest.size[root]] < paths.path_end[root : root + forest.size[root]]
    )
    order = np.flatnonzero(on_path) + root
    # Positions are depth first, so equal parts stay parents first: the sort is stable.
    _by_start(order, paths.path_start, ~paths.path_end)
    span, start, end, count = _sweep(order, paths.path_start, paths.path_end)
    return Segments(span[:count], start[:count], end[:count])
