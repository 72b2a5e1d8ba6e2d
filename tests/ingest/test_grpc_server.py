"""OTLP/gRPC as real clients meet it: the SDK's exporter, and a bare channel for what no SDK sends."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind

from support.otlp import request, span
from tracescape_ingest.access import Access
from tracescape_ingest.address import PortInUseError
from tracescape_ingest.grpc_server import SERVICE, GrpcReceiver
from tracescape_ingest.intake import Intake
from tracescape_ingest.reception import Reception
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.journal import Record


class Stand:
    """A receiver over a real store, whose `append` can be told to fail."""

    def __init__(self, path: Path, **options: int) -> None:
        self.store = DuckDBStore(path)
        self.failure: Exception | None = None
        self.intake = Intake(self.store)
        self._write = self.intake._journal.append
        self.intake._journal.append = self.append
        self.reception = Reception(Access.free(self.intake), **options)
        self.receiver = GrpcReceiver("127.0.0.1:0", self.reception)
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.receiver.port}", options=[("grpc.max_send_message_length", -1)]
        )
        self.export = self.channel.unary_unary(f"/{SERVICE}/Export")

    def append(self, records: Sequence[Record], *, room: int = 0) -> list[Record]:
        if self.failure is not None:
            raise self.failure
        return self._write(records, room=room)

    def stored(self) -> int:
        return self.intake.reader().extent().spans

    def close(self) -> None:
        self.channel.close()
        self.receiver.stop(0)
        self.reception.close()
        self.intake.close()
        self.store.close()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    running = Stand(tmp_path / "t.db")
    yield running
    running.close()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_the_sdk_exports_and_everything_arrives(stand: Stand, compression: grpc.Compression | None) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"http://127.0.0.1:{stand.receiver.port}", insecure=True, compression=compression
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "cart", "service.version": "1.2"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test", "0.1")
    with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER) as parent:
        parent.set_attribute("http.request.method", "GET")
        link = Link(parent.get_span_context())
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, links=[link]) as child:
            child.record_exception(ValueError("no rows"))
    provider.shutdown()
    reader = stand.intake.reader()
    rows = {
        row["operation"]: row for row in reader.sql("select * exclude start_time from spans_v").to_pylist()
    }
    assert rows["SELECT"]["parent_span_id"] == rows["GET /cart"]["span_id"]
    assert rows["GET /cart"]["kind"] == "server"
    assert reader.sql("select name from events").to_pylist() == [{"name": "exception"}]
    assert reader.links().num_rows == 1
    assert reader.sql("select version from resources").to_pylist() == [{"version": "1.2"}]


def test_an_acknowledgement_means_that_the_span_is_stored(stand: Stand) -> None:
    for number in range(1, 6):
        assert stand.export(request(span(), span()).SerializeToString()) == b"", "partial_success stays unset"
        assert stand.stored() == 2 * number


def test_an_empty_request_succeeds(stand: Stand) -> None:
    assert stand.export(b"") == b""


def test_rejected_spans_are_counted_and_named_and_the_good_ones_stored(stand: Stand) -> None:
    answer = stand.export(request(span(), span(trace_id=b"short"), span()).SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message == "1 × the trace id has 5 bytes, not 16"
    assert stand.stored() == 2


def test_garbage_is_an_invalid_argument_and_the_server_goes_on(stand: Stand) -> None:
    for garbage in (b"\xff\xff", b"\x0a\x7fx", bytes(range(256))):
        with pytest.raises(grpc.RpcError) as caught:
            stand.export(garbage)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert stand.export(request(span()).SerializeToString()) == b""


@pytest.mark.parametrize("failure", [StoreFullError("The disk is full"), StoreError("Writing failed")])
def test_what_cannot_be_stored_is_refused_with_retry_info_twice(stand: Stand, failure: Exception) -> None:
    stand.failure = failure
    with pytest.raises(grpc.RpcError) as caught:
        stand.export(request(span()).SerializeToString())
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(failure) in caught.value.details()
    trailers = dict(caught.value.trailing_metadata())
    direct = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    wrapped = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(wrapped)
    assert wrapped == direct
    assert direct.retry_delay.seconds >= 1
    assert stand.intake.counting.read().refused == {"traces": 1}
    stand.failure = None
    assert stand.stored() == 0
    assert stand.export(request(span()).SerializeToString()) == b""


def test_a_failure_that_all_retries_meet_is_logged_once(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.failure = StoreFullError("The disk is full")
    for _ in range(5):
        with pytest.raises(grpc.RpcError):
            stand.export(request(span()).SerializeToString())
    assert [record.getMessage() for record in caplog.records] == ["The disk is full"]


def test_the_sdk_retries_until_the_store_takes_it(stand: Stand) -> None:
    stand.failure = StoreError("not yet")
    attempts = []

    def fail_once(records: Sequence[Record], *, room: int = 0) -> list[Record]:
        attempts.append(len(records))
        if len(attempts) > 1:
            stand.failure = None
        return stand.append(records)

    stand.intake._journal.append = fail_once
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{stand.receiver.port}", insecure=True)
    provider = TracerProvider(resource=Resource.create({"service.name": "cart"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("t").start_span("once").end()
    provider.shutdown()
    assert len(attempts) == 2
    assert stand.stored() == 1


def test_a_message_over_the_limit_is_resource_exhausted_without_retry(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "t.db", max_message_bytes=10_000)
    with pytest.raises(grpc.RpcError) as caught:
        stand.export(request(*(span("x" * 100) for _ in range(200))).SerializeToString())
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(caught.value.trailing_metadata() or ())
    stand.close()


def test_many_calls_at_once_are_all_stored(stand: Stand) -> None:
    data = [request(*(span() for _ in range(10))).SerializeToString() for _ in range(100)]
    for call in [stand.export.future(payload) for payload in data]:
        call.result(30)
    assert stand.stored() == 1_000


def test_a_port_in_use_is_one_sentence(stand: Stand) -> None:
    address = f"127.0.0.1:{stand.receiver.port}"
    with pytest.raises(PortInUseError, match=f"cannot listen at {address}: Address already in use"):
        GrpcReceiver(address, stand.reception)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "203.0.113.7:4317"])
def test_an_address_that_is_not_ours_is_one_sentence(stand: Stand, address: str) -> None:
    with pytest.raises(PortInUseError, match="cannot listen at"):
        GrpcReceiver(address, stand.reception)
