"""Two pictures for two eyes: what is near differs, what is looked at does not, words are in both."""

import contextlib
import dataclasses
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from support.desktop import Running
from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes
from tracescape_render import RenderError, openxr, screenshot
from tracescape_render.camera import View
from tracescape_render.labels import Rect
from tracescape_render.moving import nearer, tilted, turned
from tracescape_render.picture import grabbed, off_screen_plotter
from tracescape_render.scene import Scene, build_scene
from tracescape_render.stage import Stage
from tracescape_render.stereo import LEFT, MOST, RIGHT, Eyes

HALF, HEIGHT = 700, 600
Pixels = NDArray[np.float64]


def row(*depths: float) -> Scene:
    """Bodies in a row away from the camera of `AHEAD`."""
    rows = [(f"s{i}", "service", 100, "healthy") for i in range(len(depths))]
    places = {f"s{i}": (0.0, depth, 2.0) for i, depth in enumerate(depths)}
    return build_scene(nodes(*rows), edges(), seconds=1.0, positions=places)


def shop() -> Scene:
    return build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0)


AHEAD = View((0.0, -30.0, 8.0), (0.0, 0.0, 2.0))


@contextlib.contextmanager
def staged(scene: Scene, view: View | None = None) -> Iterator[tuple[Stage, Pixels]]:
    """A stage with two pictures, and those: row 0 at the bottom, (HEIGHT, 2 * HALF, 3)."""
    plotter = off_screen_plotter((2 * HALF, HEIGHT))
    try:
        stage = Stage(plotter)
        stage.stereo = True
        stage.show(scene)
        if view is not None:
            stage.look(view)
        stage.relabel(anew=True)
        yield stage, pixels_of(stage)
    finally:
        plotter.close()


def pixels_of(stage: Stage) -> Pixels:
    window = stage._plotter.render_window
    rows = np.frombuffer(grabbed(window), np.uint8).reshape(HEIGHT, 2 * HALF, 3)
    return rows[::-1].astype(float)


def halves(pixels: Pixels) -> tuple[Pixels, Pixels]:
    return pixels[:, :HALF], pixels[:, HALF:]


def middle_of(picture: Pixels, x: float, y: float) -> float:
    """Where along a row of pixels, about at ``x``, the green of a healthy body is."""
    band = picture[int(y) - 3 : int(y) + 4].copy()
    band[:, np.abs(np.arange(HALF) - x) > 40] = 0.0
    green = np.clip(band[:, :, 1] - 1.25 * band[:, :, 2], 0, None).sum(axis=0)
    assert green.sum() > 0
    return float((green * np.arange(HALF)).sum() / green.sum())


def test_what_is_near_is_farther_right_for_the_left_eye_and_what_is_looked_at_is_in_one_place() -> None:
    with staged(row(-8.0, 0.0, 14.0), AHEAD) as (stage, _):
        stage.labels_on = False
        stage.relabel()
        left, right = halves(pixels_of(stage))
        apart = []
        for body in range(3):
            (x_left, y), (x_right, _) = stage.on_screen(body, LEFT), stage.on_screen(body, RIGHT)
            seen = middle_of(left, x_left, y), middle_of(right, x_right, y)
            apart.append(seen[0] - seen[1])
            assert apart[-1] == pytest.approx(x_left - x_right, abs=1.0), "drawn where it is said to be"
    near, at_focus, far = apart
    assert near > 4.0 and far < -4.0
    assert abs(at_focus) < 0.7


def test_both_pictures_have_the_shape_of_the_world() -> None:
    """VTK's own squeeze a whole picture into a half; here what is round stays round."""
    with staged(row(0.0), AHEAD) as (stage, _):
        stage.labels_on = False
        stage.relabel()
        left, right = halves(pixels_of(stage))
        x, y = stage.on_screen(0)
        for picture in (left, right):
            green = picture[:, :, 1] - 1.25 * picture[:, :, 2] > 8
            body = green[int(y) - 60 : int(y) + 60, int(x) - 60 : int(x) + 60]
            wide, high = np.ptp(np.flatnonzero(body.any(axis=0))), np.ptp(np.flatnonzero(body.any(axis=1)))
            assert 0.8 < wide / high < 1.25


@given(st.floats(-180, 180), st.floats(-30, 50), st.floats(0.1, 3.0))
@example(3.0, 11.0, 0.1875)  # so near that only the middle of a body is in the picture
@example(10.0, -14.0, 0.11)  # one of them is behind who looks
def test_nothing_is_ever_farther_apart_than_eyes_bear(turn: float, tilt: float, near: float) -> None:
    scene = SHOP
    view = nearer(tilted(turned(STAGE.overview(), turn), tilt), near)
    STAGE.look(view)
    STAGE.relabel()
    width = STAGE.size[0]
    ahead = STAGE.projection()[3, :3] @ scene.positions.T + STAGE.projection()[3, 3] > 0
    assert ahead.any()
    for body in np.flatnonzero(ahead):
        left, right = STAGE.on_screen(body, LEFT), STAGE.on_screen(body, RIGHT)
        assert left[1] == pytest.approx(right[1]), "never higher for one eye"
        inside = 0 < left[0] < width and 0 < left[1] < STAGE.size[1]
        if inside and 0 < right[0] < width:
            assert abs(left[0] - right[0]) <= MOST * width * 1.1


@pytest.fixture(scope="module", autouse=True)
def stage_of_shop() -> Iterator[None]:
    global STAGE, SHOP
    plotter = off_screen_plotter((2 * HALF, HEIGHT))
    SHOP, STAGE = shop(), Stage(plotter)
    STAGE.stereo = True
    STAGE.show(SHOP)
    yield
    plotter.close()


@given(st.floats(1.0, 500.0), st.floats(1.0, 500.0))
def test_words_move_as_whom_they_name(depth: float, distance: float) -> None:
    """Twice the same: what a camera sheared for an eye sees, and what is said of a depth."""
    eyes, projection = Eyes(1.5, distance), STAGE.projection()
    camera = np.array(STAGE.view().position)
    ahead = np.array(STAGE.view().focus) - camera
    point = np.append(camera + ahead / np.linalg.norm(ahead) * depth, 1.0)
    for eye in (LEFT, RIGHT):
        clip = eyes.projection(projection, eye) @ point
        moved = clip[0] / clip[3] * HALF / 2
        assert moved == pytest.approx(eyes.across(projection, depth, HALF, eye), abs=1e-6)


def test_a_body_is_found_in_either_picture() -> None:
    with staged(shop()) as (stage, _):
        for body in range(len(shop().positions)):
            left, right = stage.on_screen(body, LEFT), stage.on_screen(body, RIGHT)
            found = stage.body_at(*left)
            assert found == stage.body_at(right[0] + HALF, right[1])
            assert found is not None
        assert stage.body_at(3.0, HEIGHT - 3.0) is None


def test_every_label_is_in_both_pictures_whole_and_over_no_other() -> None:
    with staged(shop()) as (stage, pixels):
        rects = [*stage.label_rects.values(), *stage.island_rects.values()]
        assert len(stage.label_rects) > 5
        stage.labels_on = False
        stage.relabel()
        without = pixels_of(stage)
        written = [
            np.abs(one - other).max(axis=2) > 30
            for one, other in zip(halves(pixels), halves(without), strict=True)
        ]
        for rect in rects:
            assert rect.within((HALF, HEIGHT))
            counts = [part(mask, rect).sum() for mask in written]
            assert min(counts) > 40 and max(counts) < 1.4 * min(counts), (rect, counts)
        everywhere = np.zeros((HEIGHT, HALF), bool)
        for rect in rects:
            part(everywhere, rect)[:] = True
        head = np.zeros_like(everywhere)
        head[HEIGHT - 100 :], head[:60] = True, True
        for mask in written:
            assert (mask & ~everywhere & ~head).sum() < 600, "no label leaves its place; leaders do"


def part(mask: NDArray[np.bool_], rect: Rect) -> NDArray[np.bool_]:
    return mask[int(rect.bottom) : int(rect.top) + 1, int(rect.left) : int(rect.right) + 1]


def test_headline_and_legend_are_the_same_in_both() -> None:
    with staged(shop()) as (_, pixels):
        left, right = halves(pixels)
        for rows in (slice(HEIGHT - 75, HEIGHT), slice(0, 45)):
            bright, other = left[rows].max(axis=2) > 120, right[rows].max(axis=2) > 120
            assert bright.sum() > 500
            assert (bright != other).sum() < 0.02 * bright.sum(), "but for smoothed edges on the ground"


def test_two_pictures_become_one_again() -> None:
    plotter = off_screen_plotter((2 * HALF, HEIGHT))
    try:
        stage = Stage(plotter)
        stage.show(shop())
        before = grabbed(plotter.render_window)
        overview = stage.view()
        stage.stereo = True
        assert stage.size == (HALF, HEIGHT)
        two = grabbed(plotter.render_window)
        stage.stereo = False
        assert (stage.size, stage.view()) == ((2 * HALF, HEIGHT), overview)
        stage.relabel(anew=True)
        assert (two != before, grabbed(plotter.render_window) == before) == (True, True)
    finally:
        plotter.close()


def test_what_comes_and_goes_does_so_in_both(tmp_path: Path) -> None:
    with staged(shop()) as (stage, first):
        stage.show(build_scene(*crowd(30), seconds=60.0))
        second = pixels_of(stage)
        for before, after in zip(halves(first), halves(second), strict=True):
            assert (np.abs(before - after).max(axis=2) > 30).mean() > 0.01
        stage.show(dataclasses.replace(shop()))
        assert np.abs(pixels_of(stage) - first).mean() < 2.0


def test_a_picture_for_two_eyes_is_a_file(tmp_path: Path) -> None:
    path = screenshot(shop(), tmp_path / "two.png", (2 * HALF, HEIGHT), stereo=True)
    image = np.asarray(Image.open(path).convert("RGB"), float)
    left, right = halves(image)
    assert image.shape == (HEIGHT, 2 * HALF, 3)
    assert 0.1 < np.abs(left - right).mean() < 12.0, "alike, not the same"


def test_without_openxr_a_sentence_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vtkmodules.vtkRenderingOpenXR", None)
    with pytest.raises(RenderError, match=r"no OpenXR .*headset's own browser \(docs/vr.md\)"):
        openxr.open_headset(shop())


class Fake:
    """Stands for any class of VTK's OpenXR, and remembers what it was told."""

    told: list[tuple[str, object]]
    answers = False

    def __getattr__(self, name: str) -> object:
        def call(*given: object) -> bool:
            self.told.append((name, given))
            return self.answers

        return call


@pytest.mark.parametrize("answers", [True, False])
def test_where_vtk_has_openxr_the_world_is_given_to_it(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a headset makes of it nobody has seen; these are VTK's names for it."""
    told: list[tuple[str, object]] = []
    kind = type("Kind", (Fake,), {"told": told, "answers": answers})
    names = ("RenderWindow", "Renderer", "RenderWindowInteractor", "Camera")
    module = types.SimpleNamespace(**{f"vtkOpenXR{name}": kind for name in names})
    monkeypatch.setitem(sys.modules, "vtkmodules.vtkRenderingOpenXR", module)  # type: ignore[arg-type]  # a fake
    with contextlib.nullcontext() if answers else pytest.raises(RenderError, match="runtime or headset"):
        openxr.open_headset(shop())
    calls = [name for name, _ in told]
    assert calls.count("AddActor") > 5
    assert ("Start" in calls, "Finalize" in calls) == (answers, answers)


SCRIPT = """
from support.scenes import SHOP_EDGES, SHOP_NODES
from tracescape_render import Snapshot, Start, build_scene, open_window

def source():
    scene = build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0)
    return Snapshot(scene, SHOP_NODES, SHOP_EDGES, 60.0, "here", False, 1_000)

def right(name):
    stage = window_.world.stage
    x, y = stage.on_screen(stage.body_of(name, reveal=False), -1)
    from PySide6.QtCore import QPoint
    where = window_.world.canvas.mapToGlobal(QPoint(round(x) + stage.size[0], stage.size[1] - 1 - round(y)))
    return where.x(), where.y()

def ready(window):
    global window_
    window_ = window
    drive(window)

open_window(source, refresh_s=None, start=Start(size=(1280, 800)), on_ready=ready)
say("closed")
"""


def test_a_key_shows_the_window_to_two_eyes_and_back(display: str, tmp_path: Path) -> None:
    with contextlib.closing(Running(SCRIPT, display, tmp_path)) as window:
        window.until("ready")
        whole = window.ask("window.world.stage.size")
        window.key("z")
        window.wait("window.world.stereo")
        assert window.ask("window.world.stage.size") == (whole[0] // 2, whole[1])
        assert "--stereo" in window.ask("window.taking.command()")
        window.point("cart")
        window.wait("window.world.hovered is not None")
        tip = "(lambda one, two: two.isVisible() and one.text() == two.text() and two.x() - one.x())"
        window.wait(f"{tip}(window.world._tip, window.world._twin) == window.world.canvas.width() // 2")
        for name in ("cart", "checkout"):
            window.click(name)
            window.wait(f"window.selected == {name!r}")
            window.key("Escape")
            window.wait("window.selected is None and not window.panel.isVisible()")
            window.wait("not window.world._dirty")
            window.xdotool("mousemove", *map(str, window.ask(f"right({name!r})")))
            window.xdotool("click", "1")
            window.wait(f"window.selected == {name!r}")
            window.key("Escape")
            window.wait("window.selected is None and not window.panel.isVisible()")
        window.key("z")
        window.wait("not window.world.stereo")
        assert window.ask("window.world.stage.size") == whole
        assert not window.ask("window.world._twin.isVisible()")
        window.last_key("q")
        window.until("closed")
