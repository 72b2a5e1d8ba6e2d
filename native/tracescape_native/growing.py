"""The loop of ``forest``: one trace after the other, each in scratch memory that stays in the cache.

Spans of a trace have local numbers 0, 1, … here. All scratch is reached through pointers (``memory``): the
loops are so short that checks of array bounds would dominate them. Whoever calls makes the scratch as long
as the longest trace.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.grouping import spread
from tracescape_native.memory import NumberArray, behind, pointer, wrapping
from tracescape_native.sorting import IntArray, sort_index

CHILD: Final = 0
ROOT: Final = 1
ORPHAN: Final = 2
CUT: Final = 3

_SIGN: Final = np.int64(-(2**63))
_FEW: Final = 24  # siblings that are sorted by insertion
_ROOMY: Final = 1_024  # up to so many spans a trace's table is an eighth full at most, else half


class SpanArrays(NamedTuple):
    """What a forest is built from: int64 arrays of shape (n,), a row a span, in any order.

    ``trace`` numbers traces densely from 0. ``parent_id`` is 0 where a span has no parent. Times are
    nanoseconds; an ``end`` before its ``start`` counts as the start. ``kind`` is OTLP's SpanKind.
    ``resource`` identifies the process that sent the span. ``content`` is equal exactly where all else that
    the caller knows about two spans (names, status) is equal.
    """

    trace: IntArray
    span_id: IntArray
    parent_id: IntArray
    start: IntArray
    end: IntArray
    kind: IntArray
    resource: IntArray
    content: IntArray


class Grown(NamedTuple):
    """The arrays of a ``Forest``, to be filled; ``kept`` is how many spans of each trace remain."""

    rows: IntArray
    trace: IntArray
    parent: IntArray
    root: IntArray
    size: IntArray
    depth: IntArray
    origin: IntArray
    span_id: IntArray
    start: IntArray
    end: IntArray
    kind: IntArray
    resource: IntArray
    main_root: IntArray
    kept: IntArray


class Scratch(NamedTuple):
    """Memory for one trace at a time: pointers do not keep alive what they point to, so callers hold it."""

    words: IntArray
    numbers: NumberArray
    slots: NumberArray


def scratch_for(longest: int) -> Scratch:
    """Scratch for traces of up to ``longest`` spans."""
    capacity = max(table_size(longest), table_size(min(longest, _ROOMY)))
    return Scratch(
        np.empty((3, longest), np.int64),
        np.empty((6, longest + 3), np.int32),
        np.empty(capacity, np.int32),
    )


@wrapping
@njit(cache=True, nogil=True)
def table_size(count: int) -> int:
    """How many slots the table of a trace of ``count`` spans has: a power of 2.

    What is looked for in a roomy one is mostly there at once, but it is emptied for each trace.
    """
    least = count * (8 if count <= _ROOMY else 2)
    size = 2
    while size < least:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _enter(ids: Any, count: int, table: Any, last: int, seed: int) -> bool:
    # Fill the table; the first span of an id is the one that is found. Returns whether an id occurs twice.
    twice = False
    for slot in range(last + 1):
        table[slot] = -1
    for i in range(count):
        slot = spread(ids[i], seed) & last
        while table[slot] >= 0:
            if ids[table[slot]] == ids[i]:
                twice = True
                break
            slot = (slot + 1) & last
        else:
            table[slot] = i
    return twice


@njit(cache=True, nogil=True)
def _parents(
    wanted: Any, ids: Any, count: int, table: Any, last: int, seed: int, parent: Any, origin: Any
) -> None:
    for i in range(count):
        parent[i] = -1
        origin[i] = ROOT
        if wanted[i] == 0:
            continue
        slot = spread(wanted[i], seed) & last
        found = table[slot]
        while found >= 0 and ids[found] != wanted[i]:
            slot = (slot + 1) & last
            found = table[slot]
        parent[i] = found
        origin[i] = CHILD if found >= 0 else ORPHAN


@njit(cache=True, nogil=True)
def _before(a: int, b: int, start: Any, ids: Any) -> bool:
    # Siblings by start, then unsigned id, then local number.
    if start[a] != start[b]:
        return bool(start[a] < start[b])
    if ids[a] != ids[b]:
        return bool((ids[a] ^ _SIGN) < (ids[b] ^ _SIGN))
    return bool(a < b)


@njit(cache=True, nogil=True)
def _group(parent: Any, count: int, first: Any, children: Any) -> None:
    # Children side by side by parent, in order of local number: those of p, or the roots with p = -1, are
    # children[first[p + 1]:first[p + 2]].
    for i in range(count + 3):
        first[i] = 0
    for i in range(count):
        first[parent[i] + 3] += 1
    for i in range(3, count + 3):
        first[i] += first[i - 1]
    for i in range(count):
        slot = parent[i] + 2
        children[first[slot]] = i
        first[slot] += 1


@njit(cache=True, nogil=True)
def _sort_few(children: Any, low: int, high: int, start: Any, ids: Any) -> None:
    for k in range(low + 1, high):
        item = children[k]
        j = k
        while j > low and _before(item, children[j - 1], start, ids):
            children[j] = children[j - 1]
            j -= 1
        children[j] = item


@njit(cache=True, nogil=True)
def _sort_many(children: Any, low: int, high: int, start: Any, ids: Any) -> None:
    n = high - low
    index = np.arange(n)
    starts = np.empty(n, np.int64)
    keys = np.empty(n, np.int64)
    for k in range(n):
        starts[k] = start[children[low + k]]
        keys[k] = ids[children[low + k]] ^ _SIGN
    local = np.empty(n, np.int64)
    for k in range(n):
        local[k] = children[low + k]
    sort_index(index, starts, keys, local, np.empty(n, np.int64))
    for k in range(n):
        children[low + k] = local[index[k]]


@njit(cache=True, nogil=True)
def _sort_siblings(first: Any, children: Any, count: int, start: Any, ids: Any) -> None:
    for p in range(count + 1):
        low, high = first[p], first[p + 1]
        if high - low > _FEW:
            _sort_many(children, low, high, start, ids)
        elif high - low > 1:
            _sort_few(children, low, high, start, ids)


@njit(cache=True, nogil=True)
def _depth_first(first: Any, children: Any, count: int, stack: Any, order: Any) -> int:
    # Local numbers in depth-first order; returns how many were reached: all but those of cycles.
    depth = 0
    out = 0
    for k in range(first[1] - 1, -1, -1):
        stack[depth] = children[k]
        depth += 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        order[out] = node
        out += 1
        for k in range(first[node + 2] - 1, first[node + 1] - 1, -1):
            stack[depth] = children[k]
            depth += 1
    return out


@njit(cache=True, nogil=True)
def _cut_cycles(parent: Any, origin: Any, count: int, start: Any, ids: Any, seen: Any) -> None:
    # Follow parents until a span seen before; one seen in this same walk closes a cycle, which is cut at its
    # earliest start, then smallest id.
    for i in range(count):
        seen[i] = 0
    for i in range(count):
        j = i
        while j >= 0 and seen[j] == 0:
            seen[j] = i + 1
            j = parent[j]
        if j >= 0 and seen[j] == i + 1:
            cut = j
            k = parent[j]
            while k != j:
                if _before(k, cut, start, ids):
                    cut = k
                k = parent[k]
            parent[cut] = -1
            origin[cut] = CUT


@njit(cache=True, nogil=True)
def _number(order: Any, old_parent: Any, count: int, base: int, place: Any, out: Grown) -> None:
    # From local numbers to positions: base and on.
    parent, root = behind(pointer(out.parent), base), behind(pointer(out.root), base)
    size, depth = behind(pointer(out.size), base), behind(pointer(out.depth), base)
    for i in range(count):
        node = order[i]
        place[node] = i
        above = old_parent[node]
        size[i] = 1
        if above < 0:
            parent[i] = -1
            root[i] = base + i
            depth[i] = 0
        else:
            p = np.int64(place[above])
            parent[i] = base + p
            root[i] = root[p]
            depth[i] = depth[p] + 1
    for i in range(count - 1, -1, -1):
        if parent[i] >= 0:
            size[parent[i] - base] += size[i]


@njit(cache=True, nogil=True)
def _columns(
    spans: SpanArrays, order: Any, mine: Any, origin: Any, ids: Any, count: int, base: int, out: Grown
) -> None:
    rows, origins = behind(pointer(out.rows), base), behind(pointer(out.origin), base)
    span_id, kind = behind(pointer(out.span_id), base), behind(pointer(out.kind), base)
    start, end = behind(pointer(out.start), base), behind(pointer(out.end), base)
    resource = behind(pointer(out.resource), base)
    of_kind, of_resource = pointer(spans.kind), pointer(spans.resource)
    of_start, of_end = pointer(spans.start), pointer(spans.end)
    for i in range(count):
        node = order[i]
        row = mine[node]
        rows[i] = row
        origins[i] = origin[node]
        span_id[i] = ids[node]
        start[i] = of_start[row]
        end[i] = max(of_start[row], of_end[row])
        kind[i] = of_kind[row]
        resource[i] = of_resource[row]


@njit(cache=True, nogil=True)
def _main_root(out: Grown, base: int, count: int) -> int:
    # Roots stand in canonical order, so "longer than the best so far" leaves ties to the earliest.
    best = base
    i = base + out.size[base]
    while i < base + count:
        better = out.origin[i] == ROOT and out.origin[best] != ROOT
        same = (out.origin[i] == ROOT) == (out.origin[best] == ROOT)
        if better or (same and out.end[i] - out.start[i] > out.end[best] - out.start[best]):
            best = i
        i += out.size[i]
    return best


@njit(cache=True, nogil=True)
def _settled(spans: SpanArrays, rows: NumberArray) -> int:
    # Put the rows of a trace with repeated ids in canonical order (start, unsigned id, later end first, then
    # what does not depend on the order of arrival) and drop the copies. Returns how many remain.
    n = len(rows)
    rank = np.arange(n)
    scratch = np.empty(n, np.int64)
    first = np.empty(n, np.int64)
    second = np.empty(n, np.int64)
    third = np.empty(n, np.int64)
    for i in range(n):
        first[i] = spans.parent_id[rows[i]]
        second[i] = spans.resource[rows[i]]
        third[i] = spans.content[rows[i]] * 8 + spans.kind[rows[i]]
    sort_index(rank, first, second, third, scratch)
    for i in range(n):
        first[i] = spans.start[rows[i]]
        second[i] = spans.span_id[rows[i]] ^ _SIGN
        third[i] = ~max(spans.start[rows[i]], spans.end[rows[i]])
    sort_index(rank, first, second, third, scratch)  # stable: ties stay as the first sort left them
    kept = 0
    for i in range(n):
        scratch[kept] = rows[rank[i]]
        if kept == 0 or not _copy_of(spans, scratch[kept - 1], scratch[kept]):
            kept += 1
    rows[:kept] = scratch[:kept]
    return kept


@njit(cache=True, nogil=True)
def _copy_of(spans: SpanArrays, a: int, b: int) -> bool:
    if spans.span_id[a] != spans.span_id[b] or spans.start[a] != spans.start[b]:
        return False
    if max(spans.start[a], spans.end[a]) != max(spans.start[b], spans.end[b]):
        return False
    return bool(
        spans.parent_id[a] == spans.parent_id[b]
        and spans.resource[a] == spans.resource[b]
        and spans.content[a] * 8 + spans.kind[a] == spans.content[b] * 8 + spans.kind[b]
    )


@njit(cache=True, nogil=True)
def _gather(spans: SpanArrays, mine: Any, count: int, ids: Any, wanted: Any, start: Any) -> None:
    of_id, of_parent, of_start = pointer(spans.span_id), pointer(spans.parent_id), pointer(spans.start)
    for i in range(count):
        row = mine[i]
        ids[i] = of_id[row]
        wanted[i] = of_parent[row]
        start[i] = of_start[row]


@wrapping
@njit(cache=True, nogil=True)
def grow(
    spans: SpanArrays,
    rows: NumberArray,
    offsets: IntArray,
    first_trace: int,
    last_trace: int,
    seed: int,
    scratch: Scratch,
    out: Grown,
) -> None:
    """Build the trees of traces ``first_trace`` to ``last_trace`` (exclusive).

    ``rows`` has the input rows trace by trace, as ``offsets`` says; it is reordered where ids repeat. Trace
    ``t`` is written to ``out`` from ``offsets[t]`` on, ``kept[t]`` spans of it.
    """
    words, numbers = scratch.words, scratch.numbers
    ids, wanted, start = pointer(words[0]), pointer(words[1]), pointer(words[2])
    parent, origin, first = pointer(numbers[0]), pointer(numbers[1]), pointer(numbers[2])
    children, stack, order = pointer(numbers[3]), pointer(numbers[4]), pointer(numbers[5])
    table = pointer(scratch.slots)
    for t in range(first_trace, last_trace):
        base = offsets[t]
        count = offsets[t + 1] - base
        mine = behind(pointer(rows), base)
        last = table_size(count) - 1
        _gather(spans, mine, count, ids, wanted, start)
        if _enter(ids, count, table, last, seed):
            count = _settled(spans, rows[base : offsets[t + 1]])
            _gather(spans, mine, count, ids, wanted, start)
            _enter(ids, count, table, last, seed)
        out.kept[t] = count
        _parents(wanted, ids, count, table, last, seed, parent, origin)
        _group(parent, count, first, children)
        _sort_siblings(first, children, count, start, ids)
        if _depth_first(first, children, count, stack, order) < count:
            _cut_cycles(parent, origin, count, start, ids, stack)
            _group(parent, count, first, children)
            _sort_siblings(first, children, count, start, ids)
            _depth_first(first, children, count, stack, order)
        _number(order, parent, count, base, stack, out)
        _columns(spans, order, mine, origin, ids, count, base, out)
        for i in range(base, base + count):
            out.trace[i] = t
        out.main_root[t] = _main_root(out, base, count)
