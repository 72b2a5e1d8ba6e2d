"""Pairs of attributes whose values together tell more than either alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from tracescape_analytics.compare.counting import Sides
from tracescape_analytics.compare.effects import independence_p, value_divergences
from tracescape_storage.reader import Reader

#: Pairs are made of the values that tell most, so many of them, of different attributes.
MOST_SINGLES: Final = 12
#: A pair must tell so many times what the better of both tells alone.
_MORE: Final = 1.1


class Single(NamedTuple):
    """A value of an attribute, and the SQL that is true where a span has it."""

    attribute: str
    value: str
    condition: str
    a: int
    b: int


class Pair(NamedTuple):
    """How many spans of the selection and of the baseline have both values, and the p-value to correct."""

    first: Single
    second: Single
    a: int
    b: int
    p: float


def count_pairs(reader: Reader, asked: Sides, singles: Sequence[Single]) -> list[Pair]:
    """The pairs that tell more than their parts, the most telling first.

    A pair counts if having both says more about the side than having the better one alone (by the
    divergence), and if each value makes a difference among the spans that have the other: the larger p-value
    of these two tests is the pair's.
    """
    candidates = [
        (first, second) for first, second in combinations(singles, 2) if first.attribute != second.attribute
    ]
    if not candidates:
        return []
    sums = ", ".join(
        f"count(*) FILTER (s AND c{i} AND c{j}), count(*) FILTER (NOT s AND c{i} AND c{j})"
        for i, j in ((singles.index(first), singles.index(second)) for first, second in candidates)
    )
    conditions = ", ".join(f"coalesce({each.condition}, false) AS c{i}" for i, each in enumerate(singles))
    found = reader.sql(f"SELECT {sums} FROM (SELECT s, {conditions} FROM {asked.source})")
    counts = np.array([column[0].as_py() for column in found.columns], np.int64).reshape(-1, 2)
    pairs = [
        Pair(first, second, int(a), int(b), _conditional_p(first, second, int(a), int(b)))
        for (first, second), (a, b) in zip(candidates, counts, strict=True)
    ]
    told = _told(asked, [(pair.a, pair.b) for pair in pairs])
    alone = dict(zip(singles, _told(asked, [(each.a, each.b) for each in singles]), strict=True))
    better = [
        (telling, pair)
        for telling, pair in zip(told, pairs, strict=True)
        if telling > _MORE * max(alone[pair.first], alone[pair.second])
    ]
    return [pair for _, pair in sorted(better, key=lambda each: -each[0])]


def _told(asked: Sides, counts: Sequence[tuple[int, int]]) -> list[float]:
    a, b = np.array(counts, np.int64).reshape(-1, 2).T
    return [float(each) for each in value_divergences(a, asked.selected, b, asked.compared)]


def _conditional_p(first: Single, second: Single, a: int, b: int) -> float:
    both = np.array([a]), np.array([b])
    return max(float(independence_p(both[0], single.a, both[1], single.b)[0]) for single in (first, second))
