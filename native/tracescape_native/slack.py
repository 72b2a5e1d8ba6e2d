"""How much each span matters for how long its root takes: slack, drag and what-if.

All three ask what a trace would look like if a span took another time, so they need a rule for what follows
from what. It is the one that the walk back of ``critical_path`` follows with a tolerance of 0. Children that
a span waits for are clipped to it, as there. A child starts once all siblings that had ended by then have
ended, and the span's own work in between (the gap) is done; the span ends once all children have ended and
its work after the last of them is done. Gaps and order stay, whatever the children take. This is an activity
network (Kelley and Walker, 1959) at every level of the tree; drag is Devaux's (1999).

All times are int64 nanoseconds, all arrays have shape (n,) in the depth-first order of a ``Forest``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.forest import Forest
from tracescape_native.kinds import CLIENT, CONSUMER, PRODUCER, SERVER
from tracescape_native.memory import wrapping
from tracescape_native.parallel import ranges_of, run_all
from tracescape_native.sorting import IntArray, sort_index
from tracescape_native.walking import Trees, skew

#: The slack of a span that nobody waits for, and of all below it.
NO_LIMIT: Final = 2**63 - 1

# Rows of the scratch memory. By span of the trace:
_LOW, _HIGH, _SHIFT, _BLOCKS, _LIMIT, _LOCAL = range(6)
# By child of the span at hand, in order of start:
_CHILD, _START, _END, _READY, _FLOAT, _PART, _BY_END, _MERGE, _CHAIN, _NEXT = range(6, 16)
_ROWS: Final = 16


class Leeway(NamedTuple):
    """Per span, int64 nanoseconds, shape (n,).

    ``slack`` is the most that the span can grow before its root takes longer; ``NO_LIMIT`` where nobody waits
    for it. ``drag`` is how much sooner the root would end if the span took no time at all.
    """

    slack: IntArray
    drag: IntArray


@njit(cache=True, nogil=True)
def _clip(trees: Trees, base: int, stop: int, scratch: IntArray) -> None:
    # Clipped intervals, and whether the parent waits for the span: as in `walking`.
    for span in range(base, stop):
        parent = trees.parent[span]
        start, end, shift, blocks = trees.start[span], trees.end[span], 0, 0
        if parent >= 0:
            p = parent - base
            shift = scratch[_SHIFT, p]
            served = trees.kind[span] == SERVER and trees.kind[parent] == CLIENT
            if served and trees.resource[span] != trees.resource[parent]:
                shift += skew(trees.start[parent], trees.end[parent], start, end)
            start += shift
            end += shift
            low, high = max(start, scratch[_LOW, p]), min(end, scratch[_HIGH, p])
            follows = trees.kind[span] == CONSUMER and trees.kind[parent] == PRODUCER
            if low < high and not follows:
                start, end, blocks = low, high, 1
        scratch[_LOW, span - base] = start
        scratch[_HIGH, span - base] = end
        scratch[_SHIFT, span - base] = shift
        scratch[_BLOCKS, span - base] = blocks


@njit(cache=True, nogil=True)
def _sort_by_start(count: int, scratch: IntArray) -> None:
    # Only after a shift for clock skew: else children stand by start already.
    order = scratch[_BY_END, :count]
    for k in range(count):
        order[k] = k
    sort_index(order, scratch[_START], scratch[_END], scratch[_END], scratch[_MERGE])
    for row in (_CHILD, _START, _END):
        for k in range(count):
            scratch[_MERGE, k] = scratch[row, order[k]]
        for k in range(count):
            scratch[row, k] = scratch[_MERGE, k]


@njit(cache=True, nogil=True)
def _children(trees: Trees, base: int, span: int, scratch: IntArray) -> int:
    # The children that the span waits for, by start; _BY_END: their numbers by end; _READY: how many of
    # them, by end, had ended when each started. Returns how many children.
    count = 0
    by_start = by_end = True
    child = span + 1
    while child < span + trees.size[span]:
        if scratch[_BLOCKS, child - base]:
            scratch[_CHILD, count] = child - base
            scratch[_START, count] = scratch[_LOW, child - base]
            scratch[_END, count] = scratch[_HIGH, child - base]
            if count:
                by_start = by_start and scratch[_START, count - 1] <= scratch[_START, count]
                by_end = by_end and scratch[_END, count - 1] <= scratch[_END, count]
            count += 1
        child += trees.size[child]
    if not by_start:
        _sort_by_start(count, scratch)
    for k in range(count):
        scratch[_BY_END, k] = k
    if not (by_start and by_end):
        sort_index(scratch[_BY_END, :count], scratch[_END], scratch[_START], scratch[_START], scratch[_MERGE])
    ended = 0
    for k in range(count):
        while scratch[_END, scratch[_BY_END, ended]] <= scratch[_START, k]:
            ended += 1
        scratch[_READY, k] = ended
    return count


@njit(cache=True, nogil=True)
def _floats(count: int, scratch: IntArray) -> None:
    # _FLOAT: how much each child can grow before the span does. Backwards: who starts after a child's end
    # has been dealt with. _PART: the least, over a child and all that start later, of when it must be
    # released at the latest.
    last = scratch[_END, scratch[_BY_END, count - 1]]
    for k in range(count - 1, -1, -1):
        later = k + 1  # the first child that starts when this one has ended
        high = count
        while later < high:
            middle = (later + high) // 2
            if scratch[_START, middle] < scratch[_END, k]:
                later = middle + 1
            else:
                high = middle
        latest = last
        if later < count:
            latest = min(last, scratch[_PART, later])
        scratch[_FLOAT, k] = latest - scratch[_END, k]
        released = scratch[_END, scratch[_BY_END, scratch[_READY, k] - 1]] if scratch[_READY, k] else 0
        # A child that waits for no sibling is released by the span's start, which does not move.
        bound = released + scratch[_FLOAT, k] if scratch[_READY, k] else last
        scratch[_PART, k] = bound if k == count - 1 else min(bound, scratch[_PART, k + 1])


@njit(cache=True, nogil=True)
def _chain(count: int, scratch: IntArray) -> int:
    # _CHAIN: the children on the longest chain, last first; no two overlap. Returns how many.
    length = 0
    child = scratch[_BY_END, count - 1]
    while True:
        scratch[_CHAIN, length] = child
        length += 1
        ended = scratch[_READY, child]
        if ended == 0:
            return length
        child = scratch[_BY_END, ended - 1]


@njit(cache=True, nogil=True)
def _find(free: IntArray, k: int) -> int:
    while free[k] != k:
        free[k] = free[free[k]]
        k = free[k]
    return k


@njit(cache=True, nogil=True)
def _limit_chain(count: int, length: int, most: int, scratch: IntArray) -> None:
    # What else runs at the same time limits what a child on the chain can save: the least slack among the
    # siblings that overlap it. Those of least slack go first, and each member of the chain is limited once.
    chain, free = scratch[_CHAIN], scratch[_NEXT]
    for k in range(length):
        scratch[_LIMIT, scratch[_CHILD, chain[k]]] = most
        scratch[_READY, chain[k]] = -1  # marks the chain; no longer needed for what it was
    if length == count:
        return
    order = scratch[_PART, :count]
    for k in range(count):
        order[k] = k
    sort_index(order, scratch[_FLOAT], scratch[_START], scratch[_END], scratch[_MERGE])
    for k in range(length + 1):
        free[k] = k
    for sibling in order:
        if scratch[_READY, sibling] < 0:
            continue
        low, high = 0, length  # the chain runs backwards: the first member that starts before its end
        while low < high:
            middle = (low + high) // 2
            if scratch[_START, chain[middle]] >= scratch[_END, sibling]:
                low = middle + 1
            else:
                high = middle
        k = _find(free, low)
        while k < length and scratch[_END, chain[k]] > scratch[_START, sibling]:
            member = scratch[_CHILD, chain[k]]
            scratch[_LIMIT, member] = min(most, scratch[_FLOAT, sibling])
            free[k] = k + 1
            k = _find(free, k)


@wrapping
@njit(cache=True, nogil=True)
def _leeway(trees: Trees, first: int, last: int, scratch: IntArray, slack: IntArray, drag: IntArray) -> None:
    for trace in range(first, last):
        base, stop = trees.offsets[trace], trees.offsets[trace + 1]
        _clip(trees, base, stop, scratch)
        for span in range(base, stop):
            i = span - base
            if trees.parent[span] < 0:
                slack[span] = 0
                scratch[_LIMIT, i] = NO_LIMIT
            elif not scratch[_BLOCKS, i]:
                slack[span] = NO_LIMIT
                scratch[_LIMIT, i] = 0
            drag[span] = min(scratch[_HIGH, i] - scratch[_LOW, i], scratch[_LIMIT, i])
            if trees.size[span] == 1:
                continue
            count = _children(trees, base, span, scratch)
            if count == 0:
                continue
            _floats(count, scratch)
            for k in range(count):
                child = scratch[_CHILD, k]
                bounded = slack[span] != NO_LIMIT
                slack[base + child] = slack[span] + scratch[_FLOAT, k] if bounded else NO_LIMIT
                scratch[_LIMIT, child] = 0
            if scratch[_LIMIT, i] > 0:
                _limit_chain(count, _chain(count, scratch), scratch[_LIMIT, i], scratch)


@njit(cache=True, nogil=True)
def _scaled(work: int, faster: int, factor: float) -> Any:
    return np.int64(work / factor) if faster else work


@wrapping
@njit(cache=True, nogil=True)
def _what_if(
    trees: Trees, first: int, last: int, faster: IntArray, factor: float, scratch: IntArray, out: IntArray
) -> None:
    for trace in range(first, last):
        base, stop = trees.offsets[trace], trees.offsets[trace + 1]
        _clip(trees, base, stop, scratch)
        for span in range(stop - 1, base - 1, -1):  # children first
            start, end = scratch[_LOW, span - base], scratch[_HIGH, span - base]
            count = _children(trees, base, span, scratch) if trees.size[span] > 1 else 0
            ready, was_ready, ended = 0, start, 0
            for k in range(count):
                while ended < scratch[_READY, k]:
                    sibling = scratch[_BY_END, ended]
                    ready = max(ready, scratch[_PART, sibling])
                    was_ready = scratch[_END, sibling]
                    ended += 1
                work = _scaled(scratch[_START, k] - was_ready, faster[span], factor)
                scratch[_PART, k] = ready + work + out[base + scratch[_CHILD, k]]
            for k in range(ended, count):
                sibling = scratch[_BY_END, k]
                ready = max(ready, scratch[_PART, sibling])
                was_ready = scratch[_END, sibling]
            out[span] = ready + _scaled(end - was_ready, faster[span], factor)


def _scratch(forest: Forest, first: int, last: int) -> IntArray:
    return np.empty((_ROWS, int(np.diff(forest.offsets[first : last + 1]).max(initial=1)) + 1), np.int64)


def _trees(forest: Forest) -> Trees:
    return Trees(*(getattr(forest, name) for name in Trees._fields))


def leeway(forest: Forest) -> Leeway:
    """Slack and drag of every span (see ``Leeway`` and the module). O(n log n) for any input.

    A root has slack 0 and drags by its whole duration. A span on the critical path (with ``tolerance=0``)
    has slack 0; one that is not has drag 0. A span that takes no time, or that lies outside its parent, has
    no slack limit: nobody waits for it.
    """
    trees = _trees(forest)
    slack, drag = np.empty((2, len(forest.parent)), np.int64)
    run_all(
        lambda first, last: _leeway(trees, first, last, _scratch(forest, first, last), slack, drag),
        ranges_of(forest.offsets),
    )
    return Leeway(slack, drag)


def what_if(forest: Forest, faster: Any, factor: float) -> IntArray:
    """How long each span would take if the spans marked in ``faster`` did their own work in 1 / ``factor``.

    ``faster`` is an integer or bool array of shape (n,); ``factor`` is at least 1, infinity allowed. A span's
    own work is what lies between its children and around them: each such gap becomes ``gap / factor``,
    rounded down. Children take as long as before, unless they are marked too. Returns int64 ns, shape (n,);
    for a root it is what the request would take, for others within their (clipped) parents. Raises
    ``ValueError`` for another shape or factor.
    """
    if not factor >= 1:
        raise ValueError(f"factor={factor}: how many times faster, at least 1")
    marked = np.ascontiguousarray(faster, dtype=np.int64)
    if marked.shape != forest.parent.shape:
        raise ValueError(
            f"faster has shape {marked.shape}, not one mark for each of {len(forest.parent)} spans"
        )
    trees = _trees(forest)
    durations = np.empty(len(forest.parent), np.int64)
    run_all(
        lambda first, last: _what_if(
            trees, first, last, marked, float(factor), _scratch(forest, first, last), durations
        ),
        ranges_of(forest.offsets),
    )
    return durations
