"""A store in memory for tests of questions, and spans written as people say them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage import ddl
from tracescape_storage.attributes import decode_attributes, encode_attributes
from tracescape_storage.conditions import condition_sql
from tracescape_storage.filters import Filter
from tracescape_storage.pool import Pool
from tracescape_storage.query import select_table
from tracescape_storage.reader import Extent
from tracescape_storage.schema import DICTIONARY_COLUMNS, LINKS, PROMOTED, SPANS, SPANS_FULL, TRACE_KEY
from tracescape_storage.select import traces_condition
from tracescape_storage.trace_keys import trace_keys

KINDS = ("unset", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")


def trace_bytes(trace: str) -> bytes:
    return trace.encode().rjust(16, b"\0")


def span_number(name: str | None) -> int:
    return 0 if name is None else int.from_bytes(name.encode().rjust(8, b"\0"), "big", signed=True)


def span(
    name: str,
    parent: str | None = None,
    *,
    trace: str = "t",
    service: str = "app",
    operation: str = "work",
    start: int = 0,
    end: int = 100,
    kind: str = "unset",
    status: str = "unset",
    resource: str | None = None,
    **promoted: object,
) -> dict[str, object]:
    """One row of ``schema.SPANS_FULL``. Ids are made from names; a resource is its service unless given."""
    return {
        "trace_id": trace_bytes(trace),
        "span_id": span_number(name),
        "parent_span_id": span_number(parent),
        "start_ns": start,
        "duration_ns": end - start,
        "service": service,
        "operation": operation,
        "kind": KINDS.index(kind),
        "status": STATUSES.index(status),
        "flags": 0,
        "resource_id": span_number((resource or service)[-8:]),
        "scope_id": 1,
        "attributes": "{}",
        "dropped_attributes": 0,
        "dropped_events": 0,
        "dropped_links": 0,
        **promoted,
    }


def link(trace: str, name: str, linked_trace: str, linked: str, start: int = 0) -> dict[str, object]:
    """One row of ``schema.LINKS``: span ``name`` of ``trace`` links to ``linked`` of ``linked_trace``."""
    return {
        "trace_id": trace_bytes(trace),
        "span_id": span_number(name),
        "start_ns": start,
        "linked_trace_id": trace_bytes(linked_trace),
        "linked_span_id": span_number(linked),
        "flags": 0,
        "attributes": "{}",
        "dropped_attributes": 0,
    }


def span_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    unknown = {key for row in rows for key in row} - set(SPANS_FULL.names)
    assert not unknown, unknown
    return pa.Table.from_pylist(list(rows), schema=SPANS_FULL)


def sent(name: str, value: object) -> object:
    """The attribute that tells a promoted column."""
    return f"https://{value}/" if name == "url_host" else value


def stored_span_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    """The same spans as ingest hands them over: what is promoted comes as the attributes that tell it."""
    table = span_table([{name: sent(name, value) for name, value in row.items()} for row in rows])
    names = [PROMOTED[name][0] if name in PROMOTED else name for name in table.column_names]
    table = table.rename_columns(names)
    return table.select(
        [name for name in names if name in SPANS.names or table[name].null_count < len(table)]
    )


def with_attributes(table: pa.Table) -> pa.Table:
    """Spans as a store has them that gives no attribute a column: what is promoted is in the text."""
    rows = []
    for row in table.to_pylist():
        promoted = {
            PROMOTED[name][0]: sent(name, row[name]) for name in PROMOTED if row.get(name) is not None
        }
        rows.append(row | {"attributes": encode_attributes(promoted | decode_attributes(row["attributes"]))})
    return pa.Table.from_pylist([{name: row[name] for name in SPANS.names} for row in rows], schema=SPANS)


def link_table(rows: Sequence[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=LINKS)


@dataclass
class MemoryReader:
    """``tracescape_storage.reader.Reader`` over two tables; ``others`` are those that only SQL asks."""

    table: pa.Table
    link_rows: pa.Table = field(default_factory=LINKS.empty_table)
    location: str = "memory"
    live: bool = False
    others: dict[str, pa.Table] = field(default_factory=dict)

    def extent(self) -> Extent:
        if not self.table.num_rows:
            return Extent(0, 0, 0)
        bounds = pc.min_max(self.table["start_ns"]).as_py()
        return Extent(self.table.num_rows, bounds["min"], bounds["max"])

    def spans(
        self,
        columns: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        trace_ids: Sequence[bytes] | None = None,
        service: str | None = None,
    ) -> pa.Table:
        unknown = set(columns) - set(SPANS_FULL.names)
        if unknown:
            raise ValueError(f"unknown columns {sorted(unknown)}")
        rows = _window(self.table, since_ns, until_ns)
        if trace_ids is not None:
            rows = rows.filter(pc.is_in(rows["trace_id"], pa.array(trace_ids, pa.binary())))
        if service is not None:
            rows = rows.filter(pc.equal(rows["service"], service))
        rows = rows.select(list(columns))
        for i, name in enumerate(columns):
            if name in DICTIONARY_COLUMNS:
                rows = rows.set_column(i, name, rows[name].dictionary_encode())
        return rows

    def of_traces(self, trace_ids: Sequence[bytes]) -> str:
        return traces_condition(trace_ids)

    def holding(self) -> AbstractContextManager[None]:
        return nullcontext()

    def condition(self, where: Filter) -> str:
        return condition_sql(where, {})

    def attribute_columns(self) -> dict[str, str]:
        return {}

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        return _window(self.link_rows, since_ns, until_ns).select(
            ["trace_id", "span_id", "linked_trace_id", "linked_span_id"]
        )

    def sql(self, query: str) -> pa.Table:
        with duckdb.connect() as connection:
            for statement in ddl.statements():
                connection.execute(statement)
            spans = with_attributes(self.table)
            for name, rows in {"spans": spans, "links": self.link_rows, **self.others}.items():
                if "trace_id" in rows.column_names:
                    rows = rows.append_column(TRACE_KEY, trace_keys(rows["trace_id"]))
                connection.register("incoming", rows)
                connection.execute(ddl.insert_statement(name, "incoming", 1))
                connection.unregister("incoming")
            return select_table(Pool(connection), query)

    def stream(self, query: str) -> pa.RecordBatchReader:
        return self.sql(query).to_reader()

    def close(self) -> None:
        pass


def _window(table: pa.Table, since_ns: int | None, until_ns: int | None) -> pa.Table:
    if since_ns is not None:
        table = table.filter(pc.greater_equal(table["start_ns"], since_ns))
    if until_ns is not None:
        table = table.filter(pc.less(table["start_ns"], until_ns))
    return table


def reader(*rows: dict[str, object], links: Sequence[dict[str, object]] = ()) -> MemoryReader:
    return MemoryReader(span_table(rows), link_table(links))
