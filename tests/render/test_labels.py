"""Labels: nothing overlaps, nothing leaves the frame, and the important ones come first."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from naive import labels as naive
from tracescape_render.labels import Rect, arrange

FRAME = (800, 600)


def disjoint(rects: list[Rect]) -> bool:
    return not any(a.overlaps(b) for i, a in enumerate(rects) for b in rects[:i])


@given(
    st.lists(st.tuples(st.floats(-50, 850), st.floats(-50, 650), st.floats(2, 40)), min_size=1, max_size=40),
    st.integers(10, 200),
)
def test_labels_never_overlap_and_never_leave_the_frame(
    bodies: list[tuple[float, float, float]], width: int
) -> None:
    places = np.array(bodies)
    taken = [Rect(0, 500, 400, 600)]
    count = len(bodies)
    placed = arrange(places[:, :2], places[:, 2], [(width, 20.0)] * count, range(count), FRAME, taken)
    assert disjoint([*taken, *placed.values()])
    for rect in placed.values():
        assert rect.left >= 0 and rect.bottom >= 0 and rect.right <= FRAME[0] and rect.top <= FRAME[1]


@given(
    st.lists(st.tuples(st.integers(-20, 420), st.integers(-20, 320), st.integers(2, 40)), max_size=30),
    st.integers(10, 150),
    st.integers(0, 20),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_each_label_has_the_place_that_trying_all_of_them_finds(
    bodies: list[tuple[int, int, int]], width: int, most: int, urgent: int, random: Random
) -> None:
    places = np.array(bodies, float).reshape(-1, 3)
    order = random.sample(range(len(bodies)), len(bodies))
    sizes = [(float(width + i), 20.0) for i in range(len(bodies))]
    taken = [Rect(0, 250, 200, 300), Rect(150, 100, 180, 200)]
    found = arrange(places[:, :2], places[:, 2], sizes, order, (400, 300), taken, most, urgent=urgent)
    boxes = [(*map(float, rect),) for rect in taken]
    expected = naive.arrange(places, sizes, order, (400, 300), boxes, most, urgent)
    assert list(found.items()) == list(expected.items())


def test_a_lonely_body_has_its_label_below_it() -> None:
    placed = arrange(np.array([[400.0, 300.0]]), np.array([10.0]), [(60.0, 20.0)], [0], FRAME)
    assert placed[0].top < 290
    assert abs((placed[0].left + placed[0].right) / 2 - 400) < 1


def test_where_there_is_room_for_one_the_more_important_gets_it() -> None:
    together = np.full((12, 2), 300.0)
    sizes = [(250.0, 100.0)] * 12
    placed = arrange(together, np.full(12, 5.0), sizes, [7, *(i for i in range(12) if i != 7)], (600, 600))
    assert 7 in placed
    assert 0 < len(placed) < 12


def test_no_more_labels_than_the_pool_holds() -> None:
    grid = np.array([[x, y] for x in range(50, 800, 50) for y in range(50, 600, 50)], float)
    sizes = [(20.0, 10.0)] * len(grid)
    assert len(arrange(grid, np.full(len(grid), 3.0), sizes, range(len(grid)), FRAME, most=7)) == 7


def test_a_label_avoids_other_bodies_when_it_can() -> None:
    bodies = np.array([[400.0, 300.0], [400.0, 275.0]])
    placed = arrange(bodies, np.array([10.0, 10.0]), [(30.0, 20.0), (30.0, 20.0)], [0], FRAME)
    assert placed[0].bottom > 285 or placed[0].left > 410 or placed[0].right < 390


def test_who_must_have_a_label_gets_one_farther_away_and_at_the_edge_it_is_moved_in() -> None:
    bodies, radius = np.array([[12.0, 300.0]]), np.array([10.0])
    around = [Rect(0, 240, 260, 360)]
    assert arrange(bodies, radius, [(200.0, 20.0)], [0], FRAME, around) == {}
    placed = arrange(bodies, radius, [(200.0, 20.0)], [0], FRAME, around, urgent=1)
    assert placed[0].left == 0
    assert not placed[0].overlaps(around[0])
