"""Islands open when the camera comes near or somebody asks, and close when it goes away."""

from collections.abc import Iterable

import numpy as np

from support.scenes import ring
from tracescape_render.levels import CLOSES, OPENS, Levels
from tracescape_render.renderer import Budget
from tracescape_render.scene import Scene, build_scene

BUDGET = Budget(80, 400)
FAR = (0.0, -2_000.0, 900.0)


def world(count: int = 160, sick: Iterable[int] = ()) -> Scene:
    return build_scene(*ring(count, sick), seconds=10.0)


def closed_group(levels: Levels) -> tuple[int, tuple[float, float], float]:
    """A closed island: its body, its middle, how far its plate reaches."""
    body = int(np.flatnonzero(levels.detail.group >= 0)[-1])
    middle = levels.scene.positions[body, :2].astype(float)
    plate = levels.scene.plates[levels.scene.island[body]]
    reach = float(np.linalg.norm(plate - middle, axis=1).max())
    return body, (float(middle[0]), float(middle[1])), reach


def test_coming_near_opens_an_island_and_going_away_closes_it() -> None:
    levels = Levels(world(), BUDGET)
    before = levels.detail.opened
    body, (x, y), reach = closed_group(levels)
    group = int(levels.detail.group[body])
    assert not levels.approach(FAR)
    assert levels.approach((x, y, 0.9 * OPENS * reach))
    assert group in levels.detail.opened
    assert not levels.approach((x, y, 0.9 * OPENS * reach)), "nothing moved, nothing changes"
    levels.approach((x, y, (OPENS + CLOSES) / 2 * reach))
    assert group in levels.detail.opened, "it does not flicker at the border"
    assert levels.approach(FAR)
    assert levels.detail.opened == before


def test_a_click_opens_from_afar_until_the_camera_is_half_as_far_again() -> None:
    levels = Levels(world(), BUDGET)
    body, _, _ = closed_group(levels)
    group = int(levels.detail.group[body])
    assert levels.is_group(body)
    assert levels.open(body, FAR)
    assert group in levels.detail.opened
    levels.approach(FAR)
    assert group in levels.detail.opened
    assert levels.approach((0.0, -4_000.0, 1_800.0))
    assert group not in levels.detail.opened


def test_a_service_cannot_be_opened() -> None:
    levels = Levels(world(), BUDGET)
    service = int(np.flatnonzero(levels.detail.group < 0)[0])
    assert not levels.is_group(service)
    assert not levels.open(service, FAR)


def test_a_hidden_service_is_revealed() -> None:
    levels = Levels(world(), BUDGET)
    hidden = int(np.flatnonzero(levels.detail.group[levels.detail.body] >= 0)[0])
    assert levels.reveal(hidden, FAR)
    body = int(levels.detail.body[hidden])
    assert levels.scene.services[body] == levels.whole.services[hidden]
    assert not levels.reveal(hidden, FAR), "it is there already"


def test_what_is_open_stays_open_when_the_scene_is_replaced() -> None:
    levels = Levels(world(), BUDGET)
    hidden = int(np.flatnonzero(levels.detail.group[levels.detail.body] >= 0)[0])
    levels.reveal(hidden, FAR)
    newer = Levels(world(sick=[50]), BUDGET, levels)
    assert newer.detail.group[newer.detail.body[hidden]] < 0
    unasked = Levels(world(sick=[50]), BUDGET).detail
    assert unasked.group[unasked.body[hidden]] >= 0, "it would be closed, had nobody asked"


def test_a_world_that_fits_never_changes() -> None:
    levels = Levels(world(count=40), BUDGET)
    assert levels.scene is levels.whole
    assert not levels.approach((0.0, 0.0, 1.0))


def test_marks_are_large_from_afar_and_of_their_own_size_from_near() -> None:
    levels = Levels(world(count=1_600), Budget(2_000, 8_000))
    large = levels.whole.size
    assert levels.scene.size == large > 2.0
    assert levels.approach((0.0, 0.0, 20.0))
    assert levels.scene.size == 1.0
    assert not levels.approach((0.0, 0.0, 21.0)), "not at every step"
    assert levels.approach(FAR)
    assert levels.scene.size == large
    assert Levels(world(count=1_600), Budget(2_000, 8_000), levels).scene.size == large
