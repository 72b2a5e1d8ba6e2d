from __future__ import annotations

import pytest

from memory_reader import MemoryReader, reader, span, span_table, trace_bytes
from tracescape_analytics.findings import Findings, findings, growth_of
from tracescape_analytics.warm_up import warm_up


def request(trace: str, start: int, *, own: int = 50, database: int = 20) -> list[dict[str, object]]:
    total = own + database
    return [
        span(
            "A", trace=trace, service="shop", operation="buy", kind="server", start=start, end=start + total
        ),
        span(
            "B",
            "A",
            trace=trace,
            service="shop",
            operation="select",
            kind="client",
            start=start + 5,
            end=start + 5 + database,
            db_system="postgresql",
            db_namespace="orders",
        ),
    ]


def store(*after: dict[str, int]) -> MemoryReader:
    before = [row for i in range(4) for row in request(f"b{i}", i)]
    later = [row for i, change in enumerate(after) for row in request(f"a{i}", 1000 + i, **change)]
    return reader(*before, *later)


def found(*after: dict[str, int]) -> Findings:
    return findings(store(*after), since_ns=1000, until_ns=2000, baseline=(0, 1000))


def test_a_slow_database_is_named_with_its_caller() -> None:
    growth = found({"database": 120}, {"database": 80}).growth
    assert growth is not None
    assert (growth.service, growth.operation, growth.target) == ("shop", "select", "postgresql orders")
    assert (growth.before_ns, growth.after_ns) == (20, 100)
    assert str(growth) == (
        "Requests wait for shop → postgresql orders (select) 100 ns on average, up from 20 ns."
    )


def test_slow_work_of_its_own_has_no_target() -> None:
    growth = found({"own": 90}).growth
    assert growth is not None
    assert (growth.operation, growth.target, growth.before_ns, growth.after_ns) == ("buy", None, 50, 90)
    assert str(growth).startswith("Requests wait for shop (buy) 90 ns")


def test_work_that_is_new() -> None:
    rows = [*request("a", 0), *request("b", 1000), span("N", "A", trace="b", start=1040, end=1060)]
    growth = growth_of(span_table(rows), window=(1000, 2000), baseline=(0, 1000))
    assert growth is not None
    assert (growth.service, growth.before_ns, growth.after_ns) == ("app", 0, 20)


@pytest.mark.parametrize(("own", "grown"), [(20, False), (50, False), (74, False), (75, True)])
def test_growth_is_by_half_at_least(own: int, grown: bool) -> None:
    assert (found({"own": own}).growth is not None) == grown


def test_paths_of_orphans_do_not_count_time_twice() -> None:
    orphan = span("O", "lost", trace="b", service="late", start=1010, end=1060)
    rows = [*request("a", 0), *request("b", 1000), orphan]
    assert growth_of(span_table(rows), window=(1000, 2000), baseline=(0, 1000)) is None


def test_growth_must_matter_to_the_whole() -> None:
    few = [*request("a", 0, own=1000, database=10), *request("b", 5000, own=1000, database=60)]
    assert growth_of(span_table(few), window=(5000, 6000), baseline=(0, 1000)) is None
    enough = [*request("a", 0, own=1000, database=10), *request("b", 5000, own=1000, database=70)]
    assert growth_of(span_table(enough), window=(5000, 6000), baseline=(0, 1000)) is not None


def test_the_slowest_trace_and_what_it_waited_for() -> None:
    slowest = found({}, {"database": 500}, {}).slowest
    assert slowest is not None
    assert slowest.trace_id == trace_bytes("a1").hex()
    assert slowest.root.duration_ns == slowest.critical_path["duration_ns"].sum() == 550
    assert str(slowest).endswith("shop buy took 550 ns, mostly in shop select.")


def test_nothing_to_compare_and_nothing_at_all() -> None:
    alone = findings(store(), since_ns=0, until_ns=1000)
    assert alone.growth is None
    assert alone.traces == 4
    empty = findings(reader(), since_ns=0, until_ns=1000, baseline=(0, 0))
    assert empty == Findings(None, None, 0)
    assert str(empty) == "Nothing stands out in 0 traces."


def test_an_open_window_ends_with_the_last_span() -> None:
    later = findings(store({"database": 120}), since_ns=1000, baseline=(0, 1000))
    assert later.growth is not None
    assert len(str(later).splitlines()) == 2


def test_warm_up_runs_every_kernel() -> None:
    warm_up()
