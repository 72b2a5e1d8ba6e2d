"""A filter as an SQL condition on the table ``spans``.

The text goes to an open file and over HTTP alike, so there are no parameters to bind: every name and value
becomes a literal here, and nothing else of a filter reaches the text.

An attribute may stand in a column of its own or in the JSON text ``attributes``, row by row. Columns are
compared as they are. The text is read as JSON only where `contains` finds the encoded key, and for equality
the encoded value too, which are there exactly as `encode_attributes` writes them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from tracescape_storage.attributes import encode_attributes
from tracescape_storage.filters import (
    KINDS,
    STATUSES,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    Not,
    Operator,
    Value,
)
from tracescape_storage.schema import CONTENT_KEYS

_SQL_OPERATORS: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ORDER: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MAX_INT: Final = 2**63 - 1


#: SQL for the spans whose resource or scope (by the column of its id) meets a condition on its table.
Among: TypeAlias = Callable[[str, str], str]
CONTENTS: Final = {key: table for table, key in CONTENT_KEYS.items()}


def among_subquery(key: str, condition: str) -> str:
    """`Among`, left to the database."""
    return f"{key} IN (SELECT {key} FROM {CONTENTS[key]} WHERE {condition})"


def condition_sql(condition: Filter, columns: Mapping[str, str], among: Among = among_subquery) -> str:
    """``condition`` for a ``WHERE`` over ``spans``.

    Args:
        condition: a filter within its bounds (see `filters.check_size`).
        columns: the attributes that have columns of their own in ``spans``, with the DuckDB types.
        among: how resources and scopes are looked up.
    """

    def sql(part: Filter) -> str:
        return condition_sql(part, columns, among)

    if isinstance(condition, AllOf):
        return _joined("AND", "true", [sql(part) for part in condition.parts])
    if isinstance(condition, AnyOf):
        return _joined("OR", "false", [sql(part) for part in condition.parts])
    if isinstance(condition, Not):
        # What is unknown to SQL is false to us, so that turning it round makes it true.
        return f"NOT coalesce({sql(condition.part)}, false)"
    assert isinstance(condition, Comparison), condition
    return _attribute(condition, columns, among) if condition.owner else _field(condition, among)


def literal(text: str) -> str:
    """``text`` as an SQL string literal. NUL is spelt out: what parses SQL may stop at one."""
    quoted = ["'" + part.replace("'", "''") + "'" for part in text.split("\0")]
    return quoted[0] if len(quoted) == 1 else "(" + " || chr(0) || ".join(quoted) + ")"


def identifier(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def pointer(key: str) -> str:
    """The JSON pointer, as a literal, to the attribute ``key`` within the text of attributes."""
    stored = "$" + key if key.startswith("$") else key
    return literal("/" + stored.replace("~", "~0").replace("/", "~1"))


def _joined(word: str, empty: str, parts: list[str]) -> str:
    return "(" + f" {word} ".join(parts) + ")" if parts else empty


def _field(comparison: Comparison, among: Among) -> str:
    key, op, value = comparison.key, comparison.operator, comparison.value
    if key == "event.name":
        return _on_events(_text("name", op, value))
    if key.startswith("scope."):
        return among("scope_id", _text(key[6:], op, value))
    if key in ("service", "operation", "status_message"):
        return _text(key, op, value)
    if op == "exists":
        return "parent_span_id <> 0" if key == "parent_span_id" else "true"
    sign = _SQL_OPERATORS[op]
    if key == "kind":
        return f"kind {sign} {KINDS.index(str(value))}"
    if key == "status":
        return f"status {sign} {STATUSES.index(str(value))}"
    if key == "trace_id":
        return f"trace_id {sign} from_hex('{value}')"
    if key.endswith("span_id"):
        number = int.from_bytes(bytes.fromhex(str(value)), "big", signed=True)
        # 0 is no id: a span without a parent has none that could differ.
        return f"({key} {sign} {number} AND {key} <> 0)"
    if key == "end_ns":
        # Wider than 64 bits: a sender may claim a start at the end of time.
        return f"start_ns::HUGEINT + duration_ns {sign} {value}"
    return f"{'duration_ns' if key == 'duration' else key} {sign} {value}"


def _text(column: str, op: Operator, value: Value) -> str:
    """A comparison of a text column that is null where there is no text."""
    name = identifier(column)
    if op == "exists":
        return f"{name} IS NOT NULL"
    return _text_condition(name, op, str(value))


def _text_condition(name: str, op: Operator, value: str) -> str:
    if op == "contains":
        return f"contains({name}, {literal(value)})"
    if op == "matches":
        return f"regexp_matches({name}, {literal(value)})"
    return f"{name} {_SQL_OPERATORS[op]} {literal(value)}"


def _on_events(condition: str) -> str:
    return f"(trace_id, span_id) IN (SELECT trace_id, span_id FROM events WHERE {condition})"


def _attribute(comparison: Comparison, columns: Mapping[str, str], among: Among) -> str:
    key, op, value = comparison.key, comparison.operator, comparison.value
    stored = _stored(key, op, value)
    if comparison.owner == "event":
        return _on_events(stored)
    if comparison.owner in ("resource", "scope"):
        return among(f"{comparison.owner}_id", stored)
    ways = [stored]
    if key in columns:
        # A span has a key once: where the column has it, the text need not be looked at.
        name = identifier(key)
        ways = [_in_column(name, columns[key], op, value), f"({name} IS NULL AND {stored})"]
    if comparison.owner == "any":
        ways.append(among("resource_id", stored))
    return _joined("OR", "false", [way for way in ways if way != "false"])


def _in_column(name: str, kind: str, op: Operator, value: Value) -> str:
    """A comparison of a column that has the attribute where it is not null; ``false`` for never."""
    there = f"{name} IS NOT NULL"
    if op == "exists":
        return there
    if isinstance(value, bool):
        same_type, condition = kind == "BOOLEAN", f"{name} {_SQL_OPERATORS[op]} {str(value).lower()}"
    elif isinstance(value, str):
        same_type, condition = kind == "VARCHAR", _text_condition(name, op, value)
    elif kind == "BIGINT":
        return _integer_condition(name, op, value)
    else:
        same_type, condition = kind == "DOUBLE", _double_condition(name, op, value)
    if same_type:
        return condition
    return there if op == "!=" else "false"


def _integer_condition(name: str, op: Operator, value: int | float) -> str:
    """An exact comparison of int64 ``name`` with any finite number."""
    floor = math.floor(value)
    if floor == value:
        return _bounded(name, op, floor)
    if op in ("=", "!="):
        return "false" if op == "=" else f"{name} IS NOT NULL"
    return _bounded(name, "<=", floor) if op in ("<", "<=") else _bounded(name, ">", floor)


def _bounded(name: str, op: Operator, value: int) -> str:
    if -_MAX_INT - 1 <= value <= _MAX_INT:
        return f"{name} {_SQL_OPERATORS[op]} {value}"
    always = op == "!=" or (op in _ORDER and _ORDER[op](0, value))
    return f"{name} IS NOT NULL" if always else "false"


def _double_condition(name: str, op: Operator, value: int | float) -> str:
    """An exact comparison of float64 ``name``, which may be NaN, with any finite number."""
    nearest = float(value)
    sign = _SQL_OPERATORS[op]
    if nearest != value:
        # The integer is between two doubles: to be less than it is to be at most the one below.
        if op in ("=", "!="):
            return "false" if op == "=" else f"{name} IS NOT NULL"
        above = nearest > value
        sign = ("<" if above else "<=") if op in ("<", "<=") else (">=" if above else ">")
    condition = f"{name} {sign} CAST('{nearest!r}' AS DOUBLE)"
    # To DuckDB, NaN is greater than every number.
    return f"({condition} AND NOT isnan({name}))" if op in (">", ">=") else condition


def _stored(key: str, op: Operator, value: Value) -> str:
    """A comparison within the JSON text of any table's ``attributes``."""
    kind = f"json_type(attributes, {pointer(key)})"
    has = _mentions(encode_attributes({key: None})[1:-5])  # without the braces and the null
    if op == "exists":
        return f"({has} AND {kind} IS NOT NULL)"
    if op == "!=":
        return f"({has} AND {kind} IS NOT NULL AND NOT coalesce({_stored(key, '=', value)}, false))"
    text = f"json_extract_string(attributes, {pointer(key)})"
    if isinstance(value, str):
        if op == "=":
            has = _mentions(encode_attributes({key: value})[1:-1])
        return f"({has} AND {kind} = 'VARCHAR' AND {_text_condition(text, op, value)})"
    if isinstance(value, bool):
        return f"({has} AND {kind} = 'BOOLEAN' AND {text} = '{str(value).lower()}')"
    return f"({has} AND {_stored_number(key, kind, text, op, value)})"


def _mentions(encoded: str) -> str:
    return f"attributes <> '{{}}' AND contains(attributes, {literal(encoded)})"


def _stored_number(key: str, kind: str, text: str, op: Operator, value: int | float) -> str:
    infinite = f"json_extract_string(attributes, {pointer(key)} || '/$double')"
    return (
        f"CASE {kind} WHEN 'BIGINT' THEN {_integer_condition(f'TRY_CAST({text} AS BIGINT)', op, value)}"
        f" WHEN 'UBIGINT' THEN {_integer_condition(f'TRY_CAST({text} AS BIGINT)', op, value)}"
        f" WHEN 'DOUBLE' THEN {_double_condition(f'TRY_CAST({text} AS DOUBLE)', op, value)}"
        f" WHEN 'OBJECT' THEN {_double_condition(f'TRY_CAST({infinite} AS DOUBLE)', op, value)}"
        " ELSE false END"
    )
