"""Which services stand together, and how deep in the calls each one stands."""

from __future__ import annotations

from collections import deque

import networkx as nx
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

#: Fewer bodies than this are one island: a lonely plate for two or three would only scatter the view.
SMALLEST_WORLD = 40
_SMALLEST_ISLAND = 4


def communities(count: int, source: IntArray, target: IntArray, weight: NDArray[np.float64]) -> IntArray:
    """The island of each node, numbered by size, shape (count,).

    Louvain communities (Blondel et al. 2008) over call weights; what is left with fewer than four members
    joins the island that it talks to most. Deterministic for the same graph.
    """
    if count < SMALLEST_WORLD or not len(source):
        return np.zeros(count, np.int64)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(count))
    for a, b, w in zip(source.tolist(), target.tolist(), weight.tolist(), strict=True):
        if a != b:
            before = graph.get_edge_data(a, b, {"weight": 0.0})["weight"]
            graph.add_edge(a, b, weight=before + w)
    groups = sorted(
        nx.community.louvain_communities(graph, seed=1), key=lambda group: (-len(group), min(group))
    )
    island = np.zeros(count, np.int64)
    for number, group in enumerate(groups):
        island[list(group)] = number
    return _numbered(_without_small(island, graph))


def call_depths(count: int, source: IntArray, target: IntArray, entries: list[int]) -> IntArray:
    """Calls between an entry and each node on the shortest way, shape (count,).

    Without entries, the nodes that nobody calls are. What cannot be reached stands at depth 0.
    """
    callees: list[list[int]] = [[] for _ in range(count)]
    called = np.zeros(count, bool)
    for a, b in zip(source.tolist(), target.tolist(), strict=True):
        if a != b:
            callees[a].append(b)
            called[b] = True
    depth = np.full(count, -1, np.int64)
    starts = entries or np.flatnonzero(~called).tolist()
    depth[starts] = 0
    queue = deque(starts)
    while queue:
        node = queue.popleft()
        for callee in callees[node]:
            if depth[callee] < 0:
                depth[callee] = depth[node] + 1
                queue.append(callee)
    return np.maximum(depth, 0)


def _without_small(island: IntArray, graph: nx.Graph[int]) -> IntArray:
    sizes = np.bincount(island)
    joined = island.copy()
    for node in range(len(island)):
        if sizes[island[node]] >= _SMALLEST_ISLAND:
            continue
        pull: dict[int, float] = {}
        for other, data in graph.adj[node].items():
            home = int(island[other])
            if sizes[home] >= _SMALLEST_ISLAND:
                pull[home] = pull.get(home, 0.0) + data["weight"]
        joined[node] = max(pull, key=lambda home: (pull[home], -home)) if pull else 0
    return joined


def _numbered(island: IntArray) -> IntArray:
    """Islands renumbered 0, 1, … by size, then by first member."""
    names, first, sizes = np.unique(island, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.empty(int(names.max()) + 1, np.int64)
    number[names[order]] = np.arange(len(names))
    return number[island]
