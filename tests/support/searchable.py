"""Stores for tests of searching: rows of `naive.search` in the tables of a store, with columns or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from naive.search import SearchedSpan
from tracescape_storage import ddl
from tracescape_storage.attributes import encode_attributes
from tracescape_storage.duckdb_file import DuckDBReader
from tracescape_storage.schema import TABLES, store_columns
from tracescape_storage.trace_keys import trace_key

PYTHON_TYPES = {"VARCHAR": str, "BIGINT": int, "DOUBLE": float, "BOOLEAN": bool}


class ColumnedReader(DuckDBReader):
    """A reader of a database in memory in which some attributes have columns."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> None:
        super().__init__(connection, "memory", live=True, owns=True)
        self.connection = connection
        self.columns = dict(columns)

    def attribute_columns(self) -> dict[str, str]:
        return self.columns

    def add(self, spans: Sequence[SearchedSpan], *, columned: Sequence[bool] = (True,)) -> None:
        """``columned`` says, row by row and again from its beginning, which rows make use of the columns."""
        for name, rows in rows_of(spans).items():
            known = f'"{name}"'
            for row, span in zip(rows, spans, strict=False) if name == "spans" else ():
                if columned[int(row["_place"]) % len(columned)]:
                    self._into_columns(row, span)
            names = [field.name for field in TABLES[name]] + (list(self.columns) if name == "spans" else [])
            names += store_columns(name).names
            for row in rows:
                row |= {"arrived_ns": 1, "trace_key": trace_key(row.get("trace_id", b""))}
                used = [column for column in names if row.get(column) is not None]
                marks = ", ".join("?" for _ in used)
                listed = ", ".join(f'"{column}"' for column in used)
                values = [row[column] for column in used]
                self.connection.execute(f"INSERT INTO {known} ({listed}) VALUES ({marks})", values)

    def _into_columns(self, row: dict[str, Any], span: SearchedSpan) -> None:
        rest = dict(span.attributes)
        for key, kind in self.columns.items():
            if type(rest.get(key)) is PYTHON_TYPES[kind]:
                row[key] = rest.pop(key)
        row["attributes"] = encode_attributes(rest)  # type: ignore[arg-type]


def columned_reader(columns: Mapping[str, str], spans: Sequence[SearchedSpan] = ()) -> ColumnedReader:
    connection = duckdb.connect()
    for statement in ddl.statements():
        connection.execute(statement)
    for key, kind in columns.items():
        connection.execute(f'ALTER TABLE spans ADD COLUMN "{key}" {kind}')
    reader = ColumnedReader(connection, columns)
    reader.add(spans)
    return reader


def tables_of(spans: Sequence[SearchedSpan]) -> dict[str, pa.Table]:
    """The rows as the tables that a writer appends."""
    found = {}
    for name, rows in rows_of(spans).items():
        plain = [{key: value for key, value in row.items() if key != "_place"} for row in rows]
        found[name] = pa.Table.from_pylist(plain, schema=TABLES[name])
    return found


def rows_of(spans: Sequence[SearchedSpan]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {"spans": [], "events": [], "resources": [], "scopes": []}
    resources: dict[str, int] = {}
    scopes: dict[str, int] = {}
    for place, span in enumerate(spans):
        resource_id = _number(resources, span.resource, span.service)
        scope_id = _number(scopes, span.scope.attributes, span.scope.name, span.scope.version)
        rows["spans"].append(_span_row(span, resource_id, scope_id) | {"_place": place})
        for event in span.events:
            rows["events"].append(_event_row(span, event.name, event.attributes))
        rows["resources"].append(
            {
                "resource_id": resource_id,
                "service": span.service,
                "attributes": encode_attributes(span.resource),  # type: ignore[arg-type]
                "dropped_attributes": 0,
            }
        )
        rows["scopes"].append(
            {
                "scope_id": scope_id,
                "name": span.scope.name,
                "version": span.scope.version,
                "attributes": encode_attributes(span.scope.attributes),  # type: ignore[arg-type]
                "dropped_attributes": 0,
            }
        )
    for name, key in (("resources", "resource_id"), ("scopes", "scope_id")):
        rows[name] = list({row[key]: row for row in rows[name]}.values())
    return rows


def _number(known: dict[str, int], *content: object) -> int:
    return known.setdefault(repr(content), len(known) + 1)


def _span_row(span: SearchedSpan, resource_id: int, scope_id: int) -> dict[str, Any]:
    return {
        "trace_id": span.trace,
        "span_id": span.number,
        "parent_span_id": span.parent,
        "start_ns": span.start,
        "duration_ns": span.duration,
        "service": span.service,
        "operation": span.operation,
        "kind": span.kind,
        "status": span.status,
        "status_message": span.status_message,
        "flags": 0,
        "resource_id": resource_id,
        "scope_id": scope_id,
        "attributes": encode_attributes(span.attributes),  # type: ignore[arg-type]
        "dropped_attributes": 0,
        "dropped_events": 0,
        "dropped_links": 0,
    }


def _event_row(span: SearchedSpan, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": span.trace,
        "span_id": span.number,
        "time_ns": span.start,
        "name": name,
        "attributes": encode_attributes(attributes),
        "dropped_attributes": 0,
    }
