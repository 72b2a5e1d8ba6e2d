"""The world looks the same to everybody, now and tomorrow: views keep the places of services in the store."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tracescape as ts
from support.otlp import request, span
from support.shop_store import broken_shop
from tracescape import exploring, riding
from tracescape.collector import Collector
from tracescape.panels import StorePanels
from tracescape.past import Past
from tracescape.pictures import route_in
from tracescape.places import places_of
from tracescape.time_shown import TimeShown
from tracescape.view import follow, placed, recent
from tracescape_ingest.intake import Signal
from tracescape_render import Scene
from tracescape_render.snapshot import MomentWish

_traces = itertools.count(1)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


def send(collector: Collector, *services: str) -> None:
    """A trace in which each service calls the next."""
    trace = b"%16d" % next(_traces)
    for i, service in enumerate(services):
        parent = b"%8d" % (i - 1) if i else b""
        one = span(trace_id=trace, span_id=b"%8d" % i, parent=parent, start=1_000 + i, end=9_000 - i)
        body = request(one, service=service).SerializeToString()
        collector.lanes["default"].intake.submit(Signal.TRACES, body).result(30)


def scenes(store: ts.Store, panels: StorePanels | None = None) -> Callable[[], Scene]:
    """What a window that follows ``store`` draws, one after the other."""
    source = follow(store, ts.Store.topology, panels=panels)
    return lambda: source().scene


def where(scene: Scene) -> dict[str, list[float]]:
    return dict(zip(scene.services, scene.positions.tolist(), strict=True))


def test_a_second_view_and_the_file_afterwards_show_what_the_first_showed(
    collector: Collector, tmp_path: Path
) -> None:
    send(collector, "web", "cart", "db")
    with ts.connect(collector.http_url) as store:
        first = where(scenes(store)())
        send(collector, "web", "coupons")
        second = where(scenes(store)())
    assert {name: second[name] for name in first} == first
    assert "coupons" in second
    collector.close()
    with ts.open(tmp_path / "t.db") as closed:
        kept = closed.reader.positions()
        assert where(placed(closed.topology(), closed, dict(kept))) == second


def test_a_live_view_leaves_everybody_where_they_are_and_islands_as_they_are(collector: Collector) -> None:
    send(collector, "web", "cart", "db")
    with ts.connect(collector.http_url) as store:
        source = scenes(store)
        before = source()
        send(collector, "web", "coupons")
        after = source()
    number = [after.services.index(name) for name in before.services]
    assert np.array_equal(after.positions[number], before.positions)
    assert len(after.plates) == 1


def test_a_world_that_has_more_than_doubled_is_laid_out_anew_for_all(collector: Collector) -> None:
    send(collector, "web", "cart")
    with ts.connect(collector.http_url) as store:
        source = scenes(store)
        before = source()
        send(collector, *(f"s{i:02}" for i in range(12)))
        after = where(source())
        kept = store.reader.positions()
    assert any(after[name] != place for name, place in where(before).items())
    assert {name: list(stand[:3]) for name, stand in kept.items()} == after


def test_a_new_layout_on_request_is_for_all_once_and_is_kept(collector: Collector) -> None:
    send(collector, "web", "cart", "db")
    with ts.connect(collector.http_url) as store:
        names = store.topology().nodes["service"].to_list()
        old = {name: (10.0 * i, 5.0, 2.0, 0) for i, name in enumerate(names)}
        store.reader.keep_positions(old)
        panels = StorePanels(store)
        source = scenes(store, panels)
        assert where(source()) == {name: list(stand[:3]) for name, stand in old.items()}
        panels.lay_out()
        anew = where(source())
        assert all(anew[name] != list(old[name][:3]) for name in names)
        assert {name: list(stand[:3]) for name, stand in store.reader.positions().items()} == anew
        assert where(source()) == anew


def test_a_closed_file_without_places_looks_the_same_each_time(collector: Collector, tmp_path: Path) -> None:
    send(collector, "web", "cart", "db")
    collector.close()
    looks = []
    for _ in range(2):
        with ts.open(tmp_path / "t.db") as store:
            looks.append(where(scenes(store)()))
            assert store.reader.positions() == {}
    assert looks[0] == looks[1]


def test_a_view_that_cannot_keep_places_is_still_a_view(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(collector, "web", "cart")

    def refuse(*_: object, **__: object) -> bool:
        raise ts.StoreError("The disk is full.")

    with ts.connect(collector.http_url) as store, caplog.at_level(logging.WARNING):
        monkeypatch.setattr(type(store.reader), "keep_positions", refuse)
        assert set(scenes(store)().services) >= {"web", "cart"}
    assert "are not kept: The disk is full." in caplog.text


BEGIN = 1_760_000_040_000_000_000


def test_every_moment_and_every_command_of_a_closed_file_has_everybody_at_the_same_place(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shop.db"
    with broken_shop(path, BEGIN, 3, 2, 1):
        pass
    minute = 60_000_000_000
    looks = []
    for at, width in ((0.1, "5s"), (4, "1m"), (6, "2m")):
        with ts.open(path) as store:  # of its own: nothing is remembered between two commands
            wish = MomentWish(BEGIN + round(at * minute), causes=False)
            looks.append(Past(store, width=width).moment(wish)[1].scene)
    with ts.open(path) as store:
        late = MomentWish(BEGIN + 5 * minute, causes=False, against_ns=BEGIN + minute)
        both = Past(store, width="1m").moment(late)[1].both
        assert both is not None
        looks.append(both)
    with ts.open(path) as store:
        route = route_in(store, store.search(order="slowest", limit=1).rows["trace_id"][0])
        looks.append(riding._world_of(store, route).scene)
    for shown in (TimeShown(), TimeShown(since="2m"), TimeShown(until=str(BEGIN + minute))):
        with ts.open(path) as store:
            looks.append(exploring._seen(store, "shop.db", shown)[0].scene)
    with ts.open(path) as store:
        looks.append(follow(store, recent)().scene)
    everybody = where(looks[-1])
    assert len(everybody) > 20
    assert len({len(look.services) for look in looks}) > 1, "the test is of moments that differ"
    for look in looks:
        assert where(look).items() <= everybody.items()


def test_a_closed_file_that_keeps_places_has_those_and_others_stand_around_them(
    collector: Collector, tmp_path: Path
) -> None:
    send(collector, "web", "cart", "db")
    with ts.connect(collector.http_url) as live:
        live.reader.keep_positions({"web": (70.0, 5.0, 2.0, 3.0), "left": (0.0, 0.0, 2.0, 3.0)})
    collector.close()
    with ts.open(tmp_path / "t.db") as store:
        places = places_of(store)
    assert places["web"] == (70.0, 5.0, 2.0, 3.0)
    assert places["left"] == (0.0, 0.0, 2.0, 3.0)
    assert {"cart", "db"} <= places.keys()
    assert places["cart"][3] == 3.0, "on the island of whom it talks to"
