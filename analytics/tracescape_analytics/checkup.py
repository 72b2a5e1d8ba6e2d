"""How every service and every edge is doing, and what makes it so: the worst first."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.baselines import BEFORE, DAY, Compared, baselines, compared
from tracescape_analytics.counts import Exemplars
from tracescape_analytics.distributions import Durations
from tracescape_analytics.health import DEFAULT, SEVERITY, Thresholds
from tracescape_analytics.naming import exemplar_ids
from tracescape_analytics.source import Stored
from tracescape_analytics.windows import checked
from tracescape_native.buckets import bucket_code
from tracescape_storage.reader import Reader

HEALTH_SCHEMA: Final = {
    "what": pl.String,
    "service": pl.String,
    "source": pl.String,
    "target": pl.String,
    "connection": pl.String,
    "state": pl.String,
    "reason": pl.String,
    "against": pl.String,
    "calls": pl.Int64,
    "rate_per_s": pl.Float64,
    "errors": pl.Int64,
    "error_rate": pl.Float64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "p99_ns": pl.Int64,
    "apdex": pl.Float64,
    "apdex_t_ns": pl.Int64,
    "before_error_rate": pl.Float64,
    "before_p95_ns": pl.Int64,
    "day_error_rate": pl.Float64,
    "day_p95_ns": pl.Int64,
    "slowest_trace": pl.String,
    "failed_trace": pl.String,
}


def health(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
    environment: str | None = None,
) -> pl.DataFrame:
    """A row a service and a row an edge; columns of `HEALTH_SCHEMA`, as ``docs/columns.md`` explains them.

    The window, its baselines and its calls are those of ``topology``. The worst state first, then the most
    errors, then the most calls, then by name. An edge's times are what its caller felt; its Apdex is by the
    target's T. Raises ``ValueError`` for a window that ends before it begins.
    """
    window = checked(since_ns, until_ns)
    source = Stored(reader, environment)
    since, until = source.bounds(window)
    earlier = baselines(source, window, baseline, thresholds)
    counts = source.counts(window)
    found = compared(counts, earlier, until - since, thresholds)
    rows = pl.concat([_services(found, thresholds), _edges(found, thresholds)], how="diagonal")
    rows = rows.filter((pl.col("calls") > 0) | (pl.col("state") == "absent"))
    return _in_columns(rows, (until - since) / 1e9)


def _services(found: Compared, thresholds: Thresholds) -> pl.DataFrame:
    names = found.node_columns()
    rows = found.nodes.with_columns(
        *_measures(names["name"], found.here.visits, found.here.node_exemplars, thresholds),
        pl.Series("service", names["name"], dtype=pl.String),
        pl.Series("kind", names["kind"], dtype=pl.String),
        what=pl.lit("service"),
    )
    return rows.filter(pl.col("kind") == "service")


def _edges(found: Compared, thresholds: Thresholds) -> pl.DataFrame:
    names = found.edge_columns()
    return found.edges.with_columns(
        *_measures(names["target"], found.here.felt, found.here.edge_exemplars, thresholds),
        *(pl.Series(name, texts, dtype=pl.String) for name, texts in names.items()),
        what=pl.lit("edge"),
    )


def _measures(
    services: list[str], times: Durations, exemplars: Exemplars, thresholds: Thresholds
) -> list[pl.Series]:
    # What stands beside calls and states. (satisfied + tolerating / 2) / calls is apdex.org's technical
    # specification 1.1. Times are counted in buckets: a call within half a percent of T may be on either side
    # of it.
    limits = [thresholds.apdex_of(name) for name in services]
    slow, slower = (
        times.above(np.array([bucket_code(factor * t) for t in limits], np.int64)) for factor in (1, 4)
    )
    points = (times.total - slow) + 0.5 * (slow - slower)
    apdex = pl.Series("apdex", points / np.where(times.total > 0, times.total, 1))
    ids = [exemplar_ids(exemplars, failed, len(services)) for failed in (False, True)]
    return [
        pl.Series("apdex_t_ns", limits, dtype=pl.Int64),
        apdex.set(pl.Series(times.total == 0), None),
        pl.Series("slowest_trace", ids[0], dtype=pl.String),
        pl.Series("failed_trace", ids[1], dtype=pl.String),
    ]


def _in_columns(rows: pl.DataFrame, seconds: float) -> pl.DataFrame:
    null = pl.lit(None)
    wanted = [f"{name}_{what}" for name in (BEFORE, DAY) for what in ("calls", "errors", "p95_ns")]
    missing = [name for name in wanted if name not in rows.columns]
    rows = rows.with_columns(null.cast(pl.Int64).alias(name) for name in missing)
    rows = rows.with_columns(
        rate_per_s=pl.col("calls") / seconds if seconds > 0 else null,
        error_rate=_share("errors", "calls"),
        before_error_rate=_share("before_errors", "before_calls"),
        day_error_rate=_share("day_errors", "day_calls"),
        rank=pl.col("state").replace_strict(SEVERITY, return_dtype=pl.Int8),
    )
    order = ["rank", "errors", "calls", "what", "service", "source", "target", "connection"]
    descending = [name in ("errors", "calls", "what") for name in order]
    rows = rows.sort(order, descending=descending)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in HEALTH_SCHEMA.items())


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))
