"""What a store keeps: whole commits by arrival, never more than it may, and the room is used again."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.retention import Limits, Retention


@pytest.fixture
def store(tmp_path: Path):
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def add(store: DuckDBStore, *names: str, **attributes: object) -> None:
    spans = [span(name, attributes=attributes) for name in names]
    for each in spans:
        each.events.add(name="event")
    store.append(decode_traces(request(*spans).SerializeToString()).tables)


def kept(store: DuckDBStore) -> list[str]:
    return store.reader().sql("select operation from spans order by 1")["operation"].to_pylist()


def arrivals(store: DuckDBStore) -> list[int]:
    return [arrived for arrived, _ in store.arrivals()]


def test_each_commit_arrives_later_than_the_one_before_even_if_the_clock_stands_still(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 5)
    for name in "abc":
        add(store, name)
    assert arrivals(store) == [5, 6, 7]


def test_what_arrived_too_long_ago_goes_with_its_events(
    store: DuckDBStore,
) -> None:
    add(store, "old", "older")
    add(store, "new")
    first, second = arrivals(store)
    limits = Limits(max_age_ns=1000, max_bytes=None)
    assert Retention(store, limits).enforce(first + 1000) == 0
    assert kept(store) == ["new", "old", "older"]
    assert Retention(store, limits).enforce(second + 1000) == 2
    assert kept(store) == ["new"]
    assert store.reader().sql("select count(*) as n from events")["n"].to_pylist() == [1]


def test_no_limit_keeps_everything(store: DuckDBStore) -> None:
    add(store, "a")
    assert Retention(store, Limits(None, None)).enforce(2**62) == 0
    assert kept(store) == ["a"]


def test_what_was_pruned_is_on_record_after_closing(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    add(store, "a", "b")
    add(store, "c")
    store.prune(arrivals(store)[1])
    store.close()
    reader = open_reader(tmp_path / "t.db")
    assert reader.sql("select spans from tracescape_pruned")["spans"].to_pylist() == [2]
    assert reader.extent().spans == 1
    reader.close()


def test_a_store_beyond_its_size_comes_back_under_it_and_stops_growing(store: DuckDBStore) -> None:
    random = Random(1)

    def fill() -> None:
        for _ in range(4):
            spans = [span(random.randbytes(40).hex()) for _ in range(500)]
            tables = decode_traces(request(*spans).SerializeToString()).tables
            tables["spans"] = pa.concat_tables([tables["spans"]] * 200)
            store.append(tables)
        store.connection.execute("CHECKPOINT")

    fill()
    limit = store.used_bytes()
    limits = Limits(None, limit * 8 // 7 + 1)
    retention = Retention(store, limits)
    assert retention.enforce(0) == 0
    sizes = []
    for _ in range(4):
        fill()
        assert sum(retention.enforce(0) for _ in range(3)) > 0  # blocks are large beside so small a store
        assert store.used_bytes() <= limit
        sizes.append(store.path.stat().st_size)
    assert max(sizes) < 3 * limit


class Counted:
    """A store whose rows are a byte each."""

    def __init__(self, rows: list[int], *, held: bool) -> None:
        self.rows = dict(enumerate(rows, 1))
        self.held = held  # a reader keeps what was pruned from being freed
        self.used = sum(rows)
        self.compacted = self.log = 0

    def used_bytes(self) -> int:
        return self.used

    def arrivals(self) -> list[tuple[int, int]]:
        return list(self.rows.items())

    def prune(self, before_ns: int) -> int:
        gone = {at: rows for at, rows in self.rows.items() if at < before_ns}
        self.rows = {at: rows for at, rows in self.rows.items() if at >= before_ns}
        if not self.held:
            self.used -= sum(gone.values())
        return sum(gone.values())

    def fold(self) -> None:
        self.used, self.log = self.used - self.log, 0

    def compact(self, *, settled_s: float) -> int:
        self.compacted += 1
        return 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 500))
def test_only_as_much_goes_as_must(rows: list[int], limit: int) -> None:
    store = Counted(rows, held=False)
    limits = Limits(None, limit)
    gone = Retention(store, limits).enforce(0)
    limit -= limits.journal_bytes
    assert store.rows  # the newest commit stays, whatever the limit
    if sum(rows) <= limit:
        assert gone == 0
    elif len(store.rows) > 1:
        assert store.used_bytes() <= 0.9 * limit + 1e-6
    if gone:
        last_gone = rows[len(rows) - len(store.rows) - 1]
        assert store.used_bytes() + last_gone > 0.9 * limit - 1e-6


def test_what_only_the_log_makes_large_is_folded_and_not_pruned() -> None:
    store = Counted([10] * 10, held=False)
    store.log = 90
    store.used += store.log
    assert Retention(store, Limits(None, 120)).enforce(0) == 0
    assert store.used == 100


def test_what_a_reader_still_holds_is_not_pruned_for_twice() -> None:
    store = Counted([10] * 10, held=True)
    retention = Retention(store, Limits(None, 57))  # and 7 of them the journal's
    assert retention.enforce(0) == 60
    assert retention.enforce(0) == 0


def test_what_the_journal_keeps_counts() -> None:
    assert Limits(max_bytes=64 << 20).journal_bytes == 8 << 20
    assert Limits(max_bytes=64 << 20).rows_bytes == 56 << 20
    assert Limits().journal_bytes == Limits(max_bytes=None).journal_bytes == 256 << 20
    assert Limits(max_bytes=None).rows_bytes is None


def test_ages_are_looked_at_once_a_minute_and_sizes_whenever_asked() -> None:
    minute = 60_000_000_000
    store = Counted([10, 10, 10], held=False)
    retention = Retention(store, Limits(max_age_ns=10 * minute, max_bytes=None))
    assert retention.enforce(10 * minute) == 0
    assert retention.enforce(10 * minute + 5) == 0
    assert retention.enforce(11 * minute) == 30
    retention = Retention(store := Counted([10] * 10, held=False), Limits(10 * minute, 80))
    assert [retention.enforce(at) for at in (5, 6)] == [40, 0]
    store.rows[11] = store.used = 100
    assert retention.enforce(7) == 60


def test_free_room_is_looked_for_at_first_and_once_an_hour() -> None:
    store = Counted([10] * 10, held=False)
    retention = Retention(store, Limits(None, 200))
    seen = []
    for at in (0, 1, 2):
        retention.enforce(at)
        seen.append(store.compacted)
    store.used, store.rows[11] = 300, 200
    for at in (3, 4, 3 + 3_600_000_000_000):
        retention.enforce(at)
        seen.append(store.compacted)
    assert seen == [1, 1, 1, 1, 1, 2]
