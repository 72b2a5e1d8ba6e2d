from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span
from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.errors import UnknownServiceError


def request(trace: str, start: int, *, service: str = "web", cart: int = 30) -> list[dict[str, object]]:
    """100 ns in all, ``cart`` of them in cart."""
    return [
        span("A", trace=trace, service=service, operation="GET /", start=start, end=start + 100),
        span("B", "A", trace=trace, service="cart", operation="get", start=start + 10, end=start + 10 + cart),
    ]


STORE = reader(*request("1", 0), *request("2", 1000, cart=50), *request("3", 2000, service="admin"))


def test_by_operation() -> None:
    found = critical_path(STORE)
    assert found.columns == [
        "service",
        "operation",
        "critical_ns",
        "share",
        "traces",
        "spans",
        "mean_ns_per_trace",
    ]
    assert found["service", "operation", "critical_ns", "traces", "spans"].rows() == [
        ("web", "GET /", 120, 2, 2),
        ("cart", "get", 110, 3, 3),
        ("admin", "GET /", 70, 1, 1),
    ]
    assert found["share"].to_list() == pytest.approx([0.4, 110 / 300, 70 / 300])
    assert found["mean_ns_per_trace"].sum() == pytest.approx(100)


def test_by_service() -> None:
    found = critical_path(STORE, by="service")
    assert found.columns == ["service", "critical_ns", "share", "traces", "spans", "mean_ns_per_trace"]
    assert found["service"].to_list() == ["web", "cart", "admin"]


def test_of_one_service_are_the_traces_that_begin_there() -> None:
    found = critical_path(STORE, service="admin", by="service")
    assert found["service", "critical_ns"].rows() == [("admin", 70), ("cart", 30)]
    assert critical_path(STORE, service="cart").is_empty()  # known, but no trace begins there


def test_traces_count_by_the_start_of_their_main_root() -> None:
    found = critical_path(STORE, since_ns=1000, until_ns=1001)
    assert found["critical_ns"].to_list() == [50, 50]
    assert critical_path(STORE, since_ns=1001, until_ns=2000).is_empty()


def test_paths_of_orphans_do_not_count_time_twice() -> None:
    orphan = span("O", "lost", trace="1", service="db", start=20, end=90)
    assert critical_path(reader(*request("1", 0), orphan))["critical_ns"].sum() == 100


def test_tolerance_is_handed_on() -> None:
    store = reader(
        span("A", end=1000),
        span("B", "A", service="b", start=500, end=900),
        span("C", "A", service="c", end=505),
    )
    assert "c" in critical_path(store)["service"]
    assert "c" not in critical_path(store, tolerance=0)["service"]


def test_wrong_names() -> None:
    with pytest.raises(ValueError, match="by='trace' is not .* choose service or operation"):
        critical_path(STORE, by="trace")
    with pytest.raises(UnknownServiceError, match="Did you mean 'web'?"):
        critical_path(STORE, service="wbe")
    with pytest.raises(UnknownServiceError, match="no spans yet"):
        critical_path(reader(), service="web")


def test_empty() -> None:
    found = critical_path(reader())
    assert found.is_empty()
    assert found.schema["service"] == pl.String


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90)), min_size=1, max_size=8))
def test_shares_add_up(requests: list[tuple[int, int]]) -> None:
    rows = [row for i, (start, cart) in enumerate(requests) for row in request(str(i), start, cart=cart)]
    for by in ("service", "operation"):
        found = critical_path(reader(*rows), by=by)
        assert found["critical_ns"].sum() == 100 * len(requests)
        assert found["share"].sum() == pytest.approx(1)
