"""What moved between the baseline and the window, a row a channel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.choices import DEFAULT, Choices
from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.root_cause.shifts import log_shifts, share_shifts
from tracescape_analytics.significance import discoveries
from tracescape_analytics.span_forest import IntArray

_SHIFT: Final = ["traces", "base_traces", "before", "after", "shift", "z"]


def evidence(measures: Measures, block: IntArray, choices: Choices = DEFAULT) -> pl.DataFrame:
    """The shifts of all channels.

    ``block`` says for each trace which block of the baseline it belongs to, -1 for the window, -2 for
    neither. A row a channel: ``measure`` ('time', 'errors', 'steps', 'calls'), ``node, operation``,
    ``callee`` (the node that is called, -1 for none), ``item`` (of 'steps' and 'calls': the operation that
    comes or goes, -1 where it is a call), the columns of ``shifts``, ``sure``: what of the shift is certain,
    in log2 and without sign (0 for none), ``p_value``, ``significant``: whether it is a discovery among all.

    Time, errors and calls count where they rose, steps where they became rarer or more frequent.
    """
    times = _in_blocks(measures.times, block)
    visits, steps = _in_blocks(measures.visits, block), _in_blocks(measures.steps, block)
    keys = ["node", "operation", "callee"]
    slower = log_shifts(times, keys, "own").with_columns(measure=pl.lit("time"))
    fails = times.filter(pl.col("failed") > 0).select(*keys, "block", share="failed")
    failing = share_shifts(fails, times, keys, keys).with_columns(measure=pl.lit("errors"))
    path = ["node", "operation"]
    moved = share_shifts(steps, visits, [*path, "called", "item"], path).with_columns(
        measure=pl.lit("steps"),
        callee=pl.when(pl.col("called") == 1).then("item").otherwise(-1),
        item=pl.when(pl.col("called") == 1).then(-1).otherwise("item"),
    )
    often = log_shifts(steps, [*path, "called", "item"], "times").with_columns(
        measure=pl.lit("calls"),
        callee=pl.when(pl.col("called") == 1).then("item").otherwise(-1),
        item=pl.when(pl.col("called") == 1).then(-1).otherwise("item"),
    )
    columns = ["measure", *keys, "item", *_SHIFT]
    rows = pl.concat(
        [frame.with_columns(item=pl.lit(-1, pl.Int64)).select(columns) for frame in (slower, failing)]
        + [moved.select(columns), often.select(columns)],
        how="vertical_relaxed",
    )
    return _judged(rows, choices)


def _in_blocks(rows: pl.DataFrame, block: IntArray) -> pl.DataFrame:
    return rows.with_columns(block=pl.Series(block[rows["trace"].to_numpy()])).filter(pl.col("block") > -2)


def _judged(rows: pl.DataFrame, choices: Choices) -> pl.DataFrame:
    either = pl.col("measure") == "steps"
    counts = (pl.col("shift") > 0) | either
    certain = pl.col("shift").abs() * (1 - choices.standard_errors / pl.col("z").abs())
    rows = rows.with_columns(
        sure=pl.when(counts & (pl.col("z") != 0)).then(certain.clip(lower_bound=0.0)).otherwise(0.0)
    )
    size = np.where(rows["measure"] == "steps", np.abs(rows["z"].to_numpy()), rows["z"].to_numpy())
    tails = np.where(rows["measure"] == "steps", 1.0, 0.5)
    p_values = np.array([tail * math.erfc(z / math.sqrt(2)) for tail, z in zip(tails, size, strict=True)])
    found = discoveries(p_values, choices.false_discoveries) & (
        rows["traces"].to_numpy() >= choices.least_traces
    )
    return rows.with_columns(
        p_value=pl.Series(p_values, dtype=pl.Float64), significant=pl.Series(found, dtype=pl.Boolean)
    )
