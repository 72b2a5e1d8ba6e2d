"""A real window on a real X server: clicks, keys, a source that fails and recovers, and the end of it all."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.desktop import Running
from support.display import x_server
from tracescape_render import RenderError, Snapshot, open_window

SCRIPT = """
import threading
import polars as pl
from support.scenes import SHOP_EDGES, SHOP_NODES, edges, nodes
from tracescape_render import RenderError, Snapshot, Start, build_scene, open_window
from tracescape_render.snapshot import (
    Details, Exemplar, Figures, Index, NoQuestions, OPERATION_SCHEMA, STEP_SCHEMA,
)

answers = {"nodes": SHOP_NODES, "edges": SHOP_EDGES, "failure": None, "causes": None}
places = {}

def source():
    if answers["failure"]:
        raise ConnectionError(answers["failure"])
    scene = build_scene(answers["nodes"], answers["edges"], seconds=60.0, caption="a shop", positions=places,
        causes=answers["causes"])
    places.update(zip(scene.services, map(tuple, scene.positions.tolist())))
    return Snapshot(scene, answers["nodes"], answers["edges"], 60.0, "localhost:4318", True, 1_000,
        "" if answers["causes"] is None else "It may well be.")

class Shop(NoQuestions):
    asked = []
    gate = threading.Event()
    def details(self, service):
        self.asked.append(service)
        if service == "web" and not self.gate.wait(60):
            raise TimeoutError
        if service == "email":
            raise ConnectionError("the collector went away")
        steps = pl.DataFrame({"start_ns": [0, 1, 2], "rate_per_s": [1.0, 2.0, float("nan")],
            "error_rate": [0.0, None, 0.5], "p50_ns": [1e6, 2e6, 3e6], "p95_ns": [4e6, None, 9e6]},
            schema=STEP_SCHEMA)
        return Details(service, Figures(12.5, 0.04, 1e6, 250e6, 300e6), Figures(10.0, 0.001, 1e6, 50e6, 60e6),
            "p95 is 5.0 times what it was", steps, operations().filter(pl.col("service") == service),
            ("1.4.2",), (Exemplar("slowest", "ab" * 16, "web GET /", 2e9),))
    def lay_out(self):
        places.clear()
        places.update({name: (6.0 * i, 3.0, 2.0) for i, name in enumerate(answers["nodes"]["service"])})
    def index(self):
        return Index(operations(), {"cart": ("1.4.2", "1.4.3")})

def operations():
    return pl.DataFrame({"service": ["cart", "cart", "checkout"],
        "operation": ["GET /cart/{user}", "add item", "POST /orders"],
        "calls": [200, 90, 80], "errors": [0, 1, 4], "p95_ns": [1e6, None, 2e6]},
        schema=OPERATION_SCHEMA)

class Guest:
    covers = False
    def __init__(self, page):
        self.page, self.ticks, self.gone, self.pressed = page, 0, False, False
    def give_up(self):
        self.gone = True
    def enter(self):
        return self.page
    def leave(self):
        self.gone = True
    def tick(self):
        self.ticks += 1
    def handler(self, event):
        return (lambda: setattr(self, "pressed", True)) if event.text() == "n" else None
    def use(self, theme):
        self.theme = theme.name
    def words(self):
        return ["--guest"]
    def here(self):
        return self.ticks
    def return_to(self, here):
        self.returned = here

guests = []

def main(**options):
    start = Start(title="tracescape test", size=(1280, 800), **options)
    try:
        open_window(source, questions=Shop(), refresh_s=0.2, start=start, on_ready=drive,
            on_select=lambda name: say("selected", name))
    except RenderError as error:
        say("refused", error)
        sys.exit(1)
    say("closed")
"""


@pytest.fixture(scope="module")
def shared(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with contextlib.closing(
        Running(SCRIPT + "main()\n", display, tmp_path_factory.mktemp("window"))
    ) as window:
        window.until("ready")
        yield window


@pytest.fixture
def window(shared: Running) -> Running:
    """The window, as it was when it was opened."""
    shared.ask("answers.update(nodes=SHOP_NODES, edges=SHOP_EDGES, failure=None, causes=None)")
    shared.wait("window.snapshot.nodes.equals(SHOP_NODES)")
    shared.ask("window.say('')")
    shared.ask("window.choice.set_hops(None)")
    shared.ask("window.box.clear()")
    shared.ask("window.set_page(0)")
    shared.ask("window.select(None)")
    shared.ask("window.world.see_everything(fly=False)")
    shared.xdotool("mousemove", "20", "600")
    return shared


@pytest.fixture
def lonely() -> Iterator[str]:
    """A display without other windows: without a window manager, keys go to whichever had them."""
    with x_server() as name:
        yield name


def test_a_click_selects_the_service_under_it_and_its_panel_fills(window: Running) -> None:
    for name in ("cart", "checkout", "postgresql", "user"):
        window.click(name)
        window.wait(f"window.selected == {name!r}")
        window.wait("any('p95 is 5.0 times' in text for text in window.panel.texts())")
        texts = window.ask("window.panel.texts()")
        assert {name, "12.5/s", "4.0 %", "250 ms", "50 ms", "×5", "1.4.2", "web GET /"} <= set(texts)
    window.key("Escape")
    window.wait("window.selected is None and not window.panel.isVisible()")


@pytest.mark.parametrize("key", ["Escape", "BackSpace"])
def test_who_takes_the_stage_has_its_keys_and_leads_back_to_where_one_was(window: Running, key: str) -> None:
    window.ask("window.select('cart')")
    window.ask("window.set_page(1)")
    window.ask("guests.append(Guest(0)) or window.visiting.enter(guests[-1])")
    window.wait("guests[-1].ticks > 0 and window.pages.currentIndex() == 0")
    window.key("n")
    window.wait("guests[-1].pressed")
    assert window.ask("window.selected") == "cart"  # n did not go to the worst
    assert "--guest" in window.ask("window.taking.command()")
    window.ask("window.select('checkout')")
    window.ask("window.world.look(window.world.view._replace(position=(1.0, 2.0, 30.0)), fly=False)")
    window.ask("guests.append(Guest(2)) or window.visiting.enter(guests[-1])")
    window.wait("guests[-2].gone and window.pages.currentIndex() == 2")
    window.key(key)
    window.wait("guests[-1].gone and window.visiting.guest is None")
    window.wait("window.pages.currentIndex() == 1 and window.selected == 'cart'")
    window.wait("window.world.view.position != (1.0, 2.0, 30.0)")
    assert "--guest" not in window.ask("window.taking.command()")


def test_a_panel_names_who_calls_and_who_is_called(window: Running) -> None:
    window.ask("window.select('checkout')")
    window.wait("window.asked.known is not None")
    texts = window.ask("window.panel.texts()")
    callers, callees = texts.index("CALLED BY"), texts.index("CALLS")
    assert callers < callees
    assert {"web", "orders", "bank.example", "POST /orders"} <= set(texts)
    assert "reviews" not in texts


def test_the_panel_of_a_suspect_says_that_nothing_is_proved_and_others_say_nothing(window: Running) -> None:
    suspect = "{'kind': 'errors', 'service': 'cart', 'named': False, 'source': None, 'target': None}"
    window.ask(f"answers.update(causes=pl.DataFrame([{suspect}]))")
    window.wait("window.snapshot.scene.suspect is not None")
    said = "Suspect, not proved. It may well be."
    window.ask("window.select('cart')")
    window.wait(f"{said!r} in window.panel.texts()")
    window.ask("window.select('checkout')")
    window.wait("'checkout' in window.panel.texts()")
    assert said not in window.ask("window.panel.texts()")


def test_whoever_sees_everything_makes_room_for_a_flag_that_comes_later(window: Running) -> None:
    cause = "{'kind': 'errors', 'service': 'cart', 'named': True, 'source': None, 'target': None}"
    before = window.ask("list(window.world.view.position)")
    window.ask(f"answers.update(causes=pl.DataFrame([{cause}]))")
    window.wait("window.snapshot.scene.beacon is not None")
    window.wait("window.world.view == window.world.stage.overview()")
    assert window.ask("list(window.world.view.position)") != before


def test_whoever_looks_elsewhere_stays_there_when_a_flag_comes(window: Running) -> None:
    cause = "{'kind': 'errors', 'service': 'cart', 'named': True, 'source': None, 'target': None}"
    window.xdotool("mousemove", "400", "400", "click", "4")
    window.wait("window.world.view != window.world._everything")
    before = window.ask("list(window.world.view.position)")
    window.ask(f"answers.update(causes=pl.DataFrame([{cause}]))")
    window.wait("window.snapshot.scene.beacon is not None")
    assert window.ask("list(window.world.view.position)") == before


def test_a_late_answer_about_what_is_no_longer_selected_is_dropped(window: Running) -> None:
    window.ask("Shop.gate.clear()")
    window.ask("window.select('web')")
    window.wait("'web' in Shop.asked")
    window.ask("window.select('cart')")
    window.wait("'asking for more …' in window.panel.texts()")
    window.ask("Shop.gate.set()")
    window.wait("window.asked.known is not None")
    assert window.ask("(window.asked.known.service, window.panel.service)") == ("cart", "cart")


def test_an_answer_that_fails_is_said_in_the_panel_and_the_window_stays(window: Running) -> None:
    window.ask("window.select('email')")
    window.wait("'the collector went away' in window.panel.texts()")
    window.click("cart")
    window.wait("window.asked.known is not None and window.asked.known.service == 'cart'")


def test_a_drag_turns_the_world_and_selects_nothing(window: Running) -> None:
    before = window.ask("tuple(window.world.view.position)")
    window.xdotool("mousemove", "500", "620", "mousedown", "1", "mousemove", "560", "610")
    window.xdotool("mousemove", "620", "620", "mouseup", "1")
    after = window.wait(f"window.world.view.position != {before!r} and tuple(window.world.view.position)")
    assert after[0] < before[0] - 1, "the world follows the hand"
    assert window.ask("window.selected") is None


def test_keys_fly_turn_and_tilt_and_f_comes_back(window: Running) -> None:
    home = window.ask("tuple(window.world.view.position)")
    for key, axis, sign in (("w", 1, 1), ("s", 1, -1), ("d", 0, 1), ("a", 0, -1), ("e", 2, 1), ("x", 2, -1)):
        before = window.ask("tuple(window.world.view.position)")
        window.key(key)
        after = window.wait(f"window.world.view.position != {before!r} and tuple(window.world.view.position)")
        assert (after[axis] - before[axis]) * sign > 0.5, key
    window.key("Left", "Up")
    window.wait(f"window.world.view.position[2] > {home[2]} + 1")
    window.key("f")
    window.wait(f"max(abs(a - b) for a, b in zip(window.world.stage.view().position, {home})) < 0.01")


def test_n_goes_to_the_worst_and_backspace_comes_back(window: Running) -> None:
    home = window.ask("tuple(window.world.view.position)")
    window.key("n")
    window.wait("window.selected == 'checkout'")
    assert window.ask("tuple(window.world.view.position)") != pytest.approx(home, abs=1)
    window.key("BackSpace")
    window.wait("window.selected is None")
    assert window.ask("tuple(window.world.view.position)") == pytest.approx(home, abs=0.01)


def test_a_bookmark_is_gone_back_to(window: Running) -> None:
    window.ask("window.going.to('cart')")
    marked = window.ask("tuple(window.world.view.position)")
    window.key("b")
    window.wait("'bookmark 1 set' in ' '.join(window.status.texts())")
    window.ask("window.going.to('bank.example')")
    window.key("shift+b")
    window.wait("window.selected == 'cart'")
    assert window.ask("tuple(window.world.view.position)") == pytest.approx(marked, abs=0.01)


def test_search_finds_what_is_half_remembered_and_enter_flies_there(window: Running) -> None:
    window.key("slash")
    window.wait("window.box.hasFocus()")
    window.write("chkt")
    window.wait("[hit.service for hit in window.box.hits()][:1] == ['checkout']")
    window.key("Return")
    window.wait("window.selected == 'checkout'")
    focus = window.ask("tuple(window.world.view.focus)")
    place = window.ask("tuple(window.scene.positions[window.scene.services.index('checkout')].tolist())")
    assert focus == pytest.approx(place, abs=0.01)
    window.key("ctrl+f")
    window.write("add it")
    window.wait("[hit.operation for hit in window.box.hits()][:1] == ['add item']")
    window.key("Return")
    window.wait("window.selected == 'cart'")


def test_hops_hide_the_rest_and_the_status_says_how_much(window: Running) -> None:
    window.key("2")
    window.wait("'select a service first' in ' '.join(window.status.texts())")
    window.click("checkout")
    window.wait("window.selected == 'checkout'")
    window.key("1")
    window.wait("sorted(window.scene.services) == ['bank.example', 'checkout', 'orders', 'web']")
    assert window.ask("sorted(window.world.stage.scene.services)") == [
        "bank.example",
        "checkout",
        "orders",
        "web",
    ]
    window.wait("'5 of 9 services hidden' in ' '.join(window.status.texts())")
    window.key("bracketleft")
    window.wait("sorted(window.scene.services) == ['checkout', 'web']")
    window.key("bracketright", "2")
    window.wait("sorted(window.scene.services) == ['bank.example', 'checkout', 'email', 'orders']")
    window.key("0")
    window.wait("len(window.scene.services) == 9")


def test_the_pointer_tells_numbers_operations_and_versions_and_c_copies_them(window: Running) -> None:
    window.wait("window.asked.index.operations.height == 3")
    window.point("cart")
    told = window.wait("window.world.tip")
    assert "300 calls" in told and "p95 9 ms" in told
    assert "versions  1.4.2, 1.4.3" in told and "200×  GET /cart/{user}" in told
    window.key("c")
    window.wait(f"clipboard() == {told!r}")
    window.xdotool("mousemove", "20", "600")
    window.wait("window.world.tip == ''")


def test_the_map_and_the_tables_show_and_choose_the_same_selection(window: Running) -> None:
    window.ask("window.select('cart')")
    window.key("m")
    window.wait("window.pages.currentWidget() is window.pages.map")
    window.ask("drawing = window.pages.map")
    window.ask("spot = drawing.mapToGlobal(drawing.spot_on_screen('orders').toPoint())")
    x, y = window.ask("(spot.x(), spot.y())")
    window.xdotool("mousemove", str(x), str(y), "click", "1")
    window.wait("window.selected == 'orders'")
    window.key("m")
    window.wait("window.pages.currentWidget() is window.pages.nodes")
    assert window.ask("window.pages.nodes.copied()").splitlines()[1].startswith("orders\tqueue\thealthy")
    assert window.ask("window.pages.nodes.shown()[0][:3]") == ["checkout", "service", "failing"], (
        "the sick first"
    )
    window.ask(
        "window.pages.nodes.sortByColumn(3, window.pages.nodes.horizontalHeader().sortIndicatorOrder())"
    )
    calls = [int(row[3].replace(",", "")) for row in window.ask("window.pages.nodes.shown()")]
    assert calls == sorted(calls)
    window.key("ctrl+c")
    window.wait("clipboard().startswith('service\\tkind\\tstate')")


def test_the_command_that_k_copies_reproduces_the_view(window: Running) -> None:
    from tracescape_render.view_command import parsed_view

    window.ask("window.select('checkout')")
    window.ask("(window.choice.set_hops(2), window.choice.toggle_way('up'), None)[-1]")
    window.ask("window.next_theme()")
    window.key("k")
    words = window.wait("clipboard().startswith('tracescape explore') and clipboard()").split()
    window.ask("window.next_theme() or window.next_theme()")
    assert {"--focus=checkout", "--hops=2", "--direction=up", "--theme=light"} <= set(words)
    view = parsed_view(words[-1].removeprefix("--view="))
    assert view.position == pytest.approx(window.ask("tuple(window.world.view.position)"), rel=1e-4)


def test_names_of_ten_thousand_characters_and_markup_are_elided_plain_text(window: Running) -> None:
    long, markup = "x" * 10_000, "<b>bold</b><img src=x>"
    rows = (long, "service", 50, "failing"), (markup, "service", 40, "healthy")
    window.ask(f"hostile = nodes(*{rows!r})")
    window.ask(f"answers.update(nodes=hostile, edges=edges(({markup!r}, {long!r})))")
    window.wait("len(window.scene.services) == 2")
    window.ask(f"window.select({markup!r})")
    window.wait("window.asked.known is not None")
    texts = window.ask("window.panel.texts()")
    assert markup in texts
    assert max(map(len, texts)) < 400
    formats = "{each.textFormat().name for each in window.panel.findChildren(type(window._help))}"
    assert window.ask(formats) == {"PlainText"}
    assert window.ask("window.width()") == 1280, "no name widens the window"
    window.ask(f"window.select({long!r})")
    for page in range(4):
        window.ask(f"window.set_page({page})")
    assert max(len(cell) for row in window.ask("window.pages.nodes.shown()") for cell in row) <= 200


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_world_and_a_single_service_are_shown(window: Running, count: int) -> None:
    window.ask(f"answers.update(nodes=SHOP_NODES.head({count}), edges=SHOP_EDGES.head(0))")
    window.wait(f"len(window.scene.services) == {count}")
    window.key("f", "n", "1", "0", "m", "m", "m", "m", "t", "t", "t")
    assert window.ask("window.isVisible()")


def test_a_source_that_fails_is_said_and_recovers_with_what_is_new(window: Running) -> None:
    before = window.ask("dict(zip(window.scene.services, map(tuple, window.scene.positions.tolist())))")
    window.ask("answers.update(failure='the collector went away')")
    window.wait("'the collector went away – trying again' in window.status.texts()[0]")
    window.click("cart")
    window.wait("window.selected == 'cart'")
    window.ask(
        "answers.update(failure=None, nodes=SHOP_NODES.vstack(nodes(('late', 'service', 9, 'healthy'))))"
    )
    window.wait("len(window.scene.services) == 10")
    window.wait("window.status.texts()[0] == 'live from localhost:4318'")
    after = window.ask("dict(zip(window.scene.services, map(tuple, window.scene.positions.tolist())))")
    assert {name: after[name] for name in before} == before, "bodies kept their places"
    assert window.ask("window.selected") == "cart"


def test_frames_that_take_too_long_cost_the_lights_first_and_the_status_says_so(window: Running) -> None:
    window.ask("window.showing.effects.reset() or window.showing.show()")
    assert window.ask("window.world.stage.lights_on")
    window.ask("[window.showing.saw_frame(0.4) for _ in range(9)]")
    window.wait("not window.world.stage.lights_on")
    window.wait("'lights off' in window.status.texts()[3]")
    window.ask("window.showing.effects.reset() or window.showing.show()")


def test_new_places_are_gone_to_step_by_step(window: Running) -> None:
    window.ask("window.world.canvas.setFocus()")
    before = window.ask("window.scene.positions.tolist()")
    window.key("L")
    window.wait("window.world._settling is not None")
    window.wait("window.world._settling is None")
    after = window.ask("window.world.stage.scene.positions.tolist()")
    assert after != before
    assert after == [[6.0 * i, 3.0, 2.0] for i in range(len(after))]


def test_a_large_world_opens_where_one_clicks_searches_or_comes_near(window: Running) -> None:
    window.ask("from support.scenes import ring")
    window.ask("answers.update(zip(('nodes', 'edges'), ring(4_000)))")
    window.wait("len(window.scene.services) == 4_000")
    window.ask("window.world.see_everything(fly=False)")
    window.ask("stage = window.world.stage")
    window.wait("0 < len(stage.scene.services) <= stage.profile.budget.bodies")
    group = "next(b for b, n in enumerate(stage.scene.services) if stage.is_group(b))"
    window.ask(f"group = {group}")
    window.ask("inside = stage._levels.detail.body.tolist().index(group)")
    window.ask("name = window.scene.services[inside]")
    assert window.ask("stage.service_of(stage.body_of(name, reveal=False))") is None
    tip = window.ask("window._tip(group)")
    assert "services" in tip
    window.click(window.ask("name"))
    window.wait("stage.service_of(stage.body_of(name, reveal=False)) == name")
    assert window.ask("window.selected") is None, "an island is opened, not selected"
    window.ask(f"hidden = window.scene.services[stage._levels.detail.body.tolist().index({group})]")
    window.ask("window.going.to(hidden)")
    assert window.ask("stage.service_of(stage.selected) == hidden == window.selected")
    window.wait("window.world._flight is None")
    assert window.ask("stage.service_of(stage.selected) == hidden"), "near it stays open"
    window.ask("from tracescape_render.moving import nearer")
    window.ask("window.world.look(nearer(stage.overview(), 2.0), fly=False)")
    window.wait("stage.is_group(stage.selected)")
    assert window.ask("window.selected == hidden"), "from afar its island wears the ring"
    window.wait(
        "'llvmpipe' in window.status.texts()[-1] or stage.profile.renderer in window.status.texts()[-1]"
    )


def test_an_hour_of_frames_costs_no_reference_that_is_not_ours(window: Running) -> None:
    window.ask("import sys")
    before = window.ask("sys.getrefcount(None)")
    window.ask("[window._tick() for _ in range(60)] and None")
    window.ask("[window._tell_status() for _ in range(500)] and None")
    assert window.ask("sys.getrefcount(None)") > before - 200


def test_p_saves_a_picture(window: Running) -> None:
    window.key("p")
    said = window.wait("[text for text in window.status.texts() if text.startswith('saved')]")
    saved = Path(said[0].removeprefix("saved "))
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_q_closes_frees_what_was_drawn_and_ends_without_a_word(lonely: str, tmp_path: Path) -> None:
    script = SCRIPT + (
        "import gc, weakref\n"
        "held = []\n"
        "kept = drive\n"
        "def drive(window):\n"
        "    stage = window.world.stage\n"
        "    held.extend(weakref.ref(each) for each in [window, stage, stage._renderer, *stage._actors])\n"
        "    kept(window)\n"
        "main()\n"
        "gc.collect()\n"
        "say('left', [type(ref()).__name__ for ref in held if ref() is not None])\n"
    )
    with contextlib.closing(Running(script, lonely, tmp_path)) as running:
        running.until("ready")
        running.ask("window.select('cart')")
        running.last_key("q")
        running.until("closed")
        assert running.until("left") == "left []"
        assert running.process.wait(20) == 0
        assert running.lines[-1].startswith("left"), "nothing is said at the end"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_in_order(display: str, tmp_path: Path, number: int) -> None:
    with contextlib.closing(Running(SCRIPT + "main()\n", display, tmp_path)) as running:
        running.until("ready")
        running.process.send_signal(number)
        running.until("closed")
        assert running.process.wait(20) == 0
        assert running.lines[-1] == "closed\n"


def test_a_focus_that_is_not_there_is_refused_with_the_near_names(display: str, tmp_path: Path) -> None:
    script = SCRIPT + "from tracescape_render.focus import Focus\nmain(focus=Focus('chekout'))\n"
    with contextlib.closing(Running(script, display, tmp_path)) as running:
        assert "Did you mean checkout?" in running.until("refused")
        assert running.process.wait(20) == 1


def raises_if_asked() -> Snapshot:
    raise AssertionError("nothing is asked before there is a display")


@pytest.mark.parametrize(
    ("display_variable", "words"),
    [(None, "There is no display .*--screenshot"), (":4711", "display :4711 does not answer.*--screenshot")],
)
def test_no_display_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, display_variable: str | None, words: str
) -> None:
    if display_variable is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", display_variable)
    opening: Callable[[], None] = lambda: open_window(raises_if_asked)  # noqa: E731
    with pytest.raises(RenderError, match=words):
        opening()


def test_without_qt_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RenderError, match=r"pip install 'tracescape\[desktop\]'.*--screenshot"):
        open_window(raises_if_asked)
