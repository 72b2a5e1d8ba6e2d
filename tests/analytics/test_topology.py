from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, MemoryReader, link, link_table, reader, span, span_table
from tracescape_analytics.calls import Unpaired
from tracescape_analytics.topology import EDGE_SCHEMA, NODE_SCHEMA, Topology, topology, topology_of
from tracescape_analytics.windows import MARGIN_NS

Row = dict[str, object]


def of(*rows: Row, links: list[Row] | None = None) -> Topology:
    return topology_of(span_table(rows), link_table(links or []))


def edges(found: Topology) -> dict[tuple[str, str, str], int]:
    rows = found.edges.select("source", "target", "connection", "calls").rows()
    return {(source, target, connection): calls for source, target, connection, calls in rows}


def nodes(found: Topology) -> dict[str, tuple[str, int]]:
    return {name: (kind, calls) for name, kind, calls in found.nodes["service", "kind", "calls"].rows()}


def a_call(**client: object) -> list[Row]:
    """frontend answers a request and calls cart, which answers."""
    return [
        span("A", service="frontend", start=0, end=100, kind="server"),
        span("B", "A", service="frontend", start=10, end=60, kind="client", **client),
        span("C", "B", service="cart", start=20, end=50, kind="server"),
    ]


def test_client_and_server_are_one_call() -> None:
    found = of(*a_call(http_method="GET"))
    assert edges(found) == {("frontend", "cart", "http"): 1, ("user", "frontend", "internal"): 1}
    assert nodes(found) == {"cart": ("service", 1), "frontend": ("service", 1), "user": ("entry", 1)}
    edge = found.edges.filter(pl.col("source") == "frontend").row(0, named=True)
    assert (edge["client_p50_ns"], edge["server_p50_ns"], edge["network_p50_ns"]) == (50, 30, 20)
    assert found.nodes.filter(pl.col("service") == "cart")["p50_ns"].item() == 30
    assert (found.spans, found.traces, found.unpaired) == (3, 1, Unpaired(0, 0, 0))


def test_frames_have_their_schemas_even_without_rows() -> None:
    for found in (of(), of(*a_call())):
        assert dict(found.nodes.schema) == NODE_SCHEMA
        assert dict(found.edges.schema) == EDGE_SCHEMA
    assert of().nodes.is_empty()
    assert repr(of()) == "Topology of 0 spans in 0 traces: 0 nodes (nothing), 0 edges"


def test_internal_spans_are_walked_through() -> None:
    found = of(
        span("A", service="a", kind="server"),
        span("B", "A", service="a", kind="client", end=90),
        span("C", "B", service="a", kind="internal", end=80),
        span("D", "C", service="b", kind="internal", end=70),
        span("E", "D", service="b", kind="server", end=60),
    )
    assert edges(found)["a", "b", "internal"] == 1
    assert found.edges.filter(pl.col("source") == "a")["client_p50_ns"].item() == 90


def test_two_servers_of_different_services_are_a_call() -> None:
    found = of(span("A", service="a", kind="server"), span("B", "A", service="b", kind="server", end=40))
    edge = found.edges.filter(pl.col("source") == "a").row(0, named=True)
    assert (edge["target"], edge["client_p50_ns"], edge["server_p50_ns"]) == ("b", None, 40)


def test_without_kinds_services_tell_who_called() -> None:
    found = of(
        span("A", service="a", end=100),
        span("B", "A", service="a", operation="shop.Cart/Get", end=90),
        span("C", "B", service="b", operation="shop.Cart/Get", end=80),
        span("D", "C", service="b", end=70),
    )
    assert edges(found) == {("a", "b", "rpc"): 1, ("user", "a", "internal"): 1}
    assert nodes(found) == {"a": ("service", 1), "b": ("service", 1), "user": ("entry", 1)}
    # B has no other child: it is the client's side of the call.
    assert found.edges.filter(pl.col("source") == "a")["network_p50_ns"].item() == 10


def test_a_span_without_kind_that_calls_twice_is_no_client() -> None:
    found = of(span("A", service="a"), span("B", "A", service="b", end=9), span("C", "A", service="b", end=9))
    assert found.edges.filter(pl.col("source") == "a")["client_p50_ns"].to_list() == [None]


def test_a_service_may_call_itself() -> None:
    found = of(span("A", service="a", kind="client"), span("B", "A", service="a", kind="server"))
    assert edges(found) == {("a", "a", "internal"): 1}


def test_isolated_services_are_nodes() -> None:
    found = of(span("A", service="batch", kind="internal", end=70), *a_call()[:1])
    assert nodes(found)["batch"] == ("service", 1)
    assert not any("batch" in edge for edge in edges(found))


def test_a_service_without_entry_spans_counts_its_topmost() -> None:
    found = of(
        span("A", service="job", kind="internal", end=70),
        span("B", "A", service="job", kind="client", end=60),
        span("C", "B", service="db-proxy", kind="internal", end=50),
        span("D", "C", service="db-proxy", kind="internal", end=40),
    )
    assert nodes(found) == {"job": ("service", 1), "db-proxy": ("service", 1)}
    assert edges(found) == {("job", "db-proxy", "internal"): 1}


def test_a_service_with_entry_spans_counts_only_those() -> None:
    found = of(*a_call(), span("J", trace="job", service="cart", kind="internal"))
    assert nodes(found)["cart"] == ("service", 1)


@pytest.mark.parametrize(
    ("attributes", "target", "kind", "connection"),
    [
        ({"db_system": "postgresql", "db_namespace": "orders"}, "postgresql orders", "database", "db"),
        ({"db_system": "redis", "server_address": "cache"}, "redis cache", "database", "db"),
        ({"db_system": "redis"}, "redis", "database", "db"),
        (
            {"db_system": "redis", "db_namespace": "0", "server_address": "a", "server_port": 6379},
            "redis 0@a:6379",
            "database",
            "db",
        ),
        ({"url_host": "api.x:8443", "rpc_service": "pay"}, "api.x:8443", "external", "rpc"),
        ({"server_address": "api", "url_host": "api.x", "http_method": "GET"}, "api", "external", "http"),
        ({"gen_ai_provider": "openai", "gen_ai_model": "gpt-5"}, "openai gpt-5", "model", "internal"),
        (
            {"gen_ai_provider": "openai", "gen_ai_model": "gpt-5", "server_address": "api.openai.com"},
            "openai gpt-5",
            "model",
            "internal",
        ),
        ({"gen_ai_provider": "openai"}, "openai", "model", "internal"),
        (
            {
                "gen_ai_operation": "invoke_agent",
                "gen_ai_provider": "aws.bedrock",
                "gen_ai_model": "nova",
                "gen_ai_agent": "tutor",
            },
            "aws.bedrock tutor",
            "model",
            "internal",
        ),
        ({"gen_ai_operation": "execute_tool", "gen_ai_tool": "search"}, "search", "tool", "internal"),
        (
            {"messaging_system": "kafka", "messaging_destination": "jobs"},
            "kafka jobs",
            "queue",
            "messaging",
        ),
        (
            {"peer_service": "stripe", "server_address": "api", "http_method": "POST"},
            "stripe",
            "external",
            "http",
        ),
        ({"server_address": "api.x", "server_port": 443}, "api.x:443", "external", "internal"),
        ({"server_address": "api.x", "rpc_service": "pay"}, "api.x", "external", "rpc"),
        ({"rpc_service": "pay.Payments"}, "pay.Payments", "external", "rpc"),
    ],
)
def test_what_sends_no_spans_is_named_by_its_caller(
    attributes: dict[str, object], target: str, kind: str, connection: str
) -> None:
    found = of(*a_call()[:1], span("B", "A", service="frontend", kind="client", end=60, **attributes))
    assert edges(found)["frontend", target, connection] == 1
    assert nodes(found)[target] == (kind, 1)
    assert found.nodes.filter(pl.col("service") == target)["p50_ns"].item() == 60
    assert found.unpaired.clients_without_server == 1


def test_instances_of_a_database_are_nodes_of_their_own() -> None:
    same = {"service": "shop", "kind": "client", "db_system": "postgresql", "db_namespace": "orders"}
    found = of(
        *(
            span(f"{i}", trace=f"{i}", server_address=f"db-{i % 2}", server_port=5432, **same)
            for i in range(3)
        ),
        span("3", trace="3", server_address="db-0", server_port=5433, **same),
    )
    assert edges(found) == {
        ("shop", "postgresql orders@db-0:5432", "db"): 2,
        ("shop", "postgresql orders@db-0:5433", "db"): 1,
        ("shop", "postgresql orders@db-1:5432", "db"): 1,
    }


def test_a_model_is_asked_once_however_the_request_travels() -> None:
    found = of(
        span("A", service="bot", kind="client", gen_ai_provider="openai", gen_ai_model="gpt-5", end=90),
        span("B", "A", service="bot", kind="client", server_address="api.openai.com", http_method="POST"),
    )
    assert edges(found) == {("bot", "openai gpt-5", "internal"): 1}


def test_an_agent_asks_its_models_and_tools_which_have_spans_below() -> None:
    asked = {"service": "bot", "gen_ai_provider": "openai", "gen_ai_model": "gpt-5"}
    found = of(
        span("A", kind="internal", gen_ai_operation="invoke_agent", gen_ai_agent="tutor", **asked),
        span("B", "A", kind="client", gen_ai_operation="chat", gen_ai_agent="tutor", **asked),
        span("C", "A", service="bot", kind="internal", gen_ai_tool="lookup", status="error", end=30),
        span("D", "C", service="bot", kind="client", db_system="redis", end=20),
    )
    assert edges(found) == {
        ("bot", "lookup", "internal"): 1,
        ("bot", "openai gpt-5", "internal"): 1,
        ("bot", "redis", "db"): 1,
    }
    assert nodes(found)["lookup"] == ("tool", 1)
    row = found.nodes.row(by_predicate=pl.col("service") == "lookup", named=True)
    assert (row["errors"], row["p50_ns"]) == (1, 30)


def test_a_model_inside_the_process_is_a_node_too() -> None:
    found = of(span("A", service="bot", kind="internal", gen_ai_provider="vllm", gen_ai_model="llama"))
    assert edges(found) == {("bot", "vllm llama", "internal"): 1}
    assert found.unpaired.clients_without_server == 0


def test_a_server_that_names_a_model_calls_nobody() -> None:
    found = of(span("A", service="bot", kind="server", gen_ai_provider="openai", gen_ai_model="gpt-5"))
    assert edges(found) == {("user", "bot", "internal"): 1}


def test_a_client_that_names_nothing_gives_no_node_but_is_counted() -> None:
    found = of(*a_call()[:2])
    assert edges(found) == {("user", "frontend", "internal"): 1}
    assert found.unpaired.clients_without_server == 1


def test_an_answered_client_gives_no_node_of_its_own() -> None:
    found = of(*a_call(server_address="cart.svc", server_port=80, peer_service="cart-lb"))
    assert set(nodes(found)) == {"user", "frontend", "cart"}


def test_a_peer_that_bears_a_services_name_is_that_service() -> None:
    found = of(*a_call(), span("D", "A", service="frontend", kind="client", peer_service="cart", end=40))
    assert edges(found)["frontend", "cart", "internal"] == 2
    assert nodes(found)["cart"] == ("service", 1)


def test_nodes_of_different_kinds_never_share_a_name() -> None:
    found = of(
        span("A", service="user", kind="server"),
        span("B", "A", service="user", kind="client", db_system="user"),
    )
    assert nodes(found) == {
        "user": ("service", 1),
        "user (database)": ("database", 1),
        "user (entry)": ("entry", 1),
    }


def test_orphans_have_no_entry_edge_and_are_counted() -> None:
    found = of(span("A", "lost", service="a", kind="server"), span("B", "gone", service="b"))
    assert edges(found) == {}
    assert found.unpaired.orphans == 2


def test_only_servers_and_spans_without_kind_are_called_from_outside() -> None:
    kinds = ["internal", "client", "producer", "consumer"]
    assert edges(of(*(span(kind[:8], kind=kind, trace=kind) for kind in kinds))) == {}


TOPIC = {"messaging_system": "kafka", "messaging_destination": "orders"}


def test_a_topic_stands_between_producer_and_consumer() -> None:
    found = of(
        span("P", service="shop", kind="producer", end=5, **TOPIC),
        span("C", "P", service="mail", kind="consumer", start=50, end=90),
    )
    assert edges(found) == {
        ("shop", "kafka orders", "messaging"): 1,
        ("kafka orders", "mail", "messaging"): 1,
    }
    assert nodes(found)["kafka orders"] == ("queue", 1)
    assert found.nodes.filter(pl.col("service") == "kafka orders")["p50_ns"].item() == 5
    into_mail = found.edges.filter(pl.col("target") == "mail").row(0, named=True)
    assert (into_mail["client_p50_ns"], into_mail["server_p50_ns"]) == (None, 40)


def test_a_batch_consumer_links_to_many_producers() -> None:
    found = of(
        *(span("P", trace=trace, service="shop", kind="producer", **TOPIC) for trace in "abc"),
        span("C", trace="d", service="mail", kind="consumer", **TOPIC),
        links=[link("d", "C", trace, "P") for trace in "abc"] + [link("d", "C", "lost", "P")],
    )
    assert edges(found)["kafka orders", "mail", "messaging"] == 3
    assert edges(found)["shop", "kafka orders", "messaging"] == 3


def test_parent_and_link_to_the_same_producer_are_one_delivery() -> None:
    rows = [
        span("P", service="shop", kind="producer"),
        span("C", "P", service="mail", kind="consumer", start=50, end=90),
    ]
    found = of(*rows, links=[link("t", "C", "t", "P"), link("t", "C", "t", "P")])
    assert edges(found) == {("shop", "mail", "messaging"): 1}  # nobody names the topic


def test_a_link_to_something_else_is_no_delivery() -> None:
    found = of(
        span("P", trace="a", service="shop", kind="internal"),
        span("C", trace="b", service="mail", kind="consumer"),
        links=[link("b", "C", "a", "P")],
    )
    assert edges(found) == {}


def test_a_consumer_alone_shows_its_queue() -> None:
    found = of(span("C", service="mail", kind="consumer", end=40, **TOPIC))
    assert edges(found) == {("kafka orders", "mail", "messaging"): 1}
    assert nodes(found)["kafka orders"] == ("queue", 1)
    assert found.nodes.filter(pl.col("service") == "kafka orders")["p50_ns"].item() == 40


def test_a_message_whose_sender_does_not_name_the_queue_is_seen_where_it_arrives() -> None:
    found = of(
        span("P", service="shop", kind="producer", end=5),
        span("C", "P", service="mail", kind="consumer", start=50, end=90, **TOPIC),
        span("D", trace="x", service="mail", kind="consumer", end=7, **TOPIC),
    )
    assert edges(found) == {("kafka orders", "mail", "messaging"): 2}
    assert nodes(found)["kafka orders"] == ("queue", 2)


def test_a_consumer_below_a_client_is_called_by_it_and_by_no_queue() -> None:
    found = of(
        span("P", service="shop", kind="client", end=5),
        span("C", "P", service="mail", kind="consumer", start=50, end=90, **TOPIC),
    )
    assert edges(found) == {("shop", "mail", "messaging"): 1}


def test_an_error_on_either_side_is_an_error_of_the_call() -> None:
    for broken in ("client", "server"):
        status = {"client": "ok", "server": "ok", broken: "error"}
        found = of(
            span("B", service="a", kind="client", status=status["client"]),
            span("C", "B", service="b", kind="server", status=status["server"]),
        )
        assert found.edges["errors"].to_list() == [1]
        assert found.nodes.filter(pl.col("service") == "b")["errors"].item() == int(broken == "server")


def test_negative_network_time_is_counted_and_shown() -> None:
    found = of(
        span("B", service="a", kind="client", end=10), span("C", "B", service="b", kind="server", end=30)
    )
    assert found.unpaired.negative_network == 1
    assert found.edges["network_p50_ns"].to_list() == [-20]


def test_quantiles_are_durations_that_occurred() -> None:
    rows = [span("A", trace=f"t{i}", service="a", kind="server", end=i) for i in range(1, 101)]
    row = of(*rows).nodes.filter(pl.col("service") == "a").row(0, named=True)
    assert (row["p50_ns"], row["p95_ns"], row["p99_ns"]) == (50, 95, 99)


def test_each_connection_is_an_edge_of_its_own() -> None:
    rows = []
    for trace, attributes in (("a", {"http_method": "GET"}), ("b", {"rpc_service": "x"}), ("c", {})):
        rows += [
            span("B", trace=trace, service="a", kind="client", **attributes),
            span("C", "B", trace=trace, service="b", kind="server"),
        ]
    assert {connection for _, _, connection in edges(of(*rows))} == {"http", "rpc", "internal"}


@pytest.mark.parametrize(
    ("operation", "connection"),
    [
        ("shop.v1.Cart/Get", "rpc"),
        ("/shop.Cart/Get", "rpc"),
        ("GET /cart/{id}", "http"),
        ("HTTP POST", "http"),
        ("GETTING /cart", "internal"),
        ("shop/cart", "internal"),
        ("", "internal"),
    ],
)
def test_operations_may_tell_the_connection(operation: str, connection: str) -> None:
    found = of(span("B", service="a", operation=operation), span("C", "B", service="b"))
    assert ("a", "b", connection) in edges(found)


def test_evidence_for_a_database_wins_over_http() -> None:
    found = of(span("B", kind="client", db_system="elasticsearch", http_method="GET"))
    assert edges(found) == {("app", "elasticsearch", "db"): 1}


def test_where_the_client_says_nothing_the_server_tells_the_connection() -> None:
    found = of(*a_call()[:2], span("C", "B", service="cart", kind="server", http_method="GET"))
    assert ("frontend", "cart", "http") in edges(found)


def test_kinds_that_otlp_does_not_have_are_none() -> None:
    rows = [{**span("A", service="a"), "kind": 9}, {**span("B", "A", service="b"), "kind": -1}]
    assert edges(of(*rows)) == {("user", "a", "internal"): 1, ("a", "b", "internal"): 1}


@pytest.mark.parametrize("change", [{"status": "error"}, {"operation": "other"}, {"service": "other"}])
def test_spans_that_share_an_id_but_differ_are_no_copies(change: dict[str, str]) -> None:
    assert of(span("A"), span("A", **change)).spans == 2


def test_copies_count_once() -> None:
    found = of(*a_call(), *a_call())
    assert edges(found)["frontend", "cart", "internal"] == 1
    assert found.spans == 3


def test_a_call_belongs_to_the_window_in_which_its_client_started() -> None:
    store = reader(*a_call())
    found = topology(store, since_ns=5, until_ns=15)  # only the client starts in it
    assert edges(found) == {("frontend", "cart", "internal"): 1}
    assert found.nodes["service"].to_list() == ["cart", "frontend"]
    assert found.nodes["calls"].to_list() == [0, 0]
    assert (found.spans, found.since_ns, found.until_ns) == (1, 5, 15)
    found = topology(store, since_ns=15, until_ns=25)  # only the server
    assert edges(found) == {}
    assert nodes(found) == {"cart": ("service", 1)}
    assert found.unpaired == Unpaired(0, 0, 0)


def test_windows_are_half_open() -> None:
    store = reader(span("A", start=10, end=20, kind="server"))
    assert topology(store, since_ns=10, until_ns=11).spans == 1
    assert topology(store, since_ns=9, until_ns=10).spans == 0
    assert topology(store, since_ns=11, until_ns=12).spans == 0


def test_an_open_window_reports_what_it_holds() -> None:
    found = topology(reader(*a_call()))
    assert (found.since_ns, found.until_ns) == (0, 21)


def test_a_window_that_ends_before_it_begins() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        topology(reader(), since_ns=5, until_ns=4)


def test_only_the_neighbourhood_of_the_window_is_read() -> None:
    asked = []

    class Watched(MemoryReader):
        def spans(self, columns, **window):  # type: ignore[no-untyped-def]
            asked.append((window["since_ns"], window["until_ns"]))
            return super().spans(columns, **window)

    since = 10 * MARGIN_NS
    topology(Watched(span_table(a_call())), since_ns=since, until_ns=since + 9, baseline=(0, 1))
    # The minutes that the window touches, and their neighbours.
    assert sorted(asked) == [(-MARGIN_NS, 2 * MARGIN_NS), (since - MARGIN_NS, since + 2 * MARGIN_NS)]


@st.composite
def shop_spans(draw: st.DrawFn) -> list[Row]:
    return [
        span(
            str(i),
            draw(st.sampled_from([None, *(str(j) for j in range(1, i))])),
            trace=draw(st.sampled_from("xy")),
            service=draw(st.sampled_from("abc")),
            kind=draw(st.sampled_from(KINDS)),
            status=draw(st.sampled_from(["unset", "error"])),
            start=i,
            end=i + draw(st.integers(0, 9)),
            db_system=draw(st.sampled_from([None, None, "pg"])),
            server_address=draw(st.sampled_from([None, "h", "a"])),
            messaging_destination=draw(st.sampled_from([None, None, "topic"])),
        )
        for i in range(1, draw(st.integers(1, 15)))
    ]


@given(shop_spans(), st.integers(0, 16))
def test_windows_add_up(rows: list[Row], cut: int) -> None:
    # Whether an address is a service's is decided for each window, too.
    rows = [row | {"server_address": "h"} if row["server_address"] else row for row in rows]
    store = reader(*rows)
    whole = topology(store, since_ns=0, until_ns=20)
    parts = [topology(store, since_ns=0, until_ns=cut), topology(store, since_ns=cut, until_ns=20)]
    for frame, keys in (("edges", ["source", "target", "connection"]), ("nodes", ["service", "kind"])):
        sums = (
            pl.concat([getattr(part, frame) for part in parts])
            .group_by(keys)
            .agg(pl.col("calls", "errors").sum())
            .sort(keys)
        )
        expected = getattr(whole, frame).select(*keys, "calls", "errors").sort(keys)
        if frame == "nodes":
            # Whether a service is seen at its topmost spans is decided for each window; so is whether there
            # is a service of the name that a call goes to.
            services = whole.nodes.filter(pl.col("kind") == "service")["service"].to_list()
            sums, expected = (rows.filter(~pl.col("service").is_in(services)) for rows in (sums, expected))
        assert sums.equals(expected)
    assert whole.spans == sum(part.spans for part in parts)
    assert whole.traces == sum(part.traces for part in parts)


@given(shop_spans())
def test_edges_and_nodes_agree(rows: list[Row]) -> None:
    found = of(*rows)
    named = set(found.nodes["service"])
    assert len(named) == len(found.nodes)
    assert set(found.edges["source"]) | set(found.edges["target"]) <= named
    assert {row["service"] for row in rows} <= named
    for name, kind, calls in found.nodes["service", "kind", "calls"].rows():
        inward = found.edges.filter(pl.col("target") == name)["calls"].sum()
        outward = found.edges.filter(pl.col("source") == name)["calls"].sum()
        if kind in ("database", "external"):
            assert (inward, outward) == (calls, 0)
        elif kind == "entry":
            assert (inward, outward) == (0, calls)
        elif kind == "queue":
            assert inward <= calls <= inward + outward
