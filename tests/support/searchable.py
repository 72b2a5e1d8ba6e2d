"""Stores for tests of searching: rows of `naive.search` in the tables of a store, with columns or without."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from naive.search import SearchedSpan
from tracescape_storage import ddl
from tracescape_storage.attribute_columns import ARROW_TYPES, split
from tracescape_storage.attributes import encode_attributes
from tracescape_storage.duckdb_file import DuckDBReader
from tracescape_storage.schema import TABLES, TRACE_KEY
from tracescape_storage.trace_keys import trace_keys


class ColumnedReader(DuckDBReader):
    """A reader of a database in memory in which some attributes have columns."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection, "memory", live=True)
        self.connection = connection
        self._commits = itertools.count(1)

    def add(self, spans: Sequence[SearchedSpan], *, columned: Sequence[bool] = (True,)) -> None:
        """Commit spans. ``columned`` says, row by row and again from its beginning, which use the columns."""
        kinds = self.attribute_columns()
        commit = next(self._commits)
        for name, rows in rows_of(spans).items():
            for place, row in enumerate(rows if name == "spans" else ()):
                if columned[place % len(columned)]:
                    taken, left = split(spans[place].attributes, kinds)
                    row |= {**taken, "attributes": encode_attributes(left)}
            table = pa.Table.from_pylist(rows, schema=_schema(name, kinds))
            if "trace_id" in table.column_names:
                table = table.append_column(TRACE_KEY, trace_keys(table["trace_id"]))
            self.connection.register("incoming", table)
            self.connection.execute(ddl.insert_statement(name, "incoming", commit))
            self.connection.unregister("incoming")


def _schema(name: str, kinds: Mapping[str, str]) -> pa.Schema:
    schema = TABLES[name]
    for key, kind in kinds.items() if name == "spans" else ():
        schema = schema.append(pa.field(key, ARROW_TYPES[kind]))
    return schema


def columned_reader(columns: Mapping[str, str], spans: Sequence[SearchedSpan] = ()) -> ColumnedReader:
    connection = duckdb.connect()
    for statement in ddl.statements():
        connection.execute(statement)
    for key, kind in columns.items():
        for each in ddl.add_column(key, kind):
            connection.execute(each)
    reader = ColumnedReader(connection)
    reader.add(spans)
    return reader


def rows_of(spans: Sequence[SearchedSpan]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {"spans": [], "events": [], "resources": [], "scopes": []}
    resources: dict[str, int] = {}
    scopes: dict[str, int] = {}
    for span in spans:
        resource_id = _number(resources, span.resource, span.service)
        scope_id = _number(scopes, span.scope.attributes, span.scope.name, span.scope.version)
        rows["spans"].append(_span_row(span, resource_id, scope_id))
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
