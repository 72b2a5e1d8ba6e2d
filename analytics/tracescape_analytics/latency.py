"""How long spans took over time: counts by bucket of time and bucket of duration."""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.steps import step_for
from tracescape_analytics.windows import Window, checked
from tracescape_storage.filters import EVERYTHING, Filter, check_size
from tracescape_storage.reader import Reader
from tracescape_storage.search import window_conditions

#: Buckets of duration in each power of ten.
BUCKETS_A_DECADE: Final = 5
#: Where each bucket of durations begins, in ns; shorter durations are in the first one.
BOUNDS_NS: Final = tuple(round(10 ** (i / BUCKETS_A_DECADE)) for i in range(95))
#: Unless a step is given, the window has no more buckets of time than this.
MOST_BUCKETS: Final = 60

_LAST: Final = len(BOUNDS_NS) - 1
_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "low_ns": pl.Int64,
    "high_ns": pl.Int64,
    "spans": pl.Int64,
    "errors": pl.Int64,
    "exemplar": pl.String,
}


def latency(
    reader: Reader,
    where: Filter = EVERYTHING,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    step_ns: int | None = None,
) -> pl.DataFrame:
    """Spans that match and start in [since_ns, until_ns), counted: a heat map as a frame.

    A row a cell that has spans, in order of time and duration: ``start_ns, end_ns`` (the bucket of time:
    [start, end), a multiple of the step), ``low_ns, high_ns`` (the bucket of durations: [low, high), five in
    each power of ten), ``spans, errors`` (those with status ERROR), ``exemplar`` (a trace that has the
    slowest of them; hex text). Counts are exact. Buckets do not depend on what is stored, but for a step
    that is not given: that fits the window, or what the store holds of it.

    Raises ``ValueError`` for a window that ends before it begins, a ``step_ns`` that is not positive, and a
    filter that is out of bounds. No match gives a frame without rows.
    """
    window = checked(since_ns, until_ns)
    if step_ns is not None and step_ns <= 0:
        raise ValueError(f"step_ns={step_ns} is no length of time")
    check_size(where)
    step = _fitting(reader, window) if step_ns is None else step_ns
    conditions = window_conditions(since_ns, until_ns)
    conditions.append(reader.condition(where))
    found = reader.sql(_cells(step, " AND ".join(conditions)))
    bounds = pl.Series([*BOUNDS_NS, 2**63 - 1], dtype=pl.Int64)
    cells = pl.DataFrame(found)
    return cells.select(
        pl.col("start_ns").cast(pl.Int64),
        end_ns=pl.col("start_ns").cast(pl.Int64) + step,
        low_ns=bounds.gather(cells["bucket"].cast(pl.UInt32)),
        high_ns=bounds.gather(cells["bucket"].cast(pl.UInt32) + 1),
        spans=pl.col("spans").cast(pl.Int64),
        errors=pl.col("errors").cast(pl.Int64),
        exemplar=pl.col("exemplar").cast(pl.String),
    ).match_to_schema(_SCHEMA)


def _fitting(reader: Reader, window: Window) -> int:
    extent = reader.extent()
    since = extent.first_start_ns if window.since_ns is None else window.since_ns
    until = extent.last_start_ns + 1 if window.until_ns is None else window.until_ns
    # Buckets begin at multiples of the step, so that a window may touch one more than fit into it.
    return step_for(max(until - since, 1), MOST_BUCKETS - 1)


def _cells(step: int, condition: str) -> str:
    # A logarithm finds the bucket but for rounding: the bounds themselves decide.
    guess = f"least(floor(log10(greatest(duration_ns, 1)) * {BUCKETS_A_DECADE})::INTEGER, {_LAST})"
    return f"""
    WITH guessed AS (
        SELECT start_ns // {step} * {step} AS start_ns, duration_ns, status, trace_id, {guess} AS guess
        FROM spans WHERE {condition}
    ), placed AS (
        SELECT *, {list(BOUNDS_NS)} AS bounds FROM guessed
    )
    SELECT start_ns,
        guess + coalesce(duration_ns >= bounds[guess + 2], false)::INTEGER
            - (guess > 0 AND duration_ns < bounds[guess + 1])::INTEGER AS bucket,
        count(*) AS spans, count(*) FILTER (status = 2) AS errors,
        lower(hex(arg_max(trace_id, duration_ns))) AS exemplar
    FROM placed GROUP BY 1, 2 ORDER BY 1, 2
    """
