"""What moved between the baseline and the window, a row a channel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.choices import DEFAULT, Choices
from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.root_cause.selection import selected
from tracescape_analytics.root_cause.shifts import SHIFT, log_shifts, share_shifts
from tracescape_analytics.significance import discoveries
from tracescape_analytics.span_forest import IntArray

#: A shift is one of some instances if they shift so many times as far as all of them together.
_APART: Final = 1.25


def evidence(measures: Measures, block: IntArray, choices: Choices = DEFAULT) -> pl.DataFrame:
    """The shifts of all channels.

    ``block`` says for each trace which block of the baseline it belongs to, -1 for the window, -2 for
    neither. A row a channel: ``measure`` ('time', 'errors', 'steps', 'calls', 'messages'), ``node``,
    ``operation``, ``callee`` (the node that is called or takes messages, -1 for none), ``item`` (of 'steps'
    and 'calls': the operation that comes or goes, -1 where it is a call), the columns of ``shifts``,
    ``sure``: what of the shift is certain, in log2 and without sign (0 for none; of steps, without what
    another choice of requests explains, see ``selection``), ``p_value``,
    ``significant``: whether it is a discovery among all. Where some instances of a service got slow and not
    others, the row is that of the worst, ``resource``, and ``slow_places`` of ``places`` are like that;
    else these are -1, 0 and 0.

    Time, errors and calls count where they rose, messages that are taken where they became rarer, steps
    either way.
    """
    times = _in_blocks(measures.times, block)
    visits, steps = _in_blocks(measures.visits, block), _in_blocks(measures.steps, block)
    keys = ["node", "operation", "callee"]
    wide = {"standard_errors": choices.standard_errors}
    slower = log_shifts(times, keys, "own", **wide).with_columns(measure=pl.lit("time"))
    fails = times.filter(pl.col("failed") > 0).select(*keys, "block", share="failed")
    failing = share_shifts(fails, times, keys, keys, **wide).with_columns(measure=pl.lit("errors"))
    path = ["node", "operation"]
    moved = share_shifts(steps, visits, [*path, "called", "item"], path, **wide)
    moved = selected(moved, visits, block, path, choices.standard_errors).with_columns(
        measure=pl.lit("steps"),
        callee=pl.when(pl.col("called") == 1).then("item").otherwise(-1),
        item=pl.when(pl.col("called") == 1).then(-1).otherwise("item"),
    )
    often = log_shifts(steps, [*path, "called", "item"], "times", **wide).with_columns(
        measure=pl.lit("calls"),
        callee=pl.when(pl.col("called") == 1).then("item").otherwise(-1),
        item=pl.when(pl.col("called") == 1).then(-1).otherwise("item"),
    )
    sent, taken = _in_blocks(measures.sent, block), _in_blocks(measures.taken, block)
    received = share_shifts(taken, sent, [*path, "item"], [*path, "item"], **wide).with_columns(
        measure=pl.lit("messages"), callee="item", item=pl.lit(-1, pl.Int64)
    )
    alone = log_shifts(_in_blocks(measures.places, block), [*path, "resource"], "own", **wide).with_columns(
        measure=pl.lit("time"), callee=pl.lit(-1, pl.Int64), item=pl.lit(-1, pl.Int64)
    )
    columns = ["measure", *keys, "item", *SHIFT]
    frames = [frame.with_columns(item=pl.lit(-1, pl.Int64)).select(columns) for frame in (slower, failing)]
    frames += [often.select(columns), received.select(columns), moved.select(*columns, "selected")]
    frames.append(alone.select(*columns, "resource"))
    rows = pl.concat(frames, how="diagonal_relaxed")
    rows = rows.with_columns(pl.col("resource").fill_null(-1), pl.col("selected").fill_null(0.0))
    return _apart(_judged(rows, choices).drop("selected", "certain"))


def _apart(rows: pl.DataFrame) -> pl.DataFrame:
    # Own work of all instances, or of the worst one where it is not all that are slow.
    keys = ["measure", "node", "operation", "callee", "item"]
    alone = pl.col("resource") >= 0
    slow = pl.col("significant") & (pl.col("sure") > 0)
    counts = rows.filter(alone).group_by(keys).agg(slow_places=slow.sum().cast(pl.Int64), places=pl.len())
    worst = rows.filter(alone & slow).sort("sure", "resource", descending=[True, False])
    worst = worst.unique(keys, keep="first", maintain_order=True).join(counts, on=keys)
    whole = rows.filter(~alone)
    of_all = whole.select(*keys, all_shift="shift", all_sure="sure")
    worst = worst.join(of_all, on=keys).filter(
        pl.col("slow_places") < pl.col("places"),
        pl.col("sure") > pl.col("all_sure"),
        pl.col("shift") > _APART * pl.col("all_shift"),
    )
    kept = whole.join(worst, on=keys, how="anti").with_columns(
        slow_places=pl.lit(0, pl.Int64), places=pl.lit(0, pl.Int64)
    )
    return pl.concat([kept, worst.select(kept.columns)], how="vertical_relaxed").sort(keys)


def _in_blocks(rows: pl.DataFrame, block: IntArray) -> pl.DataFrame:
    return rows.with_columns(block=pl.Series(block[rows["trace"].to_numpy()])).filter(pl.col("block") > -2)


def _judged(rows: pl.DataFrame, choices: Choices) -> pl.DataFrame:
    steps, fewer = pl.col("measure") == "steps", pl.col("measure") == "messages"
    counts = pl.when(fewer).then(pl.col("shift") < 0).otherwise((pl.col("shift") > 0) | steps)
    certain = pl.col("certain") - pl.col("selected")
    rows = rows.with_columns(
        sure=pl.when(counts & (pl.col("z") != 0)).then(certain.clip(lower_bound=0.0)).otherwise(0.0)
    )
    turned = pl.when(steps).then(pl.col("z").abs()).when(fewer).then(-pl.col("z")).otherwise("z")
    size = rows.select(turned).to_series().to_numpy()
    tails = np.where(rows["measure"] == "steps", 1.0, 0.5)
    p_values = np.array([tail * math.erfc(z / math.sqrt(2)) for tail, z in zip(tails, size, strict=True)])
    found = discoveries(p_values, choices.false_discoveries) & (
        rows["traces"].to_numpy() >= choices.least_traces
    )
    return rows.with_columns(
        p_value=pl.Series(p_values, dtype=pl.Float64), significant=pl.Series(found, dtype=pl.Boolean)
    )
