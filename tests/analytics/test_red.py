"""Rate, errors and duration, by service and operation, whole and in steps."""

from __future__ import annotations

import polars as pl
import pytest

from memory_reader import reader, span
from tracescape_analytics.errors import UnknownServiceError
from tracescape_analytics.red import RED_SCHEMA, red

SECOND = 1_000_000_000


def calls(
    service: str, operation: str, start: int, durations: list[int], *, errors: int = 0
) -> list[dict[str, object]]:
    return [
        span(
            "A",
            trace=f"{service[0]}{operation[0]}{start % 997}.{i}",
            service=service,
            operation=operation,
            kind="server",
            start=start + i,
            end=start + i + duration,
            status="error" if i < errors else "ok",
        )
        for i, duration in enumerate(durations)
    ]


STORE = reader(
    *calls("cart", "get", 0, list(range(1, 81)), errors=4),
    *calls("cart", "put", 0, [7] * 20),
    *calls("shop", "get", 10 * SECOND, [5] * 10, errors=10),
)


def test_by_service() -> None:
    found = red(STORE, since_ns=0, until_ns=20 * SECOND)
    assert found.columns == [name for name in RED_SCHEMA if name != "operation"]
    columns = ["start_ns", "service", "calls", "errors", "error_rate", "rate_per_s", "p50_ns", "p95_ns"]
    # Of cart's hundred calls twenty took 7 ns, the others 1 to 80.
    assert found.select(columns).rows() == [
        (0, "cart", 100, 4, 0.04, 5.0, 30, 75),
        (0, "shop", 10, 10, 1.0, 0.5, 5, 5),
    ]
    assert found["failed_trace"].is_not_null().all()


def test_by_operation_and_step() -> None:
    found = red(STORE, since_ns=0, until_ns=20 * SECOND, by="operation", step_ns=10 * SECOND)
    assert found.select("start_ns", "service", "operation", "calls", "p99_ns").rows() == [
        (0, "cart", "get", 80, 80),
        (0, "cart", "put", 20, 7),
        (10 * SECOND, "shop", "get", 10, 5),
    ]
    assert dict(found.schema) == RED_SCHEMA


def test_steps_add_up_to_the_whole() -> None:
    whole = red(STORE, since_ns=0, until_ns=20 * SECOND)
    parts = red(STORE, since_ns=0, until_ns=20 * SECOND, step_ns=3 * SECOND)
    sums = parts.group_by("service").agg(pl.col("calls", "errors").sum()).sort("service")
    assert sums.equals(whole.select("service", "calls", "errors"))


def test_one_service() -> None:
    assert red(STORE, service="shop")["calls"].to_list() == [10]
    with pytest.raises(UnknownServiceError, match="cart"):
        red(STORE, service="carts")


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="neither of service, operation"):
        red(STORE, by="host")
    with pytest.raises(ValueError, match="no length"):
        red(STORE, since_ns=0, until_ns=9, step_ns=0)
    with pytest.raises(ValueError, match="longer"):
        red(STORE, since_ns=0, until_ns=10**9, step_ns=1)


def test_nothing() -> None:
    assert red(reader()).is_empty()
