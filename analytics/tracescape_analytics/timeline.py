"""What happened over everything that is stored: rates, errors and latency by step of time."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.distributions import IntArray, values
from tracescape_analytics.errors import unknown_service
from tracescape_analytics.step_counts import StepCounts, step_counts
from tracescape_analytics.steps import SECOND_NS, step_for
from tracescape_analytics.windows import Window, checked, closed
from tracescape_storage.reader import Extent, Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

TIMELINE_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "seen": pl.Int64,
    "error_rate": pl.Float64,
    "rate_per_s": pl.Float64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "p99_ns": pl.Int64,
}
#: Unless a step is given, there are no more steps than this; those that are given make no more than `MOST`.
USUAL: Final = 300
MOST: Final = 1_500
#: So long a range is told by minutes, a longer one by hours: so many blocks are read at most.
MOST_MINUTES: Final = 1_440
#: A range with fewer spans is told by steps shorter than a minute, which spans must answer.
FEW_SPANS: Final = 200_000
_QUANTILES: Final = {"p50_ns": 0.5, "p95_ns": 0.95, "p99_ns": 0.99}


def timeline(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    step_ns: int | None = None,
    service: str | None = None,
    most: int = USUAL,
) -> pl.DataFrame:
    """A row a step of [since_ns, until_ns), in order, also where nothing happened; columns `TIMELINE_SCHEMA`.

    ``service`` is null: what all services served together. With ``service`` (any node of ``topology``) its
    rows follow. ``start_ns`` is a multiple of the step; the first and the last step are cut by the window,
    or by what is stored, and rates are by what is left. Without ``step_ns`` one is chosen that gives at most
    ``most`` steps; from a day on it is whole hours. Without calls, shares and quantiles are null.

    Counts of steps add up to those of ``topology`` of the whole window: what a node is called, and what
    counts as its calls, is decided once for all steps. A window that no span starts in gives no rows.

    Raises:
        ValueError: the window ends before it begins, a step or ``most`` is not positive, or there would be
            more than `MOST` steps.
        UnknownServiceError: nothing of that name was called in the window; the near names are listed.
    """
    window, extent = checked(since_ns, until_ns), reader.extent()
    since, until = within(window, extent)
    step = step_of(since, until, extent, step_ns, most)
    if until <= since:
        return pl.DataFrame(schema=TIMELINE_SCHEMA)
    counts = steps_in(reader, since, until, step, service)
    names = [name for _, name in counts.nodes]
    if service is not None and service not in names:
        raise unknown_service(service, names)
    told = [None] if service is None else [None, service]
    return pl.concat([_rows(counts, i, name, since, until) for i, name in enumerate(told)])


def within(window: Window, extent: Extent) -> tuple[int, int]:
    """The part of a window from the first span that is stored to the last, which may be nothing."""
    if not extent.spans:
        return 0, 0
    first, end = extent.first_start_ns, extent.last_start_ns + 1
    since, until = closed(window, first, end - 1)
    return max(since, first), min(until, end)


def step_of(
    since_ns: int, until_ns: int, extent: Extent, step_ns: int | None = None, most: int = USUAL
) -> int:
    """The step of a timeline: the one given, if it can be, else one that suits the range. See `timeline`."""
    if step_ns is None:
        if not 1 < most <= MOST:
            raise ValueError(f"most={most} is no number of steps from 2 to {MOST:,}")
        return _fitting(max(until_ns - since_ns, 1), extent, most)
    if step_ns <= 0:
        raise ValueError(f"a step of {step_ns} ns has no length")
    steps = -(-until_ns // step_ns) - since_ns // step_ns
    if steps > MOST:
        raise ValueError(f"that are {steps:,} steps; take a longer one: {MOST:,} are too many")
    return step_ns


def _fitting(length_ns: int, extent: Extent, most: int) -> int:
    # Steps begin at multiples of themselves, so that a range may touch one more than fit into it.
    step = max(step_for(length_ns, most - 1), SECOND_NS)
    stored = max(extent.last_start_ns + 1 - extent.first_start_ns, 1)
    if step < MINUTE_NS and extent.spans * min(length_ns / stored, 1.0) > FEW_SPANS:
        return MINUTE_NS
    return max(step, HOUR_NS) if length_ns > MOST_MINUTES * MINUTE_NS else step


def steps_in(reader: Reader, since_ns: int, until_ns: int, step_ns: int, service: str | None) -> StepCounts:
    """The counts of the steps that [since_ns, until_ns) touches: nothing more of the outer two."""
    return step_counts(reader, Window(since_ns, until_ns), step_ns, service)


def _rows(counts: StepCounts, selection: int, name: str | None, since: int, until: int) -> pl.DataFrame:
    steps = len(counts.calls)
    starts = counts.first_ns + np.arange(steps) * counts.step_ns
    seconds = (np.minimum(starts + counts.step_ns, until) - np.maximum(starts, since)) / 1e9
    calls, errors = counts.served()[:, selection], counts.failed()[:, selection]
    columns = {
        "start_ns": starts,
        "end_ns": starts + counts.step_ns,
        "service": [name] * steps,
        "calls": calls,
        "errors": errors,
        "seen": counts.sums.seen[:, selection],
        "error_rate": _shares(errors, calls),
        "rate_per_s": calls / seconds,
        **{column: values(column, counts.codes(share)[:, selection]) for column, share in _QUANTILES.items()},
    }
    return pl.DataFrame(columns, schema=TIMELINE_SCHEMA)


def _shares(part: IntArray, of: IntArray) -> pl.Series:
    shares = pl.Series(part / np.maximum(of, 1))
    return shares.set(pl.Series(of == 0), None)
