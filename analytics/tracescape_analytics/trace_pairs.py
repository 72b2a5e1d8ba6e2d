"""Two traces beside each other, span by span along their call paths, with what is different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.span_forest import IntArray
from tracescape_analytics.trace import Trace
from tracescape_analytics.words import readable_duration
from tracescape_native.call_paths import call_paths
from tracescape_native.forest import SpanArrays, build_forest

PAIR_SCHEMA: Final = {
    "left": pl.Int64,
    "right": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "depth": pl.Int64,
    "change": pl.String,
    "left_ns": pl.Int64,
    "right_ns": pl.Int64,
    "left_critical_ns": pl.Int64,
    "right_critical_ns": pl.Int64,
    "difference_ns": pl.Int64,
}
#: What may be different, of ``change``.
CHANGES: Final = ("same", "slower", "faster", "fails", "works", "left", "right")
#: Critical time that differs by so much of the longer root is marked.
LEAST_SHARE: Final = 0.05
_SHOWN: Final = 8


@dataclass(frozen=True, repr=False)
class Pairs:
    """Two traces aligned. ``spans`` (columns of ``PAIR_SCHEMA``): a row a span of either, depth first.

    Spans are the same if they are the same child of the same: of equal service and operation under paired
    parents, the first beside the first, the second beside the second, …. ``left`` and ``right`` are rows of
    ``Trace.spans``, null where the other side has none. ``change``: ``left`` or ``right`` alone has it;
    ``fails`` on the right only, or ``works`` there again; ``slower`` or ``faster`` on the right by
    ``LEAST_SHARE`` of the longer request; ``same``. ``difference_ns`` is what its own part of the critical
    path grew by: the sum is the difference of the durations of the main roots.
    """

    left_id: str
    right_id: str
    left_ns: int
    right_ns: int
    spans: pl.DataFrame

    @property
    def different(self) -> pl.DataFrame:
        """What is not the same, the greatest difference of critical time first."""
        order = pl.col("difference_ns").abs()
        return self.spans.filter(pl.col("change") != "same").sort(order, descending=True, maintain_order=True)

    def __repr__(self) -> str:
        """What is different, in lines."""
        took = f"{readable_duration(self.left_ns)} → {readable_duration(self.right_ns)}"
        different = self.different
        lines = [f"Trace {self.left_id} beside {self.right_id}: {took}, {len(different):,} spans differ"]
        for row in different.head(_SHOWN).iter_rows(named=True):
            sides = [row[f"{side}_critical_ns"] for side in ("left", "right")]
            times = " → ".join("none" if ns is None else readable_duration(ns) for ns in sides)
            lines.append(f"  {_WORDS[row['change']]:<12} {row['service']} {row['operation']}: waited {times}")
        more = len(different) - _SHOWN
        return "\n".join(lines if more <= 0 else [*lines, f"  … {more:,} more: .different"])


_WORDS: Final = {"left": "only left", "right": "only right", **{name: name for name in CHANGES[1:5]}}


def pairs(left: Trace, right: Trace) -> Pairs:
    """Align two traces: ``left`` as it should be, ``right`` as it was. O(n log n)."""
    sides = [_side(trace, name) for trace, name in ((left, "left"), (right, "right"))]
    both = pl.concat(sides)
    moved = pl.col("parent") + pl.when((pl.col("side") == "right") & (pl.col("parent") >= 0)).then(
        len(sides[0])
    ).otherwise(0)
    both = both.with_columns(parent=moved)
    both = both.with_columns(
        ordinal=pl.int_range(pl.len()).over("side", "parent", "service", "operation"),
    )
    code = both.select(pl.struct("service", "operation", "ordinal").rank("dense")).to_series().to_numpy()
    parent = both["parent"].to_numpy()
    found = call_paths(parent, code.astype(np.int64), np.ones(len(both), np.bool_))
    both = both.with_columns(path=pl.Series(found.path, dtype=pl.Int64))
    one, other = (both.filter(side=name).drop("side", "parent", "ordinal") for name in ("left", "right"))
    joined = one.join(other, on="path", how="full", coalesce=True, suffix="_right")
    longest = max(left.root.duration_ns, right.root.duration_ns, 1)
    rows = _judged(joined.sort("path"), longest)
    rows = rows[_depth_first(rows, found.parent)]
    return Pairs(
        left.trace_id,
        right.trace_id,
        left.root.duration_ns,
        right.root.duration_ns,
        rows.select(pl.col(name).cast(dtype) for name, dtype in PAIR_SCHEMA.items()),
    )


def _side(trace: Trace, side: str) -> pl.DataFrame:
    # Parents are positions among the rows of both sides; that of the right is moved later on, see `pairs`.
    forest = trace.forest
    main = int(forest.main_root[0])
    own = np.where(forest.root == main, trace.spans["critical_ns"].to_numpy(), 0)
    return pl.DataFrame(trace.spans).select(
        "service",
        "operation",
        "depth",
        "duration_ns",
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        parent=pl.Series(forest.parent, dtype=pl.Int64),
        offset_ns=pl.col("start_ns") - trace.root.start_ns,
        critical_ns=pl.Series(own, dtype=pl.Int64),
        failed=pl.col("status") == "error",
        side=pl.lit(side),
    )


def _judged(rows: pl.DataFrame, longest: int) -> pl.DataFrame:
    difference = pl.col("critical_ns_right").fill_null(0) - pl.col("critical_ns").fill_null(0)
    left, right = pl.col("row").is_not_null(), pl.col("row_right").is_not_null()
    much = difference.abs() >= LEAST_SHARE * longest
    change = pl.when(~right).then(pl.lit("left")).when(~left).then(pl.lit("right"))
    change = change.when(pl.col("failed_right") & ~pl.col("failed")).then(pl.lit("fails"))
    change = change.when(pl.col("failed") & ~pl.col("failed_right")).then(pl.lit("works"))
    change = change.when(much & (difference > 0)).then(pl.lit("slower"))
    change = change.when(much).then(pl.lit("faster"))
    either = [
        pl.coalesce(name, f"{name}_right").alias(name)
        for name in ("service", "operation", "depth", "offset_ns")
    ]
    return rows.select(
        "path",
        *either,
        change=change.otherwise(pl.lit("same")),
        left="row",
        right="row_right",
        left_ns="duration_ns",
        right_ns="duration_ns_right",
        left_critical_ns="critical_ns",
        right_critical_ns="critical_ns_right",
        difference_ns=difference,
    )


def _depth_first(rows: pl.DataFrame, parent: IntArray) -> IntArray:
    # The rows, which stand by path, as a tree of paths, siblings by when they began.
    count, zeros = len(rows), np.zeros(len(rows), np.int64)
    start = rows["offset_ns"].to_numpy()
    tree = SpanArrays(
        trace=zeros,
        span_id=np.arange(1, count + 1),
        parent_id=parent + 1,
        start=start,
        end=start,
        kind=zeros,
        resource=zeros,
        content=zeros,
    )
    return build_forest(tree).rows
