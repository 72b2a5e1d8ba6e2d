"""Which spans of a large trace are drawn: those that matter, with the way that leads to them."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: So many ancestors of a chosen span are drawn with it, the nearest first.
_WAY: Final = 6


def chosen_rows(rows: pl.DataFrame, most: int) -> NDArray[np.int64]:
    """Row numbers of at most ``most`` spans of a waterfall, ascending; all of them if they are so few.

    The main root is always there, where ``most`` is not 0: that of the critical path, else the first row.
    Then come the critical path (by its time), errors, and the longest; each with its nearest ancestors.
    """
    count = len(rows)
    if count <= most:
        return np.arange(count, dtype=np.int64)
    ranked = rows.select(
        pl.int_range(pl.len()).alias("row"),
        pl.col("critical") & (pl.col("critical_ns") > 0),
        pl.col("critical_ns"),
        pl.col("status") == "error",
        "duration_ns",
    ).sort(["critical", "critical_ns", "status", "duration_ns"], descending=True)
    parents = _parents(rows["depth"].to_list())
    chosen = {_main_root(rows["depth"], ranked)} if most else set()
    for row in ranked["row"].to_list():
        way = _way(row, parents, chosen)
        if len(chosen) + len(way) <= most:
            chosen.update(way)
        elif len(chosen) < most:
            chosen.add(row)
        else:
            break
    return np.array(sorted(chosen), dtype=np.int64)


def _main_root(depth: pl.Series, ranked: pl.DataFrame) -> int:
    # A root may own no time itself, where others always work for it: then its path is below it.
    first, critical = ranked.row(0)[:2]
    roots = (depth.head(first + 1 if critical else 1) == 0).arg_true()
    return int(roots[-1])


def _way(row: int, parents: list[int], chosen: set[int]) -> list[int]:
    way: list[int] = []
    while row >= 0 and row not in chosen and len(way) <= _WAY:
        way.append(row)
        row = parents[row]
    return way


def _parents(depths: list[int]) -> list[int]:
    # In depth-first order the parent is the last row before that is one level up.
    last: dict[int, int] = {}
    parents = []
    for row, depth in enumerate(depths):
        parents.append(last.get(depth - 1, -1))
        last[depth] = row
    return parents
