"""When something began: the stretch of time in which traces were least like the rest."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.significance import FloatArray
from tracescape_analytics.span_forest import IntArray

#: Time is looked at in so many steps; an incident covers at most half of them.
STEPS: Final = 60
#: How many standard errors a stretch must stand out to be one.
LEAST_SCORE: Final = 8.0
_MAD: Final = 1.4826


class Stretch(NamedTuple):
    """``[since_ns, until_ns)``, and by how many standard errors it stands out."""

    since_ns: int
    until_ns: int
    score: float


def oddest_stretch(measures: Measures, since_ns: int, until_ns: int) -> Stretch | None:
    """The stretch of ``[since_ns, until_ns)`` that stands out most; None if none does.

    Looked at are, in steps of time: how many traces start, how long they take beside others that begin
    alike, how many fail, and for each service its own time on critical paths and its errors. A stretch
    stands out by the distance of its mean from the median of all steps, over what steps deviate.
    """
    forest = measures.trees.forest
    starts = forest.start[forest.main_root]
    width = max(-(-(until_ns - since_ns) // STEPS), 1)
    step = np.where((starts >= since_ns) & (starts < until_ns), (starts - since_ns) // width, -1)
    series = _series(measures, step)
    best = Stretch(0, 0, LEAST_SCORE)
    for values in series:
        begin, end, score = _stretch(values)
        if score > best.score:
            stop = min(since_ns + end * width, until_ns)
            best = Stretch(since_ns + begin * width, stop, score)
    return best if best.until_ns else None


def _series(measures: Measures, step: IntArray) -> list[FloatArray]:
    trees, forest = measures.trees, measures.trees.forest
    main = forest.main_root
    roots = pl.DataFrame(
        {
            "step": step,
            "node": trees.service[main],
            "operation": trees.operation[main],
            "value": np.log2(np.maximum(trees.duration[main], 1)),
        }
    ).filter(pl.col("step") >= 0)
    alike = pl.col("value") - pl.col("value").median().over("node", "operation")
    at = pl.Series("step", step[measures.times["trace"].to_numpy()])
    times = measures.times.with_columns(at).filter(pl.col("step") >= 0)
    waited = (pl.col("critical_ns") + 1).log(2)
    times = times.with_columns(waited=waited - waited.median().over("node", "operation", "callee"))
    by_node = times.group_by("node", "step").agg(pl.col("waited", "failed").mean(), size=pl.len())
    overall = roots.with_columns(alike).group_by("step").agg(pl.col("value").mean(), size=pl.len())
    found = [_dense(overall.select("step", value="value"))]
    found.append(_dense(overall.select("step", value=pl.col("size").cast(pl.Float64)), missing=0.0))
    for _, rows in by_node.group_by("node", maintain_order=True):
        found += [_dense(rows.select("step", value=name)) for name in ("waited", "failed")]
    return found


def _dense(rows: pl.DataFrame, missing: float | None = None) -> FloatArray:
    values = np.full(STEPS, np.nan)
    values[rows["step"].to_numpy()] = rows["value"].to_numpy()
    usual = float(np.nanmedian(values)) if missing is None else missing
    return np.where(np.isnan(values), usual, values)


def _stretch(values: FloatArray) -> tuple[int, int, float]:
    # Robust deviations from the median, summed over every stretch; the largest sum over its square root.
    deviation = values - np.median(values)
    scale = _MAD * np.median(np.abs(deviation))
    floor = 0.05 * np.abs(deviation).max(initial=0.0)  # what hardly ever moves has no scale of its own
    if max(scale, floor) == 0:
        return 0, 0, 0.0
    sums = np.concatenate([[0.0], np.cumsum(deviation / max(scale, floor))])
    begin, end = np.triu_indices(len(sums), 1)
    short = end - begin <= STEPS // 2
    begin, end = begin[short], end[short]
    score = np.abs(sums[end] - sums[begin]) / np.sqrt(end - begin)
    best = int(np.argmax(score))
    return int(begin[best]), int(end[best]), float(score[best])
