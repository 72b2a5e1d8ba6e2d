"""Intervals on lanes: the lowest one on which each is alone while it lasts, below that of its parent."""

from __future__ import annotations

import numpy as np
from numba import njit

from tracescape_native.sorting import IntArray


@njit(cache=True, nogil=True)
def _first_free(ends: IntArray, size: int, above: int, start: int) -> int:
    # The first lane from `above` on whose last end is not after `start`. `ends` is a tree of minima: the
    # lanes are its leaves, from `size` on. There is one, for there are as many lanes as intervals.
    node = above + size
    while ends[node] > start:
        while node & 1:  # the right one of two: up
            node >>= 1
        node += 1
    while node < size:
        node *= 2
        if ends[node] > start:
            node += 1
    return node - size


@njit(cache=True, nogil=True)
def _assign(order: IntArray, parent: IntArray, start: IntArray, end: IntArray, size: int) -> IntArray:
    lane = np.zeros(len(parent), np.int64)
    ends = np.full(2 * size, np.iinfo(np.int64).min, np.int64)
    for i in order:
        above = lane[parent[i]] + 1 if parent[i] >= 0 else 0
        found = _first_free(ends, size, above, start[i])
        lane[i] = found
        node = found + size
        ends[node] = max(end[i], start[i] + 1)
        while node > 1:
            node >>= 1
            ends[node] = min(ends[2 * node], ends[2 * node + 1])
    return lane


def lanes(order: IntArray, parent: IntArray, start: IntArray, end: IntArray) -> IntArray:
    """The lane of each interval [start, end), from 0; int64, shape (n,). O(n log n) for any input.

    No two on a lane overlap; one of no length takes up 1. ``parent`` is the index of another interval, whose
    lane is lower, or -1. ``order`` names each interval once, parents before their children: that is the
    order in which lanes are given away. In order of their starts they are packed densely.
    """
    size = 1
    while size < 2 * len(parent) + 2:
        size *= 2
    return np.asarray(_assign(order, parent, start, end, size))
