"""Two moments in one scene, as data: who is drawn how large, who is a void, who recedes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_analytics.calls import Unpaired
from tracescape_analytics.topology import EDGE_SCHEMA, NODE_SCHEMA, Topology
from tracescape_analytics.topology_difference import TopologyDifference, difference
from tracescape_render import Scene, palette, screenshot
from tracescape_render.contrast import (
    APPEARED,
    GREW,
    NOBODY,
    QUIET,
    SAME,
    SHRANK,
    VANISHED,
    contrasted,
    name_of,
    split,
)
from tracescape_render.detail import detailed
from tracescape_render.focus import Focus, narrowed, within
from tracescape_render.palette import ABSENT, FAILING, HEALTHY, IDLE
from tracescape_render.renderer import Budget

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
#: service: calls a minute, errors, p50 ms, p95 ms
Traffic = dict[str, tuple[int, int, int, int]]


def moment(traffic: Traffic, edges: dict[tuple[str, str], int], until: int) -> Topology:
    nodes = [
        {
            "service": name,
            "kind": "service",
            "calls": calls,
            "errors": errors,
            "seen": calls,
            "p50_ns": p50 * 10**6,
            "p95_ns": p95 * 10**6,
            "p99_ns": 2 * p95 * 10**6,
            "state": "healthy" if calls >= 20 else "idle",
        }
        for name, (calls, errors, p50, p95) in traffic.items()
    ]
    ways = [
        {
            "source": source,
            "target": target,
            "connection": "http",
            "calls": calls,
            "errors": 0,
            "seen": calls,
            "client_p50_ns": 10**6,
            "client_p95_ns": 10**7,
            "state": "healthy",
        }
        for (source, target), calls in edges.items()
    ]
    return Topology(
        pl.DataFrame(nodes, schema=NODE_SCHEMA),
        pl.DataFrame(ways, schema=EDGE_SCHEMA),
        until - MINUTE,
        until,
        sum(row[0] for row in traffic.values()),
        1,
        Unpaired(0, 0),
    )


BEFORE = moment(
    {
        "web": (600, 0, 2, 9),
        "cart": (400, 0, 2, 9),
        "ads": (400, 0, 2, 9),
        "pay": (200, 0, 2, 9),
        "old": (100, 0, 2, 9),
        "rare": (2, 0, 2, 9),
    },
    {("web", "cart"): 400, ("web", "ads"): 400, ("web", "pay"): 200, ("web", "old"): 100, ("web", "rare"): 2},
    10 * MINUTE,
)
AFTER = moment(
    {
        "web": (600, 0, 2, 9),
        "cart": (1600, 0, 2, 9),
        "ads": (100, 0, 2, 9),
        "pay": (200, 60, 2, 9),
        "new": (100, 0, 2, 9),
    },
    {("web", "cart"): 1600, ("web", "ads"): 100, ("web", "pay"): 200, ("web", "new"): 100},
    15 * MINUTE,
)


def scene_of(found: TopologyDifference, **more: object) -> Scene:
    return contrasted(found.nodes, found.edges, before=found.before, after=found.after, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def both() -> Scene:
    return scene_of(difference(BEFORE, AFTER), location="shop.db")


def changes(scene: Scene) -> dict[str, int]:
    assert scene.contrast is not None
    return dict(zip(scene.services, scene.contrast.change.tolist(), strict=True))


def test_everybody_of_either_moment_is_there_once_and_says_what_happened(both: Scene) -> None:
    assert changes(both) == {
        "web": SAME,
        "cart": GREW,
        "ads": SHRANK,
        "pay": SAME,
        "old": VANISHED,
        "new": APPEARED,
        "rare": SAME,  # two calls and none: that is chance
    }


def test_the_section_of_the_lesser_side_is_to_the_whole_as_its_rate_to_the_other(both: Scene) -> None:
    assert both.contrast is not None
    lesser = dict(zip(both.services, both.contrast.lesser.tolist(), strict=True))
    assert lesser["cart"] == pytest.approx(0.5)  # a quarter
    assert lesser["ads"] == pytest.approx(0.5)
    assert {lesser[name] for name in ("web", "pay", "old", "new")} == {1.0}
    radii = dict(zip(both.services, both.radii.tolist(), strict=True))
    assert radii["cart"] == max(radii.values())  # as large as it is when it is busiest


def test_who_is_gone_is_a_void_and_who_may_be_by_chance_is_idle(both: Scene) -> None:
    states = dict(zip(both.services, both.state.tolist(), strict=True))
    assert (states["old"], states["rare"], states["web"]) == (ABSENT, IDLE, HEALTHY)
    gone = both.source[both.arc_state == ABSENT], both.target[both.arc_state == ABSENT]
    assert [(both.services[a], both.services[b]) for a, b in zip(*gone, strict=True)] == [("web", "old")]


def test_who_is_worse_beside_before_has_that_state_though_it_is_healthy_of_itself(both: Scene) -> None:
    pay = both.services.index("pay")
    assert both.state[pay] == FAILING
    assert both.subtitles[pay] == "errors 0 % → 30 %"
    assert both.contrast is not None
    assert both.contrast.states[pay].tolist() == [HEALTHY, FAILING]
    back = scene_of(difference(AFTER, BEFORE))  # the other way round it is better
    assert back.state[back.services.index("pay")] == HEALTHY
    assert back.contrast is not None
    assert back.contrast.states[back.services.index("pay")].tolist() == [FAILING, HEALTHY]
    assert "1 better" in back.headline


def test_what_did_not_change_stays_quiet(both: Scene) -> None:
    seen = dict(zip(both.services, both.seen.tolist(), strict=True))
    assert {name for name, value in seen.items() if value == 1.0} == {"cart", "ads", "pay", "old", "new"}
    assert seen["web"] == pytest.approx(QUIET)
    ways = {
        both.services[target]: float(seen)
        for target, seen in zip(both.target.tolist(), both.arc_seen, strict=True)
    }
    assert ways["pay"] < 0.25 < min(ways[name] for name in ("cart", "ads", "old", "new"))


def test_the_words_say_which_two_and_how_much(both: Scene) -> None:
    assert both.headline == "1 vanished · 1 appeared · 1 grew · 1 shrank · 1 worse"
    assert both.caption.endswith("the 1 min before each · shop.db")
    assert both.subtitles[both.services.index("cart")] == "▲ ×4"
    assert both.subtitles[both.services.index("ads")] == "▼ ÷4"
    assert "6.67/s → 26.7/s" in both.tooltips[both.services.index("cart")]
    rare = both.tooltips[both.services.index("rare")]
    assert "vanished, which may be chance" in rare


def test_where_one_thing_happened_the_headline_says_to_whom_the_worst_first() -> None:
    calm: Traffic = dict.fromkeys(("web", "cart", "pay", "mail", "db"), (900, 0, 2, 9))
    wrong: Traffic = calm | {"web": (900, 20, 2, 9), "pay": (900, 300, 2, 9)}
    wrong |= {"mail": (900, 20, 2, 9), "db": (900, 20, 2, 9)}
    found = difference(moment(calm, {}, 10 * MINUTE), moment(wrong, {}, 15 * MINUTE))
    assert scene_of(found).headline == "4 worse: pay, db, mail and 1 more"


def test_the_same_moment_twice_is_no_difference() -> None:
    found = scene_of(difference(BEFORE, BEFORE))
    assert found.headline == "No difference beyond chance"
    assert set(changes(found).values()) == {SAME}
    assert np.allclose(found.seen, QUIET)


@pytest.mark.parametrize("empty_first", [True, False])
def test_a_moment_with_nothing_in_it(empty_first: bool) -> None:
    nothing = moment({}, {}, MINUTE)
    sides = (nothing, BEFORE) if empty_first else (BEFORE, nothing)
    found = scene_of(difference(*sides))
    expected = APPEARED if empty_first else VANISHED
    assert {code for name, code in changes(found).items() if name != "rare"} == {expected}
    assert len(split(found).positions) in {6, 11}  # who is gone stands on the right as a void
    neither = scene_of(difference(nothing, nothing))
    assert len(neither.positions) == 0
    assert split(neither) is neither


def test_side_by_side_each_half_has_who_was_there_at_the_same_places(both: Scene) -> None:
    beside = split(both)
    assert (both.halves, beside.halves) == (False, True)
    left = [i for i, key in enumerate(beside.services) if key != name_of(key)]
    right = [i for i, key in enumerate(beside.services) if key == name_of(key)]
    assert {name_of(beside.services[i]) for i in left} == set(BEFORE.nodes["service"])
    assert {beside.services[i] for i in right} == {*AFTER.nodes["service"], "old"}
    stood = dict(zip(both.services, both.positions, strict=True))
    for half in (left, right):
        moved = {
            tuple((beside.positions[i] - stood[name_of(beside.services[i])]).round(4).tolist()) for i in half
        }
        assert len(moved) == 1
    assert max(beside.positions[left, 0]) < min(beside.positions[right, 0])
    radius = {
        (key != name_of(key), name_of(key)): value
        for key, value in zip(beside.services, beside.radii.tolist(), strict=True)
    }
    assert radius[False, "cart"] == pytest.approx(2 * radius[True, "cart"])
    assert radius[True, "ads"] == pytest.approx(2 * radius[False, "ads"])
    state = dict(zip(beside.services, beside.state.tolist(), strict=True))
    assert (state["old"], state["pay"]) == (ABSENT, FAILING)
    assert [state[key] for key in beside.services if name_of(key) == "pay"] == [HEALTHY, FAILING]
    assert all(beside.source < len(left)) is False
    assert len({name.split(" ·")[0] for name in beside.island_names}) == 2


def test_a_focus_keeps_the_contrast_of_who_is_in_it(both: Scene) -> None:
    near = narrowed(both, within(both, Focus("cart", 1)))
    assert changes(near) == {"web": SAME, "cart": GREW}
    assert len(split(near).positions) == 4


def test_in_a_world_too_large_to_be_drawn_who_changed_is_still_drawn() -> None:
    crowd = {f"s{i}": (100, 0, 2, 9) for i in range(200)}
    ways = {("web", name): 100 for name in crowd}
    before = moment({"web": (600, 0, 2, 9), **crowd}, ways, 10 * MINUTE)
    after = moment(
        {"web": (600, 0, 2, 9), **crowd, "s7": (900, 0, 2, 9)}, {**ways, ("web", "s7"): 900}, 15 * MINUTE
    )
    whole = scene_of(difference(before, after))
    small = detailed(whole, Budget(40, 40)).scene
    assert len(small.positions) < 60
    assert small.contrast is not None
    assert len(small.contrast.change) == len(small.positions)
    assert len(small.contrast.arc_change) == len(small.source)
    assert changes(small)["s7"] == GREW
    loud = small.contrast.arc_change == GREW
    assert [small.services[i] for i in small.target[loud]] == ["s7"]
    assert float(small.arc_seen[loud].min()) > float(small.arc_seen[~loud].max(initial=0.0))


def test_names_that_are_hostile_are_shown_safely() -> None:
    name = "ca\x1b[31mrt\n" + "x" * 200
    found = scene_of(difference(moment({name: (100, 0, 2, 9)}, {}, MINUTE), moment({}, {}, 2 * MINUTE)))
    assert "\x1b" not in found.tooltips[0]
    assert len(found.labels[0]) < 40


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3000), max_size=6),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3000), max_size=6),
)
def test_any_two_moments_make_scenes_whose_arrays_fit(before: dict[str, int], after: dict[str, int]) -> None:
    sides = [
        moment(
            {name: (calls, 0, 2, 9) for name, calls in traffic.items()},
            {(a, b): traffic[b] for a in traffic for b in traffic if a < b},
            until,
        )
        for traffic, until in ((before, 10 * MINUTE), (after, 12 * MINUTE))
    ]
    scene = scene_of(difference(*sides))
    assert scene.contrast is not None
    assert set(scene.services) == set(before) | set(after)
    assert ((scene.contrast.lesser > 0) & (scene.contrast.lesser <= 1)).all()
    there = [(name in before, name in after) for name in scene.services]
    assert np.array_equal(
        scene.contrast.states.reshape(-1, 2) != NOBODY, np.array(there, bool).reshape(-1, 2)
    )
    beside = split(scene)
    assert all(
        len(part) == len(beside.services)
        for part in (beside.radii, beside.state, beside.labels, beside.subtitles)
    )
    assert beside.source.max(initial=-1) < len(beside.services)


@pytest.mark.parametrize("theme", list(palette.THEMES))
def test_both_can_be_drawn(both: Scene, tmp_path: Path, theme: str) -> None:
    for name, scene in (("blend", both), ("split", split(both))):
        path = screenshot(scene, tmp_path / f"{name}.png", (320, 200), palette.theme(theme), selected="cart")
        assert path.read_bytes().startswith(b"\x89PNG")
