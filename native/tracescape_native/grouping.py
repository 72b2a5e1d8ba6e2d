"""From 128-bit trace ids to dense integers, and from those to one contiguous run of rows a trace."""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from numba import njit

from tracescape_native.sorting import IntArray

#: Ids come from outside: a secret seed keeps senders from choosing ids that all meet in one slot. Results
#: do not depend on it.
HASH_SEED: Final = int.from_bytes(os.urandom(7), "big")


@njit(cache=True, nogil=True)
def mix(value: int, seed: int) -> np.int64:
    """A well spread 63-bit hash of an int64: the finalizer of SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = np.uint64(value) ^ np.uint64(seed)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.int64(x >> np.uint64(1))


@njit(cache=True, nogil=True)
def _slot(
    table: IntArray, heads: IntArray, high: IntArray, low: IntArray, row: int, seed: int
) -> np.int64 | int:
    # The slot that holds the code of row's id, or the empty slot where it belongs.
    last = len(table) - 1
    slot = mix(high[row] ^ mix(low[row], seed), seed) & last
    while table[slot] >= 0:
        head = heads[table[slot]]
        if high[head] == high[row] and low[head] == low[row]:
            break
        slot = (slot + 1) & last
    return slot


@njit(cache=True, nogil=True)
def _group(high: IntArray, low: IntArray, seed: int) -> tuple[IntArray, int]:
    n = len(high)
    codes = np.empty(n, np.int64)
    heads = np.empty(n, np.int64)  # the first row of each code
    table = np.full(1024, -1, np.int64)
    count = 0
    for row in range(n):
        if row and high[row] == high[row - 1] and low[row] == low[row - 1]:
            codes[row] = codes[row - 1]
            continue
        slot = _slot(table, heads, high, low, row, seed)
        if table[slot] < 0:
            heads[count] = row
            table[slot] = count
            count += 1
        codes[row] = table[slot]
        if 2 * count > len(table):
            table = np.full(4 * len(table), -1, np.int64)
            for code in range(count):
                table[_slot(table, heads, high, low, heads[code], seed)] = code
    return codes, count


def group_ids(high: IntArray, low: IntArray) -> tuple[IntArray, int]:
    """Number distinct 128-bit ids from 0 in order of first appearance.

    ``high`` and ``low`` are the halves of the ids, int64, shape (n,). Returns the number of each row,
    int64, shape (n,), and how many there are. Expected O(n).
    """
    codes, count = _group(high, low, HASH_SEED)
    return codes, int(count)


@njit(cache=True, nogil=True)
def _rows_by_code(codes: IntArray, count: int) -> tuple[IntArray, IntArray]:
    offsets = np.zeros(count + 1, np.int64)
    for code in codes:
        offsets[code + 1] += 1
    for code in range(count):
        offsets[code + 1] += offsets[code]
    cursor = offsets[:-1].copy()
    rows = np.empty(len(codes), np.int64)
    for row in range(len(codes)):
        rows[cursor[codes[row]]] = row
        cursor[codes[row]] += 1
    return offsets, rows


def rows_by_code(codes: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """Rows of each code side by side, in row order: a counting sort, O(n + count).

    Returns ``offsets``, shape (count + 1,), and ``rows``, shape (n,), both int64: the rows of code ``c`` are
    ``rows[offsets[c]:offsets[c + 1]]``. Codes are in [0, count).
    """
    offsets, rows = _rows_by_code(codes, count)
    return offsets, rows
