"""The one definition of a state, for services, databases, queues and edges alike.

Over a window, against a baseline: **failing** if at least 5 % of calls failed, significantly more than
before, or the p95 is at least 3 times the baseline's, significantly; **degraded** at 1 % and 1.5 times;
**healthy** otherwise; **idle** below 20 calls; **absent** if the baseline had at least 20 calls and the
window has none.

Error rates are compared by a two-proportion test. The p95 is compared by the share of calls slower than that
of the baseline, which chance alone makes 5 %. Both tests of all that is compared together share one false
discovery rate of 1 %. What has no baseline (none stored, or fewer than 20 calls in it) is judged by its
errors alone, which must be significantly more than the 1 % at which a service counts as degraded: one failure
among fifty calls is no incident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.significance import binomial_tail, discoveries, more_errors

STATES: Final = ("healthy", "degraded", "failing", "idle", "absent")


@dataclass(frozen=True)
class Thresholds:
    """Where states begin. Rates and shares are from 0 to 1; p95 factors are times the baseline's."""

    calls: int = 20
    failing_errors: float = 0.05
    degraded_errors: float = 0.01
    failing_p95: float = 3.0
    degraded_p95: float = 1.5
    false_discoveries: float = 0.01


DEFAULT: Final = Thresholds()


def with_states(measured: pl.DataFrame, thresholds: Thresholds = DEFAULT) -> pl.DataFrame:
    """``measured`` with a column ``state``.

    It has a row a thing to judge: ``calls, errors`` (Int64), ``p95`` (ns; null for unknown), and of the
    baseline ``base_calls, base_errors`` (Int64; 0 or null for none), ``base_p95`` (null for unknown) and
    ``slow``: how many calls of the window took longer than ``base_p95``; ``timed``: how many have a duration.
    """
    rows = list(measured.iter_rows(named=True))
    compared = [
        row["calls"] >= thresholds.calls and (row["base_calls"] or 0) >= thresholds.calls for row in rows
    ]
    errors_p = [
        more_errors(row["errors"], row["calls"], row["base_errors"], row["base_calls"])
        if known
        else binomial_tail(row["errors"], row["calls"], thresholds.degraded_errors)
        for row, known in zip(rows, compared, strict=True)
    ]
    slower_p = [
        binomial_tail(row["slow"], row["timed"], 0.05) if known and row["base_p95"] is not None else 1.0
        for row, known in zip(rows, compared, strict=True)
    ]
    tested = np.array([row["calls"] >= thresholds.calls for row in rows], np.bool_)
    found = np.zeros((2, len(rows)), np.bool_)
    p_values = np.array([errors_p, slower_p], np.float64)[:, tested]
    found[:, tested] = discoveries(p_values.ravel(), thresholds.false_discoveries).reshape(2, -1)
    states = [_state(row, bool(found[0, i]), bool(found[1, i]), thresholds) for i, row in enumerate(rows)]
    return measured.with_columns(pl.Series("state", states, dtype=pl.String))


def _state(row: dict[str, int], more_failed: bool, got_slower: bool, limits: Thresholds) -> str:
    if row["calls"] == 0 and (row["base_calls"] or 0) >= limits.calls:
        return "absent"
    if row["calls"] < limits.calls:
        return "idle"
    failed = row["errors"] / row["calls"] if more_failed else 0.0
    comparable = got_slower and row["p95"] is not None
    grown = row["p95"] / max(row["base_p95"], 1) if comparable else 0.0
    if failed >= limits.failing_errors or grown >= limits.failing_p95:
        return "failing"
    if failed >= limits.degraded_errors or grown >= limits.degraded_p95:
        return "degraded"
    return "healthy"
