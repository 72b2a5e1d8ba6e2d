"""Logs and metrics in a store file: the tables are there, and people's views answer whoever opens it."""

from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Gauge, Metric, NumberDataPoint

from support.signals import log, logs_request, metrics_request
from tracescape_ingest.envelope import DecodedTables
from tracescape_ingest.logs import decode_logs
from tracescape_ingest.metrics import decode_metrics
from tracescape_storage import ddl
from tracescape_storage.duckdb_file import DuckDBStore, open_reader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with one log record and one data point with an exemplar."""
    record = log("it's full", trace_id=b"\xab" * 16, span_id=b"\0" * 7 + b"\1", attributes={"disk": "/"})
    exemplar = Exemplar(as_int=3, trace_id=b"\xab" * 16, span_id=b"\xfe" * 8)
    point = NumberDataPoint(time_unix_nano=5_000, as_int=2**63 - 1, exemplars=[exemplar])
    metric = Metric(name="free", unit="By", gauge=Gauge(data_points=[point]))
    store = DuckDBStore(tmp_path / "t.db")
    insert(store, decode_logs(logs_request(record, service="db").SerializeToString()))
    insert(store, decode_metrics(metrics_request(metric, service="db").SerializeToString()))
    store.close()
    return store.path


def insert(store: DuckDBStore, decoded: DecodedTables) -> None:
    for name, table in decoded.tables.items():
        store.connection.register("incoming", table)
        store.connection.execute(ddl.insert_statement(name, "incoming", 1))
        store.connection.unregister("incoming")


def test_a_log_record_is_found_by_its_text_and_leads_to_its_trace(path: Path) -> None:
    reader = open_reader(path)
    query = "select service, severity, trace_id, span_id, attributes->>'disk' disk, time_ns from logs_v"
    assert reader.sql(f"{query} where body like '%''s full'").to_pylist() == [
        {
            "service": "db",
            "severity": "unset",
            "trace_id": "ab" * 16,
            "span_id": "0000000000000001",
            "disk": "/",
            "time_ns": 1_000,
        }
    ]
    reader.close()


def test_a_data_point_is_exact_and_joins_its_exemplars_by_point(path: Path) -> None:
    reader = open_reader(path)
    query = """
        select m.service, m.name, m.unit, m.value_int, e.value exemplar, e.span_id
        from metrics_v m join exemplars_v e on e.point_id = m.point_id and e.point_time_ns = m.time_ns
    """
    assert reader.sql(query).to_pylist() == [
        {
            "service": "db",
            "name": "free",
            "unit": "By",
            "value_int": 2**63 - 1,
            "exemplar": 3.0,
            "span_id": "fe" * 8,
        }
    ]
    reader.close()


def test_resources_and_scopes_are_those_of_every_signal(path: Path) -> None:
    reader = open_reader(path)
    for table in ("logs", "metrics"):
        query = f"""
            select distinct r.service, s.name
            from {table} join resources r using (resource_id) join scopes s using (scope_id)
        """
        assert reader.sql(query).to_pylist() == [{"service": "db", "name": "test"}]
    reader.close()
