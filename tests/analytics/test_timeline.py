"""A timeline says for each step what the topology of that time says, however the counts are kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_reader import MemoryReader, reader, span, stored_span_table
from support.documented import documented
from tracescape_analytics.errors import UnknownServiceError
from tracescape_analytics.timeline import MOST, TIMELINE_SCHEMA, USUAL, step_of, timeline
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.reader import Extent, Reader
from tracescape_storage.rollups import HOUR_NS, LONGEST_WAIT_NS, MINUTE_NS

SECOND = 1_000_000_000
BEGIN = 100 * HOUR_NS - 3 * MINUTE_NS
Row = dict[str, object]
QUANTILES = ["p50_ns", "p95_ns", "p99_ns"]


def a_request(
    number: int, start: int, *, took: int = 80, failed: bool = False, far: str = "pay"
) -> list[Row]:
    trace = f"t{number}"
    return [
        span("A", trace=trace, service="shop", kind="server", start=start, end=start + 2 * took),
        span("B", "A", trace=trace, service="shop", kind="client", start=start + 1, end=start + took + 9,
             server_address=far),
        span("C", "B", trace=trace, service=far, kind="server", start=start + 5, end=start + 5 + took,
             status="error" if failed else "unset"),
    ]  # fmt: skip


def rows_of(times: list[int]) -> list[Row]:
    return [
        row
        for i, time in enumerate(times)
        for row in a_request(i, BEGIN + time, took=40 + 13 * i, failed=i % 3 == 0)
    ]


def stored(folder: str, rows: list[Row], *, now_ns: int | None = None) -> Reader:
    path = Path(folder) / "t.db"
    store = DuckDBStore(path)
    store.append({"spans": stored_span_table(rows)})
    now = BEGIN + 3 * HOUR_NS if now_ns is None else now_ns
    upkeep = Upkeep(store)
    upkeep.step(now)
    upkeep.step(now + LONGEST_WAIT_NS + SETTLE_NS)
    upkeep.close()
    store.close()
    return open_reader(path)


TIMES = st.lists(st.integers(0, 90 * 60), min_size=1, max_size=25).map(
    lambda seconds: [second * SECOND for second in seconds]
)


@settings(deadline=None, max_examples=12)
@given(TIMES, st.sampled_from([MINUTE_NS, 5 * MINUTE_NS, HOUR_NS, 90 * SECOND, 2 * HOUR_NS]))
def test_each_step_is_the_topology_of_its_time(times: list[int], step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = stored(folder, rows_of(times))
        found = timeline(kept, step_ns=step, service="pay")
        for row in found.iter_rows(named=True):
            nodes = topology(kept, since_ns=row["start_ns"], until_ns=row["end_ns"]).nodes
            asked = nodes.filter(
                (pl.col("service") == "pay") if row["service"] else (pl.col("kind") == "service")
            )
            assert row["calls"] == asked["calls"].sum()
            assert row["errors"] == asked["errors"].sum()
            assert row["seen"] == asked["seen"].sum()
            if row["service"] and row["calls"]:
                assert tuple(row[q] for q in ("p50_ns", "p95_ns", "p99_ns")) == asked[
                    "p50_ns", "p95_ns", "p99_ns"
                ].row(0)
        kept.close()


@settings(deadline=None, max_examples=12)
@given(TIMES, st.integers(0, 30 * 60), st.integers(1, 70 * 60))
def test_a_window_may_begin_and_end_anywhere(times: list[int], begin: int, length: int) -> None:
    since, until = BEGIN + begin * SECOND + 7, BEGIN + (begin + length) * SECOND + 3
    with tempfile.TemporaryDirectory() as folder:
        kept = stored(folder, rows_of(times))
        found = timeline(kept, since_ns=since, until_ns=until, step_ns=5 * MINUTE_NS)
        services = topology(kept, since_ns=since, until_ns=until).nodes.filter(kind="service")
        assert found["calls"].sum() == services["calls"].sum()
        assert found["errors"].sum() == services["errors"].sum()
        kept.close()


def test_blocks_and_open_minutes_and_spans_alone_say_the_same(tmp_path: Path) -> None:
    rows = rows_of([i * 100 * SECOND for i in range(40)])
    alone = timeline(reader(*rows), step_ns=5 * MINUTE_NS, service="pay")
    half = stored(str(tmp_path), rows, now_ns=BEGIN + 35 * MINUTE_NS)
    blocks, pending = (
        half.sql(f"SELECT count(*) AS n FROM tracescape_rollup{what}")["n"][0].as_py()
        for what in ("s", "_pending")
    )
    assert blocks
    assert pending
    assert timeline(half, step_ns=5 * MINUTE_NS, service="pay").equals(alone)
    half.close()


def test_sampled_calls_count_for_those_that_were_not_kept() -> None:
    rows = a_request(0, BEGIN) + [
        {**row, "trace_state": "ot=th:c", "trace_id": b"sampled........."}
        for row in a_request(1, BEGIN, failed=True)
    ]
    found = timeline(reader(*rows), step_ns=MINUTE_NS, service="pay")
    nodes = topology(reader(*rows)).nodes.filter(service="pay")
    assert nodes.select("calls", "seen").rows() == [(5, 2)], "one of four was kept"
    assert found.filter(service="pay").select("calls", "errors", "seen").rows() == [(5, 4, 2)]
    assert found.filter(pl.col("service").is_null()).select("calls", "seen").rows() == [(10, 4)]


def test_no_step_is_missing_and_nothing_is_no_rate_of_errors() -> None:
    found = timeline(reader(*rows_of([0, 600 * SECOND])), step_ns=MINUTE_NS)
    assert found["start_ns"].to_list() == [BEGIN + i * MINUTE_NS for i in range(11)]
    assert found["calls"].to_list() == [2, *[0] * 9, 2]
    assert found["rate_per_s"][1] == 0.0
    assert found["error_rate"].to_list() == [0.5, *[None] * 9, 0.0]
    assert found["p95_ns"][1] is None


def test_a_rate_is_by_the_time_that_is_left_of_a_step() -> None:
    rows = rows_of([30 * SECOND, 45 * SECOND])
    found = timeline(reader(*rows), since_ns=BEGIN, until_ns=BEGIN + MINUTE_NS, step_ns=MINUTE_NS)
    assert found["calls"].to_list() == [4]
    assert found["rate_per_s"][0] == pytest.approx(4 / 15, rel=1e-6)


def test_what_sends_no_spans_can_be_selected() -> None:
    call = a_request(0, BEGIN, far="db")[:2]
    found = timeline(reader(*call), service="db")
    assert found.filter(service="db")["calls"].to_list() == [1]
    assert found.filter(pl.col("service").is_null())["calls"].to_list() == [1], (
        "the whole is what services served"
    )


def test_what_a_call_goes_to_is_decided_once_for_all_steps() -> None:
    silent = a_request(1, BEGIN + 10 * MINUTE_NS)[:2]  # pay is called, and sends nothing
    found = timeline(reader(*a_request(0, BEGIN), *silent), step_ns=5 * MINUTE_NS, service="pay")
    assert found.filter(service="pay")["calls"].to_list() == [1, 0, 0]


def test_the_number_of_steps_is_bounded_whatever_the_range() -> None:
    for length in (1, SECOND, MINUTE_NS, HOUR_NS, 23 * HOUR_NS, 25 * HOUR_NS, 14 * 24 * HOUR_NS, 2**62):
        extent = Extent(1000, BEGIN, BEGIN + length - 1)
        step = step_of(BEGIN, BEGIN + length, extent)
        assert -(-(BEGIN + length) // step) - BEGIN // step <= USUAL
        assert length <= 24 * HOUR_NS or step % HOUR_NS == 0, "a day and more is told by hours"


def test_a_short_range_of_few_spans_is_told_by_seconds_and_one_of_many_by_minutes() -> None:
    few, many = (Extent(count, BEGIN, BEGIN + 4 * MINUTE_NS) for count in (1_000, 1_000_000))
    assert step_of(few.first_start_ns, few.last_start_ns, few) == SECOND
    assert step_of(many.first_start_ns, many.last_start_ns, many) == MINUTE_NS


def test_nothing_stored_or_nothing_in_the_window_gives_no_rows() -> None:
    empty = MemoryReader(reader(*rows_of([0])).table.slice(0, 0))
    assert timeline(empty).schema == TIMELINE_SCHEMA
    some = reader(*rows_of([0]))
    for since, until in ((0, 5), (BEGIN + HOUR_NS, BEGIN + 2 * HOUR_NS), (BEGIN, BEGIN)):
        assert timeline(some, since_ns=since, until_ns=until).is_empty()


def test_what_cannot_be_asked() -> None:
    some = reader(*rows_of([0, 90 * 60 * SECOND]))
    with pytest.raises(ValueError, match="before it begins"):
        timeline(some, since_ns=5, until_ns=4)
    with pytest.raises(ValueError, match="no length"):
        timeline(some, step_ns=0)
    with pytest.raises(ValueError, match=f"{MOST:,} are too many"):
        timeline(some, step_ns=SECOND)
    with pytest.raises(UnknownServiceError, match="shop"):
        timeline(some, service="shpo")


def test_the_columns_are_documented() -> None:
    assert documented("store.timeline()") == list(TIMELINE_SCHEMA)
