"""Filters: what can be written, what it means in objects, and how what cannot be is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_storage.filter_text import MAX_FILTER, parse_filter
from tracescape_storage.filters import (
    EVERYTHING,
    FIELDS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Field,
    Filter,
    FilterError,
    Not,
    check_size,
    compare,
    field,
    required_values,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
keys = st.one_of(texts, st.sampled_from([*FIELDS, "a.b", "span.x", "resource.", "http.route", "and", "name"]))
owners = st.sampled_from(["any", "span", "resource", "scope", "event"])
values = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
comparisons = st.one_of(
    st.builds(lambda owner, key, value: compare(Field(owner, key), "=", value), owners, keys, values),
    st.builds(lambda owner, key, text: Field(owner, key).contains(text), owners, keys, texts),
    st.builds(lambda owner, key: Field(owner, key).exists(), owners, keys),
    st.builds(lambda ns: field("duration") >= ns, st.integers(0, 2**63 - 1)),
    st.just(field("kind") == "server"),
    st.just(field("scope.name").matches("^a")),
)


def joined(kind: type[AllOf] | type[AnyOf], parts: list[Filter]) -> Filter:
    return kind(tuple(parts))


filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: joined(AllOf, parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: joined(AnyOf, parts), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


@given(filters)
def test_a_filter_is_what_its_text_says(condition: Filter) -> None:
    assert parse_filter(str(condition)) == condition


@given(st.text(max_size=60) | st.text("ab.=<>!()\"'\\ 1m-&|", max_size=30))
def test_any_text_is_a_filter_or_an_error_with_a_place(text: str) -> None:
    try:
        parse_filter(text)
    except FilterError as error:
        assert str(error).startswith("the filter is wrong at ")  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ('http.route = "/cart"', field("http.route") == "/cart"),
        ("http.route == '/cart'", field("http.route") == "/cart"),
        ("duration > 200ms", field("duration") > 200_000_000),
        ("DURATION_NS > 1", None),
        ("duration>1m30s", field("duration") > "1m30s"),
        ("not kind = server", ~(field("kind") == "server")),
        ("NOT kind = SERVER AND status != ok", ~(field("kind") == "server") & (field("status") != "ok")),
        ("a.b = 1 or a.c = 2 and a.d = 3", (field("a.b") == 1) | (field("a.c") == 2) & (field("a.d") == 3)),
        (
            "(a.b = 1 || a.c = 2) && a.d exists",
            ((field("a.b") == 1) | (field("a.c") == 2)) & field("a.d").exists(),
        ),
        ('span.x =~ "^a"', field("span.x").matches("^a")),
        ('resource."host name" = "n"', Field("resource", "host name") == "n"),
        ('event."name" = "n"', Field("event", "name") == "n"),
        ('event.name = "n"', Field("", "event.name") == "n"),
        ('"service" = "n"', Field("any", "service") == "n"),
        ("a.b = -1.5e3", field("a.b") == -1500.0),
        ("a.b = true", field("a.b") == True),  # noqa: E712
        ("a.b = 'it\\'s \\u00e9 \"'", field("a.b") == "it's é \""),
        (
            "trace_id = '0428A63A-bd43769a96cc051682618b37'",
            field("trace_id") == "0428a63abd43769a96cc051682618b37",
        ),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, meant: Filter | None) -> None:
    if meant is None:
        with pytest.raises(FilterError):
            parse_filter(text)
    else:
        assert parse_filter(text) == meant


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (
            "durtion > 5ms",
            "column 1, durtion",
            "did you mean duration? An attribute of that name: span.durtion",
        ),
        ('servce = "x"', "column 1, servce", "did you mean service?"),
        ("duration > 5", "column 12, 5", "5ms"),
        ("a.b = cart", "column 7, cart", 'in quotes: "cart"'),
        ('a.b = "x', 'column 7, "x', "a quote that does not end"),
        ("(a.b = 1", "its end", "expected ')' for the '(' at column 1"),
        ("a.b = 1)", "column 8, )", "expected 'and', 'or' or the end"),
        ("a.b = 1 c.d = 2", "column 9, c.d", "expected 'and'"),
        ("a.b", "its end", "contains, matches or exists"),
        ("a.b ! 1", "column 5, !", "nothing of a filter"),
        ("a.b = 1 and", "its end", "expected a field"),
        ("kind = servr", "column 8, servr", "server"),
        ("status < 'ok'", "column 10", "it takes =, !=, exists"),
        ("a.b = 5ms", "column 7, 5ms", "only the field duration"),
        ("a.b > true", "column 7, true", "does not order"),
        ("a.b contains 5", "column 14, 5", "wants a text"),
        ('x."y" = 1', "column 1, x.", "only span, resource, scope and event"),
        ("resource.x. = 1", "column 1, resource.x.", "only in quotes"),
        ("trace_id = 'ab'", "column 12, 'ab'", "32 hexadecimal digits"),
        ("a.b = 1e999", "column 7", "no value"),
        ("a.b = 12abc", "column 7, 12abc", "nothing of a filter"),
        ("a.b = 99999999999999999999", "column 7", "64 bits"),
        ("a.b = " + "9" * 5000, "column 7", "so many digits"),
        (r'a.b = "\x"', "column 7", "backslash"),
        (r'a.b = "\ud800"', "column 7", "surrogate"),
        ("start_ns > '5'", "column 12, '5'", "whole number of nanoseconds"),
        ("duration > '5 parsecs'", "column 12", "no duration"),
        ("'x' * 5", "column 5", "nothing of a filter"),
        ("a.b = '" + "x" * 5000 + "'", "column 7", "4,096"),
        ("a.b matches '" + "x" * 1001 + "'", "column 13", "1,000"),
        ("span." + "x" * 1025 + " exists", "column 1", "1,024"),
        ("(" * 60 + "a.b = 1" + ")" * 60, "column 51, (", "nested more than 50"),
        ("not " * 9000 + "a.b = 1", None, "16,384"),
        ("not " * 60 + "a.b = 1", "column 201, not", "nested more than 50"),
        (" or ".join(["a.b = 1"] * 101), None, "more than 100 conditions"),
    ],
)
def test_an_error_says_where_and_what_could_be_written(text: str, place: str | None, reason: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 400
    if place is not None:
        assert f"the filter is wrong at {place}" in str(caught.value)


def test_values_keep_their_types() -> None:
    route = field("http.route")
    different = [route == "42", route == 42, route == 42.0, route == 1, route == True]  # noqa: E712
    assert len(set(different)) == len(different)
    assert (route == 42) == (field("http.route") == 42)


def test_filters_are_joined_with_signs_and_never_with_words() -> None:
    one, two = field("a.b") == 1, field("a.b") == 2
    with pytest.raises(TypeError, match="join filters with & and |"):
        _ = one and two
    with pytest.raises(TypeError, match="put comparisons in parentheses"):
        _ = one & 5  # type: ignore[operator]
    assert str((one | two) & ~one) == "(a.b = 1 or a.b = 2) and not a.b = 1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service", 5),
        ("kind", "servr"),
        ("duration", 1.5),
        ("duration", True),
        ("duration", -1),
        ("duration_ns", "5"),
        ("start_ns", True),
        ("start_ns", 2**63),
        ("span_id", "xyz"),
        ("a.b", None),
        ("a.b", b"x"),
        ("a.b", [1]),
        ("a.b", float("nan")),
        ("a.b", float("inf")),
        ("a.b", -(2**63) - 1),
        ("a.b", "\ud800"),
        ("a.b", "x" * 5000),
        ("span.\ud800", 1),
        ("colour", "red"),
        ("x" * 2000 + ".y", 1),
    ],
)
def test_what_cannot_be_compared_is_told(name: str, value: object) -> None:
    with pytest.raises(FilterError):
        _ = field(name) == value  # type: ignore[arg-type]


def test_size_is_bounded_for_filters_of_objects_too() -> None:
    one: Filter = field("a.b") == 1
    deep = one
    for _ in range(MAX_DEPTH + 1):
        deep = Not(deep)
    with pytest.raises(FilterError, match="nested more than"):
        check_size(deep)
    with pytest.raises(FilterError, match="more than 100 conditions"):
        check_size(AllOf((one,) * (MAX_CONDITIONS + 1)))
    with pytest.raises(FilterError, match="is no filter"):
        check_size("a.b = 1")  # type: ignore[arg-type]
    assert len("a" * MAX_FILTER) == MAX_FILTER


def test_required_values_are_those_outside_of_not() -> None:
    condition = parse_filter('service = "a" and (service = "b" or not service = "c") and service != "d"')
    assert required_values(condition, "service") == ["a", "b"]


def test_names_of_any_script_are_shown_and_what_cannot_be_seen_is_escaped() -> None:
    assert str(field("größe.über") == "straße") == 'größe.über = "straße"'
    assert str(field("span.大小").exists()) == "span.大小 exists"
    assert parse_filter("größe.über > 5 and span.大小 exists") == (field("größe.über") > 5) & (
        field("span.大小").exists()
    )
    turned = field("a.\u202eb") == "\u202e\x1b\0"
    assert str(turned) == r'"a.\u202eb" = "\u202e\u001b\u0000"'
    assert parse_filter(str(turned)) == turned
