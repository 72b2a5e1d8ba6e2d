"""What requests wait for: critical time summed over many traces."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.errors import unknown_service
from tracescape_analytics.span_forest import BoolArray, SpanForest, dictionary_codes, plant
from tracescape_analytics.windows import Window, checked
from tracescape_native.critical_path import critical_paths
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ANALYSIS_COLUMNS

#: What critical time can be summed by.
GROUPINGS: Final = ("service", "operation")


def critical_path(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "operation",
    tolerance: float = 0.01,
) -> pl.DataFrame:
    """Critical time over the traces whose main root starts in [since_ns, until_ns).

    ``service`` keeps only traces whose main root is of that service. A row a service, or a service and
    operation: ``service, [operation]`` (text), ``critical_ns`` (Int64), ``share`` of all critical time
    (Float64), ``traces`` in which it owns critical time, ``spans`` that own it (Int64), ``mean_ns_per_trace``
    over all the traces (Float64); the largest share first. ``critical_ns`` adds up to the main roots'
    durations exactly. Only the paths of main roots count: those of orphans would count time twice.

    Raises ``ValueError`` for another ``by``, ``UnknownServiceError`` for a service that is not stored. No
    trace gives a frame without rows.
    """
    check_grouping(by)
    window = checked(since_ns, until_ns)
    answer = critical_path_of(
        window.read(reader, ANALYSIS_COLUMNS),
        since_ns=since_ns,
        until_ns=until_ns,
        service=service,
        by=by,
        tolerance=tolerance,
    )
    if answer.is_empty() and service is not None:
        _, names = dictionary_codes(reader.spans(["service"])["service"])
        if service not in names:
            raise unknown_service(service, names)
    return answer


def critical_path_of(
    spans: pa.Table,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "operation",
    tolerance: float = 0.01,
) -> pl.DataFrame:
    """``critical_path`` over a table with ``schema.ANALYSIS_COLUMNS``; it may hold more than the window."""
    check_grouping(by)
    trees = plant(spans)
    counted = counted_traces(trees, Window(since_ns, until_ns), service)
    forest = trees.forest
    critical = critical_paths(forest, tolerance).critical_ns
    on_path = (critical > 0) & counted[forest.trace] & (forest.root == forest.main_root[forest.trace])
    rows = pl.DataFrame(
        {
            "service": trees.service[on_path],
            "operation": trees.operation[on_path],
            "trace": forest.trace[on_path],
            "critical_ns": critical[on_path],
        }
    )
    keys = ["service", "operation"] if by == "operation" else ["service"]
    total = max(int(critical[on_path].sum()), 1)
    sums = rows.group_by(keys).agg(
        critical_ns=pl.col("critical_ns").sum(),
        traces=pl.col("trace").n_unique().cast(pl.Int64),
        spans=pl.len().cast(pl.Int64),
    )
    return _with_names(sums, trees, keys, total, int(counted.sum()))


def check_grouping(by: str) -> None:
    """Raises ``ValueError`` unless critical time can be summed by ``by``."""
    if by not in GROUPINGS:
        raise ValueError(f"by={by!r} is not a way to sum critical time: choose {' or '.join(GROUPINGS)}")


def counted_traces(trees: SpanForest, window: Window, service: str | None = None) -> BoolArray:
    """Which traces have their main root in the window, and of that service; bool, shape (traces,)."""
    main = trees.forest.main_root
    counted = window.holds(trees.forest.start[main])
    if service is not None:
        wanted = trees.services.index(service) if service in trees.services else -1
        counted &= trees.service[main] == wanted
    return counted


def _with_names(
    sums: pl.DataFrame, trees: SpanForest, keys: list[str], total_ns: int, traces: int
) -> pl.DataFrame:
    names = {"service": trees.services, "operation": trees.operations}
    texts = [
        pl.Series(key, np.array(names[key], dtype=object)[sums[key].to_numpy()], dtype=pl.String)
        for key in keys
    ]
    return (
        sums.with_columns(texts)
        .select(
            *keys,
            "critical_ns",
            (pl.col("critical_ns") / total_ns).alias("share"),
            "traces",
            "spans",
            (pl.col("critical_ns") / max(traces, 1)).alias("mean_ns_per_trace"),
        )
        .sort("critical_ns", *keys, descending=[True, *(False for _ in keys)])
    )
