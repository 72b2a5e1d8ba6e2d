"""Labels: nothing overlaps, nothing leaves the frame, and the important ones come first."""

import dataclasses
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vtkmodules.vtkRenderingCore import vtkCamera, vtkRenderer

from naive import labels as naive
from support.scenes import SHOP_EDGES, SHOP_NODES, crowd
from tracescape_render import build_scene
from tracescape_render.camera import VIEW_ANGLE, View, overview
from tracescape_render.labels import Rect, arrange
from tracescape_render.moving import nearer, turned
from tracescape_render.palette import DARK, STATES
from tracescape_render.riding_words import LEGEND, STATE_LEGEND
from tracescape_render.scene import Scene
from tracescape_render.words import Words

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
    placed = arrange(places[:, :2], places[:, 2], [(width, 20.0)] * count, range(count), FRAME, taken).rects
    assert disjoint([*taken, *placed.values()])
    for rect in placed.values():
        assert rect.left >= 0 and rect.bottom >= 0 and rect.right <= FRAME[0] and rect.top <= FRAME[1]


@given(
    st.lists(st.tuples(st.integers(-20, 420), st.integers(-20, 320), st.integers(2, 40)), max_size=30),
    st.integers(10, 150),
    st.integers(0, 20),
    st.integers(0, 5),
    st.none() | st.dictionaries(st.integers(0, 29), st.integers(0, 47)),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_each_label_has_the_place_that_trying_all_of_them_finds(
    bodies: list[tuple[int, int, int]],
    width: int,
    most: int,
    urgent: int,
    kept: dict[int, int] | None,
    strict: bool,
    random: Random,
) -> None:
    kept = kept and {body: place for body, place in kept.items() if body < len(bodies)}
    places = np.array(bodies, float).reshape(-1, 3)
    order = random.sample(range(len(bodies)), len(bodies))
    sizes = [(float(width + i), 20.0) for i in range(len(bodies))]
    taken = [Rect(0, 250, 200, 300), Rect(150, 100, 180, 200)]
    found = arrange(
        places[:, :2],
        places[:, 2],
        sizes,
        order,
        (400, 300),
        taken,
        most,
        urgent=urgent,
        kept=kept,
        rivals=places if strict else None,
    )
    boxes = [(*map(float, rect),) for rect in taken]
    expected = naive.arrange(places, sizes, order, (400, 300), boxes, most, urgent, kept, strict)
    assert list(found.rects.items()) == list(expected.items())
    assert found.places.keys() == found.rects.keys()


def test_a_lonely_body_has_its_label_below_it() -> None:
    placed = arrange(np.array([[400.0, 300.0]]), np.array([10.0]), [(60.0, 20.0)], [0], FRAME).rects
    assert placed[0].top < 290
    assert abs((placed[0].left + placed[0].right) / 2 - 400) < 1


def test_where_there_is_room_for_one_the_more_important_gets_it() -> None:
    together = np.full((12, 2), 300.0)
    sizes = [(250.0, 100.0)] * 12
    placed = arrange(
        together, np.full(12, 5.0), sizes, [7, *(i for i in range(12) if i != 7)], (600, 600)
    ).rects
    assert 7 in placed
    assert 0 < len(placed) < 12


def test_no_more_labels_than_the_pool_holds() -> None:
    grid = np.array([[x, y] for x in range(50, 800, 50) for y in range(50, 600, 50)], float)
    sizes = [(20.0, 10.0)] * len(grid)
    assert len(arrange(grid, np.full(len(grid), 3.0), sizes, range(len(grid)), FRAME, most=7).rects) == 7


def test_a_label_avoids_other_bodies_when_it_can() -> None:
    bodies = np.array([[400.0, 300.0], [400.0, 275.0]])
    placed = arrange(bodies, np.array([10.0, 10.0]), [(30.0, 20.0), (30.0, 20.0)], [0], FRAME).rects
    assert placed[0].bottom > 285 or placed[0].left > 410 or placed[0].right < 390


def test_who_must_have_a_label_gets_one_farther_away_and_at_the_edge_it_is_moved_in() -> None:
    bodies, radius = np.array([[12.0, 300.0]]), np.array([10.0])
    around = [Rect(0, 240, 260, 360)]
    assert arrange(bodies, radius, [(200.0, 20.0)], [0], FRAME, around).rects == {}
    placed = arrange(bodies, radius, [(200.0, 20.0)], [0], FRAME, around, urgent=1).rects
    assert placed[0].left == 0
    assert not placed[0].overlaps(around[0])


class Flight:
    """Words over a scene, placed for one view after the other; no graphics."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.words = scene, Words(vtkRenderer())
        self.words.use(scene, DARK)

    def see(self, view: View) -> frozenset[str]:
        """Who has a label there."""
        camera, (width, height) = vtkCamera(), FRAME
        camera.SetPosition(*view.position)
        camera.SetFocalPoint(*view.focus)
        camera.SetViewUp(0.0, 0.0, 1.0)
        camera.SetViewAngle(VIEW_ANGLE)
        matrix = camera.GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        projection = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
        self.words.place(projection, FRAME)
        return frozenset(self.scene.services[body] for body in self.words.rects)


@pytest.mark.parametrize("rows", [(SHOP_NODES, SHOP_EDGES), crowd(24), crowd(48)])
def test_in_a_slow_flight_a_label_comes_once_and_goes_once_at_most(rows: tuple[pl.DataFrame, ...]) -> None:
    scene = build_scene(*rows, seconds=60.0)
    flight, far = Flight(scene), nearer(overview(scene, FRAME[0] / FRAME[1]), 0.9)
    seen = [flight.see(turned(far, 0.2 * step)) for step in range(200)]
    assert all(seen)
    for service in scene.services:
        there = np.array([service in frame for frame in seen], np.int64)
        assert (np.diff(there) > 0).sum() <= 1, service
        assert (np.diff(there) < 0).sum() <= 1, service


def test_a_label_stays_on_its_side_while_it_can_and_a_view_from_elsewhere_begins_anew() -> None:
    scene = build_scene(*crowd(48), seconds=60.0)
    far = nearer(overview(scene, FRAME[0] / FRAME[1]), 0.9)
    flight, there = Flight(scene), turned(far, 30.0)
    for step in range(61):
        flight.see(turned(far, 0.5 * step))
    held = dict(flight.words.rects)
    flight.words.forget()
    flight.see(there)
    fresh = dict(flight.words.rects)
    assert fresh != held
    assert fresh == _first(scene, there)


def _first(scene: Scene, view: View) -> dict[int, Rect]:
    flight = Flight(scene)
    flight.see(view)
    return flight.words.rects


@pytest.mark.parametrize("size", [12, 24, 48])
def test_where_everybody_is_there_twice_each_label_is_nearest_to_its_own_body(size: int) -> None:
    nodes, edges = crowd(size)
    sick = pl.when(pl.col("calls") > pl.col("calls").median()).then(pl.lit("failing")).otherwise("state")
    scene = build_scene(nodes.with_columns(state=sick), edges, seconds=60.0)
    far = overview(scene, FRAME[0] / FRAME[1])
    whole, beside = Flight(scene), Flight(dataclasses.replace(scene, halves=True))
    for step in range(0, 360, 30):
        for flight in (whole, beside):
            flight.words.forget()
            flight.see(turned(far, float(step)))
        wrong = {body for body, other in nearest_of(beside).items() if body != other}
        assert not wrong
        assert len(beside.words.rects) > size / 6
    for _ in range(2):  # what was kept from a moment ago is no excuse
        beside.see(turned(far, 40.0))
        assert all(body == other for body, other in nearest_of(beside).items())


def test_who_has_no_room_for_a_second_line_has_a_name_and_gets_the_line_back_when_there_is() -> None:
    nodes, edges = crowd(48)
    scene = build_scene(nodes.with_columns(state=pl.lit("failing")), edges, seconds=60.0)
    flight = Flight(dataclasses.replace(scene, halves=True))
    view = nearer(overview(scene, FRAME[0] / FRAME[1]), 1.3)
    flight.see(view)
    told = {body: flight.words.told(body) for body in flight.words.rects}
    short = [body for body, text in told.items() if text == scene.labels[body]]
    assert len(short) > 0
    assert any(text == f"{scene.labels[body]}\n{scene.subtitles[body]}" for body, text in told.items())
    again: set[int] = set()
    for step in range(0, 360, 15):
        flight.see(turned(nearer(view, 0.6), float(step)))
        again |= {body for body in short if "\n" in (flight.words.told(body) or "")}
    assert again


def nearest_of(flight: Flight) -> dict[int, int]:
    """To whose body, by its edge, each label that is shown is nearest."""
    xy, reach = flight.words.circles[:, :2], flight.words.circles[:, 2]
    found = {}
    for body, rect in flight.words.rects.items():
        near = np.clip(xy, [rect.left, rect.bottom], [rect.right, rect.top])
        found[body] = int(np.argmin(np.linalg.norm(near - xy, axis=1) - reach))
    return found


@pytest.mark.parametrize("width", [160, 240, 320, 480, 640, 900, 1600])
def test_a_legend_has_whole_words_in_pictures_of_any_size(width: int) -> None:
    shop = build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0)
    whole: set[str] = set()
    for legend, states in (((), None), (LEGEND, STATE_LEGEND)):
        for size in ((4_000, 900), (width, 360)):
            words = Words(vtkRenderer())
            words.use(shop, DARK, legend=legend, states=states)
            words.place(np.eye(4), size)
            told = [text for text, _ in words.legend]
            signs = told[-1].split("    ") if told else []
            if size[0] == 4_000:
                whole = {*told, *signs}
                assert len(told) == len(STATES) + 1
            assert {*told[:-1], *signs} <= whole | {"● idle", "◎ silent", "● not yet"}
            assert all(rect.within(size) for _, rect in words.legend)
            assert disjoint([rect for _, rect in words.legend])
            assert size[0] < 480 or ("● reached" if states else "● healthy") in told
            assert not states or not {"● healthy", "● idle", "● idle: too few calls to judge"} & {*told}
