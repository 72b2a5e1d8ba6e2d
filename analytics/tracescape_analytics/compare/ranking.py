"""Which attribute explains most: our score, and two that others publish, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from tracescape_analytics.compare.effects import FloatArray, IntArray, divergence

Score: TypeAlias = Literal["divergence", "sentry", "grafana"]


class Distribution(NamedTuple):
    """Counts of all values of one attribute, "unset" and the rest that is not told apart included."""

    a: IntArray
    b: IntArray


def by_divergence(attributes: Sequence[Distribution]) -> FloatArray:
    """Ours: see `effects.divergence`; bits, 0 to 1."""
    return np.array([divergence(each.a, each.b) for each in attributes], np.float64)


def by_grafana(attributes: Sequence[Distribution]) -> FloatArray:
    """The largest difference of a value's shares, as Grafana's Traces Drilldown orders its comparison."""
    return np.array([np.abs(_shares(each.a) - _shares(each.b)).max(initial=0) for each in attributes])


def by_sentry(attributes: Sequence[Distribution]) -> FloatArray:
    """Two rankings in one, as Sentry's suspect attributes are ordered.

    Reciprocal rank fusion of the entropy of the selection (the lower the better, weight 0.2) and of the
    Kullback–Leibler divergence of the baseline from it (the higher the better, 0.8), offset 60, after adding
    0.001 to every count.
    """
    entropy, divergences = [], []
    for each in attributes:
        q, p = ((counts + 0.001) / (counts + 0.001).sum() for counts in (each.a, each.b))
        entropy.append(float(-(q * np.log(q)).sum()))
        divergences.append(float((p * np.log(p / q)).sum()))
    by_entropy, by_kl = _ranks(np.array(entropy)), _ranks(-np.array(divergences))
    return 0.2 / (60 + by_entropy) + 0.8 / (60 + by_kl)


def _shares(counts: IntArray) -> FloatArray:
    return counts / max(int(counts.sum()), 1)


def _ranks(values: FloatArray) -> FloatArray:
    """1 for the smallest; equal ones have the best of their ranks."""
    return 1.0 + np.searchsorted(np.sort(values), values).astype(np.float64)


SCORES: Final[dict[Score, Callable[[Sequence[Distribution]], FloatArray]]] = {
    "divergence": by_divergence,
    "sentry": by_sentry,
    "grafana": by_grafana,
}
