"""What the window is made of and needs no display: focus, finding, moving, the way back, the command."""

import dataclasses
import threading
import time

import numpy as np
import polars as pl
import pytest

from support.scenes import SHOP_EDGES, SHOP_NODES
from tracescape_render import RenderError, Scene, build_scene
from tracescape_render.asking import Asker, Feed
from tracescape_render.camera import View
from tracescape_render.charts.style import plain
from tracescape_render.charts.topology import topology_map
from tracescape_render.effects import FULL, SPARE, STILL, Effects
from tracescape_render.finding import Hit, ranked
from tracescape_render.focus import Focus, body_named, narrowed, within
from tracescape_render.journey import Journey, Place
from tracescape_render.moving import between, flown, nearer, panned, tilted, turned
from tracescape_render.palette import COLOUR_BLIND, DARK, LIGHT
from tracescape_render.settling import moved, transition
from tracescape_render.view_command import parsed_view, view_command, written_view

VIEW = View((0.0, -40.0, 20.0), (1.0, 2.0, 3.0))


def shop(causes: pl.DataFrame | None = None) -> Scene:
    return build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0, caption="a shop", causes=causes)


def kept(focus: Focus) -> set[str]:
    scene = shop()
    return set(narrowed(scene, within(scene, focus)).services)


@pytest.mark.parametrize(
    ("focus", "services"),
    [
        (Focus("checkout", 0), {"checkout"}),
        (Focus("checkout", 1), {"checkout", "web", "orders", "bank.example"}),
        (Focus("checkout", 1, "up"), {"checkout", "web"}),
        (Focus("checkout", None, "up"), {"checkout", "web", "user"}),
        (Focus("checkout", 2, "down"), {"checkout", "orders", "bank.example", "email"}),
        (Focus("cart", 2), {"cart", "web", "postgresql", "user", "checkout", "reviews"}),
        (Focus("cart", None), set(SHOP_NODES["service"])),
    ],
)
def test_a_focus_keeps_who_is_so_many_calls_away(focus: Focus, services: set[str]) -> None:
    assert kept(focus) == services


def test_a_narrowed_scene_is_whole_and_nothing_has_moved() -> None:
    scene = shop()
    part = narrowed(scene, within(scene, Focus("checkout", 1)))
    bodies, arcs = len(part.services), len(part.source)
    assert (bodies, arcs) == (4, 3)
    for each in dataclasses.fields(scene):
        whole, less = getattr(scene, each.name), getattr(part, each.name)
        if each.name in ("cause", "beacon", "suspect", "contrast", "headline", "caption", "size", "halves"):
            continue
        counts = {len(scene.services): bodies, len(scene.source): arcs, len(scene.plates): len(part.plates)}
        assert len(less) == counts[len(whole)], each.name
    for name in part.services:
        here, there = part.services.index(name), scene.services.index(name)
        assert np.array_equal(part.positions[here], scene.positions[there])
    pairs = {(part.services[s], part.services[t]) for s, t in zip(part.source, part.target, strict=True)}
    assert pairs == {("web", "checkout"), ("checkout", "orders"), ("checkout", "bank.example")}
    assert part.island.max() < len(part.plates) == len(part.island_names) == len(part.plate_shares)


def test_a_cause_goes_with_its_body_and_is_renumbered() -> None:
    causes = pl.DataFrame(
        {
            "service": ["bank.example"],
            "kind": ["slow calls to it"],
            "source": ["checkout"],
            "target": ["bank.example"],
        }
    ).with_columns(
        pl.lit(None, pl.Int64).alias(name)
        for name in (f"{s}_{u}" for s in ("before", "after") for u in ("ns", "share", "times"))
    )
    scene = shop(causes)
    assert scene.cause is not None
    part = narrowed(scene, within(scene, Focus("checkout", 1)))
    assert part.cause is not None and part.services[part.cause.body] == "bank.example"
    assert {part.services[body] for body in part.cause.victims} == {
        scene.services[body] for body in scene.cause.victims
    } & set(part.services)
    assert all(part.target[link] < len(part.services) for link in part.cause.links)
    away = narrowed(scene, within(scene, Focus("cart", 1)))
    assert away.cause is None and away.beacon is None


def test_a_name_that_is_not_there_lists_the_near_ones_or_what_there_is() -> None:
    with pytest.raises(RenderError, match="no service 'chekout'.*Did you mean checkout"):
        body_named(shop(), "chekout")
    with pytest.raises(RenderError, match="There are: bank.example, cart"):
        body_named(shop(), "zzzzzz")
    with pytest.raises(RenderError, match="Nothing is there yet"):
        body_named(build_scene(SHOP_NODES.head(0), SHOP_EDGES.head(0), seconds=1.0), "cart")


def test_search_prefers_names_then_beginnings_then_words_then_scattered_letters() -> None:
    names = [Hit(name, "") for name in ("catalog", "cart", "cart-cache", "my-cart", "cacheartist")]
    assert [hit.service for hit in ranked("cart", names)] == ["cart", "cart-cache", "my-cart", "cacheartist"]
    assert ranked("chkt", [Hit("checkout", ""), Hit("cart", "")]) == [Hit("checkout", "")]
    operations = [Hit("web", "GET /orders"), Hit("orders", "")]
    assert ranked("orders", operations)[0] == Hit("orders", "")
    assert ranked("web orders", [Hit("web", "GET /orders")]) == [Hit("web", "GET /orders")]
    assert ranked("zz", names) == []


def test_search_takes_hostile_names_and_a_hundred_thousand_of_them() -> None:
    names = [Hit("x" * 10_000, ""), *(Hit(f"service-{i}", "") for i in range(20_000))]
    assert ranked("service-19999", names)[0] == Hit("service-19999", "")


def test_moves_keep_their_promises() -> None:
    ahead = flown(VIEW, forward=1)
    assert ahead.focus[1] > VIEW.focus[1] and ahead.position[1] > VIEW.position[1]
    assert turned(turned(VIEW, 30), -30).position == pytest.approx(VIEW.position)
    assert np.linalg.norm(np.subtract(tilted(VIEW, 20).position, VIEW.focus)) == pytest.approx(
        np.linalg.norm(np.subtract(VIEW.position, VIEW.focus))
    )
    assert tilted(VIEW, 500).position[2] < 1_000 and tilted(VIEW, -500).position[2] > VIEW.focus[2]
    half = nearer(VIEW, 0.5)
    assert np.subtract(half.position, half.focus) == pytest.approx(np.subtract(VIEW.position, VIEW.focus) / 2)
    assert nearer(VIEW, 0.0).position != VIEW.focus
    shifted = panned(VIEW, 0.1, 0.0)
    assert np.subtract(shifted.position, shifted.focus) == pytest.approx(
        np.subtract(VIEW.position, VIEW.focus)
    )
    assert between(VIEW, half, 0.0) == VIEW
    assert between(VIEW, half, 1.0).position == pytest.approx(half.position)


def test_straight_from_above_nothing_divides_by_nothing() -> None:
    above = View((0.0, 0.0, 50.0), (0.0, 0.0, 0.0))
    for view in (flown(above, 1, 1, 1), tilted(above, -10), turned(above, 10), panned(above, 0.1, 0.1)):
        assert np.isfinite(view).all()


def test_the_way_back_and_bookmarks() -> None:
    journey, places = Journey(), [Place(VIEW, str(i)) for i in range(3)]
    assert journey.back() is None and journey.next_mark() is None
    for place in (places[0], places[0], places[1]):
        journey.leave(place)
    assert [journey.back(), journey.back(), journey.back()] == [places[1], places[0], None]
    assert [journey.mark(place) for place in places[:2]] == [1, 2]
    assert [journey.next_mark() for _ in range(3)] == [(1, places[0]), (2, places[1]), (1, places[0])]


def test_a_command_says_the_view_and_hostile_names_stay_one_word() -> None:
    import shlex

    name = "a; rm -rf '$HOME' --view=x"
    text = view_command(["tracescape", "explore", "my db"], VIEW, Focus(name, 2, "up"), "cart", LIGHT)
    words = shlex.split(text)
    assert words[:3] == ["tracescape", "explore", "my db"]
    assert {f"--focus={name}", "--hops=2", "--direction=up", "--select=cart", "--theme=light"} <= set(words)
    assert parsed_view(words[-1].removeprefix("--view=")) == VIEW


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5,x", "1,2,3,1,2,3", "nan,2,3,4,5,6", "1,2,3,4,5,6,7"]
)
def test_what_is_no_view_says_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="six numbers"):
        parsed_view(text)
    assert parsed_view(written_view(VIEW)) == VIEW


def test_slow_frames_cost_lights_then_detail_and_a_single_one_nothing() -> None:
    effects = Effects(budget_s=0.1)
    assert not any(effects.saw(0.02) for _ in range(20)) and not effects.saw(3.0)
    assert effects.level == FULL
    seen = [effects.saw(0.2) for _ in range(40)]
    assert seen.count(True) == 2 and effects.level == SPARE
    effects.reset()
    assert effects.level == FULL < STILL


def test_what_had_to_go_comes_back_after_many_fast_frames_and_ever_more_hesitantly() -> None:
    effects = Effects(budget_s=0.1)

    def fast_until_back() -> int:
        assert [effects.saw(0.2) for _ in range(9)][-1] and effects.level == STILL
        return next(i for i in range(10_000) if effects.saw(0.01))

    first, second = fast_until_back(), fast_until_back()
    assert effects.level == FULL and second > 1.5 * first
    assert not any(effects.saw(0.08) for _ in range(1_000)), "within the budget nothing changes"


def test_an_asker_answers_the_newest_wish_and_says_what_failed() -> None:
    gate, asked = threading.Event(), []

    def ask(key: str) -> str:
        asked.append(key)
        gate.wait(20)
        if key == "bad":
            raise ConnectionError("gone")
        return key.upper()

    asker = Asker(ask, "test")
    asker.want("first")
    while not asked:
        pass
    asker.want("skipped")
    asker.want("bad")
    gate.set()
    answers: list[tuple[str, object]] = []
    while len(answers) < 2:
        answers += asker.take()
    asker.stop()
    assert asked == ["first", "bad"]
    assert answers[0] == ("first", "FIRST")
    assert answers[1][0] == "bad" and isinstance(answers[1][1], ConnectionError)


def test_a_feed_without_a_refresh_asks_once_and_again_when_told() -> None:
    asked: list[int] = []

    def source() -> int:
        asked.append(1)
        return len(asked)

    feed = Feed(source, None)
    assert feed.first() == 1
    assert feed.take() is None
    feed.again()
    deadline = time.monotonic() + 20
    while (answer := feed.take()) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    feed.stop()
    assert answer == 2 and len(asked) == 2


def test_bodies_go_from_where_they_stood_to_their_new_places_with_all_that_is_on_them() -> None:
    before, after = shop(), shop()
    assert transition(before, after) is None
    elsewhere = {name: (9.0 * i, 4.0, 2.0, 0.0) for i, name in enumerate(before.services)}
    after = build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0, positions=elsewhere)
    way = transition(before, after)
    assert way is not None
    began, ended = moved(after, way.at(0.0)), moved(after, way.at(1.0))
    assert np.array_equal(began.positions, before.positions)
    assert np.array_equal(ended.positions, after.positions)
    assert np.allclose(ended.curves, after.curves)
    for end, bodies in ((0, began.source), (2, began.target)):
        away = np.linalg.norm(began.curves[:, end] - began.positions[bodies], axis=1)
        assert (away < 2.0).all(), "arcs go with their bodies"


def test_a_newcomer_stands_at_its_place_from_the_beginning() -> None:
    less = build_scene(SHOP_NODES.head(4), SHOP_EDGES.head(0), seconds=1.0)
    more = shop()
    way = transition(less, more)
    assert way is not None
    new = [more.services.index(name) for name in more.services if name not in less.services]
    assert np.array_equal(way.before[new], way.after[new])


def test_a_map_knows_where_its_nodes_are_and_rings_the_selected() -> None:
    chart, spots = topology_map(SHOP_NODES, SHOP_EDGES, title="t", selected="cart")
    assert set(spots) == set(SHOP_NODES["service"])
    assert chart.svg.count('class="chosen"') == 1
    assert f'cx="{spots["cart"].x:.1f}'.removesuffix(".0") in chart.svg


@pytest.mark.parametrize("theme", [DARK, LIGHT, COLOUR_BLIND])
def test_a_plain_drawing_has_no_variables_and_the_states_of_the_theme(theme: object) -> None:
    assert isinstance(theme, type(DARK))
    chart, _ = topology_map(SHOP_NODES, SHOP_EDGES, title="t")
    svg = plain(chart.svg, theme)
    assert "var(" not in svg and "@media" not in svg
    assert f".t2{{fill:rgb{theme.states[2]}}}" in svg
