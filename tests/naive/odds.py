"""By what factor odds moved at least: every table of two by two with these margins is listed."""

from __future__ import annotations

from math import comb
from statistics import NormalDist


def upper_tail(more: int, of_more: int, less: int, of_less: int, bits: float) -> float:
    """P(so many of the first or more) if its odds are 2**bits times the other's; of just so many, half."""
    both = more + less
    tables = {k: comb(of_more, k) * comb(of_less, both - k) * 2.0 ** (bits * k) for k in range(both + 1)}
    beyond = sum(weight for k, weight in tables.items() if k > more) + tables[more] / 2
    return beyond / sum(tables.values())


def score(more: int, of_more: int, less: int, of_less: int) -> float:
    """The normal deviate that is as improbable."""
    return -NormalDist().inv_cdf(upper_tail(more, of_more, less, of_less, 0.0))


def certain(more: int, of_more: int, less: int, of_less: int, errors: float, step: float = 0.01) -> float:
    """The smallest of many factors, in log2, that is not rejected."""
    bits, level = 0.0, NormalDist().cdf(-errors)
    while upper_tail(more, of_more, less, of_less, bits) < level:
        bits += step
    return bits
