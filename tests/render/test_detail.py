"""A scene at a level of detail: nobody is lost, nobody sick is hidden, no call is uncounted."""

from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest

from support.scenes import crowd, edges, ring
from tracescape_render.detail import Detail, detailed, groups_of
from tracescape_render.palette import FAILING, STATES
from tracescape_render.renderer import Budget
from tracescape_render.scene import GROUP, Scene, build_scene
from tracescape_render.verdict import SICK

SMALL = Budget(bodies=80, arcs=400)
CAUSE = pl.DataFrame(
    [
        {
            "kind": "slow work",
            "service": "s9",
            "source": None,
            "target": None,
            "before_ns": 1_000_000,
            "after_ns": 9_000_000,
        }
    ]
)


def world(sick: Iterable[int] = (), *, count: int = 160, causes: pl.DataFrame | None = None) -> Scene:
    return build_scene(*ring(count, sick), seconds=10.0, caption="a ring", causes=causes)


def stands_for_itself(detail: Detail, body: int) -> bool:
    return bool(detail.group[detail.body[body]] < 0)


def test_what_keeps_the_budget_is_drawn_as_it_is() -> None:
    scene = world(count=60)
    detail = detailed(scene, SMALL)
    assert detail.scene is scene
    assert detail.note == ""
    assert np.array_equal(detail.body, np.arange(60))


@pytest.mark.parametrize("count", [81, 400, 2_000])
def test_the_budget_is_kept_and_every_service_is_in_exactly_one_drawn_body(count: int) -> None:
    scene = world(count=count)
    detail = detailed(scene, SMALL)
    drawn = len(detail.scene.positions)
    assert drawn <= SMALL.bodies
    assert len(detail.scene.source) <= SMALL.arcs
    assert detail.members.tolist() == np.bincount(detail.body, minlength=drawn).tolist()
    assert detail.members.min() >= 1
    assert detail.members.sum() == count
    assert ((detail.scene.shape == GROUP) == (detail.group >= 0)).all()
    assert len(set(detail.scene.services)) == drawn
    itself = np.flatnonzero(detail.group < 0)
    for body in itself.tolist():
        (service,) = np.flatnonzero(detail.body == body)
        assert detail.scene.services[body] == scene.services[service]
        assert np.array_equal(detail.scene.positions[body], scene.positions[service])


def test_a_group_is_what_its_members_are_together() -> None:
    scene = world()
    detail = detailed(scene, SMALL)
    groups = np.flatnonzero(detail.group >= 0)
    assert len(groups) > 5
    for body in groups.tolist():
        members = np.flatnonzero(detail.body == body)
        assert len(np.unique(scene.island[members])) == 1
        assert detail.scene.calls[body] == scene.calls[members].sum()
        assert f"{len(members)} services" in detail.scene.labels[body]
        assert f"{len(members)} healthy" in detail.scene.tooltips[body]
        plate = detail.scene.plates[detail.scene.island[body]]
        away = np.linalg.norm(plate - detail.scene.positions[body, :2], axis=1).min()
        assert 0.5 < detail.scene.radii[body] < away, "as large as its island, and not beyond its rim"


@pytest.mark.parametrize("arcs", [400, 20])
def test_calls_are_summed_and_none_is_lost(arcs: int) -> None:
    scene = world(sick=[9, 77])
    detail = detailed(scene, Budget(80, arcs))
    small = detail.scene
    assert len(small.source) <= arcs
    assert small.arc_calls.sum() + detail.inner.sum() + detail.left_out == scene.arc_calls.sum()
    assert (detail.left_out == 0) == (detail.ways == len(small.source))
    assert small.traffic == pytest.approx(small.arc_calls / 10.0, rel=1e-5)
    for source, target, calls in zip(small.source, small.target, small.arc_calls, strict=True):
        between = (detail.body[scene.source] == source) & (detail.body[scene.target] == target)
        assert calls == scene.arc_calls[between].sum()
    joined = set(zip(small.source.tolist(), small.target.tolist(), strict=True))
    assert len(joined) == len(small.source), "one connection between two bodies"


def test_the_sick_stand_alone_and_their_islands_open_before_others() -> None:
    sick = [9, 77, 78, 131]
    scene = world(sick)
    detail = detailed(scene, SMALL)
    assert all(stands_for_itself(detail, body) for body in sick)
    opened = {int(scene.island[body]) for body in sick}
    for number in opened:
        members = np.flatnonzero(scene.island == number)
        assert all(stands_for_itself(detail, body) for body in members.tolist())
    closed = {number for number in detail.group.tolist() if number >= 0}
    assert closed and not closed & opened
    assert not np.isin(detail.scene.state[detail.group >= 0], SICK).any()


def test_more_sick_than_the_budget_has_bodies_are_the_state_and_share_of_their_group() -> None:
    sick = [i for i in range(160) if i % 4]
    scene = world(sick)
    detail = detailed(scene, SMALL)
    alone = sum(stands_for_itself(detail, body) for body in sick)
    assert alone == SMALL.bodies
    hidden = [body for body in sick if not stands_for_itself(detail, body)]
    shown = [body for body in sick if stands_for_itself(detail, body)]
    assert scene.priority[shown].min() >= scene.priority[hidden].max(), "the worst are seen"
    for body in np.flatnonzero(detail.group >= 0).tolist():
        members = np.flatnonzero(detail.body == body)
        failing = int((scene.state[members] == FAILING).sum())
        assert (detail.scene.state[body] == FAILING) == (failing > 0)
        assert failing == 0 or "% sick" in detail.scene.subtitles[body]
        assert failing == 0 or f"{failing} failing" in detail.scene.tooltips[body]


@pytest.mark.parametrize("bodies", [80, 3])
def test_the_cause_its_victims_and_the_way_between_them_are_never_hidden(bodies: int) -> None:
    scene = world(sick=[8, 9, 0], causes=CAUSE)
    assert scene.cause is not None and len(scene.cause.victims) == 2
    detail = detailed(scene, Budget(bodies, 5))
    small = detail.scene
    assert small.cause is not None
    assert small.services[small.cause.body] == "s9"
    assert [small.services[i] for i in small.cause.victims] == ["s8", "s0"]
    ways = {(small.services[small.source[i]], small.services[small.target[i]]) for i in small.cause.links}
    assert ways == {("s8", "s9"), ("s0", "s8")}
    assert small.beacon is not None and scene.beacon is not None
    assert np.array_equal(small.beacon, scene.beacon)
    assert small.headline == scene.headline


def test_what_is_hidden_is_said() -> None:
    detail = detailed(world(), SMALL)
    hidden = int(detail.members[detail.group >= 0].sum())
    islands = int((detail.group >= 0).sum())
    assert detail.note == f"{hidden} of 160 services are inside {islands} islands"


def test_what_is_wanted_is_opened_first() -> None:
    scene = world()
    groups = groups_of(scene, SMALL)
    first = detailed(scene, SMALL)
    closed = int(first.group.max())
    second = detailed(scene, SMALL, [closed], groups)
    assert closed in second.opened and closed not in first.opened
    assert all(second.group[second.body[i]] < 0 for i in np.flatnonzero(scene.island == closed).tolist())
    assert len(second.scene.positions) <= SMALL.bodies


def test_too_many_islands_stand_together_in_quarters_that_open_into_islands() -> None:
    scene = world(count=2_000)
    budget = Budget(60, 400)
    groups = groups_of(scene, budget)
    islands = len(scene.plates)
    assert islands > 60
    assert (groups.quarter >= islands).all()
    quarters = groups.sizes[islands:]
    assert quarters.sum() == 2_000
    closed = detailed(scene, budget)
    assert (closed.group >= islands).all()
    assert f"inside {len(quarters)} groups of islands" in closed.note
    open_ = detailed(scene, budget, [islands], groups)
    inside = np.flatnonzero(groups.quarter == islands)
    assert set(inside.tolist()) <= set(open_.group.tolist())
    assert islands not in open_.group
    island = int(inside[0])
    deeper = detailed(scene, Budget(90, 400), [island], groups)
    assert {island, islands} <= deeper.opened, "an island opens the quarter around it"
    shares = closed.scene.plate_shares
    assert shares.shape == (len(quarters), len(STATES))
    assert shares.sum(axis=1) == pytest.approx(1.0)


def test_the_same_scene_gives_the_same_detail() -> None:
    one, other = detailed(world([5]), SMALL), detailed(world([5]), SMALL)
    assert one.scene.services == other.scene.services
    assert np.array_equal(one.scene.positions, other.scene.positions)


def test_a_world_of_strangers_keeps_the_budget_as_far_as_islands_go() -> None:
    scene = build_scene(crowd(200)[0], edges(), seconds=1.0)
    detail = detailed(scene, SMALL)
    assert detail.members.sum() == 200
    assert len(detail.scene.positions) == 1
    assert len(detail.scene.source) == 0
