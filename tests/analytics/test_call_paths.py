"""Chains of calls: root → … → leaf."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, reader, span, trace_bytes
from naive.chains import chains, failed, named_as, operation_of, trace_state, weight
from naive.forest import Span, twin
from naive.spans import call_spans, signed, tangled_spans
from support.documented import documented
from tracescape_analytics.call_paths import PATH_SCHEMA, call_paths
from tracescape_analytics.topology import topology
from tracescape_analytics.windows import MINUTE_NS

Row = dict[str, object]


def row(one: Span) -> Row:
    made = span(
        "x",
        trace=str(one.trace),
        service=f"s{one.resource}",
        operation=operation_of(one),
        start=one.start,
        end=one.end,
        kind=KINDS[one.kind],
        status="error" if failed(one) else "ok",
        trace_state=trace_state(one),
        **named_as(one),
    )
    return made | {"span_id": signed(one.id), "parent_span_id": signed(one.parent)}


@given(call_spans() | tangled_spans(), st.sampled_from(["operation", "service"]))
def test_agree_with_chains_walked_up_span_by_span(spans: list[Span], by: str) -> None:
    spans = list({(one.trace, one.id): one for one in spans}.values())
    nodes, _ = twin(spans)
    expected = list(chains(nodes, by))
    found = call_paths(reader(*map(row, spans)), by=by)
    times: dict[str, list[int]] = {}
    errors = Counter[str]()
    for chain, node in expected:
        times.setdefault(chain, []).extend([node.span.duration] * weight(node))
        errors[chain] += failed(node.span) * weight(node)
    assert dict(found["chain", "seen"].iter_rows()) == Counter(chain for chain, _ in expected)
    assert dict(found["chain", "calls"].iter_rows()) == {chain: len(of) for chain, of in times.items()}
    assert dict(found["chain", "errors"].iter_rows()) == errors
    for percent in (50, 95, 99):
        values = {chain: sorted(of)[(len(of) * percent + 99) // 100 - 1] for chain, of in times.items()}
        assert dict(found["chain", f"p{percent}_ns"].iter_rows()) == values
    assert (found["ends"] <= found["calls"]).all()
    by_number = dict(found["path", "chain"].iter_rows())
    for number, parent, depth, chain in found["path", "parent", "depth", "chain"].iter_rows():
        above = "" if parent is None else by_number[parent] + " → "
        assert chain.startswith(above) and chain.count(" → ") == depth and (parent is None or parent < number)


def shop(trace: str = "t", start: int = 0) -> list[Row]:
    rows = [
        span("W", service="web", operation="GET /", kind="server", end=100),
        span("C", "W", service="web", operation="call", kind="client", end=90),
        span("S", "C", service="cart", operation="add", kind="server", end=80),
        span("I", "S", service="cart", operation="check", kind="internal", end=70),
        span("D", "I", service="cart", kind="client", end=60, db_system="redis"),
        span("P", "S", service="cart", kind="producer", end=5, messaging_destination="orders"),
        span("R", "P", service="mail", operation="send", kind="consumer", end=9),
    ]
    return [row | {"trace_id": trace_bytes(trace), "start_ns": start} for row in rows]


def test_internal_spans_are_walked_through_and_messages_go_through_their_queue() -> None:
    found = call_paths(reader(*shop(), *shop("u", 7)))
    assert found["chain"].to_list() == [
        "web GET /",
        "web GET / → cart add",
        "web GET / → cart add → orders",
        "web GET / → cart add → orders → mail send",
        "web GET / → cart add → redis",
    ]
    assert found["kind"].to_list() == ["service", "service", "queue", "service", "database"]
    assert found["calls"].to_list() == found["seen"].to_list() == found["traces"].to_list() == [2] * 5
    assert found["ends"].to_list() == [0, 0, 0, 2, 2]
    assert found["parent"].to_list() == [None, 0, 1, 2, 1]
    assert call_paths(reader(*shop()), by="service")["chain"][-1] == "web → cart → redis"


def test_only_traces_that_begin_in_the_window_count_and_are_seen_whole() -> None:
    store = reader(*shop(), *shop("late", MINUTE_NS - 1), *shop("out", 3 * MINUTE_NS))
    found = call_paths(store, since_ns=1, until_ns=MINUTE_NS)
    assert (found.height, set(found["calls"])) == (5, {1})


def test_a_message_that_waits_for_minutes_keeps_its_chain() -> None:
    """In a topology it comes from its queue, without a delay: a minute sees its neighbours only."""
    rows = shop()
    late = rows[-1] | {"start_ns": 4 * MINUTE_NS, "messaging_destination": "orders"}
    store = reader(*rows[:-1], late)
    assert "web GET / → cart add → orders → mail send" in call_paths(store)["chain"].to_list()
    edge = topology(store).edges.filter(pl.col("target") == "mail").row(0, named=True)
    assert (edge["source"], edge["calls"], edge["delay_p50_ns"]) == ("orders", 1, None)
    assert topology(store).unpaired.orphans == 1


def test_where_the_root_is_missing_nobody_knows_the_chain() -> None:
    assert call_paths(reader(*shop()[2:])).is_empty()


def test_exemplars_are_the_slowest_and_the_slowest_that_failed() -> None:
    rows = [
        span("A", trace=name, end=end, status=status)
        for name, end, status in [("a", 5, "ok"), ("b", 9, "ok"), ("c", 9, "ok"), ("d", 3, "error")]
    ]
    found = call_paths(reader(*rows)).row(0, named=True)
    assert bytes.fromhex(found["slowest_trace"])[-1:] == b"c"
    assert bytes.fromhex(found["failed_trace"])[-1:] == b"d"
    assert (found["calls"], found["errors"], found["p50_ns"], found["p99_ns"]) == (4, 1, 5, 9)


def test_nothing_gives_no_rows_and_what_is_wrong_is_said() -> None:
    assert call_paths(reader()).schema == call_paths(reader(*shop())).schema == pl.Schema(PATH_SCHEMA)
    with pytest.raises(ValueError, match="neither of operation, service"):
        call_paths(reader(), by="colour")


def test_every_column_is_documented() -> None:
    assert documented("store.call_paths(") == list(PATH_SCHEMA)
