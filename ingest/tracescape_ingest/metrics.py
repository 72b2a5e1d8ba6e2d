"""OTLP metric requests to tables, a row a data point, through opentelemetry-proto.

What it repairs and what it rejects is the receiver's contract:

* a point with a time beyond 2262, text that is not UTF-8, buckets that do not fit its bounds, or an exemplar
  with such a time or text or with an id of the wrong length, is rejected, alone; so is every point of a
  metric, and under a resource or scope, whose own text is not UTF-8;
* an all-zero id of an exemplar means no id; of duplicate attribute keys the last one wins;
* a metric without points, or of a type that is not known here, leaves no row: it has nothing to say yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tracescape_ingest import fields
from tracescape_ingest.envelope import (
    Context,
    DecodedTables,
    Found,
    Row,
    content_id,
    parsed,
    scope_groups,
)
from tracescape_ingest.fields import Rejected, optional_span_id, optional_trace_id, text, time_ns
from tracescape_ingest.wire import ExportMetricsServiceRequest
from tracescape_storage.attributes import encode_attributes

#: By OTLP's AggregationTemporality; a number that is none of these is kept as it is, as text.
_TEMPORALITIES: Final = {0: "unspecified", 1: "delta", 2: "cumulative"}


def decode_metrics(data: bytes) -> DecodedTables:
    """Decode an encoded ``ExportMetricsServiceRequest`` to metrics, exemplars, resources and scopes.

    Raises:
        UndecodableError: ``data`` is not such a message.
    """
    request = parsed(ExportMetricsServiceRequest, data)
    found = Found()
    for group, context in scope_groups(request.resource_metrics, "scope_metrics", _point_count, found):
        for metric in group.metrics:
            _add_points(metric, context, found)
    return found.decoded("metrics", "exemplars")


def _point_count(group: Any) -> int:
    return sum(len(_points(metric)) for metric in group.metrics)


def _points(metric: Any) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def _add_points(metric: Any, context: Context, found: Found) -> None:
    points = _points(metric)
    if not points:
        return
    try:
        common = _metric(metric, context)
    except Rejected as reason:
        found.reasons[str(reason)] += len(points)
        return
    measured = _MEASURED[metric.WhichOneof("data")]
    for point in points:
        try:
            row = {**common, **_point(point), **measured(point)}
            exemplars = [_exemplar(exemplar) for exemplar in getattr(point, "exemplars", ())]
        except Rejected as reason:
            found.reasons[str(reason)] += 1
        else:
            _keep(row, exemplars, found)


def _keep(row: Row, exemplars: list[Row], found: Found) -> None:
    """Give a point its id, and its exemplars what they need to be found by."""
    point_id = content_id({**row, "exemplars": exemplars})
    found.rows["metrics"].append({"point_id": point_id, **row})
    of_point = {"point_id": point_id, "point_time_ns": row["time_ns"]}
    of_point |= {"name": row["name"], "service": row["service"]}
    found.rows["exemplars"] += [{**of_point, **exemplar} for exemplar in exemplars]


def _metric(metric: Any, context: Context) -> Row:
    """What all points of a metric share."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    return {
        "name": text(metric.name),
        "type": kind,
        "unit": text(metric.unit) or None,
        "description": text(metric.description) or None,
        "temporality": _temporality(data) if kind not in {"gauge", "summary"} else None,
        "monotonic": data.is_monotonic if kind == "sum" else None,
        "service": context.service,
        "resource_id": context.resource_id,
        "scope_id": context.scope_id,
        "metadata": encode_attributes(fields.attributes(metric.metadata)),
    }


def _temporality(data: Any) -> str:
    number: int = data.aggregation_temporality
    return _TEMPORALITIES.get(number, str(number))


def _point(point: Any) -> Row:
    """What points of every type have."""
    return {
        "time_ns": time_ns(point.time_unix_nano, "the data point's time"),
        "start_ns": time_ns(point.start_time_unix_nano, "the data point's start"),
        "attributes": encode_attributes(fields.attributes(point.attributes)),
        "flags": point.flags,
    }


def _number(point: Any) -> Row:
    """The value of a number point or an exemplar, an integer both exactly and as a double."""
    which = point.WhichOneof("value")
    if which is None:
        return {"value": None, "value_int": None}
    if which == "as_int":
        return {"value": float(point.as_int), "value_int": point.as_int}
    return {"value": point.as_double, "value_int": None}


def _histogram(point: Any) -> Row:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if len(counts) != len(bounds) + 1 and (counts or bounds):
        raise Rejected(f"a histogram has {len(counts)} buckets for {len(bounds)} bounds")
    return {**_count_and_range(point), "bounds": bounds, "bucket_counts": counts}


def _exponential_histogram(point: Any) -> Row:
    return {
        **_count_and_range(point),
        "scale": point.scale,
        "zero_count": point.zero_count,
        "zero_threshold": point.zero_threshold,
        "positive_offset": point.positive.offset,
        "positive_counts": list(point.positive.bucket_counts),
        "negative_offset": point.negative.offset,
        "negative_counts": list(point.negative.bucket_counts),
    }


def _count_and_range(point: Any) -> Row:
    return {
        "count": point.count,
        **{name: getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")},
    }


def _summary(point: Any) -> Row:
    return {
        "count": point.count,
        "sum": point.sum,
        "quantiles": [item.quantile for item in point.quantile_values],
        "quantile_values": [item.value for item in point.quantile_values],
    }


#: By metric type, the columns of what its points measured.
_MEASURED: Final[dict[str, Callable[[Any], Row]]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


def _exemplar(exemplar: Any) -> Row:
    return {
        "time_ns": time_ns(exemplar.time_unix_nano, "an exemplar's time"),
        **_number(exemplar),
        "trace_id": optional_trace_id(exemplar.trace_id, "an exemplar's trace id"),
        "span_id": optional_span_id(exemplar.span_id, "an exemplar's span id"),
        "attributes": encode_attributes(fields.attributes(exemplar.filtered_attributes)),
    }
