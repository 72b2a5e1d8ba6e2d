"""Three textbook tests in plain Python and NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_FIRST_TERMS = 64


def more_errors(errors: int, calls: int, base_errors: int, base_calls: int) -> float:
    """p-value that the error rate rose: the one-sided two-proportion z-test with pooled variance.

    1 where either side has no calls, or where no call or every call failed on both sides.
    """
    if calls == 0 or base_calls == 0:
        return 1.0
    pooled = (errors + base_errors) / (calls + base_calls)
    variance = pooled * (1 - pooled) * (1 / calls + 1 / base_calls)
    if variance <= 0:
        return 1.0
    z = (errors / calls - base_errors / base_calls) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, chance), 0 < chance < 1: exact up to rounding.

    Sums from the mode of the tail outwards until a term no longer counts, O(sqrt(trials)) terms.
    """
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    upper = successes > trials * chance
    odds = chance / (1 - chance)
    k = successes if upper else successes - 1
    log_term = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
    first = math.exp(log_term + k * math.log(chance) + (trials - k) * math.log1p(-chance))
    total = _series(first, k, trials, odds, upper)
    return min(total if upper else 1 - total, 1.0)


def _series(term: float, k: int, trials: int, odds: float, upper: bool) -> float:
    # The sum of probabilities from that of k on, upwards or downwards, many at a time.
    total, length = 0.0, _FIRST_TERMS
    while term > 0 and term > total * 1e-17:
        if upper:
            at = np.arange(k, k + length, dtype=np.float64)
            factors = (trials - at) / (at + 1) * odds
        else:
            at = np.arange(k, k - length, -1, dtype=np.float64)
            factors = at / ((trials - at + 1) * odds)
        terms = np.cumprod(np.concatenate([[term], np.maximum(factors, 0)]))
        sums = np.cumsum(np.concatenate([[total], terms[:-1]]))
        small = (terms <= 0) | (terms <= sums * 1e-17)
        if small.any():
            return float(sums[int(np.argmax(small))])
        term, total, length = float(terms[-1]), float(sums[-1]), 2 * length
        k = k + len(at) if upper else k - len(at)
    return total


def discoveries(p_values: FloatArray, rate: float) -> BoolArray:
    """Which tests are significant at this false discovery rate (Benjamini and Hochberg, 1995, section 3.1).

    ``p_values`` is float64 of shape (n,); the answer is bool of shape (n,).
    """
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= rate * np.arange(1, n + 1) / max(n, 1)
    found = np.zeros(n, np.bool_)
    if passed.any():
        found[order[: int(np.flatnonzero(passed)[-1]) + 1]] = True
    return found
