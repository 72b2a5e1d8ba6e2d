from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive.forest import Node, Span, twin
from naive.slack import Network
from naive.spans import arrays, nested_spans, tangled_spans, wide_spans
from support.sizes import sized
from tracescape_native.critical_path import critical_paths
from tracescape_native.forest import Forest, build_forest
from tracescape_native.slack import NO_LIMIT, leeway, what_if

#: Spans of the deep and the wide; fewer where Python itself runs the kernels.
MANY = sized(100_000)
TREES = st.one_of(nested_spans(), tangled_spans())


def networks(spans: list[Span]) -> list[tuple[Node, Network]]:
    """Every node, in the forest's order, with the network of its root."""
    nodes, _ = twin(spans)
    found: list[tuple[Node, Network]] = []
    for node in nodes:
        found.append((node, Network(node) if node.parent is None else found[-1][1]))
    return found


def check_leeway(spans: list[Span]) -> None:
    found = leeway(build_forest(arrays(spans)))
    for i, (node, network) in enumerate(networks(spans)):
        whole = network.duration(network.root)
        assert whole == network.root.span.duration
        assert found.drag[i] == (0 if network.nobody_waits(node) else whole - network.without(node))
        slack = int(found.slack[i])
        assert (slack == NO_LIMIT) == network.nobody_waits(node)
        if slack != NO_LIMIT:
            assert network.grown(node, slack) == whole
            assert network.grown(node, slack + 1) == whole + 1
        else:
            assert network.grown(node, 10**6) == whole


@given(TREES)
def test_slack_and_drag_are_what_computing_the_trace_anew_gives(spans: list[Span]) -> None:
    check_leeway(spans)


@pytest.mark.parametrize("width", [8, 30])
def test_slack_and_drag_of_many_siblings(width: int) -> None:
    check_leeway(wide_spans(width, width))


@given(TREES, st.sampled_from([1, 1.5, 2, 10, math.inf]), st.data())
def test_what_if_is_what_computing_the_trace_anew_gives(
    spans: list[Span], factor: float, data: st.DataObject
) -> None:
    forest = build_forest(arrays(spans))
    marks = data.draw(st.lists(st.booleans(), min_size=len(forest.rows), max_size=len(forest.rows)))
    found = networks(spans)
    chosen = {node for (node, _), mark in zip(found, marks, strict=True) if mark}
    expected = [network.faster(chosen, factor, node) for node, network in found]
    assert what_if(forest, np.array(marks), factor).tolist() == expected


@given(TREES)
def test_slack_and_drag_agree_with_the_critical_path(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    paths, found = critical_paths(forest, tolerance=0), leeway(forest)
    on_path = paths.path_start < paths.path_end
    assert (found.slack[on_path] == 0).all()
    assert (found.drag[~on_path] == 0).all()
    assert (found.drag >= 0).all()


@given(TREES)
def test_nothing_faster_changes_nothing(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    roots = forest.parent < 0
    for marks, factor in ((np.zeros(len(forest.rows)), 7), (np.ones(len(forest.rows)), 1)):
        assert (what_if(forest, marks, factor) == forest.end - forest.start)[roots].all()


def by_id(forest: Forest, values: np.ndarray) -> dict[int, int]:
    return {int(i): int(value) for i, value in zip(forest.span_id, values, strict=True)}


#: 2 and 3 run side by side, 3 is the longer; then 4. 5 is a part of 2.
FORK_AND_JOIN = [
    Span(0, 1, 0, 0, 100),
    Span(0, 2, 1, 10, 40),
    Span(0, 3, 1, 10, 60),
    Span(0, 4, 1, 70, 90),
    Span(0, 5, 2, 15, 35),
]


def test_fork_and_join() -> None:
    forest = build_forest(arrays(FORK_AND_JOIN))
    found = leeway(forest)
    assert by_id(forest, found.slack) == {1: 0, 2: 20, 3: 0, 4: 0, 5: 20}
    assert by_id(forest, found.drag) == {1: 100, 2: 0, 3: 20, 4: 20, 5: 0}


def test_what_if() -> None:
    forest = build_forest(arrays(FORK_AND_JOIN))

    def root_takes(*ids: int, factor: float) -> int:
        return int(what_if(forest, np.isin(forest.span_id, ids), factor)[0])

    assert root_takes(4, factor=2) == 90
    assert root_takes(3, factor=2) == 80  # 2 is the longer one then
    assert root_takes(2, 5, factor=2) == 100
    assert root_takes(1, factor=math.inf) == 70
    assert root_takes(1, 2, 3, 4, 5, factor=10) == 10


def test_of_two_that_end_together_neither_drags_nor_has_slack() -> None:
    forest = build_forest(arrays([Span(0, 1, 0, 0, 100), Span(0, 2, 1, 10, 90), Span(0, 3, 1, 20, 90)]))
    found = leeway(forest)
    assert by_id(forest, found.slack) == {1: 0, 2: 0, 3: 0}
    assert by_id(forest, found.drag) == {1: 100, 2: 0, 3: 0}


def test_nobody_waits_for_a_consumer() -> None:
    spans = [Span(0, 1, 0, 0, 100, 4), Span(0, 2, 1, 10, 90, 5), Span(0, 3, 2, 20, 80, 1)]
    found = leeway(build_forest(arrays(spans)))
    assert found.slack.tolist() == [0, NO_LIMIT, NO_LIMIT]
    assert found.drag.tolist() == [100, 0, 0]


def test_empty_and_one() -> None:
    forest = build_forest(arrays([]))
    assert leeway(forest).slack.tolist() == what_if(forest, [], 2).tolist() == []
    assert leeway(build_forest(arrays([Span(0, 1, 0, 5, 9)]))).drag.tolist() == [4]


def test_deep_and_wide() -> None:
    n = MANY
    deep = build_forest(arrays([Span(0, i + 1, i, i, 2 * n - i) for i in range(n)]))
    assert leeway(deep).slack.max() == 0
    assert what_if(deep, np.ones(n), 2)[0] == 1  # gaps of 1 round down to 0, the innermost span takes 2
    wide = [Span(0, 1, 0, 0, 2 * n)] + [Span(0, i + 2, 1, 2 * i, 2 * i + 2) for i in range(n)]
    wide += [Span(0, n + 2, 1, 0, 2 * n - 7)]  # beside all but the last three, which wait for it
    drag = by_id(forest := build_forest(arrays(wide)), leeway(forest).drag)
    assert [drag[i + 2] for i in range(n + 1)] == [1] * (n - 3) + [2] * 3 + [0]


@pytest.mark.parametrize("factor", [0, 0.99, -1, math.nan])
def test_faster_means_faster(factor: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        what_if(build_forest(arrays(FORK_AND_JOIN)), np.ones(5), factor)
    with pytest.raises(ValueError, match="one mark for each of 5"):
        what_if(build_forest(arrays(FORK_AND_JOIN)), np.ones(4), 2)
