"""Lanes: no two intervals overlap, children lie below their parents, and nothing is wider than needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive.lanes import lanes as naive
from support.sizes import sized
from tracescape_native.lanes import lanes

Intervals = list[tuple[int, int, int]]  # parent (modulo what is there), start, length

INTERVALS = st.lists(st.tuples(st.integers(-1, 20), st.integers(0, 15), st.integers(0, 9)), max_size=20)


def columns(drawn: Intervals) -> list[np.ndarray]:
    parent = [-1 if p < 0 or not i else p % i for i, (p, _, _) in enumerate(drawn)]
    start = [start for _, start, _ in drawn]
    end = [start + length for _, start, length in drawn]
    return [np.array(column, np.int64) for column in (range(len(drawn)), parent, start, end)]


def check(parent: np.ndarray, start: np.ndarray, end: np.ndarray, lane: np.ndarray) -> None:
    order = np.lexsort((start, lane))
    one_lane = lane[order][1:] == lane[order][:-1]
    assert (np.maximum(end, start + 1)[order][:-1][one_lane] <= start[order][1:][one_lane]).all()
    inner = parent >= 0
    assert (lane[inner] > lane[parent[inner]]).all()


@given(INTERVALS)
def test_agrees_with_the_naive_twin(drawn: Intervals) -> None:
    order, parent, start, end = columns(drawn)
    found = lanes(order, parent, start, end)
    assert found.tolist() == naive(*(column.tolist() for column in (order, parent, start, end)))
    check(parent, start, end, found)


@given(INTERVALS)
def test_by_start_no_more_lanes_are_used_than_intervals_are_open_at_once(drawn: Intervals) -> None:
    _, _, start, end = columns(drawn)
    order, alone = np.argsort(start, kind="stable"), np.full(len(start), -1)
    found = lanes(order, alone, start, end)
    until = np.maximum(end, start + 1)
    open_at_once = max((int(((start <= at) & (at < until)).sum()) for at in start), default=0)
    assert found.max(initial=-1) + 1 == open_at_once


@pytest.mark.parametrize("shape", ["chain", "fan", "row"])
def test_many(shape: str) -> None:
    count = sized(100_000)
    place = np.arange(count)
    parent = {"chain": place - 1, "fan": np.where(place, 0, -1), "row": np.where(place, 0, -1)}[shape]
    start = place if shape == "row" else place * 0
    end = np.where(place, start + 1, count) if shape == "row" else start + count - place
    found = lanes(place, parent, start, end)
    check(parent, start, end, found)
    assert found.max() == (1 if shape == "row" else count - 1)


def test_nothing() -> None:
    none = np.empty(0, np.int64)
    assert lanes(none, none, none, none).tolist() == []
