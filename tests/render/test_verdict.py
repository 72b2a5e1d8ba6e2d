"""A diagnosis in the scene: one beacon, on whom the diagnosis names; who suffers, and by which way."""

import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from vtkmodules.vtkRenderingCore import vtkRenderer

from support.scenes import SHOP_EDGES, SHOP_NODES, crowd, edges, nodes
from tracescape_render.camera import close_up, overview
from tracescape_render.painting import LEAST_ARC, paint, rim_segments
from tracescape_render.palette import DARK, STATES, THEMES
from tracescape_render.scene import REST_SEEN, VICTIM_SEEN, Scene, build_scene, top_of_beacon
from tracescape_render.verdict import reason
from tracescape_render.words import Words

#: web and checkout suffer because the bank is slow; cart has trouble of its own.
SICK_NODES = nodes(
    ("user", "entry", 900, "healthy"),
    ("web", "service", 900, "degraded"),
    ("cart", "service", 300, "degraded"),
    ("checkout", "service", 90, "failing"),
    ("orders", "queue", 80, "healthy"),
    ("email", "service", 50, "absent"),
    ("postgresql", "database", 400, "healthy"),
    ("bank.example", "external", 80, "failing"),
)
SICK_EDGES = edges(
    ("user", "web"),
    ("web", "cart"),
    ("web", "checkout"),
    ("checkout", "orders"),
    ("orders", "email"),
    ("checkout", "bank.example"),
    ("cart", "postgresql"),
)


def causes(**first: Any) -> pl.DataFrame:
    """What ``store.diagnose().causes`` holds of a first cause."""
    row: dict[str, Any] = {
        "rank": 1,
        "kind": "slow work",
        "service": "checkout",
        "source": None,
        "target": None,
        "before_ns": 8_000_000,
        "after_ns": 212_000_000,
        "before_share": None,
        "after_share": None,
        "before_times": None,
        "after_times": None,
        **first,
    }
    return pl.DataFrame([row], infer_schema_length=None)


def diagnosed(**first: Any) -> Scene:
    return build_scene(SICK_NODES, SICK_EDGES, seconds=60.0, causes=causes(**first))


def named(scene: Scene, bodies: Any) -> list[str]:
    return [scene.services[i] for i in bodies]


def joined(scene: Scene, arcs: Any) -> set[tuple[str, str]]:
    return {(scene.services[scene.source[a]], scene.services[scene.target[a]]) for a in arcs}


def test_the_beacon_stands_on_the_first_cause_and_ends_above_everything() -> None:
    scene = diagnosed(service="bank.example", kind="slow calls to it")
    assert scene.cause is not None and scene.beacon is not None
    body = scene.services.index("bank.example")
    assert (scene.cause.body, scene.cause.arc) == (body, None)
    assert np.array_equal(scene.beacon, scene.positions[body])
    assert top_of_beacon(scene)[:2].tolist() == scene.beacon[:2].tolist()
    assert top_of_beacon(scene)[2] > scene.positions[:, 2].max() + 2
    assert scene.cause.reason == "slow calls: 8 ms → 212 ms a trace (geometric mean)"
    assert scene.headline == "bank.example is the likely cause · 2 suffer from it"


def test_where_nobody_is_unwell_the_headline_says_so_beside_the_cause() -> None:
    well = SHOP_NODES.with_columns(state=pl.lit("healthy"))
    scene = build_scene(well, SHOP_EDGES, seconds=60.0, causes=causes(service="bank.example"))
    said = "bank.example is the likely cause of what changed · nothing is degraded or failing"
    assert scene.headline == said


def test_a_cause_that_is_over_and_well_again_is_told_as_past_and_calmly() -> None:
    over_ns = 1_760_000_100_000_000_000
    clock = time.strftime("%H:%M:%S", time.localtime(over_ns / 1e9))
    well = SHOP_NODES.with_columns(state=pl.lit("healthy"))
    first = causes(service="bank.example", kind="slow calls to it", over_ns=over_ns)
    scene = build_scene(well, SHOP_EDGES, seconds=60.0, causes=first)
    assert scene.cause is not None
    assert scene.cause.over == f"was slow until {clock}"
    assert scene.headline == f"bank.example was slow until {clock} · nothing is degraded or failing"
    words = Words(vtkRenderer())
    words.use(scene, DARK)
    words.place(np.eye(4), (1280, 720))
    legend = [text for text, _ in words.legend]
    assert "┃ was the likely cause" in legend and "┃ likely cause" not in legend
    inks = {actor.GetTextProperty().GetColor() for actor in (words._headline, words._flag)}
    assert inks == {tuple(part / 255 for part in DARK.text)}
    partly = build_scene(
        SICK_NODES.with_columns(
            state=pl.when(pl.col("service") == "bank.example").then(pl.lit("healthy")).otherwise("state")
        ),
        SICK_EDGES,
        seconds=60.0,
        causes=first,
    )
    assert partly.headline == f"bank.example was slow until {clock} · 2 suffered from it"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "errors", "before_ns": None, "after_ns": None}, "failed"),
        ({"kind": "changed behaviour", "before_ns": None, "after_ns": None}, "was at fault"),
        ({"kind": "slow work", "before_ns": 9, "after_ns": 8}, "was at fault"),
    ],
)
def test_what_is_over_is_told_by_its_kind(more: dict[str, Any], words: str) -> None:
    well = SHOP_NODES.with_columns(state=pl.lit("healthy"))
    first = causes(service="bank.example", over_ns=1_760_000_100_000_000_000, **more)
    scene = build_scene(well, SHOP_EDGES, seconds=60.0, causes=first)
    assert scene.cause is not None and scene.cause.over.startswith(f"{words} until ")


def test_who_is_still_sick_in_the_time_that_is_looked_back_on_is_the_likely_cause_until_then() -> None:
    scene = diagnosed(service="checkout", over_ns=1_760_000_100_000_000_000)
    assert scene.cause is not None
    assert not scene.cause.over and " · until " in scene.cause.reason
    assert "is the likely cause" in scene.headline
    assert "until" not in (diagnosed(service="checkout").cause or scene.cause).reason


def test_those_who_suffer_are_the_sick_above_the_cause_and_linked_to_it() -> None:
    scene = diagnosed(service="bank.example")
    assert scene.cause is not None
    assert named(scene, scene.cause.victims) == ["checkout", "web"], "nearest first"
    assert joined(scene, scene.cause.links) == {("checkout", "bank.example"), ("web", "checkout")}


def test_who_is_healthy_or_sick_by_itself_does_not_suffer_from_it() -> None:
    scene = diagnosed(service="bank.example")
    assert scene.cause is not None
    assert not {"user", "cart", "orders", "email"} & set(named(scene, scene.cause.victims))


def test_where_nobody_above_is_sick_those_below_suffer_also_behind_a_queue() -> None:
    calm_above = SICK_NODES.with_columns(
        state=pl.when(pl.col("service") == "email").then(pl.lit("absent")).otherwise(pl.lit("healthy"))
    )
    scene = build_scene(calm_above, SICK_EDGES, seconds=60.0, causes=causes(kind="changed behaviour"))
    assert scene.cause is not None
    assert named(scene, scene.cause.victims) == ["email"]
    assert joined(scene, scene.cause.links) == {("checkout", "orders"), ("orders", "email")}


def test_the_cause_stands_out_its_victims_are_muted_and_the_rest_recedes() -> None:
    scene = diagnosed(service="bank.example")
    assert scene.cause is not None
    seen = dict(zip(scene.services, scene.seen.tolist(), strict=True))
    assert seen["bank.example"] == 1.0
    assert seen["web"] == seen["checkout"] == VICTIM_SEEN
    assert seen["user"] == seen["orders"] == seen["postgresql"] == pytest.approx(REST_SEEN)
    assert VICTIM_SEEN > REST_SEEN
    others = np.setdiff1d(np.arange(len(scene.source)), scene.cause.links)
    assert (scene.arc_seen[scene.cause.links] == 1.0).all()
    assert scene.arc_seen[others].max() < 0.5
    order = np.argsort(-scene.priority)
    assert named(scene, order[:3])[0] == "bank.example"
    assert set(named(scene, order[1:3])) == {"checkout", "web"}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())
def test_only_the_way_to_the_cause_has_its_colour_and_the_rest_fades_to_the_ground(theme: Any) -> None:
    scene = diagnosed(service="bank.example")
    assert scene.cause is not None
    painted = paint(scene, theme)
    worn = [*painted.marks.tolist(), *painted.bodies.tolist()]
    assert list(theme.cause) not in worn, "the beacon alone says it, bodies keep their state's colour"
    lit = {arc for arc, rgb in enumerate(painted.arcs[:, :3].tolist()) if tuple(rgb) == theme.cause}
    assert lit == set(scene.cause.links.tolist())
    ground = np.array(theme.plate, float)
    away = np.linalg.norm(painted.bodies - ground, axis=1)
    full = np.linalg.norm(np.array(theme.states)[scene.state] - ground, axis=1)
    assert away[scene.services.index("user")] == pytest.approx(
        REST_SEEN**theme.fading * full[scene.services.index("user")], abs=2
    )


def test_a_connection_at_fault_has_the_beacon_on_its_middle() -> None:
    scene = diagnosed(service="checkout", kind="slow calls to it", source="web", target="checkout")
    assert scene.cause is not None and scene.cause.arc is not None and scene.beacon is not None
    assert joined(scene, [scene.cause.arc]) == {("web", "checkout")}
    assert scene.cause.name == "web → checkout"
    ends = scene.positions[[scene.services.index("web"), scene.services.index("checkout")]]
    away = np.linalg.norm(ends - scene.beacon, axis=1)
    assert away == pytest.approx(np.full(2, np.linalg.norm(ends[0] - ends[1]) / 2), rel=0.25)
    assert named(scene, scene.cause.ends) == ["web", "checkout"]
    assert scene.seen[scene.cause.ends].tolist() == [1.0, 1.0]
    assert scene.arc_seen[scene.cause.arc] == 1.0
    assert named(scene, scene.cause.victims) == ["web"], "the caller, which is sick"


@pytest.mark.parametrize(
    "first",
    [
        {
            "service": "bank.example",
            "kind": "slow calls to it",
            "source": "checkout",
            "target": "bank.example",
        },
        {"service": "checkout", "kind": "slow calls from it", "source": "checkout", "target": None},
        {"service": "checkout", "kind": "more calls", "source": "checkout", "target": "web"},
    ],
    ids=["a database is known by its calls alone", "to many", "it is the caller who repeats"],
)
def test_calls_whose_callee_or_caller_is_to_blame_have_the_beacon_on_that(first: dict[str, Any]) -> None:
    scene = diagnosed(**first)
    assert scene.cause is not None
    assert scene.cause.arc is None
    assert scene.services[scene.cause.body] == first["service"]


@pytest.mark.parametrize(
    ("found", "more"),
    [
        (None, ""),
        (causes().clear(), " · no significant cause"),
        (causes(service="elsewhere"), " · the likely cause, elsewhere, is not in this view"),
    ],
    ids=["nobody asked", "nothing significant", "not in the scene"],
)
def test_without_a_cause_to_be_seen_there_is_no_beacon(found: pl.DataFrame | None, more: str) -> None:
    scene = build_scene(SICK_NODES, SICK_EDGES, seconds=60.0, causes=found)
    assert scene.cause is None
    assert scene.beacon is None
    assert (scene.seen == 1.0).all()
    assert scene.headline == "2 failing, 2 degraded, 1 absent" + more


def test_the_headline_claims_no_more_than_was_looked_at() -> None:
    calm = nodes(("a", "service", 50, "healthy"), ("b", "service", 50, "healthy"))
    assert build_scene(calm, edges(("a", "b")), seconds=1.0).headline == "All is well"
    assert (
        build_scene(calm, edges(("a", "b")), seconds=1.0, causes=causes().clear()).headline
        == "Nothing significant"
    )
    one = build_scene(calm, edges(("a", "b"), state="degraded"), seconds=1.0)
    assert one.headline == "1 connection degraded"
    assert build_scene(nodes(), edges(), seconds=1.0).headline == ""


@pytest.mark.parametrize(
    ("state", "errors", "said"),
    [
        ("degraded", 2, "2.0 % errors"),
        ("degraded", 0, "p95 9 ms"),
        ("failing", 7, "7.0 % errors"),
        ("failing", 2, "p95 9 ms"),
        ("healthy", 7, ""),
        ("absent", 0, "gone quiet"),
    ],
)
def test_a_label_has_the_number_that_made_the_state(state: str, errors: int, said: str) -> None:
    rows = nodes(("a", "service", 100, state)).with_columns(errors=pl.lit(errors))
    assert list(build_scene(rows, edges(), seconds=1.0).subtitles) == [said]


def test_who_has_calls_and_is_idle_has_too_few_to_judge() -> None:
    rows = nodes(("a", "service", 17, "idle"), ("b", "service", 0, "idle"), ("c", "service", 90, "healthy"))
    said = [tooltip.splitlines()[1] for tooltip in build_scene(rows, edges(), seconds=1.0).tooltips]
    assert said == ["service · idle: too few calls to judge", "service · idle", "service · healthy"]


def test_the_worst_is_the_cause_though_another_looks_worse_and_going_there_is_going_to_the_beacon() -> None:
    scene = diagnosed(service="postgresql", kind="slow calls to it")
    assert scene.services[scene.worst() or 0] == "postgresql"
    assert build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0).services[3] == "checkout"
    assert scene.beacon is not None
    assert np.allclose(close_up(scene.beacon, overview(scene, 1.6)).focus, scene.beacon)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, "slow work: 8 ms → 212 ms a trace (geometric mean)"),
        (
            {"kind": "errors", "before_ns": None, "after_ns": None, "before_share": 0.0, "after_share": 0.19},
            "errors: 0 % → 19 % of traces",
        ),
        (
            {
                "kind": "changed behaviour",
                "before_ns": None,
                "after_ns": None,
                "before_share": 1.0,
                "after_share": 0.0,
            },
            "changed behaviour: 100 % → 0 % of requests",
        ),
        (
            {
                "kind": "more calls",
                "before_ns": None,
                "after_ns": None,
                "before_times": 1.0,
                "after_times": 12.0,
            },
            "more calls: 1× → 12× a request",
        ),
        (
            {
                "kind": "more calls",
                "item": "postgresql catalog",
                "before_ns": None,
                "after_ns": None,
                "before_times": 1.0,
                "after_times": 12.0,
            },
            "more calls: postgresql catalog 1× → 12× a request",
        ),
        (
            {
                "kind": "changed behaviour",
                "item": "/hipstershop.EmailService/SendOrderConfirmation",
                "before_ns": None,
                "after_ns": None,
                "before_share": 0.97,
                "after_share": 0.0,
            },
            "changed behaviour: SendOrderConfirmation 97 % → 0 % of requests",
        ),
        (
            {
                "kind": "changed behaviour",
                "item": "GET /api/products/{id}",
                "before_ns": None,
                "after_ns": None,
                "before_share": 0.5,
                "after_share": 0.25,
            },
            "changed behaviour: GET /api/products/{id} 50 % → 25 % of requests",
        ),
        ({"kind": "errors", "before_ns": None, "after_ns": None}, "errors"),
    ],
)
def test_the_reason_is_the_kind_and_its_strongest_number(row: dict[str, Any], text: str) -> None:
    assert reason(causes(**row).row(0, named=True)) == text


def test_a_rim_is_sick_by_as_much_as_its_bodies_are() -> None:
    shares = np.zeros(len(STATES), np.float32)
    shares[[STATES.index(name) for name in ("failing", "degraded", "healthy")]] = 0.25, 0.125, 0.625
    segments = rim_segments(shares)
    assert [STATES[part.state] for part in segments] == ["failing", "degraded", "healthy"]
    lengths = {STATES[part.state]: part.end - part.begin for part in segments}
    assert lengths == pytest.approx({"failing": 0.25, "degraded": 0.125, "healthy": 0.625})
    assert segments[0].begin == pytest.approx(-segments[1].end), "the sick part is in front"
    assert segments[-1].end - segments[0].begin == pytest.approx(1.0)


def test_one_sick_in_a_thousand_can_be_seen_and_a_wholly_sick_rim_is_one_round() -> None:
    few = np.zeros(len(STATES), np.float32)
    few[STATES.index("healthy")], few[STATES.index("failing")] = 0.999, 0.001
    assert rim_segments(few)[0].end - rim_segments(few)[0].begin == pytest.approx(LEAST_ARC)
    all_sick = np.zeros(len(STATES), np.float32)
    all_sick[STATES.index("failing")], all_sick[STATES.index("degraded")] = 0.5, 0.5
    segments = rim_segments(all_sick)
    assert [STATES[part.state] for part in segments] == ["failing", "degraded"]
    assert segments[-1].end - segments[0].begin == pytest.approx(1.0)
    healthy = np.eye(len(STATES), dtype=np.float32)[0]
    assert [STATES[part.state] for part in rim_segments(healthy)] == ["healthy"]


def test_a_void_is_seen_on_every_ground() -> None:
    """What is absent: its body's colour is near the ground's or black, its hatching is far from both."""
    scene = build_scene(nodes(("gone", "service", 0, "absent")), edges(), seconds=1.0)
    for theme in THEMES.values():
        painted = paint(scene, theme)
        hatching = painted.marks[0].astype(float)
        for other in (painted.bodies[0], np.array(theme.plate), np.array(theme.ground[0])):
            assert np.abs(hatching - other).mean() > 120, theme.name
    assert scene.radii[0] >= 0.6, "it has no load, and is no dot for that"


def test_a_hostile_cause_is_shown_safely() -> None:
    hostile = SICK_NODES.with_columns(service=pl.col("service").replace("checkout", "\u202eche\nckout" * 40))
    name = hostile["service"][3]
    scene = build_scene(hostile, SICK_EDGES, seconds=1.0, causes=causes(service=name, kind="\x1b[31mred\n"))
    assert scene.cause is not None
    assert len(scene.cause.name) <= 56 and "\n" not in scene.cause.name
    assert "\x1b" not in scene.cause.reason and "\n" not in scene.cause.reason


def test_many_islands_have_names_and_one_has_none() -> None:
    assert build_scene(SHOP_NODES, SHOP_EDGES, seconds=1.0).island_names == [""]
    names = build_scene(*crowd(80), seconds=1.0).island_names
    assert len(set(names)) == len(names) >= 5
    assert all(name.startswith("around service-with") for name in names), "the common word is everybody's"


def test_islands_of_a_namespace_have_its_name() -> None:
    members = {
        part: [f"{part}/{letter}" for letter in "abcdefghijklmnopqrstuvwx"] for part in ("shop", "bank")
    }
    pairs = [(names[0], name) for names in members.values() for name in names[1:]]
    pairs += [(names[1], name) for names in members.values() for name in names[2:]]
    rows = [(name, "service", 100, "healthy") for names in members.values() for name in names]
    scene = build_scene(nodes(*rows), edges(*pairs), seconds=1.0)
    assert sorted(scene.island_names) == ["bank", "shop"]


def _deficient(rgb: Any, kind: str) -> Any:
    """What somebody without red or green cones sees, linear RGB in and out (Machado et al., 2009)."""
    matrix = {
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }[kind]
    return np.clip(np.array(rgb) @ np.array(matrix).T, 0, 1)


def _lab(linear: Any) -> Any:
    xyz = np.array(linear) @ np.array(
        [[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]]
    )
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_the_colour_blind_safe_states_are_told_apart_without_red_or_green(kind: str) -> None:
    """By at least 25 in CIELAB between any two states and the cause; in the ordinary colours they are not."""

    def nearest(theme: Any) -> float:
        srgb = np.array([*theme.states, theme.cause]) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        seen = _lab(_deficient(linear, kind))
        gaps = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        return float(gaps[~np.eye(len(seen), dtype=bool)].min())

    assert nearest(THEMES["colour-blind"]) > 25
    assert nearest(DARK) < nearest(THEMES["colour-blind"])
