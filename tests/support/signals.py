"""Readable OTLP log and metric requests for tests, and a database with what they decode to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from support.otlp import any_value, key_values
from tracescape_ingest.envelope import DecodedTables
from tracescape_storage import ddl


def log(
    body: object = "hello", *, attributes: Mapping[str, object] | None = None, **fields: Any
) -> LogRecord:
    return LogRecord(
        body=any_value(body), attributes=key_values(attributes or {}), **{"time_unix_nano": 1_000, **fields}
    )


def logs_request(*records: LogRecord, service: str = "shop") -> ExportLogsServiceRequest:
    message = ExportLogsServiceRequest()
    group = message.resource_logs.add()
    group.resource.attributes.extend(key_values({"service.name": service}))
    group.scope_logs.add(log_records=records).scope.name = "test"
    return message


def metrics_request(*metrics: Metric, service: str = "shop") -> ExportMetricsServiceRequest:
    message = ExportMetricsServiceRequest()
    group = message.resource_metrics.add()
    group.resource.attributes.extend(key_values({"service.name": service}))
    group.scope_metrics.add(metrics=metrics).scope.name = "test"
    return message


def asked(decoded: DecodedTables, query: str) -> list[dict[str, Any]]:
    """The answer to ``query`` of a database of the store's schema with the rows of ``decoded``."""
    with duckdb.connect() as connection:
        for statement in ddl.statements():
            connection.execute(statement)
        for name, table in decoded.tables.items():
            connection.register("incoming", table)
            connection.execute(ddl.insert_statement(name, "incoming", 1))
            connection.unregister("incoming")
        rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
        return rows
