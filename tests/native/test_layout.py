"""The layout kernels against a naive twin, and what must hold for any graph."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracescape_native.layout import FloatArray, part_discs, spread


def naive_step(
    place: FloatArray,
    height: FloatArray,
    edges: list[tuple[int, int, float]],
    k: float,
    gravity: float,
    step: float,
) -> FloatArray:
    """One step of Fruchterman and Reingold, written from the formulas."""
    moved = place.copy()
    for i in range(len(place)):
        force = -gravity * place[i]
        for j in range(len(place)):
            if i != j:
                apart = np.array([*(place[i] - place[j]), height[i] - height[j]])
                force = force + k * k / (apart @ apart + 1e-4 * k * k) * apart[:2]
        for a, b, w in edges:
            if i in (a, b) and a != b:
                towards = place[b if i == a else a] - place[i]
                force = force + w * math.hypot(*towards) / k * towards
        length = math.hypot(*force)
        if length > 0:
            moved[i] = place[i] + force / length * min(length, step)
    return moved


@given(st.integers(1, 8), st.integers(0, 2**31), st.floats(0.5, 5.0))
@settings(max_examples=40)
def test_one_step_is_that_of_the_twin(count: int, seed: int, k: float) -> None:
    random = np.random.default_rng(seed)
    place, height = random.normal(size=(count, 2)), random.normal(size=count)
    source, target = random.integers(0, count, 6), random.integers(0, count, 6)
    weight = random.random(6)
    found = spread(place, height, source, target, weight, np.ones(count, bool), distance=k, iterations=1)
    listed = list(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
    expected = naive_step(place, height, listed, k, 0.03, 0.61 * k)
    assert np.allclose(found, expected, atol=1e-9)


def test_pinned_nodes_do_not_move_and_the_input_stays() -> None:
    start = np.random.default_rng(1).normal(size=(6, 2))
    before = start.copy()
    free = np.array([True, False, True, False, True, True])
    found = spread(start, np.zeros(6), np.array([0, 1]), np.array([1, 2]), np.ones(2), free, distance=2.0)
    assert np.array_equal(found[~free], start[~free])
    assert not np.allclose(found[free], start[free])
    assert np.array_equal(start, before)


def test_neighbours_end_nearer_than_strangers() -> None:
    angle = np.linspace(0, 6, 12)
    start = np.column_stack([np.cos(5 * angle), np.sin(5 * angle)]) * 4
    source, target = (
        np.array([i - i % 4 for i in range(12) if i % 4]),
        np.array([i for i in range(12) if i % 4]),
    )
    found = spread(start, np.zeros(12), source, target, np.ones(9), np.ones(12, bool), distance=3.0)
    gap = np.linalg.norm(found[:, None] - found[None], axis=2)
    joined = gap[source, target].mean()
    group = np.arange(12) // 4
    strangers = gap[group[:, None] != group[None]].mean()
    assert joined < 0.7 * strangers


def test_nodes_in_the_same_place_and_no_nodes_at_all() -> None:
    none = np.zeros(0, np.int64)
    same = spread(np.zeros((3, 2)), np.zeros(3), none, none, np.zeros(0), np.ones(3, bool), distance=1.0)
    assert np.isfinite(same).all()
    empty = spread(np.zeros((0, 2)), np.zeros(0), none, none, np.zeros(0), np.ones(0, bool), distance=1.0)
    assert empty.shape == (0, 2)


@given(st.integers(1, 15), st.integers(0, 2**31))
@settings(max_examples=40)
def test_discs_end_apart(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    centre, radius = random.normal(size=(count, 2)) * 3, random.random(count) + 0.2
    parted = part_discs(centre, radius, np.ones(count, bool), gap=0.5)
    for i in range(count):
        for j in range(i):
            assert math.dist(parted[i], parted[j]) >= radius[i] + radius[j] + 0.5 - 1e-6


def test_a_pinned_disc_stays_and_the_other_gives_way() -> None:
    parted = part_discs(np.zeros((2, 2)), np.array([1.0, 2.0]), np.array([False, True]), gap=1.0)
    assert parted[0].tolist() == [0.0, 0.0]
    assert math.dist(parted[0], parted[1]) == pytest.approx(4.0)
