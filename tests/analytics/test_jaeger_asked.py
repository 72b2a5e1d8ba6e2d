"""The parameters of Jaeger's API: what they mean, and what is said about those that mean nothing."""

import time
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from tracescape_analytics.jaeger import asked
from tracescape_analytics.jaeger.asked import ParameterError

SECOND = 10**9
DAY = 86_400 * SECOND


def legacy(**parameters: str) -> tuple[asked.Search, list[bytes]]:
    return asked.legacy_search(QueryParams(parameters))


def v3(**parameters: str) -> asked.Search:
    window = {"startTimeMin": "2017-01-26T15:46:31.639875Z", "startTimeMax": "2017-01-26T18:46:31+01:00"}
    return asked.v3_search(
        QueryParams({f"query.{name}": text for name, text in (window | parameters).items()})
    )


def test_what_is_not_said_is_jaegers_default() -> None:
    now = time.time_ns()
    search, ids = legacy(service="cart")
    assert (search.service, search.operation, search.tags, search.limit, ids) == ("cart", "", {}, 100, [])
    assert (search.shortest_ns, search.longest_ns) == (0, 0)
    assert abs(search.until_ns - now) < 10 * SECOND
    assert abs(search.since_ns - (now - 2 * DAY)) < 10 * SECOND


def test_everything_at_once() -> None:
    search, _ = legacy(
        service="a/b", operation="GET /", start="1485445591639875", end="1485445591639876", limit="20",
        minDuration="1.5ms", maxDuration="1h2m3s", tag="http.url:http://x:80/", tags='{"error":"true"}',
        lookback="1h",
    )  # fmt: skip
    assert search == asked.Search(
        service="a/b",
        operation="GET /",
        since_ns=1_485_445_591_639_875_000,
        until_ns=1_485_445_591_639_876_999,
        tags={"http.url": "http://x:80/", "error": "true"},
        shortest_ns=1_500_000,
        longest_ns=3723 * SECOND,
        limit=20,
    )


def test_trace_ids_need_no_service_and_have_64_or_128_bits() -> None:
    _, ids = asked.legacy_search(QueryParams([("traceID", "1"), ("traceID", "ABCDEF" + "0" * 26)]))
    assert ids == [b"\0" * 15 + b"\1", bytes.fromhex("abcdef" + "0" * 26)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameter 'service' is required"),
        ({"service": "x", "start": "yesterday"}, "unable to parse param 'start': strconv.ParseInt: parsing"),
        ({"service": "x", "end": "9" * 30}, "unable to parse param 'end': .*value out of range"),
        ({"service": "x", "limit": "many"}, 'strconv.ParseInt: parsing "many": invalid syntax'),
        ({"service": "x", "limit": "0"}, "invalid parameter: limit must be greater than 0"),
        ({"service": "x", "limit": "-5"}, "invalid parameter: limit must be greater than 0"),
        ({"service": "x", "start": "2", "end": "1"}, "invalid parameter: start time must be before end time"),
        ({"service": "x", "minDuration": "20"}, "param 'minDuration': time: missing unit in duration \"20\""),
        ({"service": "x", "maxDuration": "1y"}, "param 'maxDuration': time: invalid duration \"1y\""),
        ({"service": "x", "minDuration": "2s", "maxDuration": "1s"}, "'maxDuration' should be greater than"),
        ({"service": "x", "tag": "novalue"}, "malformed 'tag' parameter, expecting key:value, received: "),
        ({"service": "x", "tags": "{"}, "malformed 'tags' parameter, cannot unmarshal JSON: "),
        ({"service": "x", "tags": '{"a": 1}'}, "malformed 'tags' parameter, cannot unmarshal JSON: "),
        ({"service": "x", "tags": "[" * 100_000}, "malformed 'tags' parameter, cannot unmarshal JSON: "),
        ({"traceID": "xyz"}, "cannot parse traceID param: strconv.ParseUint: parsing \"xyz\""),
        ({"traceID": "0" * 33}, "cannot parse traceID param: TraceID cannot be longer than 32 hex"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_jaegers_words(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        legacy(**parameters)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("5us", 5_000),
        ("5µs", 5_000),
        ("1.5s", 1_500_000_000),
        ("100ms", 100_000_000),
        ("1h2m3.5s", 3_723_500_000_000),
        (".5s", 500_000_000),
        ("-1ns", -1),
        ("1.s", SECOND),
    ],
)
def test_durations_are_gos(text: str, ns: int) -> None:
    assert asked.duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "s", "1 s", "1d", "1s1", "--1s", "1..5s", "9" * 40 + "h", "１s"])
def test_what_go_takes_for_no_duration_is_none(text: str) -> None:
    with pytest.raises(ParameterError, match="time: "):
        asked.duration_ns(text)


def test_v3_reads_both_spellings() -> None:
    search = v3(serviceName="cart", durationMin="1ms", searchDepth="7", attributes='{"error":"true"}')
    assert (search.service, search.shortest_ns, search.limit, search.tags) == (
        "cart",
        1_000_000,
        7,
        {"error": "true"},
    )
    assert search.since_ns == 1_485_445_591_639_875_000
    assert search.until_ns == 1_485_452_791_000_000_000
    snake = v3(service_name="cart", duration_min="1ms", num_traces="7", attributes='{"error":"true"}')
    assert snake == search
    assert v3(searchDepth="0").limit == 100
    assert v3(searchDepth="99999999999999999999").limit == asked.MOST_TRACES


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"startTimeMin": ""}, "query.startTimeMin and query.startTimeMax are required"),
        ({"startTimeMax": "now"}, "malformed parameter query.startTimeMax: "),
        ({"startTimeMax": "2017-02-31T00:00:00Z"}, "malformed parameter query.startTimeMax: "),
        ({"searchDepth": "-1"}, "malformed parameter query.searchDepth: "),
        ({"num_traces": "x"}, "malformed parameter query.num_traces: "),
        ({"durationMax": "3"}, "malformed parameter query.durationMax: time: missing unit"),
        ({"attributes": "[]"}, "malformed parameter query.attributes: "),
    ],
)
def test_v3_names_the_parameter_that_is_wrong(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        v3(**parameters)


def test_nanoseconds_survive() -> None:
    assert v3(startTimeMin="1970-01-01T00:00:00.123456789Z").since_ns == 123_456_789
    assert v3(startTimeMin="1970-01-01T00:00:00.1z").since_ns == 100_000_000


def test_the_window_of_dependencies_is_milliseconds() -> None:
    assert asked.legacy_window(QueryParams({"endTs": "2000", "lookback": "500"})) == (
        1_500_000_000,
        2_000_000_000,
    )
    begin, end = asked.legacy_window(QueryParams({}))
    assert end - begin == DAY
    with pytest.raises(ParameterError, match="unable to parse param 'endTs'"):
        asked.legacy_window(QueryParams({"endTs": "1.5"}))


def test_a_plus_that_came_unescaped_is_a_plus() -> None:
    """Grafana's data source sends the zone of its clock so."""
    assert v3(startTimeMin="1970-01-01T02:00:01 02:00").since_ns == SECOND


def monitor(**parameters: str) -> asked.MetricsQuery:
    return asked.metrics_query(QueryParams({"service": "cart"} | parameters), quantile=False)


def test_what_is_not_said_of_metrics_is_jaegers_default() -> None:
    query = monitor()
    assert (query.services, query.kinds, query.by_operation) == (["cart"], ["server"], False)
    assert (query.lookback_ns, query.step_ns, query.rate_per_ns) == (3600 * SECOND, 5 * SECOND, 600 * SECOND)
    assert abs(query.until_ns - time.time_ns()) < 10 * SECOND


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"service": ""}, "unable to parse param 'service': please provide at least one service name"),
        ({"spanKind": "x' OR 1"}, "unable to parse param 'spanKind': unsupported span kind: 'x' OR 1'"),
        ({"spanKind": "unset"}, "unsupported span kind: 'unset'"),
        ({"groupByOperation": "yes"}, "unable to parse param 'groupByOperation'"),
        ({"step": "0"}, "unable to parse param 'step'"),
        ({"step": "1", "lookback": "5000"}, "unable to parse param 'step'"),
        ({"ratePer": "0"}, "unable to parse param 'ratePer'"),
        ({"ratePer": "x"}, "unable to parse param 'ratePer': strconv.ParseInt"),
        ({"endTs": "-1"}, "out of range"),
        ({"endTs": str(2**62)}, "out of range"),
        ({"lookback": "-1"}, "out of range"),
    ],
)
def test_what_is_wrong_with_parameters_of_metrics(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError) as raised:
        monitor(**parameters)
    assert message in str(raised.value)


@pytest.mark.parametrize("quantile", ["", "x", "nan", "-0.1", "1.1"])
def test_a_quantile_is_a_share(quantile: str) -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        asked.metrics_query(QueryParams({"service": "cart", "quantile": quantile}), quantile=True)
