"""Rate, errors and duration of every service."""

from __future__ import annotations

import polars as pl

from tracescape_analytics.health import DEFAULT, Thresholds
from tracescape_analytics.topology import Topology, topology
from tracescape_storage.reader import Reader


def services(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
    environment: str | None = None,
) -> pl.DataFrame:
    """The services of the topology of a window, by name: see ``topology`` for the window and the baseline.

    ``service`` (text), ``calls, errors`` (Int64), ``error_rate`` (Float64, 0 to 1; null without calls),
    ``rate_per_s`` (Float64, calls a second of the window; null if it has no length), ``p50_ns, p95_ns,
    p99_ns`` (Int64; null without calls), ``state`` (text).
    """
    return services_of(
        topology(
            reader,
            since_ns=since_ns,
            until_ns=until_ns,
            baseline=baseline,
            thresholds=thresholds,
            environment=environment,
        )
    )


def services_of(found: Topology) -> pl.DataFrame:
    """The rows of ``services`` from a topology that is there already."""
    seconds = (found.until_ns - found.since_ns) / 1e9
    calls = pl.col("calls")
    return found.nodes.filter(pl.col("kind") == "service").select(
        "service",
        "calls",
        "errors",
        pl.when(calls > 0).then(pl.col("errors") / calls).alias("error_rate"),
        (calls / seconds if seconds > 0 else pl.lit(None, dtype=pl.Float64)).alias("rate_per_s"),
        "p50_ns",
        "p95_ns",
        "p99_ns",
        "state",
    )
