"""ClickHouse, embedded as chdb, over the table of the OpenTelemetry exporter: run by the peers' own Python.

python clickhouse.py FOLDER        reads FOLDER/spans-*.parquet and FOLDER/questions.json
prints a line of JSON: bytes a span, and seconds of every run of every question.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

# As the exporter makes it (opentelemetry-collector-contrib, exporter/clickhouseexporter), without time to
# live, events and links, which the spans here do not have.
TABLE = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)), ParentSpanId String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)), SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
"""
FILL = """
INSERT INTO otel_traces SELECT fromUnixTimestamp64Nano(start_ns), lower(hex(trace_id)),
    lower(hex(span_id)), lower(hex(parent_span_id)), operation, toString(kind), service, attributes,
    toUInt64(duration_ns), toString(status)
FROM file('{path}', Parquet, 'start_ns Int64, trace_id String, span_id Int64, parent_span_id Int64,
    operation String, kind Int8, service String, attributes Map(String, String), duration_ns Int64,
    status Int8')
"""


def main() -> None:
    """Fill the table, ask every question, print what it took."""
    from chdb.session import Session

    folder = Path(sys.argv[1])
    session = Session(str(folder / "clickhouse"))
    session.query("CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
    session.query("USE d")
    session.query(TABLE)
    begin = time.perf_counter()
    for path in sorted(folder.glob("spans-*.parquet")):
        session.query(FILL.format(path=path))
    filled = time.perf_counter() - begin
    session.query("OPTIMIZE TABLE otel_traces FINAL")
    size = "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE table = 'otel_traces' AND active"
    found: dict[str, object] = {"fill_s": filled, "bytes": float(str(session.query(size, "TSV")))}
    for name, queries in json.loads((folder / "questions.json").read_text()).items():
        seconds, rows = [], 0
        for query in queries:
            begin = time.perf_counter()
            answer = session.query(query, "Arrow")
            seconds.append(time.perf_counter() - begin)
            rows += answer.rows_read() >= 0
        found[name] = seconds
    print(json.dumps(found))


if __name__ == "__main__":
    main()
