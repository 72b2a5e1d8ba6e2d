"""The graph that a layout works on: undirected, merged, in an order of its own, and ever coarser.

Who brings the nodes in another order gets the same numbers, to the last bit: nodes stand by their keys, and
weights are added in the order of their size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Links(NamedTuple):
    """Neighbours in compressed rows: those of node i are ``neighbour[start[i]:start[i + 1]]``.

    Attributes:
        order: int64 (n,), the caller's number of each node here; nodes stand by ascending key.
        key: int64 (n,), their keys.
        start: int64 (n + 1,); neighbour: int64 (2m,), ascending in each row; weight: float64 (2m,), the sum
            over both directions. No node is its own neighbour.
    """

    order: IntArray
    key: IntArray
    start: IntArray
    neighbour: IntArray
    weight: FloatArray

    def pairs(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Each edge once: the smaller node, the larger, the weight; shape (m,) each."""
        low = np.repeat(np.arange(len(self.order)), np.diff(self.start))
        once = low < self.neighbour
        return low[once], self.neighbour[once], self.weight[once]


def links(keys: IntArray, source: IntArray, target: IntArray, weight: FloatArray) -> Links:
    """The graph of n nodes with these keys and of m directed edges.

    Args:
        keys: int64 (n,), which should be distinct: nodes of one key are told apart by their order.
        source, target: nodes as rows of ``keys``, shape (m,); an edge from a node to itself is left out.
        weight: shape (m,). An edge whose weight is not above 0, or not finite, is left out.

    Raises:
        ValueError: shapes differ, or an edge names a node that is not there.
    """
    key = np.ascontiguousarray(keys, np.int64)
    a, b = np.ascontiguousarray(source, np.int64), np.ascontiguousarray(target, np.int64)
    weights = np.ascontiguousarray(weight, np.float64)
    count = len(key)
    if not len(a) == len(b) == len(weights):
        raise ValueError(f"{len(a)} sources, {len(b)} targets and {len(weights)} weights are no edges")
    if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= count):
        raise ValueError(f"an edge names a node that is not among the {count}")
    order = np.argsort(key, kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    # Weights far beyond what calls can be are taken for less, so that no sum of them is infinite.
    good = (a != b) & np.isfinite(weights) & (weights > 0)
    a, b, weights = rank[a[good]], rank[b[good]], np.minimum(weights[good], 1e200)
    return Links(order, key[order], *merged_rows(count, np.minimum(a, b), np.maximum(a, b), weights))


def coarser(graph: Links, mass: FloatArray) -> tuple[Links, FloatArray, IntArray]:
    """About half as many nodes: each is two that are joined by much, or that share a neighbour.

    Heavy-edge matching after Karypis and Kumar (1998), by weight over the product of masses; a node that
    finds no neighbour free goes with another such one at the same neighbour (their two-hop matching), so
    that a star halves like any other graph.

    Returns:
        the coarse graph, whose ``order`` is its own; the masses of its nodes; the coarse node of each node.
    """
    parent, count = _match(graph.start, graph.neighbour, graph.weight, mass)
    low, high, weight = graph.pairs()
    a, b = parent[low], parent[high]
    apart = a != b
    rows = merged_rows(count, np.minimum(a, b)[apart], np.maximum(a, b)[apart], weight[apart])
    key = np.empty(count, np.int64)
    key[parent[::-1]] = graph.key[::-1]  # of the first member
    merged: FloatArray = np.bincount(parent, mass, count).astype(np.float64)
    return Links(np.arange(count), key, *rows), merged, parent


def subgraph(graph: Links, members: IntArray) -> Links:
    """The graph of some nodes (ascending rows of ``graph``) and the edges between them; O(n + m)."""
    local = np.full(len(graph.order), -1, np.int64)
    local[members] = np.arange(len(members))
    start, neighbour, weight = _rows_between(graph.start, graph.neighbour, graph.weight, members, local)
    return Links(np.arange(len(members)), graph.key[members], start, neighbour, weight)


def merged_rows(
    count: int, low: IntArray, high: IntArray, weight: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """``start``, ``neighbour`` and ``weight`` of edges that may be given several times, low < high."""
    name = low * max(count, 1) + high
    by = np.argsort(name, kind="stable")
    name = name[by]
    new = np.concatenate([[True], name[1:] != name[:-1]])[: len(name)]
    several = np.flatnonzero(~new | ~np.roll(new, -1))  # only these are added up, the smallest first
    by[several] = by[several][np.lexsort((weight[by[several]], name[several]))]
    first = np.flatnonzero(new)
    merged = np.add.reduceat(weight[by], first) if len(name) else weight
    return _both_ways(count, low[by][first], high[by][first], merged)


@njit(cache=True, nogil=True)
def _both_ways(
    count: int, low: IntArray, high: IntArray, weight: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    # Edges come by (low, high), so each row fills with its smaller neighbours first, both ascending.
    start = np.zeros(count + 1, np.int64)
    for e in range(len(low)):
        start[low[e] + 1] += 1
        start[high[e] + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    place = start[:-1].copy()
    neighbour = np.empty(2 * len(low), np.int64)
    weights = np.empty(2 * len(low))
    for e in range(len(low)):
        neighbour[place[high[e]]] = low[e]
        weights[place[high[e]]] = weight[e]
        place[high[e]] += 1
    for e in range(len(low)):
        neighbour[place[low[e]]] = high[e]
        weights[place[low[e]]] = weight[e]
        place[low[e]] += 1
    return start, neighbour, weights


@njit(cache=True, nogil=True)
def _match(
    start: IntArray, neighbour: IntArray, weight: FloatArray, mass: FloatArray
) -> tuple[IntArray, int]:
    n = len(mass)
    parent = np.full(n, -1, np.int64)
    waiting = np.full(n, -1, np.int64)  # at each node: a neighbour that found nobody
    count = 0
    for i in range(n):
        if parent[i] >= 0:
            continue
        best, most, hub, strongest = -1, -1.0, -1, -1.0
        for q in range(start[i], start[i + 1]):
            j = neighbour[q]
            pull = weight[q] / (mass[i] * mass[j])
            if parent[j] < 0 and waiting[j] != -2 and pull > most:
                best, most = j, pull
            if weight[q] > strongest:
                hub, strongest = j, weight[q]
        if best < 0 and hub >= 0 and waiting[hub] < 0:
            waiting[hub] = i
            continue
        if best < 0 and hub >= 0:
            best = waiting[hub]
            waiting[hub] = -1
        parent[i] = count
        if best >= 0:
            parent[best] = count
        count += 1
    for i in range(n):
        if parent[i] < 0:
            parent[i] = count
            count += 1
    return _numbered(parent, count), count


@njit(cache=True, nogil=True)
def _numbered(parent: IntArray, count: int) -> IntArray:
    """Coarse nodes renumbered by their first member."""
    number = np.full(count, -1, np.int64)
    seen = 0
    for i in range(len(parent)):
        if number[parent[i]] < 0:
            number[parent[i]] = seen
            seen += 1
    return number[parent]


@njit(cache=True, nogil=True)
def _rows_between(
    start: IntArray, neighbour: IntArray, weight: FloatArray, members: IntArray, local: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    begin = np.zeros(len(members) + 1, np.int64)
    for i in range(len(members)):
        kept = 0
        for q in range(start[members[i]], start[members[i] + 1]):
            kept += local[neighbour[q]] >= 0
        begin[i + 1] = begin[i] + kept
    inner = np.empty(begin[-1], np.int64)
    weights = np.empty(begin[-1])
    place = 0
    for member in members:
        for q in range(start[member], start[member + 1]):
            if local[neighbour[q]] >= 0:
                inner[place] = local[neighbour[q]]
                weights[place] = weight[q]
                place += 1
    return begin, inner, weights
