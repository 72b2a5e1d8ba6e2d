"""The SQL for rows of spans, logs and metrics by their documented columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tracescape_storage.conditions import condition_sql, identifier, literal
from tracescape_storage.filters import EVERYTHING, Filter, check_size
from tracescape_storage.readable import (
    LOG_COLUMNS,
    METRIC_COLUMNS,
    SPAN_COLUMNS,
    selected,
    unknown_column,
)
from tracescape_storage.search import window_conditions
from tracescape_storage.select import trace_condition

Window = tuple[int | None, int | None]
_HEX: Final = frozenset("0123456789abcdef")


def span_rows_sql(
    columns: Sequence[str] | None,
    attribute_columns: Mapping[str, str],
    *,
    where: Filter = EVERYTHING,
    window: Window = (None, None),
    limit: int | None = None,
) -> str:
    """Matching spans in the order of their arrival; without ``columns``, `SPAN_COLUMNS` and ``attributes``.

    Raises ``ValueError`` for a filter or a limit out of bounds and for an unknown column.
    """
    check_size(where)
    names = (*SPAN_COLUMNS, "attributes") if columns is None else columns
    conditions = [*window_conditions(*window), condition_sql(where, attribute_columns)]
    return f"SELECT {selected(names, attribute_columns)} FROM spans{_where(conditions)}{_limit(limit)}"


def log_rows_sql(
    columns: Sequence[str] | None,
    *,
    service: str | None = None,
    trace_id: str | None = None,
    contains: str | None = None,
    window: Window = (None, None),
    limit: int | None = None,
) -> str:
    """Log records in the order of their arrival, by time; columns of `LOG_COLUMNS`, all by default."""
    conditions = [*window_conditions(*window, column="time_ns"), *_equal("service", service)]
    if trace_id is not None:
        digits = trace_id.strip().lower().replace("-", "")
        if len(digits) != 32 or not _HEX.issuperset(digits):
            raise ValueError(f"{trace_id[:64]!r} is no trace id: that is 32 hexadecimal digits")
        conditions.append(trace_condition(bytes.fromhex(digits)))
    if contains is not None:
        conditions.append(f"contains({LOG_COLUMNS['body']}, {literal(contains)})")
    chosen = ", ".join(f"{LOG_COLUMNS[name]} AS {name}" for name in _known(columns, list(LOG_COLUMNS)))
    return f"SELECT {chosen} FROM logs{_where(conditions)}{_limit(limit)}"


def metric_rows_sql(
    columns: Sequence[str] | None,
    *,
    name: str | None = None,
    service: str | None = None,
    window: Window = (None, None),
    limit: int | None = None,
) -> str:
    """Data points in the order of their arrival, by time; columns of `METRIC_COLUMNS`, all by default."""
    conditions = [
        *window_conditions(*window, column="time_ns"),
        *_equal("service", service),
        *_equal("name", name),
    ]
    chosen = ", ".join(_metric_column(column) for column in _known(columns, METRIC_COLUMNS))
    return f"SELECT {chosen} FROM metrics_v{_where(conditions)}{_limit(limit)}"


def _metric_column(name: str) -> str:
    quoted = identifier(name)
    return f"{quoted}::VARCHAR AS {quoted}" if name in ("attributes", "metadata") else quoted


def _known(columns: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(known if columns is None else columns))
    for name in names:
        if name not in known:
            raise unknown_column(name, known)
    if not names:
        raise ValueError(f"no columns are asked for; there are {', '.join(known)}")
    return names


def _equal(column: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{column} = {literal(value)}"]


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _limit(limit: int | None) -> str:
    if limit is None:
        return ""
    if limit < 0:
        raise ValueError(f"limit is {limit}; it cannot be negative")
    return f" LIMIT {int(limit)}"
