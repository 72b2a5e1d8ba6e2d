"""How many spans a stored one stands for, as far as it says so.

OpenTelemetry's consistent probability sampling leaves ``ot=th:T`` in ``trace_state``: of 2^56 equally likely
random numbers, those from T on are kept. T has up to 14 hexadecimal digits, of which trailing zeros are left
out. Else an attribute may say it: `schema.PROMOTED` has their keys under ``adjusted_count``.
What is read is part of a span's shape, so it costs nothing in a store in which no span says it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tracescape_storage.attribute_columns import COLUMNS
from tracescape_storage.namespaces import RESOURCES
from tracescape_storage.schema import ARRIVED, PROMOTED

#: What says it, the digits of T as its only group; the same to Python's ``re`` and to DuckDB's RE2.
PATTERN: Final = r"(?:^|,)[ \t]*ot=(?:[^,;]*;)*th:([0-9a-f]{1,14})[ \t]*(?:[;,]|$)"
#: The digits of T of a span, null without one: an expression over ``trace_state``.
DIGITS: Final = (
    f"CASE WHEN trace_state IS NOT NULL THEN nullif(regexp_extract(trace_state, '{PATTERN}', 1), '') END"
)
#: What stands before a count that an attribute tells, which no digits have.
COUNT: Final = "*"
#: What a span says, the threshold before the attribute: over ``spans_full``, null where it says nothing.
SAID: Final = f"coalesce({DIGITS}, CASE WHEN adjusted_count > 1 THEN '{COUNT}' || adjusted_count END)"
#: A condition that all spans that say it in ``trace_state`` meet, and hardly any other.
MAY_SAY: Final = "contains(trace_state, 'th:')"


def sampled_sql(after_ns: int, columns: Collection[str]) -> str:
    """``SELECT`` of when the last span after ``after_ns`` arrived, whether any of them may say it, and
    `namespaces.RESOURCES` and `attribute_columns.COLUMNS`.

    ``columns`` are the attributes that have columns. Unless one of them may say it, ``spans_full`` is not
    asked: to look at all that it is made of takes longer than the answer.
    """
    counted = any(key in columns for key in PROMOTED["adjusted_count"])
    table, may_say = ("spans_full", f"{MAY_SAY} OR adjusted_count > 1") if counted else ("spans", MAY_SAY)
    says = f"coalesce(bool_or({may_say}), false) AS found, {RESOURCES} AS resources, {COLUMNS} AS columns"
    return f"SELECT max({ARRIVED}) AS arrived_ns, {says} FROM {table} WHERE {ARRIVED} > {after_ns}"
