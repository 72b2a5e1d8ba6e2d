"""The timeline as data: where its lines and marks are, which moment a spot is, and what is told there."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_render.strip import (
    LINE_SCHEMA,
    MARK_SCHEMA,
    Line,
    lanes_of,
    moment_of,
    spot_at,
    spots_of,
    ticks_of,
    told_at,
)

SECOND, MINUTE = 1_000_000_000, 60_000_000_000
BEGIN = 1_760_000_000 * SECOND // MINUTE * MINUTE


def row(step: int, service: str | None, calls: int, errors: int, p95: int | None) -> dict[str, object]:
    return {
        "start_ns": BEGIN + step * MINUTE,
        "end_ns": BEGIN + (step + 1) * MINUTE,
        "service": service,
        "calls": calls,
        "errors": errors,
        "rate_per_s": calls / 60,
        "error_rate": errors / calls if calls else None,
        "p95_ns": p95,
    }


def mark(kind: str, start: float, end: float | None, text: str = "why") -> dict[str, object]:
    ends = None if end is None else BEGIN + round(end * MINUTE)
    begins = BEGIN + round(start * MINUTE)
    shows = "ab" * 16 if kind == "change" else None
    return {
        "kind": kind,
        "start_ns": begins,
        "end_ns": ends,
        "service": "cart",
        "text": text,
        "trace_id": shows,
    }


def line(*marks: dict[str, object]) -> Line:
    whole = [row(0, None, 60, 0, 10), row(1, None, 0, 0, None), row(2, None, 120, 30, 40)]
    chosen = [row(i, "cart", 30, 3, 80) for i in range(3)]
    return Line(
        BEGIN,
        BEGIN + 3 * MINUTE,
        (BEGIN, BEGIN + 3 * MINUTE),
        pl.DataFrame(whole + chosen, schema=LINE_SCHEMA),
        pl.DataFrame(list(marks), schema=MARK_SCHEMA) if marks else None,
        "cart",
    )


def test_lines_are_drawn_to_the_largest_value_of_the_whole_and_the_selected() -> None:
    rates, errors, slow = lanes_of(line())
    assert [lane.name for lane in (rates, errors, slow)] == ["rate", "errors", "p95"]
    np.testing.assert_allclose(rates.whole.x, [1 / 6, 3 / 6, 5 / 6])
    np.testing.assert_allclose(rates.whole.y, [0.5, 0.0, 1.0])
    assert rates.selected is not None
    np.testing.assert_allclose(rates.selected.y, [0.25] * 3)
    np.testing.assert_allclose(errors.whole.y, [0.0, np.nan, 1.0])
    np.testing.assert_allclose(slow.whole.y, [10 / 80, np.nan, 0.5])
    assert (rates.top, errors.top, slow.top) == ("2/s", "25 %", "80 ns")


def test_without_a_selected_service_there_is_one_line_each() -> None:
    alone = line().steps.filter(pl.col("service").is_null())
    assert all(lane.selected is None for lane in lanes_of(dataclasses.replace(line(), steps=alone)))


def test_marks_stand_where_they_were_and_bands_are_under_moments() -> None:
    drawn = spots_of(
        line(mark("deployment", 1.5, None), mark("change", 1.0, 2.0), mark("absence", 2.5, None))
    )
    assert [spot.kind for spot in drawn] == ["change", "absence", "deployment"]
    np.testing.assert_allclose([spot.begin for spot in drawn], [1 / 3, 2.5 / 3, 0.5])
    np.testing.assert_allclose([spot.end for spot in drawn], [2 / 3, 1.0, 0.5])  # an absence lasts until now


def test_marks_outside_of_what_is_shown_are_left_out_and_others_cut() -> None:
    near = dataclasses.replace(
        line(mark("change", 0.2, 0.8), mark("change", 0.5, 1.5), mark("deployment", 2.5, None)),
        since_ns=BEGIN + MINUTE,
        until_ns=BEGIN + 2 * MINUTE,
    )
    (left,) = spots_of(near)
    assert (left.begin, left.end) == (0.0, 0.5)


def test_what_is_told_of_a_spot_are_its_numbers_and_its_marks() -> None:
    shown = line(mark("change", 2.2, 2.6, "payment is slow"))
    told = told_at(shown, spots_of(shown), 0.8)
    assert "everything   2/s   25 % errors   p95 40 ns" in told
    assert "cart   30/min   10 % errors   p95 80 ns" in told
    assert "change" in told
    assert "payment is slow" in told
    quiet = told_at(shown, spots_of(shown), 0.4)
    assert "everything   no calls" in quiet
    assert "payment" not in quiet


def test_an_empty_store_has_a_line_on_which_nothing_is() -> None:
    empty = Line()
    assert empty.empty
    assert spots_of(empty) == []
    assert ticks_of(empty, 9) == []
    assert told_at(empty, [], 0.5) == ""
    assert all(not len(lane.whole.x) for lane in lanes_of(empty))


@pytest.mark.parametrize("minutes", [1 / 6, 3, 61, 3_000, 400_000])
def test_times_are_round_in_order_and_no_more_than_fit(minutes: float) -> None:
    shown = dataclasses.replace(line(), until_ns=BEGIN + round(minutes * MINUTE))
    ticks = ticks_of(shown, 8)
    shares = [share for share, _ in ticks]
    assert 1 <= len(ticks) <= 9
    assert shares == sorted(shares)
    assert all(0.0 <= share < 1.0 for share in shares)


@given(st.floats(0, 1), st.floats(0.01, 100))
def test_zooming_stays_within_what_is_stored_and_keeps_the_spot(share: float, factor: float) -> None:
    shown = line()
    since, until = shown.zoomed(share, factor)
    assert BEGIN <= since < until <= BEGIN + 3 * MINUTE
    assert until - since >= 20 * SECOND
    if factor < 1:
        before, after = shown.moment_at(share), since + share * (until - since)
        assert abs(before - after) < 1e-6 * MINUTE


@given(st.floats(-2, 5))
def test_a_moment_is_asked_for_in_whole_minutes_and_the_last_one_is_not_cut_off(minutes: float) -> None:
    stored = (BEGIN + 7 * SECOND, BEGIN + 3 * MINUTE - 5 * SECOND)
    found = dataclasses.replace(line(), stored_ns=stored).snapped(BEGIN + minutes * MINUTE)
    assert stored[0] <= found <= stored[1]
    assert found in stored or found % MINUTE == 0


def test_a_mark_leads_to_a_moment_at_which_it_has_been_for_as_long_as_one_looks_back() -> None:
    marks = mark("deployment", 1.0, None), mark("change", 0.5, 2.5), mark("absence", 0.2, None)
    found = line(*marks, mark("gap", 2.0, 2.5))
    deployment, change, absence, gap = (
        next(spot for spot in spots_of(found) if spot.kind == kind)
        for kind in ("deployment", "change", "absence", "gap")
    )
    assert moment_of(found, deployment) == BEGIN + 2 * MINUTE
    assert moment_of(found, change) == BEGIN + round(2.5 * MINUTE), "all of it is over"
    assert moment_of(found, absence) == found.stored_ns[1], "it lasts"
    assert moment_of(found, gap) == BEGIN + 2 * MINUTE
    assert (change.service, change.trace_id, deployment.trace_id) == ("cart", "ab" * 16, "")
    day = dataclasses.replace(found, stored_ns=(BEGIN, BEGIN + 90 * MINUTE), until_ns=BEGIN + 90 * MINUTE)
    lasting = spots_of(dataclasses.replace(day, marks=pl.DataFrame([mark("change", 10, 40)], MARK_SCHEMA)))
    assert moment_of(day, lasting[0]) == BEGIN + 15 * MINUTE
    assert spot_at(spots_of(found), 1 / 3) == deployment, "the shortest of those that are there"
    assert spot_at(lasting, 0.9) is None
