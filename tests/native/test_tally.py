from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import tally as naive
from tracescape_native.tally import distinct, ends_of, extents_of, sums_by_key

LATEST = 2**63 - 1

INT64 = st.integers(-(2**63), 2**63 - 1)
KEYS = st.one_of(st.integers(0, 40), st.integers(0, 2**62))


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@given(st.lists(st.tuples(KEYS, st.integers(1, 2**40)), max_size=60))
def test_sums_by_key(cells: list[tuple[int, int]]) -> None:
    keys, counts = [key for key, _ in cells], [count for _, count in cells]
    found_keys, found_counts = sums_by_key(array(keys), array(counts))
    assert len(set(found_keys.tolist())) == len(found_keys)
    found = dict(zip(found_keys.tolist(), found_counts.tolist(), strict=True))
    assert found == naive.sums(keys, counts)


def test_more_keys_than_the_table_began_with() -> None:
    keys = np.tile(np.arange(50_000) * 7, 2)
    found_keys, found_counts = sums_by_key(keys, np.arange(100_000))
    order = np.argsort(found_keys)
    assert found_keys[order].tolist() == list(range(0, 350_000, 7))
    assert found_counts[order].tolist() == list(range(50_000, 150_000, 2))


@given(st.lists(st.one_of(INT64, st.integers(0, 5)), max_size=60))
def test_distinct_values(values: list[int]) -> None:
    numbers, first = distinct(array(values))
    assert (numbers.tolist(), first.tolist()) == naive.distinct(values)


def test_more_distinct_values_than_the_table_began_with() -> None:
    values = array(list(range(600, 0, -1)) * 2)
    numbers, first = distinct(values)
    assert numbers.tolist() == list(range(600)) * 2
    assert first.tolist() == list(range(600))


@given(st.lists(st.tuples(st.integers(0, 3), INT64), min_size=1, max_size=30))
def test_extents(rows: list[tuple[int, int]]) -> None:
    groups = [*range(4), *(group for group, _ in rows)]
    values = [0, 0, 0, 0, *(value for _, value in rows)]
    low, high = extents_of(array(groups), array(values), 4)
    assert (low.tolist(), high.tolist()) == naive.extents(groups, values, 4)


@given(st.lists(st.tuples(INT64, INT64), max_size=30))
def test_ends(rows: list[tuple[int, int]]) -> None:
    start, duration = [s for s, _ in rows], [d for _, d in rows]
    assert ends_of(array(start), array(duration)).tolist() == naive.ends(start, duration)


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        (5, 7, 12),
        (5, 0, 5),
        (5, -7, 5),
        (-5, 7, 2),
        (LATEST - 3, 9, LATEST),
        (LATEST, LATEST, LATEST),
        (-1, LATEST, LATEST - 1),
        (-LATEST - 1, LATEST, -1),
    ],
)
def test_ends_never_wrap_around(start: int, duration: int, end: int) -> None:
    assert ends_of(array([start]), array([duration])).tolist() == [end]
