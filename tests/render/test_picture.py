"""Pictures without a display: the right colour at the right place, labels that can be read, clear errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import pyvista as pv
from numpy.typing import NDArray

from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes, ring
from tracescape_render import RenderError, screenshot, system
from tracescape_render.camera import to_screen
from tracescape_render.palette import DARK, STATES, THEMES, Theme
from tracescape_render.picture import off_screen_plotter
from tracescape_render.scene import Scene, build_scene
from tracescape_render.stage import Stage

SIZE = (1200, 700)


def drawn(scene: Scene, theme: Theme = DARK) -> tuple[Stage, NDArray[np.float64], pv.Plotter]:
    """The stage, and its picture with row 0 at the bottom."""
    plotter = off_screen_plotter(SIZE)
    stage = Stage(plotter, theme=theme)
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
    assert max(found["absent"]) < 80, "black, but for its hatching"


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


def like(
    image: NDArray[np.float64], colour: tuple[int, int, int], rect: tuple[float, float, float, float]
) -> float:
    """The share of a rectangle's pixels whose colour is ``colour``, give or take a little shading."""
    left, bottom, right, top = (int(edge) for edge in rect)
    part = image[max(bottom, 0) : top, max(left, 0) : right].reshape(-1, 3)
    return float((np.abs(part - np.array(colour)).max(axis=1) <= 40).mean())


def sick_shop(cause: str | None) -> Scene:
    rows = [("web", "service", 900, "degraded"), ("cart", "service", 300, "healthy")]
    rows += [("checkout", "service", 90, "failing"), ("bank", "external", 80, "failing")]
    calls = edges(("web", "cart"), ("web", "checkout"), ("checkout", "bank"))
    places = {
        "web": (-9.0, 0.0, 6.0),
        "cart": (-4.0, -3.0, 4.5),
        "checkout": (0.0, 1.0, 4.5),
        "bank": (8.0, 0.0, 3.0),
    }
    found = None
    if cause is not None:
        row = {"kind": "slow work", "service": cause, "source": None, "target": None}
        found = pl.DataFrame([{**row, "before_ns": 1_000_000, "after_ns": 9_000_000}])
    return build_scene(nodes(*rows), calls, seconds=60.0, positions=places, causes=found)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())
def test_the_beacon_is_a_shaft_over_the_cause_and_over_nobody_else(theme: Theme) -> None:
    stage, image, plotter = drawn(sick_shop("bank"), theme)
    scene = stage.scene
    assert scene is not None
    rises = scene.positions[:, 2].max() + np.linspace(0.8, 1.8, 40)
    shares = {}
    for name, (x, y, _) in zip(scene.services, scene.positions.tolist(), strict=True):
        line = np.column_stack([np.full(40, x), np.full(40, y), rises]).astype(np.float32)
        pixels = to_screen(line, stage.projection(), SIZE)[0].astype(int)
        off = np.abs(image[pixels[:, 1], pixels[:, 0]] - np.array(theme.cause)).max(axis=1)
        shares[name] = float((off <= 60).mean())
    plotter.close()
    assert shares.pop("bank") > 0.9
    assert max(shares.values()) == 0.0, "and a wrong colour or place would not pass either"


def test_without_a_cause_nothing_has_its_colour() -> None:
    _, image, plotter = drawn(sick_shop(None))
    plotter.close()
    assert like(image, DARK.cause, (0, 0, *SIZE)) < 1e-4


def test_a_rim_is_red_in_front_by_the_share_that_fails_and_green_behind() -> None:
    """Half of the bodies fail and a quarter is degraded: so does the rim."""
    stage, image, plotter = drawn(sick_shop(None))
    scene = stage.scene
    assert scene is not None
    outline = scene.plates[0]
    first = int(np.argmin(outline[:, 1]))
    closed = np.vstack([outline[first:], outline[: first + 1]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.linspace(0, way[-1], 400, endpoint=False)
    points = np.column_stack(
        [np.interp(at, way, closed[:, 0]), np.interp(at, way, closed[:, 1]), 0.05 + 0 * at]
    )
    xy, _ = to_screen(points.astype(np.float32), stage.projection(), SIZE)
    plotter.close()
    pixels = np.array([image[int(y), int(x)] for x, y in xy])

    def share(colour: tuple[int, int, int]) -> float:
        return float((np.abs(pixels - np.array(colour)).max(axis=1) <= 40).mean())

    assert share(DARK.marks[STATES.index("failing")]) == pytest.approx(0.5, abs=0.06)
    assert 0.1 < share(DARK.marks[STATES.index("degraded")]) < 0.25, "a quarter, in dashes"


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())
def test_what_is_absent_is_seen_on_every_ground(theme: Theme) -> None:
    """A void with hatching: both its colours are in it, and one is far from the plate's."""
    stage, image, plotter = drawn(spheres("absent", "healthy"), theme)
    x, y = stage.on_screen(0)
    scene = stage.scene
    assert scene is not None
    edge = to_screen(scene.positions[:1] + [[scene.radii[0], 0, 0]], stage.projection(), SIZE)[0][0, 0]
    plotter.close()
    reach = 0.7 * (edge - x)
    body = (x - reach, y - reach, x + reach, y + reach)
    assert 0.15 < like(image, theme.marks[STATES.index("absent")], body) < 0.7
    contrast = np.abs(np.array(theme.marks[STATES.index("absent")]) - np.array(theme.plate)).min()
    assert contrast > 120


def test_the_flag_and_all_labels_keep_clear_of_each_other_and_stay_in_the_picture() -> None:
    rows, calls = crowd(60)
    first = {"kind": "slow work", "service": "service-with-a-name-8", "source": None, "target": None}
    sick = rows.with_columns(
        state=pl.when(pl.col("service") == "service-with-a-name-0").then(pl.lit("failing")).otherwise("state")
    )
    scene = build_scene(sick, calls, seconds=1.0, causes=pl.DataFrame([first]))
    for size in ((1600, 900), (900, 700)):
        plotter = off_screen_plotter(size)
        stage = Stage(plotter)
        stage.show(scene)
        for place in (None, 8, 50):
            if place is not None:
                stage.go_to(place)
                stage.relabel()
            rects = [*stage.label_rects.values(), *stage.island_rects.values()]
            rects += [stage.flag_rect] if stage.flag_rect is not None else []
            assert not any(a.overlaps(b) for i, a in enumerate(rects) for b in rects[:i])
            assert all(rect.within(size) for rect in rects)
            if place is None:
                assert stage.flag_rect is not None
                assert scene.services.index("service-with-a-name-0") in stage.label_rects, "the victim"
                assert stage.island_rects, "and islands are named where there is room"
        plotter.close()


def test_another_theme_repaints_what_is_there() -> None:
    stage, before, plotter = drawn(sick_shop("bank"))
    stage.select(1)
    view = stage.view()
    stage.use(THEMES["light"])
    plotter.render_window.Render()
    after = np.asarray(plotter.screenshot(return_img=True), float)
    plotter.close()
    assert before.mean() < 60 < 180 < after.mean()
    assert stage.selected == 1
    assert np.allclose(stage.view().position, view.position)


def test_going_to_the_worst_is_going_to_the_beacon() -> None:
    stage, _, plotter = drawn(sick_shop("bank"))
    far = np.subtract(stage.view().position, stage.view().focus)
    stage.go_to_worst()
    focus, near = stage.view().focus, np.subtract(stage.view().position, stage.view().focus)
    plotter.close()
    assert stage.scene is not None and stage.scene.beacon is not None
    assert np.allclose(focus, stage.scene.beacon, atol=1e-4)
    assert np.linalg.norm(near) < np.linalg.norm(far)


def test_a_picture_is_written_whole_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "scene.png"
    path.write_bytes(b"old")
    assert screenshot(build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0), path, size=(640, 360)) == path
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert list(tmp_path.iterdir()) == [path], "no draft is left behind"


def test_a_picture_says_which_renderer_drew_it(tmp_path: Path) -> None:
    plotter = off_screen_plotter((64, 48))
    plotter.render_window.Render()
    name = Stage(plotter).settle()
    plotter.close()
    path = screenshot(build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0), tmp_path / "a.png", size=(64, 48))
    assert name != "unknown"
    assert b"Renderer\0" + name.encode() in path.read_bytes()


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


def test_a_large_world_is_drawn_as_islands_that_open_on_a_click() -> None:
    plotter = off_screen_plotter((900, 600))
    stage = Stage(plotter, moving=True)
    stage.show(build_scene(*ring(4_000, sick=[9]), seconds=1.0))
    scene = stage.scene
    assert scene is not None and stage.whole is not None
    assert len(stage.whole.positions) == 4_000
    assert len(scene.positions) <= stage.profile.budget.bodies
    assert plotter.renderer.GetActors().GetNumberOfItems() <= 13
    assert "s9" in scene.services, "the sick are not inside of an island"
    islands = [body for body in range(len(scene.positions)) if stage.is_group(body)]
    island = min(islands, key=lambda body: float(scene.positions[body, 1]))  # in front of all others
    assert stage.service_of(island) is None
    plotter.render_window.Render()
    image = np.asarray(plotter.screenshot(return_img=True), float)[::-1]
    red, green, blue = colour_at(stage, image, island)
    assert green > 1.4 * red and green > 1.1 * blue, "an island whose services are well is green"
    found = stage.body_at(*stage.on_screen(island))
    assert found == island
    assert stage.open(island)
    assert not stage.is_group(stage.body_of("s9") or 0)
    stage.look(stage.overview())
    hidden = next(name for name in stage.whole.services if name not in stage.scene.services)
    body = stage.body_of(hidden)
    plotter.close()
    assert body is not None and stage.service_of(body) == hidden


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
    needed = system.missing_packages(display=True)
    assert {"libegl1", "libgl1", "libgl1-mesa-dri", "libx11-6", "libxcursor1"} <= set(needed)
    assert {"libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxkbcommon-x11-0"} <= set(needed)
    assert needed == sorted(set(needed))


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
