"""The shop: real SDK spans of fourteen services, shaped like real traffic, all of them counted."""

import logging
import statistics
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.otlp_sink import Sink, running_sink
from tracescape.shop import Fault, Shop, ShopConfig
from tracescape.shop.places import SERVICES
from tracescape.shop.requests import INVENTORY_TIMEOUT_MS
from tracescape.shop.shop import LIVE_LAG_NS
from tracescape.shop.trouble import SLOWER

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND


@pytest.fixture(scope="module")
def history() -> Iterator[tuple[Sink, int]]:
    """Two minutes healthy, two degraded, through the real exporter; and how many spans the shop counted."""
    with running_sink() as sink:
        config = ShopConfig(rate_per_s=4.0, faults=(Fault("slow-dependency", since_s=120.0),), seed=5)
        shop = Shop(lambda: OTLPSpanExporter(endpoint=sink.endpoint, insecure=True), config)
        sent = shop.backfill(BEGIN, BEGIN + 240 * SECOND)
        assert shop.failed == 0
        shop.shutdown()
        yield sink, sent


def test_every_span_that_was_counted_arrived(history: tuple[Sink, int]) -> None:
    sink, sent = history
    assert len(sink.spans()) == sent > 5_000


def test_every_service_speaks_with_a_resource_of_its_own(history: tuple[Sink, int]) -> None:
    sink, _ = history
    resources = {
        tuple(sorted((a.key, a.value.string_value) for a in group.resource.attributes))
        for request in sink.requests
        for group in request.resource_spans
    }
    assert len(resources) == len(SERVICES)
    assert {dict(resource)["service.name"] for resource in resources} == set(SERVICES)
    for resource in resources:
        assert {"service.version", "service.namespace", "host.name", "telemetry.sdk.language"} <= dict(
            resource
        ).keys()


def test_every_parent_was_sent_too_and_every_server_has_a_client(history: tuple[Sink, int]) -> None:
    sink, _ = history
    spans = {(span.trace_id, span.span_id): span for span in sink.spans()}
    callers: Counter[int] = Counter()
    for span in spans.values():
        if not span.parent_span_id:
            assert span.kind in {Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER}
            continue
        parent = spans[span.trace_id, span.parent_span_id]
        if span.kind == Span.SPAN_KIND_SERVER:
            assert parent.kind == Span.SPAN_KIND_CLIENT
            callers[span.kind] += 1
        if span.kind == Span.SPAN_KIND_CONSUMER:
            assert parent.kind == Span.SPAN_KIND_PRODUCER
            callers[span.kind] += 1
    assert min(callers[Span.SPAN_KIND_SERVER], callers[Span.SPAN_KIND_CONSUMER]) > 50


def test_batch_consumers_link_to_the_producers_of_other_traces(history: tuple[Sink, int]) -> None:
    sink, _ = history
    spans = {(span.trace_id, span.span_id): span for span in sink.spans()}
    batches = [span for span in spans.values() if span.links]
    assert batches
    for batch in batches:
        assert not batch.parent_span_id
        assert len(batch.links) > 1
        for link in batch.links:
            assert spans[link.trace_id, link.span_id].kind == Span.SPAN_KIND_PRODUCER
            assert link.trace_id != batch.trace_id


def test_the_search_shards_are_asked_side_by_side(history: tuple[Sink, int]) -> None:
    sink, _ = history
    shards: dict[bytes, list[Span]] = {}
    for span in sink.spans():
        if span.name.startswith("SEARCH shard"):
            shards.setdefault(span.parent_span_id, []).append(span)
    assert shards
    for fan in shards.values():
        assert len(fan) == 4
        assert len({span.start_time_unix_nano for span in fan}) == 1


def test_what_follows_a_fan_out_begins_when_its_last_branch_has_ended(history: tuple[Sink, int]) -> None:
    sink, _ = history
    ends: dict[bytes, int] = {}
    begins: dict[bytes, int] = {}
    for span in sink.spans():
        if span.name.startswith("SEARCH shard"):
            ends[span.parent_span_id] = max(ends.get(span.parent_span_id, 0), span.end_time_unix_nano)
        elif span.name == "rank":
            begins[span.parent_span_id] = span.start_time_unix_nano
    assert begins == ends


def durations(sink: Sink, name: str, since: int, until: int) -> list[int]:
    return [
        span.end_time_unix_nano - span.start_time_unix_nano
        for span in sink.spans()
        if span.name == name and since <= span.start_time_unix_nano < until
    ]


def test_the_dependency_degrades_when_it_should_and_only_it(history: tuple[Sink, int]) -> None:
    sink, _ = history
    middle, end = BEGIN + 120 * SECOND, BEGIN + 250 * SECOND
    slow = statistics.median(durations(sink, "UPDATE stock", middle, end))
    fast = statistics.median(durations(sink, "UPDATE stock", BEGIN, middle))
    assert slow / fast == pytest.approx(SLOWER, rel=0.5)
    other_slow = statistics.median(durations(sink, "INSERT order", middle, end))
    other_fast = statistics.median(durations(sink, "INSERT order", BEGIN, middle))
    assert other_slow / other_fast == pytest.approx(1.0, rel=0.4)


def test_a_caller_that_gives_up_has_an_error_and_the_server_goes_on(history: tuple[Sink, int]) -> None:
    sink, _ = history
    spans = {(span.trace_id, span.span_id): span for span in sink.spans()}
    given_up = [
        span
        for span in spans.values()
        if span.kind == Span.SPAN_KIND_CLIENT
        and any(a.value.string_value == "timeout" for a in span.attributes)
        and span.name == "POST /reservations"
    ]
    assert given_up
    for client in given_up:
        assert client.start_time_unix_nano >= BEGIN + 120 * SECOND
        assert client.end_time_unix_nano - client.start_time_unix_nano == INVENTORY_TIMEOUT_MS * 1e6
        assert client.status.code == 2
        assert client.events[0].name == "exception"
        (server,) = (span for span in spans.values() if span.parent_span_id == client.span_id)
        assert server.end_time_unix_nano > client.end_time_unix_nano


def structure(exporter: InMemorySpanExporter) -> list[tuple[object, ...]]:
    return [(span.name, span.kind, span.start_time, span.end_time) for span in exporter.get_finished_spans()]


def record(config: ShopConfig) -> list[tuple[object, ...]]:
    exporter = InMemorySpanExporter()
    shop = Shop(lambda: exporter, config)
    shop.backfill(BEGIN, BEGIN + 20 * SECOND)
    found = structure(exporter)
    shop.shutdown()
    return found


def test_the_same_seed_is_the_same_shop_and_another_is_not() -> None:
    config = ShopConfig(rate_per_s=3.0, faults=(Fault("cpu", since_s=10.0),), seed=9)
    assert record(config) == record(config)
    assert record(config) != record(ShopConfig(rate_per_s=3.0, faults=(Fault("cpu", since_s=10.0),), seed=10))


def test_live_traffic_never_ends_in_the_future() -> None:
    import time

    late: list[int] = []

    class Watching(InMemorySpanExporter):
        def export(self, spans):  # type: ignore[no-untyped-def]
            late.extend(
                span.start_time for span in spans if span.start_time > time.time_ns() - LIVE_LAG_NS // 5
            )
            return super().export(spans)

    exporter = Watching()
    shop = Shop(lambda: exporter, ShopConfig(rate_per_s=30.0))
    stop = threading.Event()
    thread = threading.Thread(target=shop.run, args=(stop,))
    thread.start()
    while len(exporter.get_finished_spans()) < 100:
        time.sleep(0.05)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    shop.shutdown()
    assert not late


def test_a_collector_that_is_gone_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with running_sink() as sink:
        sink.refuse, sink.reason = True, "no room"
        shop = Shop(lambda: OTLPSpanExporter(endpoint=sink.endpoint, insecure=True), ShopConfig())
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                shop.emit(BEGIN + number)
                shop.flush()
            assert shop.sent == 0
            assert shop.failed > 10
            sink.refuse = False
            shop.emit(BEGIN + 3)
            shop.flush()
        shop.shutdown()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "the shop's spans are not accepted: no room",
        "the shop's spans are accepted again",
    ]


def test_exporters_of_any_kind_will_do() -> None:
    exporter: SpanExporter = InMemorySpanExporter()
    shop = Shop(lambda: exporter)
    shop.emit(BEGIN)
    shop.shutdown()
    assert shop.sent > 0
