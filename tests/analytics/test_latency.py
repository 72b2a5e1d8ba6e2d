"""The heat map as a frame: every span in its cell, exactly."""

from collections import Counter
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory_reader import reader, span, trace_bytes
from tracescape_analytics.asking import filter_of
from tracescape_analytics.latency import BOUNDS_NS, MOST_BUCKETS, latency
from tracescape_analytics.steps import DAY_NS, SECOND_NS, step_for

ROWS = [
    span("a", trace="t1", service="web", start=1_000, end=1_100),
    span("b", trace="t2", service="web", start=1_400, end=1_550, status="error"),
    span("c", trace="t3", service="db", start=2_000, end=2_005),
]


def test_a_row_is_a_cell_with_its_slowest_trace() -> None:
    cells = latency(reader(*ROWS), step_ns=1_000)
    assert cells.rows() == [
        (1_000, 2_000, 100, 158, 2, 1, trace_bytes("t2").hex()),
        (2_000, 3_000, 4, 6, 1, 0, trace_bytes("t3").hex()),
    ]
    assert set(cells.schema.values()) == {pl.Int64, pl.String}


def test_a_filter_and_a_window_choose_the_spans() -> None:
    store = reader(*ROWS)
    assert latency(store, filter_of(service="db"))["spans"].to_list() == [1]
    assert latency(store, filter_of("status = error"))["errors"].to_list() == [1]
    assert latency(store, since_ns=1_400, until_ns=2_000)["spans"].sum() == 1
    nothing = latency(store, filter_of(service="other"))
    assert nothing.is_empty() and nothing.schema == latency(store).schema


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ValueError, match="step_ns=0"):
        latency(reader(*ROWS), step_ns=0)
    with pytest.raises(ValueError, match="the window ends"):
        latency(reader(*ROWS), since_ns=2, until_ns=1)


def test_an_empty_store_has_no_cells() -> None:
    assert latency(reader()).is_empty()


@example([(0, 0), (0, 1), (0, 2**62)])
@example([(0, bound + delta) for bound in BOUNDS_NS[:90] for delta in (-1, 0, 1)])
@given(st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 2**62)), min_size=1, max_size=60))
def test_every_span_is_in_its_cell(spans: list[tuple[int, int]]) -> None:
    rows = [span(f"s{i}", start=start, end=start + length) for i, (start, length) in enumerate(spans)]
    cells = latency(reader(*rows))
    step = cells["end_ns"][0] - cells["start_ns"][0]
    assert (cells["end_ns"] - cells["start_ns"]).unique().to_list() == [step]
    starts = [start for start, _ in spans]
    assert max(starts) // step - min(starts) // step < MOST_BUCKETS
    expected = Counter(
        (start // step * step, max(bound for bound in BOUNDS_NS if bound <= max(length, 1)))
        for start, length in spans
    )
    assert {row[:2]: row[2] for row in cells.select("start_ns", "low_ns", "spans").iter_rows()} == expected


def test_bounds_rise_and_hold_every_power_of_ten() -> None:
    assert all(low < high for low, high in pairwise(BOUNDS_NS))
    assert {10**power for power in range(19)} <= set(BOUNDS_NS)
    assert BOUNDS_NS[-1] < 2**63 - 1


@pytest.mark.parametrize(
    ("span_ns", "most", "step"),
    [
        (1, 10, 1),
        (41, 10, 5),
        (480 * SECOND_NS, 59, 10 * SECOND_NS),
        (SECOND_NS * 3_000, 100, 30 * SECOND_NS),
        (100 * DAY_NS, 60, 2 * DAY_NS),
    ],
)
def test_steps_are_those_that_people_choose(span_ns: int, most: int, step: int) -> None:
    assert step_for(span_ns, most) == step
