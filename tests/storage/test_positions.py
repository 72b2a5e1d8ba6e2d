"""Where services stand is kept: in a file, through a collector, and not where nobody may write."""

from __future__ import annotations

import math
from pathlib import Path

import httpx
import pytest

from tracescape.collector import Collector
from tracescape_storage import positions
from tracescape_storage.backup import copy_store
from tracescape_storage.collector import CollectorReader
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.errors import StoreError, UnstorableError
from tracescape_storage.schema import SCHEMA_VERSION

CART = {"cart": (1.5, -2.0, 3.25, 7)}
WEB = {"web": (0.0, 0.0, 0.0, 2**53)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def collector(path: Path):
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0", observe_s=0) as running:
        yield running


def test_what_is_kept_is_there_again(path: Path) -> None:
    store = DuckDBStore(path)
    assert store.reader().positions() == {}
    assert store.reader().keep_positions({**CART, **WEB})
    assert store.reader().positions() == {**CART, **WEB}
    store.close()
    with_file = open_reader(path)
    assert with_file.positions() == {**CART, **WEB}
    with_file.close()


def test_who_has_a_place_keeps_it_until_all_are_placed_anew(path: Path) -> None:
    store = DuckDBStore(path)
    reader = store.reader()
    reader.keep_positions(CART)
    reader.keep_positions({"cart": (9, 9, 9, 9), **WEB})
    assert reader.positions() == {**CART, **WEB}
    reader.keep_positions({"cart": (9, 9, 9, 9)}, anew=True)
    assert reader.positions() == {"cart": (9.0, 9.0, 9.0, 9)}
    store.close()


def test_a_file_that_is_only_read_keeps_nothing_and_says_so(path: Path) -> None:
    DuckDBStore(path).close()
    reader = open_reader(path)
    assert reader.keep_positions(CART) is False
    assert reader.positions() == {}
    reader.close()


def test_a_store_from_before_is_read_without_and_gets_the_table_when_it_is_written(path: Path) -> None:
    store = DuckDBStore(path)
    store.connection.execute("DROP TABLE tracescape_positions")
    store.close()
    before = open_reader(path)
    assert before.positions() == {}
    before.close()
    again = DuckDBStore(path)
    assert again.reader().keep_positions(CART)
    version = again.connection.execute("SELECT max(version) FROM tracescape_store").fetchall()
    assert version == [(SCHEMA_VERSION,)]
    again.close()


def test_a_collector_keeps_them_for_everybody(collector: Collector) -> None:
    one, other = CollectorReader(collector.http_url), CollectorReader(collector.http_url)
    assert one.positions() == {}
    assert one.keep_positions(CART)
    assert other.keep_positions({"cart": (0, 0, 0, 0), **WEB})
    assert one.positions() == other.positions() == {**CART, **WEB}
    assert other.keep_positions(WEB, anew=True)
    assert one.positions() == WEB
    one.close()
    other.close()


def test_a_collector_that_knows_nothing_of_it_is_no_error(collector: Collector, monkeypatch) -> None:
    reader = CollectorReader(collector.http_url)
    post = reader._client.post
    monkeypatch.setattr(reader._client, "post", lambda _, **rest: post("/nowhere", **rest))
    assert reader.keep_positions(CART) is False
    reader.close()


def test_a_copy_has_them_too(path: Path, tmp_path: Path) -> None:
    store = DuckDBStore(path)
    store.reader().keep_positions(CART)
    copy_store(store.reader(), tmp_path / "copy.db")
    store.close()
    copy = open_reader(tmp_path / "copy.db")
    assert copy.positions() == CART
    copy.close()


@pytest.mark.parametrize(
    "stand",
    [
        (1.0, 2.0, 3.0),
        (1.0, 2.0, 3.0, 4.5),
        (math.nan, 0, 0, 0),
        (0, math.inf, 0, 0),
        (0, 0, 1e300, 0),
        (0, 0, 0, 2**54),
        (True, 0, 0, 0),
        ("1", 0, 0, 0),
        None,
        "xyzi",
        {"x": 1},
    ],
    ids=repr,
)
def test_what_is_no_place_is_refused_whole(path: Path, stand: object) -> None:
    store = DuckDBStore(path)
    with pytest.raises(UnstorableError, match="cart"):
        store.keep_positions({**WEB, "cart": stand})  # type: ignore[dict-item]
    assert store.reader().positions() == {}
    store.close()


def test_a_store_does_not_fill_up_with_names(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MOST_SERVICES", 3)
    store = DuckDBStore(path)
    store.keep_positions(CART)
    with pytest.raises(UnstorableError, match="keeps the places of 3 services"):
        store.keep_positions({f"s{i}": (i, 0, 0, 0) for i in range(3)})
    with pytest.raises(UnstorableError, match="more than 4,096 bytes"):
        store.keep_positions({"x" * 5_000: (0, 0, 0, 0)})
    with pytest.raises(UnstorableError, match="no text"):
        store.keep_positions({"\ud800": (0, 0, 0, 0)})
    assert store.reader().positions() == CART, "nothing of what was refused"
    store.keep_positions(WEB)
    store.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"positions": []}',
        b'{"positions": {"a": [1]}}',
        b'{"positions": {}, "anew": 1}',
    ],
)
def test_a_request_that_is_none_gets_a_sentence(collector: Collector, body: bytes) -> None:
    answer = httpx.post(f"{collector.http_url}/positions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_a_page_of_somebody_else_cannot_move_the_world(collector: Collector) -> None:
    url, body = f"{collector.http_url}/positions", {"positions": {"a": [0, 0, 0, 0]}}
    assert httpx.post(url, json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    reader = CollectorReader(collector.http_url)
    assert reader.positions() == {}
    reader.close()


def test_a_collector_that_is_gone_is_named(collector: Collector) -> None:
    reader = CollectorReader(collector.http_url)
    collector.close()
    with pytest.raises(StoreError, match="No collector answers"):
        reader.keep_positions(CART)
    reader.close()
