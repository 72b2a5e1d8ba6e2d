"""Rate, errors and duration of services and operations, over any window, in steps of any length."""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.counts import Counts
from tracescape_analytics.distributions import quantile_codes, summed, with_values
from tracescape_analytics.errors import unknown_service
from tracescape_analytics.naming import shown_groups, visited
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.windows import Window, checked
from tracescape_native import call_counts as native
from tracescape_storage.reader import Reader

RED_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "error_rate": pl.Float64,
    "rate_per_s": pl.Float64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "p99_ns": pl.Int64,
    "slowest_trace": pl.String,
    "failed_trace": pl.String,
}
BY: Final = ("service", "operation")
MAX_STEPS: Final = 1_500
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def red(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "service",
    step_ns: int | None = None,
) -> pl.DataFrame:
    """A row a service (or operation of a service) and step in which it served calls; by start, then name.

    Columns of `RED_SCHEMA`, of which ``operation`` is there by operation only. ``start_ns`` is where the step
    begins, a multiple of ``step_ns``, or the window; the first and last step may be cut by the window, and
    rates are by the time that is left. Calls, errors and quantiles are those of ``topology``'s nodes.

    Raises:
        ValueError: the window ends before it begins, ``by`` is neither of `BY`, a step is not positive, or
            there would be more than `MAX_STEPS`.
        UnknownServiceError: ``service`` served nothing in the window; the near names are listed.
    """
    if by not in BY:
        raise ValueError(f"by={by!r} is neither of {', '.join(BY)}")
    window = checked(since_ns, until_ns)
    frames = [_of(counts_of(reader, step), step, by) for step in _steps(reader, window, step_ns)]
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=RED_SCHEMA)
    if service is not None:
        names = rows["service"].unique().to_list()
        rows = rows.filter(pl.col("service") == service)
        if rows.is_empty():
            raise unknown_service(service, names)
    rows = rows.sort("start_ns", "service", "operation")
    return rows if by == "operation" else rows.drop("operation")


def _steps(reader: Reader, window: Window, step_ns: int | None) -> list[Window]:
    since, until = window
    if since is None or until is None:
        extent = reader.extent()
        since = extent.first_start_ns if since is None else since
        until = extent.last_start_ns + 1 if until is None else until
    if until <= since:
        return []
    if step_ns is None:
        return [Window(since, until)]
    if step_ns <= 0:
        raise ValueError(f"a step of {step_ns} ns has no length")
    first, end = since // step_ns, -(-until // step_ns)
    if end - first > MAX_STEPS:
        raise ValueError(f"that are {end - first:,} steps; take a longer one: {MAX_STEPS:,} are too many")
    return [
        Window(max(number * step_ns, since), min((number + 1) * step_ns, until))
        for number in range(first, end)
    ]


def _of(counts: Counts, window: Window, by: str) -> pl.DataFrame:
    groups = shown_groups(counts.groups)
    operation = pl.col("target") if by == "operation" else pl.lit(None, dtype=pl.String)
    visits = (
        visited(groups)
        .filter(pl.col("node_kind") == "service")
        .join(groups.select("group", operation=operation), on="group")
        .rename({"name": "service"})
    )
    keys = ["service", "operation"]
    cells = visits.join(counts.cells(), on="group")
    times = summed(cells.filter(pl.col("measure") == native.SERVER_TIME), keys)
    failed = cells.filter(pl.col("measure") == native.ERRORS).group_by(keys).agg(errors=pl.col("count").sum())
    traces = visits.join(counts.exemplars.frame(), on="group").sort(
        "duration_ns", "trace_id", descending=True
    )
    trace = pl.col("trace_id").bin.encode("hex")
    exemplars = traces.group_by(keys).agg(
        slowest_trace=trace.filter(~pl.col("failed")).first(),
        failed_trace=trace.filter(pl.col("failed")).first(),
    )
    begin, end = window.since_ns or 0, window.until_ns or 0
    rows = (
        quantile_codes(times, keys, _QUANTILES)
        .join(failed, on=keys, how="left", nulls_equal=True)
        .join(exemplars, on=keys, how="left", nulls_equal=True)
        .with_columns(pl.col("errors").fill_null(0), start_ns=pl.lit(begin, dtype=pl.Int64))
        .rename({"total": "calls"})
        .with_columns(
            error_rate=pl.col("errors") / pl.col("calls"), rate_per_s=pl.col("calls") / ((end - begin) / 1e9)
        )
    )
    valued = with_values(rows, {name: f"{name}_ns" for name in _QUANTILES})
    return valued.select(pl.col(name).cast(kind) for name, kind in RED_SCHEMA.items())
