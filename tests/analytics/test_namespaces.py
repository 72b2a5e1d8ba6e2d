"""A service is its namespace and its name; an environment is a filter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from memory_reader import link_table, reader, span, span_number, stored_span_table
from tracescape_analytics.absence import absence
from tracescape_analytics.call_paths import call_paths
from tracescape_analytics.calls import counts_of_window
from tracescape_analytics.checkup import health
from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.errors import UnknownEnvironmentError
from tracescape_analytics.red import red
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.services import services
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_analytics.windows import Window
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError
from tracescape_storage.namespaces import SEPARATOR
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS
from tracescape_storage.schema import RESOURCES

Row = dict[str, object]
BEGIN = 100 * HOUR_NS


def resource(name: str, service: str, namespace: str | None, environment: str | None = None) -> Row:
    return {
        "resource_id": span_number(name),
        "service": service,
        "namespace": namespace,
        "environment": environment,
        "attributes": "{}",
        "dropped_attributes": 0,
    }


def calls(trace: str, *, shop: str, pay: str, start: int = BEGIN) -> list[Row]:
    return [
        span("A", trace=trace, service="shop", resource=shop, kind="client", start=start, end=start + 90),
        span("B", "A", trace=trace, service="pay", resource=pay, kind="server", start=start, end=start + 50),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def filled(store: DuckDBStore, rows: list[Row], resources: list[Row]) -> Reader:
    table = pa.Table.from_pylist(resources, schema=RESOURCES)
    store.append({"spans": stored_span_table(rows), "links": link_table([]), "resources": table})
    return store.reader()


def two_namespaces(store: DuckDBStore) -> Reader:
    resources = [
        resource("s1", "shop", "eu", "prod"),
        resource("s2", "shop", "us", "prod"),
        resource("p", "pay", "money", "prod"),
        resource("t", "shop", "eu", "test"),
        resource("q", "pay", "money", "test"),
    ]
    rows = calls("a", shop="s1", pay="p") + calls("b", shop="s2", pay="p") + calls("c", shop="t", pay="q")
    return filled(store, rows, resources)


def test_services_of_one_name_in_two_namespaces_are_two(store: DuckDBStore) -> None:
    found = topology(two_namespaces(store))
    edges = found.edges.filter(found.edges["source"] != "user")
    assert edges["source", "target", "calls"].rows() == [("eu/shop", "pay", 2), ("us/shop", "pay", 1)]
    assert set(found.nodes["service"]) == {"eu/shop", "us/shop", "pay"}, "pay is the only one of its name"


def test_they_are_called_alike_whatever_is_asked(store: DuckDBStore) -> None:
    asked = two_namespaces(store)
    assert set(services(asked)["service"]) == {"eu/shop", "us/shop", "pay"}
    assert set(red(asked)["service"]) == {"eu/shop", "us/shop", "pay"}
    assert set(health(asked)["service"].drop_nulls()) == {"eu/shop", "us/shop", "pay"}
    assert call_paths(asked, by="service")["chain"].to_list() == [
        "eu/shop",
        "eu/shop → pay",
        "us/shop",
        "us/shop → pay",
    ]
    assert absence(asked, since_ns=BEGIN + HOUR_NS, until_ns=BEGIN + 2 * HOUR_NS).is_empty()


def test_counts_by_minute_say_the_same(store: DuckDBStore) -> None:
    asked = two_namespaces(store)
    from_spans = counts_of_window(asked, Window()).groups
    whole = topology(asked)
    upkeep = Upkeep(store)
    for now in (0, SETTLE_NS):
        upkeep.step(BEGIN + 100 * HOUR_NS + now)
    upkeep.close()
    assert asked.sql("SELECT count(*) AS n FROM tracescape_rollups")["n"].to_pylist() != [0]
    assert topology(asked).nodes.rows() == whole.nodes.rows()
    assert topology(asked).edges.rows() == whole.edges.rows()
    assert len(counts_of(asked, Window()).groups) == len(from_spans)


def test_a_namespace_that_nobody_shares_is_not_shown(store: DuckDBStore) -> None:
    asked = filled(
        store, calls("a", shop="s", pay="p"), [resource("s", "shop", "eu"), resource("p", "pay", "eu")]
    )
    assert set(topology(asked).nodes["service"]) == {"shop", "pay"}


def test_without_a_namespace_there_is_nothing_to_join(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = filled(
        store, calls("a", shop="s", pay="p"), [resource("s", "shop", None), resource("p", "pay", None)]
    )
    queries: list[str] = []
    ask = asked.sql
    monkeypatch.setattr(asked, "sql", lambda query: (queries.append(query), ask(query))[1])
    assert set(topology(asked).nodes["service"]) == {"shop", "pay"}
    assert not any("JOIN" in query for query in queries)


def test_a_namespace_that_every_service_has_for_itself_costs_no_join(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = filled(
        store, calls("a", shop="s", pay="p"), [resource("s", "shop", "eu"), resource("p", "pay", "eu")]
    )
    queries: list[str] = []
    ask = asked.sql
    monkeypatch.setattr(asked, "sql", lambda query: (queries.append(query), ask(query))[1])
    names = {row[3] for row in counts_of_window(asked, Window()).groups.rows()}
    assert {f"eu{SEPARATOR}shop", f"eu{SEPARATOR}pay"} <= names
    assert not any("JOIN" in query for query in queries)


def test_a_name_that_comes_to_be_shared_is_told_apart_from_then_on(store: DuckDBStore) -> None:
    pay = resource("p", "pay", None)
    asked = filled(store, calls("a", shop="s1", pay="p"), [resource("s1", "shop", "eu"), pay])
    assert set(topology(asked).nodes["service"]) == {"shop", "pay"}
    filled(store, calls("b", shop="s2", pay="p"), [resource("s2", "shop", None)])
    assert set(topology(asked).nodes["service"]) == {"shop", "eu/shop", "pay"}
    filled(store, calls("c", shop="s3", pay="p"), [resource("s3", "shop", "us")])
    assert set(topology(asked).nodes["service"]) == {"shop", "eu/shop", "us/shop", "pay"}


def test_an_environment_is_a_filter(store: DuckDBStore) -> None:
    asked = two_namespaces(store)
    test = topology(asked, environment="test")
    assert (test.spans, set(test.nodes["service"])) == (2, {"eu/shop", "pay"})
    assert topology(asked, environment="prod").spans == 4
    assert services(asked, environment="test")["calls"].sum() == 2
    assert health(asked, environment="test").height == 3
    served = [red(asked, environment=which, by="operation")["service", "calls"] for which in ("test", "prod")]
    assert served[0].rows() == [("eu/shop", 1), ("pay", 1)]
    assert served[1]["calls"].sum() == 4
    with pytest.raises(UnknownEnvironmentError, match="Did you mean 'test'"):
        red(asked, environment="tset")


def test_chains_and_critical_paths_know_environments(store: DuckDBStore) -> None:
    asked = two_namespaces(store)
    chains = call_paths(asked, by="service", environment="test")
    assert chains["chain", "calls"].rows() == [("eu/shop", 1), ("eu/shop → pay", 1)]
    assert call_paths(asked, by="service", environment="prod")["calls"].sum() == 4
    test = critical_path(asked, by="service", environment="test")
    assert (test["critical_ns"].sum(), critical_path(asked, by="service")["critical_ns"].sum()) == (90, 270)
    with pytest.raises(UnknownEnvironmentError, match="Did you mean 'test'"):
        critical_path(asked, environment="tset")


def test_what_fell_silent_in_one_environment_is_absent_there(store: DuckDBStore) -> None:
    resources = [resource(name, name[:-1], None, name[-1]) for name in ("shopA", "payA", "shopB", "payB")]
    rows = []
    for i in range(200):
        for which in "AB":
            start = BEGIN + i * MINUTE_NS // 10
            rows += calls(f"{i}{which}", shop=f"shop{which}", pay=f"pay{which}", start=start)
    rows += calls("last", shop="shopB", pay="payB", start=BEGIN + 25 * MINUTE_NS)
    asked = filled(store, rows, resources)
    window = {"since_ns": BEGIN + 20 * MINUTE_NS, "until_ns": BEGIN + 30 * MINUTE_NS}
    found = [set(absence(asked, **window, environment=which)["name"]) for which in "AB"]
    assert {"shop", "pay"} <= found[0]
    assert found[1] == set()


def test_an_environment_that_is_the_only_one_changes_nothing(store: DuckDBStore) -> None:
    asked = filled(
        store,
        calls("a", shop="s", pay="p"),
        [resource("s", "shop", None, "prod"), resource("p", "pay", None, "prod")],
    )
    assert topology(asked, environment="prod").edges.rows() == topology(asked).edges.rows()


def test_an_environment_that_is_not_there_is_said(store: DuckDBStore) -> None:
    with pytest.raises(UnknownEnvironmentError, match="Did you mean 'prod'"):
        topology(two_namespaces(store), environment="prd")
    with pytest.raises(StoreError, match="knows SQL"):
        topology(reader(*calls("a", shop="s", pay="p")), environment="prod")
