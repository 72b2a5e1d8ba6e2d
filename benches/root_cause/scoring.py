"""From what a method answers to figures.

An answer is a score for each service that the method names, the higher the more suspicious. Ties take the
worst rank; a service that is not named is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

FOUND_WITHIN: Final = 5
_RESAMPLES: Final = 2000


def plain(service: str) -> str:
    """A service's name however it is known: callers know ``hipstershop.CartService``, it says cartservice."""
    return re.sub(r"[^a-z0-9]", "", service.rpartition(".")[2].lower())


def rank_of(truth: Iterable[str], answer: Mapping[str, float]) -> int | None:
    """The rank of the first true service, from 1; None for a miss. NaN is no answer."""
    scores: dict[str, float] = {}
    for service, score in answer.items():
        if score == score:
            name = plain(service)
            scores[name] = max(score, scores.get(name, score))
    ranks = [
        sum(other >= scores[name] for other in scores.values())
        for name in map(plain, truth)
        if name in scores
    ]
    return min(ranks, default=None)


def proved_first(suspects: Iterable[tuple[str, float, bool]]) -> dict[str, float]:
    """An answer from names, scores and whether they are proved: who is stands before who is not."""
    listed = list(suspects)
    highest = max((score for _, score, _ in listed), default=0.0)
    return {name: score + highest * proved for name, score, proved in listed}


def accuracy(ranks: Sequence[int | None], within: int) -> float:
    """AC@k: the share of cases whose true service is among the first ``within``."""
    return sum(rank is not None and rank <= within for rank in ranks) / len(ranks) if ranks else float("nan")


def average(ranks: Sequence[int | None]) -> float:
    """Avg@5: the mean of AC@1 … AC@5."""
    return float(np.mean([accuracy(ranks, k) for k in range(1, FOUND_WITHIN + 1)]))


def interval(ranks: Sequence[int | None], seed: int = 1) -> tuple[float, float]:
    """Where Avg@5 lies in 95 % of samples of the cases, drawn with replacement."""
    if not ranks:
        return float("nan"), float("nan")
    gains = np.array(
        [0.0 if rank is None else max(FOUND_WITHIN + 1 - rank, 0) / FOUND_WITHIN for rank in ranks]
    )
    drawn = np.random.default_rng(seed).choice(gains, (_RESAMPLES, len(gains))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
