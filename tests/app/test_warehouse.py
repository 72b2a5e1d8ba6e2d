"""A collector before ClickHouse: the same ports, nothing kept here."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import grpc
import httpx
import pytest
from typer.testing import CliRunner

from support.clickhouse_http import Server, cut, once, serving
from support.otlp import request, span
from support.signals import log, logs_request, metrics_request
from tracescape.cli import app
from tracescape_ingest.access import KeysError
from tracescape_ingest.intake import Signal
from tracescape_ingest.signals import SERVICES
from tracescape_storage.errors import StoreError

pytest.importorskip("clickhouse_connect")
pytest.importorskip("chdb")

import tracescape as ts
from tracescape.warehouse import WarehouseCollector, databases
from tracescape_storage.clickhouse.address import parse_address

T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("chdb")) as running:
        yield running


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"db{abs(hash(request.node.name)) % 10**9}"
    yield name
    server.before = server.after = lambda sql: None
    server.password = ""
    server.run(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def collector(server: Server, database: str) -> Iterator[WarehouseCollector]:
    with WarehouseCollector(server.address(database), grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


def send(collector: WarehouseCollector, data: bytes, signal: Signal = Signal.TRACES) -> bytes:
    with grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel:
        answer: bytes = channel.unary_unary(f"/{SERVICES[signal].name}/Export")(data, timeout=20)
        return answer


def spans(*names: str) -> bytes:
    return request(*map(span, names)).SerializeToString()


def eventually(told: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    deadline = time.monotonic() + 60
    while not wanted(found := told()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def count(server: Server, database: str, table: str = "otel_traces") -> int:
    return server.count(f"{database}.{table}")


def test_an_acknowledged_span_is_in_clickhouse(
    collector: WarehouseCollector, server: Server, database: str
) -> None:
    assert send(collector, spans("a", "b")) == b""
    assert count(server, database) == 2
    answer = httpx.post(
        f"{collector.http_url}/v1/logs",
        content=logs_request(log("said")).SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert answer.status_code == 200
    assert count(server, database, "otel_logs") == 1
    assert httpx.get(f"{collector.http_url}/healthz").status_code == 200


def test_what_was_sent_is_read_back_where_it_is(
    collector: WarehouseCollector, server: Server, database: str
) -> None:
    send(collector, request(span("GET /", attributes={"user.id": "42"}), service="cart").SerializeToString())
    with ts.connect(server.address(database)) as store:
        found = store.search(service="cart", attributes={"user.id": "42"})
        assert len(found) == 1


def test_the_page_and_jaegers_api_answer_from_there(collector: WarehouseCollector, database: str) -> None:
    send(collector, request(span("GET /"), service="cart").SerializeToString())
    assert httpx.get(f"{collector.http_url}/api/services").json()["data"] == ["cart"]
    answer = httpx.get(f"{collector.http_url}/ask/topology", timeout=60)
    assert answer.status_code == 200 and "cart" in answer.text
    assert httpx.get(f"{collector.http_url}/").status_code == 200


def test_what_only_files_have_is_said(collector: WarehouseCollector, server: Server, database: str) -> None:
    answer = httpx.post(f"{collector.http_url}/query", json={"sql": "select 1"})
    assert answer.status_code == 400
    assert server.address(database) in answer.json()["error"]
    with pytest.raises(StoreError, match="keeps its spans in ClickHouse"):
        ts.connect(collector.http_url)
    assert httpx.post(f"{collector.http_url}/positions", json={}).status_code == 400


def test_metrics_are_rejected_with_where_to_send_them(collector: WarehouseCollector) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

    point = NumberDataPoint(as_int=1, time_unix_nano=1)
    message = metrics_request(Metric(name="m", gauge=Gauge(data_points=[point])))
    answer = ExportMetricsServiceResponse.FromString(
        send(collector, message.SerializeToString(), Signal.METRICS)
    )
    assert answer.partial_success.rejected_data_points == 1
    assert "send them to" in answer.partial_success.error_message


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_server_that_dies_in_the_middle_of_an_insert_costs_and_repeats_nothing(
    collector: WarehouseCollector, server: Server, database: str, where: str
) -> None:
    setattr(server, where, once(cut, times=2))
    data = spans("a")
    with pytest.raises(grpc.RpcError) as raised:
        send(collector, data)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "send it again, it counts once" in raised.value.details()
    codes = set()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            send(collector, data)
            break
        except grpc.RpcError as error:
            codes.add(error.code())
            time.sleep(0.05)
    assert codes <= {grpc.StatusCode.UNAVAILABLE}
    assert count(server, database) == 1


def ready(collector: WarehouseCollector) -> tuple[int, str]:
    answer = httpx.get(f"{collector.http_url}/readyz", timeout=20)
    return answer.status_code, answer.json().get("reason", "")


def test_while_clickhouse_is_down_it_is_alive_and_not_ready(
    collector: WarehouseCollector, server: Server
) -> None:
    assert ready(collector) == (200, "")
    server.stop()
    try:
        down = eventually(lambda: ready(collector), lambda found: "nothing listens" in found[1])
        assert down == (503, "No ClickHouse answers (nothing listens there).")
        assert httpx.get(f"{collector.http_url}/readyz").headers["retry-after"]
        assert httpx.get(f"{collector.http_url}/healthz").status_code == 200
        asked = httpx.get(f"{collector.http_url}/ask/topology", timeout=60)
        assert asked.status_code == 503, "it is not the question that is wrong"
        assert "nothing listens" in asked.json()["error"] and asked.headers["retry-after"]
    finally:
        server.start()
    assert httpx.get(f"{collector.http_url}/ask/topology", timeout=60).status_code == 200
    eventually(lambda: ready(collector), lambda found: found == (200, ""))


def test_a_password_that_was_changed_is_told_without_the_name(server: Server, database: str) -> None:
    address = server.address(database, user="writer:secret@")
    with WarehouseCollector(address, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        server.password = "another"
        refused = eventually(lambda: ready(collector), lambda found: found[0] == 503)
    assert refused[1] == "ClickHouse does not let this collector in: the name or the password is wrong."


def test_an_insert_in_doubt_makes_it_not_ready_until_it_is_known(
    collector: WarehouseCollector, server: Server
) -> None:
    server.before = lambda sql: "Code: 242. DB::Exception: Table is in readonly mode. (TABLE_IS_READ_ONLY)"
    with pytest.raises(grpc.RpcError):
        send(collector, spans("a"))
    _, reason = eventually(lambda: ready(collector), lambda found: found[0] == 503)
    assert "readonly" in reason and "127.0.0.1" not in reason
    server.before = lambda sql: None
    eventually(lambda: ready(collector), lambda found: found == (200, ""))


def test_one_tenant_that_is_stuck_takes_no_collector_from_the_others(
    collector: WarehouseCollector, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lane:
        def __init__(self, stuck: str) -> None:
            self.intake = self
            self.stuck = stuck

    behind = collector._behind
    monkeypatch.setattr(behind, "lanes", {"shop": Lane("no table"), "bank": Lane("")})
    assert behind.unready() == ""
    monkeypatch.setattr(behind, "lanes", {"shop": Lane("no table"), "bank": Lane("no disk")})
    assert behind.unready() == "no table"


def test_several_collectors_side_by_side(
    server: Server, database: str, collector: WarehouseCollector
) -> None:
    with WarehouseCollector(server.address(database), grpc="127.0.0.1:0", http="127.0.0.1:0") as second:
        sending = [
            threading.Thread(target=send, args=(each, spans(*(f"{n}" for n in range(10)))))
            for each in (collector, second) * 5
        ]
        for each in sending:
            each.start()
        for each in sending:
            each.join()
    assert count(server, database) == 100


def test_closing_answers_and_stores_what_was_admitted(server: Server, database: str) -> None:
    collector = WarehouseCollector(server.address(database), grpc="127.0.0.1:0", http="127.0.0.1:0")
    lane = collector.lanes["default"]
    done = [lane.intake.submit(Signal.TRACES, spans(f"{n}")) for n in range(20)]
    collector.close()
    assert all(each.result(0).accepted == 1 for each in done)
    assert count(server, database) == 20


def test_it_watches_itself(server: Server, database: str) -> None:
    with WarehouseCollector(
        server.address(database), grpc="127.0.0.1:0", http="127.0.0.1:0", observe_s=3600
    ) as collector:
        send(collector, spans("a"))
    names = server.run(f"SELECT SpanName, ServiceName FROM {database}.otel_traces ORDER BY 1").decode()
    assert names == "a\tshop\nsettle\ttracescape\n"


def test_each_tenant_has_a_database_of_its_own(server: Server, database: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[tenants]\nshop = ["a-key-of-16-letters"]\na-bank = ["another-key-of-16"]\n')
    keys.chmod(0o600)
    names = [f"{database}_shop", f"{database}_a_bank"]
    try:
        with WarehouseCollector(
            server.address(database), grpc="127.0.0.1:0", http="127.0.0.1:0", api_keys=keys
        ) as collector:
            assert [lane.location for lane in collector.lanes.values()] == [
                server.address(names[1]),
                server.address(names[0]),
            ]
            collector.lanes["shop"].intake.submit(Signal.TRACES, spans("a")).result(20)
            assert httpx.get(f"{collector.http_url}/api/services").status_code == 401
            assert ready(collector) == (200, "")
        assert [count(server, name) for name in names] == [1, 0]
    finally:
        for name in names:
            server.run(f"DROP DATABASE IF EXISTS {name}")


def test_two_tenants_that_would_share_a_database_are_refused() -> None:
    with pytest.raises(StoreError, match="would share the database default_a_b"):
        databases(parse_address("clickhouse://h"), {b"1": "a-b", b"2": "a_b"})


def test_a_wrong_key_file_opens_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        WarehouseCollector(server.address(), api_keys=tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--store", "clickhouse://127.0.0.1:1/x"], "nothing listens there"),
        (["--store", "clickhouse://u:secret@127.0.0.1:1/x"], "nothing listens there"),
        (["--store", "clickhouse://", "--keep", "1d"], "--keep is for a store file"),
        (["--store", "clickhouse://h", "--db", "x.db", "--max-gib", "1"], "--db and --max-gib is for"),
        (["--store", "x.db", "--db", "y.db"], "write one of them"),
        (["--store", "clickhouse://"], "names no host"),
    ],
)
def test_what_serve_cannot_do_is_one_sentence(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments])
    assert done.exit_code == 1
    assert words in str(done.exception)
    assert "secret" not in str(done.exception)


def test_what_is_in_clickhouse_can_be_exported_too(
    collector: WarehouseCollector, server: Server, database: str, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    send(collector, request(span("GET /", attributes={"user.id": "42"}), service="cart").SerializeToString())
    send(collector, logs_request(log("said")).SerializeToString(), Signal.LOGS)
    with ts.connect(server.address(database)) as store:
        assert store.export_parquet(tmp_path / "lake").rows == 2
    (row,) = pq.read_table(tmp_path / "lake" / "spans" / "day=1970-01-01").to_pylist()
    assert (row["service"], row["operation"], row["kind"]) == ("cart", "GET /", "server")
    assert row["attributes"] == [("user.id", "42")]
    assert len(pq.read_table(tmp_path / "lake" / "logs")) == 1
