"""Pictures without a display: the right colour at the right place, labels that can be read, clear errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from numpy.typing import NDArray

from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes
from tracescape_render import RenderError, screenshot, system
from tracescape_render.palette import STATES
from tracescape_render.picture import off_screen_plotter
from tracescape_render.scene import Scene, build_scene
from tracescape_render.stage import Stage

SIZE = (1200, 700)


def drawn(scene: Scene) -> tuple[Stage, NDArray[np.float64], pv.Plotter]:
    """The stage, and its picture with row 0 at the bottom."""
    plotter = off_screen_plotter(SIZE)
    stage = Stage(plotter)
    stage.labels_on = False
    stage.show(scene)
    plotter.render_window.Render()
    image = plotter.screenshot(return_img=True)
    return stage, np.asarray(image, float)[::-1], plotter


def colour_at(stage: Stage, image: NDArray[np.float64], body: int) -> NDArray[np.float64]:
    x, y = stage.on_screen(body)
    patch = image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
    mean: NDArray[np.float64] = patch.reshape(-1, 3).mean(axis=0)
    return mean


def spheres(*states: str) -> Scene:
    """Bodies side by side, one a state, of the same shape and without arcs in front."""
    rows = [(f"s{i}", "service", 100, state) for i, state in enumerate(states)]
    places = {f"s{i}": (6.0 * i, 0.0, 2.0) for i in range(len(states))}
    return build_scene(nodes(*rows), edges(), seconds=1.0, positions=places)


def test_every_state_has_its_colour_on_the_screen() -> None:
    scene = spheres(*STATES)
    stage, image, plotter = drawn(scene)
    found = {state: colour_at(stage, image, i) for i, state in enumerate(STATES)}
    plotter.close()
    red, green, blue = found["healthy"]
    assert green > 1.4 * red and green > 1.1 * blue and green > 90
    red, green, blue = found["degraded"]
    assert red > 1.15 * green > 1.3 * blue
    red, green, blue = found["failing"]
    assert red > 2 * green and red > 2 * blue and red > 110
    assert max(found["idle"]) - min(found["idle"]) < 45
    assert max(found["absent"]) < 60, "black"


def test_the_unhealthy_wear_rings_and_the_healthy_do_not() -> None:
    """Never colour alone: the ground beside a body is brighter where there is a ring."""
    stage, image, plotter = drawn(spheres("healthy", "failing", "absent"))
    scene = stage.scene
    assert scene is not None
    brightness = []
    for body in range(3):
        x, y = stage.on_screen(body)
        width = 700 * scene.radii[body] / 60
        band = image[int(y) - 12 : int(y) + 12, int(x - 6 * width) : int(x + 6 * width)]
        brightness.append(
            np.percentile(band.max(axis=2), 97) if body != 1 else np.percentile(band[:, :, 0], 97)
        )
    plotter.close()
    assert brightness[2] > 120, "the bright cage of what is absent"
    assert brightness[1] > 200


def test_a_picture_is_written_whole_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "scene.png"
    path.write_bytes(b"old")
    assert screenshot(build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0), path, size=(640, 360)) == path
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert list(tmp_path.iterdir()) == [path], "no draft is left behind"


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_any_number_of_services_gives_a_picture(tmp_path: Path, count: int) -> None:
    scene = build_scene(*crowd(count), seconds=1.0) if count else build_scene(nodes(), edges(), seconds=1.0)
    screenshot(scene, tmp_path / "x.png", size=(320, 200))
    assert (tmp_path / "x.png").stat().st_size > 1_000


def test_the_labels_of_twenty_eight_services_can_all_be_read() -> None:
    scene = build_scene(*crowd(28), seconds=1.0)
    plotter = off_screen_plotter((1600, 900))
    stage = Stage(plotter)
    stage.show(scene)
    rects = list(stage.label_rects.values())
    plotter.close()
    assert len(rects) == 28
    assert not any(a.overlaps(b) for i, a in enumerate(rects) for b in rects[:i])
    for rect in rects:
        assert rect.left >= 0 and rect.bottom >= 0 and rect.right <= 1600 and rect.top <= 900
        assert rect.right - rect.left > 100, "a label is as wide as its text"


def test_a_scene_takes_few_actors_whatever_its_size() -> None:
    counts = []
    for size in (10, 300):
        plotter = off_screen_plotter((320, 200))
        stage = Stage(plotter)
        stage.show(build_scene(*crowd(size), seconds=1.0))
        counts.append(plotter.renderer.GetActors().GetNumberOfItems())
        plotter.close()
    assert counts[0] == counts[1] <= 12


def test_showing_another_scene_removes_the_old_one() -> None:
    plotter = off_screen_plotter((320, 200))
    stage = Stage(plotter)
    stage.show(build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0))
    before = plotter.renderer.GetActors().GetNumberOfItems()
    stage.select(3)
    for _ in range(5):
        stage.show(build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0), keep_view=True)
    assert plotter.renderer.GetActors().GetNumberOfItems() == before
    assert stage.selected == 3, "the selection stays with its service"
    stage.show(build_scene(nodes(("other", "service", 1, "healthy")), edges(), seconds=1.0))
    assert stage.selected is None
    plotter.close()


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    scene = build_scene(nodes(), edges(), seconds=1.0)
    with pytest.raises(RenderError, match="folder .*nowhere does not exist"):
        screenshot(scene, tmp_path / "nowhere" / "x.png")
    with pytest.raises(RenderError, match="is a folder"):
        screenshot(scene, tmp_path)


def test_missing_libraries_are_named_instead_of_crashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_loads", lambda library: False)
    monkeypatch.setattr(system.glob, "glob", lambda pattern: [])
    with pytest.raises(RenderError, match="apt-get install -y libegl1 libgl1-mesa-dri"):
        screenshot(build_scene(nodes(), edges(), seconds=1.0), tmp_path / "x.png")
    assert system.missing_packages(display=True) == [
        "libegl1",
        "libgl1",
        "libgl1-mesa-dri",
        "libx11-6",
        "libxcursor1",
    ]


def test_the_library_check_runs_before_anything_is_installed() -> None:
    """`python -S -I` has no site-packages: the check must not need them."""
    result = subprocess.run(
        [sys.executable, "-I", "-S", system.__file__],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == ""
