"""What anybody would try first, and what is done with series: the methods to be ahead of.

Each takes the spans of a window and of a baseline (as ``datasets.Labelled`` cuts them) and answers with a
score for each service.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

Answer = dict[str, float]

#: Length of a point of a series.
_STEP_NS: Final = 15_000_000_000
_COLUMNS: Final = ["trace_id", "span_id", "parent_span_id", "start_ns", "duration_ns", "service", "operation"]


def frame_of(spans: pa.Table) -> pl.DataFrame:
    """The columns that these methods read, names as text."""
    frame = pl.from_arrow(spans.select([*_COLUMNS, "status"]))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col("service", "operation").cast(pl.String))


def duration_z(window: pa.Table, baseline: pa.Table) -> Answer:
    """How many standard deviations the mean duration rose: the largest over a service's operations."""
    return _z(frame_of(window), frame_of(baseline), ["service", "operation"], "service")


def edge_duration_z(window: pa.Table, baseline: pa.Table) -> Answer:
    """The same of calls, by caller and callee as the caller saw them; the callee is blamed."""
    keys = ["caller", "service"]
    return _z(_edges(window), _edges(baseline), keys, "service")


def _z(now: pl.DataFrame, before: pl.DataFrame, keys: list[str], blamed: str) -> Answer:
    mean, spread = pl.col("duration_ns").mean(), pl.col("duration_ns").std()
    compared = (
        now.group_by(keys)
        .agg(mean=mean)
        .join(before.group_by(keys).agg(base=mean, spread=spread), on=keys)
        .filter(pl.col("spread") > 0)
        .with_columns(z=(pl.col("mean") - pl.col("base")) / pl.col("spread"))
        .group_by(blamed)
        .agg(pl.col("z").max())
    )
    return dict(compared.iter_rows())


def _edges(spans: pa.Table) -> pl.DataFrame:
    # Calls between services; a call that nothing answers is one to whom it names, where it does.
    frame = frame_of(spans)
    above = frame.select("trace_id", "service", "duration_ns", parent_span_id="span_id").rename(
        {"service": "caller", "duration_ns": "felt"}
    )
    above = above.unique(["trace_id", "parent_span_id"])
    crossed = frame.join(above, on=["trace_id", "parent_span_id"]).filter(
        pl.col("caller") != pl.col("service")
    )
    edges = crossed.select("caller", "service", duration_ns="felt")
    if "peer_service" not in spans.column_names or spans["peer_service"].null_count == len(spans):
        return edges
    named = pl.from_arrow(spans.select(["service", "peer_service", "duration_ns"]))
    assert isinstance(named, pl.DataFrame)
    named = named.filter(pl.col("peer_service").is_not_null())
    outgoing = named.select(
        caller=pl.col("service").cast(pl.String),
        service=pl.col("peer_service").cast(pl.String),
        duration_ns="duration_ns",
    )
    served = frame.filter(pl.col("operation") == "serve").select("service", "duration_ns", caller="service")
    return pl.concat([outgoing, served.select(outgoing.columns)])


def self_time(window: pa.Table, baseline: pa.Table) -> Answer:
    """Self time a trace beyond the baseline's, in ns."""
    now, before = _self_times(frame_of(window)), _self_times(frame_of(baseline))
    return {service: total - before.get(service, 0.0) for service, total in now.items()}


def _self_times(frame: pl.DataFrame) -> Answer:
    inner = frame.group_by("trace_id", pl.col("parent_span_id").alias("span_id")).agg(
        inner=pl.col("duration_ns").sum()
    )
    own = frame.join(inner, on=["trace_id", "span_id"], how="left").select(
        "service", own=(pl.col("duration_ns") - pl.col("inner").fill_null(0)).clip(lower_bound=0)
    )
    traces = max(frame["trace_id"].n_unique(), 1)
    return dict(own.group_by("service").agg(pl.col("own").sum() / traces).iter_rows())


def error_share(window: pa.Table, baseline: pa.Table) -> Answer:
    """How much the share of failed spans (5xx, status) rose; services without failures are not named."""
    now, before = _failed(window), _failed(baseline)
    return {service: share - before.get(service, 0.0) for service, share in now.items() if share > 0}


def _failed(spans: pa.Table) -> Answer:
    failed = (pl.col("status") == 2).mean()
    return dict(frame_of(spans).group_by("service").agg(failed).iter_rows())


def baro(window: pa.Table, baseline: pa.Table) -> Answer:
    """BARO (Pham et al., FSE 2024), scored as RCAEval does: the largest robust z of any point of a series."""

    def scale(values: np.ndarray) -> tuple[float, float]:
        low, high = np.quantile(values, [0.25, 0.75])
        return float(np.median(values)), float(high - low)

    return _series_scores(window, baseline, scale)


def n_sigma(window: pa.Table, baseline: pa.Table) -> Answer:
    """The same with mean and standard deviation."""
    return _series_scores(window, baseline, lambda values: (float(values.mean()), float(values.std())))


def _series_scores(window: pa.Table, baseline: pa.Table, scale: object) -> Answer:
    # Rate, error share and mean latency of each service in steps; a step without calls is 0.
    assert callable(scale)
    now, before = _series(frame_of(window)), _series(frame_of(baseline))
    scores: Answer = {}
    for key, values in before.items():
        if key not in now or np.ptp(values) == 0:  # as RCAEval: constant and new series are dropped
            continue
        middle, spread = scale(values)
        z = float(np.max((now[key] - middle) / (spread or 1.0)))
        scores[key[0]] = max(z, scores.get(key[0], -np.inf))
    return scores


def _series(frame: pl.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    step = pl.col("start_ns") // _STEP_NS
    points = frame.group_by("service", step.alias("step")).agg(
        rate=pl.len().cast(pl.Float64),
        errors=(pl.col("status") == 2).mean(),
        latency=pl.col("duration_ns").mean(),
    )
    steps = points.select("step").unique()
    grid = points.select("service").unique().join(steps, how="cross")
    full = grid.join(points, on=["service", "step"], how="left").fill_null(0.0).sort("service", "step")
    return {
        (str(service), name): group[name].to_numpy()
        for (service,), group in full.group_by("service")
        for name in ("rate", "errors", "latency")
    }
