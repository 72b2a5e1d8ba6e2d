"""Topology as a chart: who calls stands left of who is called, and nothing is lost without a word."""

from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from support.svg import Drawn
from tracescape_render.charts import Chart, topology_chart
from tracescape_render.charts.drawing import WIDTH
from tracescape_render.charts.layers import layered
from tracescape_render.charts.topology import MOST_NODES

HOSTILE = "<script>alert('&')</script>]]>\"\x00\x1b[31m\u202e" + "W" * 400
SHOP = [("web", "cart", 900), ("cart", "redis", 800), ("web", "payment", 90), ("payment", "bank", 80)]


def frames(
    edges: list[tuple[str, str, int]], states: dict[str, str] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    states = states or {}
    names = list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))
    nodes = [
        {
            "service": name,
            "kind": "service",
            "calls": sum(calls for _, target, calls in edges if target == name),
            "errors": 0,
            "p50_ns": 1e6,
            "p95_ns": 2e6,
            "p99_ns": None,
            "state": states.get(name, "healthy"),
        }
        for name in names
    ]
    rows = [
        {
            "source": source,
            "target": target,
            "connection": "http",
            "calls": calls,
            "errors": 1,
            "client_p95_ns": 2e6,
            "server_p95_ns": 1e6,
            "state": states.get(target, "healthy"),
        }
        for source, target, calls in edges
    ]
    return pl.DataFrame(nodes), pl.DataFrame(rows)


def drawn(chart: Chart) -> Drawn:
    found = Drawn(chart.svg)
    found.check()
    assert len(chart.svg) < 400_000
    return found


def circles(found: Drawn) -> dict[str, tuple[float, float, float]]:
    """Place and radius of the node by its name."""
    places = {}
    for circle in found.root.iter("{http://www.w3.org/2000/svg}circle"):
        title = circle.find("{http://www.w3.org/2000/svg}title")
        if title is not None:
            name = str(title.text).split(" (")[0]
            places[name] = (float(circle.get("cx", 0)), float(circle.get("cy", 0)), float(circle.get("r", 0)))
    return places


def test_who_calls_stands_left_and_is_as_large_as_its_calls() -> None:
    found = drawn(topology_chart(*frames(SHOP)))
    places = circles(found)
    assert set(places) == {"web", "cart", "redis", "payment", "bank"}
    for source, target, _ in SHOP:
        assert places[source][0] < places[target][0]
    assert places["cart"][2] > places["redis"][2] > places["payment"][2] > places["bank"][2]
    assert places["cart"][1] != places["payment"][1]


def test_the_sick_are_named_ringed_and_coloured() -> None:
    chart = topology_chart(*frames(SHOP, {"payment": "failing", "cart": "degraded"}))
    assert "payment failing, cart degraded" in chart.text
    assert chart.svg.count('class="ring') == 3
    assert {"failing", "degraded", "healthy"} <= {box.text for box in drawn(chart).texts}


def test_cycles_and_calls_to_oneself_are_drawn_or_said() -> None:
    chart = topology_chart(
        *frames([("start", "a", 9), ("a", "b", 9), ("b", "c", 9), ("c", "a", 9), ("b", "b", 9)])
    )
    places = circles(drawn(chart))
    assert places["a"][0] < places["b"][0] < places["c"][0]
    assert chart.svg.count('class="arc back"') == 1
    assert "Calls itself, which no arrow shows: b." in chart.text


def test_of_many_nodes_the_sick_and_the_busy_stay() -> None:
    edges = [("hub", f"service {number}", 10 + number) for number in range(100)]
    chart = topology_chart(*frames(edges, {"service 0": "failing"}))
    places = circles(drawn(chart))
    assert len(places) == MOST_NODES
    assert {"service 0", "service 99"} <= set(places)
    assert "service 1" not in places
    assert "41 of 101 nodes are not drawn" in chart.text


def test_hostile_names_are_only_text() -> None:
    chart = topology_chart(*frames([(HOSTILE, "b", 5), ("b", HOSTILE[:50], 5)], {"b": "absent"}))
    found = drawn(chart)
    assert not list(found.root.iter("{http://www.w3.org/2000/svg}script"))
    assert "\x1b" not in chart.svg and "\u202e" not in chart.svg


def test_nothing_gives_a_picture_that_says_so() -> None:
    nodes, edges = frames(SHOP)
    assert topology_chart(nodes.clear(), edges.clear()).text == "Who calls whom: no calls."
    assert len(circles(drawn(topology_chart(nodes, edges.clear())))) == 5


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(
                st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1]),
                unique=True,
            ),
        )
    )
)
def test_layers_hold_every_graph(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph
    placed = layered(nodes, edges)
    for (source, target), passing, back in zip(edges, placed.passing, placed.back, strict=True):
        if not back:
            assert placed.layer[source] < placed.layer[target]
            assert len(passing) == placed.layer[target] - placed.layer[source] - 1
    assert placed.count == max(placed.layer) + 1
    for layer in range(placed.count):
        there = sorted(placed.height[each] for each in range(nodes) if placed.layer[each] == layer)
        assert all(below - above > 0.99 for above, below in pairwise(there))
    assert all(0.49 < each <= placed.room for each in placed.height)
    if all(source < target for source, target in edges):
        assert not any(placed.back)


def test_the_chart_keeps_to_its_width() -> None:
    chain = [(f"a service with a long name {n}", f"a service with a long name {n + 1}", 5) for n in range(30)]
    for x, _, radius in circles(drawn(topology_chart(*frames(chain)))).values():
        assert radius < x < WIDTH - radius
