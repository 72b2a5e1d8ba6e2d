"""What should be there and is not."""

from __future__ import annotations

import math

import polars as pl
import pytest

from memory_reader import reader, span, trace_bytes
from support.documented import documented
from tracescape_analytics.absence import ABSENCE_SCHEMA, absence
from tracescape_analytics.windows import MINUTE_NS

Row = dict[str, object]
S = 1_000_000_000
NOW = 20 * MINUTE_NS


def request(start: int, *, pay: bool = True, cache: bool = True) -> list[Row]:
    """web asks cart, which asks redis and pay."""
    rows = [
        span("W", service="web", operation="GET /", kind="server", end=100),
        span("S", "W", service="cart", operation="add", kind="server", end=80),
        span("C", "S", service="cart", kind="client", end=60),
        span("P", "C", service="pay", operation="charge", kind="server", end=50),
        span("D", "S", service="cart", kind="client", end=60, db_system="redis"),
    ]
    kept = [row for row in rows if (pay or row["service"] != "pay") and (cache or "db_system" not in row)]
    return [row | {"trace_id": trace_bytes(str(start)), "start_ns": start} for row in kept]


def every(seconds: int, since: int, until: int, **without: bool) -> list[Row]:
    return [row for start in range(since, until, seconds * S) for row in request(start, **without)]


def lost(rows: list[Row], **asked: int) -> pl.DataFrame:
    return absence(reader(*rows), **({"since_ns": NOW, "until_ns": NOW + 5 * MINUTE_NS} | asked))


def test_a_service_that_stopped_is_missed_with_when_and_where_it_was_seen_last() -> None:
    rows = every(10, 0, NOW) + every(10, NOW, NOW + 5 * MINUTE_NS, pay=False)
    found = lost(rows)
    assert found["what", "name", "implied"].rows() == [
        ("service", "pay", False),
        ("edge", "cart → pay", True),
        ("path", "web GET / → cart add → pay charge", True),
    ]
    row = found.row(0, named=True)
    assert (row["baseline_calls"], row["expected"], row["parts"]) == (60, 30.0, 10), "of the last ten minutes"
    assert row["p_value"] == pytest.approx(math.exp(-30))
    assert row["last_seen_ns"] == NOW - 10 * S
    assert bytes.fromhex(row["exemplar"]) == trace_bytes(str(NOW - 10 * S))


def test_a_call_that_stopped_between_what_is_there_is_missed_as_an_edge() -> None:
    pay = span("Q", service="pay", operation="charge", kind="server")
    pay_alone = [pay | {"trace_id": trace_bytes(f"q{i}"), "start_ns": NOW + i * S} for i in range(9)]
    found = lost(every(10, 0, NOW) + every(10, NOW, NOW + 5 * MINUTE_NS, pay=False) + pay_alone)
    assert found.filter(~pl.col("implied"))["what", "name"].rows() == [("edge", "cart → pay")]


def test_a_path_that_stopped_though_its_edge_goes_on_is_missed() -> None:
    other = [
        row | {"operation": "GET /other"} if row["service"] == "web" else row
        for row in every(10, NOW, NOW + 5 * MINUTE_NS)
    ]
    found = lost(every(10, 0, NOW) + other)
    assert found.filter(~pl.col("implied"))["what", "name"].rows() == [("path", "web GET /")]


def test_a_database_that_is_called_no_more_is_missed() -> None:
    found = lost(every(10, 0, NOW) + every(10, NOW, NOW + 5 * MINUTE_NS, cache=False))
    assert found["name"][0] == "redis"


def test_what_is_seldom_is_not_missed() -> None:
    """Two in ten minutes: that there is none in five has a probability of a third."""
    seldom = [row for at in (11, 17) for row in request(at * MINUTE_NS + 1)]
    assert lost(
        every(10, 0, NOW, pay=False) + seldom + every(10, NOW, NOW + 5 * MINUTE_NS, pay=False)
    ).is_empty()


def test_what_comes_in_bursts_is_not_missed_between_them() -> None:
    """Sixty calls in the baseline as well, but all within a minute."""
    bursts = [row for i in range(60) for row in request(13 * MINUTE_NS + i * S // 2 + 1)]
    assert lost(
        every(10, 0, NOW, pay=False) + bursts + every(10, NOW, NOW + 5 * MINUTE_NS, pay=False)
    ).is_empty()


def test_what_is_sampled_counts_for_more_and_is_no_more_surprising() -> None:
    kept = [row | {"trace_state": "ot=th:c"} for row in every(10, 0, NOW)]
    rest = every(10, NOW, NOW + 5 * MINUTE_NS, pay=False)
    whole, sampled = (lost(rows + rest).row(0, named=True) for rows in (every(10, 0, NOW), kept))
    assert (sampled["baseline_calls"], sampled["seen"], sampled["expected"]) == (240, 60, 120.0)
    assert sampled["p_value"] == whole["p_value"], "that is up to what was seen"


def test_another_baseline_can_be_asked_for() -> None:
    rows = every(10, 0, 5 * MINUTE_NS) + every(10, 5 * MINUTE_NS, NOW + 5 * MINUTE_NS, pay=False)
    assert lost(rows).is_empty(), "it was missing ten minutes ago too"
    asked = absence(reader(*rows), since_ns=NOW, until_ns=NOW + 5 * MINUTE_NS, baseline=(0, 5 * MINUTE_NS))
    assert asked["name"][0] == "pay"


def test_when_nothing_is_left_all_is_missed() -> None:
    found = lost(every(10, 0, NOW))
    assert set(found.filter(pl.col("what") == "service")["name"]) == {"web", "cart", "pay", "redis"}


def test_a_short_store_misses_what_it_has_lost_though_it_holds_no_ten_minutes() -> None:
    begin = NOW - 4 * MINUTE_NS
    rows = every(10, begin, NOW) + every(10, NOW, NOW + 2 * MINUTE_NS, pay=False)
    found = lost(rows, until_ns=NOW + 2 * MINUTE_NS)
    row = found.row(0, named=True)
    assert (row["what"], row["name"], row["parts"]) == ("service", "pay", 10), (
        "of the four minutes that there are"
    )
    assert row["expected"] == pytest.approx(12.0)
    asked = absence(reader(*rows), since_ns=NOW, until_ns=NOW + 2 * MINUTE_NS, baseline=(begin, NOW))
    assert asked.equals(found)


def test_before_the_first_span_there_is_nothing_to_compare_with() -> None:
    assert absence(
        reader(*every(10, NOW, NOW + MINUTE_NS)), since_ns=NOW, until_ns=NOW + MINUTE_NS
    ).is_empty()


def test_nothing_gives_no_rows_and_what_is_wrong_is_said() -> None:
    assert lost([]).schema == lost(every(10, 0, NOW)).schema == pl.Schema(ABSENCE_SCHEMA)
    with pytest.raises(ValueError, match="needs a since"):
        absence(reader())
    with pytest.raises(ValueError, match="of no length"):
        absence(reader(), since_ns=5, until_ns=9, baseline=(5, 5))


def test_every_column_is_documented() -> None:
    assert documented("store.absence(") == list(ABSENCE_SCHEMA)
