"""Who runs, works and waits when: against the naive twin at every moment, and what must add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import trace_times as naive
from naive.forest import CLIENT, CONSUMER, PRODUCER, SERVER, Span, twin
from naive.spans import arrays, nested_spans, tangled_spans, wide_spans
from support.sizes import sized
from tracescape_native.critical_path import Paths, critical_paths, path_segments
from tracescape_native.forest import Forest, build_forest
from tracescape_native.trace_times import TraceTimes, pieces_of, running_at, trace_times


def analysed(spans: list[Span]) -> tuple[Forest, Paths, TraceTimes]:
    forest = build_forest(arrays(spans))
    paths = critical_paths(forest)
    return forest, paths, trace_times(forest, paths)


SPANS = st.one_of(tangled_spans(), nested_spans())


def moments(times: TraceTimes) -> list[int]:
    edges = np.unique(np.concatenate([times.start, times.end]))
    return sorted({int(edge) + step for edge in edges for step in (-1, 0, 1)})


@given(SPANS)
def test_agrees_with_the_naive_twin_at_every_moment_at_which_something_changes(spans: list[Span]) -> None:
    forest, paths, times = analysed(spans)
    nodes, _ = twin(spans)
    place = {node: i for i, node in enumerate(nodes)}
    expected = {}
    for root in [node for node in nodes if node.parent is None]:
        expected.update(naive.clipped(root))
    for node, ((start, end), blocks) in expected.items():
        i = place[node]
        assert (times.start[i], times.end[i], times.blocks[i]) == (start, end, blocks)
    for at in moments(times):
        running, waits_for = running_at(forest, times, paths, at)
        assert running.tolist() == sorted(place[node] for node in naive.running(expected, at))
        for i, child in zip(running.tolist(), waits_for.tolist(), strict=True):
            awaited = [place[one] for one in naive.awaited(nodes[i], expected, at)]
            assert child in awaited if awaited else child == -1
            on_path = [one for one in awaited if paths.path_start[one] <= at < paths.path_end[one]]
            if on_path:
                assert child in on_path
            elif awaited:
                assert times.end[child] == max(times.end[one] for one in awaited)


@given(SPANS)
def test_pieces_partition_each_span_and_work_adds_up_to_self_time(spans: list[Span]) -> None:
    forest, paths, times = analysed(spans)
    pieces = pieces_of(forest, times)
    worked = np.zeros(len(forest.parent), np.int64)
    at = times.start.copy()
    for span, start, end, waited in zip(*pieces, strict=True):
        assert start == at[span]
        assert start < end
        at[span] = end
        worked[span] += 0 if waited else end - start
    np.testing.assert_array_equal(at, times.end)
    np.testing.assert_array_equal(worked, paths.self_ns)
    assert (np.diff(pieces.span) >= 0).all()
    same = pieces.span[1:] == pieces.span[:-1]
    assert (pieces.waited[1:][same] != pieces.waited[:-1][same]).all(), "work and waiting take turns"


@given(SPANS)
def test_a_piece_waits_exactly_while_a_child_is_waited_for(spans: list[Span]) -> None:
    forest, paths, times = analysed(spans)
    for span, start, end, waited in zip(*pieces_of(forest, times), strict=True):
        for at in {int(start), int(end) - 1}:
            running, waits_for = running_at(forest, times, paths, at)
            assert (waits_for[running == span][0] >= 0) == waited


@given(SPANS)
def test_the_critical_span_runs_at_every_moment_of_the_root(spans: list[Span]) -> None:
    forest, paths, times = analysed(spans)
    for root in np.flatnonzero(forest.parent < 0).tolist():
        segments = path_segments(forest, paths, root)
        for at in moments(times):
            owners = segments.span[(segments.start <= at) & (at < segments.end)]
            assert len(owners) == (times.start[root] <= at < times.end[root])
            assert set(owners.tolist()) <= set(running_at(forest, times, paths, at)[0].tolist())


def test_a_consumer_and_what_outlives_its_parent_are_not_waited_for() -> None:
    spans = [
        Span(0, 1, 0, 0, 100, SERVER),
        Span(0, 2, 1, 10, 30, PRODUCER),
        Span(0, 3, 2, 20, 90, CONSUMER),
        Span(0, 4, 1, 120, 150, CLIENT),
    ]
    forest, paths, times = analysed(spans)
    assert times.blocks.tolist() == [False, True, False, False]
    running, waits_for = running_at(forest, times, paths, 25)
    assert forest.span_id[running].tolist() == [1, 2, 3]
    assert waits_for.tolist() == [1, -1, -1]


def test_of_two_that_run_the_one_on_the_critical_path_is_waited_for() -> None:
    spans = [Span(0, 1, 0, 0, 100), Span(0, 2, 1, 0, 99), Span(0, 3, 1, 10, 100)]
    forest, paths, times = analysed(spans)
    assert forest.span_id[running_at(forest, times, paths, 50)[1][0]] == 3
    assert forest.span_id[running_at(forest, times, paths, 5)[1][0]] == 2


@pytest.mark.parametrize(("critical", "other"), [(2, 3), (3, 2)])
def test_the_critical_child_is_waited_for_though_another_ends_later(critical: int, other: int) -> None:
    last = Span(0, 4, 1, 60, 100)
    spans = [Span(0, 1, 0, 0, 100), Span(0, critical, 1, 0, 55), Span(0, other, 1, 0, 70), last]
    forest, paths, times = analysed(spans)
    assert forest.span_id[running_at(forest, times, paths, 30)[1][0]] == critical
    assert forest.span_id[running_at(forest, times, paths, 57)[1][0]] == other


def test_no_spans() -> None:
    forest, paths, times = analysed([])
    assert [len(column) for column in running_at(forest, times, paths, 0)] == [0, 0]
    assert len(pieces_of(forest, times).span) == 0


@pytest.mark.parametrize("width", [10, sized(20_000)])
def test_wide_traces(width: int) -> None:
    forest, paths, times = analysed(wide_spans(width, width))
    pieces = pieces_of(forest, times)
    lengths = np.bincount(pieces.span, pieces.end - pieces.start, len(forest.parent))
    np.testing.assert_array_equal(lengths.astype(np.int64), times.end - times.start)
    worked = np.bincount(pieces.span, (pieces.end - pieces.start) * ~pieces.waited, len(forest.parent))
    np.testing.assert_array_equal(worked.astype(np.int64), paths.self_ns)
