"""Graphs for layouts: as hypothesis finds them, and some with a shape of their own."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Graph = tuple[IntArray, IntArray, IntArray, FloatArray]  # keys, source, target, weight

HOSTILE_WEIGHTS = [0.0, -1.0, math.nan, math.inf, 5e-324, 1e308]


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 30, weights: st.SearchStrategy[float] | None = None) -> Graph:
    """Any graph at all: loops, several edges between two, parts, hubs; keys in any order."""
    count = draw(st.integers(0, most))
    keys = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count, unique=True))
    ends = st.integers(0, max(count - 1, 0))
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=3 * count if count else 0))
    pulls = st.floats(0.01, 100.0) | st.sampled_from(HOSTILE_WEIGHTS) if weights is None else weights
    weight = draw(st.lists(pulls, min_size=len(pairs), max_size=len(pairs)))
    edges = np.array(pairs, np.int64).reshape(-1, 2)
    return np.array(keys, np.int64), edges[:, 0], edges[:, 1], np.array(weight, np.float64)


def keys(count: int) -> IntArray:
    return np.random.default_rng(count).permutation(count).astype(np.int64) * 7_919


def with_edges(count: int, source: IntArray, target: IntArray) -> Graph:
    return keys(count), source, target, np.ones(len(source))


def star(count: int) -> Graph:
    return with_edges(count, np.zeros(count - 1, np.int64), np.arange(1, count))


def path(count: int) -> Graph:
    return with_edges(count, np.arange(count - 1), np.arange(1, count))


def clique(count: int) -> Graph:
    a, b = np.triu_indices(count, 1)
    return with_edges(count, a.astype(np.int64), b.astype(np.int64))


def lonely(count: int) -> Graph:
    none = np.zeros(0, np.int64)
    return with_edges(count, none, none)


def groups(count: int, size: int, *, inside: float = 0.5, between: float = 0.5, seed: int = 1) -> Graph:
    """Groups of ``size`` that talk among themselves, each node ``between`` times with anybody."""
    random = np.random.default_rng(seed)
    a = np.repeat(np.arange(count), max(1, round(size * inside)))
    b = a - a % size + random.integers(0, size, len(a))
    far = random.integers(0, count, (2, round(count * between)))
    kept = b < count
    return with_edges(count, np.concatenate([a[kept], far[0]]), np.concatenate([b[kept], far[1]]))
