"""Counting and numbering with dictionaries: defines ``tracescape_native.tally``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


def sums(keys: Iterable[int], counts: Iterable[int]) -> dict[int, int]:
    """The sum of the counts of each key."""
    found: Counter[int] = Counter()
    for key, count in zip(keys, counts, strict=True):
        found[key] += count
    return dict(found)


def distinct(values: Sequence[int]) -> tuple[list[int], list[int]]:
    """The number of each value in order of first appearance, and where each number appears first."""
    order = list(dict.fromkeys(values))
    return [order.index(value) for value in values], [values.index(value) for value in order]


def extents(group: Sequence[int], values: Sequence[int], groups: int) -> tuple[list[int], list[int]]:
    """The smallest and the largest value of each group."""
    of = [[value for g, value in zip(group, values, strict=True) if g == each] for each in range(groups)]
    return [min(some) for some in of], [max(some) for some in of]


def ends(start: Sequence[int], duration: Sequence[int]) -> list[int]:
    """Start plus duration, at least the start, at most what int64 can say."""
    return [min(s + max(d, 0), 2**63 - 1) for s, d in zip(start, duration, strict=True)]
