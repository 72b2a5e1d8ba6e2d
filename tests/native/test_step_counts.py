"""Counts by step from packed blocks: the same as one cell at a time, and nothing read beyond the bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import step_counts as naive
from tracescape_native.call_keys import ERRORS, NUMBER
from tracescape_native.packing import packed
from tracescape_native.step_counts import PackedBlocks, Sums, Wanted, add_cells, sums_for

GROUPS, NODES, STEPS = 4, 2, 3
#: Two services, an edge to something that sends no spans, and a group of no node; the last one is sampled.
WANTED = Wanted(
    *(np.array(c, np.int64) for c in ([0, 1, 1, -1], [1, 3, 2, 0], [0, 0, 1, 0], [9, 9, 9, 1], [1, 1, 0, 1]))
)

cells = st.lists(
    st.tuples(
        st.integers(0, STEPS - 1),
        st.integers(0, GROUPS - 1),
        st.integers(0, NUMBER),
        st.integers(-3, 4100),
        st.integers(1, 10**9),
    ),
    max_size=30,
)


def block(cells: list[naive.Cell]) -> bytes:
    rows = sorted((naive.key_of(*cell[1:4]), cell[4]) for cell in cells)
    keys, counts = (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else ([], [])
    numbers = np.concatenate([np.diff(keys, prepend=0), counts]).astype(np.int64)
    return np.array([len(rows), 0], np.int64).tobytes() + packed(numbers)


def joined(blocks: list[bytes]) -> PackedBlocks:
    begin = np.cumsum([0, *map(len, blocks)]).astype(np.int64)
    return PackedBlocks(np.frombuffer(b"".join(blocks), np.uint8), begin)


def same(some: Sums, others: Sums) -> None:
    for name in Sums._fields:
        np.testing.assert_array_equal(getattr(some, name), getattr(others, name), err_msg=name)


@given(cells)
def test_packed_blocks_add_up_like_cells_one_by_one(rows: list[naive.Cell]) -> None:
    blocks = joined([block([row for row in rows if row[0] == step]) for step in range(STEPS)])
    assert blocks.groups(GROUPS).tolist() == sorted({row[1] for row in rows})
    found = sums_for(STEPS, 2, NODES)
    blocks.add_to(found, np.arange(STEPS), WANTED)
    same(found, naive.sums(rows, WANTED, STEPS, 2, NODES))


@given(cells)
def test_loose_cells_add_up_like_packed_ones(rows: list[naive.Cell]) -> None:
    found = sums_for(STEPS, 2, NODES)
    for step, group, measure, code, count in rows:
        key = np.array([naive.key_of(group, measure, code)], np.int64)
        add_cells(key, np.array([count], np.int64), step, WANTED, found)
    same(found, naive.sums(rows, WANTED, STEPS, 2, NODES))


def test_several_blocks_of_one_step_add_up() -> None:
    rows = [(1, 0, 1, 5, 7), (1, 0, ERRORS, 0, 2)]
    blocks, found = joined([block(rows), block(rows)]), sums_for(STEPS, 1, NODES)
    assert blocks.groups(GROUPS).tolist() == [0]
    blocks.add_to(found, np.array([1, 1]), WANTED)
    assert found.times[1, 0, 5] == 2 * 7 * 9
    assert found.errors[:, 0].tolist() == [0, 2 * 2 * 9, 0]


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_block_that_ends_too_early_is_refused(cut: int) -> None:
    whole = block([(0, 0, 1, 300, 5), (0, 1, 1, 300, 10**6)])
    with pytest.raises(ValueError, match="broken"):
        blocks = joined([whole[:-cut]])
        blocks.groups(GROUPS)
        blocks.add_to(sums_for(STEPS, 1, NODES), np.array([0]), WANTED)


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than its head"):
        joined([b"123"])
    with pytest.raises(ValueError, match="broken"):
        joined([block([(0, 3, 1, 0, 1)])]).groups(2)
