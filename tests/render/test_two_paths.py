"""Two critical paths beside each other: lengths are times, ends are sums, the largest change is marked."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.svg import Drawn
from tracescape_analytics.root_cause.exemplars import PATH_SCHEMA
from tracescape_render.charts import Chart, chart_of, two_paths
from tracescape_render.charts.two_paths import MOST_STEPS

MS = 1_000_000
STEPS = [
    ("web", "GET /", None, 10 * MS, 12 * MS),
    ("web", "GET /cart", "cart", 5 * MS, 0),
    ("cart", "SELECT", "postgresql", 10 * MS, 400 * MS),
    ("mail", "send", None, 0, 3 * MS),
]


def paths(steps: list[tuple[str, str, str | None, int, int]], rank: int = 1) -> pl.DataFrame:
    rows = [(rank, number, *step) for number, step in enumerate(steps, 1)]
    return pl.DataFrame(rows, schema=PATH_SCHEMA, orient="row")


def drawn(chart: Chart) -> Drawn:
    found = Drawn(chart.svg)
    found.check()
    return found


def sides(found: Drawn) -> tuple[list[float], list[float]]:
    """The widths of the typical and of the bad trace's bars."""
    bars = [box for box in found.rects if box.text]
    middle = next(box.left for box in found.texts if box.text == "bad")
    left, right = ([bar for bar in bars if (bar.left >= middle) is bad] for bad in (False, True))
    for side in (left, right):
        for one, other in pairwise(side):
            assert one.bottom < other.top and other.left >= one.left
    return [bar.width for bar in left], [bar.width for bar in right]


def test_both_sides_have_one_scale_and_a_step_begins_where_the_one_before_ended() -> None:
    found = drawn(two_paths(paths(STEPS), traces=("a" * 32, "b" * 32)))
    typical, bad = sides(found)
    per_ms = bad[1] / 400
    assert typical == pytest.approx([10 * per_ms, 5 * per_ms, 10 * per_ms], abs=0.2)
    assert bad == pytest.approx([12 * per_ms, 400 * per_ms, 1.5], abs=0.2)
    last = [box for box in found.rects if box.text][-1]
    first = next(box for box in found.rects if "not at all" not in box.text and box.width == bad[0])
    assert last.left - first.left == pytest.approx(412 * per_ms, abs=0.2)
    texts = [box.text for box in found.texts]
    assert "web → cart (GET /cart)" in texts and "25 ms" in texts and "415 ms" in texts
    assert f"typical trace {'a' * 32}, bad trace {'b' * 32}" in texts


def test_what_changed_most_is_underlined_and_said() -> None:
    chart = two_paths(paths(STEPS), title="Slow")
    assert chart.text == (
        "Slow. 25 ms in the typical trace, 415 ms in the bad one. Changed most: cart → postgresql (SELECT),"
        " 10 ms in the typical trace, 400 ms in the bad one."
    )
    found = drawn(chart)
    slowest = max((box for box in found.rects if box.text), key=lambda box: box.width)
    *underlines, _legend = found.styled("path")
    assert [box.top for box in underlines] == [slowest.bottom] * 2
    assert underlines[1].width == slowest.width


def test_of_long_paths_the_steps_that_changed_least_are_one_bar() -> None:
    steps = [("s", f"op {i}", None, 100, 100 + (i % 2) * i) for i in range(200)]
    steps += [("s", "one", None, MS, MS), ("s", "more", None, MS, MS)]
    chart = two_paths(paths(steps))
    found = drawn(chart)
    rest = found.styled("rest")
    assert rest[0].text.startswith("… ") and len(rest) >= 2
    assert sum("(op" in box.text for box in found.texts) <= 2 * MOST_STEPS + 1
    assert "of 202 steps are drawn together" in chart.text
    typical, bad = sides(found)
    assert sum(typical) == pytest.approx(sum(bad), rel=0.6)


def test_the_frame_of_a_diagnosis_is_drawn_one_cause_at_a_time() -> None:
    both = pl.concat([paths(STEPS), paths(STEPS[:2], rank=2)])
    with pytest.raises(ValueError, match=r"2 values of rank.*filter"):
        chart_of(both)
    assert "Changed most: web → cart" in chart_of(both.filter(pl.col("rank") == 2)).text
    assert "No critical time" in chart_of(both.clear()).svg


@given(
    st.lists(
        st.tuples(
            st.text(max_size=40),
            st.text(max_size=80),
            st.none() | st.text(max_size=40),
            st.integers(0, 10**13),
            st.integers(0, 10**13),
        ),
        max_size=50,
    )
)
def test_any_two_paths_can_be_drawn(steps: list[tuple[str, str, str | None, int, int]]) -> None:
    drawn(two_paths(paths(steps)))
