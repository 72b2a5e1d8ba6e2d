"""The frames of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
import polars as pl

from tracescape_analytics.compare.counting import Sides
from tracescape_analytics.compare.effects import (
    FloatArray,
    difference_interval,
    distribution_p,
    divergence_interval,
    independence_p,
    value_divergences,
)
from tracescape_analytics.compare.numbers import shift
from tracescape_analytics.compare.pairs import MOST_SINGLES, Single, count_pairs
from tracescape_analytics.compare.rows import AttributeRows, Row
from tracescape_analytics.significance import discoveries
from tracescape_storage.conditions import condition_sql
from tracescape_storage.reader import Reader

#: Of all that are called significant, so many at most are expected to be so by chance.
FALSE_DISCOVERIES: Final = 0.01
#: So many of the most telling rows get an exemplar.
_EXEMPLARS: Final = 10

ATTRIBUTES: Final = {
    "attribute": pl.String,
    "type": pl.String,
    "distinct_values": pl.Int64,
    "score": pl.Float64,
    "score_low": pl.Float64,
    "score_high": pl.Float64,
    "selection_set": pl.Float64,
    "baseline_set": pl.Float64,
    "p": pl.Float64,
    "significant": pl.Boolean,
}
VALUES: Final = {
    "attribute": pl.String,
    "value": pl.String,
    "selection": pl.Int64,
    "baseline": pl.Int64,
    "selection_share": pl.Float64,
    "baseline_share": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "lift": pl.Float64,
    "p": pl.Float64,
    "significant": pl.Boolean,
    "exemplar": pl.String,
}
NUMBERS: Final = {
    "attribute": pl.String,
    "selection_p50": pl.Float64,
    "baseline_p50": pl.Float64,
    "selection_p95": pl.Float64,
    "baseline_p95": pl.Float64,
    "ks": pl.Float64,
    "wasserstein": pl.Float64,
    "p": pl.Float64,
    "significant": pl.Boolean,
}
PAIRS: Final = {
    "attribute": pl.String,
    "value": pl.String,
    "other_attribute": pl.String,
    "other_value": pl.String,
    "selection": pl.Int64,
    "baseline": pl.Int64,
    "selection_share": pl.Float64,
    "baseline_share": pl.Float64,
    "p": pl.Float64,
    "significant": pl.Boolean,
}


def attributes(
    told: Sequence[AttributeRows], scores: FloatArray, asked: Sides, *, bootstrapped: bool
) -> pl.DataFrame:
    """A row an attribute, in the order of ``told``; intervals where the score is one that has them."""
    p = np.array([distribution_p(*each.distribution) for each in told], np.float64)
    nothing = (None, None)
    intervals = [divergence_interval(*each.distribution) if bootstrapped else nothing for each in told]
    return pl.DataFrame(
        {
            "attribute": [each.name for each in told],
            "type": [_type(each) for each in told],
            "distinct_values": [each.own.distinct or None for each in told],
            "score": scores,
            "score_low": [low for low, _ in intervals],
            "score_high": [high for _, high in intervals],
            "selection_set": [1 - each.unset.a / asked.selected for each in told],
            "baseline_set": [1 - each.unset.b / asked.compared for each in told],
            "p": p,
            "significant": discoveries(p, FALSE_DISCOVERIES),
        },
        schema=ATTRIBUTES,
    )


def _type(told: AttributeRows) -> str:
    kinds = {kind for kind, _ in told.own.values} or {"number"}
    return "mixed" if len(kinds) > 1 else kinds.pop()


def values(told: Sequence[AttributeRows], asked: Sides) -> pl.DataFrame:
    """A row a value, in the order of ``told``, and of an attribute those first whose shares differ most."""
    rows = [(each.name, row) for each in told for row in each.rows]
    a, b = _counts([row for _, row in rows])
    share_a, share_b = a / asked.selected, b / asked.compared
    low, high = difference_interval(a, asked.selected, b, asked.compared)
    p = independence_p(a, asked.selected, b, asked.compared)
    frame = pl.DataFrame(
        {
            "attribute": [name for name, _ in rows],
            "value": [row.value for _, row in rows],
            "selection": a,
            "baseline": b,
            "selection_share": share_a,
            "baseline_share": share_b,
            "difference": share_a - share_b,
            "difference_low": low,
            "difference_high": high,
            "lift": [x / y if y else None for x, y in zip(share_a, share_b, strict=True)],
            "p": p,
            "significant": discoveries(p, FALSE_DISCOVERIES * len(p) / max(_tests(told), 1)),
            "exemplar": [None] * len(rows),
        },
        schema=VALUES,
    )
    place = pl.DataFrame({"attribute": [each.name for each in told]}).with_row_index("place")
    ordered = frame.join(place, on="attribute", how="left")
    return ordered.sort("place", -pl.col("difference").abs(), "value", nulls_last=True).select(*VALUES)


def _tests(told: Sequence[AttributeRows]) -> int:
    """How many values there were to choose the rows from: all of them count as tested."""
    return sum(max(each.own.distinct, len(each.rows)) for each in told)


def _counts(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.array([(row.a, row.b) for row in rows], np.int64).reshape(-1, 2).T
    return a, b


def with_exemplars(
    reader: Reader, asked: Sides, told: Sequence[AttributeRows], frame: pl.DataFrame
) -> pl.DataFrame:
    """``values``; the first significant rows name the trace of the longest span that has the value."""
    filters = {(each.name, row.value): row.where for each in told for row in each.rows}
    rows = frame.select("attribute", "value", "significant", "selection").rows()
    wanted = {
        place: where
        for place, (attribute, value, significant, selected) in enumerate(rows)
        if significant and selected and (where := filters.get((attribute, value))) is not None
    }
    wanted = dict(islice(wanted.items(), _EXEMPLARS))
    if not wanted:
        return frame
    columns = reader.attribute_columns()
    longest = ", ".join(
        f"lower(hex(arg_max(trace_id, duration_ns) FILTER (s AND {condition_sql(where, columns)})))"
        for where in wanted.values()
    )
    found = reader.sql(f"SELECT {longest} FROM {asked.source}")
    exemplars: list[str | None] = [None] * len(frame)
    for place, column in zip(wanted, found.columns, strict=True):
        exemplars[place] = column[0].as_py()
    return frame.with_columns(exemplar=pl.Series(exemplars, dtype=pl.String))


def numbers(told: Sequence[AttributeRows]) -> pl.DataFrame:
    """A row an attribute that both sides have numbers of."""
    shifts = [(each.name, shift(each.numbers)) for each in told if each.numbers is not None]
    p = np.array([found.p for _, found in shifts], np.float64)
    return pl.DataFrame(
        {
            "attribute": [name for name, _ in shifts],
            "selection_p50": [found.median_a for _, found in shifts],
            "baseline_p50": [found.median_b for _, found in shifts],
            "selection_p95": [found.p95_a for _, found in shifts],
            "baseline_p95": [found.p95_b for _, found in shifts],
            "ks": [found.ks for _, found in shifts],
            "wasserstein": [found.wasserstein for _, found in shifts],
            "p": p,
            "significant": discoveries(p, FALSE_DISCOVERIES),
        },
        schema=NUMBERS,
    )


def pairs(reader: Reader, asked: Sides, told: Sequence[AttributeRows], frame: pl.DataFrame) -> pl.DataFrame:
    """A row a pair of significant values, of spans and resources, that tells more than either alone."""
    singles = _singles(reader, asked, told, frame)
    found = count_pairs(reader, asked, singles)
    p = np.array([pair.p for pair in found], np.float64)
    rows = pl.DataFrame(
        {
            "attribute": [pair.first.attribute for pair in found],
            "value": [pair.first.value for pair in found],
            "other_attribute": [pair.second.attribute for pair in found],
            "other_value": [pair.second.value for pair in found],
            "selection": [pair.a for pair in found],
            "baseline": [pair.b for pair in found],
            "selection_share": [pair.a / asked.selected for pair in found],
            "baseline_share": [pair.b / asked.compared for pair in found],
            "p": p,
            "significant": discoveries(p, FALSE_DISCOVERIES),
        },
        schema=PAIRS,
    )
    return rows.filter(pl.col("significant"))


def _singles(
    reader: Reader, asked: Sides, told: Sequence[AttributeRows], frame: pl.DataFrame
) -> list[Single]:
    significant = set(frame.filter(pl.col("significant")).select("attribute", "value").iter_rows())
    rows = [
        (each.name, row.value, row.where, row.a, row.b)
        for each in told
        for row in each.rows
        # A filter on events finds any event, and the counts are of the first.
        if not str(each.own.field).startswith("event.")
        and (row.value is not None and row.where is not None and not row.in_range)
        and (each.name, row.value) in significant
    ]
    a, b = (np.array([row[place] for row in rows], np.int64) for place in (3, 4))
    tells = value_divergences(a, asked.selected, b, asked.compared)
    best = (rows[place] for place in np.argsort(-tells, kind="stable")[:MOST_SINGLES])
    columns = reader.attribute_columns()
    return [
        Single(name, value, condition_sql(where, columns), in_a, in_b)
        for name, value, where, in_a, in_b in best
        if value is not None and where is not None
    ]
