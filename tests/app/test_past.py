"""What a window shows of a past moment equals what the core says of it."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import tracescape as ts
from memory_reader import span, stored_span_table
from support.shop_store import MINUTE_NS, broken_shop
from tracescape import pictures
from tracescape.cli import app
from tracescape.panels import StorePanels
from tracescape.past import Past
from tracescape.time_shown import written_moment
from tracescape.view import beginning_at, follow
from tracescape_analytics.topology_difference import CHANGES
from tracescape_render import Snapshot, Start
from tracescape_render.camera import View
from tracescape_render.focus import Focus
from tracescape_render.palette import STATES, THEMES
from tracescape_render.snapshot import LineWish, MomentWish
from tracescape_render.view_command import view_command
from tracescape_storage.duckdb_file import DuckDBStore

BEGIN = 1_760_000_040_000_000_000  # a whole minute
BROKEN, END = BEGIN + 4 * MINUTE_NS, BEGIN + 6 * MINUTE_NS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Four minutes of a healthy shop, two in which inventory's database is slow, one healthy again."""
    with broken_shop(tmp_path_factory.mktemp("past") / "shop.db", BEGIN, 4, 2, 1) as opened:
        yield opened


@pytest.fixture
def panels(store: ts.Store) -> StorePanels:
    return StorePanels(store, Past(store, "shop.db", "2m"))


@pytest.mark.parametrize("minutes", [1, 3, 4.5, 6, 7])
def test_the_scene_of_a_moment_holds_what_the_core_says_of_it(panels: StorePanels, minutes: float) -> None:
    at = BEGIN + round(minutes * MINUTE_NS)
    shown = panels.moment(MomentWish(at, causes=False))
    then = panels._store.at(at, "2m").topology()
    assert_frame_equal(pl.DataFrame(shown.nodes), pl.DataFrame(then.nodes))
    assert_frame_equal(pl.DataFrame(shown.edges), pl.DataFrame(then.edges))
    body = {name: number for number, name in enumerate(shown.scene.services)}
    assert set(body) >= set(then.nodes["service"])
    for row in then.nodes.iter_rows(named=True):
        drawn = body[row["service"]]
        assert STATES[shown.scene.state[drawn]] == row["state"]
        assert shown.scene.calls[drawn] == row["calls"]
        assert shown.scene.errors[drawn] == row["errors"]
    assert shown.scene.arc_calls.sum() == then.edges["calls"].sum()
    assert (shown.at_ns, shown.width_ns, shown.seconds) == (at, 2 * MINUTE_NS, 120.0)
    assert shown.scene.caption.startswith("the past · ")


def test_everybody_stands_where_they_stand_now(store: ts.Store, panels: StorePanels) -> None:
    now = follow(store, lambda s: s.topology(), panels=panels)().scene
    for minutes in (1, 2, 5, 7):
        then = panels.moment(MomentWish(BEGIN + minutes * MINUTE_NS, causes=False)).scene
        for number, name in enumerate(then.services):
            place = now.services.index(name)
            np.testing.assert_array_equal(then.positions[number], now.positions[place])


def test_causes_are_told_where_they_are_asked_for(panels: StorePanels) -> None:
    plain = panels.moment(MomentWish(END, causes=False))
    found = panels.moment(MomentWish(END, causes=True))
    assert (plain.reasoned, plain.scene.cause) == (False, None)
    assert found.reasoned
    assert found.scene.cause is not None
    assert found.scene.services[found.scene.cause.body] == "postgresql inventory@inventory-db"


def test_a_panel_over_the_past_tells_of_the_past(panels: StorePanels) -> None:
    calm = panels.moment(MomentWish(BROKEN, causes=False))
    sick = panels.moment(MomentWish(END, causes=False))
    assert calm.questions is not None
    assert sick.questions is not None
    before, after = (shown.questions.details("inventory").now for shown in (calm, sick) if shown.questions)
    assert before is not None
    assert after is not None
    assert (after.p95_ns or 0) > 1.5 * (before.p95_ns or 0)
    assert panels.details("inventory").now is None  # of now nothing was shown yet


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (BEGIN - MINUTE_NS, "the first span starts"),
        (END + 60 * MINUTE_NS, "the last span starts"),
        (1, "the first span starts"),
    ],
)
def test_a_moment_of_which_nothing_is_stored_is_empty_and_says_why(
    panels: StorePanels, at: int, why: str
) -> None:
    for causes in (False, True):
        shown = panels.moment(MomentWish(at, causes=causes))
        assert shown.scene.services == []
        assert why in shown.scene.caption


def test_the_timeline_is_that_of_the_store(store: ts.Store, panels: StorePanels) -> None:
    whole = panels.line(LineWish(None, None, marks=False))
    extent = store.extent()
    assert whole.stored_ns == (extent.first_start_ns, extent.last_start_ns + 1)
    assert_frame_equal(whole.steps, pl.DataFrame(store.timeline().select(whole.steps.columns)))
    chosen = panels.line(LineWish("inventory", (BROKEN, END), marks=False))
    assert (chosen.since_ns, chosen.until_ns) == (BROKEN, END)
    assert set(chosen.steps["service"]) == {None, "inventory"}
    marked = panels.line(LineWish(None, None, marks=True))
    assert marked.marks is not None
    assert "change" in marked.marks["kind"].to_list()


def test_a_service_that_was_not_called_then_leaves_the_whole(panels: StorePanels) -> None:
    line = panels.line(LineWish("nobody", None, marks=False))
    assert set(line.steps["service"]) == {None}
    assert line.steps.height > 0


def test_a_stretch_that_was_pruned_meanwhile_is_everything(panels: StorePanels) -> None:
    line = panels.line(LineWish(None, (1, 2), marks=False))
    assert (line.since_ns, line.until_ns) == line.stored_ns


def test_an_empty_store_has_an_empty_timeline(tmp_path: Path) -> None:
    DuckDBStore(tmp_path / "empty.db").close()
    with ts.open(tmp_path / "empty.db") as empty:
        past = Past(empty)
        for marks in (False, True):
            assert past.line(LineWish(None, None, marks=marks)).empty
        assert "no spans yet" in past.moment(MomentWish(BEGIN, causes=True))[1].scene.caption


def test_the_command_of_a_moment_shows_it_again(panels: StorePanels) -> None:
    at = END + 1
    shown = panels.moment(MomentWish(at, causes=False))
    assert shown.command == ["tracescape", "explore", "shop.db", f"--at={at}", f"--width={2 * MINUTE_NS}ns"]


def test_a_window_that_opens_in_the_past_knows_the_way_to_now(store: ts.Store, panels: StorePanels) -> None:
    source = beginning_at(END, follow(store, lambda s: s.topology(), panels=panels), panels)
    assert [source().at_ns, source().at_ns, source().at_ns] == [END, None, None]


def test_a_moment_looks_back_a_minute_where_little_is_stored(store: ts.Store) -> None:
    assert Past(store).width_ns() == MINUTE_NS
    assert Past(store, width="7m").width_ns() == 7 * MINUTE_NS


def test_two_moments_are_told_the_earlier_before_the_later_whichever_is_shown(panels: StorePanels) -> None:
    calm, sick = BROKEN, END
    store = panels._store
    found = store.at(calm, "2m").topology().compare(store.at(sick, "2m").topology())
    for at, other in ((sick, calm), (calm, sick)):
        shown = panels.moment(MomentWish(at, causes=False, against_ns=other))
        both = shown.both
        assert both is not None
        assert both.contrast is not None
        assert sorted(both.services) == sorted(found.nodes["service"])
        change = {name: CHANGES[code] for name, code in zip(both.services, both.contrast.change, strict=True)}
        sure = found.nodes.filter(pl.col("p_value") <= 0.01)
        assert {name: change[name] for name in sure["service"]} == dict(
            sure.select("service", "change").rows()
        )
        database = both.services.index("postgresql inventory@inventory-db")
        assert STATES[both.state[database]] == "failing"
        assert shown.at_ns == at
        assert shown.against_ns == other
        assert f"--against={written_moment(other)}" in (shown.command or ())
        places = dict(zip(shown.scene.services, shown.scene.positions.tolist(), strict=True))
        for name, place in zip(both.services, both.positions.tolist(), strict=True):
            assert places.get(name, place) == place


def test_beside_another_moment_a_panel_compares_with_that(panels: StorePanels) -> None:
    shown = panels.moment(MomentWish(END, causes=False, against_ns=BROKEN))
    assert shown.questions is not None
    told = shown.questions.details("inventory")
    calm = panels._store.at(BROKEN, "2m").topology().nodes.filter(service="inventory")
    assert told.before is not None
    assert told.before.p95_ns == calm["p95_ns"][0]


def test_a_moment_compared_with_itself_is_one_moment(panels: StorePanels) -> None:
    assert panels.moment(MomentWish(END, causes=False, against_ns=END)).both is None


def test_compared_with_a_moment_of_which_nothing_is_stored_everybody_appeared_and_it_says_why(
    panels: StorePanels,
) -> None:
    both = panels.moment(MomentWish(END, causes=False, against_ns=BEGIN - 60 * MINUTE_NS)).both
    assert both is not None
    assert " appeared: " in both.headline
    assert both.caption.startswith("nothing is stored from")
    empty = panels.moment(MomentWish(BEGIN - 60 * MINUTE_NS, causes=False)).scene
    assert empty.headline == "Nothing is stored of this moment"
    assert "the first span starts" in empty.caption


def test_the_copied_command_shows_the_same_view(
    store: ts.Store, panels: StorePanels, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store.location
    panels = StorePanels(store, Past(store, file, "2m"))
    seen = panels.moment(MomentWish(END, causes=True, against_ns=BROKEN))
    assert seen.command is not None
    trace = store.search(since=BROKEN, until=END).rows["trace_id"][0]
    view, focus = View((1.5, -40.25, 30.0), (0.5, 2.0, 1.0)), Focus("inventory", 2, "up")
    words = [*seen.command, "--split", f"--trace={trace}"]
    command = view_command(words, view, focus, "checkout", THEMES["light"])
    opened: list[tuple[Snapshot, Start]] = []
    monkeypatch.setattr(
        "tracescape_render.window.open_window",
        lambda source, **more: opened.append((source(), more["start"])),
    )
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    again, start = opened.pop()
    assert (start.view, start.focus, start.selected) == (view, focus, "checkout")
    assert (start.theme.name, start.split, start.trace, start.against_ns) == ("light", True, trace, BROKEN)
    assert (again.at_ns, again.against_ns, again.width_ns) == (END, BROKEN, 2 * MINUTE_NS)
    for here, there in ((seen.scene, again.scene), (seen.both, again.both)):
        assert here is not None
        assert there is not None
        assert here.services == there.services
        assert here.caption == there.caption
        for name in ("positions", "radii", "state", "calls", "arc_calls", "arc_state", "seen", "curves"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
    assert again.command == seen.command


def test_a_notebook_gets_both_moments_as_a_picture(store: ts.Store, tmp_path: Path) -> None:
    found = store.at(BROKEN, "2m").topology().compare(store.at(END, "2m").topology())
    assert found.scene().headline.endswith("worse")
    assert len(found.scene(split=True).positions) == 2 * len(found.scene().positions)
    for split in (False, True):
        path = found.screenshot(tmp_path / f"{split}.png", (320, 200), split=split, theme="light")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_two_moments_of_a_pruned_store_say_why_one_of_them_is_empty(tmp_path: Path) -> None:
    store, later = DuckDBStore(tmp_path / "t.db"), BEGIN + 60 * MINUTE_NS
    for begin in (BEGIN, later):
        starts = range(begin, begin + MINUTE_NS, MINUTE_NS // 30)
        rows = [
            span("A", trace=f"r{start}", service="web", kind="server", start=start, end=start + 9)
            for start in starts
        ]
        store.append({"spans": stored_span_table(rows)})
    kept = store.reader().sql("SELECT max(arrived_ns) AS at FROM spans")
    assert store.prune(kept["at"][0].as_py())
    store.close()
    with ts.open(tmp_path / "t.db") as opened:
        panels = StorePanels(opened, Past(opened, width="1m"))
        then, now = BEGIN + MINUTE_NS, later + MINUTE_NS
        for at, against in ((now, then), (then, now)):
            shown = panels.moment(MomentWish(at, causes=False, against_ns=against))
            assert shown.both is not None
            assert " appeared: " in shown.both.headline, "the earlier one is what was before"
            assert "has been pruned, up to" in shown.both.caption
        beside_nothing = panels.moment(MomentWish(now, causes=False, against_ns=then)).questions
        assert beside_nothing is not None
        told = beside_nothing.details("web")
        assert told.now is not None
        assert told.now.rate_per_s == 0.5
        assert told.before is None


def test_in_the_midst_of_an_incident_a_moment_is_compared_with_the_time_before_it(
    tmp_path: Path,
) -> None:
    with broken_shop(tmp_path / "shop.db", BEGIN, 4, 3, 3) as store:
        database = "postgresql inventory@inventory-db"

        def state(shown: Snapshot) -> str:
            return STATES[shown.scene.state[shown.scene.services.index(database)]]

        past = Past(store, width="1m")
        begin, peak, after = (BEGIN + minutes * MINUTE_NS for minutes in (4, 7, 10))
        dragged = MomentWish(peak, causes=False)
        assert state(past.moment(dragged)[1]) == "healthy", "compared with itself, as nothing is known yet"
        stood = past.moment(MomentWish(peak, causes=True))
        assert stood[1].scene.cause is not None
        assert "before it changed" in stood[1].scene.caption
        assert past.line(LineWish(None, None, marks=True)).marks is not None
        topology, shown = past.moment(dragged)
        assert state(shown) == "failing"
        assert topology.baseline is not None
        assert topology.baseline[1] <= begin
        told = store.at(peak, "1m").topology(topology.baseline)
        assert_frame_equal(pl.DataFrame(shown.nodes), pl.DataFrame(told.nodes))
        played = pictures._moments(store, peak - MINUTE_NS, peak)[-1]()
        assert STATES[played.state[played.services.index(database)]] == "failing", "in a film as well"
        for calm in (begin, after):
            assert state(past.moment(MomentWish(calm, causes=True))[1]) == "healthy"
        assert (
            "before it changed"
            not in past.moment(MomentWish(begin - MINUTE_NS, causes=True))[1].scene.caption
        )


def test_a_pair_that_is_none_is_no_baseline(store: ts.Store) -> None:
    with pytest.raises(ValueError, match="needs both of its ends"):
        store.at(END).topology((BEGIN, None))


def test_a_moment_after_an_incident_says_until_when_it_was(store: ts.Store) -> None:
    past = Past(store, width="2m")
    _, during = past.moment(MomentWish(END - MINUTE_NS // 2, causes=True))
    _, after = past.moment(MomentWish(END + MINUTE_NS - 1_000_000_000, causes=True))
    assert during.scene.cause is not None and after.scene.cause is not None
    assert "until" not in during.scene.cause.reason and not during.scene.cause.over
    told = " ".join((after.scene.cause.over, after.scene.cause.reason))
    over = int(store.marks().filter(kind="change")["end_ns"][0])
    assert abs(over - END) < 10_000_000_000
    assert time.strftime("%H:%M:%S", time.localtime(round(over / 1e9))) in told
