"""Comparing spans, one span and one value at a time: defines the counts and numbers of `compare`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from naive.search import KINDS, STATUSES, SearchedSpan


def shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def values_of(span: SearchedSpan) -> dict[str, object]:
    """Every attribute of a span, by its name; of its events, the first that has the attribute."""
    found: dict[str, object] = {
        "service": span.service,
        "operation": span.operation,
        "kind": KINDS[span.kind],
        "status": STATUSES[span.status],
        "status_message": span.status_message,
        "scope.name": span.scope.name or None,
        "scope.version": span.scope.version or None,
    }
    found |= {f"span.{key}": value for key, value in span.attributes.items()}
    found |= {f"resource.{key}": value for key, value in span.resource.items()}
    found |= {f"scope.{key}": value for key, value in span.scope.attributes.items()}
    for event in span.events:
        for key, value in event.attributes.items():
            found.setdefault(f"event.{key}", value)
    if span.events:
        found["event.name"] = ", ".join(sorted({event.name for event in span.events}))
    return {name: value for name, value in found.items() if value is not None}


def value_counts(
    selection: Sequence[SearchedSpan], baseline: Sequence[SearchedSpan]
) -> dict[str, dict[str | None, tuple[int, int]]]:
    """How many spans of each side have which value of which attribute; None counts those without any."""
    sides = [[values_of(span) for span in side] for side in (selection, baseline)]
    names = {name for side in sides for values in side for name in values}
    counts = {}
    for name in names:
        a, b = (Counter(shown(values[name]) if name in values else None for values in side) for side in sides)
        counts[name] = {value: (a[value], b[value]) for value in a.keys() | b.keys()}
    return counts


def fisher(a: int, size_a: int, b: int, size_b: int) -> float:
    """Two-sided: the probability of all tables that are no more probable than this one."""
    with_value = a + b
    total = math.comb(size_a + size_b, with_value)
    ways = {
        k: math.comb(size_a, k) * math.comb(size_b, with_value - k)
        for k in range(max(0, with_value - size_b), min(size_a, with_value) + 1)
    }
    return sum(each for each in ways.values() if each <= ways[a]) / total


def divergence(a: Sequence[int], b: Sequence[int]) -> float:
    """Jensen–Shannon divergence in bits."""
    p, q = ([count / sum(side) for count in side] for side in (a, b))
    middle = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    return sum(
        x * math.log2(x / m) / 2 for side in (p, q) for x, m in zip(side, middle, strict=True) if x > 0
    )


def ks_and_wasserstein(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Both from the two cumulative shares at every number that occurs."""
    points = sorted({*a, *b})
    apart = [
        abs(sum(x <= point for x in a) / len(a) - sum(x <= point for x in b) / len(b)) for point in points
    ]
    steps = [high - low for low, high in pairwise(points)]
    return max(apart), sum(gap * step for gap, step in zip(apart, steps, strict=False))
