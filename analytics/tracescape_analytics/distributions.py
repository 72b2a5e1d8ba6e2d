"""Quantiles of durations that are counted in buckets, many at a time, as Polars frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tracescape_native.buckets import bucket_values


def summed(cells: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """``keys, code, count`` of cells that have more columns or several rows for a code."""
    return cells.group_by(*keys, "code").agg(pl.col("count").sum())


def quantile_codes(cells: pl.DataFrame, keys: Sequence[str], shares: Mapping[str, float]) -> pl.DataFrame:
    """A row for each combination of ``keys`` in ``cells`` (columns ``code`` and ``count`` besides).

    ``total`` is the sum of its counts; for each of ``shares`` a column of that name has the smallest code
    that at least this share of what is counted does not exceed.
    """
    up_to, total = pl.col("count").cum_sum(), pl.col("count").sum()
    found = [
        pl.col("code").filter(up_to >= _rank(share, total)).first().alias(name)
        for name, share in shares.items()
    ]
    return cells.sort("code").group_by(keys).agg(total.alias("total"), *found)


def _rank(share: float, total: pl.Expr) -> pl.Expr:
    # The rank of the quantile; the small part keeps 0.95 · 100, which is 95.00000000000001 or less, at 95.
    return (total * share - math.ulp(1.0) * total).ceil().clip(1, total)


def with_values(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """``frame`` with a column of values (Int64, ns; null where it is null) for each column of codes."""
    columns = []
    for code, name in names.items():
        values = bucket_values(frame[code].fill_null(0).to_numpy().astype(np.int64))
        columns.append(pl.when(pl.col(code).is_not_null()).then(pl.Series(name, values)).alias(name))
    return frame.with_columns(columns)
