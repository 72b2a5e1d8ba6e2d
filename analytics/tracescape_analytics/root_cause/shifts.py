"""How far a measure moved between a baseline and a window, and how sure that is.

The baseline is cut into blocks of time. How much a measure wanders from block to block, beyond what its few
samples explain, is how much it may wander in the window without anything being wrong: the variance of a
random effect, estimated by the median absolute deviation of block means, so that earlier incidents in the
baseline count for little. Variances of keys with few samples are pulled towards what is usual among all keys
(as Smyth's moderated t, 2004).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.root_cause.odds import Tables, odds_shift

#: How many samples what is usual among all keys counts for, next to a key's own.
_PRIOR: Final = 4
_MAD: Final = 1.4826
_IQR: Final = 1.349
#: What both kinds of shifts give.
SHIFT: Final = ["traces", "base_traces", "before", "after", "shift", "z", "certain"]


def log_shifts(
    rows: pl.DataFrame, keys: list[str], value: str, *, standard_errors: float = 2.0
) -> pl.DataFrame:
    """Shifts of the mean of ``value`` (a logarithm) for each key that both sides have.

    ``rows`` has ``block`` (-1: the window). Gives ``traces`` and ``base_traces``, ``before``, ``after``,
    ``shift`` (their difference), ``z``, its normal score, and ``certain``, how much of the shift is beyond so
    many ``standard_errors``, without sign.
    """
    now = rows.filter(pl.col("block") < 0).group_by(keys).agg(traces=pl.len(), after=pl.col(value).mean())
    base = rows.filter(pl.col("block") >= 0)
    blocks = base.group_by(*keys, "block").agg(
        size=pl.len(), mean=pl.col(value).mean(), spread=pl.col(value).var()
    )
    quartiles = pl.col(value).quantile(0.75) - pl.col(value).quantile(0.25)
    typical = base.group_by(keys).agg(((quartiles / _IQR) ** 2).alias("middle"))
    usual = (
        blocks.group_by(keys)
        .agg(
            base_traces=pl.col("size").sum(),
            blocks=pl.len(),
            before=pl.col("mean").median(),
            spread=pl.col("spread").median(),
        )
        .join(typical, on=keys)
        .with_columns(variance=pl.max_horizontal(pl.col("spread").fill_null(0.0), "middle"))
    )
    usual = _moderated(usual, "variance", "base_traces")
    wander = (
        blocks.join(usual.select(*keys, "before", "variance"), on=keys)
        .group_by(keys)
        .agg(
            deviation=(pl.col("mean") - pl.col("before")).abs().median() * _MAD,
            sampling=(pl.col("variance") / pl.col("size")).median(),
        )
    )
    usual = usual.join(wander, on=keys).with_columns(
        between=(pl.col("deviation") ** 2 - pl.col("sampling")).clip(lower_bound=0.0)
    )
    usual = _moderated(usual, "between", "blocks")
    sampling = pl.col("variance") * (1 / pl.col("traces") + 1 / pl.col("base_traces"))
    error = (sampling + pl.col("between") * (1 + 1 / pl.col("blocks"))).sqrt()
    shifted = now.join(usual, on=keys).with_columns(shift=pl.col("after") - pl.col("before"), error=error)
    # What never varied has no error: that of one more sample of the baseline, like the window, is used.
    n, m = pl.col("traces"), pl.col("base_traces")
    least = pl.col("shift").sign() * ((m + 1) / (1 / n + 1 / m)).sqrt()
    t = pl.when(pl.col("error") > 0).then(pl.col("shift") / pl.col("error")).otherwise(least)
    freedom = (pl.col("blocks") - 1 + _PRIOR).cast(pl.Float64)
    certain = certain_mean(pl.col("shift"), t, freedom, standard_errors)
    return shifted.with_columns(z=normal_score(t, freedom), certain=certain).select(*keys, *SHIFT)


def _moderated(frame: pl.DataFrame, name: str, samples: str) -> pl.DataFrame:
    usual = frame[name].median() if len(frame) else 0.0
    own = pl.col(name) * pl.col(samples)
    return frame.with_columns(((own + _PRIOR * pl.lit(usual)) / (pl.col(samples) + _PRIOR)).alias(name))


def certain_mean(shift: pl.Expr, t: pl.Expr, freedom: pl.Expr, standard_errors: float) -> pl.Expr:
    """How far a mean moved at least, without sign: 0 where it may not have moved at all.

    ``t`` is its shift over its standard error, Student's with ``freedom``. That is beyond a limit which is as
    improbable as so many ``standard_errors`` of a normal deviate: ``normal_score`` the other way round.
    """
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    limit = (freedom * (((standard_errors / scale) ** 2 / freedom).exp() - 1)).sqrt()
    return (shift.abs() * (1 - limit / t.abs())).fill_nan(0.0).clip(lower_bound=0.0)


def normal_score(t: pl.Expr, freedom: pl.Expr) -> pl.Expr:
    """The normal deviate as improbable as ``t`` (Wallace, 1959, Ann. Math. Stat. 30, equation 4.1)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return t.sign() * scale * (freedom * (1 + t**2 / freedom).log()).sqrt()


def share_shifts(
    cells: pl.DataFrame,
    totals: pl.DataFrame,
    keys: list[str],
    of: list[str],
    *,
    standard_errors: float = 2.0,
) -> pl.DataFrame:
    """Shifts of a share: how many of the traces that have ``of`` have the key, before and after.

    ``cells`` has ``keys`` (which include ``of``), ``block`` and ``share`` (0 to 1, a row a trace that has
    the key), ``totals`` has ``of`` and ``block``, a row a trace. Gives what ``log_shifts`` gives; ``before``
    and ``after`` are shares, ``shift`` and ``certain`` are in log2 of odds, ``z`` is the signed root of the
    likelihood ratio, divided by how much more than chance the share wanders from block to block.
    """
    window = pl.col("block") < 0
    sizes = totals.group_by(*of, "block").agg(size=pl.len())
    base = sizes.filter(~window)
    known = base.group_by(of).agg(
        base_traces=pl.col("size").sum(), blocks=pl.len(), squares=(pl.col("size") ** 2).sum()
    )
    sums = cells.group_by(*keys, "block").agg(having=pl.col("share").sum())
    now = sums.filter(window).drop("block").rename({"having": "now"})
    before = sums.filter(~window).group_by(keys).agg(then=pl.col("having").sum())
    rows = (
        now.join(before, on=keys, how="full", coalesce=True)
        .join(sizes.filter(window).select(*of, traces="size"), on=of)
        .join(known, on=of)
        .with_columns(pl.col("now", "then").fill_null(0.0))
    )
    deviation = (
        pl.col("size") * (pl.col("having") / pl.col("size") - pl.col("then") / pl.col("base_traces")) ** 2
    )
    wander = (
        rows.select(*keys, "then", "base_traces")
        .join(base, on=of)
        .join(sums, on=[*keys, "block"], how="left")
        .with_columns(pl.col("having").fill_null(0.0))
        .group_by(keys)
        .agg(deviance=deviation.sum())
    )
    return _share_scores(rows.join(wander, on=keys), standard_errors).select(*keys, *SHIFT)


def _share_scores(rows: pl.DataFrame, standard_errors: float) -> pl.DataFrame:
    n, m = pl.col("traces"), pl.col("base_traces")
    pooled = (pl.col("now") + pl.col("then") + 0.5) / (n + m + 1)
    # One sample of what both sides have together is added to each, so that 0 and 1 have odds.
    rows = rows.with_columns(low=(pl.col("then") + pooled) / (m + 1), high=(pl.col("now") + pooled) / (n + 1))
    chance = pl.col("low") * (1 - pl.col("low"))
    rows = rows.with_columns(
        between=((pl.col("deviance") - (pl.col("blocks") - 1) * chance) / (m - pl.col("squares") / m))
        .fill_nan(0.0)
        .clip(lower_bound=0.0)
        .fill_null(0.0)
    )
    wide = 1 + n * pl.col("between") / chance
    odds = (pl.col("high") / (1 - pl.col("high"))).log(2) - (pl.col("low") / (1 - pl.col("low"))).log(2)
    rows = rows.with_columns(before=pl.col("then") / m, after=pl.col("now") / n, shift=odds, wide=wide)
    columns = ("now", "traces", "then", "base_traces", "wide")
    *tables, widths = (rows[name].cast(pl.Float64).to_numpy() for name in columns)
    z, certain = odds_shift(Tables(*tables), widths, standard_errors)
    return rows.with_columns(z=pl.Series(z), certain=pl.Series(certain))
