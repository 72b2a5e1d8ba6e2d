"""Rate, errors and duration over time, counted from spans, as the Monitor tab of Jaeger's UI draws them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tracescape_analytics.jaeger.asked import MetricsQuery, ParameterError
from tracescape_analytics.jaeger.envelopes import Document
from tracescape_storage.filters import KINDS
from tracescape_storage.reader import Reader
from tracescape_storage.select import quote

MOST_POINTS: Final = 500_000
#: By the last part of a path: the name of what is answered, and what it is in words.
METRICS: Final = {
    "latencies": ("latencies", "quantile {quantile:g} of durations in ms"),
    "calls": ("call_rate", "calls/sec"),
    "errors": ("error_rate", "error rate, computed as a fraction of errors/sec over calls/sec"),
}


#: Durations, by the middle of 128 steps an octave: off by at most 0.4 %.
_SHIFT: Final = "greatest(floor(log2(greatest(duration_ns, 1)))::INTEGER - 7, 0)"
_ROUNDED: Final = f"((duration_ns >> {_SHIFT}) << {_SHIFT}) + ((1::BIGINT << {_SHIFT}) // 2)"


class _Line(NamedTuple):
    """Whose points they are; ``operation`` is empty where those of a service are together."""

    service: str
    operation: str


def metrics(reader: Reader, metric: str, query: MetricsQuery) -> Document:
    """The answer to ``/api/metrics/{metric}``; ``metric`` is one of `METRICS`.

    There is a point each step back from the end of the window. It covers the spans that started within
    ``query.rate_per_ns`` before it, in whole steps. Without any it is left out, but for rates of calls.

    Raises:
        ParameterError: that were more than `MOST_POINTS`.
    """
    points = query.lookback_ns // query.step_ns + 1
    cells = max(1, round(query.rate_per_ns / query.step_ns))
    lines: dict[_Line, dict[int, float]] = defaultdict(dict)
    for row in reader.sql(_sql(metric, query, points, cells)).to_pylist():
        lines[_Line(row["service"], row["operation"])][row["point"]] = row["value"]
    if metric == "calls":
        lines = {line: {at: values.get(at, 0.0) for at in range(points)} for line, values in lines.items()}
    if sum(map(len, lines.values())) > MOST_POINTS:
        raise ParameterError(f"more than {MOST_POINTS} points: take a longer step or a shorter lookback")
    name, words = METRICS[metric]
    grouped, label = ("operation_", "service & operation") if query.by_operation else ("", "service")
    return {
        "name": f"service_{grouped}{name}",
        "type": "GAUGE",
        "help": f"{words.format(quantile=query.quantile)}, grouped by {label}",
        "metrics": [_metric(line, values, query) for line, values in lines.items()],
    }


def _sql(metric: str, query: MetricsQuery, points: int, cells: int) -> str:
    """``service``, ``operation``, ``point`` (steps before the end) and ``value``.

    A span belongs to a cell, the number of whole steps from its start to the end of the window, and so to
    the points of this and the ``cells`` - 1 steps that follow it. What is counted by cell is small, however
    many the spans are.
    """
    by_duration = metric == "latencies"
    counted = (
        f"SELECT service, {'operation' if query.by_operation else quote('')} AS operation,"
        f" ({query.until_ns} - start_ns) // {query.step_ns} AS cell,"
        f" {_ROUNDED if by_duration else '0'} AS duration,"
        " count(*) AS calls, count(*) FILTER (status = 2) AS errors"
        f" FROM spans WHERE {_wanted(query, points + cells - 1)} GROUP BY ALL"
    )
    by_point = (
        "SELECT service, operation, point, duration, sum(calls) AS calls, sum(errors) AS errors"
        f" FROM (SELECT *, unnest(range(cell - {cells - 1}, cell + 1)) AS point FROM ({counted}))"
        f" WHERE point >= 0 AND point < {points} GROUP BY ALL"
    )
    if by_duration:
        value, rows = "min(duration) / 1e6", _up_to(by_point, query.quantile)
    elif metric == "errors":
        value, rows = "sum(errors) / sum(calls)", by_point
    else:
        value, rows = f"sum(calls) / {cells * query.step_ns / 1e9!r}", by_point
    return (
        f"SELECT service, operation, point, {value} AS value FROM ({rows})"
        " GROUP BY service, operation, point ORDER BY ALL"
    )


def _wanted(query: MetricsQuery, steps: int) -> str:
    services = ", ".join(quote(name) for name in query.services)
    kinds = ", ".join(str(0 if kind == "unspecified" else KINDS.index(kind)) for kind in query.kinds)
    return (
        f"service IN ({services}) AND kind IN ({kinds})"
        f" AND start_ns > {query.until_ns - steps * query.step_ns} AND start_ns <= {query.until_ns}"
    )


def _up_to(by_point: str, share: float) -> str:
    """Of the durations of each point those that at least this share does not exceed."""
    group = "PARTITION BY service, operation, point"
    return (
        f"SELECT * FROM ({by_point}) QUALIFY sum(calls) OVER ({group} ORDER BY duration)"
        # The small part keeps 0.95 · 100, which is 95.00000000000001 or less, at 95.
        f" >= ceil({share!r} * sum(calls) OVER ({group}) - 1e-6)"
    )


def _metric(line: _Line, values: dict[int, float], query: MetricsQuery) -> Document:
    labels = [{"name": "service_name", "value": line.service}]
    if query.by_operation:
        labels.append({"name": "operation", "value": line.operation})
    return {
        "labels": labels,
        "metricPoints": [
            {"gaugeValue": {"doubleValue": values[at]}, "timestamp": _time(query, at)}
            for at in sorted(values, reverse=True)
        ],
    }


def _time(query: MetricsQuery, point: int) -> Any:
    seconds = (query.until_ns - point * query.step_ns) / 1e9
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
