"""From counts to the rows of an attribute: its values or ranges, "unset", and what is not told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from tracescape_analytics.compare.counting import Counts, Sides, ValueType
from tracescape_analytics.compare.numbers import Numbers, binned, numbers_of
from tracescape_analytics.compare.ranking import Distribution
from tracescape_storage.filters import AllOf, Filter, FilterError, Operator, compare

#: Numbers of more distinct values than this are compared in ranges of equal counts.
FEW_VALUES: Final = 20


class Row(NamedTuple):
    """A value of an attribute: how many spans of each side have it.

    ``value`` is None for "unset". ``where`` finds the spans that have it; None where no filter does.
    """

    value: str | None
    a: int
    b: int
    where: Filter | None
    in_range: bool = False


class AttributeRows(NamedTuple):
    """An attribute, the rows that are told of it, and the counts of all its values."""

    name: str
    own: Counts
    numbers: Numbers | None
    rows: list[Row]
    unset: Row
    distribution: Distribution


def attribute_rows(name: str, own: Counts, asked: Sides) -> AttributeRows:
    """The rows of one attribute."""
    numbers = numbers_of(own)
    in_ranges = numbers is not None and (own.distinct > FEW_VALUES or not own.values)
    rows = list(_ranges(own, numbers) if in_ranges and numbers is not None else _values(own))
    counted = sum(row.a for row in rows), sum(row.b for row in rows)
    # What is counted in ranges alone, as durations are, is not in ``set``.
    there = max(own.set[0], counted[0]), max(own.set[1], counted[1])
    unset = Row(None, asked.selected - there[0], asked.compared - there[1], ~own.field.exists())
    if unset.a or unset.b:
        rows.append(unset)
    rest = (there[0] - counted[0], there[1] - counted[1])
    a, b = np.array([*((row.a, row.b) for row in rows), rest], np.int64).T
    return AttributeRows(name, own, numbers, rows, unset, Distribution(a, b))


def _ranges(own: Counts, numbers: Numbers) -> Iterator[Row]:
    for each in binned(numbers):
        low, high = (_whole(bound) for bound in (each.low, each.high))
        where = _filter(own, ">=", low), _filter(own, "<=", high)
        known = None if None in where else AllOf(tuple(part for part in where if part is not None))
        yield Row(each.text, each.a, each.b, known, in_range=True)


def _whole(bound: float) -> int | float:
    return round(bound) if abs(bound) >= 2**53 or bound == round(bound) else bound


def _values(own: Counts) -> Iterator[Row]:
    for (kind, text), (a, b) in own.values.items():
        yield Row(text, a, b, None if kind == "other" else _filter(own, "=", _typed(kind, text)))


def _typed(kind: ValueType, text: str) -> str | bool | int | float:
    if kind == "text":
        return text
    if kind == "boolean":
        return text == "true"
    return float(text) if set(text) - set("-0123456789") else int(text)


def _filter(own: Counts, operator: Operator, value: str | bool | int | float) -> Filter | None:
    if own.field.key == "duration_ns" and not own.field.owner:
        value = int(value)
    try:
        return compare(own.field, operator, value)
    except FilterError:
        return None  # longer than a filter takes, or no finite number
