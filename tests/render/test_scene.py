"""The scene as data: what a topology says is what the arrays hold."""

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes
from tracescape_render.painting import paint
from tracescape_render.palette import DARK, STATES
from tracescape_render.scene import KINDS, LARGEST_RADIUS, SMALLEST_RADIUS, Scene, build_scene
from tracescape_render.text import display_name, duration, rate, share


def shop(positions: Mapping[str, tuple[float, float, float]] | None = None) -> Scene:
    return build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0, positions=positions, caption="a shop")


def test_every_node_is_a_body_and_every_edge_an_arc() -> None:
    scene = shop()
    assert scene.services == SHOP_NODES["service"].to_list()
    assert len(scene.positions) == len(scene.radii) == len(scene.labels) == 9
    joined = {(scene.services[a], scene.services[b]) for a, b in zip(scene.source, scene.target, strict=True)}
    assert joined == set(SHOP_EDGES.select("source", "target").iter_rows())


def test_the_colour_law() -> None:
    scene = shop()
    bodies = paint(scene, DARK).bodies
    for name, state in SHOP_NODES.select("service", "state").iter_rows():
        body = scene.services.index(name)
        assert STATES[scene.state[body]] == state
        assert tuple(bodies[body].tolist()) == DARK.states[STATES.index(state)]
    green, amber, red, grey, black = DARK.states
    assert green[1] > green[0] and green[1] > green[2]
    assert amber[0] > amber[1] > amber[2]
    assert red[0] > 2 * max(red[1], red[2])
    assert max(grey) - min(grey) < 40
    assert max(black) < 20


def test_kinds_have_shapes_of_their_own() -> None:
    scene = shop()
    shapes = {name: KINDS[scene.shape[i]] for i, name in enumerate(scene.services)}
    assert shapes["postgresql"] == "database"
    assert shapes["orders"] == "queue"
    assert shapes["bank.example"] == "external"
    assert shapes["user"] == "entry"
    assert shapes["cart"] == "service"


def test_more_calls_are_a_larger_body_and_a_thicker_arc() -> None:
    scene = build_scene(
        nodes(*((f"s{i}", "service", 10**i, "healthy") for i in range(6))),
        pl.concat([edges((f"s{i}", f"s{i + 1}"), calls=10**i) for i in range(5)]),
        seconds=1.0,
    )
    assert (np.diff(scene.radii) > 0).all()
    assert (np.diff(scene.arc_radii) > 0).all()
    assert scene.radii.min() >= SMALLEST_RADIUS
    assert scene.radii.max() <= LARGEST_RADIUS + 1e-6
    assert scene.traffic.tolist() == [1.0, 10.0, 100.0, 1_000.0, 10_000.0]


def test_height_is_call_depth() -> None:
    scene = shop()
    height = dict(zip(scene.services, scene.positions[:, 2].tolist(), strict=True))
    assert height["user"] > height["web"] > height["checkout"] > height["orders"] > height["email"]
    assert height["cart"] == height["checkout"]
    assert min(height.values()) > 1.0, "every body floats above its plate"


def test_no_two_bodies_touch() -> None:
    for scene in (shop(), build_scene(*crowd(30), seconds=1.0), build_scene(*crowd(120), seconds=1.0)):
        gaps = np.linalg.norm(scene.positions[:, None] - scene.positions[None], axis=2)
        reach = scene.radii[:, None] + scene.radii[None]
        np.fill_diagonal(gaps, np.inf)
        assert (gaps > reach).all()


def test_the_same_topology_gives_the_same_places() -> None:
    assert np.array_equal(shop().positions, shop().positions)


def test_known_bodies_stay_and_a_newcomer_stands_near_whom_it_talks_to() -> None:
    before = shop()
    places = {
        name: tuple(place) for name, place in zip(before.services, before.positions.tolist(), strict=True)
    }
    more = pl.concat([SHOP_NODES, nodes(("coupons", "service", 50, "healthy"))])
    after = build_scene(
        more, pl.concat([SHOP_EDGES, edges(("checkout", "coupons"))]), seconds=60.0, positions=places
    )
    assert np.allclose(after.positions[:-1], before.positions, atol=1e-5)
    newcomer = after.positions[-1, :2]
    away = np.linalg.norm(after.positions[:-1, :2] - newcomer, axis=1)
    assert away[after.services.index("checkout")] < np.median(away)
    assert away.min() > 0.5


def test_groups_that_talk_among_themselves_are_islands() -> None:
    scene = build_scene(*crowd(80), seconds=1.0)
    groups = {tuple(sorted(set(scene.island[i : i + 8].tolist()))) for i in range(0, 80, 8)}
    assert all(len(group) == 1 for group in groups), "a group is never torn apart"
    assert len(scene.plates) == int(scene.island.max()) + 1 >= 5
    for number, outline in enumerate(scene.plates):
        centre = outline.mean(axis=0)
        reach = np.linalg.norm(outline - centre, axis=1).max()
        members = scene.positions[scene.island == number, :2]
        assert (np.linalg.norm(members - centre, axis=1) < reach).all()


def test_a_plate_knows_which_share_of_it_is_in_which_state() -> None:
    shares = dict(zip(STATES, shop().plate_shares[0].tolist(), strict=True))
    counted = {state: count / 9 for state, count in SHOP_NODES["state"].value_counts().iter_rows()}
    assert shares == pytest.approx(counted)
    islands = build_scene(*crowd(80), seconds=1.0)
    assert islands.plate_shares.sum(axis=1) == pytest.approx(np.ones(len(islands.plates)))
    assert islands.plate_shares[:, STATES.index("healthy")] == pytest.approx(np.ones(len(islands.plates)))


def test_the_worst_is_the_failing_one_and_nothing_when_all_is_well() -> None:
    scene = shop()
    assert scene.services[scene.worst() or 0] == "checkout"
    calm = build_scene(
        nodes(("a", "service", 5, "idle"), ("b", "service", 90, "healthy")), edges(), seconds=1
    )
    assert calm.worst() is None


def test_neighbours_are_callers_and_callees() -> None:
    scene = shop()
    callers, callees = scene.neighbours(scene.services.index("checkout"))
    assert [scene.services[i] for i in callers] == ["web"]
    assert sorted(scene.services[i] for i in callees) == ["bank.example", "orders"]


def test_numbers_are_in_the_tooltip_and_the_sick_carry_theirs() -> None:
    scene = shop()
    body = scene.services.index("checkout")
    assert scene.tooltips[body].splitlines() == [
        "checkout",
        "service · failing",
        "90 calls · 1.5/s",
        "4 errors · 4.4 %",
        "p50 2 ms   p95 9 ms   p99 –",
    ]
    assert scene.subtitles[body] == "p95 9 ms", "fewer than five in a hundred fail: it is the time"
    assert scene.subtitles[scene.services.index("reviews")] == "gone quiet"
    assert scene.subtitles[scene.services.index("cart")] == ""


def test_an_empty_topology_is_a_scene_that_says_so() -> None:
    scene = build_scene(nodes(), edges(), seconds=0.0)
    assert len(scene.positions) == 0
    assert "no spans yet" in scene.caption
    assert scene.worst() is None


def test_one_service_that_calls_itself() -> None:
    scene = build_scene(nodes(("only", "service", 3, "healthy")), edges(("only", "only")), seconds=1.0)
    assert np.isfinite(scene.positions).all()
    assert scene.neighbours(0) == ([], [])


def test_edges_to_nowhere_are_left_out() -> None:
    scene = build_scene(
        nodes(("a", "service", 1, "healthy")), edges(("a", "gone"), ("gone", "a")), seconds=1.0
    )
    assert len(scene.source) == 0


@pytest.mark.parametrize("column", ["calls", "errors", "p50_ns", "p95_ns", "p99_ns"])
@pytest.mark.parametrize("value", [None, float("nan"), -5.0, float("inf")])
def test_broken_numbers_break_nothing(column: str, value: float | None) -> None:
    broken = SHOP_NODES.with_columns(pl.lit(value, pl.Float64).alias(column))
    scene = build_scene(broken, SHOP_EDGES, seconds=float("nan") if value is None else 1.0)
    assert np.isfinite(scene.positions).all()
    assert np.isfinite(scene.radii).all()
    assert (scene.radii > 0).all()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 10_000, "x" * 27 + "…"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("two\nlines\tand\0more", "two lines andmore"),
        ("", "(no name)"),
        ("\u202eevil\u200b", "evil"),
        ("日本語 é", "日本語 é"),
        (None, "None"),
    ],
)
def test_names_are_made_safe_to_show(name: object, shown: str) -> None:
    assert display_name(name) == shown


def test_a_hostile_name_is_still_the_key() -> None:
    name = "x" * 10_000
    scene = build_scene(nodes((name, "service", 1, "failing")), edges(), seconds=1.0)
    assert scene.services == [name]
    assert len(scene.labels[0]) <= 28


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, "–"),
        (-1, "–"),
        (float("nan"), "–"),
        (12, "12 ns"),
        (1_500, "1.5 µs"),
        (9e6, "9 ms"),
        (999_700_000, "1000 ms"),
        (2.34e9, "2.34 s"),
    ],
)
def test_durations_read_well(ns: float | None, text: str) -> None:
    assert duration(ns) == text


def test_rates_and_shares_read_well() -> None:
    assert (rate(0.05), rate(1.5), rate(12_345.0), rate(-1.0)) == ("3/min", "1.5/s", "12,345/s", "–")
    assert (share(0, 10), share(1, 200), share(1, 2), share(1, 0)) == ("0 %", "0.5 %", "50 %", "–")


def test_a_database_is_called_by_its_address_only_where_there_is_another_of_its_name() -> None:
    names = {
        "postgresql orders@db-1": "postgresql orders",
        "redis carts@cache-1:6379": "redis carts@cache-1:6379",
        "redis carts@cache-2:6379": "redis carts@cache-2:6379",
        "redis@cache-3": "redis@cache-3",
        "redis": "redis",
        "@db": "@db",
    }
    bodies = [*((name, "database", 10, "healthy") for name in names), ("me@home", "service", 10, "healthy")]
    scene = build_scene(nodes(*bodies), edges(("me@home", "postgresql orders@db-1")), seconds=1.0)
    assert dict(zip(scene.services, scene.labels, strict=True)) == {**names, "me@home": "me@home"}
    assert "orders@db-1" in scene.tooltips[0]
