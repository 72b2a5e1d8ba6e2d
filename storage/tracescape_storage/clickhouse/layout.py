"""Which tables of the exporter there are, and whether they are as this release reads them."""

from __future__ import annotations

from typing import Final, NamedTuple

from tracescape_storage.clickhouse.connection import Connection
from tracescape_storage.clickhouse.literals import literal
from tracescape_storage.errors import StoreError

#: Without these columns nothing can be answered; the exporter has written them since its first release.
_NEEDED: Final = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName"),
    *("ResourceAttributes", "SpanAttributes", "Duration", "StatusCode", "StatusMessage"),
    *("Events.Timestamp", "Events.Name", "Events.Attributes"),
    *("Links.TraceId", "Links.SpanId", "Links.TraceState", "Links.Attributes"),
)
_LOGS: Final = (
    *("Timestamp", "TraceId", "SpanId", "SeverityText", "SeverityNumber", "ServiceName", "Body"),
    *("ResourceAttributes", "LogAttributes"),
)
_ATTRIBUTES: Final = ("ResourceAttributes", "SpanAttributes", "LogAttributes")


class Layout(NamedTuple):
    """What there is to read.

    Attributes:
        traces: the table of spans, quoted, with its database.
        span_columns: its columns.
        lookup: the table that says when each trace was; ``""`` where there is none.
        logs: the table of log records; ``""`` where there is none.
        log_columns: its columns.
    """

    traces: str
    span_columns: frozenset[str]
    lookup: str = ""
    logs: str = ""
    log_columns: frozenset[str] = frozenset()


def layout_of(connection: Connection) -> Layout:
    """Look at the tables; nothing is ever made or changed.

    Raises:
        StoreError: there is no table of spans, or it lacks columns, or has others of these names.
    """
    address = connection.address
    lookup = f"{address.traces}_trace_id_ts"
    wanted = ", ".join(literal(name) for name in (address.traces, lookup, address.logs))
    found = connection.table(
        "SELECT toString(table) AS table, toString(name) AS name, toString(type) AS type"
        f" FROM system.columns WHERE database = {literal(address.database)} AND table IN ({wanted})"
    )
    tables: dict[str, dict[str, str]] = {}
    for row in found.to_pylist():
        tables.setdefault(row["table"], {})[row["name"]] = row["type"]
    if address.traces not in tables:
        raise StoreError(
            f"{address.location} has no table {address.traces}. The OpenTelemetry Collector's ClickHouse"
            " exporter makes it in the database that its configuration names."
        )
    spans, logs = tables[address.traces], tables.get(address.logs, {})
    _check(address.traces, spans, _NEEDED)
    if logs:
        _check(address.logs, logs, _LOGS)
    whole = {"TraceId", "Start", "End"} <= set(tables.get(lookup, ()))
    return Layout(
        _quoted(address.database, address.traces),
        frozenset(spans),
        _quoted(address.database, lookup) if whole else "",
        _quoted(address.database, address.logs) if logs else "",
        frozenset(logs),
    )


def _check(table: str, columns: dict[str, str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        raise StoreError(
            f"{table} has no column {', '.join(missing[:5])}: it is of another schema than the OpenTelemetry"
            " Collector's ClickHouse exporter makes, or of another version of it."
        )
    for name in _ATTRIBUTES:
        if name in needed and not columns[name].startswith("Map("):
            raise StoreError(
                f"{name} of {table} is of type {columns[name][:40]}; attributes are read as"
                " Map(LowCardinality(String), String), which the exporter makes unless json is set."
            )


def _quoted(database: str, table: str) -> str:
    return f"`{database}`.`{table}`"
