"""The DuckDB tables behind `schema`, made once and recognised afterwards by their version."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from tracescape_storage.schema import SCHEMA_VERSION, TABLES

_DUCKDB_TYPES: Final = {
    pa.binary(): "BLOB",
    pa.int8(): "TINYINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint32(): "UINTEGER",
    pa.string(): "VARCHAR",
}

_KINDS = "['unset', 'internal', 'server', 'client', 'producer', 'consumer']"
_STATUSES = "['unset', 'ok', 'error']"

#: What people query: hex ids, timestamps, words for codes, attributes as JSON.
SPANS_VIEW: Final = f"""
CREATE VIEW IF NOT EXISTS spans_v AS
SELECT lower(hex(trace_id)) AS trace_id,
       lpad(lower(hex(span_id)), 16, '0') AS span_id,
       CASE WHEN parent_span_id = 0 THEN '' ELSE lpad(lower(hex(parent_span_id)), 16, '0') END
           AS parent_span_id,
       service, operation,
       coalesce({_KINDS}[kind + 1], kind::VARCHAR) AS kind,
       coalesce({_STATUSES}[status + 1], status::VARCHAR) AS status,
       status_message,
       make_timestamp_ns(start_ns) AS start_time,
       start_ns, start_ns + duration_ns AS end_ns, duration_ns,
       attributes::JSON AS attributes
FROM spans
"""


def statements() -> list[str]:
    """Everything that makes an empty database a store of this version, in order."""
    tables = [_create_table(name, schema) for name, schema in TABLES.items()]
    return [
        *tables,
        SPANS_VIEW,
        "CREATE TABLE IF NOT EXISTS tracescape_store (version INTEGER NOT NULL)",
        f"INSERT INTO tracescape_store VALUES ({SCHEMA_VERSION})",
    ]


def insert_statement(table: str, source: str) -> str:
    """Copy the rows of the registered Arrow table ``source`` into ``table``, by column name."""
    columns = "* REPLACE (attributes::JSON::VARIANT AS attributes)"
    return f"INSERT INTO {table} BY NAME SELECT {columns} FROM {source}"


def _create_table(name: str, schema: pa.Schema) -> str:
    columns = ", ".join(_column(field) for field in schema)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns})"


def _column(field: pa.Field) -> str:
    if field.name == "attributes":
        return "attributes VARIANT"
    null = "" if field.nullable else " NOT NULL"
    return f'"{field.name}" {_DUCKDB_TYPES[field.type]}{null}'
