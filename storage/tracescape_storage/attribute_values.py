"""Attributes as columns of a frame, whatever they are called, with the types of their values.

A column has one type, and an attribute may have values of any: so what there is, is asked first. Numbers with
and without a point are Float64; values of several types, lists, maps and bytes are text (JSON where they are
no text).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tracescape_storage.attributes import encode_attributes
from tracescape_storage.conditions import identifier, literal, pointer
from tracescape_storage.filters import Field
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ARRIVED, CONTENT_KEYS, TRACE_KEY

_TEXT, _WHOLE, _POINT, _TRUTH, _OTHER = 1, 2, 4, 8, 16
_KINDS: Final = {"VARCHAR": _TEXT, "BIGINT": _WHOLE, "DOUBLE": _POINT, "BOOLEAN": _TRUTH}
_TYPES: Final = {_TEXT: "VARCHAR", _WHOLE: "BIGINT", _POINT: "DOUBLE", _TRUTH: "BOOLEAN"}
_OF_SPAN: Final = " AND ".join(f"events.{name} = spans.{name}" for name in (TRACE_KEY, "trace_id", "span_id"))


class Values(NamedTuple):
    """What values attributes have.

    Attributes:
        kinds: of each field, a set of bits; 0 for no value.
        stored: of each, those that are in the text ``attributes`` of spans.
        arrived_ns: of the last span that was looked at; None without any.
    """

    kinds: dict[tuple[str, str], int]
    stored: dict[tuple[str, str], int]
    arrived_ns: int | None


def values_of(
    reader: Reader, fields: Sequence[Field], columns: Mapping[str, str], condition: str, limit: int | None
) -> Values:
    """What values ``fields``, attributes all, have in the first ``limit`` spans that meet ``condition``.

    Those of resources, scopes and events are looked for in the whole store.
    """
    found = _of_spans(reader, fields, columns, condition, limit)
    for table, owners in (
        ("resources", ("resource", "any")),
        ("scopes", ("scope",)),
        ("events", ("event",)),
    ):
        asked = [field for field in fields if field.owner in owners]
        if asked:
            counted = ", ".join(f"bit_or({_kind(field.key)})" for field in asked)
            table_row = reader.sql(f"SELECT {counted} FROM {table}").columns
            for field, kinds in zip(asked, table_row, strict=True):
                each = field.owner, field.key
                found.kinds[each] = found.kinds.get(each, 0) | (kinds[0].as_py() or 0)
    return found


def value_sql(field: Field, columns: Mapping[str, str], values: Values) -> str:
    """The attribute as a column over ``spans``; null where there is none. A list of those of its events."""
    own = field.key in columns and field.owner in ("any", "span")
    kinds = values.kinds[field.owner, field.key]
    kind = columns[field.key] if own and not kinds else _type(kinds)
    stored = _cast(field.key, kind)
    if field.owner == "event":
        there = f"{_mentions(field.key)} AND {stored} IS NOT NULL"
        return f"(SELECT list({stored} ORDER BY time_ns) FROM events WHERE {_OF_SPAN} AND {there})"
    if field.owner in ("resource", "scope"):
        return looked_up(f"{field.owner}s", stored)
    ways = [f"{identifier(field.key)}::{kind}"] if own else []
    if values.stored[field.owner, field.key]:
        ways.append(f"CASE WHEN {_mentions(field.key)} THEN {stored} END")
    if field.owner == "any":
        ways.append(looked_up("resources", stored))
    return f"coalesce({', '.join(ways)})" if ways else f"NULL::{kind}"


def looked_up(table: str, value: str) -> str:
    """``value`` of a span's row in ``resources`` or ``scopes``."""
    # Values are computed once a resource or scope: there are few of them, and many spans.
    key = CONTENT_KEYS[table]
    return (
        f"(SELECT any_value(found) FROM (SELECT {key} AS id, {value} AS found FROM {table}) WHERE id = {key})"
    )


def event_names() -> str:
    """The names of a span's events, in the order of time; null without events."""
    return f"(SELECT list(name ORDER BY time_ns) FROM events WHERE {_OF_SPAN})"


def _of_spans(
    reader: Reader, fields: Sequence[Field], columns: Mapping[str, str], condition: str, limit: int | None
) -> Values:
    asked = [field for field in fields if field.owner in ("span", "any")]
    if not asked:
        return Values({}, {}, None)
    own = [field for field in asked if field.key in columns]
    read = ", ".join(["attributes", ARRIVED, *dict.fromkeys(identifier(field.key) for field in own)])
    first = "" if limit is None else f" LIMIT {limit}"
    counted = ", ".join(
        f"bit_or(CASE WHEN {identifier(field.key)} IS NULL THEN {_kind(field.key)} END),"
        f" bool_or({identifier(field.key)} IS NOT NULL)"
        if field.key in columns
        else f"bit_or({_kind(field.key)}), false"
        for field in asked
    )
    table = reader.sql(
        f"SELECT max({ARRIVED}), {counted} FROM (SELECT {read} FROM spans WHERE {condition}{first})"
    )
    arrived_ns, *told = (column[0].as_py() for column in table.columns)
    kinds: dict[tuple[str, str], int] = {}
    stored: dict[tuple[str, str], int] = {}
    for field, kind, columned in zip(asked, told[::2], told[1::2], strict=True):
        each = field.owner, field.key
        stored[each] = kind or 0
        kinds[each] = stored[each] | (_KINDS[columns[field.key]] if columned else 0)
    return Values(kinds, stored, arrived_ns)


def _type(kinds: int) -> str:
    return _TYPES.get(kinds, "DOUBLE" if kinds == _WHOLE | _POINT else "VARCHAR")


def _kind(key: str) -> str:
    """The bit of what the text ``attributes`` has, null for nothing."""
    kind = f"json_type(attributes, {pointer(key)})"
    return (
        f"CASE WHEN {_mentions(key)} THEN CASE {kind} WHEN 'VARCHAR' THEN {_TEXT} WHEN 'BIGINT' THEN {_WHOLE}"
        f" WHEN 'UBIGINT' THEN {_WHOLE} WHEN 'DOUBLE' THEN {_POINT} WHEN 'BOOLEAN' THEN {_TRUTH}"
        f" WHEN 'OBJECT' THEN CASE WHEN {_odd_double(key)} IS NULL THEN {_OTHER} ELSE {_POINT} END"
        f" WHEN 'ARRAY' THEN {_OTHER} END END::INTEGER"
    )


def _cast(key: str, kind: str) -> str:
    text = f"json_extract_string(attributes, {pointer(key)})"
    if kind == "VARCHAR":
        return text
    if kind == "DOUBLE":
        return f"coalesce(TRY_CAST({text} AS DOUBLE), TRY_CAST({_odd_double(key)} AS DOUBLE))"
    return f"TRY_CAST({text} AS {kind})"


def _odd_double(key: str) -> str:
    return f"json_extract_string(attributes, {pointer(key)} || '/$double')"


def _mentions(key: str) -> str:
    return f"contains(attributes, {literal(encode_attributes({key: None})[1:-5])})"
