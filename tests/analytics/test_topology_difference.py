"""Two topologies compared: what grew, shrank, appeared, vanished; errors and latency of both."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_reader import reader, span
from support.documented import documented
from tracescape_analytics.topology import Topology, topology
from tracescape_analytics.topology_difference import (
    CHANGES,
    EDGE_DIFFERENCE_SCHEMA,
    NODE_DIFFERENCE_SCHEMA,
    TopologyDifference,
    difference,
)

SECOND = 1_000_000_000
LENGTH = 100 * SECOND


def calls(
    name: str, far: str, count: int, *, begin: int = 0, failed: int = 0, took: int = 40
) -> list[dict[str, object]]:
    rows = []
    for i in range(count):
        start, trace = begin + i * LENGTH // max(count, 1), f"{name[:2]}{far[:2]}{begin // SECOND}.{i}"
        status = "error" if i < failed else "unset"
        rows += [
            span(
                "A",
                trace=trace,
                service=name,
                kind="client",
                start=start,
                end=start + took + 9,
                peer_service=far,
            ),
            span(
                "B",
                "A",
                trace=trace,
                service=far,
                kind="server",
                start=start + 4,
                end=start + 4 + took,
                status=status,
            ),
        ]
    return rows


def compared(
    before: list[dict[str, object]], after: list[dict[str, object]], length: int = LENGTH
) -> TopologyDifference:
    store = reader(*before, *after)
    sides = [
        topology(store, since_ns=since, until_ns=until, baseline=(0, LENGTH))
        for since, until in ((0, LENGTH), (LENGTH, LENGTH + length))
    ]
    return difference(*sides)


def changes(found: pl.DataFrame, name: str = "service") -> dict[str, str]:
    return dict(found.select(name, "change").iter_rows())


def test_what_appeared_vanished_grew_shrank_and_stayed() -> None:
    before = [
        *calls("web", "old", 50),
        *calls("web", "cart", 50),
        *calls("web", "pay", 200),
        *calls("web", "ads", 60),
    ]
    after = [
        *calls("web", "new", 50, begin=LENGTH),
        *calls("web", "cart", 150, begin=LENGTH),
        *calls("web", "pay", 60, begin=LENGTH),
        *calls("web", "ads", 62, begin=LENGTH),
    ]
    found = compared(before, after)
    expected = {"new": "appeared", "old": "vanished", "cart": "grew", "pay": "shrank", "ads": "same"}
    assert expected.items() <= changes(found.nodes).items()
    assert changes(found.edges, "target") == expected
    assert [CHANGES.index(change) for change in found.nodes["change"]] == sorted(
        CHANGES.index(change) for change in found.nodes["change"]
    )
    cart = found.nodes.row(by_predicate=pl.col("service") == "cart", named=True)
    assert (cart["before_rate_per_s"], cart["after_rate_per_s"], cart["times"]) == (0.5, 1.5, 3.0)


def test_what_is_absent_is_not_there() -> None:
    found = compared(calls("web", "pay", 50), calls("web", "ads", 50, begin=LENGTH))
    assert changes(found.nodes)["pay"] == "vanished"
    row = found.nodes.row(by_predicate=pl.col("service") == "pay", named=True)
    assert (row["before_calls"], row["after_calls"], row["after_state"], row["times"]) == (
        50,
        None,
        None,
        None,
    )


def test_rates_count_and_not_numbers_of_calls() -> None:
    found = compared(calls("web", "pay", 60), calls("web", "pay", 60, begin=LENGTH), 3 * LENGTH)
    pay = found.nodes.row(by_predicate=pl.col("service") == "pay", named=True)
    assert pay["change"] == "shrank"
    assert pay["times"] == pytest.approx(1 / 3)


def test_few_calls_more_are_chance() -> None:
    found = compared(calls("web", "pay", 6), calls("web", "pay", 10, begin=LENGTH))
    assert changes(found.nodes)["pay"] == "same"
    assert found.nodes["p_value"].min() > 0.1  # type: ignore[operator]


def test_errors_and_latency_of_both_sides_and_their_difference() -> None:
    before = calls("web", "pay", 100, failed=1, took=40)
    found = compared(before, calls("web", "pay", 100, begin=LENGTH, failed=31, took=70))
    node = found.nodes.row(by_predicate=pl.col("service") == "pay", named=True)
    assert (node["before_error_rate"], node["after_error_rate"]) == (0.01, 0.31)
    assert node["error_rate_difference"] == pytest.approx(0.3)
    assert (node["before_p95_ns"], node["after_p95_ns"], node["p95_difference_ns"]) == (40, 70, 30)
    edge = found.edges.row(0, named=True)
    assert (edge["before_p50_ns"], edge["after_p50_ns"], edge["p50_difference_ns"]) == (49, 79, 30)


def test_an_edge_whose_caller_sends_no_spans_has_the_times_of_its_server() -> None:
    rows = [span("A", trace=f"t{i}", service="pay", kind="server", start=i, end=i + 30) for i in range(5)]
    more = [dict(row, start_ns=LENGTH + i) for i, row in enumerate(rows)]
    found = compared(rows, more)
    assert found.edges.select("source", "target", "before_p50_ns", "after_p50_ns").rows() == [
        ("user", "pay", 30, 30)
    ]


def test_it_reads_well() -> None:
    found = compared(
        calls("web", "pay", 100), calls("web", "pay", 400, begin=LENGTH, failed=100, took=2_000_000)
    )
    text = repr(found)
    assert "  2 services: 2 grew" in text
    assert "grew     pay: 1 → 4 calls/s, 0.0% → 25.0% failed, 40 ns → " in text
    assert "grew     web → pay: 1 → 4 calls/s" in text
    assert "healthy → failing" in text


def test_nothing_against_nothing_and_something() -> None:
    empty = topology(
        reader(*calls("web", "pay", 3)), since_ns=LENGTH * 9, until_ns=LENGTH * 10, baseline=(0, 1)
    )
    some = topology(reader(*calls("web", "pay", 3)))
    assert difference(empty, empty).nodes.is_empty()
    assert set(difference(empty, some).nodes["change"]) == {"appeared"}
    assert set(difference(some, empty).nodes["change"]) == {"vanished"}
    assert "the same traffic" in repr(difference(some, some))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_the_other_way_round_is_the_opposite(before: list[int], after: list[int]) -> None:
    def side(far: list[int]) -> Topology:
        rows = [row for i, n in enumerate(far) for row in calls(f"w{n}", f"s{i}", 7 * n)]
        return topology(reader(*rows), since_ns=0, until_ns=LENGTH, baseline=(0, 1))

    forth, back = difference(side(before), side(after)), difference(side(after), side(before))
    opposite = {
        "appeared": "vanished",
        "vanished": "appeared",
        "grew": "shrank",
        "shrank": "grew",
        "same": "same",
    }
    assert changes(forth.nodes) == {name: opposite[change] for name, change in changes(back.nodes).items()}
    assert forth.nodes.sort("service")["p_value"].to_list() == pytest.approx(
        back.nodes.sort("service")["p_value"].to_list()
    )


def test_the_columns_are_documented() -> None:
    shared = documented("topology.compare()")
    assert ["service", "kind", "source", "target", "connection", *list(NODE_DIFFERENCE_SCHEMA)[2:]] == shared
    assert list(EDGE_DIFFERENCE_SCHEMA)[3:] == list(NODE_DIFFERENCE_SCHEMA)[2:]


def judged(found: TopologyDifference, name: str) -> tuple[str | None, str | None]:
    return found.nodes.filter(pl.col("service") == name).select("worse", "better").row(0)


def test_who_fails_or_takes_longer_beside_before_is_worse_and_the_other_way_round_better() -> None:
    before = [*calls("web", "cart", 100), *calls("web", "pay", 100), *calls("web", "ads", 100)]
    after = [
        *calls("web", "cart", 100, begin=LENGTH, took=400),
        *calls("web", "pay", 100, begin=LENGTH, failed=30),
        *calls("web", "ads", 100, begin=LENGTH),
    ]
    found = compared(before, after)
    assert judged(found, "cart") == ("failing", None)
    assert judged(found, "pay") == ("failing", None)
    assert judged(found, "ads") == (None, None)
    assert found.edges.filter(pl.col("target") == "cart")["worse"].to_list() == ["failing"]
    assert "worse    pay" in str(found)
    store = reader(*before, *after)
    sides = [topology(store, since_ns=since, until_ns=since + LENGTH) for since in (LENGTH, 0)]
    assert judged(difference(*sides), "pay") == (None, "failing")


def test_of_few_calls_nobody_says_that_they_are_worse() -> None:
    few_before = calls("web", "cart", 19), calls("web", "cart", 300, begin=LENGTH, failed=200)
    few_after = calls("web", "cart", 300), calls("web", "cart", 19, begin=LENGTH, failed=19)
    for sides in (few_before, few_after):
        assert judged(compared(*sides), "cart") == (None, None)


def test_a_tail_that_is_longer_is_worse_where_five_in_a_hundred_take_longer_than_one_did() -> None:
    def with_tail(slow: int, begin: int) -> list[dict[str, object]]:
        return [
            *calls("web", "cart", 400 - slow, begin=begin),
            *calls("web", "cart", slow, begin=begin + 1, took=900),
        ]

    before = with_tail(2, 0)
    assert judged(compared(before, with_tail(40, LENGTH)), "cart")[0] == "failing"
    assert judged(compared(before, with_tail(4, LENGTH)), "cart") == (None, None)
