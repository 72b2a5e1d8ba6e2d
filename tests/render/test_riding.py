"""A request on a scene: what is lit, who stands out, what is said; and that all of it reaches the screen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from memory_reader import reader, span, trace_bytes
from support.scenes import crowd, edges, nodes
from tracescape_analytics.replay import load_replay
from tracescape_render.arcs import along
from tracescape_render.detail import detailed
from tracescape_render.palette import DARK, DEGRADED, FAILING, HEALTHY, IDLE, THEMES
from tracescape_render.picture import off_screen_plotter
from tracescape_render.renderer import Budget
from tracescape_render.riding import (
    STEPS,
    TAIL,
    Ride,
    RidePicture,
    numbers_of,
    picture_of,
    ride_on,
    with_picture,
)
from tracescape_render.route import Route, route_of
from tracescape_render.scene import Scene, build_scene
from tracescape_render.stage import Stage

SPANS = [
    span("A", service="web", operation="GET /", kind="server", start=100, end=200, status="error"),
    span("B", "A", service="web", kind="client", start=110, end=180),
    span("C", "B", service="pay", operation="charge", kind="server", start=130, end=160, status="error"),
    span("E", "A", service="web", kind="client", start=112, end=120),
    span("F", "E", service="log", kind="server", start=114, end=118),
]


def world(*more: str, state: str = "healthy") -> Scene:
    names = ["user", "web", "pay", "log", "idler", *more]
    kinds = {"user": "entry"}
    rows = [(name, kinds.get(name, "service"), 100, state) for name in names]
    calls = [("user", "web"), ("web", "pay"), ("web", "idler"), ("web", "log")]
    return build_scene(nodes(*rows), edges(*calls), seconds=1.0)


def route() -> Route:
    return route_of(load_replay(reader(*SPANS), trace_bytes("t")))


def at(moment_ns: int, scene: Scene | None = None) -> tuple[Ride, RidePicture]:
    ride = ride_on(route(), world() if scene is None else scene)
    return ride, picture_of(ride, ride.route.at(moment_ns), DARK)


def way(ride: Ride, source: str, target: str) -> int:
    names = ride.route.names
    return ride.route.ends[ride.ways].tolist().index([names.index(source), names.index(target)])


def states(ride: Ride, picture: RidePicture) -> dict[str, int]:
    names = [ride.scene.services[body] for body in ride.bodies]
    return dict(zip(names, picture.state.tolist(), strict=True))


def test_the_rest_of_the_world_recedes_and_nothing_else_shines() -> None:
    sick = world(state="failing")
    ride, _ = at(150, sick)
    seen = dict(zip(ride.scene.services, ride.scene.seen.tolist(), strict=True))
    assert seen["idler"] < 0.5 < seen["web"] == seen["pay"] == 1.0
    assert ride.scene.cause is ride.scene.beacon is None
    named = [ride.scene.services[body] for body in np.argsort(-ride.scene.priority)]
    assert named[-1] == "idler"


def test_an_arc_that_is_lit_is_not_drawn_twice() -> None:
    scene = world()
    ride, _ = at(150, scene)
    hidden = {
        (scene.services[s], scene.services[t])
        for s, t, seen in zip(scene.source, scene.target, ride.scene.arc_seen, strict=True)
        if not seen
    }
    assert hidden == {("user", "web"), ("web", "pay"), ("web", "log")}
    arc = int(np.flatnonzero((scene.source == 1) & (scene.target == 2))[0])
    assert np.array_equal(ride.curves[way(ride, "web", "pay")], scene.curves[arc])


def test_a_call_that_the_world_has_no_arc_for_gets_one() -> None:
    scene = build_scene(nodes(*[(n, "service", 9, "healthy") for n in ("web", "pay")]), edges(), seconds=1.0)
    ride, _ = at(150, scene)
    assert len(ride.ways) == 1
    assert np.linalg.norm(ride.curves[0, 0] - scene.positions[0]) < 2 * scene.radii[0]
    assert set(ride.missing) == {"user", "log"}
    assert "not in this world: log, user" in ride.scene.caption


def test_a_body_is_idle_until_the_request_comes_and_red_from_when_its_error_is_known() -> None:
    assert states(*at(105)) == {"user": HEALTHY, "web": HEALTHY, "pay": IDLE, "log": IDLE}
    assert states(*at(159))["pay"] == HEALTHY
    assert states(*at(160)) == {"user": HEALTHY, "web": HEALTHY, "pay": FAILING, "log": HEALTHY}
    ride, picture = at(200)
    names = [ride.scene.services[body] for body in ride.bodies]
    assert [name for name, here in zip(names, picture.origins, strict=True) if here] == ["pay"]
    assert states(ride, picture)["web"] == FAILING


def test_the_critical_path_is_bright_as_far_as_it_is_done_and_dashed_where_it_is_to_come() -> None:
    ride, before = at(105)
    pay, log = way(ride, "web", "pay"), way(ride, "web", "log")
    opacity = before.ways[pay, :, 3]
    assert (opacity == 0).sum() == STEPS // 2, "every other piece is a gap"
    assert len(set(before.ways[log, :, 3].tolist())) == 1
    _, half = at(120)
    lit = (half.ways[pay, :, :3] == DARK.light).all(axis=1)
    assert lit.tolist() == [number / (STEPS - 1) <= 0.5 for number in range(STEPS)]
    _, later = at(140)
    assert (later.ways[pay, :, 3] == 255).all()
    assert not (later.ways[log, :, :3] == DARK.light).all(axis=1).any()


def test_a_failed_call_is_red_along_its_way() -> None:
    ride, picture = at(160)
    assert (picture.ways[way(ride, "web", "pay"), :, :3] == DARK.marks[FAILING]).all()


def test_who_gave_up_sees_a_broken_way_and_a_cross_where_the_answer_is() -> None:
    rows = [SPANS[0], span("B", "A", service="web", kind="client", start=110, end=150)]
    rows.append(span("C", "B", service="pay", kind="server", start=120, end=190))
    ride = ride_on(route_of(load_replay(reader(*rows), trace_bytes("t"))), world())
    picture = picture_of(ride, ride.route.at(155), DARK)
    number = way(ride, "web", "pay")
    assert picture.lost.tolist() == ride.curves[[number], 2].tolist()
    assert (picture.ways[number, :, 3] == 0).sum() == STEPS // 2
    assert picture.sentence == "web gave up on pay after 40 ns · web works for user, at 55 ns of 100 ns"
    assert states(ride, picture) == {"user": HEALTHY, "web": HEALTHY, "pay": DEGRADED}
    told = with_picture(ride, picture)
    pay = told.services.index("pay")
    assert told.subtitles[pay].startswith("no answer to web")
    assert told.state[pay] == DEGRADED
    assert states(ride, picture_of(ride, ride.route.at(145), DARK))["pay"] == HEALTHY


def test_of_several_calls_that_do_not_come_back_the_first_is_told() -> None:
    rows = [SPANS[0]]
    for name, begin, end in (("pay", 150, 190), ("log", 110, 160), ("pay", 105, 120)):
        number = len(rows)
        rows.append(span(f"c{number}", "A", service="web", kind="client", start=begin, end=end))
        rows.append(span(f"s{number}", f"c{number}", service=name, kind="server", start=begin + 2, end=199))
    found = route_of(load_replay(reader(*rows), trace_bytes("t")))
    ride = ride_on(found, world())
    pay, log = (
        found.ends.tolist().index([found.names.index("web"), found.names.index(n)]) for n in ("pay", "log")
    )
    assert found.lost_ns[[pay, log]].tolist() == [[105, 120], [110, 160]]
    for moment in (125, 165, 195):
        said = picture_of(ride, found.at(moment), DARK).sentence
        assert said.startswith("web gave up on pay after 15 ns · ")


def test_travellers_are_on_their_arcs_with_their_tails_behind_them() -> None:
    ride, picture = at(120)
    curve = ride.curves[[way(ride, "web", "pay")]]
    heads = picture.lights.reshape(-1, TAIL, 3)
    expected = along(curve, np.array([[0.5]], np.float32))[0]
    assert any(np.allclose(head[0], expected[0], atol=1e-5) for head in heads)
    _, back = at(170)
    tail = back.lights.reshape(-1, TAIL, 3)[0]
    to_caller = np.linalg.norm(tail - curve[0, 0], axis=1)
    assert (np.diff(to_caller) > 0).all(), "what comes back has its tail on the side of the callee"


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        (99, "the request has not begun"),
        (105, "web works for user (GET /), at 5 ns of 100 ns"),
        (115, "web waits for pay (work), at 15 ns of 100 ns"),
        (140, "pay works for web (charge), at 40 ns of 100 ns"),
        (170, "error in pay at 60 ns · web waits for pay, at 70 ns of 100 ns"),
        (200, "error in pay at 60 ns · all is over after 100 ns"),
    ],
)
def test_one_sentence_says_what_happens(moment: int, sentence: str) -> None:
    assert at(moment)[1].sentence == sentence


def test_a_request_whose_consumers_work_on_is_answered_all_the_same() -> None:
    topic = {"messaging_system": "kafka", "messaging_destination": "orders"}
    rows = [
        span("A", service="web", kind="server", start=100, end=200),
        span("B", "A", service="web", kind="producer", start=110, end=120, **topic),
        span("C", "B", service="mail", kind="consumer", start=160, end=260, **topic),
    ]
    names = [("web", "service", 9, "healthy"), ("mail", "service", 9, "healthy")]
    scene = build_scene(nodes(*names, ("kafka orders", "queue", 9, "healthy")), edges(), seconds=1.0)
    ride = ride_on(route_of(load_replay(reader(*rows), trace_bytes("t"))), scene)
    named = [ride.scene.services[body] for body in ride.bodies]
    words = dict(zip(named, picture_of(ride, ride.route.at(150), DARK).subtitles, strict=True))
    assert words["kafka orders"] == "holds a message"
    picture = picture_of(ride, ride.route.at(210), DARK)
    assert picture.sentence == "answered after 100 ns; mail goes on, nobody waits for that"


def test_a_request_that_goes_every_way_there_is_can_be_drawn() -> None:
    names = [("web", "service", 9, "healthy"), ("pay", "service", 9, "healthy")]
    plotter = off_screen_plotter((300, 200))
    try:
        stage = Stage(plotter)
        stage.ride(route())
        stage.show(build_scene(nodes(*names), edges(("web", "pay")), seconds=1.0))
        plotter.render_window.Render()
        assert stage.riding is not None
        assert not stage.riding.scene.arc_seen.any()
    finally:
        plotter.close()


def test_hostile_names_are_shown_harmlessly() -> None:
    evil = "pay\n\x1b[31m<b>\u202e" + "x" * 300
    rows = [SPANS[0] | {"status": 0}, span("C", "A", service=evil, operation=evil, start=110, end=190)]
    ride = ride_on(route_of(load_replay(reader(*rows), trace_bytes("t"))), world())
    sentence = picture_of(ride, ride.route.at(150), DARK).sentence
    assert sentence.isprintable()
    assert len(sentence) < 160
    assert ride.scene.caption.isprintable()


def test_a_service_of_several_namespaces_is_found_where_only_one_can_be_meant() -> None:
    found = numbers_of(["pay", "web", "log", "x/y"], ["eu/pay", "eu/web", "us/web", "log", "x/y"])
    assert found.tolist() == [0, -1, 3, 4]


def test_fragments_are_told() -> None:
    rows = [*SPANS, span("Z", "Y", service="pay", start=150, end=155)]
    ride = ride_on(route_of(load_replay(reader(*rows), trace_bytes("t"))), world())
    assert "1 of them without their parent" in ride.scene.caption


def test_told_at_a_moment_the_scene_has_the_states_and_words_of_the_ride() -> None:
    ride, picture = at(160)
    told = with_picture(ride, picture)
    pay, idler = told.services.index("pay"), told.services.index("idler")
    assert told.state[pay] == FAILING
    assert told.subtitles[pay] == "✕ error here"
    assert told.subtitles[told.services.index("web")] == "waits for pay"
    assert told.subtitles[idler] == ride.scene.subtitles[idler]
    assert told.priority[pay] > told.priority[told.services.index("log")]


def test_what_a_request_touches_is_drawn_itself_though_its_island_is_closed() -> None:
    scene = build_scene(*crowd(400), seconds=1.0)
    touched = np.array([3, 250, 399])
    detail = detailed(scene, Budget(60, 100), kept=touched)
    assert (detail.group[detail.body[touched]] == -1).all()
    assert len(detail.scene.services) <= 60


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_a_ride_is_drawn_and_the_world_comes_back(theme: object) -> None:
    plotter = off_screen_plotter((900, 500))
    try:
        stage = Stage(plotter, theme=theme)  # type: ignore[arg-type]
        stage.show(world())
        plotter.render_window.Render()
        before = np.asarray(plotter.screenshot(return_img=True), int)
        stage.ride(route())
        pictures = []
        for moment in (105, 120, 160, 200):
            stage.ride_to(moment, 5)
            stage.relabel()
            plotter.render_window.Render()
            pictures.append(np.asarray(plotter.screenshot(return_img=True), int))
            assert stage.sentence.startswith(("web", "pay", "error in pay at 60 ns"))
        for one, other in pairwise(pictures):
            assert np.abs(one - other).sum() > 0
        assert stage.scene is not None
        assert stage.scene.state[stage.scene.services.index("pay")] == FAILING
        stage.ride(None)
        stage.relabel(anew=True)
        plotter.render_window.Render()
        after = np.asarray(plotter.screenshot(return_img=True), int)
        assert np.abs(before - after).max() <= 2
        assert stage.riding is None
    finally:
        plotter.close()
