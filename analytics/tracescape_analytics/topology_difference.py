"""Two topologies side by side: what grew, shrank, appeared, vanished, and how errors and latency differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from tracescape_analytics.health import DEFAULT
from tracescape_analytics.significance import binomial_tail, discoveries, more_errors
from tracescape_analytics.topology import Topology
from tracescape_analytics.words import readable_duration

#: What may have happened, in the order of rows.
CHANGES: Final = ("appeared", "vanished", "grew", "shrank", "same")
#: Traffic that differs by less is the same, however sure that is.
LEAST_TIMES: Final = 1.2

_SIDES: Final = ("before", "after")
_TESTED: Final = ("seen", "errors", "p99_ns")
_MEASURES: Final = {
    "calls": pl.Int64,
    "rate_per_s": pl.Float64,
    "error_rate": pl.Float64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "state": pl.String,
}
_MEASURED: Final = {
    "change": pl.String,
    "times": pl.Float64,
    **{f"{side}_{name}": dtype for name, dtype in _MEASURES.items() for side in _SIDES},
    "error_rate_difference": pl.Float64,
    "p50_difference_ns": pl.Int64,
    "p95_difference_ns": pl.Int64,
    "p_value": pl.Float64,
    "worse": pl.String,
    "better": pl.String,
}
NODE_KEYS: Final = ("service", "kind")
EDGE_KEYS: Final = ("source", "target", "connection")
NODE_DIFFERENCE_SCHEMA: Final = {**dict.fromkeys(NODE_KEYS, pl.String), **_MEASURED}
EDGE_DIFFERENCE_SCHEMA: Final = {**dict.fromkeys(EDGE_KEYS, pl.String), **_MEASURED}
_SHOWN: Final = 6
#: What latency is judged by, besides: how many calls are longer than a quantile of the other side. Pairs of
#: quantiles, and which share of calls is longer than each.
_BEYOND: Final = ((("p50_ns", 0.5), ("p95_ns", 0.05)), (("p95_ns", 0.05), ("p99_ns", 0.01)))


@dataclass(frozen=True, repr=False)
class TopologyDifference:
    """How one topology differs from another that came before.

    ``nodes`` and ``edges`` have columns ``NODE_DIFFERENCE_SCHEMA`` and ``EDGE_DIFFERENCE_SCHEMA``, a row
    each that either side has: see ``docs/columns.md``. Rows stand by ``change`` as in ``CHANGES``, then by
    how much traffic changed, then by name. ``before`` and ``after`` are the windows, [since, until) in
    epoch ns.
    """

    nodes: pl.DataFrame
    edges: pl.DataFrame
    before: tuple[int, int]
    after: tuple[int, int]

    def __repr__(self) -> str:
        """What changed most, in lines."""
        lines = [f"From {_window(self.before)} to {_window(self.after)}:"]
        for what, rows, keys in (
            ("services", self.nodes, NODE_KEYS[:1]),
            ("edges", self.edges, EDGE_KEYS[:2]),
        ):
            lines += _told(what, rows, keys)
        return "\n".join(lines)


def difference(before: Topology, after: Topology) -> TopologyDifference:
    """What is different in ``after``.

    Something is there in a topology that has it and does not call it absent. What is there in both grew or
    shrank if its rate differs by a factor of ``LEAST_TIMES`` and more than chance (a two-sided test of the
    calls that are stored, given both lengths of time; of all that is found at most 1 % by chance).

    ``worse`` is the state that it would be in after if before were how it should be, ``better`` the one that
    it was in before if after were: bounds, and how few false ones there are, as `health` has them. Errors are
    tested as there. Of latency only quantiles are known: either half of the calls take longer than the
    other side's p95, or 5 % longer than its p99, which edges do not have.
    """
    seconds = [max(one.until_ns - one.since_ns, 1) / 1e9 for one in (before, after)]
    nodes = _joined([one.nodes for one in (before, after)], NODE_KEYS, "p", seconds)
    edges = _joined([one.edges for one in (before, after)], EDGE_KEYS, "felt_p", seconds)
    share = seconds[1] / sum(seconds)
    p_values = np.array([_p_value(*row, share) for frame in (nodes, edges) for row in _seen(frame)])
    found = discoveries(p_values, DEFAULT.false_discoveries) if len(p_values) else np.zeros(0, np.bool_)
    parts = [slice(0, len(nodes)), slice(len(nodes), None)]
    nodes, edges = _worse(nodes, edges)
    return TopologyDifference(
        _judged(nodes, p_values[parts[0]], found[parts[0]], NODE_DIFFERENCE_SCHEMA, NODE_KEYS),
        _judged(edges, p_values[parts[1]], found[parts[1]], EDGE_DIFFERENCE_SCHEMA, EDGE_KEYS),
        (before.since_ns, before.until_ns),
        (after.since_ns, after.until_ns),
    )


def _joined(
    frames: Sequence[pl.DataFrame], keys: Sequence[str], times: str, seconds: Sequence[float]
) -> pl.DataFrame:
    sides = [
        _side(frame, side, times, length) for frame, side, length in zip(frames, _SIDES, seconds, strict=True)
    ]
    measured = [side.select(*keys, pl.selectors.starts_with(*_SIDES)) for side in sides]
    return measured[0].join(measured[1], on=list(keys), how="full", coalesce=True, nulls_equal=True)


def _side(frame: pl.DataFrame, side: str, times: str, seconds: float) -> pl.DataFrame:
    # An edge's times are what its caller felt: the client's, else the server's.
    there = frame.filter(pl.col("state") != "absent")
    if times == "felt_p":
        felt = [pl.coalesce(f"client_{p}_ns", f"server_{p}_ns").alias(f"{p}_ns") for p in ("p50", "p95")]
        there = there.with_columns(*felt, p99_ns=pl.lit(None, pl.Int64))
    calls = pl.col("calls")
    there = there.with_columns(
        rate_per_s=calls / seconds,
        error_rate=pl.when(calls > 0).then(pl.col("errors") / calls),
    )
    return there.rename({name: f"{side}_{name}" for name in (*_MEASURES, *_TESTED)})


def _seen(frame: pl.DataFrame) -> list[tuple[int, int]]:
    return frame.select(pl.col(f"{side}_seen").fill_null(0) for side in _SIDES).rows()


def _p_value(before: int, after: int, share: float) -> float:
    # Of so many calls, how surprising it is that so many are on the later side.
    calls = before + after
    more, less = binomial_tail(after, calls, share), binomial_tail(before, calls, 1 - share)
    return min(2 * min(more, less), 1.0)


def _worse(nodes: pl.DataFrame, edges: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    # All tests share one rate of false discoveries: who fails more or takes longer, on either side.
    rows = [*nodes.iter_rows(named=True), *edges.iter_rows(named=True)]
    p_values = np.array([[_p_worse(row, *_SIDES), _p_worse(row, *_SIDES[::-1])] for row in rows])
    p_values = p_values.reshape(len(rows), 2, 2)
    found = discoveries(p_values.ravel(), DEFAULT.false_discoveries).reshape(p_values.shape)
    states = [
        [
            _state(row, side, other, *found[i, number].tolist())
            for number, (side, other) in enumerate((_SIDES[::-1], _SIDES))
        ]
        for i, row in enumerate(rows)
    ]
    columns = [
        pl.DataFrame(part, schema={"worse": pl.String, "better": pl.String}, orient="row")
        for part in (states[: len(nodes)], states[len(nodes) :])
    ]
    return nodes.hstack(columns[0]), edges.hstack(columns[1])


def _p_worse(row: dict[str, Any], other: str, side: str) -> list[float]:
    # How surprising it is that so many of ``side`` failed, and took so long, for who knows ``other``.
    calls, others = row[f"{side}_seen"] or 0, row[f"{other}_seen"] or 0
    if min(calls, others) < DEFAULT.calls:
        return [1.0, 1.0]
    errors = [min(row[f"{each}_errors"], row[f"{each}_seen"]) for each in (side, other)]
    slow = [1.0]
    for (quantile, beyond), (limit, expected) in _BEYOND:
        here, there = row[f"{side}_{quantile}"], row[f"{other}_{limit}"]
        if here is not None and there is not None and here > there:
            slow.append(binomial_tail(max(int(beyond * calls), 1), calls, expected))
    return [more_errors(errors[0], calls, errors[1], others), min(slow)]


def _state(row: dict[str, Any], side: str, other: str, more_failed: bool, slower: bool) -> str | None:
    limits = DEFAULT
    failed = row[f"{side}_error_rate"] if more_failed else 0.0
    times = 0.0
    if slower and row[f"{side}_p95_ns"] is not None and row[f"{other}_p95_ns"] is not None:
        times = row[f"{side}_p95_ns"] / max(row[f"{other}_p95_ns"], 1)
    if failed >= limits.failing_errors or times >= limits.failing_p95:
        return "failing"
    return "degraded" if failed >= limits.degraded_errors or times >= limits.degraded_p95 else None


def _judged(
    rows: pl.DataFrame, p_values: Any, found: Any, schema: dict[str, Any], keys: Sequence[str]
) -> pl.DataFrame:
    there = [pl.col(f"{side}_calls").is_not_null() for side in _SIDES]
    times = pl.col("after_rate_per_s") / pl.col("before_rate_per_s")
    sure = pl.col("found") & ((times >= LEAST_TIMES) | (times <= 1 / LEAST_TIMES))
    changed = pl.when(~there[0]).then(pl.lit("appeared")).when(~there[1]).then(pl.lit("vanished"))
    changed = changed.when(sure).then(pl.when(times > 1).then(pl.lit("grew")).otherwise(pl.lit("shrank")))
    names = {
        "error_rate": "error_rate_difference",
        "p50_ns": "p50_difference_ns",
        "p95_ns": "p95_difference_ns",
    }
    columns = rows.with_columns(
        p_value=pl.Series(p_values, dtype=pl.Float64),
        found=pl.Series(found, dtype=pl.Boolean),
        times=pl.when(pl.col("before_rate_per_s") > 0).then(times),
        **{new: pl.col(f"after_{name}") - pl.col(f"before_{name}") for name, new in names.items()},
    ).with_columns(change=changed.otherwise(pl.lit("same")))
    place = pl.col("change").replace_strict(
        {name: i for i, name in enumerate(CHANGES)}, return_dtype=pl.Int64
    )
    moved = (pl.col("after_rate_per_s").fill_null(0) - pl.col("before_rate_per_s").fill_null(0)).abs()
    ordered = columns.sort(place, moved, *keys, descending=[False, True, *[False] * len(keys)])
    return ordered.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _told(what: str, rows: pl.DataFrame, keys: Sequence[str]) -> list[str]:
    counts = dict(rows["change"].value_counts().iter_rows())
    summary = [f"{counts[change]} {change}" for change in CHANGES[:-1] if change in counts]
    lines = [f"  {len(rows)} {what}: {', '.join(summary) or 'the same traffic'}"]
    states = pl.col("before_state").ne_missing(pl.col("after_state"))
    proved = pl.any_horizontal(pl.col("worse", "better").is_not_null())
    told = rows.filter((pl.col("change") != "same") | states | proved)
    lines += [f"    {_line(row, keys)}" for row in told.head(_SHOWN).iter_rows(named=True)]
    more = len(told) - _SHOWN
    return (
        lines if more <= 0 else [*lines, f"    … and {more} more: .{'nodes' if what == 'services' else what}"]
    )


def _line(row: dict[str, Any], keys: Sequence[str]) -> str:
    name = " → ".join(row[key] for key in keys)
    change = row["change"]
    if change == "same":
        change = "worse" if row["worse"] else "better" if row["better"] else "is"
    told = [
        _pair(row, "rate_per_s", lambda value: f"{value:,.3g}", " calls/s"),
        _pair(row, "error_rate", lambda value: f"{value:.1%}", " failed"),
        _pair(row, "p95_ns", readable_duration, " p95"),
        _pair(row, "state", str, ""),
    ]
    return f"{change:<8} {name}: {', '.join(filter(None, told))}"


def _pair(row: dict[str, Any], name: str, shown: Any, unit: str) -> str:
    # What is known of both sides, once where they read the same.
    values = [row[f"{side}_{name}"] for side in _SIDES]
    texts = list(dict.fromkeys(shown(value) for value in values if value is not None))
    return " → ".join(texts) + unit if texts else ""


def _window(window: tuple[int, int]) -> str:
    begin, end = (datetime.fromtimestamp(ns / 1e9).astimezone() for ns in window)
    same_day = begin.date() == end.date()
    return f"{begin:%Y-%m-%d %H:%M:%S} – {end.strftime('%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S')}"
