from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive.critical_path import Walk
from naive.forest import Span, twin
from naive.spans import arrays, nested_spans, tangled_spans, wide_spans
from support.sizes import sized
from tracescape_native.critical_path import Paths, critical_paths, path_segments
from tracescape_native.forest import Forest, build_forest

KINDS = ["unset", "internal", "server", "client", "producer", "consumer"]
CASES = json.loads((Path(__file__).parents[1] / "data" / "critical_path_cases.json").read_text())

#: Spans of the deep and the wide; fewer where Python itself runs the kernels.
MANY = sized(100_000)


def analysed(spans: list[Span], tolerance: float = 0.01) -> tuple[Forest, Paths]:
    forest = build_forest(arrays(spans))
    return forest, critical_paths(forest, tolerance)


def triples(forest: Forest, paths: Paths, root: int) -> list[tuple[int, int, int]]:
    found = path_segments(forest, paths, root)
    return list(zip(found.span.tolist(), found.start.tolist(), found.end.tolist(), strict=True))


def check_against_twin(spans: list[Span], tolerance: float) -> None:
    forest, paths = analysed(spans, tolerance)
    nodes, _ = twin(spans)
    position = {node: i for i, node in enumerate(nodes)}
    for root in np.flatnonzero(forest.parent < 0):
        walk = Walk(nodes[root], tolerance)
        expected = [(position[node], start, end) for node, start, end in walk.segments]
        assert triples(forest, paths, root) == expected
        for node, critical in walk.critical.items():
            i = position[node]
            assert paths.critical_ns[i] == critical
            assert paths.shift[i] == walk.shift[node]
            assert paths.self_ns[i] == walk.self_ns[node]


TOLERANCES = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])


@given(tangled_spans(), TOLERANCES)
def test_agrees_with_the_naive_twin_on_tangles(spans: list[Span], tolerance: float) -> None:
    check_against_twin(spans, tolerance)


@given(nested_spans(), TOLERANCES)
def test_agrees_with_the_naive_twin_on_trees(spans: list[Span], tolerance: float) -> None:
    check_against_twin(spans, tolerance)


@pytest.mark.parametrize("tolerance", [0, 0.01, 0.5])
@pytest.mark.parametrize("width", [10, 24, 26, 100])
def test_agrees_with_the_naive_twin_on_many_siblings(width: int, tolerance: float) -> None:
    check_against_twin(wide_spans(width, width), tolerance)


@given(st.one_of(tangled_spans(), nested_spans()), TOLERANCES)
def test_segments_partition_every_root(spans: list[Span], tolerance: float) -> None:
    forest, paths = analysed(spans, tolerance)
    for root in np.flatnonzero(forest.parent < 0):
        segments = triples(forest, paths, root)
        cursor = forest.start[root]
        for _, start, end in segments:
            assert start == cursor < end
            cursor = end
        assert cursor == forest.end[root]
        tree = slice(root, root + forest.size[root])
        assert paths.critical_ns[tree].sum() == forest.end[root] - forest.start[root]
    duration = forest.end - forest.start
    assert ((paths.self_ns >= 0) & (paths.self_ns <= duration)).all()
    assert ((paths.critical_ns >= 0) & (paths.critical_ns <= duration)).all()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_agrees_with_published_cases(case: dict) -> None:
    names = [span["id"] for span in case["spans"]]
    spans = [
        Span(
            0,
            names.index(span["id"]) + 1,
            names.index(span["parent"]) + 1 if span["parent"] else 0,
            span["start"],
            span["end"],
            KINDS.index(span["kind"]),
        )
        for span in case["spans"]
    ]
    forest, paths = analysed(spans, tolerance=0)
    name = [names[span_id - 1] for span_id in forest.span_id]
    if "sections" in case:
        expected = sorted((s["start"], s["end"], s["span"]) for s in case["sections"])
        assert [(start, end, name[i]) for i, start, end in triples(forest, paths, 0)] == expected
    else:
        exclusive = {name[i]: int(ns) for i, ns in enumerate(paths.critical_ns) if ns}
        assert exclusive == case["exclusive"]


def own(paths: Paths, forest: Forest) -> dict[int, int]:
    return {int(i): int(ns) for i, ns in zip(forest.span_id, paths.critical_ns, strict=True)}


def test_one_and_zero_length() -> None:
    forest, paths = analysed([Span(0, 1, 0, 5, 5), Span(0, 2, 1, 5, 5)])
    assert paths.critical_ns.tolist() == [0, 0]
    assert triples(forest, paths, 0) == []


def test_identical_children_leave_the_tie_to_the_smaller_unsigned_id() -> None:
    forest, paths = analysed([Span(0, 1, 0, 0, 100), Span(0, 2**64 - 1, 1, 10, 90), Span(0, 7, 1, 10, 90)])
    assert own(paths, forest) == {1: 20, 7: 80, -1: 0}


def test_children_that_clipping_makes_identical_are_a_tie_too() -> None:
    forest, paths = analysed([Span(0, 1, 0, 10, 100), Span(0, 9, 1, 0, 50), Span(0, 3, 1, 5, 50)])
    assert own(paths, forest) == {1: 50, 9: 0, 3: 40}


def test_of_equal_ends_the_later_start_is_taken() -> None:
    forest, paths = analysed([Span(0, 1, 0, 0, 100), Span(0, 2, 1, 10, 90), Span(0, 3, 1, 50, 90)])
    assert own(paths, forest) == {1: 60, 2: 0, 3: 40}


def test_back_to_back_children_are_both_taken() -> None:
    forest, paths = analysed([Span(0, 1, 0, 0, 100), Span(0, 2, 1, 0, 50), Span(0, 3, 1, 50, 100)])
    assert own(paths, forest) == {1: 0, 2: 50, 3: 50}


def test_swapped_parent_and_child_are_two_ways_to_say_the_same() -> None:
    forest, paths = analysed([Span(0, 1, 2, 0, 100), Span(0, 2, 0, 10, 20)])
    assert own(paths, forest) == {2: 0, 1: 10}


def test_tolerance_lets_a_small_overlap_pass_and_clips_what_is_below() -> None:
    spans = [
        Span(0, 1, 0, 0, 1000),
        Span(0, 2, 1, 500, 900),
        Span(0, 3, 1, 100, 510),
        Span(0, 4, 3, 400, 510),
    ]
    forest, paths = analysed(spans, tolerance=0.01)
    assert own(paths, forest) == {1: 200, 2: 400, 3: 300, 4: 100}
    forest, paths = analysed(spans, tolerance=0)
    assert own(paths, forest) == {1: 600, 2: 400, 3: 0, 4: 0}
    spans[2] = Span(0, 3, 1, 100, 511)
    forest, paths = analysed(spans, tolerance=0.01)
    assert own(paths, forest)[3] == 0


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, float("nan")])
def test_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(ValueError, match="share"):
        analysed([Span(0, 1, 0, 0, 1)], tolerance)


def test_a_server_on_another_clock_is_shifted_with_all_below() -> None:
    spans = [
        Span(0, 1, 0, 0, 100, kind=3, resource=1),
        Span(0, 2, 1, -500, -440, kind=2, resource=2),
        Span(0, 3, 2, -490, -470, kind=1, resource=2),
    ]
    forest, paths = analysed(spans)
    assert paths.shift.tolist() == [0, 500, 500]
    assert own(paths, forest) == {1: 40, 2: 40, 3: 20}


def test_a_server_as_long_as_its_client_is_shifted_onto_it() -> None:
    spans = [Span(0, 1, 0, 0, 100, kind=3, resource=1), Span(0, 2, 1, 7, 107, kind=2, resource=2)]
    assert analysed(spans)[1].shift.tolist() == [0, -7]


def test_self_time_of_siblings_that_a_shift_puts_into_another_order() -> None:
    spans = [
        Span(0, 1, 0, 0, 100, kind=3, resource=1),
        Span(0, 2, 1, 80, 85, kind=1, resource=1),
        Span(0, 3, 1, 90, 120, kind=2, resource=2),  # 70 to 100 by the client's clock
    ]
    assert analysed(spans)[1].self_ns.tolist() == [70, 5, 30]


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ({"kind": 3, "resource": 1}, {"kind": 2, "resource": 1}),  # one clock
        ({"kind": 0, "resource": 1}, {"kind": 0, "resource": 2}),  # no kinds
        ({"kind": 2, "resource": 1}, {"kind": 2, "resource": 2}),
        ({"kind": 3, "resource": 1}, {"kind": 1, "resource": 2}),
        ({"kind": 3, "resource": 1}, {"kind": 2, "resource": 2, "end": 211}),  # longer than its client
    ],
)
def test_nothing_else_is_shifted(client: dict[str, int], server: dict[str, int]) -> None:
    spans = [Span(0, 1, 0, 0, 100, **client), Span(0, 2, 1, 110, **{"end": 120, **server})]
    _, paths = analysed(spans)
    assert paths.shift.tolist() == [0, 0]


def test_a_consumer_does_not_block_its_producer_but_any_other_parent() -> None:
    def with_parent_kind(kind: int) -> dict[int, int]:
        spans = [Span(0, 1, 0, 0, 100, kind), Span(0, 2, 1, 10, 90, 5), Span(0, 3, 2, 20, 80, 1)]
        forest, paths = analysed(spans)
        return own(paths, forest)

    assert with_parent_kind(4) == {1: 100, 2: 0, 3: 0}
    assert with_parent_kind(1) == {1: 20, 2: 20, 3: 60}


def test_self_time_counts_overlapping_children_once() -> None:
    _, paths = analysed([Span(0, 1, 0, 0, 100), Span(0, 2, 1, 10, 60), Span(0, 3, 1, 40, 120)])
    assert paths.self_ns.tolist() == [10, 50, 60]


def test_deep() -> None:
    n = MANY
    forest, paths = analysed([Span(0, i + 1, i, i, 2 * n - i) for i in range(n)])
    assert paths.critical_ns.tolist() == [2] * n
    assert len(triples(forest, paths, 0)) == 2 * n - 1


def test_wide() -> None:
    n = MANY
    spans = [Span(0, 1, 0, 0, n)] + [Span(0, i + 2, 1, i, i + 1) for i in range(n)]
    forest, paths = analysed(spans)
    assert paths.critical_ns.tolist() == [0] + [1] * n
    assert paths.self_ns[0] == 0
    assert len(triples(forest, paths, 0)) == n


def test_absurd_times_do_not_crash() -> None:
    far = 2**63 - 1
    spans = [Span(0, 1, 0, -far, far, 3), Span(0, 2, 1, far, far, 2, 1), Span(0, 3, 2, -far, -far, 1)]
    analysed(spans)


def test_segments_are_those_of_roots() -> None:
    forest, paths = analysed([Span(0, 1, 0, 0, 9), Span(0, 2, 1, 1, 2)])
    for position in (-1, 1, 2):
        with pytest.raises(ValueError, match="root"):
            path_segments(forest, paths, position)
