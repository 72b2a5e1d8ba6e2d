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

from tracescape_native.forest import CLIENT, CONSUMER, PRODUCER, SERVER, Forest
from tracescape_native.sorting import IntArray, sort_index, unsigned_order


class Paths(NamedTuple):
    """Per span, int64 nanoseconds, shape (n,).

    ``shift`` is what was added to a span's times to correct clock skew. ``self_ns`` is the span's interval,
    clipped to its parent's, minus the union of the clipped intervals of the children that it waits for.
    ``path_start`` and ``path_end`` bound the part of its root's critical path that lies in the span's
    subtree (equal where there is none); ``critical_ns`` is the share of it that is the span's own.
    """

    shift: IntArray
    self_ns: IntArray
    path_start: IntArray
    path_end: IntArray
    critical_ns: IntArray


class Segments(NamedTuple):
    """A root's critical path in time order, shape (k,): ``span`` (position) owns [``start``, ``end``)."""

    span: IntArray
    start: IntArray
    end: IntArray


@njit(cache=True, nogil=True)
def _skew_shift(
    parent: IntArray, start: IntArray, end: IntArray, kind: IntArray, resource: IntArray
) -> IntArray:
    # A server that seems to start before its client, or to end after it, ran on another clock. Only then
    # is it moved, by the least that makes it fit, and all below it with it.
    shift = np.zeros(len(parent), np.int64)
    for i in range(len(parent)):
        p = parent[i]
        if p < 0:
            continue
        shift[i] = shift[p]
        if kind[i] != SERVER or kind[p] != CLIENT or resource[i] == resource[p]:
            continue
        if end[i] - start[i] > end[p] - start[p]:
            continue
        before = start[p] - start[i]
        after = end[i] - end[p]
        if before > 0:
            shift[i] += before
        elif after > 0:
            shift[i] -= after
    return shift


@njit(cache=True, nogil=True)
def _clip(
    parent: IntArray, kind: IntArray, start: IntArray, end: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    # Clipped intervals, and whether the parent waits for the span (1). A span that nobody waits for keeps
    # its own interval: below it, clipping starts anew.
    clipped_start = start.copy()
    clipped_end = end.copy()
    blocks = np.zeros(len(parent), np.int64)
    for i in range(len(parent)):
        p = parent[i]
        if p < 0 or (kind[i] == CONSUMER and kind[p] == PRODUCER):
            continue
        low = max(start[i], clipped_start[p])
        high = min(end[i], clipped_end[p])
        if low < high:
            clipped_start[i] = low
            clipped_end[i] = high
            blocks[i] = 1
    return clipped_start, clipped_end, blocks


@njit(cache=True, nogil=True)
def _covered(children: IntArray, start: IntArray, end: IntArray) -> int:
    # Length of the union of intervals that stand by start.
    total = 0
    reach = start[children[0]]
    for c in children:
        if end[c] > reach:
            total += end[c] - max(start[c], reach)
            reach = end[c]
    return total


@njit(cache=True, nogil=True)
def _self_times(
    parent: IntArray, size: IntArray, start: IntArray, end: IntArray, blocks: IntArray
) -> IntArray:
    n = len(parent)
    self_ns = end - start
    index = np.empty(n, np.int64)
    scratch = np.empty(n, np.int64)
    for i in range(n):
        count = 0
        sorted_so_far = True
        c = i + 1
        while c < i + size[i]:
            if blocks[c]:
                # Siblings stand by start already, unless a shift for clock skew has moved one.
                if count and start[c] < start[index[count - 1]]:
                    sorted_so_far = False
                index[count] = c
                count += 1
            c += size[c]
        if count:
            children = index[:count]
            if not sorted_so_far:
                sort_index(children, start, end, end, scratch)
            self_ns[i] -= _covered(children, start, end)
    return self_ns


@njit(cache=True, nogil=True)
def _walk(
    parent: IntArray,
    size: IntArray,
    blocks: IntArray,
    start: IntArray,
    end: IntArray,
    id_key: IntArray,
    tolerance: float,
) -> tuple[IntArray, IntArray, IntArray]:
    # Spans are met parents first; those on the path know the part [path_start, path_end) of it that is
    # theirs to divide. The walk back through a span's children hands parts on and keeps the gaps.
    n = len(parent)
    path_start = np.zeros(n, np.int64)
    path_end = np.zeros(n, np.int64)
    critical = np.zeros(n, np.int64)
    index = np.empty(n, np.int64)
    scratch = np.empty(n, np.int64)
    late_start = np.empty(n, np.int64)
    late_end = np.empty(n, np.int64)
    for i in range(n):
        if parent[i] < 0:
            path_start[i] = start[i]
            path_end[i] = end[i]
        low, high = path_start[i], path_end[i]
        if low >= high:
            continue
        critical[i] = high - low
        count = 0
        c = i + 1
        while c < i + size[i]:
            # Clipped again: the span itself may have been cut shorter than its clipped interval.
            child_start = max(start[c], low)
            child_end = min(end[c], high)
            if blocks[c] and child_start < child_end:
                late_start[c] = ~child_start
                late_end[c] = ~child_end
                index[count] = c
                count += 1
            c += size[c]
        if count > 1:
            sort_index(index[:count], late_end, late_start, id_key, scratch)
        allowance = np.int64((high - low) * tolerance)
        cursor = high
        for k in range(count):
            c = index[k]
            child_start, child_end = ~late_start[c], ~late_end[c]
            if child_end - cursor > allowance or child_start >= cursor:
                continue
            path_start[c] = child_start
            path_end[c] = min(child_end, cursor)
            critical[i] -= path_end[c] - child_start
            cursor = child_start
    return path_start, path_end, critical


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
    shift = _skew_shift(forest.parent, forest.start, forest.end, forest.kind, forest.resource)
    start, end, blocks = _clip(forest.parent, forest.kind, forest.start + shift, forest.end + shift)
    path_start, path_end, critical = _walk(
        forest.parent, forest.size, blocks, start, end, unsigned_order(forest.span_id), float(tolerance)
    )
    self_ns = _self_times(forest.parent, forest.size, start, end, blocks)
    return Paths(shift, self_ns, path_start, path_end, critical)


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
