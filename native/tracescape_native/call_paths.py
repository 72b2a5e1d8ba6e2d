"""Call paths: which spans stand at the same place of the same chain of calls, root → … → leaf.

All arrays are int64 of shape (n,) in the depth-first order of a ``Forest``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tracescape_native.forest import Forest
from tracescape_native.grouping import HASH_SEED, mix
from tracescape_native.memory import wrapping
from tracescape_native.sorting import BoolArray, IntArray


class CallPaths(NamedTuple):
    """``path`` is the number of each span's path, shape (n,), -1 for a span that was not asked for.

    Per path, shape (paths,), parents first: ``parent``, the path without its last step (-1 for a root), and
    ``code``, its last step.
    """

    path: IntArray
    parent: IntArray
    code: IntArray


@wrapping
@njit(cache=True, nogil=True)
def _number(
    above: IntArray, code: IntArray, wanted: BoolArray, seed: int
) -> tuple[IntArray, IntArray, IntArray]:
    n = len(code)
    path = np.full(n, -1, np.int64)
    parents = np.empty(512, np.int64)
    codes = np.empty(512, np.int64)
    table = np.full(2048, -1, np.int64)
    count = 0
    for i in range(n):
        if not wanted[i]:
            continue
        parent = path[above[i]] if above[i] >= 0 else -1
        last = len(table) - 1
        slot = mix(code[i] ^ mix(parent, seed), seed) & last
        while table[slot] >= 0 and (parents[table[slot]] != parent or codes[table[slot]] != code[i]):
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = count
            parents[count] = parent
            codes[count] = code[i]
            count += 1
        path[i] = table[slot]
        if count == len(codes):
            parents = np.append(parents, parents)
            codes = np.append(codes, codes)
            table = np.full(4 * len(codes), -1, np.int64)
            last = len(table) - 1
            for known in range(count):
                slot = mix(codes[known] ^ mix(parents[known], seed), seed) & last
                while table[slot] >= 0:
                    slot = (slot + 1) & last
                table[slot] = known
    return path, parents[:count].copy(), codes[:count].copy()


def call_paths(parent: IntArray, code: IntArray, wanted: BoolArray) -> CallPaths:
    """Number the call paths of the spans marked in ``wanted`` (bool), by first appearance.

    ``parent`` is the position of each span's parent, before its own, -1 for none. ``code`` says what a step
    of a path is: spans of one code under parents of one path share a path. Where a span is wanted but its
    parent is not, its path begins there. Expected O(n).
    """
    return CallPaths(*_number(parent, code, wanted, HASH_SEED))


@njit(cache=True, nogil=True)
def _nearest(parent: IntArray, chosen: BoolArray) -> IntArray:
    nearest = np.full(len(parent), -1, np.int64)
    for i in range(len(parent)):
        if chosen[i]:
            nearest[i] = i
        elif parent[i] >= 0:
            nearest[i] = nearest[parent[i]]
    return nearest


def nearest_above(forest: Forest, chosen: BoolArray) -> IntArray:
    """The span itself where it is ``chosen`` (bool), else its nearest ancestor that is; -1 for none."""
    return np.asarray(_nearest(forest.parent, chosen))


@njit(cache=True, nogil=True)
def _greatest(parent: IntArray, values: IntArray) -> IntArray:
    greatest = values.copy()
    for i in range(len(parent)):
        if parent[i] >= 0:
            greatest[i] = max(values[i], greatest[parent[i]])
    return greatest


def greatest_above(forest: Forest, values: IntArray) -> IntArray:
    """The greatest of the values (int64, shape (n,)) of each span and all its ancestors."""
    return np.asarray(_greatest(forest.parent, values))


@njit(cache=True, nogil=True)
def _other_above(parent: IntArray, code: IntArray) -> IntArray:
    other = np.full(len(code), -1, np.int64)
    for i in range(len(code)):
        p = parent[i]
        if p >= 0:
            other[i] = other[p] if code[p] == code[i] else code[p]
    return other


def other_above(forest: Forest, code: IntArray) -> IntArray:
    """The code of each span's nearest ancestor that has another one, -1 where there is none."""
    return np.asarray(_other_above(forest.parent, code))
