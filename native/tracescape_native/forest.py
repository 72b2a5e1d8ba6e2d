"""Span trees: from unordered spans to one forest in depth-first order.

A forest is stored as parallel arrays in which every parent stands before its children and every subtree is
contiguous: span ``i``'s subtree is ``i … i + size[i] - 1``, its first child is ``i + 1``, the next sibling of
``c`` is ``c + size[c]``. Kernels over trees become plain loops: forwards for what flows from parents to
children, backwards for the rest. Nothing recurses, so depth and width have no limit.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.grouping import HASH_SEED, mix, rows_by_code
from tracescape_native.sorting import IntArray, sort_index, unsigned_order

UNSET: Final = 0
INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5

#: Why a span stands where it stands (``Forest.origin``).
CHILD: Final = 0
ROOT: Final = 1  # names no parent
ORPHAN: Final = 2  # names a parent that is not there
CUT: Final = 3  # was part of a cycle, which is cut here


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


class Forest(NamedTuple):
    """Span trees in depth-first order (see the module), int64 arrays.

    Shape (m,), a row a span that is kept (content-equal copies are dropped): ``rows`` (index into the
    input), ``trace``, ``parent`` (position, -1 for a root), ``root`` (position of the topmost ancestor),
    ``size`` (spans in the subtree, itself included), ``depth`` (0 for a root), ``origin`` (ROOT, …), and the
    input's columns in this order. Siblings, and the roots of a trace, stand by start, then unsigned id.

    Trace ``t`` is ``offsets[t]:offsets[t + 1]``; ``main_root[t]`` is the position of its main root.
    ``copies`` counts dropped spans.
    """

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
    offsets: IntArray
    main_root: IntArray
    copies: int


@njit(cache=True, nogil=True)
def _longest(offsets: IntArray) -> int:
    longest = 0
    for trace in range(len(offsets) - 1):
        longest = max(longest, offsets[trace + 1] - offsets[trace])
    return longest


@njit(cache=True, nogil=True)
def _canonical_order(offsets: IntArray, start: IntArray, id_key: IntArray, late_end: IntArray) -> IntArray:
    order = np.arange(len(start))
    scratch = np.empty(_longest(offsets), np.int64)
    for trace in range(len(offsets) - 1):
        sort_index(order[offsets[trace] : offsets[trace + 1]], start, id_key, late_end, scratch)
    return order


@njit(cache=True, nogil=True)
def _settle_ties(
    order: IntArray,
    trace: IntArray,
    start: IntArray,
    span_id: IntArray,
    end: IntArray,
    parent_id: IntArray,
    resource: IntArray,
    content: IntArray,
) -> IntArray:
    # Duplicates with the same interval are put into an order that does not depend on the order of arrival,
    # equal ones next to each other. Returns which are kept (1): the first of each set of equals.
    n = len(order)
    keep = np.ones(n, np.int64)
    low = 0
    while low < n:
        a = order[low]
        high = low + 1
        while high < n:
            b = order[high]
            if trace[a] != trace[b] or span_id[a] != span_id[b] or start[a] != start[b] or end[a] != end[b]:
                break
            high += 1
        if high - low > 1:
            run = order[low:high]
            sort_index(run, parent_id, resource, content, np.empty(high - low, np.int64))
            for i in range(low + 1, high):
                a, b = order[i - 1], order[i]
                same = (
                    parent_id[a] == parent_id[b] and resource[a] == resource[b] and content[a] == content[b]
                )
                if same:
                    keep[i] = 0
        low = high
    return keep


@njit(cache=True, nogil=True)
def _resolve(
    offsets: IntArray, span_id: IntArray, parent_id: IntArray, seed: int
) -> tuple[IntArray, IntArray]:
    # Positions are canonical here: the first span of an id is the earliest, so it is the parent.
    n = len(span_id)
    parent = np.full(n, -1, np.int64)
    origin = np.full(n, ROOT, np.int64)
    capacity = 2
    while capacity < 2 * _longest(offsets):
        capacity *= 2
    table = np.empty(capacity, np.int64)
    for trace in range(len(offsets) - 1):
        low, high = offsets[trace], offsets[trace + 1]
        last = 1
        while last + 1 < 2 * (high - low):
            last = 2 * last + 1
        table[: last + 1] = -1
        for i in range(low, high):
            slot = mix(span_id[i], seed) & last
            while table[slot] >= 0 and span_id[table[slot]] != span_id[i]:
                slot = (slot + 1) & last
            if table[slot] < 0:
                table[slot] = i
        for i in range(low, high):
            if parent_id[i] == 0:
                continue
            slot = mix(parent_id[i], seed) & last
            while table[slot] >= 0 and span_id[table[slot]] != parent_id[i]:
                slot = (slot + 1) & last
            parent[i] = table[slot]
            origin[i] = CHILD if table[slot] >= 0 else ORPHAN
    return parent, origin


@njit(cache=True, nogil=True)
def _cut_cycles(parent: IntArray, origin: IntArray) -> None:
    # Follow parents until a span seen before; one seen in this same walk closes a cycle. The smallest
    # position of a cycle is its earliest start, then smallest id: positions are canonical.
    seen = np.zeros(len(parent), np.int64)
    for i in range(len(parent)):
        j = i
        while j >= 0 and seen[j] == 0:
            seen[j] = i + 1
            j = parent[j]
        if j >= 0 and seen[j] == i + 1:
            cut = j
            k = parent[j]
            while k != j:
                cut = min(cut, k)
                k = parent[k]
            parent[cut] = -1
            origin[cut] = CUT


@njit(cache=True, nogil=True)
def _depth_first(offsets: IntArray, parent: IntArray) -> IntArray:
    # Positions in depth-first order, trace by trace. first_child and next_sibling are linked lists: filled
    # backwards, they run in canonical order.
    n = len(parent)
    first_child = np.full(n, -1, np.int64)
    next_sibling = np.full(n, -1, np.int64)
    order = np.empty(n, np.int64)
    stack = np.empty(_longest(offsets), np.int64)
    out = 0
    for trace in range(len(offsets) - 1):
        root = -1
        for i in range(offsets[trace + 1] - 1, offsets[trace] - 1, -1):
            if parent[i] < 0:
                next_sibling[i] = root
                root = i
            else:
                next_sibling[i] = first_child[parent[i]]
                first_child[parent[i]] = i
        depth = 0
        node = root
        while node >= 0 or depth > 0:
            if node < 0:
                depth -= 1
                node = stack[depth]
                continue
            order[out] = node
            out += 1
            if next_sibling[node] >= 0:
                stack[depth] = next_sibling[node]
                depth += 1
            node = first_child[node]
    return order


@njit(cache=True, nogil=True)
def _renumber(order: IntArray, old_parent: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    n = len(order)
    position = np.empty(n, np.int64)
    parent = np.empty(n, np.int64)
    root = np.empty(n, np.int64)
    depth = np.zeros(n, np.int64)
    size = np.ones(n, np.int64)
    for i in range(n):
        position[order[i]] = i
        above = old_parent[order[i]]
        if above < 0:
            parent[i] = -1
            root[i] = i
        else:
            parent[i] = position[above]
            root[i] = root[parent[i]]
            depth[i] = depth[parent[i]] + 1
    for i in range(n - 1, -1, -1):
        if parent[i] >= 0:
            size[parent[i]] += size[i]
    return parent, root, depth, size


@njit(cache=True, nogil=True)
def _main_roots(
    offsets: IntArray, parent: IntArray, size: IntArray, origin: IntArray, start: IntArray, end: IntArray
) -> IntArray:
    # Roots stand in canonical order, so "longer than the best so far" leaves ties to the earliest.
    main = np.empty(len(offsets) - 1, np.int64)
    for trace in range(len(offsets) - 1):
        best = offsets[trace]
        i = best + size[best]
        while i < offsets[trace + 1]:
            better_origin = origin[i] == ROOT and origin[best] != ROOT
            same_origin = (origin[i] == ROOT) == (origin[best] == ROOT)
            if better_origin or (same_origin and end[i] - start[i] > end[best] - start[best]):
                best = i
            i += size[i]
        main[trace] = best
    return main


def _canonical_rows(spans: SpanArrays, end: IntArray) -> tuple[IntArray, IntArray]:
    # Input rows by trace, start, unsigned id, later end first, then content; copies dropped. And offsets.
    traces = int(spans.trace.max()) + 1 if len(spans.trace) else 0
    offsets, rows = rows_by_code(spans.trace, traces)
    order = _canonical_order(offsets, spans.start[rows], unsigned_order(spans.span_id[rows]), ~end[rows])
    rows = rows[order]
    content = spans.content * 8 + spans.kind
    keep = _settle_ties(
        rows, spans.trace, spans.start, spans.span_id, end, spans.parent_id, spans.resource, content
    )
    rows = rows[keep.astype(np.bool_)]
    offsets = np.zeros(traces + 1, np.int64)
    np.cumsum(np.bincount(spans.trace[rows], minlength=traces), out=offsets[1:])
    return rows, offsets


def build_forest(spans: SpanArrays) -> Forest:
    """Resolve parents and order the spans of many traces depth first.

    Within a trace, copies of a span (same id, equal in everything given) are dropped; of spans that share an
    id but differ, the earliest start is the parent of those that name it (then the later end, then the
    smaller parent id, resource and content). A span whose parent is missing is an extra root. A cycle is cut
    at its earliest start, then smallest unsigned id. The main root is the longest span without a parent;
    only if there is none, the longest orphan or cut. O(n log n) for any input; the result does not depend
    on the order of the rows. Every trace number in [0, max] must occur.
    """
    end = np.maximum(spans.end, spans.start)
    rows, offsets = _canonical_rows(spans, end)
    old_parent, origin = _resolve(offsets, spans.span_id[rows], spans.parent_id[rows], HASH_SEED)
    _cut_cycles(old_parent, origin)
    order = _depth_first(offsets, old_parent)
    parent, root, depth, size = _renumber(order, old_parent)
    rows = rows[order]
    origin = origin[order]
    start = spans.start[rows]
    end = end[rows]
    return Forest(
        rows=rows,
        trace=spans.trace[rows],
        parent=parent,
        root=root,
        size=size,
        depth=depth,
        origin=origin,
        span_id=spans.span_id[rows],
        start=start,
        end=end,
        kind=spans.kind[rows],
        resource=spans.resource[rows],
        offsets=offsets,
        main_root=_main_roots(offsets, parent, size, origin, start, end),
        copies=len(spans.trace) - len(rows),
    )
