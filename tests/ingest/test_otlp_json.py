"""OTLP JSON of all three signals: hex ids, integer enums, exact integers, unknown fields ignored."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracescape_ingest.logs import decode_logs
from tracescape_ingest.metrics import decode_metrics
from tracescape_ingest.otlp_json import OtlpJsonError, request_of

TRACE, SPAN = "0A1b" * 8, "fF00" * 4
TRACE_BYTES, SPAN_BYTES = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
BIG = 2**53 + 1


def span_of(**fields: object) -> Span:
    return (
        request_of({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]})
        .resource_spans[0]
        .scope_spans[0]
        .spans[0]
    )


def log_of(**fields: object) -> LogRecord:
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]}
    return request_of(document, "resourceLogs").resource_logs[0].scope_logs[0].log_records[0]


def metric_of(**fields: object) -> Metric:
    document = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [fields]}]}]}
    return request_of(document, "resourceMetrics").resource_metrics[0].scope_metrics[0].metrics[0]


def test_ids_are_hex_of_any_case_wherever_they_stand() -> None:
    span = span_of(
        traceId=TRACE,
        spanId=SPAN,
        parentSpanId=SPAN.lower(),
        links=[{"traceId": TRACE.lower(), "spanId": SPAN.upper()}],
    )
    assert (span.trace_id, span.span_id, span.parent_span_id) == (TRACE_BYTES, SPAN_BYTES, SPAN_BYTES)
    assert (span.links[0].trace_id, span.links[0].span_id) == (TRACE_BYTES, SPAN_BYTES)
    log = log_of(traceId=TRACE, spanId=SPAN)
    assert (log.trace_id, log.span_id) == (TRACE_BYTES, SPAN_BYTES)
    for kind in ("gauge", "sum", "histogram", "exponentialHistogram"):
        metric = metric_of(**{kind: {"dataPoints": [{"exemplars": [{"traceId": TRACE, "spanId": SPAN}]}]}})
        (exemplar,) = getattr(metric, metric.WhichOneof("data")).data_points[0].exemplars  # type: ignore[arg-type]
        assert (exemplar.trace_id, exemplar.span_id) == (TRACE_BYTES, SPAN_BYTES)


def test_bytes_of_a_value_stay_base64() -> None:
    assert log_of(body={"bytesValue": "/wA="}).body == AnyValue(bytes_value=b"\xff\0")


def test_enums_are_integers_of_any_known_or_unknown_number() -> None:
    assert log_of(severityNumber=17).severity_number == 17
    assert log_of(severityNumber=99).severity_number == 99
    assert metric_of(sum={"aggregationTemporality": 2}).sum.aggregation_temporality == 2


@pytest.mark.parametrize(
    ("key", "document"),
    [
        ("resourceSpans", {"scopeSpans": [{"spans": [{"kind": "SPAN_KIND_SERVER"}]}]}),
        ("resourceSpans", {"scopeSpans": [{"spans": [{"status": {"code": "STATUS_CODE_OK"}}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"severityNumber": "SEVERITY_NUMBER_INFO"}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"severityNumber": True}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"severityNumber": 2**40}]}]}),
        ("resourceMetrics", {"scopeMetrics": [{"metrics": [{"sum": {"aggregationTemporality": "2"}}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"traceId": "not hex"}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"traceId": 7}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"body": {"stringValue": "\ud800"}}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"timeUnixNano": 1.5}]}]}),
        ("resourceLogs", {"scopeLogs": [{"logRecords": [{"timeUnixNano": -1}]}]}),
        ("resourceMetrics", {"scopeMetrics": [{"metrics": [{"gauge": {}, "sum": {}}]}]}),
        ("resourceMetrics", {"scopeMetrics": [{"metrics": ["text"]}]}),
        ("resourceMetrics", {"scopeMetrics": 7}),
    ],
)
def test_what_breaks_the_rules_says_so(key: str, document: Mapping[str, object]) -> None:
    with pytest.raises(OtlpJsonError):
        request_of({key: [document]}, key)


@pytest.mark.parametrize("big", [BIG, str(BIG)])
def test_64_bit_integers_are_exact_as_text_and_as_numbers(big: object) -> None:
    log = log_of(timeUnixNano=big, observedTimeUnixNano=big, body={"intValue": big})
    assert (log.time_unix_nano, log.observed_time_unix_nano, log.body.int_value) == (BIG, BIG, BIG)
    point = metric_of(sum={"dataPoints": [{"asInt": big}]}).sum.data_points[0]
    assert point.as_int == BIG
    buckets = metric_of(histogram={"dataPoints": [{"count": big, "bucketCounts": [big, "2"]}]})
    assert (buckets.histogram.data_points[0].count, list(buckets.histogram.data_points[0].bucket_counts)) == (
        BIG,
        [BIG, 2],
    )
    exponential = {
        "scale": -1,
        "zeroCount": big,
        "positive": {"offset": -3, "bucketCounts": [big]},
    }
    side = metric_of(exponentialHistogram={"dataPoints": [exponential]}).exponential_histogram.data_points[0]
    assert (side.zero_count, side.positive.offset, side.positive.bucket_counts[0]) == (BIG, -3, BIG)


def test_doubles_are_numbers_or_their_names() -> None:
    point = metric_of(
        histogram={"dataPoints": [{"sum": "Infinity", "explicitBounds": [1, 2.5, "-Infinity"]}]}
    )
    (histogram,) = point.histogram.data_points
    assert (histogram.sum, list(histogram.explicit_bounds)) == (float("inf"), [1.0, 2.5, float("-inf")])


def test_unknown_fields_are_ignored_and_snake_case_names_are_unknown() -> None:
    log = log_of(time_unix_nano=7, trace_id="zz", new={"deep": [1]}, eventName="e", severityText=None)
    assert log == LogRecord(event_name="e")
    metric = metric_of(name="m", gauge={"data_points": [{}], "dataPoints": [{"asDouble": 1.5, "as_int": 3}]})
    assert [point.as_double for point in metric.gauge.data_points] == [1.5]


@pytest.mark.parametrize("key", ["resourceSpans", "resourceLogs", "resourceMetrics"])
def test_a_document_of_another_signal_is_an_empty_one(key: str) -> None:
    others: dict[str, Any] = {"resourceSpans": [{}], "resourceLogs": [{}], "resourceMetrics": [{}]}
    del others[key]
    assert request_of(others, key) == type(request_of({}, key))()
    for wrong in ([], None, "text", {key: {}}, {key: None}):
        with pytest.raises(OtlpJsonError, match=f'it needs a list "{key}"'):
            request_of(wrong, key)


def test_an_id_of_the_wrong_length_is_left_to_the_decoder() -> None:
    records = [{"traceId": "0a"}, {"body": {"stringValue": "good"}}]
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    result = decode_logs(request_of(document, "resourceLogs").SerializeToString())
    assert (result.items, result.message) == (1, "1 × the trace id has 1 bytes, not 16")
    points = [{"asInt": "1", "exemplars": [{"spanId": "0a"}]}, {"asInt": "2"}]
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": points}}]}]}]}
    result = decode_metrics(request_of(metrics, "resourceMetrics").SerializeToString())
    assert result.tables["metrics"]["value_int"].to_pylist() == [2]


_NAMES = [
    *("scopeLogs", "logRecords", "body", "traceId", "severityNumber", "timeUnixNano", "attributes"),
    *("scopeMetrics", "metrics", "gauge", "sum", "dataPoints", "exemplars", "asInt", "name", "resource"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, st.sampled_from(["resourceSpans", "resourceLogs", "resourceMetrics"]))
def test_any_json_is_a_message_or_an_error(inner: object, key: str) -> None:
    document = json.loads(json.dumps({key: inner if isinstance(inner, list) else [inner]}))
    try:
        message: Message = request_of(document, key)
    except OtlpJsonError:
        return
    message.SerializeToString()
