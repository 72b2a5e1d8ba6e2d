"""Stepping inside a trace in a real window: point, click, search, compare, and out to where one came from."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.desktop import Running
from support.display import x_server
from tracescape.exploring import Asked

SCRIPT = """
from memory_reader import span, span_number
from support.scenes import SHOP_EDGES, SHOP_NODES
from support.walls import answer
from tracescape_render import Snapshot, Start, build_scene, open_window
from tracescape_render.charts import waterfall
from tracescape_render.inside.asked import TYPICAL, InsideWish
from tracescape_render.snapshot import NoQuestions
from PySide6.QtCore import QPoint

MS = 1_000_000
BAD = "0" * 31 + "1"

def shop(took, trace="t", extra=()):
    return [
        span("A", trace=trace, service="web", operation="GET /cart", kind="server", end=took * MS),
        span("B", "A", trace=trace, service="cart", operation="load <b>cart</b>", kind="server", start=2 * MS,
            end=(took - 5) * MS, status="error" if took > 100 else "ok",
            attributes='{"user.id":"Ada Lovelace","cart.size":3}'),
        span("C", "B", trace=trace, service="db", operation="SELECT items", kind="client", start=3 * MS,
            end=(took - 9) * MS),
        span("E", "A", trace=trace, service="web", operation="render", start=20 * MS,
            end=30 * MS),
        *extra,
    ]

late = []
NOTES = {"events": [{"span_id": f"{span_number('B'):016x}", "time_ns": 80 * MS, "name": "exception"}]}

def source():
    scene = build_scene(SHOP_NODES, SHOP_EDGES, seconds=60.0, caption="a shop")
    return Snapshot(scene, SHOP_NODES, SHOP_EDGES, 60.0, "localhost:4318", True, 1_000)

class Shop(NoQuestions):
    asked = []
    def trace(self, trace_id):
        made = answer(shop(120)).traces[0]
        return waterfall(made.waterfall(), made.critical_path())
    def inside(self, wish):
        self.asked.append(wish)
        if wish.trace_id == BAD:
            raise LookupError("No span of that trace is stored")
        if wish.beside:
            return answer(shop(60), shop(120, "o"))
        return answer(shop(120, extra=late), notes=NOTES)

def spot(row):
    page = window.inside.page
    x, y = page.view.stage.on_screen(row)
    where = page.view.canvas.mapToGlobal(QPoint(round(x), page.view.stage.size[1] - 1 - round(y)))
    return where.x(), where.y()

def ready(made):
    global window
    window = made
    drive(made)

def main(**options):
    open_window(source, questions=Shop(), refresh_s=0.2,
        start=Start(title="tracescape test", size=(1280, 800), **options), on_ready=ready)
    say("closed")
"""

INSIDE = "window.visiting.guest is window.inside and window.inside.page.isVisible()"


@pytest.fixture(scope="module")
def shared(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with contextlib.closing(
        Running(SCRIPT + "main()\n", display, tmp_path_factory.mktemp("inside"))
    ) as window:
        window.until("ready")
        window.ask("window.open_trace('ab' * 16)")
        window.wait("window.pages.currentIndex() == 4")
        yield window


@pytest.fixture
def world(shared: Running) -> Running:
    """The world, a service selected, after a trace was opened."""
    shared.ask("late.clear()")
    shared.ask("window.visiting.dismiss()")
    shared.ask("window.set_page(0)")
    shared.ask("window.say('')")
    shared.ask("window.select('cart')")
    shared.ask("window.world.see_everything(fly=False)")
    return shared


@pytest.fixture
def inside(world: Running) -> Running:
    """Inside of that trace."""
    world.key("i")
    world.wait(INSIDE)
    world.ask("window.inside.page.select(None)")
    world.ask("window.inside.page.box.clear()")
    see_all(world)
    return world


def see_all(window: Running) -> None:
    """All of the wall, and at rest: a flight hides what is told under the pointer when it ends."""
    view = "window.inside.page.view"
    window.ask(f"{view}.see_all()")
    window.wait(f"{view}._flight is None and {view}.stage.drawn.reach == {view}.stage.whole")


def test_a_key_leads_in_and_escape_leads_out_to_where_one_came_from(world: Running) -> None:
    world.ask("seen = (window.world.view, window.selected, window.time.player.at_ns)")
    world.key("i")
    world.wait(INSIDE)
    assert world.ask("Shop.asked[-1] == InsideWish('ab' * 16)")
    assert world.ask("window.panel.isVisible() or window.time.strip.isVisible()") is False
    assert "--inside" in world.ask("window.taking.command()")
    world.key("Escape")
    world.wait("window.pages.currentIndex() == 0")
    assert world.ask("(window.visiting.guest, window.panel.isVisible(), window.time.strip.isVisible())") == (
        None,
        True,
        True,
    )
    assert world.ask("seen == (window.world.view, window.selected, window.time.player.at_ns)")


def test_the_button_leads_out_as_well_and_so_does_another_page(inside: Running) -> None:
    inside.ask("window.set_page(1)")
    inside.wait("window.visiting.guest is None")
    assert inside.ask("(window.pages.currentIndex(), window.time.strip.isVisible())") == (1, True)


def test_the_pointer_tells_of_a_span_and_a_click_tells_everything(inside: Running) -> None:
    inside.move(*inside.ask("spot(1)"))
    told = inside.ask("window.inside.page.view.tip").splitlines()
    assert told[0] == "cart load <b>cart</b>"
    assert told[1] == "113 ms, from 2 ms to 115 ms"
    assert any(line.startswith("worked 5 ms (4.4 %)") for line in told)
    assert any(line.startswith("on the critical path 5 ms") for line in told)
    assert {"✕ error", "event at 80 ms: exception"} <= set(told)
    inside.xdotool("click", "1")
    inside.wait("window.inside.page.detail is not None")
    texts = inside.ask("window.inside.page.panel.texts()")
    assert {
        "user.id",
        "Ada Lovelace",
        "cart.size",
        "3",
        "EVENT exception",
        "web GET /cart",
        "db SELECT items",
    } <= set(texts)
    inside.key("c")
    assert "Ada Lovelace" in inside.wait("clipboard()")
    inside.key("bracketright")
    inside.wait("window.inside.page.selected == 2")
    inside.key("bracketleft")
    inside.wait("window.inside.page.selected == 1")
    inside.key("Escape")
    inside.wait("window.inside.page.selected is None")
    assert inside.ask(INSIDE)


def test_a_click_on_a_note_selects_its_span(inside: Running) -> None:
    stage = "window.inside.page.view.stage"
    inside.ask(f"room, pins = {stage}.room, {stage}.drawn.pins")
    inside.ask("place = [[float(room.x(pins.at[0])), *room.strip(int(pins.level[0]))]]")
    inside.ask("import numpy as np; from tracescape_render.camera import to_screen")
    inside.ask(f"xy, _ = to_screen(np.array(place, np.float32), {stage}.projection(), {stage}.size)")
    x, y = inside.ask(
        "(lambda p: (p.x(), p.y()))(window.inside.page.view.canvas.mapToGlobal(QPoint(round(float(xy[0, 0])),"
        f" {stage}.size[1] - 1 - round(float(xy[0, 1])))))"
    )
    inside.move(x, y)
    inside.wait("'of cart load <b>cart</b>' in window.inside.page.view.tip")
    inside.xdotool("click", "1")
    inside.wait("window.inside.page.selected == 1")


def test_searching_finds_what_is_written_and_what_is_meant(inside: Running) -> None:
    inside.key("slash")
    inside.wait("window.inside.page.box.hasFocus()")
    inside.write("lovelace")
    inside.wait("window.inside.page.hits.tolist() == [1]")
    inside.key("Return")
    inside.wait("window.inside.page.selected == 1")
    inside.ask('window.inside.page.box.setText(\'service = "db" or service = "web"\')')
    inside.wait("window.inside.page.hits.tolist() == [0, 2, 3]")
    for expected in (0, 2, 3, 0):
        inside.ask("window.inside.page.next_hit()")
        assert inside.ask("window.inside.page.selected") == expected
    assert inside.ask("window.inside.page._count.text()") == "1 of 3"
    inside.ask("window.inside.page.box.setText('service = ')")
    inside.wait("'service = ' in window.status.texts()[2] or 'filter' in window.status.texts()[2].lower()")
    inside.ask("window.inside.page.box.setText('\"cart.size\":3')")  # no filter, but written there
    inside.wait("window.inside.page.hits.tolist() == [1]")
    inside.ask("window.inside.page.box.setText('nowhere to be found')")
    inside.wait("window.inside.page._count.text() == 'nothing'")
    inside.ask("window.inside.page.box.clear()")
    assert inside.ask("window.inside.page.hits.tolist()") == []
    inside.key("n")  # the canvas has the keyboard again only when it is asked for


def test_without_a_search_n_goes_to_what_failed(inside: Running) -> None:
    inside.ask("window.inside.page.view.canvas.setFocus()")
    inside.key("n")
    inside.wait("window.inside.page.selected == 1")


@contextlib.contextmanager
def double_clicks(window: Running) -> Iterator[None]:
    """Two clicks are one of two, however late a busy machine makes the second."""
    window.ask("from PySide6.QtWidgets import QApplication")
    window.ask("QApplication.setDoubleClickInterval(60_000)")
    try:
        yield
    finally:
        window.ask("QApplication.setDoubleClickInterval(400)")


def test_the_wheel_shows_less_and_backspace_what_was_seen_before(inside: Running) -> None:
    inside.ask("window.inside.page.view.canvas.setFocus()")
    inside.wait("window.inside.page.view._flight is None")
    inside.move(*inside.ask("spot(3)"))
    inside.ask("before = window.inside.page.view.stage.place_at(*window.inside.page.view._pixel("
               "window.inside.page.view._pointer))[0]")  # fmt: skip
    inside.xdotool("click", "4")
    inside.wait("window.inside.page.view.reach.length < window.inside.page.view.stage.whole.length")
    assert inside.ask(
        "abs(window.inside.page.view.stage.place_at(*window.inside.page.view._pixel("
        "window.inside.page.view._pointer))[0] - before) < 1e6"
    )
    inside.key("f")
    inside.wait("window.inside.page.view._flight is None")
    assert inside.ask("window.inside.page.view.stage.drawn.reach == window.inside.page.view.stage.whole")
    with double_clicks(inside):
        inside.xdotool("click", "--repeat", "2", "--delay", "60", "1")
    inside.wait("window.inside.page.selected == 3 and window.inside.page.view.reach.first > 0")
    inside.key("BackSpace")
    inside.wait("window.inside.page.view.reach == window.inside.page.view.stage.whole")
    assert inside.ask(INSIDE)


def test_a_panel_waits_lest_the_second_click_of_two_hits_what_it_has_moved(inside: Running) -> None:
    opening = "window.inside.page._opening"
    with double_clicks(inside):
        inside.move(*inside.ask("spot(3)"))
        assert inside.ask("window.inside.page.view.tip")
        inside.xdotool("click", "--repeat", "2", "--delay", "60", "1")
        inside.wait("window.inside.page.view.reach.first > 0")
        inside.wait("window.inside.page.view._flight is None")
        assert inside.ask(f"(window.inside.page.selected, {opening}.isActive())") == (3, False)
        assert inside.ask("window.inside.page.panel.isHidden()")
        inside.ask("window.inside.page.select(None)")
        see_all(inside)
        inside.move(*inside.ask("spot(3)"))
        assert inside.ask("window.inside.page.view.tip")
        inside.xdotool("click", "1")
        assert inside.ask("window.inside.page.selected") == 3
        assert inside.ask(f"(window.inside.page.panel.isHidden(), {opening}.interval())") == (True, 60_000)
        inside.ask(f"{opening}.setInterval(0)")
        inside.wait("window.inside.page.panel.isVisible()")


def test_another_trace_stands_beside_it_and_goes_again(inside: Running) -> None:
    inside.ask("window.inside.page.view.canvas.setFocus()")
    inside.key("v")
    inside.wait("len(window.inside.page.wall.blocks) == 2")
    assert inside.ask("Shop.asked[-1] == InsideWish('ab' * 16, TYPICAL)")
    labels = inside.wait("window.inside.page.view.stage.labels")
    assert any("▲ +60 ms" in text and "SELECT" in text for text in labels)
    assert any("fails here" in text for text in labels)
    assert "--beside=" in inside.ask("window.taking.command()")
    inside.ask("window.inside.page.alone()")
    inside.wait("len(window.inside.page.wall.blocks) == 1")


def test_what_arrives_later_is_there_when_it_is_read_again(inside: Running) -> None:
    inside.ask("window.inside.page.view.canvas.setFocus()")
    inside.ask("window.inside.page.select(2)")
    inside.ask("late.append(span('D', 'gone', service='mail', operation='send', start=20 * MS, end=30 * MS))")
    inside.key("u")
    inside.wait("len(window.inside.page.wall.start) == 6")
    assert inside.ask("int(window.inside.page.wall.void.sum())") == 1
    inside.wait("window.inside.page.selected is not None")
    assert inside.ask("window.inside.page.wall.name(window.inside.page.selected)") == "db SELECT items"


def test_a_link_reproduces_the_part_the_span_and_where_one_stands(inside: Running) -> None:
    page = "window.inside.page"
    assert "--wall-view" not in inside.ask("window.taking.command()"), "all of it, in a window of any size"
    inside.ask(f"{page}.view.go_to(3)")
    inside.wait(f"{page}.view._flight is None")
    inside.ask(f"{page}.view.turn(25.0, 7.0)")
    inside.ask(f"{page}.view.nearer(0.7)")
    inside.ask(f"{page}.select(1)")
    command = inside.ask("window.taking.command()")
    view, reach = inside.ask(f"tuple({page}.view.stage.view())"), inside.ask(f"tuple({page}.view.reach)")
    inside.ask(f"{page}.view.see_all()")
    inside.wait(f"{page}.view._flight is None")
    inside.ask("window.going._journey.__init__()")
    inside.key("b")
    inside.wait("len(window.going._journey._marks) == 1")
    written = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    asked = Asked(
        written["--trace"],
        inside=True,
        within=written["--within"],
        span=written["--span"],
        wall_view=written["--wall-view"],
    ).request()
    inside.ask("window.visiting.leave()")
    inside.ask("from tracescape_render.camera import View")
    inside.ask("from tracescape_render.inside.asked import Seen")
    inside.ask(f"window.inside.step_in(InsideWish(*{tuple(asked.inside or ())!r}), {asked.seen!r})")
    inside.wait(f"{INSIDE} and {page}.selected == 1")
    assert inside.ask("window.taking.command()") == command
    again, part = inside.ask(f"tuple({page}.view.stage.view())"), inside.ask(f"tuple({page}.view.reach)")
    assert np.allclose(again, view, atol=1e-6)
    assert np.allclose(part, reach, atol=1e-3, rtol=0.0)
    inside.key("B")  # which was set where one sees all of it
    inside.wait(f"{page}.view.stands_at is None and {page}.view.reach == {page}.view.stage.whole")
    assert "--wall-view" not in inside.ask("window.taking.command()")


def test_a_trace_that_is_not_there_is_a_sentence_and_one_stays(world: Running) -> None:
    world.ask("window.inside.step_in(InsideWish(BAD))")
    world.wait("'No span of that trace is stored' in window.status.texts()[2]")
    assert world.ask("window.pages.currentIndex()") == 0


def test_all_themes_and_the_help_are_there(inside: Running) -> None:
    for theme in ("light", "colour-blind", "dark"):
        inside.ask("window.next_theme()")
        assert inside.ask("window.inside.page.view.stage.theme.name") == theme
    inside.ask("window.toggle_help()")
    assert "Inside a trace" in inside.ask("window._help.text()")
    inside.ask("window.toggle_help()")


def test_a_command_can_begin_inside_and_the_window_ends_there(tmp_path: Path) -> None:
    script = SCRIPT + "main(inside=InsideWish('cd' * 16))\n"
    with x_server() as alone, contextlib.closing(Running(script, alone, tmp_path)) as window:
        window.until("ready")
        window.wait(INSIDE)
        window.last_key("q")
        window.until("closed")
        assert window.process.wait(30) == 0


WALL_ALONE = """
from tracescape_render.window import open_wall
open_wall(answer(shop(60), shop(120, "o")), on_ready=ready)
say("closed")
"""


def test_a_wall_has_a_window_of_its_own(tmp_path: Path) -> None:
    with x_server() as alone, contextlib.closing(Running(SCRIPT + WALL_ALONE, alone, tmp_path)) as window:
        window.until("ready")
        assert window.ask("len(window.page.wall.blocks)") == 2
        window.wait("window.page.view.stage.labels")
        window.key("question")
        window.wait("window._help.isVisible()")
        listed = window.ask("window._help.text()")
        assert "bookmark" not in listed and "ride" not in listed, "neither can be done here"
        window.key("Escape")
        window.wait("not window._help.isVisible()")
        window.key("t")
        window.wait("window.theme.name == 'light' and window.page.view.stage.theme.name == 'light'")
        window.ask("window.page.alone()")
        window.wait("'cannot be opened from here' in window._said.text()")
        window.last_key("q")
        window.until("closed")
        assert window.process.wait(30) == 0
