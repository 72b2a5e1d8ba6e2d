"""What people read of the rows of a store: the SQL of each documented column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tracescape_storage.conditions import identifier, pointer
from tracescape_storage.ddl import whole_attributes
from tracescape_storage.filters import KINDS, STATUSES, FilterError, attribute, near

_ID: Final = "lower(hex(trace_id))"

#: The columns of spans that are no attributes, as docs/columns.md has them, and their SQL over ``spans``.
SPAN_COLUMNS: Final[dict[str, str]] = {
    "trace_id": _ID,
    "span_id": "lpad(lower(hex(span_id)), 16, '0')",
    "parent_span_id": (
        "CASE WHEN parent_span_id = 0 THEN '' ELSE lpad(lower(hex(parent_span_id)), 16, '0') END"
    ),
    "service": "service",
    "operation": "operation",
    "kind": f"coalesce({list(KINDS)}[kind + 1], kind::VARCHAR)",
    "status": f"coalesce({list(STATUSES)}[status + 1], status::VARCHAR)",
    "status_message": "status_message",
    "start_ns": "start_ns",
    "end_ns": "start_ns + duration_ns",
    "duration_ns": "duration_ns",
}
#: More columns of spans, for those who name them.
FURTHER_SPAN_COLUMNS: Final[dict[str, str]] = {
    "scope": "(SELECT any_value(name) FROM scopes WHERE scopes.scope_id = spans.scope_id)",
    "trace_state": "trace_state",
    "flags": "flags",
    "resource_id": "resource_id",
    "scope_id": "scope_id",
    "dropped_attributes": "dropped_attributes",
    "dropped_events": "dropped_events",
    "dropped_links": "dropped_links",
}

_SEVERITIES: Final = ["unset", "trace", "debug", "info", "warn", "error", "fatal"]

#: The columns of logs, as docs/columns.md has them, and their SQL over ``logs``. ``logs_v`` has the same.
LOG_COLUMNS: Final[dict[str, str]] = {
    "time_ns": "time_ns",
    "severity": (
        f"CASE WHEN severity_number BETWEEN 0 AND 24 THEN {_SEVERITIES}[(severity_number + 3) // 4 + 1]"
        " ELSE severity_number::VARCHAR END"
    ),
    "severity_number": "severity_number",
    "severity_text": "severity_text",
    "service": "service",
    "body": "body::JSON ->> '$'",
    "event_name": "event_name",
    "trace_id": f"coalesce({_ID}, '')",
    "span_id": "CASE WHEN span_id = 0 THEN '' ELSE lpad(lower(hex(span_id)), 16, '0') END",
    "observed_time_ns": "observed_time_ns",
    "flags": "flags",
    "attributes": "attributes",
}
#: The columns of ``metrics_v`` that a frame has, with times as integers only.
METRIC_COLUMNS: Final = (
    *("time_ns", "start_ns", "service", "name", "type", "unit", "description", "temporality", "monotonic"),
    *("value", "value_int", "count", "sum", "min", "max", "bounds", "bucket_counts"),
    *("scale", "zero_count", "zero_threshold"),
    *("positive_offset", "positive_counts", "negative_offset", "negative_counts"),
    *("quantiles", "quantile_values", "no_recorded_value", "attributes", "metadata", "point_id"),
)


def span_column(name: str, columns: Mapping[str, str]) -> str:
    """SQL for one column of spans by its documented name.

    That is one of `SPAN_COLUMNS`, ``attributes`` (all, JSON text), ``resource_attributes``, one of
    `FURTHER_SPAN_COLUMNS`, the key of an attribute with a column of its own (with its type), or
    ``span.KEY``, ``resource.KEY``, ``scope.KEY``: text, null where there is none.

    Raises:
        ValueError: there is none of this name. The message lists the near ones.
    """
    if name in SPAN_COLUMNS:
        return SPAN_COLUMNS[name]
    if name == "attributes":
        return whole_attributes(columns)
    if name == "resource_attributes":
        return _looked_up("resources", "resource_id", "attributes")
    if name in FURTHER_SPAN_COLUMNS:
        return FURTHER_SPAN_COLUMNS[name]
    if name in columns:
        return identifier(name)
    try:
        wanted = attribute(name)
    except FilterError as error:
        raise ValueError(str(error)) from None
    value = f"json_extract_string(attributes, {pointer(wanted.key)})"
    if wanted.owner == "span":
        own = f"{identifier(wanted.key)}::VARCHAR, " if wanted.key in columns else ""
        return f"coalesce({own}{value})" if own else value
    if wanted.owner == "resource":
        return _looked_up("resources", "resource_id", value)
    if wanted.owner == "scope":
        return _looked_up("scopes", "scope_id", value)
    known = [*SPAN_COLUMNS, "attributes", "resource_attributes", *FURTHER_SPAN_COLUMNS, *columns]
    raise unknown_column(name, known, "An attribute as text: span.KEY, resource.KEY or scope.KEY.")


def selected(names: Sequence[str], columns: Mapping[str, str]) -> str:
    """The select list for columns of spans; see `span_column`. Raises ``ValueError`` for no or many names."""
    if not 0 < len(names) <= 1_000:
        raise ValueError(f"{len(names)} columns are asked for; it can be 1 to 1,000")
    return ", ".join(f"{span_column(name, columns)} AS {identifier(name)}" for name in dict.fromkeys(names))


def unknown_column(name: str, known: Iterable[str], hint: str = "") -> ValueError:
    """The error for a column that is not there, with those that come near."""
    names = list(known)
    close = near(name, names)
    there = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names[:40])}."
    return ValueError(f"there is no column {name[:80]!r}; {there} {hint}".rstrip())


def _looked_up(table: str, key: str, value: str) -> str:
    # Values are computed once a resource or scope: there are few of them, and many spans.
    return (
        f"(SELECT any_value(found) FROM (SELECT {key} AS id, {value} AS found FROM {table}) WHERE id = {key})"
    )
