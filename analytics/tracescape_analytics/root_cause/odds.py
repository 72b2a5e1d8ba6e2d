"""How sure it is that a share moved, and by how much it did at least.

A handful of errors where there were none may be a hundred times as many, or three times: how many they are
*at least* is what counts, and for that an estimate over its standard error is no guide. So the bound is that
of the test itself: the smallest change that it does not reject. The test is the likelihood ratio's, or, where
a cell of the table of two by two has fewer than five, the exact one given the margins (Fisher's, by mid-p;
Cornfield, 1956, for odds that are not equal), for there the ratio is far too sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from tracescape_analytics.significance import BoolArray, FloatArray

_FEW: Final = 5.0
#: No odds are told apart that differ by more, in log2, and none by less than 1e-6 of that.
_FARTHEST: Final = 60.0
_HALVINGS: Final = 40
_NORMAL: Final = NormalDist()
_LEAST_P: Final = 1e-300


class Tables(NamedTuple):
    """Tables of two by two, float64 of shape (k,): ``now`` of ``n`` and ``then`` of ``m`` have something.

    What counts by parts of a trace need not be whole. ``n`` and ``m`` are positive.
    """

    now: FloatArray
    n: FloatArray
    then: FloatArray
    m: FloatArray


def odds_shift(tables: Tables, wide: FloatArray, standard_errors: float) -> tuple[FloatArray, FloatArray]:
    """The normal score of the shift of each share, signed, and how far its odds certainly moved.

    ``wide`` says how many times as much as chance the share varies anyway. The second is in log2, without
    sign, and 0 where the score is less than ``standard_errors``. Both are float64 of shape (k,).
    """
    now, n, then, m = tables
    sign = np.sign(now * m - then * n)
    fell = sign < 0
    more, of_more, less, of_less = (
        np.where(fell, one, other) for one, other in ((then, now), (m, n), (now, then), (n, m))
    )
    seen = _log_likelihood(more, of_more, more / of_more) + _log_likelihood(less, of_less, less / of_less)

    def ratio(bits: FloatArray) -> FloatArray:
        share, other = _likeliest(more + less, of_more, of_less, bits)
        held = _log_likelihood(more, of_more, share) + _log_likelihood(less, of_less, other)
        # Beyond what was seen the ratio grows again: nothing there is a lower bound.
        too_far = share * of_more > more
        left: FloatArray = np.where(too_far, 0.0, np.maximum(2 * (seen - held), 0.0))
        return left

    by_chance = np.sqrt(ratio(np.zeros(len(now))))
    z = by_chance / np.sqrt(wide)
    certain = np.where(z > standard_errors, _bisected(ratio, standard_errors**2 * wide), 0.0)
    for row in np.flatnonzero((by_chance > standard_errors) & _few(tables)):
        table = (math.floor(more[row]), int(of_more[row]), math.ceil(less[row]), int(of_less[row]))
        z[row], certain[row] = _exact(*table, math.sqrt(wide[row]), standard_errors)
    return sign * z, certain


def _few(tables: Tables) -> BoolArray:
    now, n, then, m = tables
    share = (now + then) / (n + m)
    cells = [now, n - now, then, m - then, share * n, (1 - share) * n, share * m, (1 - share) * m]
    few: BoolArray = np.minimum.reduce(cells) < _FEW
    return few


def _bisected(falling: Callable[[FloatArray], FloatArray], below: FloatArray) -> FloatArray:
    # Where a function of bits falls to ``below``.
    low, high = np.zeros(len(below)), np.full(len(below), _FARTHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = falling(middle) > below
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low


def _likeliest(
    having: FloatArray, of_more: FloatArray, of_less: FloatArray, bits: FloatArray
) -> tuple[FloatArray, FloatArray]:
    # The likeliest shares of both sides if the odds of the first are so many times those of the second and
    # ``having`` is what both have together: a quadratic equation in the second, divided by the factor.
    small = np.exp2(-bits)
    square = of_less * (1 - small)
    linear = of_more + of_less * small - having * (1 - small)
    root = np.sqrt(linear**2 + 4 * square * having * small)
    with np.errstate(divide="ignore", invalid="ignore"):
        less = np.where(linear > 0, 2 * having * small / (linear + root), (root - linear) / (2 * square))
    less = np.clip(np.nan_to_num(less), 0.0, 1.0)
    return np.clip((having - of_less * less) / of_more, 0.0, 1.0), less


def _log_likelihood(having: FloatArray, of: FloatArray, share: FloatArray) -> FloatArray:
    # 0 log 0 is 0.
    share, lacking = np.clip(share, _LEAST_P, 1.0), np.clip(1 - share, _LEAST_P, 1.0)
    likely: FloatArray = having * np.log(share) + (of - having) * np.log(lacking)
    return likely


def _exact(
    more: int, of_more: int, less: int, of_less: int, width: float, standard_errors: float
) -> tuple[float, float]:
    """``odds_shift`` of one table, whose first share is the larger; ``width`` is the root of ``wide``."""
    both = more + less
    k = np.arange(max(0, both - of_less), min(both, of_more) + 1, dtype=np.float64)
    at = k[:-1]
    steps = np.log((of_more - at) * (both - at) / ((at + 1) * (of_less - both + at + 1)))
    log_weight = np.concatenate([[0.0], np.cumsum(steps)])

    def tail(bits: float) -> float:
        # P(as many or more), of those that are exactly as many half.
        raised = log_weight + k * (bits * math.log(2))
        weight = np.exp(raised - raised.max())
        return float((weight[k > more].sum() + weight[k == more].sum() / 2) / weight.sum())

    z = -_NORMAL.inv_cdf(min(max(tail(0.0), _LEAST_P), 0.5)) / width
    if z <= standard_errors:
        return max(z, 0.0), 0.0
    level = max(_NORMAL.cdf(-standard_errors * width), _LEAST_P)
    low, high = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) < level else (low, middle)
    return z, low
