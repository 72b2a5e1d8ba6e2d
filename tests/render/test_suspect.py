"""Whom a diagnosis suspects without proof: a small flag that says so, and nothing else changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
import pyvista as pv
from numpy.typing import NDArray

from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes, ring
from tracescape_render.camera import to_screen
from tracescape_render.detail import detailed
from tracescape_render.focus import Focus, narrowed, within
from tracescape_render.palette import DARK, THEMES, Theme
from tracescape_render.picture import off_screen_plotter
from tracescape_render.renderer import Budget
from tracescape_render.scene import Scene, build_scene, suspect_ring, top_of_beacon, top_of_suspect
from tracescape_render.stage import Stage
from tracescape_render.verdict import SUSPECT_P_VALUE, SUSPECT_SCORE, SUSPECT_TRACES, leading

CALM = SHOP_NODES.with_columns(state=pl.lit("healthy"), errors=pl.lit(0))
SIZE = (1200, 700)


def suspects(**first: Any) -> pl.DataFrame:
    """A first suspect against whom just enough speaks."""
    row = {
        "kind": "changed behaviour",
        "service": "checkout",
        "source": None,
        "target": None,
        "item": "/shop.Checkout/SendConfirmation",
        "named": False,
        "score": SUSPECT_SCORE,
        "p_value": SUSPECT_P_VALUE,
        "traces": SUSPECT_TRACES,
        "before_ns": None,
        "after_ns": None,
        "before_share": 0.97,
        "after_share": 0.0,
        "before_times": None,
        "after_times": None,
        **first,
    }
    return pl.DataFrame([row], infer_schema_length=None)


@dataclass
class Answer:
    """What a scene reads of a diagnosis."""

    suspects: pl.DataFrame
    found: bool = False

    @property
    def causes(self) -> pl.DataFrame:
        return self.suspects.filter("named")


def suspected(**first: Any) -> Scene:
    return build_scene(CALM, SHOP_EDGES, seconds=60.0, caption="a shop", causes=suspects(**first))


def test_a_suspect_is_told_with_its_numbers_and_without_a_word_of_alarm() -> None:
    scene = suspected()
    assert scene.suspect is not None
    assert scene.services[scene.suspect.body] == "checkout"
    assert scene.suspect.reason == "changed behaviour: SendConfirmation 97 % → 0 % of requests"
    assert scene.headline == "Nothing significant"
    assert scene.caption == "suspect, not proved: checkout · a shop"
    assert scene.cause is None and scene.beacon is None


def test_nobody_recedes_for_a_suspect_and_no_arc_is_lit() -> None:
    scene, plain = suspected(), build_scene(CALM, SHOP_EDGES, seconds=60.0)
    for name in ("seen", "arc_seen", "priority", "state"):
        assert np.array_equal(getattr(scene, name), getattr(plain, name)), name


@pytest.mark.parametrize(
    "weak",
    [{"p_value": 1.01 * SUSPECT_P_VALUE}, {"score": 0.99 * SUSPECT_SCORE}, {"traces": SUSPECT_TRACES - 1}],
    ids=lambda weak: next(iter(weak)),
)
def test_a_suspect_against_whom_too_little_speaks_is_not_told(weak: dict[str, Any]) -> None:
    assert len(leading(Answer(suspects()))) == 1  # type: ignore[arg-type]  # what a scene reads
    assert leading(Answer(suspects(**weak))).is_empty()  # type: ignore[arg-type]  # the same


def test_causes_leave_no_room_for_suspects_and_a_searched_time_has_none() -> None:
    both = pl.concat([suspects(service="web", named=True), suspects()])
    assert leading(Answer(both))["service"].to_list() == ["web"]  # type: ignore[arg-type]  # the same
    assert leading(Answer(suspects(), found=True)).is_empty()  # type: ignore[arg-type]  # the same
    scene = build_scene(CALM, SHOP_EDGES, seconds=60.0, causes=both)
    assert scene.suspect is None and scene.cause is not None


def test_a_second_suspect_does_not_stand_for_a_first_that_is_weak() -> None:
    rows = pl.concat([suspects(service="web", traces=1), suspects()])
    assert leading(Answer(rows)).is_empty()  # type: ignore[arg-type]  # what a scene reads


def test_a_suspect_who_is_not_in_the_view_is_not_in_the_scene() -> None:
    scene = suspected(service="elsewhere")
    assert scene.suspect is None
    assert (scene.headline, scene.caption) == ("Nothing significant", "a shop")


def test_the_worst_is_who_is_unwell_and_only_else_the_suspect() -> None:
    assert suspected().worst() == suspected().services.index("checkout")
    sick = build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0, causes=suspects(service="cart"))
    assert sick.services[sick.worst() or 0] == "checkout", "it fails"
    assert build_scene(CALM, SHOP_EDGES, seconds=60.0).worst() is None


def test_a_focus_keeps_the_suspect_with_its_body_and_drops_it_with_it() -> None:
    scene = suspected()
    near = narrowed(scene, within(scene, Focus("checkout", 1)))
    assert near.suspect is not None and near.services[near.suspect.body] == "checkout"
    assert narrowed(scene, within(scene, Focus("email", 0))).suspect is None


def test_a_suspect_stands_by_itself_in_a_large_world() -> None:
    scene = build_scene(*ring(400), seconds=10.0, causes=suspects(service="s9"))
    drawn = detailed(scene, Budget(80, 400)).scene
    assert drawn.suspect is not None
    assert drawn.services[drawn.suspect.body] == "s9"


def _drawn(scene: Scene, theme: Theme = DARK) -> tuple[Stage, NDArray[np.float64], pv.Plotter]:
    """The stage, its picture with row 0 at the bottom, and what keeps both."""
    plotter = off_screen_plotter(SIZE)
    stage = Stage(plotter, theme=theme)
    stage.show(scene)
    plotter.render_window.Render()
    image = np.asarray(plotter.screenshot(return_img=True), float)[::-1]
    return stage, image, plotter


@pytest.mark.parametrize("theme", [THEMES["dark"], THEMES["light"]], ids=["dark", "light"])
def test_its_mark_has_none_of_the_beacons_colour(theme: Theme) -> None:
    _, image, plotter = _drawn(suspected(), theme)
    plotter.close()
    assert (np.abs(image - np.array(theme.cause)).max(axis=2) < 40).sum() == 0


def test_its_ring_is_drawn_around_it_and_is_broken() -> None:
    scene = suspected()
    assert scene.suspect is not None
    stage, image, plotter = _drawn(scene)
    _, without, other = _drawn(build_scene(CALM, SHOP_EDGES, seconds=60.0, caption="a shop"))
    changed = np.abs(image - without).max(axis=2) > 30
    angle, radius = np.linspace(0, 2 * np.pi, 240, endpoint=False), suspect_ring(scene)
    ring = radius * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(240)])
    points = (scene.positions[scene.suspect.body] + ring).astype(np.float32)
    xy, _ = to_screen(points, stage.projection(), SIZE)
    on = [changed[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].any() for x, y in xy]
    plotter.close()
    other.close()
    assert 0.5 < np.mean(on) < 0.97, "four parts with gaps between them"


def test_its_flag_is_small_near_it_and_covers_no_label() -> None:
    scene = suspected()
    assert scene.suspect is not None
    stage, _, plotter = _drawn(scene)
    flag, labels = stage.flag_rect, stage.label_rects
    x, y = stage.on_screen(scene.suspect.body)
    plotter.close()
    assert flag is not None and flag.within(SIZE)
    assert labels and not any(flag.overlaps(rect) for rect in labels.values())
    assert scene.suspect.body not in labels, "the flag names it"
    assert abs((flag.left + flag.right) / 2 - x) < 320 and abs(flag.bottom - y) < 250


@pytest.mark.parametrize("number", range(8, 40, 5))
def test_in_a_crowd_its_flag_covers_few_bodies_and_no_label_covers_it(number: int) -> None:
    scene = build_scene(*crowd(40), seconds=1.0, causes=suspects(service=f"service-with-a-name-{number}"))
    stage, _, plotter = _drawn(scene)
    flag, labels = stage.flag_rect, list(stage.label_rects.values())
    middles = [stage.on_screen(body) for body in range(40)]
    stage.labels_on = False
    stage.relabel()
    lines = stage.leaders.copy()
    plotter.close()
    assert flag is not None and scene.suspect is not None
    assert not any(flag.overlaps(rect) for rect in labels)
    covered = [flag.left < x < flag.right and flag.bottom < y < flag.top for x, y in middles]
    assert sum(covered) <= 1 and not covered[scene.suspect.body]
    assert len(lines) == 1, "from the flag to the end of its dashed line"


def test_it_stays_below_where_a_beacon_would_end() -> None:
    named = build_scene(CALM, SHOP_EDGES, seconds=60.0, causes=suspects(named=True))
    assert top_of_suspect(suspected())[2] < top_of_beacon(named)[2]


def test_a_hostile_suspect_is_shown_safely() -> None:
    name = "\u202eche\nckout" * 400
    scene = build_scene(
        nodes((name, "service", 50, "healthy")),
        edges(),
        seconds=1.0,
        causes=suspects(service=name, item="\x1b[31m\n" * 500),
    )
    assert scene.suspect is not None
    for text in (scene.suspect.name, scene.suspect.reason, scene.caption):
        assert len(text) < 120 and text.isprintable()
