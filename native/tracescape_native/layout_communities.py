"""Who belongs together: communities of a graph, and how many calls each node is away from an entry.

Communities after Blondel et al., "Fast unfolding of communities in large networks" (2008), with the queue of
Traag, Waltman and van Eck (2019): a node is looked at again only when a neighbour has moved. It departs from
them in that nodes are taken in the graph's order, so that there is no chance in it, and in that a community
whose members do not hang together is parted at the end.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tracescape_native.layout_graph import FloatArray, IntArray, Links, merged_rows

BoolArray = NDArray[np.bool_]

_MOST_LEVELS: Final = 30
#: A node is looked at no more often than this on average, whatever the rounding of sums says.
_LOOKS: Final = 60


def communities(graph: Links, *, resolution: float = 1.0) -> IntArray:
    """The community of each node in the order of ``graph``: int64 (n,), numbered by first member.

    They make the modularity large: more weight inside than the nodes' weights would give by chance, times
    ``resolution``; a larger one makes smaller communities. Each hangs together. About O(n + m).
    """
    total = graph.weight.sum()
    found = np.arange(len(graph.order))
    if not total > 0:
        return found
    start, neighbour = graph.start, graph.neighbour
    weight: FloatArray = graph.weight / total
    inside: FloatArray = np.zeros(len(found), np.float64)  # weight between members, both ways
    for _ in range(_MOST_LEVELS):
        moved, count = _unfold(start, neighbour, weight, inside, float(resolution))
        if count == len(inside):
            break
        found = moved[found]
        row = np.repeat(np.arange(len(inside)), np.diff(start))
        once = row < neighbour
        a, b, w = moved[row[once]], moved[neighbour[once]], weight[once]
        within = a == b
        within_each = np.bincount(a[within], 2.0 * w[within], count)
        inside = (np.bincount(moved, inside, count) + within_each).astype(np.float64)
        low, high = np.minimum(a, b)[~within], np.maximum(a, b)[~within]
        start, neighbour, weight = merged_rows(count, low, high, w[~within])
    return _parts(graph.start, graph.neighbour, found)


def components(graph: Links) -> IntArray:
    """The connected part of each node: int64 (n,), numbered by first member."""
    return _parts(graph.start, graph.neighbour, np.zeros(len(graph.order), np.int64))


def depths(count: int, source: IntArray, target: IntArray, first: IntArray) -> IntArray:
    """Calls between one of the nodes ``first`` and each node on the shortest way: int64 (count,).

    Edges are directed, self-calls are none. What cannot be reached has depth 0. O(n + m).
    """
    a, b = np.ascontiguousarray(source, np.int64), np.ascontiguousarray(target, np.int64)
    by = np.argsort(a, kind="stable")
    start = np.searchsorted(a[by], np.arange(count + 1))
    return _depths(start, b[by], np.ascontiguousarray(first, np.int64))


@njit(cache=True, nogil=True)
def _unfold(
    start: IntArray, neighbour: IntArray, weight: FloatArray, inside: FloatArray, resolution: float
) -> tuple[IntArray, int]:
    """Each node where it adds most to the modularity, until none moves; weights add up to 1 altogether."""
    n = len(inside)
    degree = inside.copy()
    for i in range(n):
        for q in range(start[i], start[i + 1]):
            degree[i] += weight[q]
    home, total = np.arange(n), degree.copy()
    pull, met = np.zeros(n), np.empty(n, np.int64)
    queue, waits = np.arange(n), np.ones(n, np.bool_)
    head, waiting = 0, n
    for _ in range(_LOOKS * n):
        if waiting == 0:
            break
        i = queue[head]
        head = (head + 1) % n
        waiting -= 1
        waits[i] = False
        here, count = home[i], 0
        for q in range(start[i], start[i + 1]):
            there = home[neighbour[q]]
            if pull[there] == 0.0:
                met[count] = there
                count += 1
            pull[there] += weight[q]
        total[here] -= degree[i]
        best, most = here, pull[here] - resolution * degree[i] * total[here]
        for c in range(count):
            gain = pull[met[c]] - resolution * degree[i] * total[met[c]]
            if gain > most + 1e-15 or (gain > most - 1e-15 and best != here and met[c] < best):
                best, most = met[c], gain
        for c in range(count):
            pull[met[c]] = 0.0
        total[best] += degree[i]
        home[i] = best
        if best == here:
            continue
        for q in range(start[i], start[i + 1]):
            j = neighbour[q]
            if not waits[j] and home[j] != best:
                waits[j] = True
                queue[(head + waiting) % n] = j
                waiting += 1
    number, count = np.full(n, -1, np.int64), 0
    for i in range(n):
        if number[home[i]] < 0:
            number[home[i]] = count
            count += 1
    return number[home], count


@njit(cache=True, nogil=True)
def _parts(start: IntArray, neighbour: IntArray, group: IntArray) -> IntArray:
    """Each group cut into the parts that hang together."""
    n = len(group)
    part, stack, count = np.full(n, -1, np.int64), np.empty(n, np.int64), 0
    for first in range(n):
        if part[first] >= 0:
            continue
        part[first], stack[0], depth = count, first, 1
        while depth > 0:
            depth -= 1
            i = stack[depth]
            for q in range(start[i], start[i + 1]):
                j = neighbour[q]
                if part[j] < 0 and group[j] == group[first]:
                    part[j] = count
                    stack[depth] = j
                    depth += 1
        count += 1
    return part


@njit(cache=True, nogil=True)
def _depths(start: IntArray, target: IntArray, first: IntArray) -> IntArray:
    n = len(start) - 1
    depth, queue, head, tail = np.full(n, -1, np.int64), np.empty(n, np.int64), 0, 0
    for i in first:
        if depth[i] < 0:
            depth[i], queue[tail] = 0, i
            tail += 1
    while head < tail:
        i = queue[head]
        head += 1
        for q in range(start[i], start[i + 1]):
            j = target[q]
            if depth[j] < 0:
                depth[j], queue[tail] = depth[i] + 1, j
                tail += 1
    return np.maximum(depth, 0)
