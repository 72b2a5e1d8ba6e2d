"""Sorting index arrays by three integer keys: what a kernel needs where NumPy's sort cannot be called."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_RUN = 16  # runs this short are sorted by insertion: faster than merging, and typical traces fit in a few
_SIGN = np.int64(-(2**63))


def unsigned_order(ids: IntArray) -> IntArray:
    """Keys that sort as signed integers the way ``ids`` sort as unsigned ones; shape (n,), int64."""
    return np.bitwise_xor(ids, _SIGN)


@njit(cache=True, nogil=True)
def _before(a: int, b: int, first: IntArray, second: IntArray, third: IntArray) -> bool:
    if first[a] != first[b]:
        return bool(first[a] < first[b])
    if second[a] != second[b]:
        return bool(second[a] < second[b])
    return bool(third[a] < third[b])


@njit(cache=True, nogil=True)
def _sort_run(
    index: IntArray, low: int, high: int, first: IntArray, second: IntArray, third: IntArray
) -> None:
    for i in range(low + 1, high):
        item = index[i]
        j = i
        while j > low and _before(item, index[j - 1], first, second, third):
            index[j] = index[j - 1]
            j -= 1
        index[j] = item


@njit(cache=True, nogil=True)
def sort_index(
    index: IntArray, first: IntArray, second: IntArray, third: IntArray, scratch: IntArray
) -> None:
    """Sort ``index`` in place by ``(first[i], second[i], third[i])`` ascending; equal keys keep their order.

    A bottom-up merge sort: O(n log n) comparisons for any input, O(n) for sorted input, no recursion.
    All arrays are int64; ``scratch`` has at least ``len(index)`` elements and is overwritten.
    """
    n = len(index)
    for low in range(0, n, _RUN):
        _sort_run(index, low, min(low + _RUN, n), first, second, third)
    width = _RUN
    while width < n:
        for low in range(0, n - width, 2 * width):
            middle = low + width
            high = min(middle + width, n)
            if not _before(index[middle], index[middle - 1], first, second, third):
                continue
            scratch[low:middle] = index[low:middle]
            left, right, out = low, middle, low
            while left < middle and right < high:
                if _before(index[right], scratch[left], first, second, third):
                    index[out] = index[right]
                    right += 1
                else:
                    index[out] = scratch[left]
                    left += 1
                out += 1
            while left < middle:
                index[out] = scratch[left]
                left += 1
                out += 1
        width *= 2
