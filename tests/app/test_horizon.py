"""A span that a wrong clock dates far in the future is stored and found, and does not stretch what is now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import tracescape as ts
from memory_reader import link_table, span, stored_span_table
from support.shop_store import MINUTE_NS, IntakeExporter
from tracescape.collector import Collector
from tracescape.horizon import AHEAD_NS, horizon
from tracescape.panels import StorePanels
from tracescape.shop import Shop, ShopConfig
from tracescape.view import follow, recent
from tracescape.watching import Watch
from tracescape_render.snapshot import LineWish
from tracescape_storage.schema import ARRIVED

YEAR_NS = 365 * 24 * 60 * MINUTE_NS


class Live:
    """A collector with four minutes of the shop in it, and who looks at it."""

    def __init__(self, path: Path) -> None:
        self.collector = Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0")
        lane = self.collector.lanes["default"]
        shop = Shop(lambda: IntakeExporter(lane.intake), ShopConfig(rate_per_s=2.0, seed=3))
        now = time.time_ns()
        shop.backfill(now - 4 * MINUTE_NS, now)
        shop.shutdown()
        self.store = ts.connect(self.collector.http_url)

    def dated(self, start_ns: int) -> None:
        """A span that is sent now and says that it started then."""
        row = span("F", trace="future", service="web", kind="server", start=start_ns, end=start_ns + 5)
        tables = {"spans": stored_span_table([row]), "links": link_table([])}
        for name, table in tables.items():
            column = pa.array([time.time_ns()] * table.num_rows, pa.int64())
            tables[name] = table.append_column(pa.field(ARRIVED, pa.int64(), nullable=False), column)
        self.collector.lanes["default"].store.append(tables)

    def close(self) -> None:
        self.store.close()
        self.collector.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    made = Live(tmp_path / "live.db")
    yield made
    made.close()


def test_a_span_of_ten_years_later_is_not_now(live: Live) -> None:
    store, panels = live.store, StorePanels(live.store)
    before = recent(store)
    future = time.time_ns() + 10 * YEAR_NS
    live.dated(future)
    assert store.extent().last_start_ns == future
    found = recent(store)
    assert found.until_ns <= time.time_ns()
    assert found.until_ns - found.since_ns < 7 * MINUTE_NS
    assert found.spans == pytest.approx(before.spans, rel=0.1)
    assert set(found.nodes["service"]) == set(before.nodes["service"])
    assert store._lately._minutes, "the minutes are kept as they were"
    assert Watch(store).causes(found) is not None  # looks into the last two minutes, not into ten years
    shown = follow(store, recent, panels=panels)()
    assert "are not counted as now" in shown.scene.caption
    assert shown.newest_ns is not None
    assert shown.newest_ns <= time.time_ns()
    line = panels.line(LineWish(None, None, marks=False))
    assert line.until_ns <= time.time_ns()
    assert store.trace(store.search(since=future).rows["trace_id"][0]).spans.height == 1  # found all the same


def test_a_clock_that_is_a_little_ahead_is_now(live: Live) -> None:
    ahead = time.time_ns() + AHEAD_NS // 2
    live.dated(ahead)
    assert horizon(live.store).until_ns is None
    assert recent(live.store).until_ns == ahead + 1


def test_with_nothing_but_the_future_the_view_is_empty_and_says_so(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        made = Live.__new__(Live)
        made.collector = collector
        made.dated(time.time_ns() + YEAR_NS)
        with ts.connect(collector.http_url) as store:
            shown = follow(store, recent)()
            assert shown.nodes.is_empty()
            assert "not counted as now" in shown.scene.caption
