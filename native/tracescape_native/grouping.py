"""From 128-bit trace ids to dense integers, and from those to one contiguous run of rows a trace."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numba import njit

from tracescape_native.memory import NumberArray, pointer, wrapping
from tracescape_native.sorting import IntArray

#: Ids come from outside: a secret seed keeps senders from choosing ids that all meet in one slot. Results
#: do not depend on it.
HASH_SEED: Final = int.from_bytes(os.urandom(7), "big")


_FIRST: Final = 1_024  # ids that there is room for at first
_CODE: Final = np.int64(2**32 - 1)
_TAG: Final = np.int64(2**63 - 2**32)


@wrapping
@njit(cache=True, nogil=True)
def mix(value: int, seed: int) -> np.int64:
    """A well spread 63-bit hash of an int64: the finalizer of SplitMix64 (Steele et al., OOPSLA 2014)."""
    x = np.uint64(np.int64(value)) ^ np.uint64(seed)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.int64(x >> np.uint64(1))


@wrapping
@njit(cache=True, nogil=True, forceinline=True)
def spread(word: int, seed: int) -> Any:
    """A cheap hash of an int64, from 0 to 2^44, whose lower bits are good: multiplication by a secret odd
    number (Dietzfelbinger et al., J. Algorithms 25, 1997)."""
    return np.int64((np.uint64(np.int64(word)) * np.uint64(seed * 2 + 1)) >> np.uint64(20))


@njit(cache=True, nogil=True)
def _refill(table: IntArray, heads: IntArray, count: int, seed: int) -> None:
    table[:] = -1
    last = len(table) - 1
    for code in range(count):
        hashed = mix(heads[code, 0] ^ mix(heads[code, 1], seed), seed)
        slot = hashed & last
        while table[slot] >= 0:
            slot = (slot + 1) & last
        table[slot] = (hashed & _TAG) | code


@wrapping
@njit(cache=True, nogil=True)
def _group_some(
    high: IntArray,
    low: IntArray,
    begin: int,
    codes: IntArray,
    heads: IntArray,
    table: IntArray,
    count: int,
    seed: int,
) -> tuple[int, int]:
    # Number ids from `begin` on until `heads` is full; how far that was, and how many there are then. A slot
    # of the table is the upper half of an id's hash and its code; the ids themselves stand by code, those of
    # traces that are alive at the same time side by side. So a lookup costs two reads, mostly near.
    n, last = len(high), len(table) - 1
    to, slots, known = pointer(codes), pointer(table), pointer(heads)
    row = begin
    while row < n and count < len(heads):
        upper, lower = high[row], low[row]
        hashed = mix(upper ^ mix(lower, seed), seed)
        slot = hashed & last
        code = np.int64(-1)
        while code < 0 and slots[slot] >= 0:
            if (slots[slot] ^ hashed) & _TAG == 0:
                candidate = slots[slot] & _CODE
                if known[2 * candidate] == upper and known[2 * candidate + 1] == lower:
                    code = candidate
            slot = (slot + 1) & last
        if code < 0:
            code = np.int64(count)
            known[2 * code], known[2 * code + 1] = upper, lower
            slots[slot] = (hashed & _TAG) | code
            count += 1
        to[row] = code
        row += 1
    return row, count


def _group(high: IntArray, low: IntArray, seed: int) -> tuple[IntArray, int]:
    # The tables grow out here: a kernel that puts others in their place counts references at every step.
    codes = np.empty(len(high), np.int64)
    heads, table = np.empty((_FIRST, 2), np.int64), np.full(4 * _FIRST, -1, np.int64)
    row, count = _group_some(high, low, 0, codes, heads, table, 0, seed)
    while row < len(high):
        heads = np.concatenate([heads, np.empty_like(heads)])
        table = np.empty(4 * len(heads), np.int64)
        _refill(table, heads, count, seed)
        row, count = _group_some(high, low, row, codes, heads, table, count, seed)
    return codes, count


def group_ids(high: IntArray, low: IntArray) -> tuple[IntArray, int]:
    """Number distinct 128-bit ids from 0 in order of first appearance.

    ``high`` and ``low`` are the halves of the ids, int64, shape (n,). Returns the number of each row,
    int64, shape (n,), and how many there are. Expected O(n).
    """
    codes, count = _group(high, low, HASH_SEED)
    return codes, int(count)


@njit(cache=True, nogil=True)
def _rows_by_code(codes: IntArray, count: int) -> tuple[IntArray, NumberArray]:
    offsets = np.zeros(count + 1, np.int64)
    for code in codes:
        offsets[code + 1] += 1
    for code in range(count):
        offsets[code + 1] += offsets[code]
    cursor = offsets[:-1].copy()
    rows = np.empty(len(codes), np.int32)
    for row in range(len(codes)):
        rows[cursor[codes[row]]] = row
        cursor[codes[row]] += 1
    return offsets, rows


def rows_by_code(codes: IntArray, count: int) -> tuple[IntArray, NumberArray]:
    """Rows of each code side by side, in row order: a counting sort, O(n + count).

    Returns ``offsets``, int64, shape (count + 1,), and ``rows``, int32, shape (n,): the rows of code ``c``
    are ``rows[offsets[c]:offsets[c + 1]]``. Codes are in [0, count). Raises ``ValueError`` from 2³¹ rows on.
    """
    if len(codes) >= 2**31:
        raise ValueError(f"{len(codes):,} rows are too many to sort at once: the limit is 2,147,483,647")
    offsets, rows = _rows_by_code(codes, count)
    return offsets, rows
