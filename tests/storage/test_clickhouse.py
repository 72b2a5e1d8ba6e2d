"""What a DuckDB file answers, the same rows in ClickHouse's tables answer alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from support import clickhouse
from support.shop_store import MINUTE_NS
from tracescape.store import Store, Topology, connect
from tracescape_storage.clickhouse import windows
from tracescape_storage.clickhouse.connection import Limits
from tracescape_storage.clickhouse.reader import ClickHouseReader
from tracescape_storage.errors import StoreError

BEGIN = 1_700_000_040_000_000_000
WHOLE = (BEGIN, BEGIN + 8 * MINUTE_NS)
BROKEN = (BEGIN + 5 * MINUTE_NS, BEGIN + 7 * MINUTE_NS)
HEALTHY = (BEGIN, BEGIN + 5 * MINUTE_NS)


class Both(NamedTuple):
    file: Store
    clickhouse: Store

    def alike(self, ask: Callable[[Store], pl.DataFrame], *, some: bool = True) -> pl.DataFrame:
        """Ask both, and return what both say."""
        expected, found = (pl.DataFrame(ask(store)) for store in self)
        assert_frame_equal(found, expected)
        assert not some or expected.height
        return expected


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with (
        clickhouse.shop_in_both(tmp_path_factory.mktemp("both"), BEGIN) as (file, address, _),
        connect(address) as store,
    ):
        yield Both(file, store)


def test_the_extent(both: Both) -> None:
    assert both.clickhouse.extent() == both.file.extent()


def test_the_topology_and_what_is_calculated_from_it(both: Both) -> None:
    for (since, until), baseline in ((WHOLE, None), (BROKEN, HEALTHY)):

        def topology(store: Store, asked: tuple[Any, ...] = (since, until, baseline)) -> Topology:
            return store.topology(*asked)

        both.alike(lambda store, ask=topology: ask(store).nodes)  # type: ignore[misc]  # mypy knows no lambda with a default
        both.alike(lambda store, ask=topology: ask(store).edges)  # type: ignore[misc]  # mypy knows no lambda with a default
    since, until = WHOLE
    both.alike(lambda store: store.services(since, until))
    both.alike(lambda store: store.health(BROKEN[0], BROKEN[1], baseline=BEGIN))
    both.alike(lambda store: store.red(since=since, until=until, by="operation", step="1m"))
    both.alike(lambda store: store.call_paths(since, until))
    both.alike(lambda store: store.absence(BROKEN[0], BROKEN[1]), some=False)


@pytest.mark.parametrize("by", ["operation", "service", "edge", "path"])
def test_the_critical_path(both: Both, by: str) -> None:
    both.alike(lambda store: store.critical_path(since=WHOLE[0], until=WHOLE[1], by=by))


def test_the_diagnosis(both: Both) -> None:
    first, second = (store.diagnose(*BROKEN, baseline=HEALTHY) for store in both)
    assert str(second) == str(first)
    assert "inventory-db" in str(second)


@pytest.mark.parametrize(
    "where",
    [
        "",
        'service = "checkout" and kind = server',
        "duration > 50ms",
        "http.response.status_code = 200",
        'http.request.method = "POST" or db.system.name exists',
        "not (status = error)",
        'operation matches "^(GET|POST) "',
    ],
)
@pytest.mark.parametrize("order", ["newest", "slowest"])
def test_searches_page_by_page(both: Both, where: str, order: str) -> None:
    for spans in (True, False):
        pages: list[pl.DataFrame] = []
        for store in both:
            after, rows = None, []
            for _ in range(3):
                page = store.search(where, order=order, limit=7, spans=spans, after=after)  # type: ignore[arg-type]  # a word of the parameters
                rows.append(pl.DataFrame(page.rows.select(pl.exclude("attributes"))))
                after = page.after
                if after is None:
                    break
            pages.append(pl.concat(rows))
        assert_frame_equal(pages[1], pages[0])


@pytest.mark.parametrize("where", ["", 'service = "inventory"', "status = error"])
@pytest.mark.parametrize("spans", [True, False])
@pytest.mark.parametrize("at_once", [0, 10**9], ids=["many windows", "two windows"])
def test_page_by_page_to_the_end_nothing_is_missed_and_nothing_comes_twice(
    both: Both, where: str, spans: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_ROWS_A_RESULT", 1)  # the first windows are too short for a page
    monkeypatch.setattr(windows, "_AT_ONCE", at_once)
    found = pl.concat(_pages(both.clickhouse, where, spans))
    assert_frame_equal(found, pl.concat(_pages(both.file, where, spans)))
    assert found.unique(["trace_id", "span_id"] if spans else ["trace_id"]).height == found.height


def _pages(store: Store, where: str, spans: bool) -> list[pl.DataFrame]:
    pages, after = [], None
    while True:
        page = store.search(where, limit=90 if where else 700, spans=spans, after=after)
        pages.append(pl.DataFrame(page.rows.select(pl.exclude("attributes"))))
        after = page.after
        if after is None:
            return pages


def test_what_is_held_is_told_by_the_parts_of_the_table_and_not_by_its_rows(both: Both) -> None:
    reader = both.clickhouse.reader
    plan = reader._connection._client.query(f"EXPLAIN {reader._extent_sql}").result_rows  # type: ignore[attr-defined]  # the reader's own
    assert any("_minmax_count_projection" in row[0] for row in plan)


def test_durations_over_time(both: Both) -> None:
    both.alike(lambda store: store.latency("kind = server", since=WHOLE[0], until=WHOLE[1], step="1m"))


def test_one_trace_and_its_critical_path(both: Both) -> None:
    trace_id = both.file.search(order="slowest", limit=1).rows["trace_id"].item()
    both.alike(lambda store: store.trace(trace_id).critical_path())
    both.alike(lambda store: store.trace(trace_id).waterfall())


def test_questions_in_sql(both: Both) -> None:
    for query in (
        "SELECT service, count(*) AS n, max(duration_ns) AS longest FROM spans_v GROUP BY ALL ORDER BY ALL",
        "SELECT s.service, e.name, count(*) AS n FROM spans s JOIN events e USING (trace_id, span_id)"
        " GROUP BY ALL ORDER BY ALL",
        'SELECT "http.request.method", kind, count(*) AS n FROM spans_v WHERE start_ns >= 1700000100000000000'
        " AND service IN ('checkout', 'cart') GROUP BY ALL ORDER BY ALL",
        "WITH slow AS (SELECT trace_id FROM spans WHERE duration_ns > 100000000 AND status <> 2)"
        " SELECT service, count(*) AS n FROM spans WHERE trace_id IN (SELECT trace_id FROM slow)"
        " GROUP BY ALL ORDER BY ALL",
        "SELECT DISTINCT operation FROM spans WHERE service = 'cart' OR kind IN (3, 4) ORDER BY 1",
        "SELECT service, operation, start_ns FROM spans WHERE NOT (kind = 2) AND duration_ns BETWEEN 1 AND"
        " 90000000 ORDER BY start_ns DESC, span_id LIMIT 9",
        "SELECT service, environment, version FROM resources WHERE service <> 'tracescape' ORDER BY ALL",
    ):
        both.alike(lambda store, query=query: store.sql(query))  # type: ignore[misc]  # mypy knows no lambda with a default


def test_any_attribute_is_a_column_of_texts(both: Both) -> None:
    query = (
        'SELECT "http.route" AS route, count(*) AS n FROM spans_v WHERE "http.route" IS NOT NULL GROUP BY 1'
    )
    found = both.clickhouse.sql(query)
    assert found["n"].sum() == both.file.spans("span.http.route exists").height
    assert found.schema["route"] == pl.String


def test_an_environment_is_asked_of_each_row(both: Both) -> None:
    (environment,) = set(both.file.sql("SELECT DISTINCT environment FROM resources")["environment"])
    for wanted in ("production", environment):
        answers = []
        for store in both:
            try:
                answers.append(str(store.services(*WHOLE, environment=wanted)))
            except StoreError as error:
                answers.append(str(error))
        assert answers[0] == answers[1]
    until = WHOLE[1]
    for inner in (
        f"environment = '{environment}'",
        "environment IS NULL",
        "version = '1.0'",
        "service = 'cart'",
    ):
        for word in ("IN", "NOT IN"):
            query = (
                f"SELECT count(*) AS n FROM spans WHERE resource_id {word}"
                f" (SELECT resource_id FROM resources WHERE {inner}) AND start_ns < {until}"
            )
            both.alike(lambda store, query=query: store.sql(query))  # type: ignore[misc]  # mypy knows no lambda with a default


def test_events_of_a_time(both: Both) -> None:
    for condition in (
        f"time_ns >= {BROKEN[0]} AND time_ns < {BROKEN[1]}",
        f"NOT (time_ns >= {BROKEN[0]})",
        f"time_ns <= {HEALTHY[1]}",
        f"time_ns <> {BEGIN}",
    ):
        query = (
            f"SELECT name, count(*) AS n, min(time_ns) AS first FROM events WHERE {condition}"
            " GROUP BY ALL ORDER BY ALL"
        )
        both.alike(lambda store, query=query: store.sql(query))  # type: ignore[misc]  # mypy knows no lambda with a default


def test_no_copy_is_made_of_rows_that_do_not_tell_when_they_arrived(both: Both, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="tracescape export --parquet"):
        both.clickhouse.backup(tmp_path / "copy.db")
    assert not list(tmp_path.iterdir())


def test_more_rows_than_may_travel(both: Both) -> None:
    reader = ClickHouseReader(both.clickhouse.reader._connection.address, Limits(rows=100))  # type: ignore[attr-defined]  # the reader's own
    with Store(reader) as store:
        for query in ("SELECT service, count(*) FROM spans_v GROUP BY 1", "SELECT sum(start_ns) FROM spans"):
            with pytest.raises(StoreError, match=r"more than 100 rows .* FROM otel_traces\."):
                store.sql(query)
        with pytest.raises(StoreError, match="more than 100 spans or links. Ask about a shorter"):
            store.topology(*WHOLE)


ATOMS = (
    *("service = 'checkout'", "service IN ('cart', 'payment', 'nobody')", "operation <> 'POST /checkout'"),
    *("kind = 3", "kind <> 2", "kind IN (2, 5)", "kind = 0", "status = 2", "status <> 2", "status = 0"),
    *("duration_ns > 20000000", "15000000 >= duration_ns", "duration_ns BETWEEN 1000000 AND 9000000"),
    *(f"start_ns >= {BROKEN[0]}", f"start_ns < {HEALTHY[1]} AND start_ns <> {BEGIN}", "parent_span_id = 0"),
    *("parent_span_id <> 0", "status_message IS NULL", "status_message IS NOT NULL", "status_message <> 'x'"),
    *('"http.response.status_code" = 200', '"http.response.status_code" IS NULL', "true", "false"),
    *("\"db.system.name\" = 'postgresql'", "\"http.request.method\" IN ('GET')", "arrived_ns >= 0"),
    *(
        "contains(operation, 'GET')",
        "service || operation <> ''",
        "length(service) > 4",
        "trace_state IS NULL",
    ),
    "trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE status = 2)",
    f"trace_key IN (SELECT DISTINCT trace_key FROM spans WHERE start_ns >= {BROKEN[1]})",
    "resource_id IN (SELECT resource_id FROM resources WHERE service = 'inventory')",
    "span_id IN (SELECT span_id FROM links)",
    "(trace_id, span_id) IN (SELECT trace_id, span_id FROM events WHERE name = 'exception')",
)


def some_condition(random: Random, depth: int = 3) -> str:
    if depth == 0 or random.random() < 0.25:
        return random.choice(ATOMS)
    if random.random() < 0.3:
        return f"NOT ({some_condition(random, depth - 1)})"
    word = random.choice([" AND ", " OR "])
    return "(" + word.join(some_condition(random, depth - 1) for _ in range(random.randint(2, 3))) + ")"


@pytest.mark.parametrize("seed", range(4))
def test_no_condition_loses_a_row(both: Both, seed: int) -> None:
    """What the server understands of a condition leaves every row that matters; DuckDB has the last word."""
    random = Random(seed)
    for condition in [*ATOMS[seed::4], *(some_condition(random) for _ in range(12))]:
        counted = f"SELECT count(*) AS n, sum(duration_ns) AS ns FROM spans WHERE {condition}"
        first = (
            f"SELECT span_id, start_ns, duration_ns FROM spans WHERE {condition}"
            " ORDER BY duration_ns DESC, span_id LIMIT 3"
        )
        for query in (counted, first):
            both.alike(lambda store, query=query: store.sql(query), some=False)  # type: ignore[misc]  # mypy knows no lambda with a default
