"""`store.at(…)`: the world as of a moment, equal to the same window, and blind for what came later."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import tracescape as ts
from memory_reader import span, stored_span_table
from support.documented import documented
from tracescape.moment import Moment
from tracescape.times import format_time, to_ns
from tracescape_analytics.deployments import VERSION_SCHEMA
from tracescape_analytics.upkeep import Upkeep
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

SECOND = 1_000_000_000
BEGIN = 490_000 * HOUR_NS
Row = dict[str, object]


def request(number: int, start: int, *, failed: bool) -> list[Row]:
    trace, status = f"t{number}", "error" if failed else "unset"
    client: dict[str, Any] = {"service": "shop", "kind": "client", "server_address": "pay"}
    server: dict[str, Any] = {"service": "pay", "kind": "server", "status": status}
    return [
        span("A", trace=trace, start=start, end=start + 90, **client),
        span("B", "A", trace=trace, start=start + 5, end=start + 70, **server),
    ]


def rows_of(seconds: list[int], break_at: int = 10**9) -> list[Row]:
    return [
        row
        for i, second in enumerate(seconds)
        for row in request(i, BEGIN + second * SECOND + i, failed=second >= break_at)
    ]


def written(path: Path, rows: list[Row], *, kept: bool = True) -> ts.Store:
    store = DuckDBStore(path)
    store.append({"spans": stored_span_table(rows)})
    if kept:
        upkeep = Upkeep(store)
        for hours in range(3, 6):
            upkeep.step(BEGIN + hours * HOUR_NS)
        upkeep.close()
    store.close()
    return ts.open(path)


def same(some: ts.Topology, others: ts.Topology) -> None:
    assert_frame_equal(pl.DataFrame(some.nodes), pl.DataFrame(others.nodes))
    assert_frame_equal(pl.DataFrame(some.edges), pl.DataFrame(others.edges))
    for name in ("since_ns", "until_ns", "spans", "traces", "unpaired", "baseline"):
        assert getattr(some, name) == getattr(others, name), name


SECONDS = st.lists(st.integers(0, 40 * 60), min_size=1, max_size=60)


@settings(deadline=None, max_examples=12)
@given(SECONDS, st.integers(0, 45 * 60), st.sampled_from(["1m", "5m", "90s", "20m"]))
def test_a_moment_is_the_window_that_ends_there(seconds: list[int], at: int, width: str) -> None:
    until = BEGIN + at * SECOND
    with tempfile.TemporaryDirectory() as folder, written(Path(folder) / "t.db", rows_of(seconds)) as store:
        moment = store.at(until, width)
        same(moment.topology(), store.topology(moment.since_ns, until))
        assert moment.health().equals(store.health(moment.since_ns, until))
        assert moment.services().equals(store.services(moment.since_ns, until))
        assert moment.red(step="1m").equals(store.red(since=moment.since_ns, until=until, step="1m"))
        assert moment.absence().equals(store.absence(moment.since_ns, until))
        before = moment.since_ns - 7 * MINUTE_NS
        same(moment.topology(before), store.topology(moment.since_ns, until, before))


@settings(deadline=None, max_examples=12)
@given(SECONDS, st.integers(1, 40 * 60), st.sampled_from(["1m", "5m"]))
def test_what_came_later_changes_nothing(seconds: list[int], at: int, width: str) -> None:
    until = BEGIN + at * SECOND
    seconds = [0, *seconds]
    known = rows_of([second for second in seconds if second < at])
    later = [request(1000 + i, until + 1 + i * SECOND * 7, failed=True) for i in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        with written(Path(folder) / "then.db", known) as then:
            before = then.at(until, width)
            expected, health = before.topology(), before.health()
        with written(Path(folder) / "now.db", [*known, *(row for rows in later for row in rows)]) as now:
            same(now.at(until, width).topology(), expected)
            assert now.at(until, width).health().equals(health)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[ts.Store]:
    """Twenty minutes of a call a second; pay fails from minute ten to fifteen, nothing from 16 to 18."""
    seconds = [second for second in range(20 * 60) if not 960 <= second < 1080]
    rows = [
        row
        for i, second in enumerate(seconds)
        for row in request(i, BEGIN + second * SECOND, failed=600 <= second < 900)
    ]
    with written(tmp_path / "t.db", rows) as store:
        yield store


def state(moment: Moment, service: str = "pay") -> str:
    return str(moment.topology().nodes.filter(service=service)["state"][0])


def test_an_incident_before_at_its_onset_at_its_height_and_after(broken: ts.Store) -> None:
    states = [state(broken.at(BEGIN + minute * MINUTE_NS, "1m")) for minute in (9, 10, 11, 14, 16)]
    assert states == ["healthy", "healthy", "failing", "failing", "healthy"]


def test_a_moment_can_be_written_like_any_time(broken: ts.Store) -> None:
    until = BEGIN + 9 * MINUTE_NS
    for written_as in (until, str(until), datetime.fromtimestamp(until / 1e9).isoformat()):
        assert broken.at(written_as).until_ns == until
    last = broken.extent().last_start_ns + 1
    assert broken.at("5m").until_ns == last - 5 * MINUTE_NS
    assert broken.at("now").until_ns == last
    assert broken.at(until).since_ns == until - 5 * MINUTE_NS
    assert broken.at(until, 7).since_ns == until - 7


def test_there_is_always_an_answer_and_a_sentence_where_it_is_empty(broken: ts.Store) -> None:
    first, last = broken.extent().first_start_ns, broken.extent().last_start_ns
    for until, words in (
        (first, f"the first span starts {format_time(first)}"),
        (last + 10 * MINUTE_NS, f"the last span starts {format_time(last)}"),
        (BEGIN + 17 * MINUTE_NS + 30 * SECOND, "a gap: spans before it start until"),
    ):
        moment = broken.at(until, "1m")
        assert words in str(moment.note)
        assert words in repr(moment)
        assert moment.topology().spans == 0
        assert moment.versions().is_empty()
        assert moment.red().is_empty()
    assert broken.at(last + 1, "1m").note is None
    assert broken.at(first + 1, "1m").note is None


def test_what_was_called_and_is_silent_in_the_moment_is_absent(broken: ts.Store) -> None:
    assert state(broken.at(BEGIN + 17 * MINUTE_NS, "1m")) == "absent"


def test_a_store_without_spans_says_so(tmp_path: Path) -> None:
    DuckDBStore(tmp_path / "empty.db").close()
    with ts.open(tmp_path / "empty.db") as store:
        assert store.at(BEGIN).note == f"{tmp_path / 'empty.db'} holds no spans yet"
        assert store.timeline().is_empty()
        assert store.marks().is_empty()


def test_what_was_pruned_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    store = DuckDBStore(path)
    store.append({"spans": stored_span_table(rows_of([0]))})
    store.append({"spans": stored_span_table(rows_of([3600]))})
    arrived = store.reader().sql("SELECT max(arrived_ns) AS at FROM spans")["at"][0].as_py()
    assert store.prune(arrived)
    store.close()
    with ts.open(path) as opened:
        note = str(opened.at(BEGIN + MINUTE_NS).note)
    assert "the first span starts" in note
    assert note.endswith(f"what was before has been pruned, up to {format_time(BEGIN)}")


def test_what_is_no_moment(broken: ts.Store) -> None:
    with pytest.raises(ValueError, match="is no time"):
        broken.at("yesterday-ish")
    with pytest.raises(ValueError, match="at which moment"):
        broken.at(None)
    for width in ("0s", 0, -5):
        with pytest.raises(ValueError, match="holds nothing"):
            broken.at("1m", width)


def test_a_timeline_and_its_marks_from_a_notebook(broken: ts.Store) -> None:
    found = broken.timeline(step="5m", service="pay")
    assert found.filter(pl.col("service") == "pay")["errors"].to_list() == [0, 0, 300, 0]
    assert (
        broken.timeline("10m", "5m", "1m")["calls"].sum()
        == broken.topology("10m", "5m").nodes.filter(kind="service")["calls"].sum()
    )
    kinds = broken.marks().select("kind", "service").rows()
    assert ("gap", None) in kinds
    assert ("change", "pay") in kinds
    assert "change" not in broken.marks(changes=False)["kind"]


def test_versions_are_documented() -> None:
    assert documented("store.at(…).versions()") == list(VERSION_SCHEMA)
    assert to_ns(datetime.fromtimestamp(BEGIN / 1e9)) == BEGIN
