"""Views: everything is in the frame, and a pixel finds its body."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cameras import projection
from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes
from tracescape_render.camera import VIEW_ANGLE, View, around, close_up, overview, pick, to_screen
from tracescape_render.scene import Scene, build_scene

SIZE = (1600, 900)


def shop() -> Scene:
    return build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0)


@pytest.mark.parametrize("size", [(1600, 900), (800, 800), (500, 900), (2400, 600)])
@pytest.mark.parametrize("count", [1, 9, 30, 200])
def test_the_overview_holds_everything_and_fills_the_frame(size: tuple[int, int], count: int) -> None:
    scene = build_scene(*crowd(count), seconds=1.0)
    xy, w = to_screen(scene.positions, projection(overview(scene, size[0] / size[1]), size), size)
    assert (w > 0).all()
    share = xy / np.array(size)
    assert (share > 0.03).all()
    assert (share < 0.97).all()
    ground = np.vstack([np.column_stack([plate, np.zeros(len(plate))]) for plate in scene.plates])
    seen, _ = to_screen(ground.astype(np.float32), projection(overview(scene, size[0] / size[1]), size), size)
    extent = np.vstack([xy, seen]).max(axis=0) - np.vstack([xy, seen]).min(axis=0)
    assert (extent / np.array(size)).max() > 0.55


def test_an_empty_scene_has_a_view_too() -> None:
    assert np.isfinite(np.array(overview(build_scene(nodes(), edges(), seconds=1.0), 1.5))).all()


def test_each_body_is_found_at_its_own_pixel() -> None:
    scene = shop()
    matrix = projection(overview(scene, SIZE[0] / SIZE[1]))
    xy, _ = to_screen(scene.positions, matrix, SIZE)
    for body in range(len(scene.positions)):
        assert pick(scene, matrix, SIZE, tuple(xy[body])) == body


def test_the_nearer_of_two_bodies_in_line_is_found() -> None:
    scene = shop()
    view = overview(scene, SIZE[0] / SIZE[1])
    body = scene.services.index("cart")
    behind = scene.positions[body] + (scene.positions[body] - np.array(view.position)) * 0.2
    scene.positions[0] = behind
    matrix = projection(view)
    xy, _ = to_screen(scene.positions, matrix, SIZE)
    assert np.linalg.norm(xy[0] - xy[body]) < 1
    assert pick(scene, matrix, SIZE, tuple(xy[body])) == body


def test_just_beside_a_body_is_nothing() -> None:
    scene = build_scene(nodes(("a", "service", 10, "healthy")), edges(), seconds=1.0)
    matrix = projection(overview(scene, SIZE[0] / SIZE[1]))
    (xy,), (w,) = to_screen(scene.positions, matrix, SIZE)
    radius = scene.radii[0] / w / np.tan(np.radians(VIEW_ANGLE / 2)) * SIZE[1] / 2
    assert pick(scene, matrix, SIZE, (xy[0] + radius * 0.9, xy[1])) == 0
    assert pick(scene, matrix, SIZE, (xy[0] + radius * 1.2, xy[1])) is None


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_any_pixel_is_answered(x: float, y: float) -> None:
    scene = shop()
    assert pick(scene, projection(overview(scene, 1.6)), SIZE, (x, y)) in {None, *range(len(scene.positions))}


def test_what_is_behind_the_camera_is_not_picked() -> None:
    scene = shop()
    away = View((0.0, 0.0, 5.0), (0.0, -10.0, 5.0))
    scene.positions[:] = [0.0, 20.0, 5.0]
    assert pick(scene, projection(away), SIZE, (800.0, 450.0)) is None


def test_going_to_a_body_keeps_the_direction_and_comes_nearer() -> None:
    scene = shop()
    view = overview(scene, 1.6)
    body = scene.services.index("email")
    near = close_up(scene.positions[body], view)
    assert np.allclose(near.focus, scene.positions[body])
    before, after = np.subtract(view.position, view.focus), np.subtract(near.position, near.focus)
    assert np.linalg.norm(after) < np.linalg.norm(before)
    assert np.allclose(before / np.linalg.norm(before), after / np.linalg.norm(after))


@pytest.mark.parametrize("size", [(640, 360), (480, 320), (1280, 720)])
def test_in_a_small_picture_neither_the_title_nor_the_legend_covers_a_body(size: tuple[int, int]) -> None:
    scene = build_scene(*crowd(30), seconds=1.0)
    for view in (
        overview(scene, size[0] / size[1], size[1]),
        around(scene, np.arange(30), size[0] / size[1], size[1]),
    ):
        xy, _ = to_screen(scene.positions, projection(view, size), size)
        assert (xy[:, 1] < size[1] - 86).all()
        assert (xy[:, 1] > 56).all()
