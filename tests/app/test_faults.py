"""The shop's faults: each does what it says, to whom it meets and nobody else, and its truth is known."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import tracescape as ts
from support.shop_store import quick_store
from tracescape.shop import KINDS, Fault, Shop, ShopConfig, parsed, truth_of
from tracescape.shop.places import CALLS, CONSUMERS, DEPENDENCIES, HOSTS, SERVICES, hosts_of
from tracescape.shop.trouble import ATTEMPTS, BUSY, ROWS

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
#: Of 90 seconds, the middle third is faulty.
SINCE, UNTIL, END = 30.0, 60.0, 90.0
Spans = tuple[ReadableSpan, ...]


@cache
def shop(text: str | None = None, *, seed: int = 3, rate: float = 6.0) -> Spans:
    """The spans of a shop with a fault from ``SINCE`` to ``UNTIL``."""
    faults = (parsed(text, SINCE, UNTIL),) if text else ()
    exporter = InMemorySpanExporter()
    made = Shop(lambda: exporter, ShopConfig(rate, faults, seed=seed, replicated=True))
    made.backfill(BEGIN, BEGIN + round(END * SECOND))
    made.shutdown()
    return exporter.get_finished_spans()


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    return (span.start_time - BEGIN) / SECOND


def duration(span: ReadableSpan) -> int:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.end_time - span.start_time


def service(span: ReadableSpan) -> str:
    return str(span.resource.attributes["service.name"])


def attribute(span: ReadableSpan, key: str) -> object:
    return (span.attributes or {}).get(key)


def requests(spans: Spans) -> list[list[ReadableSpan]]:
    """The spans of each visit, in the order in which visits begin."""
    traces: dict[int, list[ReadableSpan]] = defaultdict(list)
    for span in spans:
        assert span.context is not None
        traces[span.context.trace_id].append(span)
    visits = [trace for trace in traces.values() if any(service(span) == "web" for span in trace)]
    return sorted(visits, key=began)


def began(trace: list[ReadableSpan]) -> float:
    return min(map(seconds, trace))


def looks(trace: list[ReadableSpan]) -> list[tuple[object, ...]]:
    """All of it but its ids."""
    return sorted(
        (
            span.name,
            span.kind.name,
            span.start_time,
            span.end_time,
            span.status.status_code.name,
            str(sorted((span.attributes or {}).items())),
            str(sorted(span.resource.attributes.items())),
        )
        for span in trace
    )


def faulty(spans: Spans) -> Iterator[ReadableSpan]:
    return (span for span in spans if SINCE <= seconds(span) < UNTIL)


def passes(trace: list[ReadableSpan], text: str) -> bool:
    """Whether a request comes by the place of a fault."""
    fault = parsed(text)
    if "/" in fault.where:
        # Crowded by its caller, a service fails others too.
        return fault.where.partition("/")[2] in {service(span) for span in trace}
    if fault.where in HOSTS:
        return any(span.resource.attributes["host.name"] == fault.where for span in trace)
    if fault.kind == "lost-consumer":
        return any(span.kind is SpanKind.PRODUCER for span in trace)
    return any(fault.where in (service(span), attribute(span, "server.address")) for span in trace)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_changes_requests_of_its_time_that_come_by_its_place_and_no_others(kind: str) -> None:
    text = str(parsed(kind))
    healthy, ill = requests(shop()), requests(shop(kind))
    assert len(healthy) == len(ill) > 400
    changed = [looks(one) != looks(other) for one, other in zip(healthy, ill, strict=True)]
    meets = [SINCE <= began(trace) < UNTIL and passes(trace, text) for trace in healthy]
    backlog = kind == "lost-consumer"  # the first order after it brings mails to those before
    for differs, met, trace in zip(changed, meets, healthy, strict=True):
        assert met or not differs or (backlog and began(trace) >= UNTIL)
    assert sum(changed) > 0.25 * sum(meets) > 2


def test_the_same_seed_is_the_same_shop_with_a_fault_too() -> None:
    text = "retry-storm"
    one = [looks(trace) for trace in requests(shop(text))]
    shop.cache_clear()
    assert one == [looks(trace) for trace in requests(shop(text))]
    assert one != [looks(trace) for trace in requests(shop(text, seed=4))]


def test_busy_services_work_longer_and_wait_as_before() -> None:
    spans = shop("cpu@recommendations")
    for name, factor in (("infer", BUSY), ("MGET features", 1.0), ("apply rules", 1.0)):
        now = [duration(span) for span in faulty(spans) if span.name == name]
        then = [duration(span) for span in spans if span.name == name and seconds(span) < SINCE]
        assert statistics.median(now) / statistics.median(then) == pytest.approx(factor, rel=0.25), name


def test_only_the_new_version_fails_and_it_runs_beside_the_old_one_on_the_same_hosts() -> None:
    spans = [
        span for span in shop("bad-version@auth") if service(span) == "auth" and span.kind is SpanKind.SERVER
    ]
    for span in spans:
        new = span.resource.attributes["service.version"] == "1.5.0"
        failed = attribute(span, "error.type") == "TypeError"
        assert (SINCE - 1 < seconds(span) < UNTIL + 1) if new else not failed
        assert (attribute(span, "rpc.grpc.status_code") == 13) == (
            span.status.status_code is StatusCode.ERROR
        )
        assert (span.events[0].name == "exception") if failed else True
    now = list(faulty(tuple(spans)))
    versions = Counter(span.resource.attributes["service.version"] for span in now)
    assert versions["1.5.0"] / len(now) == pytest.approx(0.5, abs=0.15)
    failed = [span for span in now if span.status.status_code is StatusCode.ERROR]
    assert len(failed) / versions["1.5.0"] == pytest.approx(0.5, abs=0.2)
    for version in versions:
        where = {
            s.resource.attributes["host.name"]
            for s in now
            if s.resource.attributes["service.version"] == version
        }
        assert where == set(hosts_of("auth", replicated=True))


def test_errors_reach_the_visitor_with_the_statuses_of_the_conventions() -> None:
    for trace in requests(shop("bad-version@search")):
        failed = {service(span) for span in trace if span.status.status_code is StatusCode.ERROR}
        if "search" in failed:
            assert failed == {"search", "gateway", "web"}
            served = [span for span in trace if attribute(span, "http.route") and service(span) in failed]
            assert {attribute(span, "http.response.status_code") for span in served} == {500}
            break
    else:
        pytest.fail("nothing failed")


def test_a_bad_host_slows_all_that_runs_there_and_nothing_elsewhere() -> None:
    host = "node-9"
    assert len(HOSTS[host]) == 2
    spans = shop(f"bad-host@{host}")
    for name in ("apply rules", "infer", "rank", "verify token", "score fraud"):
        sides: dict[bool, list[int]] = defaultdict(list)
        for span in faulty(spans):
            if span.name == name:
                sides[span.resource.attributes["host.name"] == host].append(duration(span))
        slow, usual = (statistics.median(sides[side]) if sides[side] else math.nan for side in (True, False))
        there = any(service(span) in HOSTS[host] for span in spans if span.name == name)
        assert (slow / usual == pytest.approx(BUSY, rel=0.4)) if there else math.isnan(slow)


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_lost_consumer_takes_every_order_once_but_late(consumer: str) -> None:
    spans = shop(f"lost-consumer@{consumer}")
    sent = {span.context.span_id: span for span in spans if span.kind is SpanKind.PRODUCER and span.context}
    taken: dict[int, float] = {}
    for span in spans:
        if span.kind is SpanKind.CONSUMER and service(span) == consumer:
            orders = [link.context.span_id for link in span.links]
            for order in orders or [span.parent.span_id if span.parent else 0]:
                assert order not in taken
                taken[order] = seconds(span)
    late = [order for order, span in sent.items() if SINCE + 1 <= seconds(span) < UNTIL - 1]
    assert late
    assert all(taken[order] >= UNTIL for order in late)
    assert len(sent) - len(taken) < 5, "all but a batch that is not full"
    other = next(name for name in CONSUMERS if name != consumer)
    assert any(service(span) == other for span in faulty(spans))


def test_a_retry_storm_repeats_calls_of_one_caller_to_a_service_that_fails() -> None:
    spans = shop("retry-storm@checkout/cart")
    calls = [
        span
        for span in spans
        if span.kind is SpanKind.CLIENT
        and service(span) == "checkout"
        and attribute(span, "server.address") == "cart"
    ]
    resent = Counter(attribute(span, "http.request.resend_count") for span in calls)
    assert {None, 1, 2} <= set(resent) <= {None, *range(1, ATTEMPTS)}
    assert resent[None] > resent[1] > resent[2]
    assert all(SINCE <= seconds(s) < UNTIL + 1 for s in calls if attribute(s, "http.request.resend_count"))
    failed = [s for s in faulty(spans) if service(s) == "cart" and attribute(s, "error.type") == "overloaded"]
    assert failed
    assert {attribute(span, "http.response.status_code") for span in failed} == {503}
    others = [s for s in spans if attribute(s, "http.request.resend_count") and service(s) != "checkout"]
    assert not others


@pytest.mark.parametrize(
    ("where", "asked", "instead"),
    [
        ("catalog-redis", "GET products", "SELECT products"),
        ("features-redis", "MGET features", "compute features"),
        ("sessions-redis", "GET session", "rebuild session"),
    ],
)
def test_a_cold_cache_is_asked_in_vain(where: str, asked: str, instead: str) -> None:
    spans = shop(f"cold-cache@{where}")
    now, then = (
        Counter(span.name for span in spans if inside(seconds(span)))
        for inside in (lambda at: SINCE <= at < UNTIL, lambda at: at < SINCE)
    )
    assert now[instead] / now[asked] > 0.8
    assert then[instead] / then[asked] < 0.3


def test_n_plus_one_queries_ask_for_each_row_alone() -> None:
    spans = shop("n-plus-one@inventory")
    counts = Counter(span.name for span in faulty(spans) if service(span) == "inventory")
    assert counts["SELECT stock"] > 0
    assert counts["SELECT stock row"] == ROWS * counts["SELECT stock"]
    assert not any(span.name.endswith(" row") for span in spans if service(span) != "inventory")


def test_a_slow_edge_is_slow_between_its_two_services_only() -> None:
    spans = shop("slow-edge@gateway/recommendations")
    clients = {span.context.span_id: span for span in spans if span.kind is SpanKind.CLIENT and span.context}
    apart: dict[bool, list[float]] = defaultdict(list)
    for span in faulty(spans):
        if span.kind is SpanKind.SERVER and span.parent is not None:
            client = clients[span.parent.span_id]
            edge = (service(client), service(span)) == ("gateway", "recommendations")
            apart[edge].append((duration(client) - duration(span)) / 1e6)
    assert statistics.median(apart[True]) == pytest.approx(51, rel=0.3)
    assert max(apart[False]) < 10


def test_the_map_of_the_shop_is_what_it_does() -> None:
    spans = shop()
    own = {span.context.span_id: span for span in spans if span.context}
    calls, dependencies = set(), set()
    for span in spans:
        if span.kind is SpanKind.SERVER and span.parent is not None:
            calls.add((service(own[span.parent.span_id]), service(span)))
        address = str(attribute(span, "server.address"))
        if span.kind is SpanKind.CLIENT and address not in SERVICES:
            dependencies.add((address, service(span)))
    assert calls == set(CALLS)
    assert dependencies == {(address, each.user) for address, each in DEPENDENCIES.items()}
    assert {service(span) for span in spans if span.kind is SpanKind.CONSUMER} == set(CONSUMERS)


def test_the_truth_of_each_kind() -> None:
    said = {kind: truth_of(Fault(kind, since_s=2.0, until_s=4.5), BEGIN) for kind in KINDS}
    assert {kind: set(truth.nodes) for kind, truth in said.items()} == {
        "slow-dependency": {"postgresql inventory@inventory-db"},
        "cpu": {"pricing"},
        "bad-version": {"payment"},
        "bad-host": set(HOSTS["node-5"]),
        "lost-consumer": {"email"},
        "retry-storm": {"checkout", "pricing"},
        "cold-cache": {"catalog"},
        "n-plus-one": {"catalog"},
        "slow-edge": {"gateway", "search"},
    }
    assert said["bad-version"].attribute == ("service.version", "2.3.0")
    assert said["bad-host"].attribute == ("host.name", "node-5")
    assert said["slow-edge"].edge == ("gateway", "search")
    for truth in said.values():
        assert (truth.since_ns, truth.until_ns) == (BEGIN + 2 * SECOND, BEGIN + 4 * SECOND + SECOND // 2)
    assert truth_of(Fault("cpu"), BEGIN).until_ns is None


def test_wrong_names_list_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"'cold-cash' \(is it cold-cache\?\).*slow-dependency, cpu, .*slow-edge"
    ):
        parsed("cold-cash")
    with pytest.raises(ValueError, match="cpu cannot be at 'node-5'; there are: pricing, web"):
        parsed("cpu@node-5")
    with pytest.raises(ValueError, match="from second 5 to 5 never is"):
        Fault("cpu", "", 5, 5)
    assert str(parsed("slow-edge")) == "slow-edge@gateway/search"


def test_a_store_of_a_shop_is_written_quickly_and_its_truth_told(tmp_path: Path) -> None:
    fault = Fault("cpu", "cart", 20.0)
    config = ShopConfig(4.0, (fault,), replicated=True)
    (truth,) = quick_store(tmp_path / "shop.db", config, BEGIN, BEGIN + 30 * SECOND)
    assert (truth.nodes, truth.since_ns) == ({"cart"}, BEGIN + 20 * SECOND)
    with ts.open(tmp_path / "shop.db") as store:
        versions = store.sql("SELECT count(DISTINCT service) AS n, count(*) AS spans FROM spans_v")
        assert versions["n"][0] >= len(SERVICES) - 1
        assert versions["spans"][0] > 1_000
