"""A collector of others in front of ours: Rotel forwards what an SDK sends it, over gRPC and HTTP."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tracescape.collector import Collector

SPANS = 500


def agent() -> Path:
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("rotel is not installed: it has no wheel for this system")
    return Path(found.origin).with_name("rotel-agent")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_rotel_forwards_every_span_whole(collector: Collector, tmp_path: Path, protocol: str) -> None:
    port = free_port()
    endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.http_url
    command = [
        str(agent()),
        "start",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={endpoint}",
        f"--otlp-exporter-protocol={protocol}",
        "--otlp-exporter-compression=gzip",
        f"--otlp-grpc-endpoint=127.0.0.1:{port}",
        f"--otlp-http-endpoint=127.0.0.1:{free_port()}",
        f"--pid-file={tmp_path / 'rotel.pid'}",
        f"--log-file={tmp_path / 'rotel.log'}",
    ]
    rotel = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), 20)
        send(port)
        wait_until(lambda: collector.reader().extent().spans >= SPANS, 20)
    finally:
        rotel.terminate()
        rotel.wait(20)
    reader = collector.reader()
    found = reader.sql(
        "select count(*) as n, count(distinct span_id) as spans, count(distinct trace_id) as traces,"
        " min(attributes ->> '$.number')::int as first, max((attributes ->> '$.number')::int) as last,"
        " min(service) as service from spans_v"
    ).to_pylist()
    assert found == [
        {"n": SPANS, "spans": SPANS, "traces": SPANS, "first": 0, "last": SPANS - 1, "service": "forwarded"}
    ]


def send(port: int) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "forwarded"}))
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=100))
    tracer = provider.get_tracer("test")
    for number in range(SPANS):
        with tracer.start_as_current_span("work", attributes={"number": number}):
            pass
    provider.shutdown()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: object, seconds: float) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
