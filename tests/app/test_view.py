"""What a window, a picture and a notebook show of a store: its topology, with the beacon on what broke."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import tracescape as ts
from support.shop_store import MINUTE_NS, quick_store
from tracescape import view
from tracescape.shop import Fault, ShopConfig
from tracescape_render.palette import THEMES

BEGIN = 1_760_000_000_000_000_000
BROKEN, END = BEGIN + 6 * MINUTE_NS, BEGIN + 8 * MINUTE_NS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Six minutes of a healthy shop, then two in which inventory's database is slow."""
    path = tmp_path_factory.mktemp("view") / "shop.db"
    fault = Fault("slow-dependency", "inventory-db", 360.0, 480.0)
    quick_store(path, ShopConfig(rate_per_s=3.0, faults=(fault,), seed=3), BEGIN, END)
    with ts.open(path) as opened:
        yield opened


def test_what_broke_in_a_chosen_window_carries_the_beacon(store: ts.Store) -> None:
    topology = store.topology(BROKEN, END)
    scene = view.scene_of(topology, "shop", causes=view.causes_of(store, topology, given=True))
    assert scene.cause is not None
    assert scene.services[scene.cause.body] == "postgresql inventory"
    assert "inventory" in [scene.services[i] for i in scene.cause.victims]


def test_of_a_file_without_a_window_the_time_that_stands_out_is_found(store: ts.Store) -> None:
    causes = view.causes_of(store, store.topology(), given=False)
    assert causes is not None
    assert causes["service"][0] == "postgresql inventory"


def test_a_window_with_nothing_before_it_has_no_cause(store: ts.Store) -> None:
    topology = store.topology(BEGIN, BEGIN + MINUTE_NS)
    causes = view.causes_of(store, topology, given=True)
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


def test_who_follows_a_store_asks_for_causes_now_and_then_only(
    store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    clock = [100.0]
    cause = {"service": "checkout", "kind": "errors", "source": None, "target": None, "sentence": "It fails."}
    found = pl.DataFrame([cause])

    def causes_of(_: ts.Store, topology: ts.Topology, *, given: bool) -> pl.DataFrame:
        asked.append(given)
        clock[0] += 4.0  # it takes that long
        return found

    monkeypatch.setattr(view, "causes_of", causes_of)
    monkeypatch.setattr(view.time, "monotonic", lambda: clock[0])
    source = view.follow(store, lambda store: store.topology(BROKEN, END), given=True)
    first = source().scene
    assert first.cause is not None
    clock[0] += 35.0
    again = source().scene
    assert len(asked) == 1, "what takes four seconds is not asked for every second"
    assert again.cause is not None
    assert again.cause.name == first.cause.name == "checkout"
    assert (again.positions == first.positions).all()
    clock[0] += 2.0
    source()
    assert asked == [True, True]
