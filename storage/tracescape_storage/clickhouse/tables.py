"""The tables of the OpenTelemetry Collector's ClickHouse exporter, for those who make a store of their own.

Whoever only reads makes none. Columns, types, order and partitions are the exporter's, so that it, its
dashboards and this project read and write the same tables; nothing else of them is promised.
"""

from __future__ import annotations

from typing import Final

#: How many inserts a table remembers, so that one that is tried again is there once.
DEDUPLICATED: Final = "non_replicated_deduplication_window = 10000"
_TEXT: Final = "String CODEC(ZSTD(1))"
_WORD: Final = "LowCardinality(String) CODEC(ZSTD(1))"
_MAP: Final = "Map(LowCardinality(String), String)"
_TIME: Final = "DateTime64(9) CODEC(Delta(8), ZSTD(1))"
_SECONDS: Final = "DateTime CODEC(Delta, ZSTD(1))"
_EVENT: Final = f"Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_MAP}"
_LINK: Final = f"TraceId String, SpanId String, TraceState String, Attributes {_MAP}"

_SPANS: Final = {
    "Timestamp": _TIME,
    "TraceId": _TEXT,
    "SpanId": _TEXT,
    "ParentSpanId": _TEXT,
    "TraceState": _TEXT,
    "SpanName": _WORD,
    "SpanKind": _WORD,
    "ServiceName": _WORD,
    "ResourceAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "ScopeName": _TEXT,
    "ScopeVersion": _TEXT,
    "SpanAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "Duration": "UInt64 CODEC(ZSTD(1))",
    "StatusCode": _WORD,
    "StatusMessage": _TEXT,
    "Events": f"Nested({_EVENT}) CODEC(ZSTD(1))",
    "Links": f"Nested({_LINK}) CODEC(ZSTD(1))",
}
_LOGS: Final = {
    "Timestamp": _TIME,
    "TimestampTime": "DateTime DEFAULT toDateTime(Timestamp)",
    "TraceId": _TEXT,
    "SpanId": _TEXT,
    "TraceFlags": "UInt8",
    "SeverityText": _WORD,
    "SeverityNumber": "UInt8",
    "ServiceName": _WORD,
    "Body": _TEXT,
    "ResourceSchemaUrl": _WORD,
    "ResourceAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "ScopeSchemaUrl": _WORD,
    "ScopeName": _TEXT,
    "ScopeVersion": _WORD,
    "ScopeAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "LogAttributes": f"{_MAP} CODEC(ZSTD(1))",
}


def statements(database: str = "default", traces: str = "otel_traces", logs: str = "otel_logs") -> list[str]:
    """What makes the tables where they are not there yet, in order."""
    spans, lookup = f"`{database}`.`{traces}`", f"`{database}`.`{traces}_trace_id_ts`"
    return [
        _table(
            spans,
            _SPANS,
            [
                _bloom("idx_trace_id", "TraceId", 0.001),
                *_keys_and_values("res_attr", "ResourceAttributes"),
                *_keys_and_values("span_attr", "SpanAttributes"),
                "INDEX idx_duration Duration TYPE minmax GRANULARITY 1",
            ],
            "PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))",
        ),
        _table(
            lookup,
            {"TraceId": _TEXT, "Start": _SECONDS, "End": _SECONDS},
            [_bloom("idx_trace_id", "TraceId", 0.01)],
            "PARTITION BY toDate(Start) ORDER BY (TraceId, Start)",
        ),
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS `{database}`.`{traces}_trace_id_ts_mv` TO {lookup} AS"
        f" SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM {spans}"
        " WHERE TraceId != '' GROUP BY TraceId",
        _table(
            f"`{database}`.`{logs}`",
            _LOGS,
            [
                _bloom("idx_trace_id", "TraceId", 0.001),
                *_keys_and_values("res_attr", "ResourceAttributes"),
                *_keys_and_values("scope_attr", "ScopeAttributes"),
                *_keys_and_values("log_attr", "LogAttributes"),
            ],
            "PARTITION BY toDate(TimestampTime) PRIMARY KEY (ServiceName, TimestampTime)"
            " ORDER BY (ServiceName, TimestampTime, Timestamp)",
        ),
    ]


def _table(name: str, columns: dict[str, str], indices: list[str], order: str) -> str:
    body = ", ".join([*(f"`{column}` {kind}" for column, kind in columns.items()), *indices])
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({body}) ENGINE = MergeTree {order}"
        f" SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, {DEDUPLICATED}"
    )


def _bloom(name: str, expression: str, wrong: float) -> str:
    return f"INDEX {name} {expression} TYPE bloom_filter({wrong}) GRANULARITY 1"


def _keys_and_values(name: str, column: str) -> list[str]:
    return [
        _bloom(f"idx_{name}_key", f"mapKeys({column})", 0.01),
        _bloom(f"idx_{name}_value", f"mapValues({column})", 0.01),
    ]
