"""How the distributions of a number differ, from counts by bucket."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tracescape_analytics.compare.counting import Counts, bucket_bounds
from tracescape_analytics.compare.effects import FloatArray, IntArray

_BINS: Final = 10


class Numbers(NamedTuple):
    """Counts by bucket, in the order of the numbers: all of shape (n,)."""

    low: FloatArray
    high: FloatArray
    a: IntArray
    b: IntArray


class Shift(NamedTuple):
    """How far the selection's numbers are from the baseline's.

    Quantiles are upper bounds of buckets, so up to 2.2 % too large. ``ks`` is the Kolmogorov–Smirnov
    distance, 0 to 1, looked at between buckets: up to the share of the fullest bucket too small.
    ``wasserstein`` is by how much a number has to move on average to make one distribution out of the other,
    in the number's own unit.
    """

    median_a: float
    median_b: float
    p95_a: float
    p95_b: float
    ks: float
    wasserstein: float
    p: float


def numbers_of(counts: Counts) -> Numbers | None:
    """The buckets of an attribute; None if either side has no number of it."""
    bounds = sorted((bucket_bounds(bucket), tuple(found)) for bucket, found in counts.buckets.items())
    if not bounds:
        return None
    low, high = np.array([each for each, _ in bounds], np.float64).T
    a, b = np.array([found for _, found in bounds], np.int64).T
    return Numbers(low, high, a, b) if a.any() and b.any() else None


def shift(numbers: Numbers) -> Shift:
    """See `Shift`. Its p-value is Kolmogorov's for large samples, with Stephens' correction (1970)."""
    size_a, size_b = int(numbers.a.sum()), int(numbers.b.sum())
    apart = np.abs(np.cumsum(numbers.a) / size_a - np.cumsum(numbers.b) / size_b)
    middle = (numbers.low + numbers.high) / 2
    ks = float(apart.max())
    return Shift(
        median_a=_quantile(numbers, numbers.a, 0.5),
        median_b=_quantile(numbers, numbers.b, 0.5),
        p95_a=_quantile(numbers, numbers.a, 0.95),
        p95_b=_quantile(numbers, numbers.b, 0.95),
        ks=ks,
        wasserstein=float((apart[:-1] * np.diff(middle)).sum()),
        p=_kolmogorov(ks, size_a * size_b / (size_a + size_b)),
    )


def _quantile(numbers: Numbers, counts: IntArray, q: float) -> float:
    place = int(np.searchsorted(np.cumsum(counts), q * counts.sum()))
    return float(numbers.high[place])


def _kolmogorov(distance: float, size: float) -> float:
    root = math.sqrt(size)
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0  # the series alternates too long to be added up, and its sum is 1 to ten digits
    terms = (2.0 * (-1.0) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(max(sum(terms), 0.0), 1.0)


class Bin(NamedTuple):
    """A range of numbers, from its first bucket's smallest to its last bucket's largest, and its counts."""

    low: float
    high: float
    a: int
    b: int

    @property
    def text(self) -> str:
        """``low … high``, to four digits."""
        low, high = (f"{float(f'{bound:.4g}'):,.15g}" for bound in (self.low, self.high))
        return f"{low} … {high}"


def binned(numbers: Numbers) -> list[Bin]:
    """Up to ten ranges that hold about as much of both sides together, which weigh the same."""
    filled = np.cumsum(numbers.a / numbers.a.sum() + numbers.b / numbers.b.sum()) / 2
    bins = np.minimum((filled - 1e-12) * _BINS, _BINS - 1).astype(np.int64)
    found = []
    for number in np.unique(bins):
        rows = np.flatnonzero(bins == number)
        a, b = int(numbers.a[rows].sum()), int(numbers.b[rows].sum())
        found.append(Bin(float(numbers.low[rows[0]]), float(numbers.high[rows[-1]]), a, b))
    return found
