"""Traces to open: one that shows what is wrong, one as they used to be, and where the time of both went."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from tracescape_analytics.root_cause.measures import Measures
from tracescape_analytics.span_forest import IntArray

#: A typical trace is neither fast nor slow as a whole among so many that are usual in what is asked.
_NEAREST: Final = 25
PATH_SCHEMA: Final = {
    "rank": pl.Int64,
    "step": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "target": pl.String,
    "typical_ns": pl.Int64,
    "bad_ns": pl.Int64,
}


_Step: TypeAlias = tuple[int, int, int]


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
    """The critical paths of both traces, a row a step: who is waited for, in the order of the bad one.

    A step is a service and operation, or a call; however often a trace takes it, it is one row, and a step
    that only the typical trace takes stands behind what it follows there. So rows add up to both paths.
    """
    names = measures.owners.nodes.frame()["name"].to_list()
    operations = measures.trees.operations
    typical, bad = (_path(measures, trace) for trace in (found.typical, found.bad))
    rows = []
    for step, key in enumerate(_merged(list(bad), list(typical)), 1):
        node, operation, callee = key
        target = names[callee] if callee >= 0 else None
        spent = typical.get(key, 0), bad.get(key, 0)
        rows.append((rank, step, names[node], operations[operation], target, *spent))
    return pl.DataFrame(rows, schema=PATH_SCHEMA, orient="row")


def _path(measures: Measures, trace: int) -> dict[_Step, int]:
    # Critical time of each step of a trace, in order of their first start; a caller before whom it calls.
    trees, forest = measures.trees, measures.trees.forest
    spans = np.flatnonzero((forest.trace == trace) & (measures.critical_ns > 0))
    path: dict[_Step, int] = {}
    for span in spans[np.argsort(forest.start[spans], kind="stable")]:
        key = (int(trees.service[span]), int(trees.operation[span]), int(measures.owners.callee[span]))
        path[key] = path.get(key, 0) + int(measures.critical_ns[span])
    return path


def _merged(order: list[_Step], other: list[_Step]) -> list[_Step]:
    # All steps of ``order``, and each further one of ``other`` right behind the one that it follows there.
    known, place = set(order), 0
    for step in other:
        if step in known:
            place = order.index(step) + 1
        else:
            order.insert(place, step)
            place += 1
    return order


def trace_id_of(measures: Measures, trace: int) -> str | None:
    """The id of a trace by its number, as hex text."""
    if trace < 0:
        return None
    forest = measures.trees.forest
    row = int(forest.rows[forest.main_root[trace]])
    value: bytes = measures.trees.table["trace_id"][row].as_py()
    return value.hex()
