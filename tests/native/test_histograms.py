from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive.histograms import Histogram, index
from tracescape_native.histograms import (
    MAX_SCALE,
    Histograms,
    _index,
    joined,
    merge,
    quantile,
    record,
    relative_error,
)

#: Durations of all sizes; powers of 2 and their neighbours are bounds of buckets at every scale.
POWERS = st.builds(lambda power, off: 2**power + off, st.integers(1, 62), st.integers(-1, 1))
VALUES = st.one_of(st.integers(0, 20), st.integers(0, 2**63 - 1), POWERS, st.integers(10**6, 10**6 + 50))
ROWS = st.lists(st.tuples(VALUES, st.integers(0, 2)), max_size=25)
MOST = st.sampled_from([2, 3, 8, 160])
GROUPS = 3


def recorded(rows: list[tuple[int, int]], most: int = 160) -> Histograms:
    values, group = (np.array([row[k] for row in rows], np.int64) for k in range(2))
    return record(values, group, GROUPS, most)


def same(a: Histograms, b: Histograms) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def buckets(histograms: Histograms, group: int) -> dict[int, int]:
    low, high = histograms.offsets[group], histograms.offsets[group + 1]
    counted = enumerate(histograms.buckets[low:high].tolist(), int(histograms.first[group]))
    return {place: count for place, count in counted if count}


@given(st.one_of(VALUES, POWERS))
def test_the_bucket_at_the_largest_scale(value: int) -> None:
    if value:
        assert _index(value) == index(value, MAX_SCALE)


@given(ROWS, MOST)
def test_agrees_with_the_naive_twin(rows: list[tuple[int, int]], most: int) -> None:
    found = recorded(rows, most)
    for g in range(GROUPS):
        values = [value for value, group in rows if group == g]
        twin = Histogram(most, values)
        assert buckets(found, g) == twin.buckets
        assert found.scale[g] == twin.scale
        assert found.zeros[g] == values.count(0)
        assert found.counts[g] == len(values)
        assert found.sums[g] == (sum(values) + 2**63) % 2**64 - 2**63
        assert (found.low[g], found.high[g]) == (min(values, default=0), max(values, default=0))
        assert found.offsets[g + 1] - found.offsets[g] <= most


@given(ROWS, ROWS, ROWS, MOST)
def test_parts_make_the_whole_in_any_order(
    a: list[tuple[int, int]], b: list[tuple[int, int]], c: list[tuple[int, int]], most: int
) -> None:
    whole = recorded(a + b + c, most)
    x, y, z = (recorded(rows, most) for rows in (a, b, c))

    def plus(one: Histograms, other: Histograms) -> Histograms:
        return merge(joined([one, other]), np.tile(np.arange(GROUPS), 2), GROUPS, most)

    assert same(plus(plus(x, y), z), whole)
    assert same(plus(x, plus(y, z)), whole)
    assert same(plus(plus(z, x), y), whole)
    assert same(merge(joined([z, y, x]), np.tile(np.arange(GROUPS), 3), GROUPS, most), whole)
    assert same(plus(whole, recorded([], most)), whole)


@given(ROWS, st.sampled_from([160, 8]))
def test_fewer_buckets_later_are_fewer_buckets_at_once(rows: list[tuple[int, int]], most: int) -> None:
    assert same(merge(recorded(rows), np.arange(GROUPS), GROUPS, most), recorded(rows, most))


@given(ROWS)
def test_groups_add_up_to_one(rows: list[tuple[int, int]]) -> None:
    values = np.array([value for value, _ in rows], np.int64)
    alone = record(values, np.zeros(len(rows), np.int64), 1)
    assert same(merge(recorded(rows), np.zeros(GROUPS, np.int64), 1), alone)


@given(st.lists(VALUES, min_size=1, max_size=25), st.floats(0, 1), MOST)
def test_quantiles_keep_their_error_bound(values: list[int], share: float, most: int) -> None:
    found = record(np.array(values), np.zeros(len(values), np.int64), 1, most)
    # The same rank as ours, whatever floating point makes of the share times the count.
    exact = sorted(values)[min(max(int(np.ceil(share * len(values))), 1), len(values)) - 1]
    bound = relative_error(found)[0]
    assert abs(quantile(found, share)[0] - exact) <= exact * (bound + 1e-12)


def test_quantiles_of_the_twin() -> None:
    values = [3, 1, 4, 1, 5, 9, 2, 6, 0]
    found = record(np.array(values), np.zeros(9, np.int64), 1)
    for share in (0, 0.1, 0.25, 0.5, 0.75, 0.99, 1):
        exact = Histogram(values=values).quantile(share)
        assert quantile(found, share)[0] == pytest.approx(exact, rel=relative_error(found)[0] + 1e-12)


def test_usual_durations_are_known_to_a_percent() -> None:
    # 1 µs to 1 min: what 160 buckets tell apart
    found = record(np.array([1_000, 60_000_000_000]), np.zeros(2, np.int64), 1)
    assert found.scale[0] == 2
    assert relative_error(found)[0] < 0.087
    found = record(np.array([1_000_000, 4_000_000]), np.zeros(2, np.int64), 1)
    assert relative_error(found)[0] < 0.006


def test_empty() -> None:
    found = recorded([])
    assert found.counts.tolist() == [0, 0, 0]
    assert found.scale.tolist() == [MAX_SCALE] * 3
    assert np.isnan(quantile(found, 0.5)).all()
    assert same(joined([]), record(np.empty(0, np.int64), np.empty(0, np.int64), 0))


def test_what_cannot_be_counted() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="from 0 on, not -1"):
        record(one - 1, one, 1)
    with pytest.raises(ValueError, match="from 0 to 1"):
        record(one, one + 2, 2)
    with pytest.raises(ValueError, match="one number for each of 1"):
        record(one, np.zeros(2, np.int64), 2)
    with pytest.raises(ValueError, match="2 at least"):
        record(one, one, 1, max_buckets=1)
    with pytest.raises(ValueError, match="from 0 to 1"):
        quantile(recorded([]), 1.5)
