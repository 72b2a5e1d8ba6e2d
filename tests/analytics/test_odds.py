"""What of a share's shift is certain: no more than the test itself says, and never more by saying less."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import naive.odds
from tracescape_analytics.root_cause.odds import Tables, odds_shift

SIZES = st.integers(5, 400)


def shift(
    now: float, n: float, then: float, m: float, wide: float = 1.0, errors: float = 2.0
) -> tuple[float, float]:
    z, certain = shifts([now], n, then, m, wide, errors)
    return float(z[0]), float(certain[0])


def shifts(
    now: Sequence[float], n: float, then: float, m: float, wide: float = 1.0, errors: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """The same of each of ``now``, asked at once."""
    tables = Tables(*(np.full(len(now), each, np.float64) for each in (now, n, then, m)))
    return odds_shift(tables, np.full(len(now), wide), errors)


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int, int]:
    n, m = draw(SIZES), draw(SIZES)
    return draw(st.integers(0, n)), n, draw(st.integers(0, m)), m


def test_four_errors_where_there_were_none_are_no_miracle() -> None:
    z, certain = shift(4, 153, 0, 583)
    assert z == pytest.approx(naive.odds.score(4, 153, 0, 583)), "the likelihood ratio would say 3.56"
    assert z == pytest.approx(3.12, abs=0.01)
    assert certain == pytest.approx(1.73, abs=0.01), "an estimate of 11 bits says nothing"


@given(st.integers(4, 8), st.integers(0, 2), st.integers(10, 40), st.integers(200, 400))
def test_where_few_are_seen_it_is_the_exact_test(now: int, then: int, n: int, m: int) -> None:
    z, certain = shift(now, n, then, m)
    assume(z > 2)
    assert z == pytest.approx(naive.odds.score(now, n, then, m), abs=1e-6)
    assert certain == pytest.approx(naive.odds.certain(now, n, then, m, 2.0), abs=0.011)


@given(tables())
def test_certain_is_less_than_what_was_seen_and_only_where_the_test_rejects(
    table: tuple[int, int, int, int],
) -> None:
    now, n, then, m = table
    z, certain = shift(*table)
    assert (certain > 0) == (abs(z) > 2)
    assert z * (now * m - then * n) >= 0, "it has the sign of the shift"
    if 0 < now < n and 0 < then < m:
        seen = np.log2(now / (n - now) * (m - then) / then)
        assert certain <= abs(seen) + 1e-6


@given(tables())
def test_nothing_depends_on_which_side_is_which(table: tuple[int, int, int, int]) -> None:
    now, n, then, m = table
    z, certain = shift(*table)
    swapped = shift(then, m, now, n)
    lacking = shift(n - now, n, m - then, m)
    for other in (swapped, lacking):
        assert other == (pytest.approx(-z, abs=1e-5), pytest.approx(certain, abs=1e-4))


@given(st.integers(60, 300), st.integers(10, 40), st.integers(2, 6))
def test_the_same_shares_of_more_are_surer(n: int, then: int, times: int) -> None:
    small, large = shift(n // 2, n, then, n), shift(n // 2 * times, n * times, then * times, n * times)
    assert abs(large[0]) >= abs(small[0])
    assert large[1] >= small[1] - 1e-6


@given(SIZES, SIZES, st.integers(0, 50))
def test_the_more_fail_the_more_is_certain(n: int, m: int, then: int) -> None:
    # The exact test of one table may be a little surer than the ratio of the next.
    then = min(then, m)
    _, certain = shifts(range(n * then // m + 1, n + 1), n, then, m)
    assert (np.diff(certain) >= -0.35).all()


@given(tables(), st.floats(1.0, 20.0))
@example((0, 5, 3, 5), 1.5)  # one of both was exact, and surer of less
def test_what_varies_anyway_is_less_sure(table: tuple[int, int, int, int], wide: float) -> None:
    z, certain = shift(*table)
    wider = shift(*table, wide=wide)
    assert abs(wider[0]) <= abs(z) + 1e-9
    assert wider[1] <= certain + 1e-6


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("errors", [2.0, 3.0])
def test_of_shares_that_did_not_move_few_seem_to_have_risen(share: float, errors: float) -> None:
    # Every table is listed with its probability; a normal deviate exceeds 2 in 2.3 %, 3 in .13 %.
    n, m = 100, 400
    chance = [
        [comb(size, k) * share**k * (1 - share) ** (size - k) for k in range(size + 1)] for size in (n, m)
    ]
    now, then = (each.ravel().astype(np.float64) for each in np.mgrid[0 : n + 1, 0 : m + 1])
    weight = np.outer(*chance).ravel()
    likely = weight > 1e-9
    now, then, weight = now[likely], then[likely], weight[likely]
    sized = Tables(now, np.full(len(now), float(n)), then, np.full(len(now), float(m)))
    z, certain = odds_shift(sized, np.ones(len(now)), errors)
    nominal = {2.0: 0.02275, 3.0: 0.00135}[errors]
    assert weight[(z > errors) & (certain > 0)].sum() <= 1.6 * nominal


def test_parts_of_traces_count_against_the_finding() -> None:
    assert shift(3.5, 100, 0, 400) == shift(3, 100, 0, 400)
    assert shift(4, 100, 0.5, 400) == shift(4, 100, 1, 400)
    assert shift(0.5, 100, 0, 400) == (pytest.approx(0.0, abs=2.0), 0.0)


def test_all_against_none_is_certain_and_finite() -> None:
    for table in ((20, 20, 0, 500), (0, 20, 500, 500), (5000, 5000, 0, 90_000)):
        z, certain = shift(*table)
        assert 5 < abs(z) < 60_000
        assert 3 < certain < 60


def test_nothing_and_everything_on_both_sides_is_no_shift() -> None:
    for table in ((0, 50, 0, 50), (50, 50, 50, 50), (10, 50, 10, 50)):
        assert shift(*table) == (pytest.approx(0.0, abs=1e-6), 0.0)
