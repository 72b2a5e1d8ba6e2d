"""What the window's panels are told of a store."""

from collections.abc import Iterator

import polars as pl
import pytest

import tracescape as ts
from support.shop_store import MINUTE_NS, broken_shop
from tracescape.panels import StorePanels
from tracescape.view import follow, start_of
from tracescape_analytics.errors import UnknownTraceError
from tracescape_render.focus import Focus

BEGIN = 1_760_000_000_000_000_000
BROKEN, END = BEGIN + 4 * MINUTE_NS, BEGIN + 6 * MINUTE_NS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Four minutes of a healthy shop, then two in which inventory's database is slow."""
    with broken_shop(tmp_path_factory.mktemp("panels") / "shop.db", BEGIN, 4, 2) as opened:
        yield opened


@pytest.fixture(scope="module")
def panels(store: ts.Store) -> StorePanels:
    made = StorePanels(store)
    made.shows(store.topology(BROKEN, END))
    return made


def test_details_agree_with_the_answers_of_the_store(store: ts.Store, panels: StorePanels) -> None:
    found, topology = panels.details("inventory"), store.topology(BROKEN, END)
    node = topology.nodes.row(by_predicate=pl.col("service") == "inventory", named=True)
    assert found.now is not None and found.before is not None
    assert found.now.p95_ns == node["p95_ns"]
    assert found.now.rate_per_s == pytest.approx(node["calls"] / 120)
    assert found.now.p95_ns > 1.5 * (found.before.p95_ns or 0)
    assert topology.baseline is not None
    before = store.topology(*topology.baseline).nodes.row(
        by_predicate=pl.col("service") == "inventory", named=True
    )
    assert found.before.p99_ns == before["p99_ns"]
    assert "p95 is" in found.reason
    assert found.steps.height == pytest.approx(40, abs=2)
    assert found.steps["rate_per_s"].sum() * 3 == pytest.approx(node["calls"], rel=0.1)
    assert found.operations["operation"].to_list() == ["POST /reservations"]
    assert found.versions == ("3.7.1",)
    assert {trace.why for trace in found.traces} >= {"slowest"}


def test_every_exemplar_can_be_opened(panels: StorePanels) -> None:
    for trace in panels.details("checkout").traces:
        assert trace.trace_id in panels.trace(trace.trace_id).svg
    with pytest.raises(UnknownTraceError):
        panels.trace("ab" * 16)


def test_what_sends_no_spans_has_figures_and_traces_all_the_same(panels: StorePanels) -> None:
    found = panels.details("postgresql inventory@inventory-db")
    assert found.now is not None and (found.now.p95_ns or 0) > 0
    assert found.steps.is_empty() and found.operations.is_empty()
    assert found.traces and all(len(trace.trace_id) == 32 for trace in found.traces)


@pytest.mark.parametrize("name", ["nobody", "it's", '"; drop table spans; --', "<b>x</b>", "", "x" * 10_000])
def test_a_name_that_is_not_there_or_hostile_gives_no_figures(panels: StorePanels, name: str) -> None:
    found = panels.details(name)
    assert (found.service, found.now, found.versions, found.traces) == (name, None, (), ())


def test_before_anything_is_shown_nothing_is_known(store: ts.Store) -> None:
    early = StorePanels(store)
    assert early.details("inventory").now is None
    assert early.index().operations.is_empty()


def test_the_index_has_all_operations_and_versions(store: ts.Store, panels: StorePanels) -> None:
    index = panels.index()
    assert set(index.operations["service"]) == set(store.services(BROKEN, END)["service"])
    assert index.versions["inventory"] == ("3.7.1",)


def test_a_window_is_told_how_fresh_its_data_is_and_what_broke(store: ts.Store) -> None:
    panels = StorePanels(store)
    snapshot = follow(store, lambda s: s.topology(BROKEN, END), given=True, panels=panels)()
    assert snapshot.newest_ns == store.extent().last_start_ns
    assert not snapshot.live and snapshot.origin == store.location
    assert "inventory" in snapshot.sentence
    assert panels.details("inventory").now is not None, "panels know what is shown"


def test_options_become_the_beginning_of_a_window() -> None:
    start = start_of((640, 360), "light", "0,0,9,1,2,3", "cart", 2, "up", "web")
    assert (start.focus, start.selected, start.theme.name) == (Focus("cart", 2, "up"), "web", "light")
    assert start.view is not None and start.view.focus == (1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="name it with --focus"):
        start_of((640, 360), "dark", None, None, 2, "both", None)
