"""How everything is: against its own past, however long an incident lasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from memory_reader import link_table, reader, span, stored_span_table
from support.documented import documented
from tracescape_analytics.checkup import HEALTH_SCHEMA, health
from tracescape_analytics.health import DEFAULT, Thresholds
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

Row = dict[str, object]
BEGIN = 100 * HOUR_NS
MS = 1_000_000
LIVE = 5 * MINUTE_NS
NO_DAY = Thresholds(day_ns=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def requests(minute: int, *, slow: bool = False, failed: int = 0, calls: int = 6) -> list[Row]:
    """A minute of a shop that asks pay: a client and a server span each."""
    start = BEGIN + minute * MINUTE_NS
    length = (400 if slow else 100) * MS
    rows: list[Row] = []
    for i in range(calls):
        begin, trace = start + i * 1000 * MS, f"{minute}.{i}"
        end, status = begin + length, "error" if i < failed else "ok"
        server = span(
            "B", "A", trace=trace, service="pay", kind="server", start=begin, end=end, status=status
        )
        rows += [span("A", trace=trace, service="shop", kind="client", start=begin, end=end), server]
    return rows


def collect(store: DuckDBStore, rows: list[Row]) -> None:
    """As a collector does it: what has settled is counted by minute."""
    store.append({"spans": stored_span_table(rows), "links": link_table([])})
    upkeep = Upkeep(store)
    for now in (0, SETTLE_NS):
        upkeep.step(BEGIN + 100 * HOUR_NS + now)
    upkeep.close()


def state_of(found: pl.DataFrame, service: str) -> str:
    return str(found.filter(pl.col("service") == service)["state"].item())


def live(store: Reader, minute: int, thresholds: Thresholds = DEFAULT) -> pl.DataFrame:
    """What a live view of five minutes shows at the begin of a minute."""
    now = BEGIN + minute * MINUTE_NS
    return health(store, since_ns=now - LIVE, until_ns=now, thresholds=thresholds)


def test_an_incident_of_an_hour_does_not_turn_green(store: DuckDBStore) -> None:
    rows = [row for minute in range(180) for row in requests(minute, slow=minute >= 120)]
    collect(store, rows)
    asked = store.reader()
    for minute in (125, 130, 150, 180):
        found = live(asked, minute)
        assert state_of(found, "pay") == "failing", minute
        edge = found.filter(pl.col("what") == "edge", pl.col("source") == "shop").row(0, named=True)
        assert edge["state"] == "failing"
    assert edge["against"] == "day"
    assert edge["reason"] == "p95 is 4.0 times what it was over the day"
    assert edge["day_p95_ns"] == pytest.approx(100 * MS, rel=0.01)
    assert edge["before_p95_ns"] == pytest.approx(400 * MS, rel=0.01), "it has become its own past"
    assert state_of(live(asked, 180, NO_DAY), "pay") == "healthy", "which is all that used to be asked"
    nodes = topology(asked, since_ns=BEGIN + 175 * MINUTE_NS, until_ns=BEGIN + 180 * MINUTE_NS).nodes
    assert state_of(nodes, "pay") == "failing", "one definition, wherever a state is shown"


def test_failures_of_an_hour_do_not_turn_green(store: DuckDBStore) -> None:
    collect(store, [row for minute in range(180) for row in requests(minute, failed=2 * (minute >= 120))])
    found = live(store.reader(), 180).filter(pl.col("service") == "pay").row(0, named=True)
    assert (found["state"], found["against"]) == ("failing", "day")
    assert found["reason"] == "33.3% of calls failed, 0.0% over the day"
    assert found["before_error_rate"] == pytest.approx(1 / 3)
    assert found["day_error_rate"] == 0.0


def test_what_has_recovered_is_healthy_at_once(store: DuckDBStore) -> None:
    collect(store, [row for minute in range(185) for row in requests(minute, slow=120 <= minute < 180)])
    assert state_of(live(store.reader(), 185), "pay") == "healthy"


def test_what_stays_is_normal_after_half_of_what_is_stored(store: DuckDBStore) -> None:
    collect(store, [row for minute in range(300) for row in requests(minute, slow=minute >= 120)])
    assert state_of(live(store.reader(), 220), "pay") == "failing"
    assert state_of(live(store.reader(), 300), "pay") == "healthy"


def test_an_outage_of_an_hour_is_still_missed(store: DuckDBStore) -> None:
    rows = [
        row for minute in range(180) for row in requests(minute) if minute < 120 or row["service"] == "shop"
    ]
    collect(store, rows)
    found = live(store.reader(), 180).filter(pl.col("service") == "pay").row(0, named=True)
    assert (found["state"], found["against"], found["calls"]) == ("absent", "day", 0)
    assert found["reason"] == "no calls; there were 30 in that time over the day"


def test_a_service_that_fell_silent_but_is_called_is_absent_and_its_edge_tells(store: DuckDBStore) -> None:
    """Its callers still name it: it is no external system of the same name."""
    gone = [
        row | {"peer_service": "pay", "status": 2}
        for minute in range(60, 65)
        for row in requests(minute)[::2]
    ]
    collect(store, [row for minute in range(60) for row in requests(minute)] + gone)
    found = live(store.reader(), 65)
    assert state_of(found, "pay") == "absent"
    edge = found.filter(pl.col("target") == "pay").row(0, named=True)
    assert (edge["source"], edge["state"], edge["calls"], edge["errors"]) == ("shop", "failing", 30, 30)
    nodes = topology(store.reader(), since_ns=BEGIN + HOUR_NS, until_ns=BEGIN + HOUR_NS + LIVE).nodes
    assert nodes["service", "kind", "state"].rows() == [
        ("pay", "service", "absent"),
        ("shop", "service", "failing"),
    ]


def test_what_comes_every_hour_is_not_missed_in_between(store: DuckDBStore) -> None:
    rows = [row for minute in range(180) for row in requests(minute, calls=1)]
    for hour in (0, 1, 2):
        rows += [
            row | {"service": "job"} for row in requests(hour * 60 + 7, calls=60) if row["service"] == "pay"
        ]
    collect(store, rows)
    assert "job" not in live(store.reader(), 180)["service"].to_list()


def test_seldom_calls_are_compared_with_the_sum_of_the_samples(store: DuckDBStore) -> None:
    """Four calls in each window of the past make no baseline; all twelve of them do."""
    past = [row for minute in range(0, 120) for row in requests(minute, calls=1)]
    collect(store, past + [row for minute in range(120, 125) for row in requests(minute, slow=True)])
    found = live(store.reader(), 125).filter(pl.col("service") == "pay").row(0, named=True)
    assert (found["state"], found["against"]) == ("failing", "day")


def test_a_store_without_counts_by_minute_has_only_the_time_just_before() -> None:
    rows = [row for minute in range(20) for row in requests(minute, slow=minute >= 10)]
    found = live(reader(*rows), 15).filter(pl.col("service") == "pay").row(0, named=True)
    assert (found["state"], found["against"], found["day_p95_ns"]) == ("failing", "before", None)
    assert state_of(live(reader(*rows), 20), "pay") == "healthy"


def test_apdex_is_by_the_time_that_satisfies() -> None:
    def calls(count: int, ms: int, name: str) -> list[Row]:
        return [
            span("A", trace=f"{name}{i}", service="shop", kind="server", start=i, end=i + ms * MS)
            for i in range(count)
        ]

    store = reader(*calls(60, 100, "a"), *calls(30, 1000, "b"), *calls(10, 3000, "c"))
    found = health(store).filter(pl.col("what") == "service").row(0, named=True)
    assert (found["apdex"], found["apdex_t_ns"]) == (pytest.approx(0.75), 500 * MS)
    patient = Thresholds(apdex_ns_by_service={"shop": 2000 * MS})
    found = health(store, thresholds=patient).filter(pl.col("what") == "service").row(0, named=True)
    assert (found["apdex"], found["apdex_t_ns"]) == (pytest.approx(0.95), 2000 * MS)


def test_the_worst_comes_first_and_columns_are_the_same_without_rows() -> None:
    store = reader(*requests(0, failed=25, calls=50), *requests(1, calls=2))
    found = health(store)
    assert found["state"].to_list() == sorted(found["state"], key=["failing", "healthy"].index)
    assert found.row(0, named=True)["reason"] == "48.1% of calls failed"
    assert health(reader()).schema == found.schema == pl.Schema(HEALTH_SCHEMA)


@pytest.mark.parametrize(
    "wrong", [{"failing_errors": 5.0}, {"calls": 0}, {"apdex_ns": 0}, {"apdex_ns_by_service": {"a": -1}}]
)
def test_thresholds_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|at least 1|longer than nothing"):
        Thresholds(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_every_column_is_documented() -> None:
    assert documented("store.health(") == list(HEALTH_SCHEMA)
