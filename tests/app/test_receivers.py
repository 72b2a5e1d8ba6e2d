"""All three signals on both ports, over an intake that stores nothing: routes, answers, health, draining."""

import gzip
import json
import logging
import threading
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from starlette.applications import Starlette

from support.fake_intake import FakeIntake
from tracescape.web import WebServer
from tracescape_ingest.access import Access
from tracescape_ingest.address import listen
from tracescape_ingest.grpc_server import SERVICE, GrpcReceiver
from tracescape_ingest.http_receiver import JSON, PROTOBUF, health_route, otlp_routes
from tracescape_ingest.intake import Outcome, Signal
from tracescape_ingest.reception import Reception
from tracescape_ingest.signals import SERVICES


def packed(data: bytes) -> bytes:
    """gzip, the same in every second: names of tests are made of it."""
    return gzip.compress(data, mtime=0)


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Stand:
    """Both receivers over one `FakeIntake`."""

    def __init__(self, **options: int) -> None:
        self.intake = FakeIntake()
        self.reception = Reception(Access.free(self.intake), **options)
        self.receiver = GrpcReceiver("127.0.0.1:0", self.reception)
        listener = listen("127.0.0.1:0")
        routes = [*otlp_routes(self.reception), health_route(lambda: True)]
        self.web = WebServer(listener, Starlette(routes=routes))
        self.http = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.grpc = f"http://127.0.0.1:{self.receiver.port}"
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.receiver.port}")

    def export(self, signal: Signal) -> grpc.UnaryUnaryMultiCallable:
        return self.channel.unary_unary(f"/{SERVICES[signal].name}/Export")

    def health(self) -> health_pb2_grpc.HealthStub:
        return health_pb2_grpc.HealthStub(self.channel)

    def close(self) -> None:
        self.intake.gate.set()
        self.channel.close()
        self.receiver.stop(0)
        self.web.stop()
        self.reception.close()


@pytest.fixture
def stand() -> Iterator[Stand]:
    running = Stand()
    yield running
    running.close()


def send_all(spans: object, logs: object, metrics: object) -> None:
    """One of each through the SDK."""
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))  # type: ignore[arg-type]
    tracing.get_tracer("t").start_span("s").end()
    tracing.shutdown()
    logging_ = LoggerProvider()
    logging_.add_log_record_processor(SimpleLogRecordProcessor(logs))  # type: ignore[arg-type]
    logging_.get_logger("t").emit(body="hello", severity_number=SeverityNumber.INFO)
    logging_.shutdown()
    metering = MeterProvider([PeriodicExportingMetricReader(metrics)])  # type: ignore[arg-type]
    metering.get_meter("t").create_counter("c").add(1)
    metering.shutdown()


def test_the_sdk_sends_every_signal_over_grpc(stand: Stand) -> None:
    gzipped = grpc.Compression.Gzip
    send_all(
        GrpcSpans(endpoint=stand.grpc, insecure=True),
        GrpcLogs(endpoint=stand.grpc, insecure=True, compression=gzipped),
        GrpcMetrics(endpoint=stand.grpc, insecure=True),
    )
    assert [signal for signal, _ in stand.intake.taken] == list(Signal)
    assert b"hello" in stand.intake.taken[1][1]


def test_the_sdk_sends_every_signal_over_http(stand: Stand) -> None:
    send_all(
        HttpSpans(endpoint=f"{stand.http}/v1/traces"),
        HttpLogs(endpoint=f"{stand.http}/v1/logs"),
        HttpMetrics(endpoint=f"{stand.http}/v1/metrics"),
    )
    assert [signal for signal, _ in stand.intake.taken] == list(Signal)
    assert b"hello" in stand.intake.taken[1][1]


@pytest.mark.parametrize("signal", list(Signal))
def test_each_signal_has_its_own_words_for_what_was_rejected(
    stand: Stand, signal: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    service = SERVICES[signal]
    for outcome in (Outcome(3, 2, "2 × bad"), Outcome(5, 0, "an unknown field was left out")):
        stand.intake.outcome = outcome
        over_grpc = service.answer.FromString(stand.export(signal)(b""))
        answer = httpx.post(stand.http + service.path, content=b"", headers={"content-type": PROTOBUF})
        for partial in (over_grpc.partial_success, service.answer.FromString(answer.content).partial_success):
            assert getattr(partial, service.rejected) == outcome.rejected
            assert partial.error_message == outcome.message
    assert f"rejected 2 of 5 {service.items}: 2 × bad" in caplog.messages
    stand.intake.outcome = Outcome(5, 0, "")
    assert stand.export(signal)(b"") == b"", "partial_success stays unset"


def test_a_json_answer_is_compressed_where_the_client_asks(stand: Stand) -> None:
    stand.intake.outcome = Outcome(0, 9, "9 × the trace id is all zero; and some more words to make it long")
    url, body = f"{stand.http}/v1/traces", b'{"resourceSpans": []}'
    plain = httpx.post(url, content=body, headers={"content-type": JSON, "accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = httpx.post(url, content=body, headers={"content-type": JSON, "accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert packed.json()["partialSuccess"]["rejectedSpans"] == "9"
    stand.intake.outcome = Outcome(1, 0, "")
    short = httpx.post(url, content=body, headers={"content-type": JSON, "accept-encoding": "gzip"})
    assert "content-encoding" not in short.headers, "it would be longer"


@pytest.mark.parametrize("signal", list(Signal))
def test_another_method_gets_a_hint(stand: Stand, signal: Signal) -> None:
    for method in ("GET", "PUT", "OPTIONS"):
        answer = httpx.request(method, stand.http + SERVICES[signal].path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert "takes OTLP by POST" in answer.json()["message"]


def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(stand: Stand) -> None:
    stand.reception.max_message_bytes = 1000
    answer = httpx.post(
        f"{stand.http}/v1/logs",
        content=bytes(1001),
        headers={"content-type": PROTOBUF, "expect": "100-continue"},
    )
    assert answer.status_code == 413
    unfolded = httpx.post(
        f"{stand.http}/v1/logs",
        content=packed(bytes(1001)),
        headers={"content-type": PROTOBUF, "content-encoding": "gzip"},
    )
    assert unfolded.status_code == 413
    assert not stand.intake.taken


def test_a_request_of_the_very_limit_is_taken_and_one_byte_more_is_not(stand: Stand) -> None:
    url, headers = f"{stand.http}/v1/logs", {"content-type": PROTOBUF}
    stand.reception.max_message_bytes = 1000
    for size, status in ((1000, 200), (1001, 413)):
        body, zipped = bytes(size), packed(bytes(size))
        pieces = (body[at : at + 400] for at in range(0, size, 400))  # whose length is not said
        answers = [
            httpx.post(url, content=body, headers=headers),
            httpx.post(url, content=pieces, headers=headers),
            httpx.post(url, content=zipped, headers={**headers, "content-encoding": "gzip"}),
        ]
        assert [answer.status_code for answer in answers] == [status] * 3
    assert [len(data) for _, data in stand.intake.taken] == [1000] * 3
    small = Stand(max_message_bytes=1000)
    assert small.export(Signal.LOGS)(bytes(1000)) == b""
    with pytest.raises(grpc.RpcError) as caught:
        small.export(Signal.LOGS)(bytes(1001))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (
        not {"grpc-status-details-bin", "google.rpc.retryinfo-bin"}
        & dict(caught.value.trailing_metadata() or ()).keys()
    )
    small.close()


def test_what_a_request_becomes_is_in_hand_too(stand: Stand) -> None:
    """JSON when it is parsed, gzip when it is unfolded, a body whose length is not said as it comes."""
    held = stand.reception.budget.hold()
    held.add((128 << 20) - 20_000)
    json_body = b'{"resourceSpans": []}' + b" " * 10_000
    cases = [
        (b"x" * 10_000, {"content-type": PROTOBUF}, 200),
        (json_body, {"content-type": JSON}, 503),
        (packed(bytes(10_000)), {"content-type": PROTOBUF, "content-encoding": "gzip"}, 200),
        (packed(bytes(30_000)), {"content-type": PROTOBUF, "content-encoding": "gzip"}, 503),
        (b"x" * 30_000, {"content-type": PROTOBUF}, 503),
    ]
    for body, headers, status in cases:
        assert httpx.post(f"{stand.http}/v1/traces", content=body, headers=headers).status_code == status
    held.release()
    assert httpx.post(f"{stand.http}/v1/traces", content=json_body, headers={"content-type": JSON}).is_success
    assert stand.reception.budget.held == 0


def test_a_request_waits_a_little_while_the_store_catches_up(stand: Stand) -> None:
    stand.intake.is_pressed = True
    call = stand.export(Signal.TRACES).future(b"x")
    assert not stand.intake.entered.wait(0.2)
    stand.intake.is_pressed = False
    assert call.result(5) == b""


def test_a_client_with_many_calls_under_way_is_refused_none(stand: Stand) -> None:
    """More than a connection carries at once: they wait at the client, and gRPC itself resets none."""
    export = stand.export(Signal.TRACES)
    for _ in range(5):
        calls = [export.future(b"x" * 1000, timeout=60) for _ in range(200)]
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 200


def test_it_does_not_wait_for_ever(stand: Stand) -> None:
    """Over gRPC the message has not even been read then; over HTTP it is taken if it can be."""
    stand.intake.is_pressed = True
    with pytest.raises(grpc.RpcError) as caught:
        stand.export(Signal.TRACES)(b"y")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in dict(caught.value.trailing_metadata())
    assert (stand.intake.taken, stand.intake.refusals) == ([], [Signal.TRACES])
    answer = httpx.post(f"{stand.http}/v1/traces", content=b"x", headers={"content-type": PROTOBUF})
    assert (answer.status_code, len(stand.intake.taken)) == (200, 1)


def test_what_is_in_hand_is_bounded_over_both_ports(stand: Stand) -> None:
    held = stand.reception.budget.hold()
    held.add(256 << 20)
    answer = httpx.post(f"{stand.http}/v1/traces", content=b"x", headers={"content-type": PROTOBUF})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "in hand already" in status_pb2.Status.FromString(answer.content).message
    with pytest.raises(grpc.RpcError) as caught:
        stand.export(Signal.TRACES)(b"x")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in dict(caught.value.trailing_metadata())
    assert stand.intake.refusals == [Signal.TRACES] * 2, "they are counted"
    held.release()
    assert stand.export(Signal.TRACES)(b"x") == b""
    assert stand.reception.budget.held == 0
    assert len(stand.intake.refusals) == 2


def test_a_client_that_goes_away_frees_what_it_held_only_when_that_is_stored(stand: Stand) -> None:
    stand.intake.gate.clear()
    call = stand.export(Signal.TRACES).future(b"x" * 1000)
    assert stand.intake.entered.wait(5)
    call.cancel()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{stand.http}/v1/traces", content=b"y" * 500, headers={"content-type": PROTOBUF}, timeout=0.3
        )
    assert stand.reception.budget.held == 1500
    stand.intake.gate.set()
    for _ in range(100):
        if not stand.reception.budget.held:
            break
        threading.Event().wait(0.05)
    assert stand.reception.budget.held == 0


def test_a_failure_that_nobody_foresaw_is_an_internal_error_and_the_ports_go_on(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_signal: Signal, _data: bytes) -> None:
        raise KeyError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(stand.intake, "submit", broken)
        with pytest.raises(grpc.RpcError) as caught:
            stand.export(Signal.LOGS)(b"x")
        answer = httpx.post(f"{stand.http}/v1/logs", content=b"x", headers={"content-type": PROTOBUF})
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "a request failed" in caplog.messages
    assert stand.export(Signal.LOGS)(b"x") == b""


def test_health_is_told_for_the_server_and_each_service(stand: Stand) -> None:
    for name in ("", *(service.name for service in SERVICES.values())):
        assert stand.health().Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stand.health().Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert httpx.get(f"{stand.http}/healthz").json() == {"status": "serving"}


def test_draining_says_so_refuses_what_is_new_and_finishes_what_is_in_flight(stand: Stand) -> None:
    watched = []
    watch = stand.health().Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    watched.append(next(watch).status)
    unknown = stand.health().Watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    stand.intake.gate.clear()
    in_flight = stand.export(Signal.TRACES).future(b"x")
    assert stand.intake.entered.wait(5)
    stopping = threading.Thread(target=stand.receiver.stop)
    stopping.start()
    watched.append(next(watch).status)
    assert watched == [SERVING, NOT_SERVING]
    assert stand.health().Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stand.export(Signal.TRACES)(b"y")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    trailers = dict(caught.value.trailing_metadata())
    assert (
        error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds == 1
    )
    stand.intake.gate.set()
    assert in_flight.result(5) == b""
    stopping.join(5)
    assert not stopping.is_alive()
    with pytest.raises(grpc.RpcError):
        stand.export(Signal.TRACES)(b"z", timeout=2)


def test_draining_ends_in_time_when_the_store_does_not_answer(stand: Stand) -> None:
    stand.intake.gate.clear()
    call = stand.export(Signal.TRACES).future(b"x")
    assert stand.intake.entered.wait(5)
    stand.receiver.stop(0.2)
    with pytest.raises(grpc.RpcError):
        call.result(5)


def test_json_of_traces_reaches_the_intake_as_protobuf(stand: Stand) -> None:
    document = {"resourceSpans": [{"schemaUrl": "https://example.org"}]}
    answer = httpx.post(
        f"{stand.http}/v1/traces", content=json.dumps(document), headers={"content-type": JSON}
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert b"https://example.org" in stand.intake.taken[0][1]


def test_nothing_is_logged_for_a_good_request(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tracescape_ingest")
    stand.export(Signal.TRACES)(b"")
    assert not caplog.records
