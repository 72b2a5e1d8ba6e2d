"""Durations in buckets of one fixed width: OpenTelemetry's base-2 exponential histogram at `SCALE`, always.

At one scale, histograms are counts by bucket: they add up in any order and grouping, exactly, and a quantile
is off by no more than `RELATIVE_ERROR` whatever the spread of the values. Bucket i counts the values in
(base^i, base^(i+1)], base = 2^(2^-SCALE), as in ``histograms``. A *code* is an integer that sorts as the
values do: 0 for 0, i + 2 for a positive value in bucket i (which begin at -1), the opposite for a negative.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

from tracescape_native.memory import leading_zeros
from tracescape_native.sorting import IntArray

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

SCALE: Final = 6
_BASE: Final = 2.0 ** (2.0**-SCALE)
#: How far the value that stands for a bucket may be off, as a share of the truth.
RELATIVE_ERROR: Final = (_BASE - 1) / (_BASE + 1)
#: Codes of int64 values are from -CODES to CODES.
CODES: Final = 63 * 2**SCALE + 1

_PARTS: Final = 2**SCALE
_TOP: Final = 62  # values are compared with a leading one at this bit


def _root(number: int) -> int:
    # floor(number^(1 / _PARTS)): roots of roots round down like the root itself.
    for _ in range(SCALE):
        number = math.isqrt(number)
    return number


#: floor(2^(_TOP + k / _PARTS)): bounds are not whole, so a value is above one exactly if it is above this;
#: the first is whole and belongs to the bucket below it. No value is above the last one.
_LAST: Final = 2**63 - 1
_BOUNDS: Final = np.array([*(_root(2 ** (_TOP * _PARTS + k)) for k in range(_PARTS)), _LAST], np.int64)
#: By the eight bits below the leading one: the right bucket or the one below, for buckets are wider.
_GUESS: Final = np.array(
    [int(np.searchsorted(_BOUNDS, (256 + i) << (_TOP - 8))) - 1 for i in range(256)], np.int64
)


@njit(cache=True, nogil=True)
def bucket_code(value: int) -> int:
    """The code of an int64 value other than the smallest one."""
    rest = np.int64(value)
    if rest == 0:
        return 0
    negative = rest < 0
    if negative:
        rest = -rest
    shift = leading_zeros(rest) - 1
    rest <<= np.int64(shift)
    # Now the leading one is at bit 62: int64 has no room for a 63rd.
    part = _GUESS[(rest >> np.int64(_TOP - 8)) & 255]
    part += np.int64(rest > _BOUNDS[part + 1])
    index = (_TOP - shift) * _PARTS + part
    return int(-(index + 2) if negative else index + 2)


def bucket_values(codes: IntArray) -> IntArray:
    """What stands for each code: the whole number next to the value that is least wrong; int64, shape (n,).

    That is the harmonic mean of the bucket's bounds. A bucket that holds one whole number stands for that.
    """
    size = np.abs(codes)
    upper = np.exp2((size.astype(np.float64) - 1) / _PARTS)
    lower = upper / _BASE
    estimate = np.clip(np.rint(2 * lower * upper / (lower + upper)), np.floor(lower) + 1, np.floor(upper))
    whole = np.where(size == 0, 0.0, np.minimum(estimate, np.nextafter(2.0**63, 0)))
    return np.sign(codes) * whole.astype(np.int64)
