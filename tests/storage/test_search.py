"""Searching in SQL finds what the reference finds, in its order, page by page."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from naive.search import Event, Scope, SearchedSpan, hex_id, spans_in_order, traces_in_order
from support.searchable import ColumnedReader, columned_reader
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import (
    EVERYTHING,
    AllOf,
    AnyOf,
    Field,
    Filter,
    FilterError,
    Not,
    compare,
    field,
)
from tracescape_storage.search import Question, search_spans, search_traces

COLUMNS = {"http.route": "VARCHAR", "app.items": "BIGINT", "app.ratio": "DOUBLE", "app.ok": "BOOLEAN"}
KEYS = [*COLUMNS, "x", "$odd", "$$", 'a"b', "a/b~1c", "nul\0key", "é.é", "", "*", "service"]
BIG = 2**53
VALUES: list[object] = [
    "42", "", "it's", "a\nb", "é\0x", '"k":1', "{}", "true", "null", 42, 0, -1, BIG, BIG + 1,
    2**63 - 1, -(2**63),
    42.0, 0.0, -0.0, 0.1, float(BIG), 1e300, 9.3e18, math.inf, -math.inf, math.nan, True, False, None, b"42",
    ["42"], [], {"x": 42}, {"$double": "NaN"}, {"$bytes": "x"}, {},
]  # fmt: skip
LITERALS = [
    value
    for value in VALUES
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
]
PATTERNS = ["", "^it", "4.$", "a.b", "[0-9]+", "^$"]
ANY_OPERATOR = ["=", "!=", "<", "<=", ">", ">=", "contains", "matches", "exists"]

attributes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=4)
scopes = st.builds(Scope, st.sampled_from(["", "lib"]), st.sampled_from([None, "1.0"]), attributes)
spans = st.builds(
    SearchedSpan,
    trace=st.sampled_from([bytes(15) + b"\1", b"\xff" * 16, b"'" * 16]),
    number=st.sampled_from([1, 2, -1, 2**63 - 1, -(2**63)]),
    parent=st.sampled_from([0, 1, -1]),
    start=st.integers(0, 3),
    duration=st.integers(0, 2),
    service=st.sampled_from(["app", "it's", "böse\0"]),
    operation=st.sampled_from(["work", "GET /"]),
    kind=st.integers(0, 5),
    status=st.integers(0, 2),
    status_message=st.sampled_from([None, "no"]),
    attributes=attributes,
    resource=attributes,
    scope=scopes,
    events=st.lists(st.builds(Event, st.sampled_from(["exception", ""]), attributes), max_size=2),
)


@st.composite
def conditions(draw: st.DrawFn) -> Filter:
    owner = draw(st.sampled_from(["any", "span", "resource", "scope", "event", ""]))
    operator = draw(st.sampled_from(ANY_OPERATOR))
    if owner:
        name = Field(owner, draw(st.sampled_from(KEYS)))  # type: ignore[arg-type]
        value = draw(st.sampled_from(PATTERNS if operator == "matches" else LITERALS))
    else:
        key, values = draw(st.sampled_from(FIELD_VALUES))
        name, value = Field("", key), draw(st.sampled_from(values))
    try:
        return compare(name, operator, value)  # type: ignore[arg-type]
    except FilterError:
        assume(False)
        raise


FIELD_VALUES: list[tuple[str, list[object]]] = [
    ("service", ["app", "it's", "böse\0", "a"]),
    ("operation", ["work", "GET"]),
    ("kind", ["server", "unset"]),
    ("status", ["error", "OK"]),
    ("status_message", ["no", ""]),
    ("duration", ["1ns", 2]),
    ("duration_ns", [1, -5]),
    ("start_ns", [1, 2**63 - 1]),
    ("end_ns", [3]),
    ("trace_id", ["ff" * 16]),
    ("span_id", [hex_id(-1)]),
    ("parent_span_id", [hex_id(1), "0" * 16]),
    ("scope.name", ["lib", ""]),
    ("scope.version", ["1.0"]),
    ("event.name", ["exception", "e"]),
]

filters = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


def crowd(count: int) -> list[SearchedSpan]:
    """Spans that are all alike, in traces of 10, most twice."""
    return [SearchedSpan(bytes(14) + (i // 10).to_bytes(2, "big"), i % 7 - 3) for i in range(count)]


def found(reader: ColumnedReader, condition: Filter, **asked: object) -> list[tuple[str, str, int, int]]:
    """All matching spans, page by page, as (trace, span, start, duration)."""
    rows: list[tuple[str, str, int, int]] = []
    after: str | None = None
    for _ in range(100):
        page = search_spans(reader, Question(condition, after=after, **asked))  # type: ignore[arg-type]
        table = page.rows.select(["trace_id", "span_id", "start_ns", "duration_ns"])
        rows += [tuple(row.values()) for row in table.to_pylist()]
        after = page.after
        if after is None:
            return rows
    raise AssertionError("pages without end")


def found_traces(reader: ColumnedReader, condition: Filter, **asked: object) -> list[str]:
    traces: list[str] = []
    after: str | None = None
    for _ in range(100):
        page = search_traces(reader, Question(condition, after=after, **asked))  # type: ignore[arg-type]
        traces += page.rows["trace_id"].to_pylist()
        after = page.after
        if after is None:
            return traces
    raise AssertionError("pages without end")


def identities(rows: Sequence[SearchedSpan]) -> list[tuple[str, str, int, int]]:
    return [(row.trace.hex(), hex_id(row.number), row.start, row.duration) for row in rows]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.lists(spans, max_size=8),
    st.lists(filters, min_size=8, max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=3),
    st.booleans(),
)
def test_sql_finds_what_the_reference_finds(
    rows: list[SearchedSpan], asked: list[Filter], columned: list[bool], with_columns: bool
) -> None:
    reader = columned_reader(COLUMNS if with_columns else {})
    reader.add(rows, columned=columned)
    windows = itertools.cycle([(None, None), (1, 3)])
    for condition, order, (since, until) in zip(
        asked, itertools.cycle(["newest", "slowest"]), windows, strict=False
    ):
        window = {"since_ns": since, "until_ns": until}
        expected = spans_in_order(rows, condition, order, since, until)
        assert found(reader, condition, order=order, limit=3, **window) == identities(expected), str(
            condition
        )
        traces = [trace.hex() for trace in traces_in_order(rows, condition, order, since, until)]
        assert found_traces(reader, condition, order=order, limit=1, **window) == traces, str(condition)
    reader.close()


@pytest.mark.parametrize("order", ["newest", "slowest"])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_of_spans_that_are_all_alike_have_each_once(order: str, limit: int) -> None:
    rows = crowd(90)
    reader = columned_reader({}, rows)
    expected = identities(spans_in_order(rows, EVERYTHING, order, None, None))
    assert found(reader, EVERYTHING, order=order, limit=limit) == expected
    reader.close()


@pytest.mark.parametrize("order", ["newest", "slowest"])
def test_a_first_page_that_few_spans_do_not_decide_is_right(order: str) -> None:
    """More spans than are looked at first, all at one place or nearly so."""
    rows = [replace(span, start=i // 150, duration=i // 150) for i, span in enumerate(crowd(300))]
    reader = columned_reader({}, rows)
    expected = [trace.hex() for trace in traces_in_order(rows, EVERYTHING, order, None, None)]
    for limit in (1, 2, 3, 50):
        assert found_traces(reader, EVERYTHING, order=order, limit=limit) == expected
    reader.close()


def test_what_arrives_between_pages_changes_no_page() -> None:
    rows = crowd(20)
    reader = columned_reader({}, rows)
    first = search_spans(reader, Question(limit=12))
    first_traces = search_traces(reader, Question(limit=1))
    reader.add([replace(row, start=5, trace=b"n" * 16) for row in rows] + rows)
    second = search_spans(reader, Question(limit=12, after=first.after))
    assert (first.rows.num_rows, second.rows.num_rows, second.after) == (12, 8, None)
    second_traces = search_traces(reader, Question(limit=1, after=first_traces.after))
    assert second_traces.after is None
    both = [page.rows["trace_id"][0].as_py() for page in (first_traces, second_traces)]
    assert both == ["0" * 31 + "1", "0" * 32]
    reader.close()


def test_a_window_stays_that_of_the_first_page() -> None:
    rows = [SearchedSpan(bytes(16), i, start=i) for i in range(1, 11)]
    reader = columned_reader({}, rows)
    first = search_spans(reader, Question(since_ns=3, limit=4))
    second = search_spans(reader, Question(since_ns=9, limit=10, after=first.after))
    assert second.rows["start_ns"].to_pylist() == [6, 5, 4, 3]
    reader.close()


def test_a_cursor_is_of_its_own_search_and_otherwise_refused() -> None:
    reader = columned_reader({}, crowd(20))
    after = search_spans(reader, Question(limit=5)).after
    assert after is not None
    with pytest.raises(ValueError, match="another search"):
        search_spans(reader, Question(limit=5, order="slowest", after=after))
    with pytest.raises(ValueError, match="another search"):
        search_spans(reader, Question(field("kind") == "server", limit=5, after=after))
    with pytest.raises(ValueError, match="no place in a search"):
        search_traces(reader, Question(limit=5, after=after))
    for nonsense in ("", "x", "é", "W10", "A" * 600, after[:-3], "W" * 400, "bnVsbA"):
        with pytest.raises(ValueError, match="no place in a search"):
            search_spans(reader, Question(limit=5, after=nonsense))
    reader.close()


def test_a_forged_cursor_is_no_sql() -> None:
    import base64

    reader = columned_reader({}, crowd(20))
    after = search_spans(reader, Question(limit=5)).after
    assert after is not None
    content = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
    for place, value in itertools.product(range(2, len(content)), ["1) OR (1=1", 1.5, True, [], 2**63, None]):
        forged = [*content[:place], value, *content[place + 1 :]]
        if place < 4 and value is None:
            continue
        text = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode()
        with pytest.raises(ValueError, match="no place in a search"):
            search_spans(reader, Question(limit=5, after=text))
    reader.close()


@pytest.mark.parametrize("limit", [0, -1, 10_001, 10**9])
def test_a_page_is_bounded(limit: int) -> None:
    reader = columned_reader({})
    with pytest.raises(ValueError, match="1 to 10,000 spans"):
        search_spans(reader, Question(limit=limit))
    with pytest.raises(ValueError, match="1 to 1,000 traces"):
        search_traces(reader, Question(limit=max(limit, -1) if limit < 1 else 1_001))
    with pytest.raises(ValueError, match="newest or slowest"):
        search_spans(reader, Question(order="oldest"))  # type: ignore[arg-type]
    reader.close()


def test_a_pattern_that_is_none_is_an_error_of_the_question() -> None:
    reader = columned_reader({}, [SearchedSpan(bytes(16), 1, attributes={"a.b": "x"})])
    for pattern in ("(", "(?=x)", "((a{100}){100}){100}"):
        with pytest.raises((StoreError, FilterError)):
            search_spans(reader, Question(field("a.b").matches(pattern)))
    reader.close()


def test_found_spans_have_all_attributes_with_their_types() -> None:
    mixed: dict[str, object] = {
        "http.route": 'a"b',
        "app.items": 2**63 - 1,
        "app.ratio": math.inf,
        "app.ok": False,
        "x": b"1",
        "$odd": [1, 1.0],
    }
    others: dict[str, object] = {"http.route": 7, "app.items": "7", "app.ratio": 0.1, "app.ok": None}
    rows = [SearchedSpan(bytes(16), i, attributes=a) for i, a in enumerate([mixed, others, {}], 1)]
    reader = columned_reader(COLUMNS, rows)
    table = search_spans(reader, Question()).rows
    texts = dict(zip(table["span_id"].to_pylist(), table["attributes"].to_pylist(), strict=True))
    for row in rows:
        back = decode_attributes(texts[hex_id(row.number)])
        assert back == row.attributes
        assert {key: type(value) for key, value in back.items()} == {
            key: type(value) for key, value in row.attributes.items()
        }
    reader.close()


def test_a_summary_is_of_the_whole_trace() -> None:
    trace = b"t" * 16
    rows = [
        SearchedSpan(trace, 2, 1, 30, 100, "cart", "get", status=2),
        SearchedSpan(trace, 1, 0, 10, 50, "web", "GET /"),
        SearchedSpan(trace, 1, 0, 10, 50, "web", "GET /"),
        SearchedSpan(trace, 9, 0, 5, 40, "cron", "tick"),
        SearchedSpan(b"o" * 16, 3, 77, 1, 2, "orphan", "o"),
    ]
    reader = columned_reader({}, rows)
    page = search_traces(reader, Question((field("service") == "cart") | (field("service") == "orphan")))
    assert page.rows.to_pylist() == [
        {
            "trace_id": trace.hex(),
            "root_service": "web",
            "root_operation": "GET /",
            "start_ns": 5,
            "duration_ns": 125,
            "spans": 3,
            "errors": 1,
            "services": ["cart", "cron", "web"],
        },
        {
            "trace_id": (b"o" * 16).hex(),
            "root_service": "orphan",
            "root_operation": "o",
            "start_ns": 1,
            "duration_ns": 2,
            "spans": 1,
            "errors": 0,
            "services": ["orphan"],
        },
    ]
    reader.close()


def test_no_match_has_the_columns_of_an_answer() -> None:
    reader = columned_reader(COLUMNS, crowd(3))
    nowhere = AnyOf(())
    assert search_spans(reader, Question(nowhere)).rows.schema == search_spans(reader, Question()).rows.schema
    assert (
        search_traces(reader, Question(nowhere)).rows.schema == search_traces(reader, Question()).rows.schema
    )
    reader.close()
