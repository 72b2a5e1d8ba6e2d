from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive.forest import Span, twin
from naive.spans import arrays, signed, tangled_spans, wide_spans
from support.sizes import sized
from tracescape_native.forest import CHILD, CUT, ORPHAN, ROOT, Forest, build_forest
from tracescape_native.grouping import group_ids, rows_by_code
from tracescape_native.sorting import sort_index, unsigned_order

ORIGINS = {"child": CHILD, "root": ROOT, "orphan": ORPHAN, "cut": CUT}

#: Spans of the deep and the wide; fewer where Python itself runs the kernels.
MANY = sized(100_000)


@given(tangled_spans())
def test_agrees_with_the_naive_twin(spans: list[Span]) -> None:
    check_against_twin(spans)


@pytest.mark.parametrize("width", [10, 24, 26, 100])
def test_agrees_with_the_naive_twin_on_many_siblings(width: int) -> None:
    check_against_twin(wide_spans(width, width))


def check_against_twin(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, mains = twin(spans)
    position = {node: i for i, node in enumerate(nodes)}
    assert [spans[row] for row in forest.rows] == [node.span for node in nodes]
    assert forest.parent.tolist() == [position[n.parent] if n.parent else -1 for n in nodes]
    assert forest.origin.tolist() == [ORIGINS[node.origin] for node in nodes]
    assert forest.size.tolist() == [len(node.walk()) for node in nodes]
    assert forest.main_root.tolist() == [position[node] for node in mains]
    assert forest.copies == len(spans) - len(nodes)


@given(tangled_spans(), st.randoms())
def test_does_not_depend_on_the_order_of_arrival(spans: list[Span], random: object) -> None:
    shuffled = list(spans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = build_forest(arrays(spans)), build_forest(arrays(shuffled))
    assert [spans[row] for row in a.rows] == [shuffled[row] for row in b.rows]
    for name in ("parent", "root", "size", "depth", "origin", "main_root", "offsets", "span_id"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()


@given(tangled_spans())
def test_subtrees_are_contiguous_and_parents_come_first(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    for i, parent in enumerate(forest.parent):
        if parent < 0:
            assert forest.root[i] == i
            assert forest.depth[i] == 0
        else:
            assert parent < i < parent + forest.size[parent]
            assert forest.root[i] == forest.root[parent]
            assert forest.depth[i] == forest.depth[parent] + 1
        assert forest.offsets[forest.trace[i]] <= i < forest.offsets[forest.trace[i] + 1]


def grown(*spans: Span) -> Forest:
    return build_forest(arrays(list(spans)))


def test_empty() -> None:
    forest = grown()
    assert len(forest.rows) == 0
    assert forest.offsets.tolist() == [0]


def test_one() -> None:
    forest = grown(Span(0, 7, 0, 5, 9))
    assert forest.parent.tolist() == [-1]
    assert forest.main_root.tolist() == [0]


def test_copies_are_dropped_and_counted() -> None:
    span = Span(0, 1, 0, 0, 9)
    forest = grown(span, Span(0, 2, 1, 1, 2), span, span)
    assert forest.span_id.tolist() == [1, 2]
    assert forest.copies == 2


def test_copies_in_two_traces_are_not_copies() -> None:
    assert grown(Span(0, 1, 0, 0, 9), Span(1, 1, 0, 0, 9)).copies == 0


@pytest.mark.parametrize(
    "change", [{"parent": 9}, {"start": 1}, {"end": 8}, {"kind": 2}, {"resource": 4}, {"content": 1}]
)
def test_spans_that_differ_anywhere_are_no_copies(change: dict[str, int]) -> None:
    span = {"trace": 0, "id": 1, "parent": 0, "start": 0, "end": 9}
    assert grown(Span(**span), Span(**{**span, **change})).copies == 0


def test_many_twins_that_differ_only_in_content() -> None:
    spans = [Span(0, 1, 0, 0, 9, content=i % 50_000) for i in range(100_000)]
    forest = build_forest(arrays(spans))
    assert forest.copies == 50_000


def test_of_duplicates_the_earliest_is_the_parent() -> None:
    forest = grown(Span(0, 1, 0, 5, 50), Span(0, 1, 0, 3, 4), Span(0, 2, 1, 6, 7))
    child = forest.span_id.tolist().index(2)
    assert forest.start[forest.parent[child]] == 3


def test_main_root_is_the_longest_span_without_a_parent_even_if_an_orphan_is_longer() -> None:
    forest = grown(Span(0, 1, 0, 0, 10), Span(0, 2, 0, 0, 20), Span(0, 3, 99, 0, 1000))
    assert forest.span_id[forest.main_root[0]] == 2


def test_main_root_of_equals_is_the_earliest_then_the_smallest_unsigned() -> None:
    forest = grown(Span(0, 2**64 - 1, 0, 0, 10), Span(0, 4, 0, 0, 10), Span(0, 1, 0, 1, 11))
    assert forest.span_id[forest.main_root[0]] == 4


def test_an_orphan_is_the_main_root_if_there_is_no_other() -> None:
    forest = grown(Span(0, 1, 98, 0, 10), Span(0, 2, 99, 0, 20))
    assert forest.span_id[forest.main_root[0]] == 2


def test_a_cycle_is_cut_at_its_earliest_start() -> None:
    forest = grown(Span(0, 1, 3, 5, 9), Span(0, 2, 1, 4, 9), Span(0, 3, 2, 5, 9))
    assert forest.origin.tolist() == [CUT, CHILD, CHILD]
    assert forest.span_id.tolist() == [2, 3, 1]


def test_a_cycle_of_equal_starts_is_cut_at_the_smallest_unsigned_id() -> None:
    forest = grown(Span(0, 2**64 - 1, 5, 0, 9), Span(0, 5, 2**64 - 1, 0, 9))
    assert forest.span_id.tolist() == [5, -1]


def test_a_span_that_is_its_own_parent() -> None:
    assert grown(Span(0, 1, 1, 0, 9)).origin.tolist() == [CUT]


def test_an_end_before_its_start_counts_as_the_start() -> None:
    assert grown(Span(0, 1, 0, 10, 3)).end.tolist() == [10]


def test_deep_and_wide() -> None:
    n = MANY
    deep = build_forest(arrays([Span(0, i + 1, i, i, 2 * n - i) for i in range(n)]))
    assert deep.depth.tolist() == list(range(n))
    wide = build_forest(arrays([Span(0, i + 1, min(i, 1), i, i + 1) for i in range(n)]))
    assert wide.size[0] == n
    assert set(wide.depth[1:].tolist()) == {1}


def test_a_chain_that_is_one_great_cycle() -> None:
    n = MANY
    ring = build_forest(arrays([Span(0, i + 1, i or n, 0, 5) for i in range(n)]))
    assert ring.origin[0] == CUT
    assert ring.size[0] == n


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3)), max_size=300))
def test_sort_index_is_a_stable_sort(keys: list[tuple[int, int, int]]) -> None:
    first, second, third = (np.array([key[k] for key in keys], np.int64) for k in range(3))
    index = np.arange(len(keys))
    sort_index(index, first, second, third, np.empty(len(keys), np.int64))
    assert index.tolist() == sorted(range(len(keys)), key=keys.__getitem__)


def test_sort_index_is_stable_across_runs() -> None:
    keys = np.random.default_rng(5).integers(0, 7, (3, 5000))
    index = np.arange(5000)
    sort_index(index, *keys, np.empty(5000, np.int64))
    assert np.array_equal(index, np.lexsort(keys[::-1]))


def test_unsigned_order() -> None:
    values = [0, 1, 2**63 - 1, 2**63, 2**64 - 1]
    keys = unsigned_order(np.array([signed(value) for value in values], np.int64))
    assert keys.tolist() == sorted(keys.tolist())


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), max_size=50))
def test_group_ids_numbers_by_first_appearance(ids: list[tuple[int, int]]) -> None:
    high, low = (np.array([pair[k] for pair in ids], np.int64) for k in range(2))
    codes, count = group_ids(high, low)
    distinct = list(dict.fromkeys(ids))
    assert codes.tolist() == [distinct.index(pair) for pair in ids]
    assert count == len(distinct)
    offsets, rows = rows_by_code(codes, count)
    for code in range(count):
        expected = [row for row, other in enumerate(codes) if other == code]
        assert rows[offsets[code] : offsets[code + 1]].tolist() == expected


def test_group_ids_grows_beyond_its_first_table() -> None:
    half = np.arange(50_000, dtype=np.int64) % 20_000
    for high, low in ((half, -half), (half, half * 0), (half * 0, half)):
        codes, count = group_ids(high, low)
        assert count == 20_000
        assert np.array_equal(codes, half)
