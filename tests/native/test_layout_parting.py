"""Room for every body: against the distances of all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import layout as naive
from support.sizes import sized
from tracescape_native.layout_parting import find_room, part, sunflower

GOLDEN = math.pi * (3 - math.sqrt(5))


@given(st.integers(0, 25), st.integers(0, 2**31), st.sampled_from([0.0, 0.01, 1.0, 10.0]), st.floats(0, 2))
@settings(max_examples=100, deadline=None)
def test_balls_end_apart_at_their_heights(count: int, seed: int, spread: float, gap: float) -> None:
    random = np.random.default_rng(seed)
    place, radius = random.normal(size=(count, 3)) * spread, random.random(count) + 0.2
    before = place.copy()
    found = part(place, radius, gap=gap)
    assert naive.nearest_gap(found.tolist(), radius.tolist()) >= gap - 1e-6
    assert np.array_equal(found[:, 2], before[:, 2])
    assert np.array_equal(place, before), "the input stays"


def test_those_apart_do_not_move() -> None:
    place = np.column_stack([sunflower(50, 2.1), np.arange(50) % 3])
    assert np.array_equal(part(place, np.ones(50)), place)


def test_two_give_way_by_half_each_along_the_line_between_them() -> None:
    found = part(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([1.0, 2.0]), gap=1.0)
    assert found == pytest.approx(np.array([[-1.5, 0, 0], [2.5, 0, 0]]), abs=1e-4)


def test_height_saves_room_beside() -> None:
    found = part(np.array([[0.0, 0, 0], [0.1, 0, 1.2]]), np.ones(2))
    assert np.linalg.norm(found[0, :2] - found[1, :2]) == pytest.approx(1.6, abs=1e-4)
    above = np.array([[0.0, 0, 0], [0.0, 0, 2.0]])
    assert np.array_equal(part(above, np.ones(2)), above)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 30.0])
def test_a_pile_of_many_comes_apart(spread: float) -> None:
    count = sized(3_000, 60)
    place = np.random.default_rng(1).normal(size=(count, 3)) * [spread, spread, 0.0]
    found = part(place, np.full(count, 0.5))
    assert naive.nearest_gap(found[:300].tolist(), [0.5] * 300) >= -1e-6
    gaps = np.linalg.norm(found[:, None, :2] - found[None, :, :2], axis=2)
    assert gaps[np.triu_indices(count, 1)].min() >= 1 - 1e-6
    assert np.abs(found).max() < 5 * math.sqrt(count) + 5 * 3 * spread


@pytest.mark.parametrize("count", [2, 10, 1_000])
def test_a_sunflower_keeps_its_distance(count: int) -> None:
    points = [[*point, 0.0] for point in sunflower(min(count, sized(count, 100)), 1.5).tolist()]
    assert naive.nearest_gap(points, [0.75] * len(points)) >= 0


@given(st.integers(0, 20), st.integers(0, 2**31), st.floats(0.0, 12.0))
@settings(max_examples=100, deadline=None)
def test_a_newcomer_stands_where_the_twin_finds_room(count: int, seed: int, radius: float) -> None:
    random = np.random.default_rng(seed)
    place = random.normal(size=(count, 3)) * 3
    home, height, circle = random.normal(size=2), float(random.normal()), np.array([0.5, -0.5, radius])
    found, there = find_room(place, home[None], np.array([height]), circle[None], spacing=1.0)
    expected = naive.room(place.tolist(), home.tolist(), height, circle.tolist(), 1.0, GOLDEN)
    assert there[0] == (expected is not None)
    assert found[0] == pytest.approx([*home, height] if expected is None else expected, abs=1e-6)


def test_newcomers_leave_room_for_each_other_and_who_finds_none_is_told() -> None:
    circle = np.tile([0.0, 0.0, 5.0], (80, 1))
    found, there = find_room(np.zeros((1, 3)), np.zeros((80, 2)), np.zeros(80), circle, spacing=2.0)
    assert 8 <= there.sum() < 40, "the circle holds some, but not all"
    everybody = np.concatenate([np.zeros((1, 3)), found[there]])
    assert naive.nearest_gap(everybody.tolist(), [1.0] * len(everybody)) >= -1e-9
    assert np.linalg.norm(found[there], axis=1).max() <= 5.0


def test_many_with_one_home_are_no_longer_a_search_than_the_area_they_take() -> None:
    count = sized(20_000, 200)
    endless = np.tile([0.0, 0.0, np.inf], (count, 1))
    found, there = find_room(np.zeros((0, 3)), np.zeros((count, 2)), np.zeros(count), endless, spacing=1.0)
    assert there.all()
    assert np.linalg.norm(found, axis=1).max() < 3 * math.sqrt(count)
