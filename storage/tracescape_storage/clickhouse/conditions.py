"""A filter as a condition on the exporter's table of spans.

Every attribute value is text there. So a text equals what is written; a number equals what reads as that
number, true and false what reads as they do: ``app.items = 42`` and ``app.items = "42"`` both find the text
``42``. Keys that semantic conventions give whole numbers (see `columns`) are numbers only.
"""

from __future__ import annotations

from typing import Final

from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.columns import (
    KIND_WORDS,
    STATUS_WORDS,
    UNKNOWN_SERVICE,
    scope_name,
    scope_version,
)
from tracescape_storage.clickhouse.layout import Layout
from tracescape_storage.clickhouse.literals import Bound, instant, literal, number
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

_SIGNS: Final = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NEVER, _ALWAYS = "false", "true"
_MAX: Final = 2**63 - 1


def condition_sql(condition: Filter, layout: Layout, bound: Bound) -> str:
    """``condition``, within its bounds (see `filters.check_size`); it is true or false, never null."""
    if isinstance(condition, AllOf):
        return _joined(" AND ", _ALWAYS, [condition_sql(part, layout, bound) for part in condition.parts])
    if isinstance(condition, AnyOf):
        return _joined(" OR ", _NEVER, [condition_sql(part, layout, bound) for part in condition.parts])
    if isinstance(condition, Not):
        return f"NOT ({condition_sql(condition.part, layout, bound)})"
    assert isinstance(condition, Comparison), condition
    if condition.owner:
        return _attribute(condition, bound)
    return _field(condition, layout, bound)


def _joined(word: str, empty: str, parts: list[str]) -> str:
    return "(" + word.join(parts) + ")" if parts else empty


def _field(comparison: Comparison, layout: Layout, bound: Bound) -> str:
    key, op, value = comparison.key, comparison.operator, comparison.value
    if key == "event.name":
        return f"arrayExists(x -> {_text('toString(x)', op, str(value), bound)}, `Events.Name`)"
    if key == "scope.name":  # a span always has a scope, and a scope a name, though it may be empty
        return _ALWAYS if op == "exists" else _text(scope_name(layout), op, str(value), bound)
    if key == "scope.version":
        return _there(scope_version(layout), op, str(value), bound)
    if key == "service":
        return _service(op, str(value), bound)
    if key == "operation":
        return _ALWAYS if op == "exists" else _text("SpanName", op, str(value), bound)
    if key == "status_message":
        return _there("StatusMessage", op, str(value), bound)
    if op == "exists":
        return "ParentSpanId NOT IN ('', '0000000000000000')" if key == "parent_span_id" else _ALWAYS
    return _number_or_id(key, op, value)


def _number_or_id(key: str, op: Operator, value: Value) -> str:
    sign = _SIGNS[op]
    if key in ("kind", "status"):
        words, codes = (KINDS, KIND_WORDS) if key == "kind" else (STATUSES, STATUS_WORDS)
        return _coded("SpanKind" if key == "kind" else "StatusCode", op, words.index(str(value)), codes)
    if key == "trace_id":
        return f"TraceId {sign} {literal(str(value))}"
    if key == "span_id":
        return f"SpanId {sign} {literal(str(value))}"
    if key == "parent_span_id":
        return f"(ParentSpanId {sign} {literal(str(value))} AND ParentSpanId != '')"
    assert isinstance(value, int)
    if key == "start_ns":
        return f"Timestamp {sign} {instant(value)}"
    if key == "end_ns":
        return f"toInt128(toUnixTimestamp64Nano(Timestamp)) + toInt128(Duration) {sign} {number(value)}"
    return f"toInt64(Duration) {sign} {number(value)}"


def _coded(column: str, op: Operator, wanted: int, codes: dict[int, tuple[str, ...]]) -> str:
    if wanted:
        words = ", ".join(literal(word) for word in codes[wanted])
        return f"{column} {'' if op == '=' else 'NOT '}IN ({words})"
    others = ", ".join(literal(word) for each, words in codes.items() if each for word in words)
    return f"{column} {'NOT ' if op == '=' else ''}IN ({others})"


def _service(op: Operator, value: str, bound: Bound) -> str:
    if op == "exists":
        return _ALWAYS
    plain = _text("ServiceName", op, value, bound)
    unnamed = _text(literal(UNKNOWN_SERVICE), op, value, bound)
    if op == "=" and value != UNKNOWN_SERVICE:
        return plain  # the table is in order of this column: nothing should stand between
    return f"if(ServiceName = '', {unnamed}, {plain})"


def _there(column: str, op: Operator, value: str, bound: Bound) -> str:
    """A comparison of a text that is empty where there is none."""
    if op == "exists":
        return f"{column} != ''"
    return f"({column} != '' AND {_text(column, op, value, bound)})"


def _text(sql: str, op: Operator, value: str, bound: Bound) -> str:
    if op == "exists":
        return _ALWAYS
    if op == "contains":
        return f"position({sql}, {bound.text(value)}) > 0"
    if op == "matches":  # to match(), a point is also a line's end, unless it is told
        return f"match({sql}, {bound.text('(?-s)' + value)})"
    return f"{sql} {_SIGNS[op]} {bound.text(value)}"


def _attribute(comparison: Comparison, bound: Bound) -> str:
    if comparison.owner == "scope":  # the exporter keeps none of a span's scope
        return _NEVER
    if comparison.owner == "event":
        inner = _in_map(comparison, "m", bound, of_span=False)
        return f"arrayExists(m -> {inner}, `Events.Attributes`)"
    ways = []
    if comparison.owner in ("any", "span"):
        ways.append(_in_map(comparison, "SpanAttributes", bound, of_span=True))
    if comparison.owner in ("any", "resource"):
        ways.append(_in_map(comparison, "ResourceAttributes", bound, of_span=False))
    return _joined(" OR ", _NEVER, [way for way in ways if way != _NEVER])


def _in_map(comparison: Comparison, attributes: str, bound: Bound, *, of_span: bool) -> str:
    key, op, value = comparison.key, comparison.operator, comparison.value
    name = bound.text(key)
    has = f"mapContains({attributes}, {name})"
    if op == "exists":
        return has
    text = f"{attributes}[{name}]"
    typed = of_span and WELL_KNOWN.get(key) == "BIGINT"
    if op == "!=":
        return f"({has} AND NOT ({_equal(text, value, bound, typed=typed)}))"
    if op == "=":
        return f"({has} AND {_equal(text, value, bound, typed=typed)})"
    if isinstance(value, str):
        is_text = f" AND toInt64OrNull({text}) IS NULL" if typed else ""
        return f"({has}{is_text} AND {_text(text, op, value, bound)})"
    if isinstance(value, bool):
        return _NEVER
    return f"({has} AND {_ordered(text, op, value)})"


def _equal(text: str, value: Value, bound: Bound, *, typed: bool) -> str:
    if isinstance(value, bool):
        return f"{text} = '{str(value).lower()}'"
    if isinstance(value, str):
        number_there = f" AND toInt64OrNull({text}) IS NULL" if typed else ""
        return f"({text} = {bound.text(value)}{number_there})"
    return _ordered(text, "=", value)


def _ordered(text: str, op: Operator, value: int | float) -> str:
    """A comparison with what a text reads as: a whole number exactly, else a double; false for neither."""
    whole, point = f"toInt64OrNull({text})", f"toFloat64OrNull({text})"
    return f"if({whole} IS NOT NULL, {_whole(whole, op, value)}, {_point(point, op, value)})"


def _whole(sql: str, op: Operator, value: int | float) -> str:
    if float(value).is_integer() and -_MAX <= value <= _MAX:
        return f"ifNull({sql} {_SIGNS[op]} {number(int(value))}, false)"
    return f"ifNull(toFloat64({sql}) {_SIGNS[op]} {float(value)!r}, false)"


def _point(sql: str, op: Operator, value: int | float) -> str:
    return f"ifNull(isFinite({sql}) AND {sql} {_SIGNS[op]} toFloat64({literal(repr(float(value)))}), false)"
