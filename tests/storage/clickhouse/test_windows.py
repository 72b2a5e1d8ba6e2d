"""What is newest is looked for from the end on, in windows that miss nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_storage.clickhouse.windows import Window, from_the_end
from tracescape_storage.reader import Extent

DAY_NS = 86_400_000_000_000
NOW = 1_700_000_000_000_000_000


def never(window: Window) -> int | None:
    return None


@given(
    st.integers(1, 10**9),
    st.integers(0, 90 * DAY_NS),
    st.none() | st.integers(-DAY_NS, 91 * DAY_NS),
    st.none() | st.integers(-DAY_NS, 91 * DAY_NS),
    st.integers(1, 1000),
)
def test_the_windows_of_a_search_are_the_whole_window(
    spans: int, length: int, since: int | None, until: int | None, results: int
) -> None:
    whole = Window(None if since is None else NOW + since, None if until is None else NOW + until)
    found = list(from_the_end(whole, Extent(spans, NOW, NOW + length), results, never))
    assert (found[-1].since_ns, found[0].until_ns) == whole
    assert all(later.since_ns == earlier.until_ns for later, earlier in pairwise(found))
    assert all(each.since_ns is not None for each in found[:-1])


def test_a_thousand_million_spans_are_not_looked_at_for_twenty() -> None:
    windows = from_the_end(Window(None, None), Extent(10**9, NOW, NOW + 30 * DAY_NS), 20, never)
    begin = next(windows).since_ns
    assert begin is not None
    assert NOW + 30 * DAY_NS - begin <= 1_000_000_000
    assert len(list(windows)) < 15


def test_a_clock_that_is_wrong_by_years_does_not_make_the_windows_long() -> None:
    wrong, right = NOW + 70 * 365 * DAY_NS, NOW + DAY_NS

    def last_before(window: Window) -> int | None:
        assert window.since_ns is not None
        within = window.since_ns <= wrong and (window.until_ns is None or wrong < window.until_ns)
        return None if within or window.since_ns <= right else right

    windows = from_the_end(Window(None, None), Extent(10**9, NOW, wrong), 20, last_before)
    first, second, third = (next(windows) for _ in range(3))
    assert first.since_ns is not None
    assert first.since_ns <= wrong
    assert second.since_ns is not None
    assert third.since_ns is not None
    assert max(second.since_ns, third.since_ns) > NOW


def test_of_a_small_store_all_that_the_first_window_lacks_is_asked_at_once() -> None:
    extent = Extent(10**7, NOW, NOW + DAY_NS)

    def asked(window: Window) -> int | None:
        raise AssertionError("nothing more need be known")

    first, rest = from_the_end(Window(NOW + 5, None), extent, 20, asked)
    assert first.since_ns is not None
    assert NOW + DAY_NS - first.since_ns <= 10 * 1_000_000_000
    assert rest == (NOW + 5, first.since_ns)
    assert len(list(from_the_end(Window(None, None), Extent(10**7 + 1, *extent[1:]), 20, never))) > 2


@pytest.mark.parametrize("results", [1, 1000])
def test_an_empty_store_is_one_window(results: int) -> None:
    assert list(from_the_end(Window(None, None), Extent(0, 0, 0), results, never)) == [Window(None, None)]
