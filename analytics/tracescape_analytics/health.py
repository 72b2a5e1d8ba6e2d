"""The one definition of a state, for services, databases, queues and edges alike.

What a window holds is compared with its own past, twice where the store can: with the same length of time
just before (``before``), and with the day before (``day``), as `baselines` reads it. **It is enough to be
worse than one of them.** Just before is where an incident begins; but after one window's length an incident
is its own past, and only the day still knows better.

**failing**: at least 5 % of calls failed, significantly more than in a baseline, or the p95 is at least 3
times a baseline's, significantly; **degraded** at 1 % and 1.5 times; **healthy** otherwise; **idle** below
20 calls; **absent** if the window has no calls and a baseline lets expect at least 20.

Error rates are compared by a two-proportion test. The p95 is compared by the share of calls slower than that
of the baseline, which chance alone makes 5 %. All tests of all that is compared together share one false
discovery rate of 1 %. What has no baseline (none stored, or fewer than 20 calls in it) is judged by its
errors alone, which must be significantly more than the 1 % at which a service counts as degraded: one failure
among fifty calls is no incident.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Final

import numpy as np
import polars as pl

from tracescape_analytics.significance import binomial_tail, discoveries, more_errors

STATES: Final = ("healthy", "degraded", "failing", "idle", "absent")
#: By how much worse they are; what is absent is worst.
SEVERITY: Final = {"absent": 0, "failing": 1, "degraded": 2, "healthy": 3, "idle": 4}


@dataclass(frozen=True)
class Thresholds:
    """Where states begin, and what users are content with.

    Attributes:
        calls: fewer are idle, and fewer make no baseline.
        failing_errors, degraded_errors: shares of calls that failed, from 0 to 1.
        failing_p95, degraded_p95: times the baseline's p95.
        false_discoveries: the share of false alarms among all that is found to be worse.
        apdex_ns: Apdex's T, ns: calls that take no longer satisfy, those up to 4 T are tolerated.
        apdex_ns_by_service: T of single services.
        day_ns: how far back the longer baseline goes; 0 for none.
        day_samples: how many windows of it are looked at; the median of them speaks.
    """

    calls: int = 20
    failing_errors: float = 0.05
    degraded_errors: float = 0.01
    failing_p95: float = 3.0
    degraded_p95: float = 1.5
    false_discoveries: float = 0.01
    apdex_ns: int = 500_000_000
    apdex_ns_by_service: Mapping[str, int] = field(default_factory=dict)
    day_ns: int = 24 * 3_600_000_000_000
    day_samples: int = 12

    def __post_init__(self) -> None:
        numbers = [getattr(self, each.name) for each in fields(self) if each.name != "apdex_ns_by_service"]
        for number in (*numbers, *self.apdex_ns_by_service.values()):
            if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number):
                raise ValueError(f"thresholds are numbers, and {number!r:.80} is none")
        shares = (self.failing_errors, self.degraded_errors, self.false_discoveries)
        if not all(0 < share < 1 for share in shares):
            raise ValueError("shares of errors and of false discoveries lie between 0 and 1")
        if self.calls < 1 or self.day_samples < 1 or self.day_ns < 0:
            raise ValueError("calls and day_samples are at least 1, day_ns is not negative")
        if min((self.apdex_ns, *self.apdex_ns_by_service.values())) <= 0:
            raise ValueError("Apdex's T is longer than nothing")

    def apdex_of(self, service: str) -> int:
        """T of a service, ns."""
        return self.apdex_ns_by_service.get(service, self.apdex_ns)


DEFAULT: Final = Thresholds()
_WHEN: Final = {"before": "just before", "day": "over the day"}


def with_states(
    measured: pl.DataFrame, thresholds: Thresholds = DEFAULT, baselines: Sequence[str] = ("before",)
) -> pl.DataFrame:
    """``measured`` with columns ``state``, ``against`` and ``reason``.

    It has a row a thing to judge: ``calls, errors`` (Int64), ``timed``, how many have a duration, and ``p95``
    (ns; null for unknown); and of each of ``baselines``, with its name and ``_`` in front: ``calls, errors``
    (0 or null for none), ``p95`` (null for unknown), ``slow``, how many calls of the window took longer than
    that, and ``expected``, how many calls it lets expect in the window.

    ``against`` is the baseline that made the state what it is, ``reason`` says why in words; both are null
    where nothing is wrong, ``against`` also where there was none.
    """
    rows = list(measured.iter_rows(named=True))
    p_values = np.ones((len(rows), len(baselines), 2), np.float64)
    for i, row in enumerate(rows):
        if row["calls"] >= thresholds.calls:
            p_values[i] = _p_values(row, thresholds, baselines)
    found = np.zeros(p_values.shape, np.bool_)
    tested = np.array([row["calls"] >= thresholds.calls for row in rows], np.bool_)
    some = p_values[tested]
    found[tested] = discoveries(some.ravel(), thresholds.false_discoveries).reshape(some.shape)
    judged = [_judged(row, found[i], thresholds, baselines) for i, row in enumerate(rows)]
    columns = zip(*judged, strict=True) if judged else ([], [], [])
    names = ("state", "against", "reason")
    return measured.hstack(
        [pl.Series(name, list(values), dtype=pl.String) for name, values in zip(names, columns, strict=True)]
    )


def _known(row: Mapping[str, Any], baseline: str, thresholds: Thresholds) -> bool:
    return (row[f"{baseline}_calls"] or 0) >= thresholds.calls


def _p_values(row: Mapping[str, Any], thresholds: Thresholds, baselines: Sequence[str]) -> list[list[float]]:
    # Of each baseline: that more failed, that more took long.
    known = [_known(row, name, thresholds) for name in baselines]
    found = [[1.0, 1.0] for _ in baselines]
    if not any(known):
        found[0][0] = binomial_tail(row["errors"], row["calls"], thresholds.degraded_errors)
    for i, name in enumerate(baselines):
        if not known[i]:
            continue
        found[i][0] = more_errors(row["errors"], row["calls"], row[f"{name}_errors"], row[f"{name}_calls"])
        if row[f"{name}_p95"] is not None:
            found[i][1] = binomial_tail(row[f"{name}_slow"], row["timed"], 0.05)
    return found


def _judged(
    row: Mapping[str, Any], found: Any, limits: Thresholds, baselines: Sequence[str]
) -> tuple[str, str | None, str | None]:
    if row["calls"] == 0:
        for name in baselines:
            if (row[f"{name}_expected"] or 0) >= limits.calls:
                expected = row[f"{name}_expected"]
                return "absent", name, f"no calls; there were {expected:,.0f} in that time {_WHEN[name]}"
    if row["calls"] < limits.calls:
        return "idle", None, None
    verdict: tuple[str, str | None, str | None] = ("healthy", None, None)
    for name, (more_failed, got_slower) in zip(baselines, found, strict=True):
        for state, reason in _worse(row, name, bool(more_failed), bool(got_slower), limits):
            if SEVERITY[state] < SEVERITY[verdict[0]]:
                verdict = state, name if _known(row, name, limits) else None, reason
    return verdict


def _worse(
    row: Mapping[str, Any], name: str, more_failed: bool, got_slower: bool, limits: Thresholds
) -> list[tuple[str, str]]:
    # What is wrong against one baseline: errors first, for of two that are as bad the first is said.
    wrong = []
    failed = row["errors"] / row["calls"] if more_failed else 0.0
    if failed >= limits.degraded_errors:
        base_calls = row[f"{name}_calls"] or 0
        known = base_calls >= limits.calls
        was = f", {row[f'{name}_errors'] / base_calls:.1%} {_WHEN[name]}" if known else ""
        state = "failing" if failed >= limits.failing_errors else "degraded"
        wrong.append((state, f"{failed:.1%} of calls failed{was}"))
    if got_slower and row["p95"] is not None:
        grown = row["p95"] / max(row[f"{name}_p95"], 1)
        if grown >= limits.degraded_p95:
            state = "failing" if grown >= limits.failing_p95 else "degraded"
            wrong.append((state, f"p95 is {grown:.1f} times what it was {_WHEN[name]}"))
    return wrong
