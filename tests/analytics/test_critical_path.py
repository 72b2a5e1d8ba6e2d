from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span, trace_bytes
from tracescape_analytics.critical_path import GROUPINGS, critical_path
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
        "exemplar",
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
    assert found.columns == [
        "service",
        "critical_ns",
        "share",
        "traces",
        "spans",
        "mean_ns_per_trace",
        "exemplar",
    ]
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


def test_by_edge() -> None:
    found = critical_path(STORE, by="edge")
    assert found["source", "target", "critical_ns", "spans"].rows() == [
        (None, "web", 120, 2),
        ("web", "cart", 80, 2),
        (None, "admin", 70, 1),
        ("admin", "cart", 30, 1),
    ]


def test_an_edge_reaches_over_spans_of_the_same_service() -> None:
    store = reader(
        span("A", end=100),
        span("B", "A", service="cart", start=10, end=90),
        span("C", "B", service="cart", start=20, end=80),
        span("D", "C", service="db", start=30, end=70),
    )
    assert critical_path(store, by="edge")["source", "target", "critical_ns"].rows() == [
        ("app", "cart", 40),
        ("cart", "db", 40),
        (None, "app", 20),
    ]


def test_by_path() -> None:
    again = [span("C", "B", trace="1", service="web", operation="GET /", start=20, end=30)]
    found = critical_path(reader(*request("1", 0), *again, *request("2", 1000, cart=50)), by="path")
    assert found.drop("share", "mean_ns_per_trace", "exemplar").to_dict(as_series=False) == {
        "frame": [0, 1, 2],
        "parent": [None, 0, 1],
        "depth": [0, 1, 2],
        "service": ["web", "cart", "web"],
        "operation": ["GET /", "get", "GET /"],
        "critical_ns": [120, 70, 10],
        "total_ns": [200, 80, 10],
        "traces": [2, 2, 1],
        "spans": [2, 2, 1],
    }


def test_a_frame_is_as_wide_as_what_it_owns_and_what_stands_on_it() -> None:
    found = critical_path(STORE, by="path")
    above = found.group_by("parent").agg(pl.col("total_ns").sum()).rename({"total_ns": "above_ns"})
    checked = found.join(above, left_on="frame", right_on="parent", how="left").fill_null(0)
    assert (checked["total_ns"] == checked["critical_ns"] + checked["above_ns"]).all()
    assert found.filter(pl.col("parent").is_null())["total_ns"].sum() == 300
    assert found["frame"].to_list() == list(range(4))
    assert found["service"].to_list() == ["admin", "cart", "web", "cart"]  # siblings by name


def test_frames_do_not_depend_on_the_order_of_the_spans() -> None:
    rows = [*request("1", 0), *request("2", 1000, cart=50), *request("3", 2000, service="admin")]
    for by in GROUPINGS:
        assert critical_path(reader(*reversed(rows)), by=by).equals(critical_path(STORE, by=by))


def test_buckets_of_time() -> None:
    found = critical_path(STORE, by="service", step_ns=1500)
    assert found["start_ns", "service", "critical_ns"].rows() == [
        (0, "web", 120),
        (0, "cart", 80),
        (1500, "admin", 70),
        (1500, "cart", 30),
    ]
    assert found["share"].to_list() == pytest.approx([0.6, 0.4, 0.7, 0.3])
    assert found["mean_ns_per_trace"].to_list() == [60, 40, 70, 30]


def test_the_slowest_against_the_rest() -> None:
    slow = [
        span("A", trace="s", start=3000, end=3400),
        span("B", "A", trace="s", service="db", start=3100, end=3400),
    ]
    store = reader(*request("1", 0), *request("2", 1000), *slow)
    found = critical_path(store, by="service", slowest=0.01)
    assert found["cohort", "service", "critical_ns", "mean_ns_per_trace"].rows() == [
        ("slowest", "db", 300, 300),
        ("slowest", "app", 100, 100),
        ("rest", "web", 140, 70),
        ("rest", "cart", 60, 30),
    ]
    assert set(critical_path(store, slowest=0.4)["cohort"]) == {"slowest"}  # all others are equally long
    both = critical_path(store, by="path", slowest=0.01, step_ns=3000)
    assert both["start_ns", "cohort", "frame", "parent"].rows() == [
        (0, "rest", 2, None),
        (0, "rest", 3, 2),
        (3000, "slowest", 0, None),
        (3000, "slowest", 1, 0),
    ]


def test_exemplars_own_most() -> None:
    found = critical_path(STORE, by="service")
    exemplars = dict(found["service", "exemplar"].rows())
    ids = {name: trace_bytes(name).hex() for name in "123"}
    assert exemplars == {"web": ids["1"], "cart": ids["2"], "admin": ids["3"]}
    equal = critical_path(reader(*request("1", 0), *request("2", 1000)), by="service")
    assert set(equal["exemplar"]) == {ids["2"]}


@pytest.mark.parametrize(
    ("wrong", "what"), [({"step_ns": 0}, "no length"), ({"slowest": 1}, "share"), ({"slowest": 0.0}, "share")]
)
def test_wrong_buckets_and_shares(wrong: dict[str, float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        critical_path(STORE, **wrong)  # type: ignore[arg-type]


def test_wrong_names() -> None:
    with pytest.raises(ValueError, match="by='trace' is not .* choose service, operation, edge or path"):
        critical_path(STORE, by="trace")
    with pytest.raises(UnknownServiceError, match="Did you mean 'web'?"):
        critical_path(STORE, service="wbe")
    with pytest.raises(UnknownServiceError, match="no spans yet"):
        critical_path(reader(), service="web")


def test_empty() -> None:
    for by in GROUPINGS:
        for more in ({}, {"step_ns": 10}, {"slowest": 0.5}):
            found = critical_path(reader(), by=by, **more)  # type: ignore[arg-type]
            assert found.is_empty()
            assert found.schema == critical_path(STORE, by=by, **more).schema  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90)), min_size=1, max_size=8))
def test_shares_add_up(requests: list[tuple[int, int]]) -> None:
    rows = [row for i, (start, cart) in enumerate(requests) for row in request(str(i), start, cart=cart)]
    for by in GROUPINGS:
        found = critical_path(reader(*rows), by=by)
        assert found["critical_ns"].sum() == 100 * len(requests)
        assert found["share"].sum() == pytest.approx(1)
