"""Two traces beside each other: the same calls side by side, and what is different."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, MemoryReader, reader, span, span_table, trace_bytes
from naive.forest import Span
from naive.spans import nested_spans, tangled_spans
from support.documented import documented
from tracescape_analytics.trace import Trace, load_trace, trace_of
from tracescape_analytics.trace_details import TraceDetails
from tracescape_analytics.trace_pairs import CHANGES, PAIR_SCHEMA, Pairs, pairs

Row = dict[str, object]


def request(trace: str, *, queries: int = 1, slow: int = 10, failed: bool = False) -> list[Row]:
    end = 100 + 10 * queries + slow
    status = "error" if failed else "unset"
    rows = [
        span("A", trace=trace, service="web", operation="GET /", end=end + 20, status=status),
        span("B", "A", trace=trace, service="cart", operation="get", start=10, end=end),
        span("P", "B", trace=trace, service="cart", operation="price", start=20, end=20 + slow),
    ]
    return rows + [
        span(f"Q{i}", "B", trace=trace, service="cart", operation="SELECT", start=40 + slow + 10 * i,
             end=50 + slow + 10 * i)
        for i in range(queries)
    ]  # fmt: skip


def compared(left: list[Row], right: list[Row]) -> Pairs:
    store = reader(*left, *right)
    return pairs(load_trace(store, trace_bytes("l")), load_trace(store, trace_bytes("r")))


def changes(found: Pairs) -> list[tuple[str, str]]:
    return found.spans.select("operation", "change").rows()


def test_equal_traces_are_the_same_all_over() -> None:
    found = compared(request("l"), request("r"))
    assert changes(found) == [(name, "same") for name in ("GET /", "get", "price", "SELECT")]
    assert found.spans["left"].to_list() == found.spans["right"].to_list() == [0, 1, 2, 3]
    assert found.different.is_empty()
    assert found.spans["difference_ns"].to_list() == [0, 0, 0, 0]


def test_a_query_that_is_made_thirty_times() -> None:
    found = compared(request("l"), request("r", queries=30))
    assert changes(found)[3:] == [("SELECT", "same"), *[("SELECT", "right")] * 29]
    assert found.spans["depth"].to_list() == [0, 1, *[2] * 31]
    assert found.spans["left"].to_list()[4:] == [None] * 29


def test_what_only_the_left_has() -> None:
    found = compared(request("l", queries=3), request("r"))
    assert changes(found)[3:] == [("SELECT", "same"), ("SELECT", "left"), ("SELECT", "left")]


def test_what_took_longer_and_what_it_made_fail() -> None:
    found = compared(request("l"), request("r", slow=400, failed=True))
    assert changes(found) == [("GET /", "fails"), ("get", "same"), ("price", "slower"), ("SELECT", "same")]
    assert found.different["operation"].to_list() == ["price", "GET /"]
    assert found.different["difference_ns"][0] == 390
    back = compared(request("l", slow=400, failed=True), request("r"))
    assert changes(back)[0] == ("GET /", "works")
    assert changes(back)[2] == ("price", "faster")


def test_children_are_paired_under_paired_parents_only() -> None:
    def calls(trace: str, with_query: str) -> list[Row]:
        return [
            span("A", trace=trace, end=100),
            span("B", "A", trace=trace, operation="call", start=0, end=20),
            span("C", "A", trace=trace, operation="call", start=30, end=50),
            span("Q", with_query, trace=trace, operation="query", start=35, end=36),
        ]

    found = compared(calls("l", "B"), calls("r", "C"))
    assert changes(found) == [
        ("work", "same"),
        ("call", "same"),
        ("query", "left"),
        ("call", "same"),
        ("query", "right"),
    ]


def test_traces_that_have_nothing_in_common() -> None:
    right = [span("X", trace="r", service="mail", end=50), span("Y", "X", trace="r", service="db", end=9)]
    found = compared(request("l"), right)
    assert set(found.spans["change"]) == {"left", "right"}
    assert len(found.spans) == 4 + 2


def test_it_tells_what_differs() -> None:
    lines = repr(compared(request("l"), request("r", queries=30, slow=400_000))).splitlines()
    assert lines[0] == (
        f"Trace {trace_bytes('l').hex()} beside {trace_bytes('r').hex()}: 140 ns → 400 µs, 30 spans differ"
    )
    assert lines[1] == "  slower       cart price: waited 10 ns → 400 µs"
    assert lines[-1] == "  … 22 more: .different"
    assert "none" in lines[2]


SPANS = st.one_of(tangled_spans(), nested_spans())


def trace_from(spans: list[Span], name: str) -> Trace:
    rows = [
        span(str(s.id)[-7:], str(s.parent)[-7:] if s.parent else None, trace=name, service=f"s{s.resource}",
             operation=f"o{s.content}", start=s.start, end=s.end, kind=KINDS[s.kind])
        for s in spans if not s.trace
    ]  # fmt: skip
    store = MemoryReader(span_table(rows))
    return trace_of(store.table, TraceDetails(store, trace_bytes(name)), store, trace_bytes(name))


@given(SPANS, SPANS)
def test_every_span_of_both_is_there_once_and_differences_add_up(
    some: list[Span], others: list[Span]
) -> None:
    left, right = trace_from(some, "l"), trace_from(others, "r")
    found = pairs(left, right).spans
    for side, trace in (("left", left), ("right", right)):
        rows = found[side].drop_nulls()
        assert sorted(rows) == list(range(len(trace.spans)))
        there = found.filter(pl.col(side).is_not_null())
        for name in ("service", "operation", "depth"):
            assert there[name].to_list() == trace.spans[name].gather(rows).to_list()
        assert there[f"{side}_ns"].to_list() == trace.spans["duration_ns"].gather(rows).to_list()
    assert found["difference_ns"].sum() == right.root.duration_ns - left.root.duration_ns
    assert set(found["change"]) <= set(CHANGES)


@given(SPANS)
def test_a_trace_beside_itself_is_the_same(spans: list[Span]) -> None:
    found = pairs(trace_from(spans, "l"), trace_from(spans, "r"))
    assert found.different.is_empty()
    assert found.spans["left"].to_list() == found.spans["right"].to_list()
    assert sorted(found.spans["left"]) == found.spans["left"].to_list(), "depth first, as in both"


def test_the_columns_are_documented() -> None:
    assert documented("trace.beside(other)") == list(PAIR_SCHEMA)
