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

#: How many samples what is usual among all keys counts for, next to a key's own.
_PRIOR: Final = 4
_MAD: Final = 1.4826
_IQR: Final = 1.349


def log_shifts(rows: pl.DataFrame, keys: list[str], value: str) -> pl.DataFrame:
    """Shifts of the mean of ``value`` (a logarithm) for each key that both sides have.

    ``rows`` has ``block`` (-1: the window). Gives ``traces`` and ``base_traces``, ``before``, ``after``,
    ``shift`` (their difference) and ``z``, its normal score.
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
    return shifted.with_columns(z=normal_score(t, freedom)).select(
        *keys, "traces", "base_traces", "before", "after", "shift", "z"
    )


def _moderated(frame: pl.DataFrame, name: str, samples: str) -> pl.DataFrame:
    usual = frame[name].median() if len(frame) else 0.0
    own = pl.col(name) * pl.col(samples)
    return frame.with_columns(((own + _PRIOR * pl.lit(usual)) / (pl.col(samples) + _PRIOR)).alias(name))


def normal_score(t: pl.Expr, freedom: pl.Expr) -> pl.Expr:
    """The normal deviate as improbable as ``t`` (Wallace, 1959, Ann. Math. Stat. 30, equation 4.1)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return t.sign() * scale * (freedom * (1 + t**2 / freedom).log()).sqrt()


def share_shifts(cells: pl.DataFrame, totals: pl.DataFrame, keys: list[str], of: list[str]) -> pl.DataFrame:
    """Shifts of a share: how many of the traces that have ``of`` have the key, before and after.

    ``cells`` has ``keys`` (which include ``of``), ``block`` and ``share`` (0 to 1, a row a trace that has
    the key), ``totals`` has ``of`` and ``block``, a row a trace. Gives what ``log_shifts`` gives; ``before``
    and ``after`` are shares, ``shift`` is in log2 of odds, ``z`` the signed root of the likelihood ratio,
    divided by how much more than chance the share wanders from block to block.
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
    return _share_scores(rows.join(wander, on=keys)).select(
        *keys, "traces", "base_traces", "before", "after", "shift", "z"
    )


def _share_scores(rows: pl.DataFrame) -> pl.DataFrame:
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
    seen, then, both = (
        pl.col("now") / n,
        pl.col("then") / m,
        (pl.col("now") + pl.col("then")) / (n + m),
    )

    def likelihood(having: pl.Expr, of: pl.Expr, share: pl.Expr) -> pl.Expr:
        share = share.clip(1e-12, 1 - 1e-12)
        return having * share.log() + (of - having) * (1 - share).log()

    apart = likelihood(pl.col("now"), n, seen) + likelihood(pl.col("then"), m, then)
    together = likelihood(pl.col("now"), n, both) + likelihood(pl.col("then"), m, both)
    ratio = (2 * (apart - together)).clip(lower_bound=0.0)
    wide = 1 + n * pl.col("between") / chance
    odds = (pl.col("high") / (1 - pl.col("high"))).log(2) - (pl.col("low") / (1 - pl.col("low"))).log(2)
    return rows.with_columns(
        before=pl.col("then") / m,
        after=pl.col("now") / n,
        shift=odds,
        z=(seen - then).sign() * (ratio / wide).sqrt(),
    )
