"""Places for the nodes of a graph: a force-directed layout in space, from a coarse graph to the whole.

After Walshaw, "A Multilevel Algorithm for Force-Directed Graph Drawing" (2003): the graph is halved until few
nodes are left, those are laid out, and each finer graph begins where its coarser one ended. Forces are
Fruchterman and Reingold's (1991), repulsion is Barnes and Hut's (`layout_tree`). It departs from them in that
steps shrink geometrically, that a weak pull to the middle keeps parts together which nothing joins, and that
heights can be given: they are part of every distance and do not change, so that layers keep their order.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tracescape_native.layout_graph import Links, coarser
from tracescape_native.layout_tree import Float32Array, IntArray, add_push, grow, push, step
from tracescape_native.memory import INTERPRETED
from tracescape_native.parallel import cores, run_all

FloatArray = NDArray[np.float64]

#: A cell of the tree stands for its points from where it looks smaller than this (side over distance).
THETA: Final = 1.5
#: So many nodes are laid out from scratch; more are halved first.
_COARSEST: Final = 40
#: Up to here comparing all with all is faster than a tree.
_FEW: Final = 600
_WORTH_A_THREAD: Final = 5_000
_GRAVITY: Final = 0.02
#: Steps from scratch, and on the way to the whole graph: most where they cost least.
_FIRST_STEPS: Final = 120
_STEPS: Final = 40
_LAST_STEPS: Final = 25
_LONGEST, _SHORTEST = 1.0, 0.02
#: How much the world grows as its nodes double: that of a ball, and a little for the parting.
_GROWTH: Final = 1.25


def lay_out(
    graph: Links,
    *,
    height: FloatArray | None = None,
    theta: float = THETA,
    gravity: float = _GRAVITY,
) -> FloatArray:
    """Places for the nodes of ``graph``, in its order: float64, shape (n, 3). O((n + m) log n).

    One unit is about the distance of two nodes that only each other hold. The same graph gives the same
    places, on one core and on many; another order of the caller's nodes does too.

    Args:
        graph: see `layout_graph.links`. Weights count by how they compare to their mean.
        height: z of each node of ``graph``, shape (n,), which then stays; finite.
        theta: how coarsely far nodes are added up; 0 adds up each.
        gravity: the pull to the middle, per unit of distance.
    """
    heights = [None if height is None else np.ascontiguousarray(height, np.float32)]
    mean = graph.weight.mean() if len(graph.weight) else 1.0
    graphs = [graph._replace(weight=np.clip(graph.weight / mean, 1e-3, 1e3))]
    masses = [np.ones(len(graph.order))]
    parents = []
    while len(masses[-1]) > _COARSEST:
        small, mass, parent = coarser(graphs[-1], masses[-1])
        if len(mass) > 0.95 * len(masses[-1]):
            break  # mostly nodes without neighbours
        upper = heights[-1]
        mean_height = None if upper is None else np.bincount(parent, upper * masses[-1], len(mass)) / mass
        heights.append(None if mean_height is None else mean_height.astype(np.float32))
        graphs.append(small)
        masses.append(mass)
        parents.append(parent)
    place = _scattered(graphs[-1].key, heights[-1])
    place = relax(
        graphs[-1], place, masses[-1], height=heights[-1], theta=theta, gravity=gravity, steps=_FIRST_STEPS
    )
    for level in range(len(parents) - 1, -1, -1):
        place = place[parents[level]] * np.float32(_GROWTH) + 0.3 * _noise(graphs[level].key)
        place = relax(
            graphs[level],
            place,
            masses[level],
            height=heights[level],
            theta=theta,
            gravity=gravity,
            steps=_STEPS if level else _LAST_STEPS,
        )
    return place.astype(np.float64)


def relax(
    graph: Links,
    place: Float32Array,
    mass: FloatArray,
    *,
    steps: int,
    height: Float32Array | None = None,
    theta: float = THETA,
    gravity: float = _GRAVITY,
    longest: float = _LONGEST,
) -> Float32Array:
    """Where nodes come from ``place`` (n, 3) in some steps, each shorter than the one before: float32 (n, 3).

    ``mass`` (n,) is how many nodes each stands for, ``longest`` the first step. See `lay_out` for the others.
    """
    here = np.ascontiguousarray(place, np.float32)
    if height is not None:
        here[:, 2] = height
    if not len(here):
        return here
    rows = (graph.start, graph.neighbour, graph.weight.astype(np.float32))
    reaches = longest * (_SHORTEST / _LONGEST) ** (np.arange(steps) / max(steps - 1, 1))
    masses = mass.astype(np.float32)
    if len(here) <= _FEW:
        return _relax_few(here, masses, *rows, reaches, float(gravity), height is not None)
    order = np.arange(len(here))
    pushed, there = np.empty_like(here), np.empty_like(here)
    for reach in reaches.tolist():
        tree = grow(here, masses, order)
        order = tree.order
        run_all(
            lambda first, last, tree=tree: push(tree, first, last, theta, pushed),  # type: ignore[misc]
            _parts(len(tree.leaves), len(here)),
        )
        run_all(
            lambda first, last, a=here, b=there, r=reach: step(  # type: ignore[misc]
                a, pushed, b, *rows, first, last, float(gravity), r, height is not None
            ),
            _parts(len(here), len(here)),
        )
        here, there = there, here
    return here


def _parts(count: int, nodes: int) -> list[tuple[int, int]]:
    """Ranges for the cores; several each, for some parts of a tree are deeper than others."""
    parts = 1 if INTERPRETED or nodes < _WORTH_A_THREAD or cores() == 1 else min(4 * cores(), count)
    cuts = [count * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(cuts))


@njit(cache=True, nogil=True)
def _relax_few(
    place: Float32Array,
    mass: Float32Array,
    start: IntArray,
    neighbour: IntArray,
    pull: Float32Array,
    reaches: FloatArray,
    gravity: float,
    upright: bool,
) -> Float32Array:
    """All against all: the same forces as the tree's with a theta of 0."""
    n = len(place)
    point = np.empty((4, n), np.float32)
    point[3] = mass
    pushed, here, there = np.empty_like(place), place.copy(), np.empty_like(place)
    for reach in reaches:
        for axis in range(3):
            point[axis] = here[:, axis]
        for i in range(n):
            pushed[i, 0], pushed[i, 1], pushed[i, 2] = add_push(here[i, 0], here[i, 1], here[i, 2], point, n)
        step(here, pushed, there, start, neighbour, pull, 0, n, gravity, reach, upright)
        here, there = there, here
    return here


def _scattered(key: IntArray, height: Float32Array | None) -> Float32Array:
    """A beginning: a cloud as large as so many nodes need."""
    width = 2.0 * len(key) ** (1 / 3 if height is None else 1 / 2)
    scattered: Float32Array = np.float32(width) * _noise(key)
    return scattered


def _noise(key: IntArray) -> Float32Array:
    """For each key three numbers in [-1, 1) that look like chance: SplitMix64 (Steele et al. 2014)."""
    state = key.view(np.uint64)[:, None] + np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    unit = (state >> np.uint64(11)).astype(np.float64) / 2.0**53
    noise: Float32Array = (2 * unit - 1).astype(np.float32)
    return noise
