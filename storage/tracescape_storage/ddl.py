"""The DuckDB tables behind `schema`, made once and recognised afterwards by their version."""

from __future__ import annotations

import secrets
from typing import Final

import pyarrow as pa

from tracescape_storage.schema import SCHEMA_VERSION, TABLES

_DUCKDB_TYPES: Final = {
    pa.binary(): "BLOB",
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.list_(pa.float64()): "DOUBLE[]",
    pa.list_(pa.uint64()): "UBIGINT[]",
}

_KINDS = "['unset', 'internal', 'server', 'client', 'producer', 'consumer']"
_STATUSES = "['unset', 'ok', 'error']"
_SEVERITIES = "['unset', 'trace', 'debug', 'info', 'warn', 'error', 'fatal']"

_NO_SPAN_OR_HEX = "CASE WHEN span_id = 0 THEN '' ELSE lpad(lower(hex(span_id)), 16, '0') END"

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

#: As `SPANS_VIEW`. ``body`` is the text itself where it is text, JSON where it is anything else; ``severity``
#: is one word for each range of four numbers; ids are empty where the record has none.
LOGS_VIEW: Final = f"""
CREATE VIEW IF NOT EXISTS logs_v AS
SELECT make_timestamp_ns(time_ns) AS time,
       CASE WHEN severity_number BETWEEN 0 AND 24 THEN {_SEVERITIES}[(severity_number + 3) // 4 + 1]
           ELSE severity_number::VARCHAR END AS severity,
       severity_number, severity_text, service,
       body::JSON ->> '$' AS body,
       event_name,
       coalesce(lower(hex(trace_id)), '') AS trace_id,
       {_NO_SPAN_OR_HEX} AS span_id,
       time_ns, observed_time_ns, flags,
       attributes::JSON AS attributes
FROM logs
"""

METRICS_VIEW: Final = """
CREATE VIEW IF NOT EXISTS metrics_v AS
SELECT make_timestamp_ns(time_ns) AS time,
       CASE WHEN start_ns <> 0 THEN make_timestamp_ns(start_ns) END AS start_time,
       service, name, type, unit, temporality, monotonic,
       value, value_int, count, sum, min, max,
       bounds, bucket_counts,
       scale, zero_count, zero_threshold, positive_offset, positive_counts, negative_offset, negative_counts,
       quantiles, quantile_values,
       flags & 1 = 1 AS no_recorded_value,
       time_ns, start_ns, lower(hex(point_id)) AS point_id, description,
       attributes::JSON AS attributes,
       metadata::JSON AS metadata
FROM metrics
"""

EXEMPLARS_VIEW: Final = f"""
CREATE VIEW IF NOT EXISTS exemplars_v AS
SELECT make_timestamp_ns(time_ns) AS time,
       service, name, value, value_int,
       coalesce(lower(hex(trace_id)), '') AS trace_id,
       {_NO_SPAN_OR_HEX} AS span_id,
       time_ns, point_time_ns, lower(hex(point_id)) AS point_id,
       attributes::JSON AS attributes
FROM exemplars
"""

VIEWS: Final = (SPANS_VIEW, LOGS_VIEW, METRICS_VIEW, EXEMPLARS_VIEW)


def statements() -> list[str]:
    """Everything that makes an empty database a store of this version, in order."""
    tables = [_create_table(name, schema) for name, schema in TABLES.items()]
    return [
        *tables,
        *VIEWS,
        "CREATE TABLE IF NOT EXISTS tracescape_store (version INTEGER NOT NULL)",
        f"INSERT INTO tracescape_store VALUES ({SCHEMA_VERSION})",
        "CREATE TABLE IF NOT EXISTS tracescape_journal (sequence BIGINT, rows BIGINT, seed BIGINT)",
        f"INSERT INTO tracescape_journal VALUES (-1, 0, {secrets.randbits(62)})",
    ]


def insert_statement(table: str, source: str) -> str:
    """Copy the rows of the registered Arrow table ``source`` into ``table``, by column name."""
    return f"INSERT INTO {table} BY NAME SELECT * FROM {source}"


def _create_table(name: str, schema: pa.Schema) -> str:
    columns = ", ".join(_column(field) for field in schema)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns})"


def _column(field: pa.Field) -> str:
    null = "" if field.nullable else " NOT NULL"
    return f'"{field.name}" {_DUCKDB_TYPES[field.type]}{null}'
