"""A trace from inside, as arrays: bodies are spans at their times, crowds lose nobody, pixels find them."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vtkmodules.vtkRenderingCore import vtkRenderer

from memory_reader import KINDS, span, span_number, span_table, trace_bytes
from naive.forest import Span
from naive.spans import nested_spans, tangled_spans
from support.cameras import projection
from support.sizes import sized
from support.walls import Row, answer, trace, wall, walled
from tracescape_analytics.trace_pairs import CHANGES
from tracescape_render.camera import to_screen
from tracescape_render.inside import shapes
from tracescape_render.inside.bodies import COLUMNS, Bodies, bodies
from tracescape_render.inside.reach import EASY_LANES, Reach, around
from tracescape_render.inside.room import (
    LEAN,
    WIDTH,
    WORKING,
    body_under,
    kept_in_front,
    overview,
    pin_under,
    place_at,
    ray,
    room_for,
)
from tracescape_render.inside.stage import whole_of
from tracescape_render.inside.standing import ERRORS, EVENTS, GAP, LOGS, WARNINGS, Pieces, Standing, standing
from tracescape_render.inside.told import (
    body_words,
    caption,
    change_words,
    note_words,
    pin_words,
    span_words,
    spans_in,
    told_changes,
)
from tracescape_render.inside.writing import Writing, ticks_of
from tracescape_render.palette import ABSENT, DARK, FAILING

SIZE = (1280, 760)
HOSTILE = "<b>\x1b[31m\u202e" + "x" * 500

ROWS: list[Row] = [
    span("A", service="web", operation="GET /", kind="server", start=100, end=200),
    span("B", "A", service="web", operation="call pay", kind="client", start=110, end=180),
    span("C", "B", service="pay", operation="charge", kind="server", start=120, end=170, status="error"),
    span("D", "A", service="web", operation="log", start=150, end=195),
]


def all_of(found: Standing, **sizes: int) -> Bodies:
    return bodies(found, whole_of(found), **sizes)


def exact(found: Standing, drawn: Bodies, span_row: int) -> tuple[float, float]:
    (body,) = np.flatnonzero(drawn.span == span_row)
    reach = drawn.reach
    return tuple(reach.first + edge * reach.length for edge in (drawn.left[body], drawn.right[body]))


def test_each_span_is_a_body_at_its_times_on_its_lane() -> None:
    found = walled(*ROWS)
    drawn = all_of(found)
    assert sorted(drawn.span.tolist()) == [0, 1, 2, 3]
    for row, (start, end) in enumerate([(0, 100), (10, 80), (20, 70), (50, 95)]):
        assert exact(found, drawn, row) == (pytest.approx(start), pytest.approx(end))
    assert drawn.row.tolist() == [0, 1, 2, 3]
    assert drawn.ill[drawn.span == 2].tolist() == [True]
    assert drawn.span[drawn.critical].tolist() == [0, 3]


def test_what_is_drawn_as_work_is_what_spans_worked() -> None:
    found = walled(*ROWS)
    drawn = all_of(found)
    worked = np.zeros(4)
    for left, right, body in zip(drawn.work.left, drawn.work.right, drawn.work.body, strict=True):
        worked[drawn.span[body]] += (right - left) * drawn.reach.length
    assert worked == pytest.approx(found.self_ns)


def test_the_lit_pieces_add_up_to_the_request_and_steps_join_them() -> None:
    found = walled(*ROWS)
    drawn = all_of(found)
    assert (drawn.lit.right - drawn.lit.left).sum() * drawn.reach.length == pytest.approx(100)
    at = drawn.reach.first + drawn.steps[:, 0] * drawn.reach.length
    assert at == pytest.approx([50, 95])
    assert drawn.steps[:, 1:].tolist() == [[0, 3], [0, 3]]


def row_of(made: Span) -> Row:
    names = {i: f"i{i % 1_000}" for i in (made.id, made.parent)}
    return span(
        names[made.id],
        None if made.parent == 0 else names[made.parent],
        service=f"s{made.resource}",
        start=made.start,
        end=made.end,
        kind=KINDS[made.kind],
        status="error" if made.content == 1 else "unset",
    )


@given(
    st.one_of(tangled_spans(), nested_spans()),
    st.integers(1, 6),
    st.integers(1, 9),
    st.floats(0, 0.9),
    st.floats(0.05, 1),
)
def test_nobody_is_lost_however_coarse_it_is(
    spans: list[Span], rows: int, columns: int, begin: float, part: float
) -> None:
    """The naive twin: each span that reaches into the range is counted once, where it stands."""
    found = walled(*(row_of(made) for made in spans if not made.trace))
    whole = whole_of(found)
    first = whole.first + begin * whole.length
    reach = Reach(first, min(first + part * whole.length, whole.last), whole.low, whole.high)
    drawn = bodies(found, reach, rows, columns)
    inside = [
        i for i in range(len(found.start)) if found.end[i] >= reach.first and found.start[i] <= reach.last
    ]
    assert drawn.spans == drawn.count.sum() == len(inside)
    assert drawn.failed.sum() == sum(found.failed[inside])
    assert len(drawn.row) <= len(inside) + rows * columns
    for i in inside:
        body = drawn.body_of(found, i)
        assert body is not None
        assert drawn.row[body] == found.lane[i] // drawn.lanes_a_row
        assert i in spans_in(found, drawn, body) or drawn.span[body] >= 0
    order = np.lexsort((drawn.left, drawn.row))
    assert order.tolist() == list(range(len(order)))
    assert set(drawn.span[drawn.span >= 0].tolist()) <= set(inside)
    assert (drawn.left <= drawn.right).all() and (drawn.left >= 0).all() and (drawn.right <= 1).all()
    for strips in (drawn.work, drawn.lit):
        assert (strips.left <= strips.right).all()
        assert (strips.body >= 0).all()


class Naive:
    """Cells span by span, as the words of `bodies` have it."""

    def __init__(self, found: Standing, reach: Reach, rows: int, columns: int) -> None:
        self.found, self.reach, self.columns = found, reach, columns
        self.per_row = max(-(-reach.lanes // rows), 1)
        self.merged: dict[tuple[int, int], list[int]] = {}
        self.begins: dict[tuple[int, int], list[int]] = {}
        self.alone: set[int] = set()
        for span_row in range(len(found.start)):
            start, end = float(found.start[span_row]), float(found.end[span_row])
            if end < reach.first or start > reach.last:
                continue
            left, right = self.share(start), self.share(end)
            if self.per_row == 1 and right - left >= 1.0 / columns:
                self.alone.add(span_row)
                continue
            row = int(found.lane[span_row]) // self.per_row
            first, last = self.cells(left, right)
            self.begins.setdefault((row, first), []).append(span_row)
            for cell in range(first, last):
                self.merged.setdefault((row, cell), []).append(span_row)

    def share(self, at: float) -> float:
        return min(max((at - self.reach.first) / self.reach.length, 0.0), 1.0)

    def cells(self, left: float, right: float) -> tuple[int, int]:
        first = min(int(left * self.columns), self.columns - 1)
        return first, max(min(math.ceil(right * self.columns - 1e-9), self.columns), first + 1)

    def filled(self, pieces: Pieces) -> dict[tuple[int, int], float]:
        """How much of each cell pieces of spans fill that are not drawn as they are."""
        share: dict[tuple[int, int], float] = {}
        for span_row, start, end in zip(*(each.tolist() for each in pieces), strict=True):
            left, right = self.share(start) * self.columns, self.share(end) * self.columns
            if span_row in self.alone and right - left >= 1.0:
                continue
            for cell in range(self.columns):
                part = min(right, cell + 1) - max(left, cell)
                if part > 1e-9:
                    at = (int(self.found.lane[span_row]) // self.per_row, cell)
                    share[at] = share.get(at, 0.0) + part
        return share


@given(
    st.one_of(tangled_spans(), nested_spans()),
    st.integers(1, 6),
    st.integers(1, 9),
    st.integers(0, 10),
    st.integers(1, 24),
)
def test_crowds_are_what_their_cells_say(
    spans: list[Span], rows: int, columns: int, begin: int, length: int
) -> None:
    found = walled(*(row_of(made) for made in spans if not made.trace))
    first = min(found.first_ns + begin, found.last_ns - 1)
    reach = Reach(float(first), float(first + length), 0, found.lanes)
    drawn, naive = bodies(found, reach, rows, columns), Naive(found, reach, rows, columns)
    assert naive.alone <= set(drawn.span.tolist())
    covered: set[tuple[int, int]] = set()
    for body in range(len(drawn.row)):
        span_row, row = int(drawn.span[body]), int(drawn.row[body])
        if span_row in naive.alone:
            continue
        if span_row >= 0:  # a crowd of one: nobody else is in its cells
            cells = range(*naive.cells(float(drawn.left[body]), float(drawn.right[body])))
            assert [naive.merged[row, cell] for cell in cells] == [[span_row]] * len(cells)
        else:
            cells = range(round(drawn.left[body] * columns), round(drawn.right[body] * columns))
        assert 0 <= cells.start < cells.stop <= columns
        assert not covered & {(row, cell) for cell in cells}
        covered |= {(row, cell) for cell in cells}
        begun = [each for cell in cells for each in naive.begins.get((row, cell), [])]
        assert (drawn.count[body], drawn.failed[body]) == (len(begun), sum(found.failed[begun]))
        for cell in cells:
            there = naive.merged[row, cell]
            slots = np.bincount(found.slot[there])
            assert drawn.slot[body] == int(np.argmax(slots))
            assert drawn.ill[body] == any(found.failed[there])
            assert drawn.critical[body] == any(found.critical[there])
            assert drawn.void[body] == any(found.void[there])
    assert covered == set(naive.merged)
    for strips, pieces, least in ((drawn.work, found.work, 0.5), (drawn.lit, found.lit, 1e-9)):
        touched, whole = set(), set()
        for row, left, right in zip(
            strips.row.tolist(), strips.left * columns, strips.right * columns, strict=True
        ):
            touched |= {(row, cell) for cell in range(math.floor(left + 1e-9), math.ceil(right - 1e-9))}
            if abs(left - round(left)) < 1e-9 and abs(right - round(right)) < 1e-9:  # not a piece as it is
                whole |= {(row, cell) for cell in range(round(left), round(right))}
        share = naive.filled(pieces)
        sure = {at for at, part in share.items() if part >= least + 1e-6}
        assert sure <= touched
        if not naive.alone:
            assert whole <= {at for at, part in share.items() if part >= least - 1e-6}


def test_spans_that_are_too_close_are_a_crowd_that_says_how_many() -> None:
    many = [span(f"c{i}", "A", service="db", operation=f"q{i % 3}", start=10 + i, end=11 + i,
                 status="error" if i == 7 else "unset") for i in range(50)]  # fmt: skip
    found = walled(span("A", service="web", start=0, end=10_000), *many)
    drawn = all_of(found, columns=100)
    (crowd,) = np.flatnonzero(drawn.span < 0)
    assert (drawn.count[crowd], drawn.failed[crowd], drawn.crowded) == (50, 1, 50)
    told = body_words(found, drawn, int(crowd)).splitlines()
    assert told[0] == "50 spans begin here, too close to be drawn one by one"
    assert told[1:4] == ["17 × db q0", "17 × db q1", "16 × db q2"]
    assert "✕ 1 with errors" in told
    assert "50 of 51 spans are drawn as crowds" in caption(found, drawn, whole=True)
    near = bodies(found, around(10, 60, 1, whole_of(found)))
    assert near.crowded == 0
    assert len(near.span) == 51


def test_work_that_is_too_short_to_be_seen_is_seen_where_it_fills_half_a_cell() -> None:
    calls = [
        span(f"c{i}", "A", start=1_000 + 20 * i, end=1_000 + 20 * i + (2 if i < 200 else 18))
        for i in range(400)
    ]
    found = walled(span("A", start=0, end=10_000), *calls)
    drawn = all_of(found, columns=100)
    mine = drawn.work.body == np.flatnonzero(drawn.span == 0)[0]
    ends = sorted(zip(drawn.work.left[mine], drawn.work.right[mine], strict=True))
    covered = sum(right - left for left, right in ends) * drawn.reach.length
    assert ends[0][0] == 0.0
    assert covered == pytest.approx(
        10_000 - 200 * 20, rel=0.02
    )  # works in the first half, waits in the second


def test_lanes_share_rows_where_there_are_very_many() -> None:
    found = walled(span("A", start=0, end=1_000), *(span(f"c{i}", "A", start=0, end=900) for i in range(200)))
    drawn = all_of(found)
    assert (found.lanes, drawn.lanes_a_row, drawn.rows) == (201, 3, 67)
    assert drawn.count.sum() == 201
    near = bodies(found, Reach(drawn.reach.first, drawn.reach.last, 50, 60))
    assert near.lanes_a_row == 1
    assert sorted(found.lane[near.span].tolist()) == list(range(50, 60))


def test_a_missing_parent_is_a_void_and_is_told_as_such() -> None:
    found = walled(*ROWS, span("X", "gone", service="old", start=120, end=150))
    drawn = all_of(found)
    (void,) = np.flatnonzero(drawn.void)
    row = int(drawn.span[void])
    assert exact(found, drawn, row) == (pytest.approx(20), pytest.approx(50))
    assert span_words(found, row).splitlines()[0] == f"missing span {span_number('gone'):016x}"
    assert "lost, or pruned" in span_words(found, row)
    colours = shapes.body_colours(drawn, DARK)
    assert colours[void].tolist() == list(DARK.states[ABSENT])
    hatched = shapes.frames(drawn, room_for(drawn), np.array([void]), hatched=True)
    assert hatched.n_lines > shapes.frames(drawn, room_for(drawn), np.array([void])).n_lines


def test_who_failed_is_red_and_has_a_cross_at_its_end() -> None:
    found = walled(*ROWS)
    drawn = all_of(found)
    room = room_for(drawn)
    colours = shapes.body_colours(drawn, DARK)
    (ill,) = np.flatnonzero(drawn.span == 2)
    assert colours[ill].tolist() == list(DARK.states[FAILING])
    ((x, _, z, _),) = shapes.crosses(drawn, room)
    assert x == pytest.approx(room.x(drawn.right[ill]))
    assert room.z(drawn.row[ill]) < z < room.z(drawn.row[ill]) + WORKING * room.pitch


def test_who_works_is_higher_than_who_waits() -> None:
    found = walled(*ROWS)
    drawn = all_of(found)
    room, colours = room_for(drawn), shapes.body_colours(drawn, DARK)
    waits, works = (
        shapes.waiting_boxes(drawn, room, colours, DARK),
        shapes.working_boxes(drawn, room, colours),
    )
    assert ((works.high - works.low)[:, 2] > 2 * (waits.high - waits.low)[:, 2].max()).all()
    assert len(waits.low) == len(drawn.span)
    assert len(works.low) == len(drawn.work.row)


def test_a_pixel_finds_its_span_its_place_and_its_note() -> None:
    notes = {"events": [{"span_id": f"{span_number('C'):016x}", "time_ns": 165, "name": "exception"}]}
    found = walled(*ROWS, notes=notes)
    drawn = all_of(found)
    room = room_for(drawn, (ERRORS,))
    matrix = projection(overview(room, SIZE[0] / SIZE[1]), SIZE)
    for body in range(len(drawn.span)):
        for share in (0.01, 0.5, 0.99):
            at = drawn.left[body] + share * (drawn.right[body] - drawn.left[body])
            point = [room.x(at), room.y(drawn.row[body]), room.z(drawn.row[body]) + 0.1 * room.pitch]
            xy, _ = to_screen(np.array([point], np.float32), matrix, SIZE)
            sight = ray(matrix, SIZE, tuple(xy[0]))
            assert body_under(drawn, room, sight, 0.05) == body
            where, row = place_at(room, sight)
            assert where == pytest.approx(at, abs=0.005)
            assert int(row) == drawn.row[body]
    gap = [0.0, room.y(np.int64(1)), room.z(np.int64(0)) + 0.8 * room.pitch]  # over a row, before the next
    xy, _ = to_screen(np.array([gap], np.float32), matrix, SIZE)
    assert body_under(drawn, room, ray(matrix, SIZE, tuple(xy[0])), 0.05) is None
    y, z = room.strip(ERRORS)
    xy, _ = to_screen(np.array([[room.x(drawn.pins.at[0]), y, z]], np.float32), matrix, SIZE)
    sight = ray(matrix, SIZE, tuple(xy[0]))
    assert body_under(drawn, room, sight, 0.05) is None
    assert pin_under(drawn, room, sight, 0.05) == 0
    assert pin_words(found, drawn, 0).splitlines() == ["exception", "event at 65 ns", "of pay charge"]
    sky = ray(matrix, SIZE, (3.0, SIZE[1] - 3.0))
    assert body_under(drawn, room, sky, 0.05) is None and pin_under(drawn, room, sky, 0.05) is None


@pytest.mark.parametrize("size", [(1280, 760), (700, 900), (2400, 500)])
def test_the_overview_holds_the_wall_and_its_board(size: tuple[int, int]) -> None:
    found = walled(*ROWS)
    room = room_for(all_of(found), (0, 1, 2, 3))
    ends = np.array(
        [(x, *yz) for x in (-24.0, 24.0) for yz in (room.bottom, (0, 0), (room.top * 0.5, room.top))]
    )
    xy, w = to_screen(ends.astype(np.float32), projection(overview(room, size[0] / size[1]), size), size)
    assert (w > 0).all()
    assert ((xy > 0) & (xy < np.array(size))).all()


@pytest.mark.parametrize("height", [420, 611, 720, 1080])
def test_what_is_written_above_a_wall_covers_none_of_it(height: int) -> None:
    room, size = room_for(all_of(walled(*ROWS)), titled=True), (1280, height)
    tops = np.array([[x, room.top * LEAN, room.top] for x in (-0.5 * WIDTH, 0.5 * WIDTH)], np.float32)
    xy, _ = to_screen(tops, projection(overview(room, size[0] / size[1], height), size), size)
    assert (xy[:, 1] <= height - min(96, 0.25 * height)).all()


def test_nobody_looks_at_a_wall_from_behind() -> None:
    view = overview(room_for(all_of(walled(*ROWS))), 1.6)
    assert np.allclose(kept_in_front(view).position, view.position)
    behind = view._replace(position=(0.0, 60.0, -20.0))
    _, y, z = kept_in_front(behind).position
    assert y < view.focus[1] and z >= view.focus[2] - 1e-6


def test_notes_hang_at_their_times_by_how_urgent_they_are() -> None:
    c = f"{span_number('C'):016x}"
    notes: dict[str, list[Row]] = {
        "events": [
            {"span_id": c, "time_ns": 130, "name": "retry"},
            {"span_id": c, "time_ns": 160, "name": "exception"},
        ],
        "logs": [
            {"span_id": c, "time_ns": 140, "body": "slow", "severity": "warn"},
            {"span_id": c, "time_ns": 150, "body": "done", "severity": "info"},
            {"span_id": "", "time_ns": 155, "body": HOSTILE, "severity": "error"},
        ],
    }
    found = walled(*ROWS, notes=notes)
    drawn = all_of(found)
    told = dict(zip(found.notes.time.tolist(), found.notes.level.tolist(), strict=True))
    assert told == {30: EVENTS, 40: WARNINGS, 50: LOGS, 55: ERRORS, 60: ERRORS}
    at = drawn.reach.first + drawn.pins.at * drawn.reach.length
    assert sorted(at.tolist()) == pytest.approx([30, 40, 50, 55, 60])
    assert found.notes.span.tolist() == [2, 2, 2, -1, 2]
    words = note_words(found, 3)
    assert (
        "of no span that is stored" in words
        and "\x1b" not in words
        and max(map(len, words.splitlines())) < 320
    )
    assert "event at 60 ns: exception" in span_words(found, 2)


def test_notes_at_one_place_are_one_pin_that_counts_them() -> None:
    c = f"{span_number('C'):016x}"
    notes: dict[str, list[Row]] = {
        "logs": [{"span_id": c, "time_ns": 150, "body": f"n{i}"} for i in range(300)]
    }
    found = walled(*ROWS, notes=notes)
    drawn = all_of(found)
    assert drawn.pins.number.tolist() == [300]
    assert pin_words(found, drawn, 0).startswith("300 logs here; the first:\nn0\n")
    assert len(bodies(found, Reach(60, 80, 0, 4)).pins.number) == 0


def test_zooming_keeps_what_is_pointed_at_and_stays_inside() -> None:
    whole = Reach(0.0, 1_000.0, 0, 400)
    reach = whole
    for _ in range(5):
        share = (700 - reach.first) / reach.length
        reach = reach.zoomed(0.7, 700.0, 100.0, whole)
        assert (700 - reach.first) / reach.length == pytest.approx(share)
        assert reach.low <= 100 <= reach.high
    assert reach.lanes < 100
    for _ in range(40):
        reach = reach.zoomed(0.5, 700.0, 100.0, whole)
    assert reach.length == pytest.approx(20.0)
    assert reach.lanes == EASY_LANES
    for _ in range(60):
        reach = reach.zoomed(1.5, 700.0, 100.0, whole)
    assert reach == whole


@given(
    st.floats(0.1, 8),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.integers(1, 3_000),
)
def test_no_way_leads_out_of_the_wall(
    factor: float, at: float, lane: float, time: float, lanes: float, height: int
) -> None:
    whole = Reach(-50.0, 5_000.0, 0, height)
    reach = whole.zoomed(0.5, -50 + at * 5_050, lane * height, whole)
    reach = reach.moved(time, lanes, whole).zoomed(factor, reach.first, reach.low, whole)
    assert whole.first - 1e-6 <= reach.first < reach.last <= whole.last + 1e-6
    assert 0 <= reach.low < reach.high <= height


def test_ticks_are_in_units_that_people_read() -> None:
    found = walled(span("A", start=0, end=5_000_000_000))
    texts = [text for _, _, text in ticks_of(all_of(found))]
    assert texts == ["0", "1 s", "2 s", "3 s", "4 s", "5 s"]
    near = bodies(found, Reach(1_000_000, 1_000_400, 0, 1))
    assert all(text.endswith(("ms", "µs")) for _, _, text in ticks_of(near))


SLOW: list[Row] = [
    span("A", trace="o", service="web", operation="GET /", kind="server", start=1_000, end=1_400),
    span("B", "A", trace="o", service="web", operation="call pay", kind="client", start=1_010, end=1_380),
    span("C", "B", trace="o", service="pay", operation="charge", kind="server", start=1_020, end=1_370),
    span("E", "A", trace="o", service="web", operation="retry", start=1_385, end=1_395),
]


def test_two_traces_stand_over_each_other_from_the_same_moment_on() -> None:
    given_answer = answer(ROWS, SLOW)
    found = standing(given_answer.walls, given_answer.pairs)
    other, this = found.blocks
    assert (this.first_lane, other.first_lane) == (0, this.lanes + GAP)
    assert found.start[other.first_span] == found.start[this.first_span] == 0
    assert found.lanes == this.lanes + GAP + other.lanes
    assert found.parent.tolist() == [-1, 0, 1, 0, -1, 4, 5, 4]
    assert all_of(found).count.sum() == 8
    assert found.headline == "web GET /: 100 ns beside 400 ns"
    name = {found.name(row): row for row in range(this.first_span, 8)}
    charge = name["pay charge"]
    assert CHANGES[found.change[charge]] == "works"
    assert change_words(found, charge) == "✓ works here ▲ +350 ns"
    assert found.partner[charge] == 2 and found.partner[2] == charge
    assert change_words(found, name["web retry"]) == "◇ only here"
    assert change_words(found, 2) == ""  # what became of it is told where it is
    assert change_words(found, 3) == "◇ only here"
    assert set(told_changes(found).tolist()) >= {charge, name["web retry"], 3}
    assert "beside the other trace: ✓ works here" in span_words(found, charge)


def test_where_an_error_began_is_told_from_who_passes_it_on() -> None:
    good = [
        span("A", service="web", operation="GET /", kind="server", start=0, end=100),
        span("B", "A", service="web", operation="call", kind="client", start=10, end=90),
        span("C", "B", service="pay", operation="charge", kind="server", start=20, end=80),
        span("D", "A", service="web", operation="log", start=91, end=95),
    ]
    bad = [{**row, "trace_id": trace_bytes("o")} for row in good]
    for failed, told in (
        ("ABC", ["passes the error on", "passes the error on", "fails here", ""]),
        ("AB", ["passes the error on", "fails here", "", ""]),
        ("A", ["fails here", "", "", ""]),
        ("AC", ["passes the error on", "", "fails here", ""]),  # through one that says nothing of it
        ("AD", ["passes the error on", "", "", "fails here"]),
        ("BD", ["", "fails here", "", "fails here"]),
    ):
        rows = [{**row, "status": 2 * (name in failed)} for row, name in zip(bad, "ABCD", strict=True)]
        given_answer = answer(good, rows)
        found = standing(given_answer.walls, given_answer.pairs)
        assert [change_words(found, span) for span in range(4, 8)] == told, failed
        below = [number for number, words in enumerate(told, 4) if words.startswith("passes")]
        assert np.flatnonzero(found.passed_on).tolist() == below
        assert "✕ error, of a call below it" not in span_words(found, 7)


def test_names_that_are_hostile_are_tamed() -> None:
    found = walled(span("A", service=HOSTILE, operation=HOSTILE + "\n\n", start=0, end=10))
    for text in (found.name(0), found.headline, span_words(found, 0), *(name for _, name in found.legend)):
        assert "\x1b" not in text and "\u202e" not in text
        assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    "rows",
    [
        [span("A", start=5, end=5)],
        [span("A", "A", start=0, end=5)],
        [span("A", "B", start=0, end=5), span("B", "A", start=1, end=4)],
        [span("A", "gone", start=5, end=5)],
        [span("A", start=0, end=5), span("A", start=0, end=5)],
        [span("A", start=100, end=200), span("B", "A", start=0, end=5_000)],
        [span("A", start=0, end=10), span("Z", start=10**18, end=10**18 + 5)],
    ],
)
def test_odd_traces_are_drawn_whole(rows: list[Row]) -> None:
    found = walled(*rows)
    drawn = all_of(found)
    room = room_for(drawn)
    assert drawn.count.sum() == len(found.start) == drawn.spans
    colours = shapes.body_colours(drawn, DARK)
    for boxes in (
        shapes.waiting_boxes(drawn, room, colours, DARK),
        shapes.working_boxes(drawn, room, colours),
        shapes.lit_boxes(drawn, room, DARK),
    ):
        assert np.isfinite(boxes.low).all() and np.isfinite(boxes.high).all()
        assert (boxes.high[:, 0] > boxes.low[:, 0]).all()
    assert ticks_of(drawn)


def large(count: int, parent: str) -> Standing:
    made = span_table([span("A", start=0, end=10**9, service="web", kind="server")]).to_pydict()
    rows = {name: [value[0]] * count for name, value in made.items()}
    rows["span_id"] = list(range(1, count + 1))
    if parent == "deep":
        rows["parent_span_id"] = list(range(count))
        rows["start_ns"] = list(range(count))
        rows["duration_ns"] = [2 * (count - i) + 1 for i in range(count)]
    else:
        rows["parent_span_id"] = [0, *[1] * (count - 1)]
    return standing([wall(trace(pl.DataFrame(rows).to_arrow().cast(span_table([]).schema)))])


@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_a_very_large_trace_is_few_bodies_and_none_is_lost(shape: str) -> None:
    count = sized(100_000)
    found = large(count, shape)
    assert found.lanes == count
    drawn = all_of(found)
    assert drawn.count.sum() == count
    assert len(drawn.row) < 90 * COLUMNS / 10
    near = bodies(found, Reach(drawn.reach.first, drawn.reach.last, count // 2, count // 2 + 20))
    assert sorted(near.span[near.span >= 0].tolist()) == list(range(count // 2, count // 2 + 20))


@pytest.mark.parametrize("size", [(240, 180), (320, 240), (640, 360), (1280, 760)])
def test_what_is_written_around_a_wall_is_cut_in_pictures_of_no_size(size: tuple[int, int]) -> None:
    services = [span(f"{i}", service=f"a-service-of-{i}", start=i, end=9) for i in range(8)]
    found = walled(*services)
    drawn, words = all_of(found), Writing(vtkRenderer())
    room = room_for(drawn, (0, 1, 2, 3))
    words.use(found, drawn, room, DARK, whole=True)
    words.place(projection(overview(room, size[0] / size[1], size[1]), size), size)
    assert all(rect.within(size) for _, rect in words.legend)
    assert sum(text.startswith("■ ") for text, _ in words.legend) >= (3 if size[0] >= 640 else 0)
    top = max((rect.top for _, rect in words.legend), default=0.0)
    assert top <= 0.15 * size[1] + 20
