"""Jaeger's API on the collector: shapes and rules as its UI and Grafana rely on them.

The facts about traces whose services begin with ``query`` are from Jaeger's storage fixtures (Apache-2.0).
"""

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.jaeger import data, got, stored
from support.otlp import key_values, request, span
from tracescape import connect
from tracescape.collector import Collector
from tracescape_storage.duckdb_file import DuckDBReader

START = 1_485_449_191_639_875_000  # 2017-01-26T16:46:31.639875Z
TRACE = bytes.fromhex("0000000000000000000000000000000a")
WIDE = bytes.fromhex("a000000000000000000000000000000b")
WINDOW = {"start": str(START // 1000 - 10**6), "end": str(START // 1000 + 10**6)}
V3_WINDOW = {
    "query.startTimeMin": "2017-01-26T15:46:31.639875Z",
    "query.startTimeMax": "2017-01-26T17:46:31.639875Z",
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    home: Path = tmp_path_factory.mktemp("jaeger")
    with Collector(home / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        stored(running, frontend(), cart(), *sameplace())
        yield running


def at(name: str, *, after_ns: int = 0, duration_ns: int = 5_000, **options: Any) -> Span:
    return span(name, start=START + after_ns, end=START + after_ns + duration_ns, **options)


def frontend() -> Any:
    root = at(
        "GET /cart",
        trace_id=WIDE,
        span_id=b"\0" * 7 + b"\1",
        duration_ns=9_999,
        attributes={
            "http.status_code": 500, "big": 2**60, "ratio": 0.5, "nan": math.nan, "flag": False,
            "raw": b"\0\0\x30\x39", "list": ["<a>", 1, 2.0, None], "map": {"b": 1, "a": b"x"}, "none": None,
            "/odd~key": "é", "$x": "y",
        },
    )  # fmt: skip
    root.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="it broke"))
    root.trace_state, root.flags = "a=b", 1
    root.events.add(time_unix_nano=START + 2_000, name="late", attributes=key_values({"z": 1, "a": "x"}))
    root.events.add(
        time_unix_nano=START + 1_000, name="named", attributes=key_values({"event": "by attribute"})
    )
    root.links.add(trace_id=TRACE, span_id=b"\xff" * 8)
    root.links.add(
        trace_id=WIDE, span_id=b"\xfe" * 8, attributes=key_values({"opentracing.ref_type": "child_of"})
    )
    message = request(root, service="frontend", host="h1")
    scope = message.resource_spans[0].scope_spans[0].scope
    scope.name, scope.version = "lib", "1.2"
    return message


def cart() -> Any:
    child = at("get", after_ns=1_000, trace_id=WIDE, span_id=b"\0" * 7 + b"\2", parent=b"\0" * 7 + b"\1")
    child.links.add(
        trace_id=WIDE,
        span_id=b"\0" * 7 + b"\1",
        attributes=key_values({"opentracing.ref_type": "follows_from"}),
    )
    orphan = at("put", trace_id=TRACE, span_id=b"\xff" * 8, parent=b"\x11" * 8, kind=Span.SPAN_KIND_INTERNAL)
    orphan.status.code = Status.STATUS_CODE_OK
    return request(child, orphan, service="cart/v2")


def sameplace() -> list[Any]:
    values = {
        "sameplacetag1": "sameplacevalue",
        "sameplacetag2": 123,
        "sameplacetag3": 72.5,
        "sameplacetag4": True,
    }
    of_span = at("placeholder", trace_id=b"\1" * 16, attributes=values)
    of_log = at("placeholder", trace_id=b"\2" * 16)
    of_log.events.add(time_unix_nano=START, attributes=key_values(values))
    of_process = at("placeholder", trace_id=b"\3" * 16)
    mixed = at("placeholder", trace_id=b"\4" * 16, attributes={"sameplacetag4": True, "sameplacetag3": 72.5})
    mixed.events.add(time_unix_nano=START, attributes=key_values({"sameplacetag2": 123}))
    return [
        request(of_span, service="query01-service"),
        request(of_log, service="query02-service"),
        request(of_process, service="query03-service", **values),
        request(mixed, service="query04-service", sameplacetag1="sameplacevalue"),
    ]


def found(collector: Collector, **parameters: str) -> list[str]:
    return [trace["traceID"] for trace in data(collector, "/api/traces", **WINDOW, **parameters)]


def test_services_and_their_operations(collector: Collector) -> None:
    answer = got(collector, "/api/services")
    names = [
        "cart/v2",
        "frontend",
        "query01-service",
        "query02-service",
        "query03-service",
        "query04-service",
    ]
    assert answer == {"data": names, "total": 6, "limit": 0, "offset": 0, "errors": None}
    assert got(collector, "/api/services/cart%2Fv2/operations") == {
        "data": ["get", "put"],
        "total": 2,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    assert data(collector, "/api/operations", service="cart/v2") == [
        {"name": "get", "spanKind": "server"},
        {"name": "put", "spanKind": "internal"},
    ]
    assert data(collector, "/api/operations", service="cart/v2", spanKind="server") == [
        {"name": "get", "spanKind": "server"}
    ]
    assert data(collector, "/api/services/nobody/operations") == []


def test_a_trace_in_the_legacy_json(collector: Collector) -> None:
    (trace,) = data(collector, f"/api/traces/{WIDE.hex()}")
    assert (trace["traceID"], trace["warnings"]) == (WIDE.hex(), None)
    assert trace["processes"] == {
        "p1": {"serviceName": "frontend", "tags": [{"key": "host", "type": "string", "value": "h1"}]},
        "p2": {"serviceName": "cart/v2", "tags": []},
    }
    root, child = trace["spans"]
    assert (root["spanID"], root["operationName"], root["processID"]) == (
        "0000000000000001",
        "GET /cart",
        "p1",
    )
    assert (root["startTime"], root["duration"]) == (1_485_449_191_639_875, 9), "microseconds, rounded down"
    assert (root["flags"], root["warnings"]) == (1, None)
    assert "flags" not in child
    assert [(tag["key"], tag["type"], tag["value"]) for tag in root["tags"]] == [
        ("otel.scope.name", "string", "lib"),
        ("otel.scope.version", "string", "1.2"),
        ("$x", "string", "y"),
        ("/odd~key", "string", "é"),
        ("big", "int64", str(2**60)),
        ("flag", "bool", False),
        ("http.status_code", "int64", 500),
        ("list", "string", '["\\u003ca\\u003e",1,2,null]'),
        ("map", "string", '{"a":"eA==","b":1}'),
        ("nan", "float64", "NaN"),
        ("none", "string", ""),
        ("ratio", "float64", 0.5),
        ("raw", "binary", "AAAwOQ=="),
        ("span.kind", "string", "server"),
        ("otel.status_code", "string", "ERROR"),
        ("error", "bool", True),
        ("otel.status_description", "string", "it broke"),
        ("w3c.tracestate", "string", "a=b"),
    ]
    assert root["logs"] == [
        {
            "timestamp": 1_485_449_191_639_876,
            "fields": [{"key": "event", "type": "string", "value": "by attribute"}],
        },
        {
            "timestamp": 1_485_449_191_639_877,
            "fields": [
                {"key": "event", "type": "string", "value": "late"},
                {"key": "a", "type": "string", "value": "x"},
                {"key": "z", "type": "int64", "value": 1},
            ],
        },
    ]


def test_references_are_the_parent_and_then_the_links(collector: Collector) -> None:
    (trace,) = data(collector, f"/api/traces/{WIDE.hex()}")
    root, child = trace["spans"]
    assert root["references"] == [
        {"refType": "FOLLOWS_FROM", "traceID": "000000000000000a", "spanID": "ffffffffffffffff"},
        {"refType": "CHILD_OF", "traceID": WIDE.hex(), "spanID": "fefefefefefefefe"},
    ]
    assert child["references"] == [
        {"refType": "FOLLOWS_FROM", "traceID": WIDE.hex(), "spanID": "0000000000000001"}
    ], "a link to the parent says what kind of parent it is"
    (orphan,) = data(collector, "/api/traces/a")[0]["spans"]
    assert orphan["references"] == [
        {"refType": "CHILD_OF", "traceID": "000000000000000a", "spanID": "1111111111111111"}
    ]
    assert [(tag["key"], tag["value"]) for tag in orphan["tags"]] == [
        ("otel.scope.name", "test"),
        ("span.kind", "internal"),
        ("otel.status_code", "OK"),
    ]


def test_a_trace_id_is_64_or_128_bits_of_hex(collector: Collector) -> None:
    for text in ("a", "000000000000000a", TRACE.hex(), TRACE.hex().upper()):
        assert data(collector, f"/api/traces/{text}")[0]["traceID"] == "000000000000000a"
    error = {"data": None, "total": 0, "limit": 0, "offset": 0}
    assert got(collector, "/api/traces/ffff", 404) == {
        **error,
        "errors": [{"code": 404, "msg": "trace not found"}],
    }
    (wrong,) = got(collector, "/api/traces/xyz", 400)["errors"]
    assert wrong == {"code": 400, "msg": 'strconv.ParseUint: parsing "xyz": invalid syntax'}


def test_traces_by_their_ids_say_which_are_missing(collector: Collector) -> None:
    answer = got(collector, "/api/traces?traceID=a&traceID=ffff")
    assert [trace["traceID"] for trace in answer["data"]] == ["000000000000000a"]
    assert answer["errors"] == [{"msg": "trace not found", "traceID": "000000000000ffff"}]


def test_a_search_needs_a_service_and_says_what_is_wrong(collector: Collector) -> None:
    assert got(collector, "/api/traces", 400)["errors"] == [
        {"code": 400, "msg": "parameter 'service' is required"}
    ]
    assert got(collector, "/api/operations", 400)["errors"][0]["msg"] == "parameter 'service' is required"
    assert "minDuration" in got(collector, "/api/traces?service=x&minDuration=1", 400)["errors"][0]["msg"]
    assert got(collector, "/api/traces?service=frontend")["data"] == [], "nothing in the last two days"


def test_a_search_by_service_operation_duration_and_limit(collector: Collector) -> None:
    assert found(collector, service="frontend") == [WIDE.hex()]
    assert found(collector, service="cart/v2") == [WIDE.hex(), "000000000000000a"], "the newest first"
    assert found(collector, service="cart/v2", limit="1") == [WIDE.hex()]
    assert found(collector, service="cart/v2", operation="put") == ["000000000000000a"]
    assert found(collector, service="cart/v2", operation="GET /cart") == [], "of that service's spans"
    assert found(collector, service="frontend", minDuration="9.999us", maxDuration="10us") == [WIDE.hex()]
    assert found(collector, service="frontend", minDuration="10us") == []
    assert found(collector, service="it's") == []


@pytest.mark.parametrize(
    "tags",
    [
        '{"http.status_code":"500"}', '{"flag":"false"}', '{"ratio":"0.5"}', '{"/odd~key":"é"}', '{"$x":"y"}',
        '{"host":"h1"}', '{"error":"true"}', '{"span.kind":"server"}', '{"otel.status_code":"ERROR"}',
        '{"otel.status_description":"it broke"}', '{"otel.scope.name":"lib"}', '{"w3c.tracestate":"a=b"}',
        '{"z":"1"}', '{"event":"late"}', '{"opentracing.ref_type":"child_of"}',
        '{"big":"1152921504606846976"}',
        '{"http.status_code":"500","host":"h1","z":"1","error":"true"}',
    ],
)  # fmt: skip
def test_a_tag_is_found_wherever_jaeger_shows_it(collector: Collector, tags: str) -> None:
    assert found(collector, service="frontend", tags=tags) == [WIDE.hex()]


@pytest.mark.parametrize(
    "tags",
    [
        '{"http.status_code":"50"}', '{"nothing":"1"}', '{"error":"false"}', '{"span.kind":"client"}',
        '{"http.status_code":"500","host":"h2"}', '{"x\' OR 1=1 --":"1"}', '{"a":"\' OR \'\'=\'"}', '{"":""}',
    ],
)  # fmt: skip
def test_a_tag_that_is_not_there_is_not_found(collector: Collector, tags: str) -> None:
    assert found(collector, service="frontend", tags=tags) == []


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_tags_in_one_spot_or_in_several_are_jaegers_own_cases(collector: Collector, number: int) -> None:
    tags = dict(zip("1234", ("sameplacevalue", "123", "72.5", "true"), strict=True))
    text = json.dumps({f"sameplacetag{each}": value for each, value in tags.items()})
    assert found(collector, service=f"query0{number}-service", tags=text) == [f"{number:02d}" * 16]


def test_a_whole_double_is_found_with_and_without_its_point(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        stored(collector, request(at("x", attributes={"load": 2.0})))
        for text in ("2", "2.0"):
            assert len(found(collector, service="shop", tag=f"load:{text}")) == 1


def test_v3_services_and_operations(collector: Collector) -> None:
    assert got(collector, "/api/v3/services")["services"][:2] == ["cart/v2", "frontend"]
    assert got(collector, "/api/v3/operations?service=cart/v2&span_kind=internal") == {
        "operations": [{"name": "put", "spanKind": "internal"}]
    }


def test_v3_traces_are_otlp_json_in_an_envelope(collector: Collector) -> None:
    answer = got(collector, f"/api/v3/traces/{TRACE.hex()}")
    (group,) = answer["result"]["resourceSpans"]
    (only,) = group["scopeSpans"][0]["spans"]
    assert (only["traceId"], only["spanId"], only["kind"]) == (TRACE.hex(), "f" * 16, 1)
    searched = got(collector, "/api/v3/traces", **{**V3_WINDOW, "query.serviceName": "cart/v2"})
    spans = [
        each
        for group in searched["result"]["resourceSpans"]
        for scope in group["scopeSpans"]
        for each in scope["spans"]
    ]
    assert {each["traceId"] for each in spans} == {TRACE.hex(), WIDE.hex()}
    assert len(spans) == 3, "whole traces"


def test_v3_errors_are_in_its_own_envelope(collector: Collector) -> None:
    none = {"error": {"httpCode": 404, "message": "No traces found"}}
    assert got(collector, "/api/v3/traces/ffff", 404) == none
    assert got(collector, "/api/v3/traces", 404, **{**V3_WINDOW, "query.serviceName": "nobody"}) == none
    assert got(collector, "/api/v3/traces", 400) == {
        "error": {"httpCode": 400, "message": "query.startTimeMin and query.startTimeMax are required"}
    }
    assert "malformed parameter trace_id" in got(collector, "/api/v3/traces/x", 400)["error"]["message"]


def test_v3_summaries_are_what_the_list_of_results_shows(collector: Collector) -> None:
    answer = got(collector, "/api/v3/trace-summaries", **{**V3_WINDOW, "query.service_name": "cart/v2"})
    assert answer["summaries"] == [
        {
            "traceId": WIDE.hex(),
            "rootServiceName": "frontend",
            "rootOperationName": "GET /cart",
            "minStartTimeUnixNano": str(START),
            "maxEndTimeUnixNano": str(START + 9_999),
            "spanCount": 2,
            "errorSpanCount": 1,
            "orphanSpanCount": 0,
            "services": [
                {"name": "cart/v2", "spanCount": 1, "errorSpanCount": 0},
                {"name": "frontend", "spanCount": 1, "errorSpanCount": 1},
            ],
        },
        {
            "traceId": TRACE.hex(),
            "rootServiceName": "",
            "rootOperationName": "",
            "minStartTimeUnixNano": str(START),
            "maxEndTimeUnixNano": str(START + 5_000),
            "spanCount": 1,
            "errorSpanCount": 0,
            "orphanSpanCount": 1,
            "services": [{"name": "cart/v2", "spanCount": 1, "errorSpanCount": 0}],
        },
    ]
    empty = got(collector, "/api/v3/trace-summaries", **{**V3_WINDOW, "query.serviceName": "nobody"})
    assert empty == {"summaries": []}


def test_dependencies_come_from_the_topology(collector: Collector) -> None:
    end = START // 10**6 + 60_000
    answer = got(collector, "/api/dependencies", endTs=str(end), lookback="120000")
    assert {"parent": "frontend", "child": "cart/v2", "callCount": 1} in answer["data"]
    assert answer["errors"] is None
    of_one = data(collector, "/api/dependencies", endTs=str(end), lookback="120000", service="nobody")
    assert of_one == data(collector, "/api/dependencies") == []
    v3 = got(
        collector, "/api/v3/dependencies", startTime="2017-01-26T16:46:00Z", endTime="2017-01-26T16:47:00Z"
    )
    assert {"parent": "frontend", "child": "cart/v2", "callCount": "1"} in v3["dependencies"]


MINUTE = 60_000
END = START // 10**6 + 5 * MINUTE
MONITOR = {"endTs": str(END), "lookback": str(10 * MINUTE), "step": str(MINUTE), "ratePer": str(2 * MINUTE)}


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A service that answers a call each 7 s from 4 minutes before START on, every third with an error."""
    home: Path = tmp_path_factory.mktemp("monitored")
    with Collector(home / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        stored(running, request(*(call(number) for number in range(60)), service="shop's"))
        yield running


def call(number: int) -> Span:
    made = at(
        "GET /" if number % 2 else "GET /cart",
        after_ns=(number * 7 - 240) * 10**9,
        duration_ns=number * number % 53 * 10**6 + 500_000,
        kind=Span.SPAN_KIND_CLIENT if number % 10 == 9 else Span.SPAN_KIND_SERVER,
    )
    if number % 3 == 0:
        made.status.code = Status.STATUS_CODE_ERROR
    return made


def calls_before(end_ms: int, operation: str | None = None) -> list[Span]:
    """The served calls of the two minutes up to ``end_ms``."""
    return [
        each
        for each in map(call, range(60))
        if end_ms - 2 * MINUTE < each.start_time_unix_nano / 1e6 <= end_ms
        and each.kind == Span.SPAN_KIND_SERVER
        and operation in {None, each.name}
    ]


def points(metric: dict[str, Any]) -> dict[int, float]:
    """By the epoch in ms."""
    return {
        round(datetime.fromisoformat(point["timestamp"]).timestamp() * 1000): point["gaugeValue"][
            "doubleValue"
        ]
        for point in metric["metricPoints"]
    }


def median(calls: list[Span]) -> float:
    durations = sorted(each.end_time_unix_nano - each.start_time_unix_nano for each in calls)
    return durations[(len(durations) - 1) // 2] / 1e6


def failed(calls: list[Span]) -> float:
    return sum(each.status.code == Status.STATUS_CODE_ERROR for each in calls) / len(calls)


def test_the_monitor_shows_rates_of_calls_with_the_zeros(monitored: Collector) -> None:
    answer = got(monitored, "/api/metrics/calls", service="shop's", **MONITOR)
    (metric,) = answer["metrics"]
    assert (answer["name"], answer["type"]) == ("service_call_rate", "GAUGE")
    assert answer["help"] == "calls/sec, grouped by service"
    assert metric["labels"] == [{"name": "service_name", "value": "shop's"}]
    ends = [END - minutes * MINUTE for minutes in range(10, -1, -1)]
    assert list(points(metric)) == ends, "the oldest first"
    expected = [len(calls_before(end)) / 120 for end in ends]
    assert list(points(metric).values()) == pytest.approx(expected)
    assert expected[0] == 0 < expected[4]


@pytest.mark.parametrize(("metric", "value"), [("errors", failed), ("latencies", median)])
def test_the_monitor_shows_shares_of_errors_and_quantiles_where_there_are_calls(
    monitored: Collector, metric: str, value: Callable[[list[Span]], float]
) -> None:
    answer = got(monitored, f"/api/metrics/{metric}", service="shop's", quantile="0.5", **MONITOR)
    expected = {end: calls_before(end) for end in (END - minutes * MINUTE for minutes in range(11))}
    assert points(answer["metrics"][0]) == pytest.approx(
        {end: value(calls) for end, calls in expected.items() if calls}, rel=0.004
    )


@pytest.mark.parametrize("quantile", [0, 0.75, 0.95, 1])
def test_the_monitor_shows_any_quantile(monitored: Collector, quantile: float) -> None:
    answer = got(monitored, "/api/metrics/latencies", service="shop's", quantile=str(quantile), **MONITOR)
    durations = sorted(
        (each.end_time_unix_nano - each.start_time_unix_nano) / 1e6 for each in calls_before(END - MINUTE)
    )
    rank = max(1, math.ceil(quantile * len(durations) - 1e-6))
    assert points(answer["metrics"][0])[END - MINUTE] == pytest.approx(durations[rank - 1], rel=0.004)


def test_the_monitors_table_is_by_operation(monitored: Collector) -> None:
    answer = got(monitored, "/api/metrics/calls", service="shop's", groupByOperation="true", **MONITOR)
    assert answer["name"] == "service_operation_call_rate"
    labels = [[label["value"] for label in metric["labels"]] for metric in answer["metrics"]]
    assert labels == [["shop's", "GET /"], ["shop's", "GET /cart"]]
    for metric, (_, operation) in zip(answer["metrics"], labels, strict=True):
        assert points(metric)[END - MINUTE] == len(calls_before(END - MINUTE, operation)) / 120


def test_the_monitor_tells_kinds_of_spans_apart(monitored: Collector) -> None:
    def rates(kind: str) -> list[float]:
        answer = got(monitored, "/api/metrics/calls", service="shop's", spanKind=kind, **MONITOR)
        return [sum(points(metric).values()) for metric in answer["metrics"]]

    assert rates("consumer") == []
    assert 0 < rates("client")[0] < rates("server")[0]


def test_metrics_of_nobody_are_none_and_what_is_wrong_is_said(
    monitored: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert got(monitored, "/api/metrics/calls", service="nobody", **MONITOR)["metrics"] == []
    assert got(monitored, "/api/metrics/minstep")["data"] == 1
    assert got(monitored, "/api/metrics/weather", 404, service="x")["errors"][0]["code"] == 404
    assert "quantile" in got(monitored, "/api/metrics/latencies", 400, service="x")["errors"][0]["msg"]
    monkeypatch.setattr("tracescape_analytics.jaeger.metrics.MOST_POINTS", 10)
    answer = got(monitored, "/api/metrics/calls", 400, service="shop's", **MONITOR)
    assert answer["errors"][0]["msg"] == "more than 10 points: take a longer step or a shorter lookback"


def test_one_answer_holds_a_bounded_number_of_spans(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracescape_analytics.jaeger.routes.MOST_SPANS", 2)
    answer = got(collector, "/api/traces", service="cart/v2", **WINDOW)
    assert [trace["traceID"] for trace in answer["data"]] == [WIDE.hex()]
    assert answer["errors"] == [
        {"msg": "not read: an answer holds 2 spans", "traceID": "000000000000000a"}
    ], "what is left out is named"


def test_with_keys_each_tenant_sees_its_own(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[tenants]\nshop = ["the-key-of-the-shop"]\nbank = ["the-key-of-the-bank"]\n')
    keys.chmod(0o600)
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", api_keys=keys) as collector:
        stored(collector, request(at("x"), service="vault"))  # the first tenant is the bank
        url = f"{collector.http_url}/api/services"
        assert httpx.get(url).status_code == 401
        for key, names in (("the-key-of-the-bank", ["vault"]), ("the-key-of-the-shop", [])):
            answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=20)
            assert answer.json()["data"] == names


def test_a_strangers_page_sees_nothing(collector: Collector) -> None:
    answer = httpx.get(f"{collector.http_url}/api/services", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_every_form_of_a_trace_says_what_the_store_says(collector: Collector) -> None:
    with connect(collector.http_url) as store:
        for trace_id in (WIDE.hex(), TRACE.hex(), *(f"{number:02d}" * 16 for number in range(1, 5))):
            spans = store.trace(trace_id).spans
            (legacy,) = data(collector, f"/api/traces/{trace_id}")
            expected = {
                span["span_id"]: (
                    span["service"],
                    span["operation"],
                    span["start_ns"] // 1_000,
                    span["duration_ns"] // 1_000,
                    span["status"] == "error",
                    span["parent_span_id"],
                )
                for span in spans.iter_rows(named=True)
            }
            assert {span["spanID"]: shown(legacy, span) for span in legacy["spans"]} == expected, trace_id
            (service, *_) = expected[spans["span_id"][0]]
            window = {**V3_WINDOW, "query.serviceName": service}
            summaries = got(collector, "/api/v3/trace-summaries", **window)["summaries"]
            (summary,) = (each for each in summaries if each["traceId"] == trace_id)
            assert summary["spanCount"] == spans.height
            assert summary["errorSpanCount"] == (spans["status"] == "error").sum()
            assert len(summary["services"]) == spans["service"].n_unique()


def shown(trace: Any, span: Any) -> tuple[Any, ...]:
    """What Jaeger's UI shows of a span in its timeline."""
    of_trace = [each["spanID"] for each in span["references"] if each["traceID"] == trace["traceID"]]
    is_root = any(tag["key"] == "http.status_code" for tag in span["tags"])  # what it has are links
    return (
        trace["processes"][span["processID"]]["serviceName"],
        span["operationName"],
        span["startTime"],
        span["duration"],
        any(tag["key"] == "error" and tag["value"] is True for tag in span["tags"]),
        "" if is_root or not of_trace else of_trace[0],
    )


def posted(collector: Collector, path: str, body: bytes, expected: int = 200) -> Any:
    answer = httpx.post(f"{collector.http_url}{path}", content=body, timeout=60)
    assert answer.status_code == expected, answer.text
    return answer.json()


def test_a_file_that_is_uploaded_looks_as_if_it_were_stored_and_is_not(
    collector: Collector, tmp_path: Path
) -> None:
    stored_trace = data(collector, f"/api/traces/{WIDE.hex()}")
    otlp = got(collector, f"/api/v3/traces/{WIDE.hex()}")["result"]
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as empty:
        answer = posted(empty, "/api/transform", json.dumps(otlp).encode())
        assert answer == {"data": stored_trace, "total": 0, "limit": 0, "offset": 0, "errors": None}
        assert data(empty, "/api/services") == []


def test_every_trace_of_an_uploaded_file_is_shown(collector: Collector) -> None:
    otlp = got(collector, "/api/v3/traces", **{**V3_WINDOW, "query.serviceName": "cart/v2"})["result"]
    answer = posted(collector, "/api/transform", json.dumps(otlp).encode())
    assert {trace["traceID"]: len(trace["spans"]) for trace in answer["data"]} == {
        WIDE.hex(): 2,
        "000000000000000a": 1,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "this is no JSON"),
        (b"[]", 'this is no OTLP JSON; it needs a list "resourceSpans"'),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01"}]}]}]}', "trace id"),
    ],
)
def test_a_file_that_is_no_otlp_is_refused_with_the_reason(
    collector: Collector, body: bytes, message: str
) -> None:
    answer = posted(collector, "/api/transform", body, 400)
    assert message in answer["errors"][0]["msg"]


def test_a_span_that_cannot_be_read_is_named_and_the_others_are_shown(collector: Collector) -> None:
    otlp = got(collector, f"/api/v3/traces/{TRACE.hex()}")["result"]
    otlp["resourceSpans"][0]["scopeSpans"][0]["spans"].append({"traceId": "01", "spanId": "02"})
    answer = posted(collector, "/api/transform", json.dumps(otlp).encode())
    assert [len(trace["spans"]) for trace in answer["data"]] == [1]
    assert "trace id" in answer["errors"][0]["msg"]


def test_an_upload_is_bounded(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracescape_analytics.jaeger.uploads.MOST_BYTES", 100)
    answer = posted(collector, "/api/transform", b" " * 101, 413)
    assert answer["errors"][0]["code"] == 413


def test_there_is_no_archive(collector: Collector) -> None:
    answer = posted(collector, f"/api/archive/{WIDE.hex()}", b"", 501)
    assert answer["errors"] == [{"code": 501, "msg": "archive storage is not configured"}]


def test_a_page_of_traces_is_read_at_once_however_many_they_are(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counting(self: DuckDBReader, query: str) -> Any:
        asked.append(query)
        return read(self, query)

    read = DuckDBReader.sql
    monkeypatch.setattr(DuckDBReader, "sql", counting)

    def reads(*ids: str) -> int:
        asked.clear()
        answer = httpx.get(f"{collector.http_url}/api/traces", params={"traceID": list(ids)}, timeout=60)
        assert len(answer.json()["data"]) == len(ids)
        return len(asked)

    some = [WIDE.hex(), TRACE.hex(), *(f"{number:02d}" * 16 for number in range(1, 5))]
    assert reads(*some) == reads(*some[:2]) > 0
