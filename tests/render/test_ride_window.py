"""Riding a request in a real window: choose, ride, scrub, leave; and what cannot be ridden is said."""

import contextlib
from collections.abc import Iterator

import pytest

from support.desktop import Running

SCRIPT = """
import dataclasses
from memory_reader import reader, span, trace_bytes
from support.scenes import SHOP_EDGES, SHOP_NODES
from tracescape_analytics.replay import load_replay
from tracescape_render import Snapshot, Start, build_scene, open_window
from tracescape_render.charts.chart import Chart
from tracescape_render.snapshot import Details, Exemplar, NoQuestions
from tracescape_render.strip import Line

SECOND = 1_000_000_000
BEGIN = 1_760_000_000 * SECOND
NOW = BEGIN + 300 * SECOND
MS = 1_000_000
state = {"failure": None, "spans": 3, "service": "checkout"}
asked, moments = [], []

def rows():
    at = BEGIN + state.get("since", 200 * SECOND)
    found = [
        span("A", service="web", operation="GET /", kind="server", start=at, end=at + 100 * MS),
        span("B", "A", service="web", kind="client", start=at + 10 * MS, end=at + 90 * MS),
        span("C", "B", service=state["service"], operation="pay", kind="server", start=at + 20 * MS,
            end=at + 80 * MS, status="error"),
        span("D", "A", service="cart", start=at + 92 * MS, end=at + 94 * MS),
    ]
    return found[:state["spans"]]

def snapshot(at_ns=None, **more):
    scene = build_scene(SHOP_NODES, SHOP_EDGES, seconds=240.0, caption=f"at {at_ns}")
    return Snapshot(scene, SHOP_NODES, SHOP_EDGES, 240.0, "localhost:4318", True, NOW, at_ns=at_ns, **more)

class Shop(NoQuestions):
    def details(self, service):
        return Details(service, traces=(Exemplar("failed", "ab" * 16, "web GET /", 100.0 * MS),))
    def replay(self, wish):
        asked.append(tuple(wish))
        if state["failure"]:
            raise LookupError(state["failure"])
        found = load_replay(reader(*rows()), trace_bytes("t"))
        return dataclasses.replace(found, trace_id=wish.trace_id or "cd" * 16)
    def trace(self, trace_id):
        return Chart("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'></svg>", "a trace")
    def line(self, wish):
        return Line()
    def moment(self, wish):
        moments.append(wish.at_ns)
        return snapshot(wish.at_ns, width_ns=60 * SECOND, reasoned=wish.causes)

def spot(share):
    from PySide6.QtCore import QPoint
    track = window.riding.track
    where = track.mapToGlobal(QPoint(round(track.x_of(track._tempo.at(share))), 45))
    return where.x(), where.y()

def main():
    open_window(snapshot, questions=Shop(), refresh_s=0.5, start=Start(size=(1280, 800)), on_ready=opened)

def opened(made):
    global window
    window = made
    drive(made)
"""


@pytest.fixture(scope="module")
def shared(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with contextlib.closing(Running(SCRIPT + "main()\n", display, tmp_path_factory.mktemp("ride"))) as made:
        made.until("ready")
        yield made


@pytest.fixture
def window(shared: Running) -> Running:
    shared.ask("window.visiting.leave()")
    shared.ask("state.clear()")
    shared.ask("state.update(failure=None, spans=3, service='checkout')")
    shared.ask("asked.clear()")
    shared.ask("window.select(None)")
    shared.ask("window.set_page(0)")
    shared.ask("window.time.now()")
    shared.wait("window.snapshot.at_ns is None")
    shared.xdotool("mousemove", "20", "400")
    return shared


def riding(window: Running) -> None:
    window.key("R")
    window.wait("window.riding.on_stage and window.world.stage.riding is not None")


def test_a_key_rides_the_worst_request_and_escape_leads_back(window: Running) -> None:
    window.ask("window.select('cart')")
    window.ask("window.world.look(window.world.view._replace(position=(3.0, -40.0, 30.0)), fly=False)")
    riding(window)
    assert window.ask("asked[0]") == ("", "cart")
    assert window.ask("window.riding.strip.isVisible() and not window.time.strip.isVisible()")
    assert window.ask("window.riding.strip.texts()[0]") == "TRACE"
    window.wait("window.world.stage.sentence.startswith('web')")
    window.key("Escape")
    window.wait("not window.riding.on_stage")
    assert window.ask("window.time.strip.isVisible() and not window.riding.strip.isVisible()")
    assert window.ask("window.world.stage.riding is None")
    assert window.ask("window.selected") == "cart"
    window.wait("max(abs(a - b) for a, b in zip(window.world.stage.view()[0], (3.0, -40.0, 30.0))) < 1e-6")


def test_what_is_drawn_is_what_the_replay_says_of_the_moment(window: Running) -> None:
    riding(window)
    window.key("space")
    for share in (0.1, 0.5, 0.95):
        window.ask(f"window.riding.go(window.riding.route.replay.share({share}).at_ns)")
        window.wait("window.world.stage._moment.frame.at_ns == window.riding.player.at_ns")
        frame = "window.riding.route.replay.at(window.riding.player.at_ns)"
        assert window.ask(f"window.world.stage._moment.frame.running.tolist() == {frame}.running.tolist()")
        assert window.ask(f"window.world.stage._moment.frame.failed.tolist() == {frame}.failed.tolist()")


def test_dragging_in_the_strip_goes_through_the_request(window: Running) -> None:
    riding(window)
    x, y = window.ask("spot(0.2)")
    window.xdotool("mousemove", str(x), str(y))
    window.xdotool("mousedown", "1")
    window.wait("not window.riding.player.playing")
    early = window.ask("window.riding.player.at_ns")
    x, y = window.ask("spot(0.8)")
    window.xdotool("mousemove", str(x), str(y))
    window.wait(f"window.riding.player.at_ns > {early}")
    window.xdotool("mouseup", "1")
    assert "after the beginning" in window.ask("window.riding.track.tip.text()")


def test_keys_of_time_are_those_of_the_request(window: Running) -> None:
    riding(window)
    window.key("End")
    window.wait("window.riding.player.at_ns == window.riding.route.replay.end_ns")
    window.wait("'error in checkout' in window.world.stage.sentence")
    assert window.ask("window.snapshot.at_ns") is None, "End is not that of the timeline"
    window.key("Home", "period", "period")
    window.wait("window.riding.player.at_ns == window.riding.route.replay.start_ns + 20 * MS")
    window.key("u", "minus")
    window.wait("not window.riding.player.even")
    window.key("o")
    window.wait("window.riding.follows")
    window.key("space")
    window.wait("window.riding.player.playing")
    window.key("o")
    window.wait("not window.riding.follows")


def test_an_exemplar_in_the_panel_can_be_ridden(window: Running) -> None:
    window.ask("window.select('web')")
    window.wait("'failed' in window.panel.texts()")
    button = "[b for b in window.panel.findChildren(type(window.bar.buttons['ride'])) if b.text() == '▸'][0]"
    window.ask(f"{button}.click()")
    window.wait("window.riding.on_stage")
    assert window.ask("asked[-1]") == ("ab" * 16, None)
    assert f"--trace={'ab' * 16} --share=" in window.ask("window.taking.command()")


def test_a_trace_id_in_the_search_box_is_ridden(window: Running) -> None:
    window.key("slash")
    window.wait("window.box.hasFocus()")
    window.xdotool("type", "ef" * 16)
    window.wait("len(window.box.hits()) == 1")
    window.key("Return")
    window.wait("window.riding.on_stage")
    assert window.ask("asked[-1]") == ("ef" * 16, None)


def test_the_trace_that_is_open_is_the_one_that_is_ridden(window: Running) -> None:
    window.ask(f"window.open_trace('{'12' * 16}')")
    window.wait("window.pages.currentWidget() is window.pages.trace")
    window.ask("window.riding.ride()")
    window.wait("window.riding.on_stage")
    assert window.ask("asked[-1]") == ("12" * 16, None)
    assert window.ask("window.pages.currentIndex()") == 0
    window.key("Escape")
    window.wait("window.pages.currentWidget() is window.pages.trace")


def test_a_request_of_the_past_is_ridden_in_the_world_of_then(window: Running) -> None:
    window.ask("state.update(since=10 * SECOND)")
    riding(window)
    window.wait("abs((window.snapshot.at_ns or 0) - BEGIN - 10 * SECOND - 101 * MS) < 1_000")
    assert window.ask("window.world.stage.riding is not None")
    window.key("Escape")
    window.wait("window.snapshot.at_ns is None")


def test_who_is_not_in_the_world_is_told_in_a_sentence(window: Running) -> None:
    window.ask("state.update(service='stranger')")
    riding(window)
    assert "stranger" in window.ask("window.status.texts()[2]")
    assert window.ask("window.world.stage.riding.missing") == ("stranger",)


def test_what_cannot_be_ridden_is_said_and_nothing_changes(window: Running) -> None:
    window.ask("state.update(failure='no span of it is stored (any more)')")
    window.key("R")
    window.wait("'no request to ride: no span of it is stored' in window.status.texts()[2]")
    assert not window.ask("window.riding.on_stage")
    assert window.ask("window.time.strip.isVisible()")


def test_a_request_that_still_arrives_grows_while_it_is_ridden(window: Running) -> None:
    window.ask("state.update(since=299 * SECOND)")
    riding(window)
    window.key("space")
    window.wait("'3 spans so far' in window.riding.strip.texts()[2]")
    at = window.ask("window.riding.player.at_ns")
    window.ask("state.update(spans=4)")
    window.wait("len(window.riding.route.replay.spans) == 4")
    assert window.ask("window.riding.player.at_ns") == at
    window.wait("'cart' in window.world.stage.riding.route.names")


def test_from_one_request_to_another_the_way_back_stays(window: Running) -> None:
    window.ask("window.select('cart')")
    riding(window)
    window.ask(f"window.riding.ride('{'34' * 16}')")
    window.wait(f"window.riding.route.replay.trace_id == '{'34' * 16}'")
    window.key("Escape")
    window.wait("not window.riding.on_stage and window.selected == 'cart'")
    assert window.ask("window.visiting.guest") is None


def test_themes_snapshots_and_focus_change_under_a_ride(window: Running) -> None:
    riding(window)
    for _ in range(3):
        window.key("t")
    window.ask("window.select('web')")
    window.key("1")
    window.wait("len(window.scene.services) < len(window.snapshot.scene.services)")
    assert window.ask("window.world.stage.riding is not None")
    window.key("0")
    window.wait(
        "window.riding.on_stage and len(window.scene.services) == len(window.snapshot.scene.services)"
    )
    window.key("Escape")
    window.wait("not window.riding.on_stage")
