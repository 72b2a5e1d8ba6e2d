"""Whole numbers in few bytes: LEB128, as Protocol Buffers have it, seven bits a byte, the lowest first."""

from __future__ import annotations

import numpy as np
from numba import njit

from tracescape_native.memory import ByteArray
from tracescape_native.sorting import IntArray

_LONGEST = 9  # bytes of 63 bits


@njit(cache=True, nogil=True)
def _pack(values: IntArray, out: ByteArray) -> int:
    n = 0
    for i in range(len(values)):
        rest = values[i]
        while rest > 127:
            out[n] = (rest & 127) | 128
            rest >>= 7
            n += 1
        out[n] = rest
        n += 1
    return n


@njit(cache=True, nogil=True)
def _unpack(data: ByteArray, out: IntArray) -> int:
    # How many bytes that took; -1 where there are too few.
    n = 0
    for i in range(len(out)):
        value, shift = np.int64(0), 0
        while True:
            if n == len(data) or shift > 56:
                return -1
            byte = np.int64(data[n])
            n += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        out[i] = value
    return n


def packed(values: IntArray) -> bytes:
    """The bytes of ``values``, int64, none negative, shape (n,). O(n)."""
    out = np.empty(_LONGEST * len(values), np.uint8)
    return out[: int(_pack(values, out))].tobytes()


def unpacked(data: ByteArray, count: int) -> tuple[IntArray, int]:
    """The first ``count`` numbers in ``data`` (uint8), int64, shape (count,), and how many bytes they are.

    Raises ``ValueError`` where those are no such numbers.
    """
    out = np.empty(count, np.int64)
    used = int(_unpack(data, out))
    if used < 0:
        raise ValueError(f"these {len(data)} bytes are not {count} packed numbers")
    return out, used
