"""What a window, a picture and a notebook show of a store: its topology, with the beacon on what broke."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import tracescape as ts
from support.shop_store import MINUTE_NS, broken_shop, quick_store
from tracescape import view, watching
from tracescape.shop import Fault, ShopConfig
from tracescape.watching import Watch
from tracescape_render.palette import STATES, THEMES
from tracescape_storage.reader import Extent

BEGIN = 1_760_000_000_000_000_000
BROKEN, END = BEGIN + 6 * MINUTE_NS, BEGIN + 8 * MINUTE_NS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Six minutes of a healthy shop, then two in which inventory's database is slow."""
    with broken_shop(tmp_path_factory.mktemp("view") / "shop.db", BEGIN, 6, 2) as opened:
        yield opened


def test_what_broke_in_a_chosen_window_carries_the_beacon(store: ts.Store) -> None:
    topology = store.topology(BROKEN, END)
    scene = view.scene_of(topology, "shop", causes=Watch(store, given=True).causes(topology))
    assert scene.cause is not None
    assert scene.services[scene.cause.body] == "postgresql inventory@inventory-db"
    assert "inventory" in [scene.services[i] for i in scene.cause.victims]


def test_of_a_file_without_a_window_the_time_that_stands_out_is_found(store: ts.Store) -> None:
    causes = Watch(store).causes(store.topology())
    assert causes is not None
    assert causes["service"][0] == "postgresql inventory@inventory-db"


def test_a_window_with_nothing_before_it_has_no_cause(store: ts.Store) -> None:
    topology = store.topology(BEGIN, BEGIN + MINUTE_NS)
    causes = Watch(store, given=True).causes(topology)
    assert causes is None or causes.is_empty()
    assert view.scene_of(topology, "shop", causes=causes).beacon is None


def test_a_diagnosis_is_shown_with_the_topology_it_belongs_to(store: ts.Store, tmp_path: Path) -> None:
    topology, found = store.topology(BROKEN, END), store.diagnose(BROKEN, END)
    scene = topology.scene(found)
    assert scene.headline.startswith("postgresql inventory is the likely cause")
    assert topology.scene().cause is None
    for theme in THEMES:
        path = topology.screenshot(tmp_path / f"{theme}.png", (320, 200), diagnosis=found, theme=theme)
        assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="there is no theme 'pink': dark, light, colour-blind"):
        topology.screenshot(tmp_path / "x.png", theme="pink")


def test_who_follows_a_store_waits_for_no_causes_and_asks_for_them_now_and_then_only(
    store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    answer = threading.Event()
    clock = [100.0]
    cause = {"service": "checkout", "kind": "errors", "source": None, "target": None, "sentence": "It fails."}

    def causes(_: Watch, topology: ts.Topology) -> pl.DataFrame:
        asked.append(topology.spans)
        assert answer.wait(60)
        clock[0] += 4.0  # it takes that long
        if len(asked) > 1:
            raise ts.StoreError("The collector is gone.")
        return pl.DataFrame([cause])

    monkeypatch.setattr(Watch, "causes", causes)
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ts.Store, "live", True)
    source = view.follow(store, lambda store: store.topology(BROKEN, END), given=True)
    first = source().scene
    assert first.cause is None, "that is not waited for"
    answer.set()
    settle()
    again = source().scene
    assert again.cause is not None and again.cause.name == "checkout"
    assert (again.positions == first.positions).all()
    clock[0] += 35.0
    source()
    assert len(asked) == 1, "what takes four seconds is not asked for every second"
    clock[0] += 6.0
    source()
    settle()
    assert len(asked) == 2
    assert source().scene.cause is not None, "a question that fails costs nothing that is known"


def test_of_a_file_the_first_answer_has_the_causes_for_there_is_no_second(store: ts.Store) -> None:
    scene = view.follow(store, lambda store: store.topology(BROKEN, END), given=True)().scene
    assert scene.cause is not None and scene.cause.name == "postgresql inventory"


def settle() -> None:
    """Wait until nobody asks for causes."""
    for thread in threading.enumerate():
        if thread.name == "tracescape-causes":
            thread.join(60)


class Passing:
    """A live store of which nothing is known yet that comes after ``now_ns``."""

    live = True

    def __init__(self, store: ts.Store) -> None:
        self.store = store
        self.now_ns = 0
        self.asked = 0

    def topology(self) -> ts.Topology:
        return self.store.topology(self.now_ns - 5 * MINUTE_NS, self.now_ns)

    def diagnose(
        self, since: int | None = None, until: int | None = None, baseline: tuple[int, int] | None = None
    ) -> ts.Diagnosis:
        assert until is None, "nothing is stored that is later than now"
        self.asked += 1
        return self.store.diagnose(since, self.now_ns, baseline)

    def extent(self) -> Extent:
        found = self.store.extent()
        return found._replace(last_start_ns=min(found.last_start_ns, self.now_ns - 1))


@pytest.fixture(scope="module")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Five minutes of a healthy shop, eight in which inventory's database is slow, three healthy ones."""
    path = tmp_path_factory.mktemp("watch") / "shop.db"
    with broken_shop(path, BEGIN, 5, 8, 3, rate_per_s=2.0, seed=4) as opened:
        yield opened


def first_causes(store: Passing, watch: Watch, minutes: float, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    store.now_ns = BEGIN + round(minutes * MINUTE_NS)
    monkeypatch.setattr(watching.time, "time_ns", lambda: store.now_ns)
    causes = watch.causes(store.topology())
    assert causes is not None
    return causes["service"].to_list()[:1]


def test_an_incident_that_lasts_keeps_its_cause_until_it_is_over(
    long_store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Passing(long_store)
    watch = Watch(store)  # type: ignore[arg-type]  # all that a watch asks for
    assert first_causes(store, watch, 5.0, monkeypatch) == []
    for minutes in (6.5, 9.0, 12.5):
        assert first_causes(store, watch, minutes, monkeypatch) == ["postgresql inventory@inventory-db"], (
            minutes
        )
    assert first_causes(store, watch, 15.9, monkeypatch) == []


def test_who_begins_to_look_in_the_middle_of_an_incident_finds_its_cause(
    long_store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Passing(long_store)
    watch = Watch(store)  # type: ignore[arg-type]  # all that a watch asks for
    assert first_causes(store, watch, 11.5, monkeypatch) == ["postgresql inventory@inventory-db"]
    asked = store.asked
    assert first_causes(store, watch, 12.0, monkeypatch) == ["postgresql inventory@inventory-db"]
    assert store.asked == asked + 1, "what is known is only compared with the time before"


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Six minutes of a healthy shop, then five in which fulfilment takes no orders."""
    path = tmp_path_factory.mktemp("lost") / "shop.db"
    config = ShopConfig(rate_per_s=4.0, faults=(Fault("lost-consumer", "fulfilment", 360.0, 660.0),), seed=5)
    quick_store(path, config, BEGIN, BEGIN + 11 * MINUTE_NS)
    with ts.open(path) as opened:
        yield opened


def test_a_lost_consumer_is_a_void_under_the_beacon_in_a_chosen_window(lost: ts.Store) -> None:
    window = BEGIN + 6 * MINUTE_NS, BEGIN + 8 * MINUTE_NS
    scene = view.follow(lost, lambda store: store.topology(*window), given=True)().scene
    assert STATES[scene.state[scene.services.index("fulfilment")]] == "absent"
    assert scene.cause is not None and scene.cause.name == "fulfilment"
    assert scene.cause.reason == "messages not taken: 99 % → 0 % taken in time"


@pytest.mark.parametrize("minutes", [7.0, 8.5, 10.0])
def test_a_live_view_finds_who_was_lost_minutes_before_one_looks(
    lost: ts.Store, monkeypatch: pytest.MonkeyPatch, minutes: float
) -> None:
    store = Passing(lost)
    assert first_causes(store, Watch(store), minutes, monkeypatch) == ["fulfilment"]  # type: ignore[arg-type]


def test_who_is_gone_is_a_void_though_nobody_is_named_as_a_cause(lost: ts.Store) -> None:
    """An incident that lasts is in its own baseline; who is missing is missing all the same."""
    window = BEGIN + 13 * MINUTE_NS // 2, BEGIN + 8 * MINUTE_NS
    topology = lost.topology(*window)
    forgetful = dataclasses.replace(topology, edges=topology.edges.filter(pl.col("state") != "absent"))
    watch = Watch(lost, given=True)
    assert watch.completed(forgetful).nodes.equals(forgetful.nodes), "before anybody has asked"
    causes = watch.causes(forgetful)
    assert causes is not None and causes.is_empty()
    gone = watch.completed(forgetful).nodes.filter(pl.col("state") == "absent")
    assert gone["service"].to_list() == ["fulfilment"], "and not its database, which only it called"


def test_the_tables_beside_the_scene_have_who_is_missing(lost: ts.Store) -> None:
    window = BEGIN + 6 * MINUTE_NS, BEGIN + 8 * MINUTE_NS
    shown = view.follow(lost, lambda store: store.topology(*window), given=True)()
    assert ("fulfilment", "absent", 0) in shown.nodes.select("service", "state", "calls").rows()
    healthy = BEGIN + 3 * MINUTE_NS, BEGIN + 5 * MINUTE_NS
    calm = view.follow(lost, lambda store: store.topology(*healthy), given=True)()
    assert "absent" not in calm.nodes["state"].to_list()


class Weighed(Passing):
    """A store that suspects, and asks the same of absence as the real one."""

    live = False
    named = False

    def diagnose(self, *_: object) -> ts.Diagnosis:  # type: ignore[override]  # whatever is asked
        found = self.store.diagnose(BROKEN, END)
        row = found.suspects.head(1).with_columns(named=self.named)
        return dataclasses.replace(found, suspects=row, causes=row.filter("named"))

    def absence(self, *asked: object) -> pl.DataFrame:
        return self.store.absence(*asked)  # type: ignore[arg-type]  # as they come


def test_who_is_not_proved_is_told_as_a_suspect(store: ts.Store) -> None:
    topology = store.topology(BROKEN, END)
    watch = Watch(Weighed(store), given=True)  # type: ignore[arg-type]  # all that a watch asks for
    scene = view.scene_of(topology, "shop", causes=watch.causes(topology))
    assert scene.cause is None and scene.suspect is not None
    assert scene.suspect.name == "postgresql inventory"
    snapshot = view.snapshot_of(topology, causes=watch.causes(topology))
    assert snapshot.sentence.startswith("Traces spend"), "the panel has the whole of it"
