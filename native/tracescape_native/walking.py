"""The loop of ``critical_path``: one pass over the spans of each trace, parents first.

When a span is met, its parent has settled everything about it: its shift, its clipped interval, the part of
the critical path that is its own to divide. It does the same for its children. All arrays are in the
depth-first order of a ``Forest`` and are reached through pointers (see ``growing``); what is only needed for
one trace at a time lives in scratch memory that stays in the cache.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.kinds import CLIENT, CONSUMER, PRODUCER, SERVER
from tracescape_native.memory import pointer, wrapping
from tracescape_native.sorting import IntArray, sort_index

_SIGN: Final = np.int64(-(2**63))
_FEW: Final = 24  # children that are sorted by insertion


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


class Trees(NamedTuple):
    """What the walk reads of a ``Forest``: int64, shape (n,), and ``offsets`` of the traces."""

    parent: IntArray
    size: IntArray
    start: IntArray
    end: IntArray
    kind: IntArray
    resource: IntArray
    span_id: IntArray
    offsets: IntArray


@njit(cache=True, nogil=True)
def skew(parent_start: int, parent_end: int, start: int, end: int) -> int:
    """By how much a span that should lie within its parent must be moved; 0 where it is the longer one."""
    if end - start > parent_end - parent_start:
        return 0
    if start < parent_start:
        return parent_start - start
    if end > parent_end:
        return parent_end - end
    return 0


@njit(cache=True, nogil=True)
def _union(
    trees: Trees, span: int, base: int, shift: Any, clipped_start: Any, clipped_end: Any, scratch: IntArray
) -> int:
    # How much of a span its children cover, where a shift for clock skew has changed their order.
    count = 0
    child = span + 1
    while child < span + trees.size[span]:
        follows = trees.kind[child] == CONSUMER and trees.kind[span] == PRODUCER
        start, end = clipped_start[child - base], clipped_end[child - base]
        if not follows and start < clipped_end[span - base] and end > clipped_start[span - base]:
            scratch[0, count] = start
            scratch[1, count] = end
            count += 1
        child += trees.size[child]
    order = scratch[4, :count]
    for k in range(count):
        order[k] = k
    sort_index(order, scratch[0], scratch[1], scratch[1], scratch[5])
    total = 0
    reach = clipped_start[span - base]
    for k in order:
        if scratch[1, k] > reach:
            total += scratch[1, k] - max(scratch[0, k], reach)
            reach = scratch[1, k]
    return total


@njit(cache=True, nogil=True)
def _sooner(a: int, b: int, start: Any, end: Any, key: Any) -> bool:
    # Whether the walk back meets a before b: the later end, the later start, the smaller id, the earlier.
    if end[a] != end[b]:
        return bool(end[a] > end[b])
    if start[a] != start[b]:
        return bool(start[a] > start[b])
    if key[a] != key[b]:
        return bool(key[a] < key[b])
    return bool(a < b)


@njit(cache=True, nogil=True)
def _order_back(count: int, scratch: IntArray) -> None:
    # scratch[4, :count]: the children in the order in which the walk back meets them. They stand by start,
    # so mostly it is the reverse order, and insertion has nothing to do.
    start, end, key = pointer(scratch[0]), pointer(scratch[1]), pointer(scratch[2])
    order = pointer(scratch[4])
    ascending = True
    for k in range(1, count):
        ascending = ascending and end[k - 1] < end[k]
    if ascending or count <= _FEW:
        for k in range(count):
            order[k] = count - 1 - k
    if ascending:
        return
    if count <= _FEW:
        for k in range(1, count):
            item = order[k]
            j = k
            while j > 0 and _sooner(item, order[j - 1], start, end, key):
                order[j] = order[j - 1]
                j -= 1
            order[j] = item
        return
    for k in range(count):
        order[k] = k
        start[k] = ~start[k]
        end[k] = ~end[k]
    sort_index(scratch[4, :count], scratch[1], scratch[0], scratch[2], scratch[5])
    for k in range(count):
        start[k] = ~start[k]
        end[k] = ~end[k]


@njit(cache=True, nogil=True)
def _walk_back(
    low: int, high: int, count: int, tolerance: float, scratch: IntArray, path_start: Any, path_end: Any
) -> int:
    # Divide [low, high) among the children in scratch; returns what is left for the span itself.
    start, end, child, order = (
        pointer(scratch[0]),
        pointer(scratch[1]),
        pointer(scratch[3]),
        pointer(scratch[4]),
    )
    if count == 1:
        order[0] = 0
    else:
        _order_back(count, scratch)
    allowance = np.int64((high - low) * tolerance)
    cursor = high
    own = high - low
    for k in range(count):
        c = order[k]
        if end[c] - cursor > allowance or start[c] >= cursor:
            continue
        path_start[child[c]] = start[c]
        path_end[child[c]] = min(end[c], cursor)
        own -= min(end[c], cursor) - start[c]
        cursor = start[c]
    return own


@wrapping
@njit(cache=True, nogil=True)
def walk(
    trees: Trees, first_trace: int, last_trace: int, tolerance: float, scratch: IntArray, out: Paths
) -> None:
    """Fill ``out`` for traces ``first_trace`` to ``last_trace`` (exclusive).

    ``scratch`` is int64 of shape (8, at least the spans of the longest trace).
    """
    parents, sizes = pointer(trees.parent), pointer(trees.size)
    starts, ends = pointer(trees.start), pointer(trees.end)
    kinds, resources, ids = pointer(trees.kind), pointer(trees.resource), pointer(trees.span_id)
    shift, self_ns = pointer(out.shift), pointer(out.self_ns)
    path_start, path_end, critical = pointer(out.path_start), pointer(out.path_end), pointer(out.critical_ns)
    on_start, on_end, on_key, on_child = (
        pointer(scratch[0]),
        pointer(scratch[1]),
        pointer(scratch[2]),
        pointer(scratch[3]),
    )
    clipped_start, clipped_end = pointer(scratch[6]), pointer(scratch[7])
    for trace in range(first_trace, last_trace):
        base = trees.offsets[trace]
        for span in range(base, trees.offsets[trace + 1]):
            if parents[span] < 0:
                shift[span] = 0
                clipped_start[span - base] = path_start[span] = starts[span]
                clipped_end[span - base] = path_end[span] = ends[span]
            low, high = clipped_start[span - base], clipped_end[span - base]
            if sizes[span] == 1:
                self_ns[span] = high - low
                critical[span] = path_end[span] - path_start[span]
                continue
            path_low, path_high = path_start[span], path_end[span]
            kind, moved = kinds[span], shift[span]
            covered, count, in_order = 0, 0, True
            reach = previous = low
            child = span + 1
            beyond = span + sizes[span]
            while child < beyond:
                start, end = starts[child], ends[child]
                by = moved
                if kind == CLIENT and kinds[child] == SERVER and resources[child] != resources[span]:
                    by += skew(starts[span], ends[span], start, end)
                start += by
                end += by
                shift[child] = by
                path_start[child] = path_end[child] = 0
                inner_start, inner_end = max(start, low), min(end, high)
                if inner_start < inner_end and not (kind == PRODUCER and kinds[child] == CONSUMER):
                    start, end = inner_start, inner_end
                    in_order = in_order and start >= previous
                    previous = start
                    if end > reach:
                        covered += end - max(start, reach)
                        reach = end
                    on_start[count], on_end[count] = max(start, path_low), min(end, path_high)
                    on_key[count], on_child[count] = ids[child] ^ _SIGN, child
                    count += on_start[count] < on_end[count]
                clipped_start[child - base], clipped_end[child - base] = start, end
                child += sizes[child]
            own = path_high - path_low
            if count:
                own = _walk_back(path_low, path_high, count, tolerance, scratch, path_start, path_end)
            critical[span] = own
            if not in_order:
                covered = _union(trees, span, base, shift, clipped_start, clipped_end, scratch)
            self_ns[span] = high - low - covered
