"""``explore --web``: the address of what a window would show, and who is told that there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tracescape as ts
from support.shop_store import MINUTE_NS, quick_store
from tracescape.cli import app
from tracescape.collector import Collector
from tracescape.in_browser import world_address
from tracescape.shop import ShopConfig
from tracescape.time_shown import TimeShown

UNTIL = 1_790_000_000_000_000_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    file = tmp_path_factory.mktemp("shop") / "t.db"
    quick_store(file, ShopConfig(rate_per_s=1.0, seed=7), UNTIL - 3 * MINUTE_NS, UNTIL)
    with Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        yield collector


@pytest.fixture(scope="module")
def store(shop: Collector) -> Iterator[ts.Store]:
    with ts.connect(shop.http_url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("shown", "hash_"),
    [
        (TimeShown(), "#/world"),
        (TimeShown(since="15m"), "#/world?since=15m"),
        (TimeShown(at=f"{UNTIL}", width="1m"), f"#/world?since={UNTIL - MINUTE_NS}&until={UNTIL}"),
        (
            TimeShown(since=str(UNTIL - MINUTE_NS), until=str(UNTIL)),
            f"#/world?since={UNTIL - MINUTE_NS}&until={UNTIL}",
        ),
    ],
)
def test_the_address_has_the_time(shop: Collector, store: ts.Store, shown: TimeShown, hash_: str) -> None:
    assert world_address(store, shown) == f"{shop.http_url}/{hash_}"


def test_the_address_has_who_is_chosen_and_where_one_stands(store: ts.Store) -> None:
    address = world_address(store, TimeShown(), selected="a b&c=d#", view="1,2,3,4,5,6")
    assert address.endswith("#/world?service=a%20b%26c%3Dd%23&view=1%2C2%2C3%2C4%2C5%2C6")
    with pytest.raises(ValueError, match="is no view"):
        world_address(store, TimeShown(), view="1,2")


def test_a_browser_is_opened_there(shop: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    result = CliRunner().invoke(app, ["explore", shop.http_url, "--web", "--select", "cart"])
    assert result.exit_code == 0, result.output
    assert opened == [f"{shop.http_url}/#/world?service=cart"]
    assert opened[0] in result.output


def test_without_a_browser_the_address_is_printed(shop: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _address: False)
    result = CliRunner().invoke(app, ["explore", shop.http_url, "--web"])
    assert result.exit_code == 0, result.output
    assert f"{shop.http_url}/#/world" in result.output


def test_what_a_browser_cannot_show_is_a_sentence(store: ts.Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no trace"):
        world_address(store, TimeShown(trace="ab"))
    file = tmp_path / "closed.db"
    quick_store(file, ShopConfig(rate_per_s=1.0, seed=7), UNTIL - MINUTE_NS, UNTIL)
    with ts.open(file) as closed, pytest.raises(ValueError, match="tracescape serve --db"):
        world_address(closed, TimeShown())
    result = CliRunner().invoke(app, ["explore", store.location, "--web", "--screenshot", "x.png"])
    assert "do not go together" in str(result.exception)
