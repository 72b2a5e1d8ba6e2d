"""How every service and every edge is doing, and what makes it so: the worst first."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.baselines import BEFORE, DAY, EDGE_KEYS, NODE_KEYS, baselines, judge, known_services
from tracescape_analytics.connections import CONNECTIONS
from tracescape_analytics.distributions import summed
from tracescape_analytics.health import DEFAULT, SEVERITY, Thresholds
from tracescape_analytics.naming import named_counts
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.windows import bounded, checked
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
    since, until = bounded(reader, window)
    earlier = baselines(reader, window, baseline, thresholds, environment)
    here = named_counts(counts_of(reader, window, environment), known_services(earlier))
    nodes, edges = judge(here, earlier, until - since, thresholds)
    connection = pl.col("connection").replace_strict(dict(enumerate(CONNECTIONS)), return_dtype=pl.String)
    services = nodes.filter(pl.col("node_kind") == "service").with_columns(
        apdex_t_ns=_apdex_times(nodes.filter(pl.col("node_kind") == "service")["name"], thresholds)
    )
    edges = edges.with_columns(apdex_t_ns=_apdex_times(edges["target"], thresholds))
    of_services = _with_apdex(services, here.visits, NODE_KEYS)
    of_edges = _with_apdex(edges, summed(here.felt, EDGE_KEYS), EDGE_KEYS)
    rows = pl.concat(
        [
            of_services.join(here.node_exemplars, on=NODE_KEYS, how="left").with_columns(
                service=pl.col("name"), what=pl.lit("service")
            ),
            of_edges.join(here.edge_exemplars, on=EDGE_KEYS, how="left").with_columns(
                connection, what=pl.lit("edge")
            ),
        ],
        how="diagonal",
    )
    rows = rows.filter((pl.col("calls") > 0) | (pl.col("state") == "absent"))
    return _in_columns(rows, (until - since) / 1e9)


def _apdex_times(services: pl.Series, thresholds: Thresholds) -> pl.Series:
    return pl.Series([thresholds.apdex_of(name) for name in services.to_list()], dtype=pl.Int64)


def _with_apdex(rows: pl.DataFrame, times: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    # (satisfied + tolerating / 2) / calls, apdex.org's technical specification 1.1. Times are counted in
    # buckets: a call within half a percent of T may be on either side of it.
    satisfied = np.array([bucket_code(t) for t in rows["apdex_t_ns"]], np.int64)
    tolerated = np.array([bucket_code(4 * t) for t in rows["apdex_t_ns"]], np.int64)
    codes = rows.select(keys).with_columns(satisfied=satisfied, tolerated=tolerated)
    points = (
        pl.when(pl.col("code") <= pl.col("satisfied"))
        .then(1.0)
        .otherwise(pl.when(pl.col("code") <= pl.col("tolerated")).then(0.5).otherwise(0.0))
    )
    score = times.join(codes, on=keys).group_by(keys)
    apdex = score.agg(apdex=(points * pl.col("count")).sum() / pl.col("count").sum())
    return rows.join(apdex, on=keys, how="left")


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
