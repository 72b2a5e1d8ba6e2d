"""Marks on a timeline: what diagnose sees, versions that appear, what fell silent, and gaps."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from memory_reader import MemoryReader, reader, span
from support.documented import documented
from support.small_shop import MINUTE, SECOND, faulty, small_shop
from tracescape_analytics.deployments import DEPLOYMENT_SCHEMA, VERSION_SCHEMA, deployments, versions
from tracescape_analytics.marks import KINDS, MARK_SCHEMA, marks
from tracescape_analytics.root_cause import diagnose
from tracescape_analytics.silences import silences
from tracescape_analytics.timeline import steps_in
from tracescape_storage.schema import RESOURCES

DAY = 24 * 60 * MINUTE
BEGIN = 1_000 * DAY
Row = dict[str, object]


def sent(*rows: Row, resources: dict[str, str | None]) -> MemoryReader:
    """A store whose resources, named as spans name them, are ``service@version``."""
    made = reader(*rows)
    numbers = {row["resource"]: span("x", resource=str(row["resource"]))["resource_id"] for row in TOLD}
    table = [
        {
            "resource_id": numbers[name],
            "service": name.partition("@")[0],
            "version": version,
            "attributes": "{}",
            "dropped_attributes": 0,
        }
        for name, version in resources.items()
    ]
    made.others["resources"] = pa.Table.from_pylist(table, schema=RESOURCES)
    return made


TOLD = [{"resource": name} for name in ("cart@1", "cart@2", "web@1")]
VERSIONS: dict[str, str | None] = {"cart@1": "1.0", "cart@2": "2.0", "web@1": None}


def busy(resource: str, begin: float, end: float, every: float = 0.2) -> list[Row]:
    """Spans of a resource from minute ``begin`` to minute ``end``, one each ``every`` minutes."""
    count = round((end - begin) / every)
    starts = [BEGIN + round((begin + i * every) * MINUTE) for i in range(count)]
    service = resource.partition("@")[0]
    return [
        span("A", trace=f"{resource}{at}"[-16:], service=service, kind="server", start=at, end=at + 5,
             resource=resource)
        for at in starts
    ]  # fmt: skip


def test_a_new_version_is_a_deployment_and_a_new_service_is_none() -> None:
    store = sent(*busy("cart@1", 0, 10), *busy("cart@2", 10, 20), *busy("web@1", 5, 20), resources=VERSIONS)
    found = deployments(store, BEGIN, BEGIN + 20 * MINUTE)
    assert found.rows() == [(BEGIN + 10 * MINUTE, "cart", "2.0", "1.0")]
    assert found.schema == DEPLOYMENT_SCHEMA


def test_a_rollback_is_a_deployment_of_the_old_version() -> None:
    rows = busy("cart@1", 0, 10) + busy("cart@2", 10, 40) + busy("cart@1", 40, 50)
    found = deployments(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 50 * MINUTE)
    assert found.select("version", "before").rows() == [("2.0", "1.0"), ("1.0", "2.0")]
    assert found["start_ns"].to_list() == [BEGIN + 10 * MINUTE, BEGIN + 40 * MINUTE]


def test_versions_side_by_side_appear_once() -> None:
    rows = busy("cart@1", 0, 60) + busy("cart@2", 10, 60, every=4.0)
    found = deployments(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 60 * MINUTE)
    assert found["version"].to_list() == ["2.0"]


def test_a_version_that_is_seldom_used_does_not_appear_each_time() -> None:
    rows = busy("cart@1", 0, 60, every=1.0) + busy("cart@2", 5, 60, every=12.0)
    found = deployments(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 60 * MINUTE)
    assert found["start_ns"].to_list() == [BEGIN + 5 * MINUTE], "12 spans of others are no time away"


def test_a_service_that_appears_with_two_versions_was_not_deployed_to() -> None:
    rows = busy("web@1", 0, 20) + busy("cart@1", 5, 20) + busy("cart@2", 5, 20)
    assert deployments(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 20 * MINUTE).is_empty()


def test_a_pause_of_a_whole_service_is_no_deployment() -> None:
    rows = busy("cart@1", 0, 10) + busy("cart@1", 50, 60)
    assert deployments(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 60 * MINUTE).is_empty()


def test_a_version_that_was_there_before_the_window_is_known() -> None:
    rows = busy("cart@1", 0, 30) + busy("cart@2", 10, 30)
    store = sent(*rows, resources=VERSIONS)
    assert deployments(store, BEGIN + 20 * MINUTE, BEGIN + 30 * MINUTE).is_empty()
    assert deployments(store, BEGIN + 10 * MINUTE, BEGIN + 30 * MINUTE).height == 1
    assert deployments(store, BEGIN, BEGIN + 10 * MINUTE).is_empty(), "what comes later is not known yet"


def test_versions_of_a_moment() -> None:
    store = sent(*busy("cart@1", 0, 10), *busy("cart@2", 8, 20), *busy("web@1", 0, 20), resources=VERSIONS)
    found = versions(store, BEGIN + 8 * MINUTE, BEGIN + 11 * MINUTE)
    assert found.rows() == [
        ("cart", "2.0", 15, BEGIN + 8 * MINUTE),
        ("cart", "1.0", 10, BEGIN + 8 * MINUTE),
    ]
    assert found.schema == VERSION_SCHEMA


def of(rows: list[Row], kind: str) -> pl.DataFrame:
    return marks(sent(*rows, resources=VERSIONS), changes=False).filter(kind=kind)


def test_a_service_that_falls_silent_and_comes_back_is_absent_between() -> None:
    rows = busy("cart@1", 0, 20) + busy("cart@1", 30, 40) + busy("web@1", 0, 40)
    found = of(rows, "absence")
    assert found.select("service", "start_ns", "end_ns").rows() == [
        ("cart", BEGIN + 20 * MINUTE, BEGIN + 30 * MINUTE)
    ]
    assert found["score"][0] == pytest.approx(50)
    assert found["text"][0] == "no calls of cart; 50 were to be expected"


def test_one_that_does_not_come_back_has_no_end() -> None:
    found = of(busy("cart@1", 0, 20) + busy("web@1", 0, 40), "absence")
    assert found.select("service", "start_ns", "end_ns").rows() == [("cart", BEGIN + 20 * MINUTE, None)]


def test_who_is_seldom_called_is_not_missed() -> None:
    assert of(busy("cart@1", 0, 20, every=3.0) + busy("web@1", 0, 23), "absence").is_empty()


def test_bursts_are_less_surprising_than_a_steady_stream() -> None:
    # As many calls, but all in every seventh minute: three minutes without any are usual.
    bursts = [row for minute in range(0, 28, 7) for row in busy("cart@1", minute, minute + 1, every=0.02)]
    assert of(bursts + busy("web@1", 0, 30), "absence").is_empty()


def test_who_comes_later_was_not_absent_before() -> None:
    assert of(busy("web@1", 0, 40) + busy("cart@1", 20, 40), "absence").is_empty()


def test_where_nothing_at_all_was_stored_is_a_gap_and_nobody_is_absent() -> None:
    rows = [row for name in ("cart@1", "web@1") for a, b in ((0, 20), (30, 40)) for row in busy(name, a, b)]
    store = sent(*rows, resources=VERSIONS)
    found = marks(store, changes=False)
    assert found.select("kind", "service", "start_ns", "end_ns").rows() == [
        ("gap", None, BEGIN + 20 * MINUTE, BEGIN + 30 * MINUTE)
    ]
    assert found["text"][0] == "nothing was stored; 100 calls were to be expected"


def test_the_open_minute_at_the_end_is_judged_by_what_is_over_of_it() -> None:
    rows = busy("cart@1", 0, 20) + busy("web@1", 0, 20.3)
    counts = steps_in(sent(*rows, resources=VERSIONS), BEGIN, BEGIN + 20 * MINUTE + 18 * SECOND, MINUTE, None)
    assert silences(counts, BEGIN + 20 * MINUTE + 18 * SECOND).is_empty(), "1.5 calls are no news"


def test_changes_are_those_that_diagnose_finds() -> None:
    shop = small_shop(minutes=20, fault_minutes=3, faults=faulty(slow_work={"pay": 80.0}))
    found = marks(shop).filter(kind="change")
    asked = diagnose(shop)
    row = found.row(found["score"].arg_max(), named=True)
    assert (row["start_ns"], row["end_ns"]) == asked.window
    assert (row["service"], row["text"]) == asked.causes.select("service", "sentence").row(0)
    assert row["service"] == "pay"
    assert marks(shop, changes=False).filter(kind="change").is_empty()


def test_a_quiet_shop_has_no_marks() -> None:
    assert marks(small_shop()).is_empty()


def test_marks_stand_by_time_and_are_documented() -> None:
    rows = busy("cart@1", 0, 20) + busy("cart@2", 10, 20) + busy("web@1", 0, 40)
    found = marks(sent(*rows, resources=VERSIONS))
    assert found.schema == MARK_SCHEMA
    assert set(found["kind"]) <= set(KINDS)
    assert found["start_ns"].is_sorted()
    assert documented("store.marks()") == list(MARK_SCHEMA)


def test_nothing_stored_and_a_window_the_wrong_way_round() -> None:
    store = sent(*busy("cart@1", 0, 2), resources=VERSIONS)
    assert marks(store, since_ns=0, until_ns=5).schema == MARK_SCHEMA
    with pytest.raises(ValueError, match="before it begins"):
        marks(store, since_ns=5, until_ns=4)
