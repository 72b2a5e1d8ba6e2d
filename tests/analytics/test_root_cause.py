"""Faults that somebody put into a small shop are found, quiet time names nobody, bad questions say why."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from memory_reader import MemoryReader, reader, span
from support.small_shop import HEALTHY, MINUTE, MS, Faults, faulty, small_shop
from tracescape_analytics.root_cause import CAUSE_SCHEMA, Diagnosis, diagnose
from tracescape_analytics.root_cause.moments import STEPS
from tracescape_storage.schema import EVENTS

WINDOW = (12 * MINUTE, 14 * MINUTE)


def found(faults: Faults, **how: int) -> Diagnosis:
    return diagnose(small_shop(faults=faults, **how), since_ns=WINDOW[0])


def first(faults: Faults, **how: int) -> dict[str, object]:
    causes = found(faults, **how).causes
    assert not causes.is_empty()
    return causes.row(0, named=True)


def test_slow_work_is_the_services_own() -> None:
    cause = first(faulty(slow_work={"cart": 20.0}))
    assert (cause["service"], cause["kind"], cause["operation"]) == ("cart", "slow work", "GET /cart")
    assert cause["before_ns"] == pytest.approx(3.5e6, rel=0.1)
    assert cause["after_ns"] == pytest.approx(23.5e6, rel=0.1)
    assert (cause["source"], cause["target"]) == (None, None)


def test_a_caller_is_explained_by_its_callee() -> None:
    answer = found(faulty(slow_work={"bank": 50.0}))
    assert answer.causes["service"].to_list() == ["bank"]


def test_a_slow_network_blames_whom_all_callers_wait_for() -> None:
    cause = first(faulty(slow_way={"catalog": 30.0}))
    assert (cause["service"], cause["kind"], cause["target"]) == ("catalog", "slow calls to it", "catalog")
    assert cause["source"] is None, "web and ads both call it"
    assert first(faulty(slow_way={"ads": 30.0}))["source"] == "web"


def test_a_starved_process_blames_who_calls() -> None:
    slow = dict.fromkeys(("cart", "catalog", "pay", "ads"), 30.0)
    cause = first(faulty(slow_way=slow))
    assert (cause["service"], cause["kind"]) == ("web", "slow calls from it")


def test_a_database_can_be_the_cause() -> None:
    cause = first(faulty(slow_way={"carts": 60.0}))
    assert (cause["service"], cause["source"]) == ("postgresql carts", "cart")
    told = r"Traces spend 6\d.* ms instead of 4.* ms in calls from cart to postgresql carts \(SELECT .*\)\."
    assert re.fullmatch(told, str(cause["sentence"])), "it sends no spans: nobody knows the way from the work"


def test_the_deepest_error_starts_it() -> None:
    answer = found(faulty(fails={"bank": 0.5}))
    assert answer.causes["service"].to_list() == ["bank"]
    cause = answer.causes.row(0, named=True)
    assert cause["kind"] == "errors"
    assert cause["before_share"] == 0.0
    assert cause["after_share"] == pytest.approx(0.5, abs=0.25)


def test_a_service_that_is_gone_is_named_by_its_callers() -> None:
    assert "bank" in found(faulty(absent=frozenset({"bank"}))).causes["service"].to_list()


def test_who_no_longer_calls_is_named_and_the_callee_suspected() -> None:
    answer = found(faulty(skips={"pay": 0.9}))
    assert answer.causes["service"].to_list() == ["web"]
    assert answer.causes["kind"].to_list() == ["changed behaviour"]
    assert "pay" in answer.suspects["service"].to_list()


def test_a_callee_that_is_asked_other_things_does_not_behave_differently() -> None:
    # Every second request of web is a product's page, for which ads picks by category; those break off.
    rows = []
    for number in range(14 * 40):
        trace, start = f"t{number:06}", number * MINUTE // 40
        product, broken = number % 2 == 0, start >= WINDOW[0]
        place = {"trace": trace, "start": start, "kind": "server"}
        rows.append(span("w", service="web", operation="GET", end=start + 9 * MS, **place))
        if product:
            rows.append(span("c", "w", service="cart", operation="GET /cart", end=start + MS, **place))
        if not (product and broken):
            rows.append(span("a", "w", service="ads", operation="GET /ads", end=start + 2 * MS, **place))
            inner = {"trace": trace, "start": start, "kind": "internal", "service": "ads"}
            picks = "pick by category" if product else "pick any"
            rows.append(span("p", "a", operation=picks, end=start + MS, **inner))
    causes = diagnose(reader(*rows), since_ns=WINDOW[0]).causes
    assert causes.select("service", "kind").rows() == [("web", "changed behaviour")]


def test_retries_are_behaviour_of_who_calls() -> None:
    cause = first(faulty(retries={"pay": 5}))
    assert (cause["service"], cause["kind"]) == ("web", "more calls")
    assert (cause["before_times"], cause["after_times"]) == (1.0, pytest.approx(5.0))
    assert cause["sentence"] == "web calls pay 5 times a request instead of 1 in GET /buy."
    assert cause["item"] == "pay"


def test_the_operation_that_a_request_no_longer_does_is_said_and_of_times_there_is_none() -> None:
    rows = []
    for number in range(14 * 40):
        trace, start = f"t{number:06}", number * MINUTE // 40
        inner = {"trace": trace, "start": start, "kind": "internal", "service": "web"}
        place = {"trace": trace, "start": start, "kind": "server"}
        rows.append(span("w", service="web", operation="GET", end=start + 9 * MS, **place))
        if start < WINDOW[0]:
            rows.append(span("p", "w", operation="pick", end=start + MS, **inner))
    cause = diagnose(reader(*rows), since_ns=WINDOW[0]).causes.row(0, named=True)
    assert (cause["kind"], cause["item"]) == ("changed behaviour", "pick")
    assert first(faulty(slow_work={"cart": 20.0}))["item"] is None


def test_an_exception_that_a_span_recorded_is_an_error() -> None:
    shop = small_shop()
    threw = [
        {
            "trace_id": row["trace_id"],
            "span_id": row["span_id"],
            "time_ns": row["start_ns"],
            "name": "exception",
            "attributes": "{}",
            "dropped_attributes": 0,
        }
        for row in shop.table.to_pylist()
        if row["service"] == "pay" and row["kind"] == 2 and row["start_ns"] >= WINDOW[0]
    ]
    shop.others["events"] = pa.Table.from_pylist(threw, schema=EVENTS)
    cause = diagnose(shop, since_ns=WINDOW[0]).causes.row(0, named=True)
    assert (cause["service"], cause["kind"], cause["after_share"]) == ("pay", "errors", 1.0)


def test_without_kinds_the_same_is_found() -> None:
    for faults, service in (
        (faulty(slow_work={"cart": 20.0}), "cart"),
        (faulty(slow_way={"catalog": 30.0}), "catalog"),
        (faulty(fails={"bank": 0.5}), "bank"),
    ):
        answer = diagnose(small_shop(faults=faults, kinds=False), since_ns=WINDOW[0])
        assert answer.causes["service"][0] == service


def test_a_service_that_sends_no_spans_is_known_by_the_names_of_calls() -> None:
    def grpc_names(row: dict[str, object]) -> dict[str, object]:
        if row["operation"] in ("call bank", "POST /transfer"):
            return {**row, "operation": "shop.BankService/Transfer", "server_address": None}
        return row

    shop = small_shop(faults=faulty(slow_way={"bank": 60.0}), kinds=False, change=grpc_names)
    kept = shop.table.filter(pl.Series(shop.table["service"].to_pylist()).ne("bank").to_arrow())
    answer = diagnose(MemoryReader(kept), since_ns=WINDOW[0])
    assert answer.causes["service"].to_list() == ["shop.BankService"]


@pytest.mark.parametrize("seed", range(5))
def test_quiet_time_names_nobody(seed: int) -> None:
    answer = found(HEALTHY, seed=seed)
    assert answer.causes.is_empty()
    assert str(answer).startswith("Nothing significant from ")


@pytest.mark.parametrize("service", ["web", "cart", "catalog", "pay", "bank", "ads"])
@pytest.mark.parametrize("way", ["slow_work", "fails"])
def test_whoever_it_is(service: str, way: str) -> None:
    amount = {"slow_work": 25.0, "fails": 0.4}[way]
    assert first(faulty(**{way: {service: amount}}), seed=3)["service"] == service


def test_order_of_arrival_does_not_matter() -> None:
    shop = small_shop(faults=faulty(slow_work={"cart": 20.0}))
    backwards = MemoryReader(shop.table.take(list(range(shop.table.num_rows - 1, -1, -1))))
    one, other = (diagnose(each, since_ns=WINDOW[0]) for each in (shop, backwards))
    columns = ["rank", "kind", "service", "operation", "named", "since_ns", "sentence", "bad_trace"]
    assert one.causes.select(columns).equals(other.causes.select(columns))


def test_the_time_is_found_where_none_is_given() -> None:
    answer = diagnose(small_shop(minutes=30, fault_minutes=5, faults=faulty(slow_work={"cart": 40.0})))
    assert answer.found
    assert answer.window[0] == pytest.approx(25 * MINUTE, abs=MINUTE)
    assert answer.causes["service"].to_list() == ["cart"]


def test_the_steps_in_which_it_may_have_begun_or_ended_are_no_baseline() -> None:
    store = small_shop(minutes=30, fault_minutes=10, faults=faulty(slow_work={"cart": 40.0}))
    extent = store.extent()
    answer = diagnose(store, until_ns=extent.last_start_ns - 3 * MINUTE)
    step = (extent.last_start_ns - 3 * MINUTE - extent.first_start_ns) / STEPS
    before, *after = answer.baseline
    assert answer.window[0] - before[1] == pytest.approx(step, abs=2)
    for since, _ in after:
        assert since - answer.window[1] == pytest.approx(step, abs=2)


def test_nothing_stands_out_of_quiet_time() -> None:
    answer = diagnose(small_shop(minutes=30))
    assert answer.causes.is_empty()


def test_exemplars_are_traces_of_the_window_and_of_the_baseline() -> None:
    shop = small_shop(faults=faulty(slow_work={"cart": 20.0}))
    answer = diagnose(shop, since_ns=WINDOW[0])
    cause = answer.causes.row(0, named=True)
    starts = {
        row["trace_id"].hex(): row["start_ns"] for row in shop.table.to_pylist() if row["parent_span_id"] == 0
    }
    assert starts[cause["bad_trace"]] >= WINDOW[0] > starts[cause["typical_trace"]]
    assert WINDOW[0] <= cause["since_ns"] < WINDOW[0] + MINUTE
    worst = answer.paths.sort(pl.col("bad_ns") - pl.col("typical_ns")).row(-1, named=True)
    assert (worst["rank"], worst["service"], worst["operation"]) == (1, "cart", "GET /cart")
    assert worst["bad_ns"] > 3 * worst["typical_ns"]


def test_both_paths_are_whole() -> None:
    shop = small_shop(faults=faulty(slow_work={"cart": 20.0}))
    answer = diagnose(shop, since_ns=WINDOW[0])
    cause = answer.causes.row(0, named=True)
    lasts = {
        row["trace_id"].hex(): row["duration_ns"]
        for row in shop.table.to_pylist()
        if row["parent_span_id"] == 0
    }
    path = answer.paths.filter(rank=1)
    assert path["typical_ns"].sum() == lasts[cause["typical_trace"]]
    assert path["bad_ns"].sum() == lasts[cause["bad_trace"]]
    assert path["step"].to_list() == list(range(1, len(path) + 1))
    steps = list(path.select("service", "operation", "target").iter_rows())
    assert len(set(steps)) == len(steps)
    assert steps[0][0] == "web", "who calls stands before whom it calls"


def test_waiting_is_the_mean_over_all_traces() -> None:
    cause = first(faulty(slow_work={"cart": 20.0}))
    assert cause["waited_before_ns"] == pytest.approx(3.5e6 * 0.5, rel=0.2)
    assert cause["waited_after_ns"] == pytest.approx(23.5e6 * 0.5, rel=0.4)


def test_it_reads_like_a_note() -> None:
    answer = found(faulty(slow_work={"cart": 20.0}))
    lines = str(answer).splitlines()
    assert re.match(r"What broke from \d{4}-\d\d-\d\d \d\d:12:00 to \d\d:13:5\d \(", lines[0])
    assert f"({answer.traces} traces, against {answer.base_traces} before):" in lines[0]
    assert lines[2].startswith("1. cart (slow work, since ")
    assert re.search(r"cart itself works 2\d.* ms on GET /cart instead of 3\.\d+ ms\.$", lines[2])
    assert lines[3].startswith("   Traces wait for it ")
    assert re.fullmatch(
        "   typical trace [0-9a-f]{32} → bad trace [0-9a-f]{32}, what they waited for, in order:", lines[4]
    )
    assert " → " in lines[5]
    assert repr(answer) == str(answer)


def test_beside_a_cause_only_those_are_hinted_at_who_moved_by_a_doubling() -> None:
    answer = found(faulty(skips={"pay": 0.9}))
    weak = answer.suspects.with_columns(named=pl.col("rank") == 1, explained_by=pl.lit(None, pl.String))
    weak = weak.head(2).with_columns(score=pl.Series([5.0, 0.5]))
    assert "worth a look" not in str(replace(answer, suspects=weak))
    assert "worth a look" in str(replace(answer, suspects=weak.with_columns(score=pl.lit(1.5))))
    assert "worth a look" in str(replace(answer, suspects=weak, causes=answer.causes.clear()))


def test_a_note_says_what_explains_whom() -> None:
    answer = found(faulty(slow_work={"bank": 50.0}))
    told = answer.suspects.head(1).with_columns(named=pl.lit(False), explained_by=pl.lit("bank"))
    kind = told["kind"][0]
    note = str(replace(answer, suspects=told))
    assert note.endswith(f"\nbank ({kind}) is explained by bank.")


def test_objects_have_the_steps_of_causes() -> None:
    answer = found(faulty(slow_work={"bank": 50.0}))
    first, *others = answer.objects()
    assert [step["bad_ns"] for step in first["path"]] == answer.paths["bad_ns"].to_list()
    assert all(each["path"] == [] for each in others)


def test_a_note_says_who_waits_only_where_somebody_does() -> None:
    answer = found(faulty(fails={"bank": 0.5}))
    cause = answer.causes.row(0, named=True)
    assert cause["waited_after_ns"] < 1.1 * cause["waited_before_ns"]
    assert "wait for it" not in str(answer)


def test_a_window_over_midnight_says_both_days() -> None:
    day = 24 * 60 * MINUTE
    answer = replace(found(HEALTHY), window=(0, 2 * day))
    assert len(re.findall(r"\d{4}-\d\d-\d\d", str(answer).splitlines()[0])) == 2


def test_columns_are_those_of_the_schema() -> None:
    for faults in (HEALTHY, faulty(slow_work={"cart": 20.0})):
        answer = found(faults)
        for frame in (answer.causes, answer.suspects):
            assert dict(frame.schema) == CAUSE_SCHEMA
        assert answer.suspects["rank"].to_list() == list(range(1, len(answer.suspects) + 1))
        assert answer.suspects.sort("named", "score", descending=True).equals(answer.suspects)


def test_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "columns.md").read_text()
    section = page.split("## `store.diagnose()`")[1].split("\n## ")[0]
    for column in (*CAUSE_SCHEMA, "typical_ns", "bad_ns"):
        assert f"`{column}`" in section, column


def test_a_window_beyond_the_data_says_what_is_stored() -> None:
    with pytest.raises(ValueError, match="no trace starts from .* the store holds"):
        diagnose(small_shop(), since_ns=99 * MINUTE, until_ns=100 * MINUTE)
    with pytest.raises(ValueError, match="no trace starts since .*: the store holds"):
        diagnose(small_shop(), since_ns=99 * MINUTE)


def test_a_window_without_a_before_needs_a_baseline() -> None:
    with pytest.raises(ValueError, match="nothing is stored before .* choose a later since"):
        diagnose(small_shop(), since_ns=0)


def test_a_baseline_that_overlaps_is_refused() -> None:
    with pytest.raises(ValueError, match="overlaps the window"):
        diagnose(small_shop(), since_ns=WINDOW[0], baseline=(10 * MINUTE, 13 * MINUTE))


def test_a_baseline_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="give since"):
        diagnose(small_shop(), baseline=(0, MINUTE))


def test_an_empty_store_says_so() -> None:
    with pytest.raises(ValueError, match="no spans yet"):
        diagnose(reader())


def test_a_baseline_far_away_is_as_good_as_one_beside() -> None:
    shop = small_shop(faults=faulty(slow_work={"cart": 20.0}))
    answer = diagnose(shop, since_ns=WINDOW[0], baseline=(0, 5 * MINUTE))
    assert answer.causes["service"].to_list() == ["cart"]
    assert answer.base_traces == 100
