"""Base-2 exponential histograms, many at a time, as OpenTelemetry defines them (metrics data model).

At scale s the base is 2^(2^-s); bucket i counts the values in (base^i, base^(i+1)]. A histogram has the
largest scale, at most ``MAX_SCALE``, at which its values fill no more than ``max_buckets`` in a row. That
depends on its smallest and largest value alone, and a scale one lower joins pairs of buckets exactly; so
histograms of parts, merged in any order, equal the histogram of the whole, bit for bit.

Values are int64, in nanoseconds where they are durations.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.memory import NumberArray, wrapping
from tracescape_native.sorting import IntArray

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: OpenTelemetry's defaults for the SDK's base-2 exponential histogram aggregation.
MAX_SCALE: Final = 20
MAX_BUCKETS: Final = 160


class Histograms(NamedTuple):
    """One histogram a group, int64.

    Shape (groups,): ``scale``; ``first``, the index of the first bucket; ``zeros``, how many values were 0;
    ``counts`` of values (zeros included), ``sums`` of them (wrap around beyond int64), ``low`` and ``high``,
    the smallest and largest value. Histogram g's buckets are ``buckets[offsets[g]:offsets[g + 1]]``, of which
    the first and the last are not 0; ``offsets`` has shape (groups + 1,). A group without values is 0
    throughout, at ``MAX_SCALE``.
    """

    scale: IntArray
    first: IntArray
    zeros: IntArray
    counts: IntArray
    sums: IntArray
    low: IntArray
    high: IntArray
    offsets: IntArray
    buckets: IntArray


@njit(cache=True, nogil=True)
def _index(value: int) -> int:
    # The bucket of a positive value at MAX_SCALE. Powers of 2 are upper bounds, exactly; between two of them
    # the logarithm is of a number in (1, 2), where it is precise.
    power = 0
    rest = np.int64(value)
    for step in (32, 16, 8, 4, 2, 1):
        if rest >> step:
            rest >>= step
            power += step
    whole = np.int64(1) << np.int64(power)
    if value == whole:
        return (power << MAX_SCALE) - 1
    part = np.log2(1.0 + np.float64(value - whole) / np.float64(whole))
    inside = int(np.ceil(part * (1 << MAX_SCALE))) - 1
    return (power << MAX_SCALE) + min(max(inside, 0), (1 << MAX_SCALE) - 1)


@njit(cache=True, nogil=True)
def _halvings(low: int, high: int, most: int) -> int:
    # How often the buckets low … high must be joined in pairs until they are no more than `most`.
    times = 0
    while (high >> times) - (low >> times) >= most:
        times += 1
    return times


@njit(cache=True, nogil=True)
def _lay_out(low: IntArray, high: IntArray, most: int, out: Histograms) -> int:
    # From the index range of each group at its present scale to scale, first and offsets; how many buckets.
    total = 0
    for g in range(len(low)):
        out.offsets[g] = total
        if low[g] <= high[g]:
            times = _halvings(low[g], high[g], most)
            out.scale[g] -= times
            out.first[g] = low[g] >> times
            total += (high[g] >> times) - out.first[g] + 1
    out.offsets[len(low)] = total
    return total


@wrapping
@njit(cache=True, nogil=True)
def _measure(
    values: IntArray, group: IntArray, index: NumberArray, low: IntArray, high: IntArray, out: Histograms
) -> bool:
    # All but the buckets; False if a value is negative.
    for row in range(len(values)):
        value, g = values[row], group[row]
        if value < 0:
            return False
        if out.counts[g] == 0:
            out.low[g] = out.high[g] = value
        out.counts[g] += 1
        out.sums[g] += value
        out.low[g] = min(out.low[g], value)
        out.high[g] = max(out.high[g], value)
        if value == 0:
            out.zeros[g] += 1
            continue
        index[row] = _index(value)
        low[g] = min(low[g], index[row])
        high[g] = max(high[g], index[row])
    return True


@njit(cache=True, nogil=True)
def _fill(values: IntArray, group: IntArray, index: NumberArray, out: Histograms, buckets: IntArray) -> None:
    for row in range(len(values)):
        if values[row]:
            g = group[row]
            place = (np.int64(index[row]) >> (MAX_SCALE - out.scale[g])) - out.first[g]
            buckets[out.offsets[g] + place] += 1


@wrapping
@njit(cache=True, nogil=True)
def _combine(parts: Histograms, group: IntArray, low: IntArray, high: IntArray, out: Histograms) -> None:
    for i in range(len(group)):
        g = group[i]
        if parts.counts[i] == 0:
            continue
        if out.counts[g] == 0:
            out.low[g], out.high[g] = parts.low[i], parts.high[i]
        out.counts[g] += parts.counts[i]
        out.zeros[g] += parts.zeros[i]
        out.sums[g] += parts.sums[i]
        out.low[g] = min(out.low[g], parts.low[i])
        out.high[g] = max(out.high[g], parts.high[i])
        out.scale[g] = min(out.scale[g], parts.scale[i])
    for i in range(len(group)):
        g = group[i]
        size = parts.offsets[i + 1] - parts.offsets[i]
        if size:
            times = parts.scale[i] - out.scale[g]
            low[g] = min(low[g], parts.first[i] >> times)
            high[g] = max(high[g], (parts.first[i] + size - 1) >> times)


@njit(cache=True, nogil=True)
def _pour(parts: Histograms, group: IntArray, out: Histograms, buckets: IntArray) -> None:
    for i in range(len(group)):
        g = group[i]
        times = parts.scale[i] - out.scale[g]
        for k in range(parts.offsets[i], parts.offsets[i + 1]):
            place = ((parts.first[i] + k - parts.offsets[i]) >> times) - out.first[g]
            buckets[out.offsets[g] + place] += parts.buckets[k]


@njit(cache=True, nogil=True)
def _quantile(histograms: Histograms, share: float, out: FloatArray) -> None:
    for g in range(len(out)):
        count = histograms.counts[g]
        if count == 0:
            out[g] = np.nan
            continue
        rank = min(max(np.int64(np.ceil(share * count)), 1), count)
        seen = histograms.zeros[g]
        if rank <= seen:
            out[g] = 0.0
            continue
        k = histograms.offsets[g]
        while seen + histograms.buckets[k] < rank:
            seen += histograms.buckets[k]
            k += 1
        index = histograms.first[g] + k - histograms.offsets[g]
        width = 2.0 ** -np.float64(histograms.scale[g])
        lower, upper = 2.0 ** (index * width), 2.0 ** ((index + 1) * width)
        estimate = lower / (lower + upper) * 2.0 * upper
        out[g] = min(max(estimate, np.float64(histograms.low[g])), np.float64(histograms.high[g]))


def _empty(groups: int) -> tuple[Histograms, IntArray, IntArray]:
    scale, first, zeros, count, total, low, high = np.zeros((7, groups), np.int64)
    scale[:] = MAX_SCALE
    offsets, buckets = np.zeros(groups + 1, np.int64), np.empty(0, np.int64)
    out = Histograms(scale, first, zeros, count, total, low, high, offsets, buckets)
    return out, np.full(groups, 2**62, np.int64), np.full(groups, -(2**62), np.int64)


def _checked(group: IntArray, groups: int, rows: int, most: int) -> IntArray:
    if most < 2:
        raise ValueError(f"max_buckets={most}: a histogram needs 2 at least")
    numbers = np.ascontiguousarray(group, dtype=np.int64)
    if numbers.shape != (rows,):
        raise ValueError(f"group has shape {numbers.shape}: one number for each of {rows} is needed")
    if rows and not 0 <= numbers.min() <= numbers.max() < groups:
        raise ValueError(f"groups are numbered from 0 to {groups - 1}")
    return numbers


def record(values: IntArray, group: IntArray, groups: int, max_buckets: int = MAX_BUCKETS) -> Histograms:
    """One histogram for each of ``groups``, of ``values`` (int64, shape (n,), none negative). O(n).

    ``group[i]`` in [0, groups) says where ``values[i]`` counts. Raises ``ValueError`` for a negative value,
    another group, or fewer than 2 ``max_buckets``.
    """
    numbers = np.ascontiguousarray(values, dtype=np.int64)
    group = _checked(group, groups, len(numbers), max_buckets)
    out, low, high = _empty(groups)
    index = np.empty(len(numbers), np.int32)
    if not _measure(numbers, group, index, low, high, out):
        raise ValueError(f"a histogram counts values from 0 on, not {numbers.min()}")
    buckets = np.zeros(_lay_out(low, high, max_buckets, out), np.int64)
    _fill(numbers, group, index, out, buckets)
    return out._replace(buckets=buckets)


def merge(parts: Histograms, group: IntArray, groups: int, max_buckets: int = MAX_BUCKETS) -> Histograms:
    """Add up histograms: ``parts``' i-th counts in ``group[i]``, in [0, groups).

    Equals recording all their values at once with the smallest ``max_buckets`` of all, exactly, in any order
    and grouping. Raises ``ValueError`` as ``record`` does. See ``joined`` for parts of several calls.
    """
    group = _checked(group, groups, len(parts.counts), max_buckets)
    out, low, high = _empty(groups)
    _combine(parts, group, low, high, out)
    buckets = np.zeros(_lay_out(low, high, max_buckets, out), np.int64)
    _pour(parts, group, out, buckets)
    return out._replace(buckets=buckets)


def joined(parts: list[Histograms]) -> Histograms:
    """The histograms of all ``parts`` one after the other, as they are."""
    if not parts:
        return _empty(0)[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Histograms._fields
        if name != "offsets"
    }
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    return Histograms(offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), **columns)


def quantile(histograms: Histograms, share: float) -> FloatArray:
    """The value that at least ``share`` of each histogram's values do not exceed, the smallest such.

    float64, shape (groups,), NaN for a group without values. An estimate: off by no more than
    ``relative_error`` of the true value, and never outside of what was recorded. Raises ``ValueError`` unless
    0 <= share <= 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} is not from 0 to 1")
    out = np.empty(len(histograms.counts), np.float64)
    _quantile(histograms, float(share), out)
    return out


def relative_error(histograms: Histograms) -> FloatArray:
    """How far a quantile may be off, as a share of the truth: (base - 1) / (base + 1), shape (groups,)."""
    base = np.exp2(np.exp2(-histograms.scale.astype(np.float64)))
    return np.asarray((base - 1) / (base + 1))
