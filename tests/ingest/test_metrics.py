"""The metric decoder: a row a data point of any type, nothing lost, and a bad point is rejected alone."""

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from support.otlp import key_values
from support.signals import asked, metrics_request
from tracescape_ingest.envelope import DecodedTables, UndecodableError
from tracescape_ingest.metrics import decode_metrics
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.schema import METRICS, TABLES

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
#: The columns that every point fills, besides what it measured.
COMMON = {
    "point_id",
    "time_ns",
    "start_ns",
    "name",
    "type",
    "service",
    "resource_id",
    "scope_id",
    "attributes",
    "flags",
    "metadata",
}


def decoded(*metrics: Metric) -> DecodedTables:
    return decode_metrics(metrics_request(*metrics).SerializeToString())


def gauge(*points: NumberDataPoint, name: str = "g", **fields: Any) -> Metric:
    return Metric(name=name, gauge=Gauge(data_points=points), **fields)


def measured(*metrics: Metric) -> dict[str, object]:
    """What the only point measured: its columns beyond those that every point has."""
    (row,) = decoded(*metrics).tables["metrics"].to_pylist()
    return {name: value for name, value in row.items() if value is not None and name not in COMMON}


def names(result: DecodedTables) -> list[str]:
    found: list[str] = result.tables["metrics"]["name"].to_pylist()
    return found


def test_what_points_of_every_type_share_arrives() -> None:
    point = NumberDataPoint(
        time_unix_nano=20,
        start_time_unix_nano=10,
        as_double=1.5,
        flags=2,
        attributes=key_values({"host": "a", "n": 1}),
    )
    metric = gauge(point, name="cpu", unit="1", description="how busy")
    metric.metadata.extend(key_values({"prometheus.type": "unknown"}))
    result = decode_metrics(metrics_request(metric, service="shop").SerializeToString())
    (row,) = result.tables["metrics"].to_pylist()
    assert decode_attributes(row["attributes"]) == {"host": "a", "n": 1}
    assert decode_attributes(row["metadata"]) == {"prometheus.type": "unknown"}
    assert {key: row[key] for key in ("time_ns", "start_ns", "name", "type", "unit", "description")} == {
        "time_ns": 20,
        "start_ns": 10,
        "name": "cpu",
        "type": "gauge",
        "unit": "1",
        "description": "how busy",
    }
    assert (row["service"], row["flags"]) == ("shop", 2)
    assert row["resource_id"] == result.tables["resources"]["resource_id"][0].as_py()
    assert row["scope_id"] == result.tables["scopes"]["scope_id"][0].as_py()
    assert {name: table.schema for name, table in result.tables.items()} == {
        name: TABLES[name] for name in ("metrics", "exemplars", "resources", "scopes")
    }
    assert (result.items, result.rejected, result.message) == (1, 0, "")


@pytest.mark.parametrize(
    ("point", "columns"),
    [
        (NumberDataPoint(as_double=1.5), {"value": 1.5}),
        (NumberDataPoint(as_double=0.0), {"value": 0.0}),
        (NumberDataPoint(as_int=2**63 - 1), {"value": 2.0**63, "value_int": 2**63 - 1}),
        (NumberDataPoint(as_int=0), {"value": 0.0, "value_int": 0}),
        (NumberDataPoint(as_double=math.inf), {"value": math.inf}),
        (NumberDataPoint(flags=1), {}),
    ],
)
def test_a_gauge_has_a_value_and_integers_exactly(point: NumberDataPoint, columns: dict[str, object]) -> None:
    assert measured(gauge(point)) == columns


def test_a_value_that_is_not_a_number_is_kept() -> None:
    (value,) = decoded(gauge(NumberDataPoint(as_double=math.nan))).tables["metrics"]["value"].to_pylist()
    assert math.isnan(value)


def test_a_sum_says_whether_it_only_grows_and_from_when_it_counts() -> None:
    points = [NumberDataPoint(as_int=-7)]
    assert measured(
        Metric(name="s", sum=Sum(data_points=points, aggregation_temporality=DELTA, is_monotonic=True))
    ) == {"temporality": "delta", "monotonic": True, "value": -7.0, "value_int": -7}
    assert measured(Metric(name="s", sum=Sum(data_points=points)))["temporality"] == "unspecified"


def test_a_temporality_of_the_future_is_kept_as_its_number() -> None:
    metric = Metric(name="s", sum=Sum(data_points=[NumberDataPoint(as_int=1)]))
    metric.sum.aggregation_temporality = 9  # type: ignore[assignment]
    assert measured(metric)["temporality"] == "9"


def histogram(**fields: Any) -> Metric:
    points = [HistogramDataPoint(**fields)]
    return Metric(name="h", histogram=Histogram(data_points=points, aggregation_temporality=CUMULATIVE))


def test_a_histogram_has_bounds_and_counts() -> None:
    assert measured(
        histogram(
            count=2**64 - 1,
            sum=9.5,
            min=-1.0,
            max=8.0,
            explicit_bounds=[0.0, 5.0],
            bucket_counts=[1, 2**64 - 1, 0],
        )
    ) == {
        "temporality": "cumulative",
        "count": 2**64 - 1,
        "sum": 9.5,
        "min": -1.0,
        "max": 8.0,
        "bounds": [0.0, 5.0],
        "bucket_counts": [1, 2**64 - 1, 0],
    }


def test_what_a_histogram_does_not_say_is_null_and_not_zero() -> None:
    assert measured(histogram(count=3)) == {
        "temporality": "cumulative",
        "count": 3,
        "bounds": [],
        "bucket_counts": [],
    }
    assert measured(histogram(count=3, sum=0.0, bucket_counts=[3]))["sum"] == 0.0


def test_an_exponential_histogram_has_both_sides_and_its_zero() -> None:
    sides = ExponentialHistogramDataPoint.Buckets
    point = ExponentialHistogramDataPoint(
        count=9,
        sum=-1.0,
        scale=-3,
        zero_count=4,
        zero_threshold=0.5,
        positive=sides(offset=-2, bucket_counts=[1, 0, 2]),
        negative=sides(offset=7, bucket_counts=[2]),
    )
    data = ExponentialHistogram(data_points=[point], aggregation_temporality=DELTA)
    assert measured(Metric(name="e", exponential_histogram=data)) == {
        "temporality": "delta",
        "count": 9,
        "sum": -1.0,
        "scale": -3,
        "zero_count": 4,
        "zero_threshold": 0.5,
        "positive_offset": -2,
        "positive_counts": [1, 0, 2],
        "negative_offset": 7,
        "negative_counts": [2],
    }


def test_a_summary_has_quantiles_and_their_values() -> None:
    point = SummaryDataPoint(count=4, sum=10.0)
    point.quantile_values.add(quantile=0.5, value=2.0)
    point.quantile_values.add(quantile=1.0, value=5.0)
    assert measured(Metric(name="s", summary=Summary(data_points=[point]))) == {
        "count": 4,
        "sum": 10.0,
        "quantiles": [0.5, 1.0],
        "quantile_values": [2.0, 5.0],
    }


def test_exemplars_join_their_point_and_only_it() -> None:
    first = NumberDataPoint(time_unix_nano=50, as_int=1)
    first.exemplars.add(
        time_unix_nano=40,
        as_double=0.5,
        trace_id=b"t" * 16,
        span_id=b"\xff" * 8,
        filtered_attributes=key_values({"user": 7}),
    )
    first.exemplars.add(time_unix_nano=41, as_int=2)
    second = NumberDataPoint(time_unix_nano=50, as_int=1)  # the same but for its exemplars
    second.exemplars.add(time_unix_nano=42)
    rows = asked(
        decoded(gauge(first, second, NumberDataPoint(time_unix_nano=50, as_int=1))),
        """
        select e.name, e.service, e.time_ns, e.value, e.value_int, hex(e.trace_id) trace_id, e.span_id,
               e.attributes::JSON::VARCHAR attributes, count(*) over (partition by m.point_id) beside
        from exemplars e join metrics m on m.point_id = e.point_id and m.time_ns = e.point_time_ns
        order by e.time_ns
        """,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("g", "shop", 40, 0.5, None, "74" * 16, -1, '{"user":7}', 2),
        ("g", "shop", 41, 2.0, 2, None, 0, "{}", 2),
        ("g", "shop", 42, None, None, None, 0, "{}", 1),
    ]


def test_a_point_sent_twice_has_the_same_id_and_any_other_another() -> None:
    points = [
        NumberDataPoint(as_int=1),
        NumberDataPoint(as_int=1),
        NumberDataPoint(as_double=1.0),
        NumberDataPoint(as_int=1, time_unix_nano=1),
        NumberDataPoint(as_int=1, attributes=key_values({"a": 1})),
    ]
    again, *others = (
        decoded(gauge(*points), gauge(points[0], name="other")).tables["metrics"]["point_id"].to_pylist()
    )
    assert others[0] == again
    assert len({*others}) == 5


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (NumberDataPoint(time_unix_nano=2**63), "the data point's time is beyond the year 2262"),
        (NumberDataPoint(start_time_unix_nano=2**63), "the data point's start is beyond the year 2262"),
        (
            NumberDataPoint(exemplars=[Exemplar(time_unix_nano=2**63)]),
            "an exemplar's time is beyond the year 2262",
        ),
        (
            NumberDataPoint(exemplars=[Exemplar(trace_id=b"t" * 8)]),
            "an exemplar's trace id has 8 bytes, not 16",
        ),
        (NumberDataPoint(exemplars=[Exemplar(span_id=b"s")]), "an exemplar's span id has 1 bytes, not 8"),
    ],
)
def test_a_bad_point_is_rejected_alone_and_named(bad: NumberDataPoint, reason: str) -> None:
    good = NumberDataPoint(exemplars=[Exemplar(as_int=1)])
    result = decoded(gauge(good, bad, good), gauge(good, name="after"))
    assert names(result) == ["g", "g", "after"]
    assert (result.items, result.rejected, result.message) == (3, 1, f"1 × {reason}")
    assert result.tables["exemplars"].num_rows == 3


@pytest.mark.parametrize(
    ("bounds", "counts"), [([1.0], [1]), ([1.0], []), ([], [1, 2]), ([1.0, 2.0], [1, 2, 3, 4])]
)
def test_buckets_that_do_not_fit_their_bounds_are_rejected(bounds: list[float], counts: list[int]) -> None:
    result = decoded(histogram(explicit_bounds=bounds, bucket_counts=counts))
    assert result.message == f"1 × a histogram has {len(counts)} buckets for {len(bounds)} bounds"


def test_an_all_zero_id_of_an_exemplar_is_no_id() -> None:
    exemplar = Exemplar(trace_id=b"\0" * 16, span_id=b"\0" * 8)
    (row,) = decoded(gauge(NumberDataPoint(exemplars=[exemplar]))).tables["exemplars"].to_pylist()
    assert (row["trace_id"], row["span_id"]) == (None, 0)


def spoiled(message: bytes) -> bytes:
    return message.replace(b"marker", b"mark\xffr")


def test_bad_utf8_rejects_the_point_that_carries_it() -> None:
    marked = key_values({"k": "marker"})
    points = [
        NumberDataPoint(attributes=marked),
        NumberDataPoint(exemplars=[Exemplar(filtered_attributes=marked)]),
        NumberDataPoint(as_int=3),
    ]
    result = decode_metrics(spoiled(metrics_request(gauge(*points)).SerializeToString()))
    assert result.tables["metrics"]["value_int"].to_pylist() == [3]
    assert result.reasons == {"text that is not UTF-8": 2}


@pytest.mark.parametrize("field", ["name", "unit", "description"])
def test_bad_utf8_in_a_metric_rejects_its_points_and_no_others(field: str) -> None:
    bad = gauge(NumberDataPoint(), NumberDataPoint(), **{field: "marker"})
    message = metrics_request(bad, gauge(NumberDataPoint(), name="good"))
    result = decode_metrics(spoiled(message.SerializeToString()))
    assert (names(result), result.rejected) == (["good"], 2)


def test_bad_utf8_in_a_resource_rejects_the_points_of_all_its_metrics() -> None:
    points = [NumberDataPoint(), NumberDataPoint()]
    message = metrics_request(gauge(*points), histogram(count=1), Metric(name="empty"), service="marker")
    message.MergeFrom(metrics_request(gauge(NumberDataPoint(), name="good")))
    result = decode_metrics(spoiled(message.SerializeToString()))
    assert (names(result), result.rejected) == (["good"], 3)


def test_empty_requests_at_every_level_are_fine() -> None:
    message = metrics_request(Metric(name="no data"), gauge(), Metric(name="h", histogram=Histogram()))
    message.resource_metrics.add()
    message.resource_metrics.add().scope_metrics.add()
    for data in (b"", message.SerializeToString()):
        result = decode_metrics(data)
        assert (result.items, result.rejected) == (0, 0)


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05abc", b"not protobuf at all", b"\x0a\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_message_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableError, match="not an ExportMetricsServiceRequest"):
        decode_metrics(data)


def test_what_the_sdk_sends_is_stored_and_leads_to_the_span_it_was_measured_in() -> None:
    reader = InMemoryMetricReader()
    exponential = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider(
        [reader],
        resource=Resource.create({"service.name": "sdk"}),
        views=[exponential],
        shutdown_on_exit=False,
    )
    meter = provider.get_meter("library", "1.2")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("work") as span:
        meter.create_counter("calls", unit="{call}", description="calls").add(3, {"path": "/"})
        meter.create_up_down_counter("open").add(-1.5)
        meter.create_gauge("heat").set(21.5)
        meter.create_histogram("latency", unit="ms").record(12)
        for size in (1.0, 4.0, 0.0):
            meter.create_histogram("size", unit="By").record(size)
    metrics = reader.get_metrics_data()
    assert metrics is not None
    provider.shutdown()
    result = decode_metrics(encode_metrics(metrics).SerializeToString())
    rows = {row["name"]: row for row in asked(result, "select * exclude (time, start_time) from metrics_v")}

    assert {name: (row["type"], row["temporality"], row["monotonic"]) for name, row in rows.items()} == {
        "calls": ("sum", "cumulative", True),
        "open": ("sum", "cumulative", False),
        "heat": ("gauge", None, None),
        "latency": ("histogram", "cumulative", None),
        "size": ("exponential_histogram", "cumulative", None),
    }
    calls, latency, size = rows["calls"], rows["latency"], rows["size"]
    assert (calls["value_int"], calls["unit"], calls["description"]) == (3, "{call}", "calls")
    assert (calls["attributes"], calls["service"]) == ('{"path":"/"}', "sdk")
    assert calls["time_ns"] > calls["start_ns"] > 0
    assert (rows["open"]["value"], rows["open"]["value_int"], rows["heat"]["value"]) == (-1.5, None, 21.5)
    assert len(latency["bucket_counts"]) == len(latency["bounds"]) + 1
    assert (sum(latency["bucket_counts"]), latency["sum"], latency["min"]) == (1, 12.0, 12.0)
    assert (size["count"], size["zero_count"], sum(size["positive_counts"])) == (3, 1, 2)
    base = 2.0 ** (2.0 ** -size["scale"])
    assert base ** size["positive_offset"] < 1.0 <= base ** (size["positive_offset"] + 1)

    (exemplar,) = asked(result, "select * exclude time from exemplars_v where name = 'latency'")
    context = span.get_span_context()
    assert exemplar["trace_id"] == f"{context.trace_id:032x}"
    assert exemplar["span_id"] == f"{context.span_id:016x}"
    assert (exemplar["value"], exemplar["point_id"]) == (12.0, latency["point_id"])


def test_the_views_for_people_read_every_column_of_every_type() -> None:
    summary = Summary(data_points=[SummaryDataPoint(time_unix_nano=3_000, count=1)])
    result = decoded(
        gauge(NumberDataPoint(time_unix_nano=1_000, flags=1)),
        histogram(time_unix_nano=2_000, start_time_unix_nano=1_000, count=2**64 - 1),
        Metric(name="s", summary=summary),
    )
    first, second, third = asked(
        result,
        """
        select * exclude (time, start_time), epoch_ns(time) AS at, epoch_ns(start_time) AS since
        from metrics_v order by time_ns
        """,
    )
    assert (first["no_recorded_value"], first["since"]) == (True, None)
    assert (second["no_recorded_value"], second["at"], second["since"]) == (False, 2_000, 1_000)
    assert (second["count"], second["bounds"]) == (2**64 - 1, [])
    assert (third["type"], third["quantiles"], third["bounds"]) == ("summary", [], None)
    shown = {*first} - {"at", "since", "no_recorded_value"}
    assert {*METRICS.names} - shown == {"resource_id", "scope_id", "flags"}


_DOUBLES = st.floats(allow_nan=False)
_COUNTS = st.integers(0, 2**64 - 1)


@given(st.lists(_DOUBLES, max_size=4), st.data())
def test_histograms_of_any_numbers_come_back(bounds: list[float], data: st.DataObject) -> None:
    counts = data.draw(st.lists(_COUNTS, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    count, total = data.draw(_COUNTS), data.draw(st.none() | _DOUBLES)
    row = measured(histogram(count=count, sum=total, explicit_bounds=bounds, bucket_counts=counts))
    assert (row["count"], row.get("sum"), row["bounds"], row["bucket_counts"]) == (
        count,
        total,
        bounds,
        counts,
    )


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_undecodable(data: bytes) -> None:
    with contextlib.suppress(UndecodableError):
        decode_metrics(data)


_REAL = metrics_request(
    gauge(NumberDataPoint(as_int=5, attributes=key_values({"a": [1]}), exemplars=[Exemplar(as_double=1.5)])),
    histogram(count=3, sum=1.0, explicit_bounds=[1.0], bucket_counts=[1, 2]),
).SerializeToString()


@given(st.integers(0, len(_REAL) - 1), st.integers(0, 255))
def test_a_real_message_with_one_byte_changed_never_crashes(position: int, value: int) -> None:
    mutated = _REAL[:position] + bytes([value]) + _REAL[position + 1 :]
    try:
        result = decode_metrics(mutated)
    except UndecodableError:
        return
    assert result.items == result.tables["metrics"].num_rows
