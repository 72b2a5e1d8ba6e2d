"""Rate, errors and duration of services and operations, over any window, in steps of any length."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.counts import Counts, numbered
from tracescape_analytics.distributions import durations, sums, values
from tracescape_analytics.errors import unknown_service
from tracescape_analytics.naming import Directory, exemplar_ids, exemplars_of, meaning, measured
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.sampling import whole
from tracescape_analytics.windows import Window, checked
from tracescape_storage.reader import Reader

RED_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "seen": pl.Int64,
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
_SERVICE: Final = NODE_KINDS.index("service")
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def red(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "service",
    step_ns: int | None = None,
    environment: str | None = None,
) -> pl.DataFrame:
    """A row a service (or operation of a service) and step in which it served calls; by start, then name.

    Columns of `RED_SCHEMA`, of which ``operation`` is there by operation only. ``start_ns`` is where the step
    begins, a multiple of ``step_ns``, or the window; the first and last step may be cut by the window, and
    rates are by the time that is left. Calls, errors and quantiles are those of ``topology``'s nodes. With
    ``environment`` (``deployment.environment.name``) only spans sent from there are looked at.

    Raises:
        ValueError: the window ends before it begins, ``by`` is neither of `BY`, a step is not positive, or
            there would be more than `MAX_STEPS`.
        UnknownServiceError: ``service`` served nothing in the window; the near names are listed.
        UnknownEnvironmentError: nothing stored is of ``environment``.
    """
    if by not in BY:
        raise ValueError(f"by={by!r} is neither of {', '.join(BY)}")
    window = checked(since_ns, until_ns)
    frames = [_of(counts_of(reader, step, environment), step, by) for step in _steps(reader, window, step_ns)]
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
    groups, directory = counts.groups, Directory()
    found = meaning(groups, directory)
    visited = found.node
    nodes = list(directory.nodes)
    is_service = np.array([kind == _SERVICE for kind, _ in nodes] + [False], np.bool_)
    some = np.flatnonzero(is_service[visited])
    told = groups.target[some] if by == "operation" else np.zeros(len(some), np.int64)
    number, first = numbered(visited[some], told)
    thing = np.full(len(groups), -1, np.int64)
    thing[some] = number
    cells = measured(counts.keys, counts.counts, found._replace(node=thing, edge=np.full(len(thing), -1)))
    times = durations(*cells.visits, len(first))
    exemplars = exemplars_of(counts.exemplars, thing)
    begin, end = window.since_ns or 0, window.until_ns or 0
    calls, failed = times.calls, cells.visit_errors
    errors = whole(sums(failed.thing, failed.counted, len(first)))
    operations = [groups.names[place][1] if by == "operation" else None for place in told[first].tolist()]
    columns = {
        "start_ns": np.full(len(first), begin),
        "service": [nodes[node][1] for node in visited[some][first].tolist()],
        "operation": operations,
        "calls": calls,
        "errors": errors,
        "seen": times.seen,
        "error_rate": errors / calls,
        "rate_per_s": calls / ((end - begin) / 1e9),
        **{f"{name}_ns": values(name, times.at(share)) for name, share in _QUANTILES.items()},
        "slowest_trace": exemplar_ids(exemplars, False, len(first)),
        "failed_trace": exemplar_ids(exemplars, True, len(first)),
    }
    return pl.DataFrame(columns, schema=RED_SCHEMA)
