"""The harness that scores root causes is itself right: on cases made by hand, without any data set."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.small_shop import faulty, small_shop

HARNESS = Path(__file__).parents[2] / "benches" / "root_cause"
MINUTE = 60_000_000_000


@pytest.fixture(scope="module")
def harness() -> Iterator[dict[str, ModuleType]]:
    names = ("cases", "scoring", "naive", "datasets", "shop_cases", "missing")
    sys.path.insert(0, str(HARNESS))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(HARNESS))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture
def scoring(harness: dict[str, ModuleType]) -> ModuleType:
    return harness["scoring"]


@pytest.fixture
def cases(harness: dict[str, ModuleType]) -> ModuleType:
    return harness["cases"]


def fault(service: str, since: int, until: int) -> dict[str, object]:
    return {"service": service, "fault": "delay", "start_ns": since * MINUTE, "end_ns": until * MINUTE}


def test_ties_take_the_worst_rank(scoring: ModuleType) -> None:
    assert scoring.rank_of({"cart"}, {"cart": 1.0, "web": 1.0, "pay": 1.0, "mail": 0.5}) == 3
    assert scoring.rank_of({"mail"}, {"cart": 1.0, "web": 1.0, "mail": 0.5}) == 3


def test_who_is_not_named_is_missed(scoring: ModuleType) -> None:
    assert scoring.rank_of({"cart"}, {}) is None
    assert scoring.rank_of({"cart"}, {"web": 3.0, "cart": math.nan}) is None


def test_of_several_true_services_the_first_hit_counts(scoring: ModuleType) -> None:
    assert scoring.rank_of({"cart", "pay"}, {"web": 3.0, "pay": 2.0, "cart": 1.0}) == 2


def test_a_service_that_only_its_callers_know_counts_under_its_rpc_name(scoring: ModuleType) -> None:
    assert scoring.rank_of({"currencyservice"}, {"hipstershop.CurrencyService": 2.0, "web": 1.0}) == 1


def test_who_is_proved_stands_before_who_is_not(scoring: ModuleType) -> None:
    answer = scoring.proved_first([("web", 3.0, False), ("cart", 1.0, True), ("pay", 2.0, True)])
    assert [scoring.rank_of({name}, answer) for name in ("pay", "cart", "web")] == [1, 2, 3]
    assert scoring.proved_first([]) == {}


def test_misses_count_against_every_share(scoring: ModuleType) -> None:
    ranks = [1, 3, None, 6]
    assert [scoring.accuracy(ranks, k) for k in (1, 3, 5)] == [0.25, 0.5, 0.5]
    assert scoring.average(ranks) == pytest.approx((0.25 + 0.25 + 0.5 + 0.5 + 0.5) / 5)
    low, high = scoring.interval(ranks)
    assert low <= scoring.average(ranks) <= high


def test_a_baseline_leaves_out_all_faults_and_five_minutes_after_each(cases: ModuleType) -> None:
    faults = [fault("cart", 10, 12), fault("pay", 14, 16)]
    first, second = cases.fault_cases(faults, (0, 40 * MINUTE))
    assert first.window == (10 * MINUTE, 12 * MINUTE)
    assert first.baseline == second.baseline == ((0, 10 * MINUTE), (21 * MINUTE, 40 * MINUTE))
    assert (first.truth, first.fault) == ({"cart"}, "delay")


def test_quiet_windows_lie_outside_of_faults_and_are_not_in_their_own_baseline(cases: ModuleType) -> None:
    quiet = cases.quiet_time([fault("cart", 10, 12)], (0, 30 * MINUTE))
    windows = cases.quiet_cases(quiet, 2 * MINUTE)
    assert [case.window[0] // MINUTE for case in windows] == [0, 2, 4, 6, 8, 17, 19, 21, 23, 25, 27]
    for case in windows:
        assert not case.truth
        assert sum(until - since for since, until in case.baseline) == (23 - 2) * MINUTE
        assert all(until <= case.window[0] or since >= case.window[1] for since, until in case.baseline)


def test_what_methods_get_has_no_label(harness: dict[str, ModuleType], tmp_path: Path) -> None:
    import json

    import polars as pl

    spans = pl.DataFrame(
        {
            "trace_id": [f"{i:032x}" for i in range(30)],
            "span_id": [f"{i + 1:016x}" for i in range(30)],
            "parent_span_id": [""] * 30,
            "service": ["cart", "web"] * 15,
            "operation": ["get"] * 30,
            "start_ns": [i * MINUTE for i in range(30)],
            "duration_ns": [5] * 30,
        }
    )
    spans.write_parquet(tmp_path / "shop.parquet")
    (tmp_path / "shop.faults.json").write_text(json.dumps([fault("cart", 10, 12), fault("web", 50, 52)]))
    (labelled,) = harness["datasets"].load(tmp_path)
    assert labelled.skipped == ["web delay @3000"]
    ((case, window, baseline, _),) = labelled.asked(labelled.cases)
    assert case.truth == {"cart"}
    assert window["start_ns"].to_pylist() == [10 * MINUTE, 11 * MINUTE]
    assert baseline["start_ns"].to_pylist() == [i * MINUTE for i in range(30) if i < 10 or i >= 17]
    assert set(window.column_names) == {
        *("trace_id", "span_id", "parent_span_id", "start_ns", "duration_ns", "service", "operation"),
        *("kind", "status", "resource_id"),
    }


def test_invocations_become_trees_by_who_called_whom_and_how_long_it_took(
    harness: dict[str, ModuleType], tmp_path: Path
) -> None:
    import json

    import polars as pl

    rows = [("edge", "web", 900.0), ("web", "web", 800.0), ("web", "cart", 500.0), ("cart", "cart", 300.0)]
    frame = pl.DataFrame(
        {
            "trace_id": ["a" * 32] * 4,
            "source": [row[0] for row in rows],
            "target": [row[1] for row in rows],
            "latency_us": [row[2] for row in rows],
            "http_status": [200.0, 200.0, 503.0, 503.0],
            "start_us": [1e15 + i for i in range(4)],
        }
    )
    frame.with_columns(case_id=pl.lit("one")).write_parquet(tmp_path / "tt-dev.parquet")
    frame.write_parquet(tmp_path / "tt-normal.parquet")
    (tmp_path / "tt-dev.faults.json").write_text(
        json.dumps({"one": {"fault": "abort", "services": ["cart"]}})
    )
    (labelled,) = harness["datasets"].load(tmp_path)
    ((case, window, _, _),) = labelled.asked(labelled.cases)
    assert case.truth == {"cart"}
    spans = {row["span_id"]: row for row in window.to_pylist()}
    chain = []
    span = next(row for row in spans.values() if row["service"] == "cart")
    while span is not None:
        chain.append((span["service"], span["kind"], span["status"]))
        span = spans.get(span["parent_span_id"])
    assert chain == [("cart", 2, 2), ("web", 3, 2), ("web", 2, 0), ("edge", 3, 0)]


def test_the_shop_is_a_labelled_set_whose_cases_differ_by_seed_and_place(
    harness: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = harness["shop_cases"]
    monkeypatch.setattr(module, "BEFORE_S", 12.0)
    monkeypatch.setattr(module, "LASTS_S", 3.0)
    labelled = module.shop(1, 2)
    assert len(labelled.cases) == 9
    assert len({case.fault for case in labelled.cases}) == 9
    assert all(case.truth for case in labelled.cases)
    assert [case.truth for case in labelled.quiet] == [frozenset()] * 2
    sizes = set()
    for case, window, baseline, _ in labelled.asked([*labelled.cases, *labelled.quiet]):
        starts = window["start_ns"].to_numpy()
        assert starts.min() >= case.window[0]
        assert baseline["start_ns"].to_numpy().min() >= case.baseline[0][0]
        assert window.num_rows < baseline.num_rows
        assert window["db_system"].null_count < window.num_rows
        sizes.add(baseline.num_rows)
    assert len(sizes) > 9
    places = [fault.where for fault in module.shop_faults(8) if fault.kind == "cpu"]
    assert len(set(places)) == 8


def test_what_is_missing_is_told_case_by_case_and_what_is_visible_by_plain_means(
    harness: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    table = small_shop(faults=faulty(slow_work={"cart": 20.0})).table
    firsts = table.group_by("trace_id").aggregate([("start_ns", "min")])
    firsts = firsts.rename_columns({"start_ns_min": "trace_start_ns"})
    spans = table.join(firsts, "trace_id").sort_by([("trace_start_ns", "ascending")])
    window, before = (12 * MINUTE, 14 * MINUTE), ((0, 12 * MINUTE),)
    case = harness["cases"].Case
    labelled = harness["datasets"].Labelled(
        "shop",
        spans,
        [
            case("a", window, before, frozenset({"pay"}), "return"),
            case("b", window, before, frozenset({"cart"})),
        ],
        [case(f"calm {i}", (i * MINUTE, (i + 2) * MINUTE), ((0, 12 * MINUTE),)) for i in (2, 4, 6)]
        + [case("loud", window, before)],
        [],
    )
    looked = harness["missing"].Looked(labelled)
    looked.at_cases()
    said = capsys.readouterr().out
    assert "a: rank None, nothing significant" in said
    assert "pay: " in said
    assert "first is cart: time of cart GET /cart" in said
    assert "1 of 2 are first. Of the 1 others, 1 show nothing significant" in said
    assert "Avg@5 is 0.500; it were 0.500" in said
    looked.at_quiet()
    said = capsys.readouterr().out
    assert "1 of 4 quiet windows" in said
    assert "in 3 windows in which nobody is named" in said
    assert "in 1 of 1, what is named is a change that is visible without a model" in said
