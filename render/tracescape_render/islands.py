"""Which services stand together, and how deep in the calls each one stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from tracescape_native.layout_communities import communities as communities_of
from tracescape_native.layout_communities import components, depths
from tracescape_native.layout_graph import Links, links

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

#: Where a service stands: x, y, z, and, once it has one, the label of its island (a whole number).
Stand = tuple[float, ...]

#: Fewer bodies than this are one island: a lonely plate for two or three would only scatter the view.
SMALLEST_WORLD: Final = 40
_SMALLEST_ISLAND: Final = 4
#: So many services of an island can be told apart at a glance; modularity alone makes islands that grow with
#: the world.
_READABLE: Final = 25


def keys_of(names: Sequence[str]) -> IntArray:
    """A number for each name, the same everywhere: int64 (n,)."""
    hashes = [xxhash.xxh64_intdigest(name.encode("utf-8", "surrogatepass")) for name in names]
    return np.array(hashes, np.uint64).view(np.int64)


def communities(
    names: Sequence[str],
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
    known: Mapping[str, Stand] | None = None,
) -> IntArray:
    """The island of each service, numbered by size and then by its members' names, shape (n,).

    Those that ``known`` gives an island keep it, and newcomers join that of whom they talk to most. Else
    islands are communities over the orders of magnitude of calls, of about 25 services in large worlds. What
    has fewer than four members joins the island that it talks to most; services that talk to nobody have one
    island together. Where one name is in several namespaces, no island has two of those.
    """
    graph = links(keys_of(names), source, target, np.log1p(np.maximum(weight, 1.0)))
    spaces = _namespaces([names[i] for i in graph.order])
    labels = _labels([names[i] for i in graph.order], known or {})
    if (labels >= 0).any():
        island = _joined(graph, labels)
    elif len(names) < SMALLEST_WORLD and not spaces.any():
        island = np.zeros(len(names), np.int64)
    else:
        apart = _within(graph, spaces)
        island = _without_small(apart, communities_of(apart, resolution=_resolution(apart)))
    found = np.empty(len(names), np.int64)
    found[graph.order] = by_size(island)
    return found


def call_depths(count: int, source: IntArray, target: IntArray, entries: list[int]) -> IntArray:
    """Calls between an entry and each node on the shortest way, shape (count,).

    Without entries, the nodes that nobody calls are. What cannot be reached stands at depth 0.
    """
    called = np.zeros(count, bool)
    called[target[source != target]] = True
    first = np.array(entries, np.int64) if entries else np.flatnonzero(~called)
    return depths(count, source, target, first)


def by_size(island: IntArray) -> IntArray:
    """Islands renumbered 0, 1, … by size, then by first member."""
    _, first, number, sizes = np.unique(island, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[number]


def _resolution(graph: Links) -> float:
    """That at which two communities of readable size with two edges between them stay two.

    Fortunato and Barthélemy, "Resolution limit in community detection" (2007): at a resolution of 1 they
    become one as soon as the graph is large enough.
    """
    edges = max(len(graph.neighbour) // 2, 1)
    return max(1.0, (2 * len(graph.order) / _READABLE) ** 2 / edges)


def _namespaces(names: Sequence[str]) -> IntArray:
    """A number above 0 for each namespace of the names that are in several, 0 for the others."""
    split = [name.rpartition("/") for name in names]
    homes: dict[str, set[str]] = {}
    for space, slash, name in split:
        if slash and space:
            homes.setdefault(name, set()).add(space)
    shared = {name for name, spaces in homes.items() if len(spaces) > 1}
    numbers = {space: i + 1 for i, space in enumerate(sorted({s for s, _, name in split if name in shared}))}
    return np.array([numbers[space] if name in shared else 0 for space, _, name in split], np.int64)


def _labels(names: Sequence[str], known: Mapping[str, Stand]) -> IntArray:
    """The islands that services have already, numbered from 0; -1 for none."""
    given = [int(known[name][3]) if len(known.get(name, ())) > 3 else None for name in names]
    number = {label: i for i, label in enumerate(sorted({label for label in given if label is not None}))}
    return np.array([-1 if label is None else number[label] for label in given], np.int64)


def _joined(graph: Links, labels: IntArray) -> IntArray:
    """Newcomers join where they talk most, from the residents outwards; strangers have islands."""
    island = labels.copy()
    row = np.repeat(np.arange(len(island)), np.diff(graph.start))
    while True:
        asks = (island[row] < 0) & (island[graph.neighbour] >= 0)
        if not asks.any():
            break
        who, where = _strongest(row[asks], island[graph.neighbour[asks]], graph.weight[asks])
        island[who] = where
    alone = island < 0
    lonely = alone & (np.diff(graph.start) == 0)
    parts = components(graph)
    island[alone] = island.max(initial=-1) + 1 + parts[alone]
    island[lonely] = island.max(initial=-1) + 1
    return island


def _within(graph: Links, spaces: IntArray) -> Links:
    """The graph without the calls between two namespaces."""
    low, high, weight = graph.pairs()
    kept = (spaces[low] == spaces[high]) | (spaces[low] == 0) | (spaces[high] == 0)
    return links(graph.key, low[kept], high[kept], weight[kept])


def _without_small(graph: Links, island: IntArray) -> IntArray:
    """Small communities become part of those that they talk to most, and what talks to nobody one island."""
    low, high, weight = graph.pairs()
    while True:
        count = int(island.max(initial=-1)) + 1
        small = np.bincount(island, minlength=count) < _SMALLEST_ISLAND
        a, b = island[low], island[high]
        a, b, w = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([weight, weight])
        asks = (a != b) & small[a]
        if not asks.any():
            break
        who, where = _strongest(a[asks], b[asks], w[asks])
        joins = links(np.arange(count), who, where, np.ones(len(who)))
        island = components(joins)[island]
    lonely = np.bincount(island, minlength=count) < _SMALLEST_ISLAND
    if lonely[island].sum() >= _SMALLEST_ISLAND or lonely.all():
        return np.where(lonely[island], count, island)
    return np.where(lonely[island], _largest(island), island)


def _largest(island: IntArray) -> int:
    """The largest island, of several that with the first member."""
    return int(island[np.flatnonzero(by_size(island) == 0)[0]])


def _strongest(who: IntArray, where: IntArray, weight: FloatArray) -> tuple[IntArray, IntArray]:
    """For each that occurs in ``who``, where most of its weight goes; the lower number of two alike."""
    pairs, which = np.unique(np.column_stack([who, where]), axis=0, return_inverse=True)
    sums = np.bincount(which.reshape(-1), weight, len(pairs))
    order = np.lexsort((pairs[:, 1], -sums, pairs[:, 0]))
    ordered = pairs[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:, 0] != ordered[:-1, 0]]))
    return ordered[first, 0], ordered[first, 1]
