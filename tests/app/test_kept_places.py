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
from tracescape.collector import Collector
from tracescape.panels import StorePanels
from tracescape.view import follow, placed
from tracescape_ingest.intake import Signal
from tracescape_render import Scene

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
