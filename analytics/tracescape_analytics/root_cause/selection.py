"""What of a change of behaviour can be a change of who asks.

A service of which fewer requests are asked may do the same as ever with each: if those that are missing were
the ones that do X, the share of X falls, and that of everything else rises. So whoever is called behind a
request that breaks off seems to behave differently. Of that, nothing is its own as long as it can be had by
taking requests away (or, where there are more requests than before, by adding some).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.span_forest import IntArray

_SIDES: Final = [("before", "after"), ("after", "before")]
_SMALLEST: Final = 1e-6


def selected(
    moved: pl.DataFrame, visits: pl.DataFrame, block: IntArray, path: list[str], standard_errors: float
) -> pl.DataFrame:
    """``moved`` with ``selected``: how much of the shift of a share some selection of requests explains, in
    log2 of odds, without sign.

    ``moved`` has shares ``before`` and ``after`` of the requests of ``path`` (as ``share_shifts`` gives
    them), ``visits`` has ``path``, ``block`` and ``entries``; ``block`` is that of each trace, see
    ``evidence``. Requests are counted a trace. Where their number has certainly changed, by so many
    ``standard_errors`` (Poisson), it may have by as many more; of a service that may be called as ever this
    explains nothing.
    """
    window = pl.col("block") < 0
    asked = visits.group_by(path).agg(
        now=pl.col("entries").filter(window).sum(), then=pl.col("entries").filter(~window).sum()
    )
    traces = max(int((block == -1).sum()), 1) / max(int((block >= 0).sum()), 1)
    rate = pl.col("now") / pl.col("then") / traces
    fewer = rate < 1
    unsure = (standard_errors * (1 / pl.col("now") + 1 / pl.col("then")).sqrt()).exp()
    left = pl.min_horizontal(rate, 1 / rate)
    left = pl.when(left * unsure < 1).then(left / unsure).otherwise(1.0)
    # Of the side with more requests, the other can be any part that is so large.
    whole, part = (pl.when(fewer).then(one).otherwise(other) for one, other in _SIDES)
    least = (1 - (1 - whole) / left).clip(lower_bound=0.0)
    most = (whole / left).clip(upper_bound=1.0)
    reach = pl.max_horizontal(least, pl.min_horizontal(most, part))
    explained = (_odds(reach) - _odds(whole)).abs().fill_nan(0.0).fill_null(0.0)
    return moved.join(asked, on=path, how="left").with_columns(selected=explained).drop("now", "then")


def _odds(share: pl.Expr) -> pl.Expr:
    share = share.clip(_SMALLEST, 1 - _SMALLEST)
    return (share / (1 - share)).log(2)
