"""The parameters of Jaeger's query API, in both of its dialects, and what is wrong with them in its words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

from tracescape_storage.filters import KINDS

DEFAULT_LIMIT: Final = 100
#: What Jaeger's own UI allows at most.
MOST_TRACES: Final = 1_500
_DEFAULT_LOOKBACK_NS: Final = 48 * 3600 * 10**9
_DEFAULT_DEPENDENCIES_NS: Final = 24 * 3600 * 10**9
_MOST_STEPS: Final = 5_000
_SPAN_KINDS: Final = ("unspecified", *KINDS[1:])
_INT64: Final = range(-(2**63), 2**63)
_TRUTHS: Final = {"": False, "false": False, "0": False, "true": True, "1": True}
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_HEX: Final = re.compile(r"[0-9a-fA-F]{1,32}")
_UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class Values(Protocol):
    """Query parameters, as Starlette has them."""

    def get(self, key: str) -> str | None:
        """The last value of a parameter."""
        ...

    def getlist(self, key: str) -> Sequence[str]:
        """Every value of a parameter."""
        ...


class ParameterError(ValueError):
    """A parameter is missing or malformed; the message is Jaeger's."""


class Search(NamedTuple):
    """Which traces are wanted: those with a span to which everything here applies. Empty: any."""

    service: str
    operation: str
    since_ns: int
    until_ns: int  # the last nanosecond that counts
    tags: Mapping[str, str]
    shortest_ns: int
    longest_ns: int  # 0: any
    limit: int


class MetricsQuery(NamedTuple):
    """Which spans are counted in ``/api/metrics``, and how: see `metrics.metrics`."""

    services: Sequence[str]
    kinds: Sequence[str]
    by_operation: bool
    quantile: float  # 0 where none is asked for
    until_ns: int
    lookback_ns: int
    step_ns: int
    rate_per_ns: int


def metrics_query(values: Values, *, quantile: bool) -> MetricsQuery:
    """The parameters of ``/api/metrics/…``; ``quantile`` says whether one is needed."""
    services = [name for name in values.getlist("service") if name]
    if not services:
        raise ParameterError("unable to parse param 'service': please provide at least one service name")
    kinds = values.getlist("spanKind") or ["server"]
    if unknown := [kind for kind in kinds if kind not in _SPAN_KINDS]:
        raise ParameterError(f"unable to parse param 'spanKind': unsupported span kind: '{unknown[0]}'")
    query = MetricsQuery(
        services=services,
        kinds=kinds,
        by_operation=_truth(values, "groupByOperation"),
        quantile=_share(values, "quantile") if quantile else 0.0,
        until_ns=_time(values, "endTs", 10**6, time.time_ns()),
        lookback_ns=_time(values, "lookback", 10**6, 3600 * 10**9),
        step_ns=_time(values, "step", 10**6, 5 * 10**9),
        rate_per_ns=_time(values, "ratePer", 10**6, 600 * 10**9),
    )
    if not 0 <= query.until_ns < 2**63 or query.lookback_ns < 0:
        raise ParameterError("unable to parse param 'endTs' or 'lookback': out of range")
    if query.step_ns <= 0 or query.lookback_ns // query.step_ns >= _MOST_STEPS:
        raise ParameterError(f"unable to parse param 'step': at most {_MOST_STEPS} of them, above 0")
    if not 0 < query.rate_per_ns <= query.step_ns * _MOST_STEPS:
        raise ParameterError(f"unable to parse param 'ratePer': above 0 and at most {_MOST_STEPS} steps")
    return query


def legacy_search(values: Values) -> tuple[Search, list[bytes]]:
    """The parameters of ``/api/traces``, and the trace ids asked for in place of a search."""
    now = time.time_ns()
    search = Search(
        service=_text(values, "service"),
        operation=_text(values, "operation"),
        since_ns=_time(values, "start", 1_000, now - _DEFAULT_LOOKBACK_NS),
        until_ns=_time(values, "end", 1_000, now) + 999,
        tags=_legacy_tags(values),
        shortest_ns=_legacy_duration(values, "minDuration"),
        longest_ns=_legacy_duration(values, "maxDuration"),
        limit=_integer(_text(values, "limit") or str(DEFAULT_LIMIT)),
    )
    ids = [_named("cannot parse traceID param: ", text) for text in values.getlist("traceID")]
    if not ids and not search.service:
        raise ParameterError("parameter 'service' is required")
    if search.limit <= 0:
        raise ParameterError("invalid parameter: limit must be greater than 0")
    if search.since_ns > search.until_ns:
        raise ParameterError("invalid parameter: start time must be before end time")
    if search.longest_ns and search.longest_ns < search.shortest_ns:
        raise ParameterError("'maxDuration' should be greater than 'minDuration'")
    return search._replace(limit=min(search.limit, MOST_TRACES)), ids


def v3_search(values: Values) -> Search:
    """The ``query.…`` parameters of ``/api/v3/traces`` and ``/api/v3/trace-summaries``.

    Either spelling of a name counts, ``query.serviceName`` before ``query.service_name``.
    """
    earliest, _ = _v3(values, "query.startTimeMin")
    latest, _ = _v3(values, "query.startTimeMax")
    if not earliest or not latest:
        raise ParameterError("query.startTimeMin and query.startTimeMax are required")
    return Search(
        service=_v3(values, "query.serviceName")[0],
        operation=_v3(values, "query.operationName")[0],
        since_ns=_rfc3339(*_v3(values, "query.startTimeMin")),
        until_ns=_rfc3339(*_v3(values, "query.startTimeMax")),
        tags=_v3_attributes(values),
        shortest_ns=_v3_duration(values, "query.durationMin"),
        longest_ns=_v3_duration(values, "query.durationMax"),
        limit=_v3_depth(values),
    )


def v3_window(values: Values) -> tuple[int | None, int | None]:
    """``startTime`` and ``endTime``, where they are given."""
    begin, end = _v3(values, "startTime"), _v3(values, "endTime")
    return (_rfc3339(*begin) if begin[0] else None, _rfc3339(*end) if end[0] else None)


def legacy_window(values: Values) -> tuple[int, int]:
    """The window [since, until) of ``/api/dependencies``, in nanoseconds."""
    until = _time(values, "endTs", 10**6, time.time_ns())
    lookback = _time(values, "lookback", 10**6, _DEFAULT_DEPENDENCIES_NS)
    return until - lookback, until


def kind_of(values: Values) -> str:
    """``spanKind``, under the name of either version."""
    return _v3(values, "spanKind")[0].lower()


def trace_id(text: str) -> bytes:
    """A trace id in hex, of 64 or 128 bits. Raises `ParameterError`."""
    if len(text) > 32:
        raise ParameterError(f"TraceID cannot be longer than 32 hex characters: {text[:80]}")
    if not _HEX.fullmatch(text):
        raise ParameterError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return bytes.fromhex(text.rjust(32, "0"))


def duration_ns(text: str) -> int:
    """A duration as Go writes it: ``1.5s``, ``100ms``, ``1h2m``. Raises `ParameterError`."""
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _DURATION.findall(bare)
    if bare == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        hint = "missing unit in" if re.fullmatch(r"[0-9.]+", bare) else "invalid"
        raise ParameterError(f'time: {hint} duration "{text}"')
    total = sum(Fraction(number.rstrip(".")) * _UNITS_NS[unit] for number, unit in parts)
    if total >= 2**63:
        raise ParameterError(f'time: invalid duration "{text}"')
    return sign * int(total)


def _named(prefix: str, text: str) -> bytes:
    try:
        return trace_id(text)
    except ParameterError as error:
        raise ParameterError(f"{prefix}{error}") from None


def _text(values: Values, name: str) -> str:
    return values.get(name) or ""


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ParameterError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = int(text[:40])
    if number not in _INT64 or len(text) > 40:
        raise ParameterError(f'strconv.ParseInt: parsing "{text[:60]}": value out of range')
    return number


def _time(values: Values, name: str, unit_ns: int, default: int) -> int:
    text = _text(values, name)
    if not text:
        return default
    try:
        return _integer(text) * unit_ns
    except ParameterError as error:
        raise ParameterError(f"unable to parse param '{name}': {error}") from None


def _truth(values: Values, name: str) -> bool:
    text = _text(values, name)
    if text not in _TRUTHS:
        raise ParameterError(f"unable to parse param '{name}': strconv.ParseBool: parsing \"{text}\"")
    return _TRUTHS[text]


def _share(values: Values, name: str) -> float:
    text = _text(values, name)
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ParameterError(f"unable to parse param '{name}': it must be between 0 and 1")
    return share


def _legacy_duration(values: Values, name: str) -> int:
    text = _text(values, name)
    try:
        return duration_ns(text) if text else 0
    except ParameterError as error:
        raise ParameterError(f"unable to parse param '{name}': {error}") from None


def _legacy_tags(values: Values) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in values.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise ParameterError(f"malformed 'tag' parameter, expecting key:value, received: {text}")
        tags[key] = value
    for text in values.getlist("tags"):
        tags |= _texts(text, "malformed 'tags' parameter, cannot unmarshal JSON: ")
    return tags


def _texts(text: str, prefix: str) -> dict[str, str]:
    """A JSON object of texts. Raises `ParameterError`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{prefix}{error}") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ParameterError(f"{prefix}every value must be a text")
    return found


def _v3(values: Values, name: str, *aliases: str) -> tuple[str, str]:
    """The value of a parameter and the name it came under; snake_case counts as well."""
    for each in (name, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), *aliases):
        if text := values.get(each):
            return text, each
    return "", name


def _v3_depth(values: Values) -> int:
    text, name = _v3(values, "query.searchDepth", "query.num_traces")
    if text and not text.isdecimal():
        raise ParameterError(
            f'malformed parameter {name}: strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return min(int(text[:10]) if text else 0, MOST_TRACES) or DEFAULT_LIMIT


def _v3_attributes(values: Values) -> dict[str, str]:
    text, name = _v3(values, "query.attributes")
    return _texts(text, f"malformed parameter {name}: ") if text else {}


def _v3_duration(values: Values, name: str) -> int:
    text, found = _v3(values, name)
    try:
        return duration_ns(text) if text else 0
    except ParameterError as error:
        raise ParameterError(f"malformed parameter {found}: {error}") from None


def _rfc3339(text: str, name: str) -> int:
    # Grafana sends the + of a zone as it is, which says "space" in a URL.
    found = _RFC3339.fullmatch(text.replace(" ", "+"))
    try:
        if found is None:
            raise ValueError(f'cannot parse "{text}" as RFC 3339')
        day, clock, fraction, zone = found.groups()
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ParameterError(f"malformed parameter {name}: {error}") from None
    return (whole.days * 86_400 + whole.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
