"""When something began: the stretches of time in which traces were least like the rest.

A temporal scan (Kulldorff, 1997, Commun. Stat. 26): every stretch of steps of time is compared with all that
is around it, for every channel of the evidence. Sizes count, so a handful of traces at night is no incident,
and how much a channel wanders from step to step anyway is part of its error. Own times are held against the
usual time of what they are a time of, in units of its spread, and cut off at a few of them: one odd trace is
no incident either.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.significance import FloatArray
from tracescape_analytics.span_forest import IntArray

#: Time is looked at in so many steps; an incident covers at most half of them.
STEPS: Final = 60
#: How many standard errors a stretch must stand out to be one, and in how many traces.
LEAST_SCORE: Final = 7.0
LEAST_TRACES: Final = 5
#: Own times count as far from usual as so many of their standard deviations at most.
_FARTHEST: Final = 4.0
#: No spread is smaller, in log2: 3.5 %.
_LEAST_SPREAD: Final = 0.05
#: How many traces what is usual among all channels counts for, next to a channel's own.
_PRIOR: Final = 4
_MAD: Final = 1.4826
_IQR: Final = 1.349
#: So many channels are looked at together: some MB.
_TOGETHER: Final = 256


class Stretch(NamedTuple):
    """``[since_ns, until_ns)``, by how many standard errors it stands out, and how exact its ends are."""

    since_ns: int
    until_ns: int
    score: float
    step_ns: int

    def around(self, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """What is left of ``[since_ns, until_ns)`` to compare it with: without the step on either side.

        It begins and ends somewhere in those: they are neither.
        """
        parts = (since_ns, self.since_ns - self.step_ns), (self.until_ns + self.step_ns, until_ns)
        return [part for part in parts if part[0] < part[1]]


class _Steps(NamedTuple):
    # What a channel saw, float64 of shape (channels, STEPS): how many traces, and the sum of their values.
    sizes: FloatArray
    sums: FloatArray


def odd_stretches(measures: Measures, since_ns: int, until_ns: int, most: int = 1) -> list[Stretch]:
    """At most ``most`` stretches of ``[since_ns, until_ns)`` that stand out, apart, the oddest first.

    Looked at are, in steps of time: own time, errors and calls where they rise, what requests do where it
    becomes rarer or more frequent, which requests there are among all, and how many.
    """
    forest = measures.trees.forest
    starts = forest.start[forest.main_root]
    width = max(-(-(until_ns - since_ns) // STEPS), 1)
    step = np.where((starts >= since_ns) & (starts < until_ns), (starts - since_ns) // width, -1)
    begin, end = np.triu_indices(STEPS + 1, 1)
    short = end - begin <= STEPS // 2
    begin, end = begin[short], end[short]
    scores = _scores(measures, step, begin, end)
    found: list[Stretch] = []
    while len(found) < most and len(scores) and scores.max() >= LEAST_SCORE:
        best = int(np.argmax(scores))
        since, until = begin[best], end[best]
        at = (since_ns + int(since) * width, min(since_ns + int(until) * width, until_ns))
        found.append(Stretch(*at, float(scores[best]), width))
        scores = np.where((begin < until) & (end > since), 0.0, scores)
    return found


def _scores(measures: Measures, step: IntArray, begin: IntArray, end: IntArray) -> FloatArray:
    # For each stretch, the score of the channel in which it stands out most.
    def placed(rows: pl.DataFrame) -> pl.DataFrame:
        at = pl.Series("step", step[rows["trace"].to_numpy()])
        return rows.with_columns(at).filter(pl.col("step") >= 0)

    times, visits, steps = (placed(rows) for rows in (measures.times, measures.visits, measures.steps))
    sent, taken = placed(measures.sent), placed(measures.taken)
    keys, path, item = ["node", "operation", "callee"], ["node", "operation"], ["called", "item"]
    main = measures.trees.forest.main_root
    roots = {"node": measures.trees.service[main], "operation": measures.trees.operation[main], "step": step}
    roots_at = pl.DataFrame(roots).filter(pl.col("step") >= 0).with_columns(all=pl.lit(0), share=pl.lit(1.0))
    failing = times.filter(pl.col("failed") > 0).rename({"failed": "share"})
    best = _levels(np.bincount(roots_at["step"], minlength=STEPS).astype(np.float64), begin, end)
    for rows, value in ((times, "own"), (steps.with_columns(own="times"), "times")):
        for part in _parts(_usual_differences(rows, keys if value == "own" else [*path, *item], value)):
            best = np.maximum(best, _risen(part, begin, end))
    for cells, totals, of, within, either in (
        (failing, times, keys, keys, False),
        (steps, visits, path, [*path, *item], True),
        (taken, sent, [*path, "item"], [*path, "item"], True),
        (roots_at, roots_at, ["all"], path, True),
    ):
        for part in _parts(_shares(cells, totals, of, within)):
            best = np.maximum(best, _shifted(part, begin, end, either=either))
    return best


def _parts(steps: _Steps) -> list[_Steps]:
    return [
        _Steps(*(side[low : low + _TOGETHER] for side in steps))
        for low in range(0, len(steps.sizes), _TOGETHER)
    ]


def _usual_differences(rows: pl.DataFrame, keys: list[str], value: str) -> _Steps:
    # How far from usual, in standard deviations of the channel.
    of = pl.col(value)
    usual = rows.group_by(keys).agg(
        middle=of.median(),
        variance=((of.quantile(0.75) - of.quantile(0.25)) / _IQR) ** 2,
        traces=pl.len(),
    )
    prior = pl.lit(usual["variance"].median() if len(usual) else 0.0)
    own = pl.col("variance") * pl.col("traces") + _PRIOR * prior
    spread = (own / (pl.col("traces") + _PRIOR)).sqrt().clip(lower_bound=_LEAST_SPREAD)
    usual = usual.with_columns(spread=spread).with_row_index("channel")
    away = ((of - pl.col("middle")) / pl.col("spread")).clip(-_FARTHEST, _FARTHEST)
    cells = rows.join(usual, on=keys).group_by("channel", "step").agg(size=pl.len(), sum=away.sum())
    return _Steps(*(_dense(cells, name, len(usual)) for name in ("size", "sum")))


def _shares(cells: pl.DataFrame, totals: pl.DataFrame, of: list[str], keys: list[str]) -> _Steps:
    # Of the traces that have ``of``, how many have the key.
    keys = list(dict.fromkeys([*of, *keys]))
    places = totals.select(of).unique(maintain_order=True).with_row_index("place")
    channels = cells.select(keys).unique(maintain_order=True).with_row_index("channel").join(places, on=of)
    having = cells.join(channels, on=keys).group_by("channel", "step").agg(sum=pl.col("share").sum())
    sizes = totals.join(places, on=of).group_by("place", "step").agg(size=pl.len())
    sizes = sizes.rename({"place": "channel"})
    every = _dense(sizes, "size", len(places))
    order = channels.sort("channel")["place"].to_numpy()
    return _Steps(every[order], _dense(having, "sum", len(channels)))


def _dense(cells: pl.DataFrame, name: str, channels: int) -> FloatArray:
    values = np.zeros((channels, STEPS))
    values[cells["channel"].to_numpy(), cells["step"].to_numpy()] = cells[name].to_numpy()
    return values


def _within(values: FloatArray, begin: IntArray, end: IntArray) -> FloatArray:
    # The sums over all stretches, (channels, stretches).
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    inside: FloatArray = sums[:, end] - sums[:, begin]
    return inside


def _risen(steps: _Steps, begin: IntArray, end: IntArray) -> FloatArray:
    # The difference of means over its standard error; a step weighs what its sampling and wandering allow.
    sizes, sums = steps
    seen = sizes > 0
    means = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=seen)
    middle = np.nanmedian(means, axis=1, keepdims=True)
    away = np.where(seen, means - middle, 0.0)
    deviation = _MAD * np.nanmedian(np.abs(means - middle), axis=1, keepdims=True)
    sampling = np.nanmedian(np.where(seen, 1 / np.maximum(sizes, 1), np.nan), axis=1, keepdims=True)
    wander = np.maximum(deviation**2 - sampling, 0.0)
    weights = sizes / (1 + wander * sizes)
    inside = _within(weights, begin, end)
    outside = weights.sum(axis=1, keepdims=True) - inside
    both = (inside > 0) & (outside > 0) & (_within(sizes, begin, end) >= LEAST_TRACES)
    error = np.sqrt(1 / np.where(both, inside, 1.0) + 1 / np.where(both, outside, 1.0))
    mean = _within(weights * away, begin, end) / np.where(both, inside, 1.0)
    return np.asarray(np.where(both, mean / error, 0.0).max(axis=0, initial=0.0))


def _shifted(steps: _Steps, begin: IntArray, end: IntArray, *, either: bool) -> FloatArray:
    # The signed root of the likelihood ratio, over how much more than chance the share wanders.
    sizes, sums = steps
    size, having = _within(sizes, begin, end), _within(sums, begin, end)
    all_sizes, all_sums = sizes.sum(axis=1, keepdims=True), sums.sum(axis=1, keepdims=True)
    around, missing = all_sizes - size, all_sums - having
    ratio = 2 * (_chance(having, size) + _chance(missing, around) - _chance(all_sums, all_sizes))
    root = np.sqrt(np.maximum(ratio, 0.0)) / np.sqrt(_wide(sizes, sums))
    rises = having * np.maximum(around, 1) >= missing * np.maximum(size, 1)
    counts = (size >= LEAST_TRACES) & (around >= LEAST_TRACES) & (rises | either)
    return np.asarray(np.where(counts, root, 0.0).max(axis=0, initial=0.0))


def _chance(having: FloatArray, of: FloatArray) -> FloatArray:
    # The log-likelihood of a share, at its best.
    share = np.clip(having / np.maximum(of, 1.0), 1e-12, 1 - 1e-12)
    return np.asarray(having * np.log(share) + (of - having) * np.log(1 - share))


def _wide(sizes: FloatArray, sums: FloatArray) -> FloatArray:
    # How many times as far as by chance the share of a step is from usual, squared; at least once.
    shares = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
    usual = np.nanmedian(shares, axis=1, keepdims=True)
    least = 0.5 / (sizes.sum(axis=1, keepdims=True) + 1)
    usual_chance = np.clip(usual, least, 1 - least)
    chance = usual_chance * (1 - usual_chance) / np.maximum(sizes, 1)
    far = np.nanmedian((shares - usual) ** 2 / chance, axis=1, keepdims=True)
    return np.asarray(np.maximum(_MAD**2 * far, 1.0))


def _levels(counts: FloatArray, begin: IntArray, end: IntArray) -> FloatArray:
    # How far the number of traces is from usual, over what steps deviate by chance or anyway.
    usual = np.median(counts)
    away = counts - usual
    spread = max(_MAD * float(np.median(np.abs(away))), float(np.sqrt(max(usual, 1.0))))
    total = _within(away[None, :] / spread, begin, end)[0]
    return np.asarray(np.abs(total) / np.sqrt(end - begin))
