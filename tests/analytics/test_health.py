from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span
from tracescape_analytics.baselines import just_before
from tracescape_analytics.health import with_states
from tracescape_analytics.services import services
from tracescape_analytics.significance import binomial_tail, discoveries, more_errors
from tracescape_analytics.topology import topology
from tracescape_analytics.windows import MINUTE_NS
from tracescape_native.buckets import RELATIVE_ERROR

BASE = [f"before_{name}" for name in ("calls", "errors", "p95", "slow", "expected")]
SCHEMA = dict.fromkeys(["calls", "errors", "p95", "timed", *BASE], pl.Int64)


def state(
    calls: int, errors: int = 0, p95: int = 100, base: tuple[int, int, int] | None = None, slow: int = 0
) -> str:
    before = base or (0, 0, None)
    row = (calls, errors, p95, calls, *before, slow, before[0])
    return with_states(pl.DataFrame([row], schema=SCHEMA, orient="row"))["state"].item()


@pytest.mark.parametrize(
    ("errors", "expected"),
    [(0, "healthy"), (10, "healthy"), (19, "healthy"), (20, "degraded"), (49, "degraded"), (50, "failing")],
)
def test_without_a_baseline_errors_beyond_chance_decide_alone(errors: int, expected: str) -> None:
    """Of 1,000 calls at a true rate of 1 %, up to 19 fail by chance."""
    assert state(1000, errors, p95=10**9, slow=1000) == expected


def test_one_failure_among_few_calls_is_no_incident() -> None:
    assert state(47, 1) == "healthy"
    assert state(47, 47) == "failing"


@pytest.mark.parametrize(("calls", "expected"), [(0, "idle"), (19, "idle"), (20, "failing")])
def test_fewer_than_twenty_calls_are_idle(calls: int, expected: str) -> None:
    assert state(calls, errors=calls) == expected


def test_an_error_rate_must_be_above_the_baseline_significantly() -> None:
    assert state(1000, 60, base=(1000, 60, 100)) == "healthy"
    assert state(1000, 60, base=(1000, 10, 100)) == "failing"
    assert state(1000, 30, base=(1000, 1, 100)) == "degraded"
    assert state(20, 1, base=(20, 0, 100)) == "healthy"  # one error may be chance


def test_latency_needs_both_a_factor_and_significance() -> None:
    assert state(100, p95=299, base=(100, 0, 100), slow=60) == "degraded"
    assert state(100, p95=300, base=(100, 0, 100), slow=60) == "failing"
    assert state(100, p95=149, base=(100, 0, 100), slow=60) == "healthy"
    assert state(100, p95=150, base=(100, 0, 100), slow=60) == "degraded"
    assert state(100, p95=900, base=(100, 0, 100), slow=6) == "healthy"


def test_a_baseline_of_few_calls_is_none() -> None:
    assert state(200, 8, p95=900, base=(19, 0, 100), slow=60) == "degraded", "by its errors, not its latency"
    assert state(200, 0, p95=900, base=(19, 0, 100), slow=60) == "healthy"


def test_absent_is_what_the_baseline_had_and_the_window_has_not() -> None:
    assert state(0, base=(20, 0, 100)) == "absent"
    assert state(0, base=(19, 0, 100)) == "idle"


def test_a_baseline_of_zero_length_spans() -> None:
    assert state(100, p95=50, base=(100, 0, 0), slow=100) == "failing"


def test_nothing_to_judge() -> None:
    assert with_states(pl.DataFrame(schema=SCHEMA))["state"].to_list() == []


def test_many_tests_share_one_false_discovery_rate() -> None:
    # p = 0.0037 for one of a kind; among a hundred that did not change, it is what chance would bring.
    suspicious = (100, 0, 200, 100, 100, 0, 100, 12, 100)
    steady = (100, 0, 100, 100, 100, 0, 100, 5, 100)
    alone = with_states(pl.DataFrame([suspicious], schema=SCHEMA, orient="row"))
    among = with_states(pl.DataFrame([suspicious, *[steady] * 99], schema=SCHEMA, orient="row"))
    assert alone["state"].to_list() == ["degraded"]
    assert set(among["state"]) == {"healthy"}


def series(window: int, calls: int, *, errors: int = 0, duration: int = 100) -> list[dict[str, object]]:
    start = window * 1_000_000
    return [
        span(
            "A",
            trace=f"{window}.{i}",
            service="shop",
            kind="server",
            start=start + i,
            end=start + i + duration,
            status="error" if i < errors else "ok",
        )
        for i in range(calls)
    ]


def test_calls_as_slow_as_the_baseline_are_not_slower() -> None:
    late = [{**row, "span_id": 7} for row in series(1, 6, duration=400)]
    store = reader(*series(0, 100), *series(1, 94), *late)
    found = topology(store, since_ns=1_000_000, until_ns=2_000_000)
    assert found.nodes["state"].to_list() == ["healthy"] * 2
    assert found.nodes["p95_ns"].to_list() == [pytest.approx(400, rel=RELATIVE_ERROR)] * 2


def test_the_default_baseline_is_the_same_time_just_before() -> None:
    store = reader(*series(0, 40), *series(1, 40, duration=400))
    found = topology(store, since_ns=1_000_000, until_ns=2_000_000)
    assert found.baseline == (0, 1_000_000)
    assert set(found.nodes["state"]) == {"failing"}
    assert set(found.edges["state"]) == {"failing"}


@given(st.integers(0, 10**18), st.integers(1, 10**13))
def test_what_is_just_before_a_window_is_no_shorter_and_in_whole_minutes_if_that_is_longer_than_one(
    since: int, length: int
) -> None:
    begin, end = just_before(since, since + length)
    assert begin is not None and end is not None
    assert 0 <= end - begin - length < MINUTE_NS
    if length <= MINUTE_NS:
        assert (begin, end) == (since - length, since)
    else:
        assert begin % MINUTE_NS == end % MINUTE_NS == 0
        assert 0 <= since - end < MINUTE_NS


def test_without_spans_before_there_is_no_baseline() -> None:
    store = reader(*series(1, 40, duration=400))
    found = topology(store, since_ns=1_000_000, until_ns=2_000_000)
    assert found.baseline is None
    assert set(found.nodes["state"]) == {"healthy"}
    far = reader(*series(0, 40), *series(7, 40))
    assert topology(far, since_ns=7_000_000, until_ns=8_000_000).baseline is None
    assert topology(far).baseline is None


def test_an_open_window_is_as_long_as_up_to_the_last_span() -> None:
    store = reader(*series(0, 40), *series(1, 40))  # the last span starts at 1_000_039
    assert topology(store, since_ns=500_030).baseline == (20, 500_030)
    assert topology(store, since_ns=600_000).baseline is None  # 199_960 to 600_000 holds no span


def test_absent_services_and_edges_are_rows_without_calls() -> None:
    store = reader(*series(0, 40))
    found = topology(store, since_ns=1_000_000, until_ns=2_000_000)
    assert found.nodes.rows() == [
        ("shop", "service", 0, 0, 0, None, None, None, "absent", None, None),
        ("user", "entry", 0, 0, 0, None, None, None, "absent", None, None),
    ]
    assert found.edges["calls", "state"].rows() == [(0, "absent")]


def test_what_was_hardly_there_is_not_missed() -> None:
    store = reader(*series(0, 19))
    assert topology(store, since_ns=1_000_000, until_ns=2_000_000).nodes.is_empty()


def test_services_have_rates() -> None:
    store = reader(*series(0, 40), *series(1, 30, errors=3))
    found = services(store, since_ns=1_000_000, until_ns=2_000_000)
    assert found.columns == [
        "service",
        "calls",
        "errors",
        "error_rate",
        "rate_per_s",
        "p50_ns",
        "p95_ns",
        "p99_ns",
        "state",
    ]
    row = found.row(0, named=True)
    assert (row["service"], row["calls"], row["errors"], row["error_rate"]) == ("shop", 30, 3, 0.1)
    assert row["rate_per_s"] == pytest.approx(30 / 0.001)
    absent = services(store, since_ns=2_000_000, until_ns=3_000_000)
    assert absent["error_rate", "rate_per_s", "state"].row(0) == (None, 0.0, "absent")
    assert services(reader(), since_ns=5, until_ns=5).is_empty()
    assert services(reader(span("A")), since_ns=0, until_ns=1, baseline=(0, 0))["calls"].to_list() == [1]


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.05, 0.5, 0.9]))
def test_binomial_tail_is_the_sum_of_its_terms(successes: int, trials: int, chance: float) -> None:
    terms = [
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(successes, trials + 1)
    ]
    assert binomial_tail(successes, trials, chance) == pytest.approx(math.fsum(terms), rel=1e-9, abs=1e-12)


def test_binomial_tail_of_very_many() -> None:
    assert binomial_tail(500_000, 10_000_000, 0.05) == pytest.approx(0.5, abs=1e-3)
    assert binomial_tail(600_000, 10_000_000, 0.05) == 0.0


def test_more_errors_is_the_textbook_z_test() -> None:
    # 30 of 100 against 15 of 100: pooled 0.225, z = 2.5400, one-sided p = 0.0055
    assert more_errors(30, 100, 15, 100) == pytest.approx(0.005543, abs=1e-6)
    assert more_errors(15, 100, 30, 100) == pytest.approx(1 - 0.005543, abs=1e-6)
    assert more_errors(0, 100, 0, 100) == more_errors(5, 5, 5, 5) == more_errors(1, 0, 0, 5) == 1.0


def test_discoveries_follow_benjamini_and_hochberg() -> None:
    # The example of their paper, section 3.2: at 5 % the four smallest of fifteen are significant.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p_values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert discoveries(np.array(p_values), 0.05).tolist() == [True] * 4 + [False] * 11
    assert discoveries(np.array(p_values[::-1]), 0.05).tolist() == [False] * 11 + [True] * 4
    # All up to the largest that passes, even where a smaller one fails its own line.
    assert discoveries(np.array([0.03, 0.045, 0.04]), 0.05).tolist() == [True] * 3
    assert discoveries(np.array([]), 0.05).tolist() == []
