"""The SQL for rows of spans, logs and metrics by their documented columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tracescape_storage.attribute_keys import has_key, known_keys
from tracescape_storage.attribute_values import Values, value_sql, values_of
from tracescape_storage.conditions import identifier, literal
from tracescape_storage.filters import EVERYTHING, Field, Filter, FilterError, attribute, check_size
from tracescape_storage.readable import (
    LOG_COLUMNS,
    METRIC_COLUMNS,
    SPAN_COLUMNS,
    checked_names,
    known_span_columns,
    span_column,
    unknown_column,
)
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ARRIVED
from tracescape_storage.search import window_conditions
from tracescape_storage.select import trace_condition

Window = tuple[int | None, int | None]
_HEX: Final = frozenset("0123456789abcdef")


def span_rows_sql(
    reader: Reader,
    columns: Sequence[str] | None,
    *,
    where: Filter = EVERYTHING,
    window: Window = (None, None),
    limit: int | None = None,
) -> str:
    """Matching spans in the order of their arrival; without ``columns``, `SPAN_COLUMNS` and ``attributes``.

    Columns are those of `span_column` and attributes by their keys (see `filters.attribute` and `value_sql`).
    Of these the reader is asked which types they have; rows that arrive afterwards are left out.

    Raises:
        ValueError: a filter or a limit out of bounds, or a column that no span has: near ones are listed.
    """
    check_size(where)
    known = reader.attribute_columns()
    names = [*SPAN_COLUMNS, "attributes"] if columns is None else checked_names(columns)
    limited = _limit(limit)
    condition = " AND ".join([*window_conditions(*window), reader.condition(where)])
    chosen = {name: span_column(name, known) for name in names}
    fields = {name: _attribute(name) for name, sql in chosen.items() if sql is None}
    if fields:
        values = values_of(reader, list(fields.values()), known, condition, limit)
        for name, field in fields.items():
            _check_there(reader, name, field, values, known)
            chosen[name] = value_sql(field, known, values)
        if reader.live and values.arrived_ns is not None:
            condition += f" AND {ARRIVED} <= {values.arrived_ns}"
    listed = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in chosen.items())
    return f"SELECT {listed} FROM spans WHERE {condition}{limited}"


def _attribute(name: str) -> Field:
    try:
        field = attribute(name)
    except FilterError as error:
        raise ValueError(f"{name[:80]!r} is no column: {error}") from None
    if not name or "\0" in name:
        raise ValueError(f"{name[:80]!r} is no column: an attribute of that key is span.KEY, without a NUL")
    return field


def _check_there(reader: Reader, name: str, field: Field, values: Values, columns: Mapping[str, str]) -> None:
    """An attribute that none of the spans has may be one that others have."""
    columned = field.key in columns and field.owner in ("any", "span")
    if columned or values.kinds[field.owner, field.key] or has_key(reader, field, columns):
        return
    if "." in name and not reader.extent().spans:
        return
    keys = sorted(known_keys(reader, field.owner, columns))
    if field.owner == "any":
        known = [*known_span_columns(), *keys]
    else:
        known = [f"{field.owner}.{key}" for key in keys]
    raise unknown_column(name, known, "Attributes are called by their keys: KEY, span.KEY, resource.KEY, …")


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
    names = list(known) if columns is None else checked_names(columns)
    for name in names:
        if name not in known:
            raise unknown_column(name, known)
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
