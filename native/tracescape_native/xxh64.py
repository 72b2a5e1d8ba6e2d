"""XXH64 of a run of bytes, bit for bit what the xxhash library computes.

Y. Collet, "XXH64 algorithm description" (xxHash specification 0.2.0). Kernels hash a run inside a message
without leaving compiled code; everybody else calls the library.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from tracescape_native.memory import ByteArray, Word, load32, load64

_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_P5: Final = np.uint64(0x27D4EB2F165667C5)


@njit(cache=True, nogil=True, forceinline=True)
def _rotate(word: Word, left: int) -> Word:
    return (word << np.uint64(left)) | (word >> np.uint64(64 - left))


@njit(cache=True, nogil=True, forceinline=True)
def _round(lane: Word, word: Word) -> Word:
    return _rotate(lane + word * _P2, 31) * _P1


@njit(cache=True, nogil=True, forceinline=True)
def _merge(total: Word, lane: Word) -> Word:
    return (total ^ _round(np.uint64(0), lane)) * _P1 + _P4


@njit(cache=True, nogil=True, forceinline=True)
def _avalanche(total: Word) -> Word:
    total = (total ^ (total >> np.uint64(33))) * _P2
    total = (total ^ (total >> np.uint64(29))) * _P3
    return total ^ (total >> np.uint64(32))


@njit(cache=True, nogil=True)
def xxh64(data: ByteArray, start: int, end: int, seed: Word) -> Word:
    """The uint64 hash of ``data[start:end]``, which must lie inside the array; ``seed`` is a uint64."""
    at = start
    if end - start >= 32:
        one, two = seed + _P1 + _P2, seed + _P2
        three, four = seed + np.uint64(0), seed - _P1
        while at + 32 <= end:
            one = _round(one, load64(data, at))
            two = _round(two, load64(data, at + 8))
            three = _round(three, load64(data, at + 16))
            four = _round(four, load64(data, at + 24))
            at += 32
        total = _rotate(one, 1) + _rotate(two, 7) + _rotate(three, 12) + _rotate(four, 18)
        total = _merge(_merge(_merge(_merge(total, one), two), three), four)
    else:
        total = seed + _P5
    total += np.uint64(end - start)
    while at + 8 <= end:
        total = _rotate(total ^ _round(np.uint64(0), load64(data, at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        total = _rotate(total ^ (np.uint64(load32(data, at)) * _P1), 23) * _P2 + _P3
        at += 4
    while at < end:
        total = _rotate(total ^ (np.uint64(data[at]) * _P5), 11) * _P1
        at += 1
    return _avalanche(total)


@njit(cache=True, nogil=True, forceinline=True)
def xxh64_of_words(first: Word, second: Word, third: Word, seed: Word) -> Word:
    """The hash of the 24 bytes that three uint64 words are in little-endian order."""
    total = seed + _P5 + np.uint64(24)
    total = _rotate(total ^ _round(np.uint64(0), first), 27) * _P1 + _P4
    total = _rotate(total ^ _round(np.uint64(0), second), 27) * _P1 + _P4
    total = _rotate(total ^ _round(np.uint64(0), third), 27) * _P1 + _P4
    return _avalanche(total)
