"""Riding a request in a real window: choose, ride, scrub, leave; and what cannot be ridden is said."""

import contextlib
from collections.abc import Iterator

import pytest

from support.desktop import Running
from tracescape_render.inside.asked import Seen
from tracescape_render.view_command import written_part

SCRIPT = """
import dataclasses, threading
import polars as pl
from memory_reader import reader, span, trace_bytes
from support.walls import answer
from support.scenes import SHOP_EDGES, SHOP_NODES
from tracescape_analytics.replay import load_replay
from tracescape_render import Snapshot, Start, build_scene, open_window
from tracescape_render.charts.chart import Chart
from tracescape_render.inside.asked import InsideWish, Seen
from tracescape_render.snapshot import Details, Exemplar, NoQuestions
from tracescape_render.strip import Line

SECOND = 1_000_000_000
BEGIN = 1_760_000_000 * SECOND
NOW = BEGIN + 300 * SECOND
MS = 1_000_000
state = {"failure": None, "spans": 3, "service": "checkout"}
asked, moments, stepped, opened_traces = [], [], [], []
gate = threading.Event()
BAD, TYPICAL_ONE = "ba" * 16, "a0" * 16
WHY = pl.DataFrame([{"kind": "slower", "service": "cart", "operation": None, "source": None, "target": None,
    "item": None, "named": True, "since_ns": None, "before_ns": 10, "after_ns": 90, "before_share": None,
    "after_share": None, "before_times": None, "after_times": None}])

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
    pair = state.get("pair", ("", ""))
    scene = build_scene(SHOP_NODES, SHOP_EDGES, seconds=240.0, caption=f"at {at_ns}",
        causes=WHY if pair[1] else None)
    more.update(pair=pair, sentence="cart is slower." if pair[1] else "")
    return Snapshot(scene, SHOP_NODES, SHOP_EDGES, 240.0, "localhost:4318", True, NOW, at_ns=at_ns, **more)

def hold(trace_id):
    if trace_id in state.get("slow", ()):
        assert gate.wait(60)

class Shop(NoQuestions):
    def details(self, service):
        return Details(service, traces=(Exemplar("failed", "ab" * 16, "web GET /", 100.0 * MS),))
    def replay(self, wish):
        asked.append(tuple(wish))
        hold(wish.trace_id)
        if state["failure"]:
            raise LookupError(state["failure"])
        found = load_replay(reader(*rows()), trace_bytes("t"))
        return dataclasses.replace(found, trace_id=wish.trace_id or "cd" * 16)
    def inside(self, wish):
        stepped.append(tuple(wish))
        hold(wish.trace_id)
        return answer(rows()[:2], rows()) if wish.beside else answer(rows())
    def trace(self, trace_id):
        opened_traces.append(trace_id)
        hold(trace_id)
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
    shared.ask("gate.set()")
    shared.ask("window.visiting.dismiss()")
    shared.ask("window.time.compare(None)")
    shared.ask("state.clear()")
    shared.ask("state.update(failure=None, spans=3, service='checkout')")
    shared.ask("gate.clear()")
    shared.ask("asked.clear() or stepped.clear() or opened_traces.clear()")
    shared.ask("window.say('')")
    shared.ask("window.select(None)")
    shared.ask("window.set_page(0)")
    shared.ask("window.time.now()")
    shared.wait("window.snapshot.at_ns is None")
    shared.xdotool("mousemove", "20", "400")
    return shared


INSIDE = "window.visiting.guest is window.inside and window.inside.page.isVisible()"


def press(window: Running, text: str) -> None:
    """Click the button of the panel that reads so."""
    buttons = "window.panel.findChildren(type(window.bar.buttons['ride']))"
    window.wait(f"{text!r} in [b.text() for b in {buttons}]")
    window.ask(f"[b for b in {buttons} if b.text() == {text!r}][0].click()")


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
    assert window.ask("window.riding.track.pace").startswith("evenly paced")
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
    window.write("ef" * 16)
    window.wait("len(window.box.hits()) == 2")
    window.key("Return")
    window.wait("window.riding.on_stage")
    assert window.ask("asked[-1]") == ("ef" * 16, None)


def test_a_trace_id_in_the_search_box_is_stepped_into_as_well(window: Running) -> None:
    window.key("slash")
    window.wait("window.box.hasFocus()")
    window.write("ef" * 16)
    window.wait("len(window.box.hits()) == 2")
    window.key("Down", "Return")
    window.wait(INSIDE)
    assert window.ask("stepped[-1]") == ("ef" * 16, "")
    window.key("Escape")
    window.wait("window.visiting.guest is None and window.pages.currentIndex() == 0")


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
    assert "riding trace" in window.ask("window.status.texts()[2]")
    window.wait("window.time.banner.isVisible()")
    texts = window.ask("window.time._banner_words(window.snapshot.at_ns)")
    assert texts[0].endswith("the world of the request   ·   Esc: back   ·   End: where it ends")
    assert not any("live" in text or "still" in text for text in texts)
    window.key("End")  # it does what the banner says
    window.wait("window.riding.player.at_ns == window.riding.player.range_ns[1]")
    at = window.ask("window.snapshot.at_ns")
    window.key("Escape")
    window.wait("window.snapshot.at_ns is None")
    assert window.ask(f"window.time._banner_words({at})")[0].endswith("End: live")


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


def test_an_exemplar_in_the_panel_can_be_stepped_into(window: Running) -> None:
    window.ask("window.select('web')")
    window.wait("'failed' in window.panel.texts()")
    press(window, "▤")
    window.wait(INSIDE)
    assert window.ask("stepped[-1]") == ("ab" * 16, "")


def test_the_diagnosis_shows_its_own_pair_and_typical_is_then_that(window: Running) -> None:
    window.ask("state.update(pair=(TYPICAL_ONE, BAD))")
    window.ask("window.feed.again()")
    window.wait("window.snapshot.pair[1] == BAD")
    window.ask("window.select('cart')")
    press(window, "▤ beside typical")
    window.wait(INSIDE)
    assert window.ask("stepped[-1] == (BAD, TYPICAL_ONE)")
    window.key("Escape")
    window.wait("window.visiting.guest is None")
    press(window, "▤ inside")
    window.wait(INSIDE)
    assert window.ask("stepped[-1] == (BAD, '')")
    window.key("v")
    window.wait("len(window.inside.page.wall.blocks) == 2")
    assert window.ask("stepped[-1] == (BAD, TYPICAL_ONE)")
    window.ask("window.inside.step_in(InsideWish('cc' * 16))")
    window.wait("stepped[-1][0] == 'cc' * 16 and len(window.inside.page.wall.blocks) == 1")
    window.key("v")
    window.wait("stepped[-1] == ('cc' * 16, 'typical')")
    window.key("Escape")
    window.wait("window.visiting.guest is None")
    press(window, "▸ ride")
    window.wait("window.riding.on_stage and asked[-1] == (BAD, None)")


def test_who_steps_inside_of_what_is_ridden_comes_back_to_the_ride(window: Running) -> None:
    window.ask("window.select('cart')")
    riding(window)
    window.ask("window.riding.go(window.riding.route.replay.share(0.5).at_ns)")
    window.ask("window.world.look(window.world.view._replace(position=(4.0, -30.0, 20.0)), fly=False)")
    at = window.ask("window.riding.player.at_ns")
    window.key("i")
    window.wait(INSIDE)
    assert window.ask("stepped[-1] == ('cd' * 16, '')")
    assert window.ask("(window.riding.strip.isVisible(), window.time.strip.isVisible())") == (False, False)
    for key in ("space", "o", "i", "m", "Home", "End"):
        window.ask("window.say('')")
        window.key(key)
        window.wait("'that is for the world' in window.status.texts()[2]")
    window.key("Escape")
    window.wait("window.riding.on_stage and window.pages.currentIndex() == 0")
    assert window.ask("window.riding.player.at_ns") == at
    assert window.ask("window.world.stage.riding is not None")
    assert window.ask("(window.riding.strip.isVisible(), window.time.strip.isVisible())") == (True, False)
    window.wait("abs(window.world.stage.view()[0][0] - 4.0) < 1e-6")
    window.key("i")
    window.wait(INSIDE)
    window.key("R")  # the trace that one is inside of
    window.wait("window.riding.on_stage and asked[-1][1] is None and asked[-1][0] != ''")
    window.key("BackSpace")
    window.wait("window.visiting.guest is None and window.selected == 'cart'")
    assert window.ask("(window.riding.strip.isVisible(), window.time.strip.isVisible())") == (False, True)


HELD = "ef" * 16


def held(window: Running) -> None:
    """What is asked about one trace is answered when `gate` opens."""
    window.ask(f"state.update(slow=({HELD!r},))")


def test_who_leaves_before_a_trace_is_there_is_not_taken_into_it_later(window: Running) -> None:
    window.ask("window.inside.step_in(InsideWish('cc' * 16))")
    window.wait(INSIDE)
    held(window)
    window.ask(f"window.inside.page.open(InsideWish({HELD!r}))")
    window.wait(f"stepped[-1][0] == {HELD!r}")
    window.key("Escape")
    assert window.ask("window.visiting.guest") is None
    comes_late(window)
    assert window.ask("(window.visiting.guest, window.pages.currentIndex())") == (None, 0)
    assert window.ask("window.inside.page.wish.trace_id") == "cc" * 16


def comes_late(window: Running) -> None:
    """The wall that is held comes: the next question about one shows it."""
    window.ask("gate.set()")
    window.ask("before = len(stepped)")
    window.ask("window.inside.page.ask_for_more()")
    window.wait("len(stepped) > before")
    window.ask("window._tick()")


def test_who_rides_before_the_trace_one_would_step_into_is_there_goes_on_riding(window: Running) -> None:
    window.ask("window.inside.step_in(InsideWish('cc' * 16))")
    window.wait(INSIDE)
    held(window)
    window.ask(f"window.inside.step_in(InsideWish({HELD!r}))")
    window.wait(f"stepped[-1][0] == {HELD!r}")
    window.key("R")
    window.wait("window.riding.on_stage")
    comes_late(window)
    assert window.ask("window.riding.on_stage and window.riding.route.replay.trace_id == 'cc' * 16")


def test_who_steps_inside_before_the_ride_is_there_stays_inside(window: Running) -> None:
    held(window)
    window.ask(f"window.riding.ride({HELD!r})")
    window.wait("asked")
    window.ask("window.inside.step_in(InsideWish('cc' * 16))")
    window.wait(INSIDE)
    ride_comes_late(window)
    assert window.ask(INSIDE)


def ride_comes_late(window: Running) -> None:
    """The ride that is held comes: the next question about one shows it."""
    window.ask("gate.set()")
    window.ask("before = len(asked)")
    window.ask("window.riding._asker.want((window.riding._wanted, window.questions))")
    window.wait("len(asked) > before")
    window.ask("window._tick()")


@pytest.mark.parametrize("key", ["Escape", "BackSpace"])
def test_a_key_that_leads_back_first_ends_the_waiting_for_a_ride(window: Running, key: str) -> None:
    held(window)
    window.ask("window.select('cart')")
    window.ask(f"window.riding.ride({HELD!r})")
    window.wait("asked")
    window.key(key)
    assert "not waited for any more" in window.ask("window.status.texts()[2]")
    ride_comes_late(window)
    assert window.ask("(window.visiting.guest, window.selected)") == (None, "cart")


def test_who_has_gone_on_is_not_taken_to_the_page_of_a_trace_that_comes_late(window: Running) -> None:
    held(window)
    window.ask(f"window.open_trace({HELD!r})")
    window.wait("opened_traces")
    riding(window)
    window.ask("gate.set()")
    window.ask(f"window.asked._traces.want({HELD!r})")
    window.wait("len(opened_traces) == 2")
    window.ask("window._tick()")
    assert window.ask("window.riding.on_stage and window.pages.currentIndex() == 0")


def test_of_two_traces_that_are_opened_the_last_is_shown(window: Running) -> None:
    held(window)
    window.ask(f"window.open_trace({HELD!r})")
    window.wait("opened_traces")
    window.ask(f"window.open_trace('{'56' * 16}')")
    window.ask("gate.set()")
    window.wait("window.pages.currentWidget() is window.pages.trace")
    assert window.ask("window.pages.trace_id") == "56" * 16


def test_more_of_what_is_ridden_is_no_reason_to_forget_another_that_was_asked_for(window: Running) -> None:
    window.ask("state.update(since=299 * SECOND)")
    riding(window)
    held(window)
    window.ask(f"window.riding.ride({HELD!r})")
    window.wait(f"asked[-1][0] == {HELD!r}")
    window.ask("window.riding._asked_at = -1e9")  # more of it is due
    window.ask("window._tick()")
    window.ask("gate.set()")
    window.wait(f"window.riding.route.replay.trace_id == {HELD!r}")


def test_a_bookmark_holds_a_ride_and_where_in_it_one_is(window: Running) -> None:
    window.ask("window.select('cart')")
    riding(window)
    window.ask("window.riding.go(window.riding.route.replay.share(0.6).at_ns)")
    window.ask("window.world.look(window.world.view._replace(position=(5.0, -30.0, 20.0)), fly=False)")
    at = window.ask("window.riding.player.at_ns")
    window.ask("window.going._journey.__init__()")
    window.key("b", "Escape")
    window.wait("window.visiting.guest is None")
    window.ask("window.select(None)")
    window.ask("window.world.see_everything(fly=False)")
    window.key("B")
    window.wait("window.riding.on_stage")
    assert window.ask("asked[-1]") == ("cd" * 16, None)
    window.wait("window.world.stage.riding is not None and not window.riding.player.playing")
    assert window.ask("window.riding.player.at_ns") == at
    window.wait("window.selected == 'cart' and abs(window.world.stage.view()[0][0] - 5.0) < 1e-6")
    window.key("Home", "B")  # the same request, elsewhere in it
    window.wait(f"window.riding.player.at_ns == {at}")
    assert window.ask("len(asked)") == 2, "nobody asks for what is there"


def test_a_bookmark_holds_what_is_seen_inside_and_the_command_as_well(window: Running) -> None:
    window.ask("window.inside.step_in(InsideWish('ef' * 16))")
    window.wait(INSIDE)
    page = "window.inside.page"
    window.ask(f"{page}.view.go_to(2)")
    window.wait(f"{page}.view._flight is None")
    window.ask(f"{page}.select(1)")
    seen = window.ask(f"tuple({page}.seen)")
    assert seen[1] > seen[0] > 0
    command = window.ask("window.taking.command()")
    assert f"--within={written_part(Seen(*seen[:4]))}" in command
    assert f"--span={seen[4]}" in command
    window.ask("window.going._journey.__init__()")
    window.key("b")
    window.wait("len(window.going._journey._marks) == 1")  # a key takes its time
    window.ask(f"{page}.select(None)")
    window.key("f", "Escape")
    window.wait("window.visiting.guest is None")
    window.key("B")
    window.wait(INSIDE)
    window.wait(f"tuple({page}.seen) == {seen!r}")
    assert window.ask("stepped.count(('ef' * 16, ''))") == 1, "it is there still"
    window.ask("window.inside.step_in(InsideWish('cc' * 16))")
    window.wait("stepped[-1][0] == 'cc' * 16 and window.inside.page.wish.trace_id == 'cc' * 16")
    window.wait("window.status.texts()[2].startswith('inside of trace')")
    assert "Esc leads out" in window.ask("window.status.texts()[2]")
    window.key("B")
    window.wait(f"window.inside.page.wish.trace_id == 'ef' * 16 and tuple({page}.seen) == {seen!r}")
    window.key("Escape", "Escape")
    window.wait("window.visiting.guest is None")


def test_two_moments_wait_while_one_request_is_ridden(window: Running) -> None:
    window.ask("window.time.stay(NOW)")
    window.ask("window.time.compare(NOW - 60 * SECOND, split=True)")
    riding(window)
    assert window.ask("window.time.against_ns") is None
    window.key("v")
    window.wait("'Esc leads back to the moments' in window.status.texts()[2]")
    window.key("Escape")
    window.wait("window.visiting.guest is None")
    assert window.ask("(window.time.against_ns == NOW - 60 * SECOND, window.time.split)") == (True, True)


def test_a_trace_that_still_arrives_grows_while_one_is_inside_of_it(window: Running) -> None:
    window.ask("state.update(since=299 * SECOND)")
    window.ask("window.inside.step_in(InsideWish('ef' * 16))")
    window.wait(INSIDE)
    page = "window.inside.page"
    assert window.ask(f"{page}.spans") == 3
    window.ask(f"{page}.view.go_to(2)")
    window.wait(f"{page}.view._flight is None")
    window.ask(f"{page}.select(1)")
    window.ask(f"{page}.box.setText('pay')")
    window.wait(f"{page}.hits.tolist() == [2]")
    window.ask(f"{page}.view.turn(20.0, 5.0)")
    part = f"tuple({page}.seen._replace(view=None))"
    stands = f"[*{page}.view.stage.view().position, *{page}.view.stage.view().focus]"
    seen, view = window.ask(part), window.ask(stands)
    window.ask("state.update(spans=4)")
    window.wait(f"{page}.spans == 4")
    window.wait("'more of it has arrived: 4 spans' in window.status.texts()[2]")
    assert window.ask(part) == seen
    assert window.ask(stands) == pytest.approx(view)
    window.wait(f"{page}.hits.tolist() == [2]")
    assert window.ask(f"{page}.box.text()") == "pay"
    asked = window.ask("len(stepped)")
    window.wait(f"len(stepped) > {asked}")
    assert window.ask(INSIDE)
    window.ask(f"{page}.box.clear()")
    window.ask(f"{page}.view.see_all()")
    window.wait(f"{page}.view._flight is None")
    window.ask("window.visiting.leave()")
    assert window.ask("window.visiting.guest") is None


def test_a_trace_that_is_complete_is_not_read_again_and_again(window: Running) -> None:
    window.ask("window.inside.step_in(InsideWish('ef' * 16))")
    window.wait(INSIDE)
    asked = window.ask("len(stepped)")
    window.ask("window.inside._asked_at = -1e9")
    window.ask("window.inside.follow()")
    assert window.ask("window.inside.page._asked_for") is None
    assert window.ask("len(stepped)") == asked
