"""Labels that stand away from their bodies have a line to them, and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scenes import crowd
from tracescape_render.labels import Rect
from tracescape_render.leaders import AWAY, leader_lines
from tracescape_render.picture import off_screen_plotter
from tracescape_render.scene import build_scene
from tracescape_render.stage import Stage

BODY = np.array([[0.0, 0.0], [100.0, 100.0]])
REACH = np.array([5.0, 10.0])


@pytest.mark.parametrize(("gap", "lines"), [(AWAY - 0.5, 0), (AWAY + 0.5, 1)])
def test_a_label_beside_its_body_has_none_and_one_that_is_away_has(gap: float, lines: int) -> None:
    left = 110.0 + gap
    found = leader_lines({1: Rect(left, 95.0, left + 50.0, 105.0)}, BODY, REACH)
    assert len(found) == lines
    if lines:
        assert found[0].tolist() == [[left, 100.0], [110.0, 100.0]], "from the label to the body's edge"


def test_a_label_over_its_body_has_none_and_nothing_is_divided_by_nothing() -> None:
    assert len(leader_lines({1: Rect(90.0, 90.0, 110.0, 110.0)}, BODY, REACH)) == 0
    assert leader_lines({}, BODY, REACH).shape == (0, 2, 2)


@given(st.tuples(*[st.floats(-500, 500)] * 2), st.floats(1, 200), st.floats(1, 60), st.floats(0, 90))
def test_a_line_is_as_long_as_the_gap_and_on_the_straight_way(
    corner: tuple[float, float], wide: float, high: float, reach: float
) -> None:
    rect = Rect(*corner, corner[0] + wide, corner[1] + high)
    lines = leader_lines({0: rect}, np.zeros((1, 2)), np.array([reach]))
    gap = (
        float(np.hypot(*(max(low, -top, 0.0) for low, top in ((rect[0], rect[2]), (rect[1], rect[3])))))
        - reach
    )
    if abs(gap - AWAY) > 1e-6:
        assert len(lines) == (gap > AWAY)
    for label, body in lines:
        assert np.linalg.norm(label - body) == pytest.approx(gap, abs=1e-6)
        assert np.linalg.norm(body) == pytest.approx(reach, abs=1e-6)


def test_in_a_crowd_some_labels_have_lines_on_the_screen_and_without_labels_there_are_none() -> None:
    plotter = off_screen_plotter((900, 500))
    stage = Stage(plotter)
    stage.show(build_scene(*crowd(40), seconds=1.0))
    plotter.render_window.Render()
    lines = stage.leaders.copy()
    with_lines = np.asarray(plotter.screenshot(return_img=True), float)[::-1]
    stage._words._leaders.draw(lines[:0])
    plotter.render_window.Render()
    without = np.asarray(plotter.screenshot(return_img=True), float)[::-1]
    stage.labels_on = False
    stage.relabel()
    left = len(stage.leaders)
    plotter.close()
    assert len(lines) >= 3
    assert left == 0
    x, y = lines.mean(axis=1).round().astype(int).T
    drawn = [
        np.abs(with_lines - without)[b - 1 : b + 2, a - 1 : a + 2].max() > 20
        for a, b in zip(x, y, strict=True)
    ]
    assert np.mean(drawn) > 0.6, "but for those that words stand over"
