"""How different two sets of counts are, and how sure that is: NumPy over arrays of counts.

``a`` and ``b`` count the spans of the selection and of the baseline that have a value; ``size_a`` and
``size_b`` count all of each. Every function takes arrays of shape (n,) or numbers, and none fails for zeros.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: The normal quantile of a 95 % interval.
_Z: Final = 1.959963984540054
#: Below this expected count the chi-squared distribution is a bad guess, and the exact test decides.
_FEW: Final = 5.0


def difference_interval(a: IntArray, size_a: int, b: IntArray, size_b: int) -> tuple[FloatArray, FloatArray]:
    """95 % interval of a/size_a − b/size_b: Newcombe's hybrid score interval (1998, method 10).

    From -1 to 1, float64 of shape (n,); -1 and 1 where a side is empty.
    """
    if not size_a or not size_b:
        return np.full(len(a), -1.0), np.full(len(a), 1.0)
    share_a, low_a, high_a = _wilson(a, size_a)
    share_b, low_b, high_b = _wilson(b, size_b)
    low = share_a - share_b - np.hypot(share_a - low_a, high_b - share_b)
    high = share_a - share_b + np.hypot(high_a - share_a, share_b - low_b)
    return low, high


def _wilson(count: IntArray, size: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    share = count / size
    middle = share + _Z**2 / (2 * size)
    half = _Z * np.sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    scale = 1 + _Z**2 / size
    return share, (middle - half) / scale, (middle + half) / scale


def independence_p(a: IntArray, size_a: int, b: IntArray, size_b: int) -> FloatArray:
    """p-value, for each row, that a value is as frequent in both: the G-test, or Fisher's exact test.

    The latter (two-sided, the sum of all tables that are no more probable) where a cell of the table of two
    by two expects fewer than 5. 1 where a side is empty. float64 of shape (n,).
    """
    total = size_a + size_b
    if not size_a or not size_b:
        return np.ones(len(a))
    cells = [(a, size_a), (size_a - a, size_a), (b, size_b), (size_b - b, size_b)]
    with_value = a + b
    margins = [with_value, total - with_value, with_value, total - with_value]
    expected = [margin * np.float64(size / total) for margin, (_, size) in zip(margins, cells, strict=True)]
    parts = [_xlog(observed, hoped) for (observed, _), hoped in zip(cells, expected, strict=True)]
    g = 2 * np.sum(parts, axis=0)
    p = np.array([math.erfc(math.sqrt(max(each, 0.0) / 2)) for each in np.atleast_1d(g)])
    for row in np.flatnonzero(np.minimum.reduce(expected) < _FEW):
        p[row] = _fisher(int(a[row]), int(with_value[row]), size_a, total)
    return p


def _xlog(observed: IntArray, expected: FloatArray) -> FloatArray:
    """observed · ln(observed / expected), 0 where nothing was observed."""
    safe = np.where(observed > 0, observed, 1)
    return np.where(observed > 0, observed * np.log(safe / np.where(observed > 0, expected, 1.0)), 0.0)


def _fisher(found: int, with_value: int, size: int, total: int) -> float:
    """Two-sided p of ``found`` among ``size`` of ``total``, of which ``with_value`` have the value."""
    least = max(0, size + with_value - total)
    k = np.arange(least, min(size, with_value), dtype=np.float64)
    steps = np.log((with_value - k) * (size - k) / ((k + 1) * (total - with_value - size + k + 1)))
    log_p = np.concatenate([[0.0], np.cumsum(steps)])
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    # Rounding must not part tables that are equally probable.
    return min(float(p[p <= p[found - least] * (1 + 1e-7)].sum()), 1.0)


def distribution_p(a: IntArray, b: IntArray) -> float:
    """p-value that two rows of counts, of shape (k,), come from one distribution: the G-test."""
    size_a, size_b = int(a.sum()), int(b.sum())
    total = size_a + size_b
    seen = (a + b) > 0
    freedom = int(seen.sum()) - 1
    if not size_a or not size_b or freedom < 1:
        return 1.0
    both = (a + b)[seen]
    g = 2 * float((_xlog(a[seen], both * size_a / total) + _xlog(b[seen], both * size_b / total)).sum())
    return chi_squared_tail(max(g, 0.0), freedom)


def chi_squared_tail(value: float, freedom: int) -> float:
    """P(X >= value) for a chi-squared X with ``freedom`` >= 1 degrees: the finite sum of whole degrees.

    Abramowitz and Stegun, 26.4.4 and 26.4.5, term by term in logarithms.
    """
    half = value / 2
    if half <= 0:
        return 1.0
    odd = freedom % 2
    begin = math.erfc(math.sqrt(half)) if odd else 0.0
    powers = np.arange(freedom // 2, dtype=np.float64) + odd / 2
    if not len(powers):
        return begin
    log_gamma = np.cumsum(np.concatenate([[math.lgamma(1 + odd / 2)], np.log(powers[1:])]))
    return min(begin + float(np.exp(powers * math.log(half) - half - log_gamma).sum()), 1.0)


def divergence(a: IntArray, b: IntArray) -> float:
    """Jensen–Shannon divergence of two rows of counts in bits, 0 to 1, less what chance alone makes of it.

    It says how much a span's value tells about the side it is on, were both sides alike in size. Counts that
    differ by chance alone diverge by (k − 1) / (8 ln 2) · (1/Σa + 1/Σb) on average, for k values that occur.
    """
    if not a.sum() or not b.sum():
        return 0.0
    return float(_divergences(a[np.newaxis], b[np.newaxis])[0])


def _divergences(a: IntArray, b: IntArray) -> FloatArray:
    """`divergence` of each row, of shape (n, k); those of one array have the same sum, which is not 0."""
    size_a, size_b = int(a[0].sum()), int(b[0].sum())
    p, q = a / size_a, b / size_b
    middle = (p + q) / 2
    found = (_bits(p, middle) + _bits(q, middle)).sum(axis=1) / 2
    values = ((a + b) > 0).sum(axis=1)
    chance = (values - 1) / (8 * math.log(2)) * (1 / size_a + 1 / size_b)
    told: FloatArray = np.clip(found - chance, 0.0, 1.0)
    return told


def divergence_interval(a: IntArray, b: IntArray, rounds: int = 200) -> tuple[float, float]:
    """95 % interval of `divergence`: the parametric bootstrap, always with the same random numbers."""
    size_a, size_b = int(a.sum()), int(b.sum())
    if not size_a or not size_b:
        return 0.0, 1.0
    random = np.random.default_rng(1)
    drawn_a = random.multinomial(size_a, a / size_a, rounds)
    drawn_b = random.multinomial(size_b, b / size_b, rounds)
    low, high = np.quantile(_divergences(drawn_a, drawn_b), [0.025, 0.975])
    found = divergence(a, b)
    return min(float(low), found), max(float(high), found)


def _bits(p: FloatArray, middle: FloatArray) -> FloatArray:
    safe = np.where(p > 0, p, 1.0)
    return np.where(p > 0, p * np.log2(safe / np.where(middle > 0, middle, 1.0)), 0.0)


def value_divergences(a: IntArray, size_a: int, b: IntArray, size_b: int) -> FloatArray:
    """`divergence` of having the value or not, for each of n values; without the correction for chance."""
    if not size_a or not size_b:
        return np.zeros(len(a))
    p, q = a / size_a, b / size_b
    middle = (p + q) / 2
    return (_bits(p, middle) + _bits(1 - p, 1 - middle) + _bits(q, middle) + _bits(1 - q, 1 - middle)) / 2
