"""Going through time in a real window: drag, play, live again, and whatever the source does meanwhile."""

import contextlib
from collections.abc import Iterator

import pytest

from support.desktop import Running

SCRIPT = """
import dataclasses, threading
import polars as pl
from support.scenes import SHOP_EDGES, SHOP_NODES
from tracescape_render import Snapshot, Start, build_scene, open_window
from tracescape_render.snapshot import Details, Figures, NoQuestions
from tracescape_analytics.calls import Unpaired
from tracescape_analytics.topology import Topology
from tracescape_analytics.topology_difference import difference
from tracescape_render.charts import topology_chart
from tracescape_render.contrast import GREW, contrasted
from tracescape_render.strip import LINE_SCHEMA, MARK_SCHEMA, Line

SECOND = 1_000_000_000
BEGIN = 1_760_000_040 * SECOND
END = BEGIN + 600 * SECOND
places = {}
state = {"failure": None, "stored": True, "sick_from": BEGIN + 300 * SECOND}
gate = threading.Event()
gate.set()
asked = []

def snapshot(at_ns=None, **more):
    sick = at_ns is not None and at_ns >= state["sick_from"]
    nodes = SHOP_NODES.with_columns(
        state=pl.when((pl.col("service") == "cart") & sick).then(pl.lit("failing")).otherwise("state"))
    scene = build_scene(nodes, SHOP_EDGES, seconds=60.0, caption=f"at {at_ns}", positions=places)
    places.update(zip(scene.services, map(tuple, scene.positions.tolist())))
    return Snapshot(scene, nodes, SHOP_EDGES, 60.0, "localhost:4318", True, END, at_ns=at_ns, **more)

def waterfall():
    return topology_chart(SHOP_NODES, SHOP_EDGES)

def rows(service):
    return [dict(start_ns=BEGIN + i * 10 * SECOND, end_ns=BEGIN + (i + 1) * 10 * SECOND, service=service,
        calls=i, errors=i // 10, rate_per_s=i / 10, error_rate=0.1 if i else None, p95_ns=i)
        for i in range(60)]

class Then(NoQuestions):
    def __init__(self, at_ns):
        self.at_ns = at_ns
    def details(self, service):
        return Details(service, reason=f"as it was at {self.at_ns}")

class Shop(NoQuestions):
    def details(self, service):
        return Details(service, reason="as it is now")
    def line(self, wish):
        if not state["stored"]:
            return Line()
        if state["failure"]:
            raise ConnectionError(state["failure"])
        since, until = wish.range_ns or (BEGIN, END)
        mark = dict(kind="deployment", start_ns=BEGIN + 300 * SECOND, service="cart", text="cart 2 (was 1)")
        change = dict(kind="change", start_ns=BEGIN + 420 * SECOND, end_ns=BEGIN + 480 * SECOND,
            service="cart", text="cart is slower", trace_id="ab" * 16)
        marks = pl.DataFrame([mark, change], schema=MARK_SCHEMA) if wish.marks else None
        steps = pl.DataFrame(rows(None) + (rows(wish.service) if wish.service else []), schema=LINE_SCHEMA)
        return Line(since, until, (BEGIN, END), steps, marks, wish.service)
    def moment(self, wish):
        asked.append(wish.at_ns)
        if not gate.wait(60):
            raise TimeoutError
        if state["failure"]:
            raise ConnectionError(state["failure"])
        shown = snapshot(wish.at_ns, width_ns=60 * SECOND, reasoned=wish.causes, questions=Then(wish.at_ns),
            command=["tracescape", "explore", f"--at={wish.at_ns}"])
        if wish.against_ns is None:
            return shown
        ends = sorted((wish.at_ns, wish.against_ns))
        found = difference(*(core(at) for at in ends))
        both = contrasted(found.nodes, found.edges, before=found.before, after=found.after, positions=places)
        words = [*shown.command, f"--against={wish.against_ns}"]
        return dataclasses.replace(shown, both=both, against_ns=wish.against_ns, command=words)
    def trace(self, trace_id):
        return waterfall()

def core(at_ns):
    sick = at_ns >= state["sick_from"]
    nodes = SHOP_NODES.with_columns(seen="calls", calls=pl.when((pl.col("service") == "cart") & sick)
        .then(3000).otherwise("calls")).with_columns(seen="calls")
    edges = SHOP_EDGES.with_columns(seen="calls", client_p50_ns=pl.lit(1), server_p50_ns=pl.lit(1))
    return Topology(nodes, edges, at_ns - 60 * SECOND, at_ns, 1, 1, Unpaired())

def cart_state():
    return window.snapshot.nodes.row(by_predicate=pl.col("service") == "cart", named=True)["state"]

def spot(share, y=50):
    from PySide6.QtCore import QPoint
    track = window.time.strip.track
    x = track.x_of(track.line.since_ns + share * (track.line.until_ns - track.line.since_ns))
    where = track.mapToGlobal(QPoint(round(x), y))
    return where.x(), where.y()

def main():
    open_window(snapshot, questions=Shop(), refresh_s=0.2, start=Start(size=(1280, 800)), on_ready=opened)

def opened(made):
    global window
    window = made
    drive(made)
"""


@pytest.fixture(scope="module")
def shared(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with contextlib.closing(Running(SCRIPT + "main()\n", display, tmp_path_factory.mktemp("time"))) as made:
        made.until("ready")
        made.wait("not window.time.line.empty and window.time.line.marks is not None")
        yield made


@pytest.fixture
def window(shared: Running) -> Running:
    shared.ask("state.update(failure=None, stored=True)")
    shared.ask("gate.set()")
    shared.ask("window.visiting.dismiss()")
    shared.ask("window.say('')")
    shared.ask("window.time.compare(None)")
    shared.ask("window.set_page(0)")
    shared.ask("window.choice.set_hops(None)")
    shared.ask("window.time.now()")
    shared.ask("window.time.zoom(BEGIN, END)")
    shared.ask("window.select(None)")
    shared.ask("setattr(window.time.player, 'speed', 1.0)")
    shared.wait("window.snapshot.at_ns is None and window.time.line.since_ns == BEGIN")
    shared.xdotool("mousemove", "20", "400")
    return shared


def point(window: Running, share: float) -> None:
    x, y = window.ask(f"spot({share})")
    window.xdotool("mousemove", str(x), str(y))


def cart(window: Running) -> str:
    state: str = window.ask(
        "window.snapshot.nodes.row(by_predicate=pl.col('service') == 'cart', named=True)['state']"
    )
    return state


def test_a_click_on_the_strip_shows_the_world_of_that_moment_and_says_so(window: Running) -> None:
    assert window.ask("window.time.strip.texts()[0]") == "● LIVE"
    assert not window.ask("window.time.banner.isVisible()")
    places = window.ask("window.scene.positions.tolist()")
    view = window.ask("window.world.view[0]")
    point(window, 0.75)
    window.xdotool("click", "1")
    window.wait("window.snapshot.at_ns == BEGIN + 450 * SECOND")
    assert cart(window) == "failing"
    assert window.ask("window.scene.positions.tolist()") == places
    assert window.ask("window.world.view[0]") == view
    assert window.ask("window.time.strip.texts()[0]") == "PAST"
    assert window.ask("window.time.banner.isVisible() and window.time.banner.text()").startswith("PAST ")
    assert window.ask("window.status.texts()[0]") == "the past of localhost:4318"
    assert window.ask("window.world.stage.theme.ground != window.theme.ground")
    assert window.ask("window.world.pace") == 0.0
    assert "--at=" in window.ask("window.taking.command()")


def test_dragging_goes_through_moments_and_ends_at_the_last(window: Running) -> None:
    point(window, 0.2)
    window.xdotool("mousedown", "1")
    window.wait("window.snapshot.at_ns == BEGIN + 120 * SECOND")
    assert cart(window) == "healthy"
    for share in (0.3, 0.4, 0.5, 0.6):
        point(window, share)
    window.xdotool("mouseup", "1")
    window.wait("window.snapshot.at_ns == BEGIN + 360 * SECOND")
    assert cart(window) == "failing"


def test_what_is_newest_is_shown_again_with_one_key(window: Running) -> None:
    window.ask("window.time.go(BEGIN + 450 * SECOND)")
    window.wait("window.snapshot.at_ns is not None")
    window.key("End")
    window.wait("window.snapshot.at_ns is None and not window.time.banner.isVisible()")
    assert cart(window) == "healthy"
    assert window.ask("window.time.strip.texts()[0]") == "● LIVE"
    assert window.ask("window.world.stage.theme.ground == window.theme.ground")
    window.wait("window.world.pace == 1.0")


def test_while_the_past_is_shown_nothing_new_takes_its_place(window: Running) -> None:
    window.ask("window.time.go(BEGIN + 100 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 100 * SECOND")
    window.ask("setattr(window.showing, 'newest', None)")
    window.wait("window.showing.newest is not None")  # more came from the source
    assert window.ask("window.snapshot.at_ns == BEGIN + 100 * SECOND")


def test_it_plays_forward_and_back_and_stands_still(window: Running) -> None:
    window.ask("window.time.go(BEGIN + 200 * SECOND)")
    window.key("plus", "plus", "plus", "space")
    window.wait("window.snapshot.at_ns is not None and window.snapshot.at_ns > BEGIN + 215 * SECOND")
    assert window.ask("window.world.pace") == 10.0
    assert "playing ×10" in window.ask("window.time.banner.text()")
    window.key("r")
    window.wait("window.time.player.backwards")
    reached = window.ask("window.time.player.at_ns")
    window.wait(f"window.time.player.at_ns < {reached} - 5 * SECOND")
    window.key("space")
    window.wait("not window.time.player.playing")
    window.wait("'standing still' in window.time.banner.text()")


def test_a_step_with_a_key_is_a_step_of_the_timeline(window: Running) -> None:
    window.ask("window.time.go(BEGIN + 200 * SECOND)")
    window.key("period")
    window.wait("window.snapshot.at_ns == BEGIN + 210 * SECOND")
    window.key("comma", "comma")
    window.wait("window.snapshot.at_ns == BEGIN + 190 * SECOND")
    window.key("Home")
    window.wait("window.snapshot.at_ns == BEGIN")


def test_the_newest_wish_wins_and_nothing_waits_for_the_others(window: Running) -> None:
    window.ask("asked.clear()")
    window.ask("gate.clear()")
    for second in range(10, 110, 10):
        window.ask(f"window.time.go(BEGIN + {second} * SECOND)")
        window.ask("window.time.tick()")
    frames = window.ask("window.world._frames[-1:]")
    window.ask("window.world.changed()")
    window.wait(f"window.world._frames[-1:] != {frames}")  # it goes on drawing
    window.wait("window.time._how() == 'asking for that moment …'")
    window.ask("gate.set()")
    window.wait("window.snapshot.at_ns == BEGIN + 100 * SECOND")
    assert len(window.ask("sorted(set(asked))")) <= 3


def test_an_answer_that_comes_after_live_again_is_dropped(window: Running) -> None:
    window.ask("asked.clear()")
    window.ask("gate.clear()")
    window.ask("window.time.go(BEGIN + 50 * SECOND)")
    window.wait("asked")
    window.ask("window.time.now()")
    window.ask("gate.set()")
    window.ask("window.time.tick()")
    window.wait("not window.time._moments._wanted")
    assert window.ask("window.snapshot.at_ns") is None


def test_a_panel_over_the_past_tells_of_the_past_and_now_of_now(window: Running) -> None:
    window.ask("window.select('cart')")
    window.wait("'as it is now' in window.panel.texts()")
    window.wait("window.time.line.selected == 'cart' and len(window.time.line.steps) == 120")
    window.ask("window.time.go(BEGIN + 450 * SECOND)")
    window.wait("f'as it was at {BEGIN + 450 * SECOND}' in window.panel.texts()")
    assert "then" in window.ask("window.panel.texts()")
    window.key("End")
    window.wait("'as it is now' in window.panel.texts()")


def test_a_mark_is_told_under_the_pointer(window: Running) -> None:
    point(window, 0.4999)
    window.wait("'cart 2 (was 1)' in window.time.strip.track.tip.text()")
    point(window, 0.2)
    window.wait("'cart 2' not in window.time.strip.track.tip.text()")


def test_the_wheel_stretches_the_time_that_is_shown(window: Running) -> None:
    point(window, 0.5)
    window.xdotool("click", "4", "click", "4", "click", "4")
    # All three count, also those that come before the first has been answered.
    window.wait("abs(window.time.line.until_ns - window.time.line.since_ns - 0.8**3 * 600 * SECOND) < SECOND")
    middle = window.ask("(window.time.line.until_ns + window.time.line.since_ns) // 2 - BEGIN")
    assert abs(middle - 300 * 10**9) < 10 * 10**9
    window.xdotool("click", "5", "click", "5", "click", "5", "click", "5")
    window.wait("(window.time.line.since_ns, window.time.line.until_ns) == (BEGIN, END)")


def test_when_the_past_cannot_be_had_the_window_stays_and_says_so(window: Running) -> None:
    window.ask("state.update(failure='the store is gone')")
    window.ask("window.time.go(BEGIN + 130 * SECOND)")
    window.wait("'no answer: the store is gone' in window.time.banner.text()")
    assert window.ask("window.time.strip.texts()[0]") == "PAST"
    window.ask("state.update(failure=None)")
    window.ask("window.time.go(BEGIN + 140 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 140 * SECOND and not window.time.trouble")


def test_a_click_on_a_mark_goes_to_its_moment_selects_its_service_and_offers_its_trace(
    window: Running,
) -> None:
    x, y = window.ask("spot(0.75, 5)")
    window.xdotool("mousemove", str(x), str(y))
    window.wait("'R rides a trace that shows it' in window.time.strip.track.tip.text()")
    window.xdotool("click", "1")
    window.wait("window.snapshot.at_ns == BEGIN + 480 * SECOND")
    assert window.ask("(window.selected, cart_state())") == ("cart", "failing")
    assert "R rides a trace that shows it" in window.ask("window.status.texts()[2]")
    window.wait("'as it was at' in ' '.join(window.panel.texts())")
    window.key("R")
    window.wait("not window.visiting.awaits(window.riding)")  # or BackSpace would end only the waiting
    assert window.ask("tuple(window.riding._wanted)") == ("ab" * 16, None)
    window.key("BackSpace")
    window.wait("window.snapshot.at_ns is None and window.selected is None")
    window.ask("window.select('cart')")
    window.key("R")
    assert window.ask("tuple(window.riding._wanted)") == ("", "cart")  # elsewhere, nobody offers it
    x, y = window.ask("spot(0.5, 5)")
    window.xdotool("mousemove", str(x), str(y), "click", "1")
    window.wait("window.snapshot.at_ns == BEGIN + 360 * SECOND")  # what came after the deployment
    window.key("R")
    assert window.ask("tuple(window.riding._wanted)") == ("", "cart")


def test_a_bookmark_holds_the_moment(window: Running) -> None:
    window.ask("window.time.go(BEGIN + 450 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 450 * SECOND")
    window.key("b")
    window.key("End")
    window.wait("window.snapshot.at_ns is None")
    window.key("shift+b")
    window.wait("window.snapshot.at_ns == BEGIN + 450 * SECOND")


def test_without_anything_stored_there_is_nothing_to_go_through(window: Running) -> None:
    window.ask("state.update(stored=False)")
    window.ask("window.time.zoom(BEGIN, END - 1)")
    window.wait("window.time.line.empty")
    window.key("space")
    window.wait("'there is no time to go through yet' in window.status.texts()")
    window.key("End", "Home", "comma", "r")
    point(window, 0.5)
    window.xdotool("click", "1")
    assert window.ask("window.snapshot.at_ns") is None


def compared(window: Running) -> None:
    """The moment after 100 s marked, the one after 450 s shown."""
    window.ask("window.time.go(BEGIN + 100 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 100 * SECOND")
    window.key("o")
    window.wait("window.time.against_ns == BEGIN + 100 * SECOND")
    window.ask("window.time.go(BEGIN + 450 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 450 * SECOND and window.snapshot.both is not None")


def test_a_marked_moment_is_what_others_are_compared_with(window: Running) -> None:
    compared(window)
    change = "dict(zip(window.scene.services, window.scene.contrast.change.tolist()))['cart'] == GREW"
    window.wait(change)
    window.wait("'blended' in window.time.banner.text()")
    assert "--against=" in window.ask("window.taking.command()")
    view = window.ask("window.world.view[0]")
    window.ask("window.time.go(BEGIN + 200 * SECOND)")
    window.wait("window.snapshot.at_ns == BEGIN + 200 * SECOND")
    assert window.ask("set(window.scene.contrast.change.tolist())") == {4}  # nothing differs
    assert window.ask("window.world.view[0]") == view
    window.ask("window.time.go(BEGIN + 100 * SECOND)")  # the other moment itself
    window.wait("window.snapshot.at_ns == BEGIN + 100 * SECOND and window.scene.contrast is None")
    window.key("o")
    window.wait("window.time.against_ns is None")
    assert "--against=" not in window.ask("window.taking.command()")


def test_two_moments_stand_beside_each_other_with_one_key_and_escape_ends_it(window: Running) -> None:
    compared(window)
    bodies = window.ask("len(window.scene.services)")
    window.key("v")
    window.wait(f"len(window.scene.services) == {2 * bodies}")
    assert "--split" in window.ask("window.taking.command()")
    window.click("cart")  # of the later moment
    window.wait("window.selected == 'cart'")
    window.ask("window.select(None)")
    window.click("\0before cart")
    window.wait("window.selected == 'cart'")
    window.key("g")  # flies to it
    window.key("Escape", "Escape")
    window.wait("window.time.against_ns is None and window.scene is window.snapshot.scene")


def test_without_another_moment_there_is_nothing_to_set_beside(window: Running) -> None:
    window.key("v")
    window.wait("any('o marks a moment' in text for text in window.status.texts())")
    assert not window.ask("window.time.split")


def test_a_bookmark_holds_both_moments_place_selection_focus_and_trace(window: Running) -> None:
    compared(window)
    window.key("v")
    window.wait("window.showing._halves")
    window.ask("window.select('cart')")
    window.key("2")
    window.wait("window.choice.focus is not None")
    window.wait("window.world._flight is None")
    window.ask("window.world.look(window.world.view._replace(focus=(1.0, 2.0, 3.0)), fly=False)")
    window.ask("window.open_trace('ab' * 16)")
    window.wait("window.pages.currentIndex() == 4")
    window.ask("window.pages.trace.setFocus()")
    window.key("b")
    window.wait("any('bookmark' in text for text in window.status.texts())")
    told = window.ask("window.taking.command()")
    assert set(told.split()) >= {"--split", f"--trace={'ab' * 16}", "--focus=cart", "--hops=2"}
    place = window.ask("[*map(repr, window.going.place[:8])]")
    window.ask("window.time.compare(None)")
    window.ask("window.time.now()")
    window.ask("window.choice.set_hops(None)")
    window.ask("window.select(None)")
    window.ask("window.pages.open_trace('cd' * 16, waterfall())")
    window.ask("window.set_page(0)")
    window.wait("window.snapshot.at_ns is None")
    window.key("B")
    window.wait("window.snapshot.both is not None and window.showing._halves")
    window.wait("window.pages.currentIndex() == 4 and window.pages.trace_id == 'ab' * 16")
    assert window.ask("[*map(repr, window.going.place[:8])]") == place
    assert window.ask("window.taking.command()") == told


@pytest.mark.parametrize("width", [640, 800, 1280])
def test_the_banner_is_whole_in_a_narrow_window(window: Running, width: int) -> None:
    window.ask(f"window.resize({width}, 700)")
    compared(window)
    window.wait("window.time.banner.isVisible() and '→' in window.time.banner.text()")
    over = "window.world.canvas.width()"
    window.wait(f"0 <= window.time.banner.x() and window.time.banner.geometry().right() <= {over}")
    fits = "window.time.banner.fontMetrics().horizontalAdvance(window.time.banner.text())"
    assert window.ask(f"{fits} + 28 <= window.time.banner.width() + 1")
    window.ask("window.resize(1280, 800)")
