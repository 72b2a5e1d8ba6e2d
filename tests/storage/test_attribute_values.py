"""Any attribute is a column of a frame, with the type of its values: as one value at a time tells."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naive.search import Event, Scope, SearchedSpan, values
from support.searchable import ColumnedReader, columned_reader
from tracescape_storage.attribute_columns import ARROW_TYPES
from tracescape_storage.attributes import encode_value
from tracescape_storage.filter_text import parse_filter
from tracescape_storage.filters import attribute
from tracescape_storage.row_sql import span_rows_sql

COLUMNS = {"http.route": "VARCHAR", "app.items": "BIGINT", "app.ratio": "DOUBLE", "app.ok": "BOOLEAN"}
KEYS = [*COLUMNS, "x.y", "$odd", 'a"b', "a/b~1c", "é.é", "", "*", "service", "it's", "APP.items"]
OWNERS = ["", "span.", "resource.", "scope.", "event."]
NAMES = [owner + key for owner in OWNERS for key in KEYS if owner + key not in ("", "service")]
VALUES: list[object] = [
    *("42", "", "it's", '"k":1', "{}", "true"),
    *(42, -1, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(42.0, -0.0, 0.1, 1e300, math.inf, math.nan),
    *(True, False, None, b"42", ["42"], [], {"x.y": 42}, {"$double": "NaN"}),
]

attributes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=4)
spans = st.builds(
    SearchedSpan,
    trace=st.sampled_from([bytes(15) + b"\1", b"\xff" * 16]),
    number=st.sampled_from([1, -1]),
    start=st.integers(0, 3),
    service=st.sampled_from(["app", "it's"]),
    attributes=attributes,
    resource=attributes,
    scope=st.builds(Scope, st.sampled_from(["", "lib"]), st.sampled_from([None, "1.0"]), attributes),
    events=st.lists(st.builds(Event, st.sampled_from(["exception", "it's"]), attributes), max_size=2),
)


def kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    kinds = {int: "whole", float: "point", str: "text"}
    return kinds.get(type(value), "other")


def type_of(found: Sequence[object], own: str | None) -> pa.DataType:
    kinds = {kind_of(value) for value in found if value is not None}
    if not kinds and own is not None:
        return ARROW_TYPES[own]
    one = {"text": pa.string(), "whole": pa.int64(), "point": pa.float64(), "truth": pa.bool_()}
    if len(kinds) == 1:
        return one.get(kinds.pop(), pa.string())
    return pa.float64() if kinds == {"whole", "point"} else pa.string()


def as_column(value: object, kind: pa.DataType) -> object:
    """The value as a column of that type has it."""
    if value is None:
        return None
    if kind == pa.float64():
        return float(value)  # type: ignore[arg-type]
    if kind == pa.string() and not isinstance(value, str):
        return encode_value(value)  # type: ignore[arg-type]
    return value


def same(found: object, expected: object) -> bool:
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, str) and isinstance(expected, str) and found != expected:
        return bool(json.loads(found) == json.loads(expected))  # one number, or map, written in two ways
    if isinstance(found, float) and isinstance(expected, float):
        return repr(found) == repr(expected)
    return type(found) is type(expected) and found == expected


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(
    st.lists(spans, min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=1, max_size=3),
    st.sampled_from(["", "start_ns >= 2"]),
    st.lists(st.sampled_from(NAMES), min_size=3, max_size=8, unique=True),
)
def test_a_column_has_what_one_value_at_a_time_tells(
    rows: list[SearchedSpan], columned: list[bool], where: str, names: list[str]
) -> None:
    rows = [replace(row, number=place) for place, row in enumerate(rows)]  # events belong to ids
    reader = columned_reader(COLUMNS)
    reader.add(rows, columned=columned)
    known = [name for name in names if is_known(name, rows)]
    for name in [name for name in names if name not in known][:2]:
        with pytest.raises(ValueError, match="there is no column"):
            span_rows_sql(reader, [name])
    if not known:
        return
    table = reader.sql(span_rows_sql(reader, known, where=parse_filter(where)))
    assert table.column_names == known
    chosen = [row for row in rows if not where or row.start >= 2]
    for name in known:
        check(table[name], name, rows, chosen)


def check(
    found: pa.ChunkedArray, name: str, rows: Sequence[SearchedSpan], chosen: Sequence[SearchedSpan]
) -> None:
    asked = attribute(name)
    seen = [values(row, asked.owner, asked.key) for row in chosen]
    everyone = [values(row, asked.owner, asked.key) for row in rows]
    # Whose values decide the type: of spans those that are asked for, else those of the whole store.
    deciding = [*seen, *everyone] if asked.owner in ("resource", "scope", "event") else [*seen]
    if asked.owner == "any":
        deciding += [values(row, "resource", asked.key) for row in rows]
    kind = type_of([value for each in deciding for value in each], own_of(name))
    expected: list[object]
    if asked.owner == "event":
        assert found.type == pa.list_(kind)
        expected = [[as_column(value, kind) for value in each if value is not None] or None for each in seen]
    else:
        assert found.type == kind
        expected = [as_column(_first(each), kind) for each in seen]
    assert len(found) == len(expected)
    assert all(map(same, found.to_pylist(), expected)), (name, found.to_pylist(), expected)


def own_of(name: str) -> str | None:
    asked = attribute(name)
    return COLUMNS.get(asked.key) if asked.owner in ("any", "span") else None


def is_known(name: str, rows: Sequence[SearchedSpan]) -> bool:
    asked = attribute(name)
    return own_of(name) is not None or any(values(row, asked.owner, asked.key) for row in rows)


def _first(found: Sequence[object]) -> object:
    return next((value for value in found if value is not None), None)


def column(reader: ColumnedReader, names: list[str], where: str = "") -> pa.ChunkedArray:
    return reader.sql(span_rows_sql(reader, names, where=parse_filter(where)))[names[0]]


def test_what_arrives_after_the_types_were_asked_is_left_out() -> None:
    reader = columned_reader({}, [SearchedSpan(b"t" * 16, 1, attributes={"a.b": 1})])
    query = span_rows_sql(reader, ["a.b"])
    reader.add([SearchedSpan(b"t" * 16, 2, attributes={"a.b": "one"})])
    assert reader.sql(query)["a.b"].to_pylist() == [1]
    assert column(reader, ["a.b"]).to_pylist() == ["1", "one"]


def test_a_limit_decides_of_the_first_rows_alone() -> None:
    rows = [SearchedSpan(b"t" * 16, 1, attributes={"a.b": 1}), SearchedSpan(b"t" * 16, 2)]
    reader = columned_reader({}, [*rows, SearchedSpan(b"t" * 16, 3, attributes={"a.b": "one"})])
    assert reader.sql(span_rows_sql(reader, ["a.b"], limit=2))["a.b"].to_pylist() == [1, None]
    assert reader.sql(span_rows_sql(reader, ["a.b"], limit=0))["a.b"].type == pa.string()


def test_a_key_that_others_have_is_an_empty_column() -> None:
    rows = [SearchedSpan(b"t" * 16, 1), SearchedSpan(b"t" * 16, 2, start=9, attributes={"a.b": 1})]
    reader = columned_reader({"own.key": "BIGINT"}, rows)
    assert column(reader, ["a.b"], "start_ns < 9").to_pylist() == [None]
    assert column(reader, ["own.key"]).to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("http.rout", "did you mean http.route"),
        ("span.http.rout", "did you mean span.http.route"),
        ("resource.host.nme", "did you mean resource.host.name"),
        ("event.exception.typ", "did you mean event.exception.type"),
        ("scope.kee", "did you mean scope.key"),
        ("duration", "did you mean duration_ns"),
        ("servce", "did you mean service"),
        ("", "is no column"),
        ("nul\0key", "NUL"),
        ("half\ud800", "surrogate"),
        ("a.b" * 1_000, "1,024"),
    ],
)
def test_an_unknown_name_lists_the_near_ones(name: str, near: str) -> None:
    full = SearchedSpan(
        b"t" * 16,
        1,
        attributes={"http.route": "/"},
        resource={"host.name": "n"},
        scope=Scope(attributes={"key": 1}),
        events=[Event("e", {"exception.type": "X"})],
    )
    with pytest.raises(ValueError, match=near):
        column(columned_reader({}, [full]), [name])


def test_an_empty_store_has_a_column_for_any_key() -> None:
    assert column(columned_reader({}), ["http.route"]).to_pylist() == []
    with pytest.raises(ValueError, match="there is no column 'servce'"):
        column(columned_reader({}), ["servce"])


def test_names_of_scopes_and_events_are_columns() -> None:
    row = SearchedSpan(
        b"t" * 16, 1, scope=Scope("lib", "1.0", {"name": "x"}), events=[Event("a"), Event("b")]
    )
    reader = columned_reader({}, [row, SearchedSpan(b"t" * 16, 2)])
    table = reader.sql(span_rows_sql(reader, ["scope", "scope.name", "scope.version", "event.name"]))
    assert [list(each.values()) for each in table.to_pylist()] == [
        ["lib", "lib", "1.0", ["a", "b"]],
        ["", "", None, None],
    ]
