"""Traces to open: one that shows what is wrong, one as they used to be, and where the time of both went."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.span_forest import IntArray

#: The parts of two critical paths that differ most.
SHOWN_PARTS: Final = 6
#: A typical trace is neither fast nor slow as a whole among so many that are usual in what is asked.
_NEAREST: Final = 25
PATH_SCHEMA: Final = {
    "rank": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "target": pl.String,
    "typical_ns": pl.Int64,
    "bad_ns": pl.Int64,
}


class Exemplars(NamedTuple):
    """Numbers of traces (-1 for none), and when the first trace of the window that shows it starts."""

    typical: int
    bad: int
    since_ns: int


def exemplars(measures: Measures, block: IntArray, row: dict[str, Any]) -> Exemplars:
    """Traces for one row of ``evidence``: the worst of the window, and one near the baseline's middle."""
    values = _values(measures, row)
    trace, value = values["trace"].to_numpy(), values["value"].to_numpy()
    side = block[trace]
    now, then = np.flatnonzero(side == -1), np.flatnonzero(side >= 0)
    forest = measures.trees.forest
    starts = forest.start[forest.main_root]
    rose = row["after"] >= row["before"]
    middle = (row["before"] + row["after"]) / 2
    typical = bad = -1
    since = int(starts[block == -1].min(initial=2**63 - 1))
    if len(now):
        worst = value[now] if rose else -value[now]
        ties = now[worst == worst.max()]
        bad = int(trace[ties[np.argmin(starts[trace[ties]])]])
        shows = now[(value[now] >= middle) if rose else (value[now] <= middle)]
        since = int(starts[trace[shows]].min(initial=2**63 - 1)) if len(shows) else since
    if len(then):
        usual = row["before"] if row["measure"] in ("time", "calls") else np.round(row["before"])
        near = then[np.argsort(np.abs(value[then] - usual), kind="stable")[:_NEAREST]]
        length = measures.trees.duration[forest.main_root[trace[near]]]
        typical = int(trace[near[np.argsort(length, kind="stable")[len(near) // 2]]])
    return Exemplars(typical, bad, since)


def _values(measures: Measures, row: dict[str, Any]) -> pl.DataFrame:
    # ``trace, value`` of what the row is about.
    here = (pl.col("node") == row["node"]) & (pl.col("operation") == row["operation"])
    if row["measure"] in ("time", "errors"):
        value = "own" if row["measure"] == "time" else "failed"
        if row["resource"] >= 0:
            there = measures.places.filter(here, pl.col("resource") == row["resource"])
            return there.select("trace", value="own")
        rows = measures.times.filter(here, pl.col("callee") == row["callee"])
        return rows.select("trace", value=value)
    if row["measure"] == "messages":
        taker = pl.col("item") == row["callee"]
        return _with_none(measures.sent.filter(here, taker), measures.taken.filter(here, taker))
    called = row["callee"] >= 0
    item = row["callee"] if called else row["item"]
    steps = measures.steps.filter(here, pl.col("called") == int(called), pl.col("item") == item)
    if row["measure"] == "calls":
        return steps.select("trace", value="times")
    return _with_none(measures.visits.filter(here), steps)


def _with_none(every: pl.DataFrame, having: pl.DataFrame) -> pl.DataFrame:
    # The share of each trace, 0 where it has none.
    values = every.select("trace").join(having.select("trace", value="share"), on="trace", how="left")
    return values.with_columns(pl.col("value").fill_null(0.0))


def side_by_side(measures: Measures, rank: int, found: Exemplars) -> pl.DataFrame:
    """Critical time of both traces by service, operation and who is waited for; most different first."""
    names = measures.owners.nodes.frame()["name"].to_list()
    operations = measures.trees.operations
    rows = measures.times.filter(pl.col("trace").is_in([found.typical, found.bad]), pl.col("critical_ns") > 0)
    spent = pl.col("critical_ns")
    parts = rows.group_by("node", "operation", "callee").agg(
        typical_ns=spent.filter(pl.col("trace") == found.typical).sum(),
        bad_ns=spent.filter(pl.col("trace") == found.bad).sum(),
    )
    parts = parts.sort(
        (pl.col("bad_ns") - pl.col("typical_ns")).abs(),
        "node",
        "operation",
        "callee",
        descending=[True, False, False, False],
    ).head(SHOWN_PARTS)
    return pl.DataFrame(
        [
            (rank, names[node], operations[operation], names[callee] if callee >= 0 else None, typical, bad)
            for node, operation, callee, typical, bad in parts.iter_rows()
        ],
        schema=PATH_SCHEMA,
        orient="row",
    )


def trace_id_of(measures: Measures, trace: int) -> str | None:
    """The id of a trace by its number, as hex text."""
    if trace < 0:
        return None
    forest = measures.trees.forest
    row = int(forest.rows[forest.main_root[trace]])
    value: bytes = measures.trees.table["trace_id"][row].as_py()
    return value.hex()
