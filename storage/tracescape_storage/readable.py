"""What people read of the rows of a store: the SQL of each documented column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tracescape_storage.attribute_values import event_names, looked_up
from tracescape_storage.conditions import identifier
from tracescape_storage.ddl import whole_attributes
from tracescape_storage.filters import KINDS, STATUSES, near

MAX_COLUMNS: Final = 1_000

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
    "resource_attributes": looked_up("resources", "attributes"),
    "scope": looked_up("scopes", "name"),
    "scope.name": looked_up("scopes", "name"),
    "scope.version": looked_up("scopes", "version"),
    "event.name": event_names(),
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


def span_column(name: str, columns: Mapping[str, str]) -> str | None:
    """SQL for a column of spans that is no attribute; None where there is none of this name.

    That is one of `SPAN_COLUMNS`, ``attributes`` (all, JSON text), ``resource_attributes`` and one of
    `FURTHER_SPAN_COLUMNS`.
    """
    if name == "attributes":
        return whole_attributes(columns)
    return SPAN_COLUMNS.get(name) or FURTHER_SPAN_COLUMNS.get(name)


def selected(names: Sequence[str], columns: Mapping[str, str]) -> str:
    """The select list for columns of spans that are no attributes; see `span_column`.

    Raises ``ValueError`` for no or many names, and for one that is not there: it lists the near ones.
    """
    return ", ".join(
        f"{_there(span_column(name, columns), name)} AS {identifier(name)}" for name in checked_names(names)
    )


def checked_names(names: Sequence[str]) -> list[str]:
    """Each name once. Raises ``ValueError`` for what are no names of columns, and for none or many."""
    if isinstance(names, str):
        raise ValueError(f"columns are a list of names: columns=[{names[:80]!r}]")
    try:
        listed = list(names)
    except TypeError:
        raise ValueError(f"columns are a list of names, not {names!r:.80}") from None
    if not 0 < len(listed) <= MAX_COLUMNS:
        raise ValueError(f"{len(listed)} columns are asked for; it can be 1 to {MAX_COLUMNS:,}")
    for name in listed:
        if not isinstance(name, str):
            raise ValueError(f"columns are a list of names, and {name!r:.80} is none")
    return list(dict.fromkeys(listed))


def known_span_columns() -> list[str]:
    """The names of the columns of spans that are no attributes."""
    return [*SPAN_COLUMNS, "attributes", *FURTHER_SPAN_COLUMNS]


def _there(sql: str | None, name: str) -> str:
    if sql is None:
        raise unknown_column(name, known_span_columns())
    return sql


def unknown_column(name: str, known: Iterable[str], hint: str = "") -> ValueError:
    """The error for a column that is not there, with those that come near."""
    names = list(known)
    close = near(name, names)
    there = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names[:40])}."
    return ValueError(f"there is no column {name[:80]!r}; {there} {hint}".rstrip())
