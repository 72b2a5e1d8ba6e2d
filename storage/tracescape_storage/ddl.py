"""The DuckDB tables behind `schema`, made once and recognised afterwards by their version."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa

from tracescape_storage.schema import (
    ARRIVED,
    INTEGER_PROMOTED,
    NUMBERS_ONLY,
    PROMOTED,
    SCHEMA_VERSION,
    SPANS,
    TABLES,
    TRACE_KEY,
    URL_HOST,
    store_columns,
)

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

#: What people query: hex ids, timestamps, words for codes, attributes as JSON, and again in columns.
_SPANS_VIEW: Final = f"""
CREATE OR REPLACE VIEW spans_v AS
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
       {{columns}}
FROM spans
"""

#: As ``spans_v``. ``body`` is the text itself where it is text, JSON where it is anything else; ``severity``
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

#: Which commits have spans of which traces, by the few bytes of their ids: a trace is in one or two of them,
#: and whole row groups of ``spans`` are of other commits. A store that lacks the table gets it when it is
#: opened for writing.
TRACE_ARRIVALS: Final = "tracescape_trace_arrivals"
TRACE_INDEX: Final = (
    f"CREATE TABLE {TRACE_ARRIVALS} ({TRACE_KEY} INTEGER, {ARRIVED} BIGINT NOT NULL)",
    f"INSERT INTO {TRACE_ARRIVALS} SELECT DISTINCT {TRACE_KEY}, {ARRIVED} FROM spans ORDER BY ALL",
)
TRACE_INDEX_THERE: Final = f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{TRACE_ARRIVALS}'"

VIEWS: Final = (LOGS_VIEW, METRICS_VIEW, EXEMPLARS_VIEW)


def span_views(columns: Mapping[str, str], further: Iterable[str] = ()) -> list[str]:
    """The views of spans, anew: `schema.SPANS_FULL` and the one for people.

    ``columns`` are those of attributes (key to DuckDB type), ``further`` others, whose values are among the
    text as well.
    """
    names = [quoted(key) for key in (*columns, *further)]
    whole = whole_attributes(columns)
    return [
        f"CREATE OR REPLACE VIEW spans_full AS {full_sql(columns)}",
        _SPANS_VIEW.format(columns=", ".join([whole + "::JSON AS attributes", *names])),
    ]


def full_sql(columns: Mapping[str, str]) -> str:
    """What ``spans_full`` is: the view of a file that an older release wrote may have fewer columns."""
    core = [
        whole_attributes(columns) + " AS attributes" if name == "attributes" else name for name in SPANS.names
    ]
    promoted = [f"{_promoted(name, columns)} AS {name}" for name in PROMOTED]
    return f"SELECT {', '.join([*core, *promoted, TRACE_KEY, ARRIVED])} FROM spans"


def whole_attributes(columns: Mapping[str, str]) -> str:
    """An expression for the JSON text of all attributes of a row of ``spans``."""
    if not columns:
        return "attributes"
    pairs = ", ".join(f"'\"{key}\":' || to_json({quoted(key)})" for key in columns)
    return f"('{{' || concat_ws(',', nullif(attributes[2:-2], ''), {pairs}) || '}}')"


#: Whether ``spans_full`` has all columns of `SPANS_FULL`: any row says so.
FULL_VIEW_THERE: Final = (
    f"SELECT 1 FROM duckdb_columns() WHERE table_name = 'spans_full' AND column_name = '{list(PROMOTED)[-1]}'"
)


def _promoted(name: str, columns: Mapping[str, str]) -> str:
    if name != "url_host":
        return _first(name, columns)
    # Only where it decides: to look into a URL takes longer than all else that is read of a span.
    url = _first(name, columns)
    named = " AND ".join(f"{_first(other, columns)} IS NULL" for other in ("peer_service", "server_address"))
    return f"CASE WHEN {named} THEN nullif(lower(regexp_extract({url}, '{URL_HOST}', 1)), '') END"


def _first(name: str, columns: Mapping[str, str]) -> str:
    """The first that is set of a promoted column's keys; senders write some numbers as text, too."""
    kind = "BIGINT" if name in INTEGER_PROMOTED else "VARCHAR"
    found = ["NULL"]
    for key in PROMOTED[name]:
        if columns.get(key) == kind:
            found.append(quoted(key))
        if kind == "BIGINT" and name not in NUMBERS_ONLY:
            digits = f"TRY_CAST(attributes ->> '$.\"{key}\"' AS BIGINT)"
            found.append(f'CASE WHEN contains(attributes, \'"{key}":"\') THEN {digits} END')
    return f"coalesce({', '.join(found)})::{kind}"


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def duckdb_type(kind: pa.DataType) -> str:
    """The type of the column that takes this Arrow type of `schema`."""
    return _DUCKDB_TYPES[kind]


def add_column(key: str, kind: str) -> list[str]:
    """Give an attribute a column of its own; ``key`` is one that `attribute_columns.is_free` lets be."""
    return [
        f"ALTER TABLE spans ADD COLUMN {quoted(key)} {kind}",
        f"INSERT INTO tracescape_attribute_columns VALUES ('{key}', '{kind}')",
    ]


def statements() -> list[str]:
    """Everything that makes an empty database a store of this version, in order."""
    tables = [_create_table(name, schema) for name, schema in TABLES.items()]
    return [
        *tables,
        *VIEWS,
        *span_views({}),
        "CREATE TABLE IF NOT EXISTS tracescape_store (version INTEGER NOT NULL)",
        f"INSERT INTO tracescape_store VALUES ({SCHEMA_VERSION})",
        "CREATE TABLE IF NOT EXISTS tracescape_journal (sequence BIGINT, rows BIGINT, seed BIGINT)",
        f"INSERT INTO tracescape_journal VALUES (-1, 0, {secrets.randbits(62)})",
        "CREATE TABLE IF NOT EXISTS tracescape_attribute_columns"
        " (key VARCHAR NOT NULL, type VARCHAR NOT NULL)",
        "CREATE TABLE IF NOT EXISTS tracescape_pruned"
        " (arrived_before_ns BIGINT NOT NULL, spans BIGINT NOT NULL, last_start_ns BIGINT NOT NULL)",
    ]


def insert_statement(table: str, source: str, arrived_ns: int | None) -> str:
    """Copy the rows of the registered Arrow table ``source`` into ``table``, by column name.

    ``arrived_ns`` is None where the rows say themselves when they arrived.
    """
    missing = arrived_ns is not None and ARRIVED in store_columns(table).names
    arrived = f", {arrived_ns}::BIGINT AS {ARRIVED}" if missing else ""
    return f"INSERT INTO {table} BY NAME SELECT *{arrived} FROM {source}"


def index_statement(source: str, arrived_ns: int | None) -> str:
    """Note of which traces the rows of the registered Arrow table ``source`` are; as `insert_statement`."""
    arrived = ARRIVED if arrived_ns is None else f"{arrived_ns}::BIGINT"
    return f"INSERT INTO {TRACE_ARRIVALS} SELECT DISTINCT {TRACE_KEY}, {arrived} FROM {source} ORDER BY 1"


def _create_table(name: str, schema: pa.Schema) -> str:
    columns = ", ".join(_column(field) for field in [*schema, *store_columns(name)])
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns})"


def _column(field: pa.Field) -> str:
    null = "" if field.nullable else " NOT NULL"
    return f'"{field.name}" {_DUCKDB_TYPES[field.type]}{null}'
