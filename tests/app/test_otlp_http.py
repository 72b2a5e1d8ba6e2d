"""OTLP/HTTP on the running collector: the SDK's own exporter, and bare requests for what no SDK sends."""

import gzip
import http.client
import json
import zlib
from collections.abc import Iterator

import httpx
import pytest
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support.otlp import request, span
from tracescape.collector import Collector
from tracescape_ingest.http_receiver import JSON, PROTOBUF
from tracescape_ingest.limits import DEFAULT_MAX_MESSAGE_BYTES
from tracescape_storage.errors import StoreFullError
from tracescape_storage.journal import Journal


def packed(data: bytes) -> bytes:
    """gzip, the same in every second: names of tests are made of it."""
    return gzip.compress(data, mtime=0)


def good() -> bytes:
    """A request that nobody has sent before."""
    return request(span("good")).SerializeToString()


def in_members(data: bytes) -> bytes:
    """As gzip files that were put one behind the other."""
    return b"".join(packed(part) for part in (data[:20], data[20:21], data[21:]))


GOOD = good()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    path = tmp_path_factory.mktemp("http") / "t.db"
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


def stored(collector: Collector) -> int:
    return collector.reader().extent().spans


def post(collector: Collector, body: bytes, kind: str = PROTOBUF, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{collector.http_url}/v1/traces", content=body, headers={"content-type": kind, **named}
    )


def document(*names: str, **fields: object) -> bytes:
    spans = [
        {
            "traceId": "0A" * 16,
            "spanId": "0b" * 8,
            "name": name,
            "startTimeUnixNano": "5",
            "endTimeUnixNano": 9,
            **fields,
        }
        for name in names
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@pytest.mark.parametrize("compression", list(Compression))
def test_the_sdk_exports_over_http(collector: Collector, compression: Compression) -> None:
    before = stored(collector)
    exporter = OTLPSpanExporter(endpoint=f"{collector.http_url}/v1/traces", compression=compression)
    provider = TracerProvider(resource=Resource.create({"service.name": "http"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    for _ in range(3):
        provider.get_tracer("t").start_span("over http").end()
    provider.shutdown()
    assert stored(collector) == before + 3


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (good(), "identity"),
        (packed(good()), "gzip"),
        (
            packed((three := good())[:20]) + packed(three[20:21]) + packed(three[21:]),
            "gzip",
        ),
        (zlib.compress(good()), "deflate"),
        (zlib.compress(good())[2:-4], "deflate"),
    ],
    ids=["identity", "gzip", "gzip in members", "deflate", "raw deflate"],
)
def test_an_answer_means_stored_and_has_the_encoding_of_the_request(
    collector: Collector, body: bytes, coding: str
) -> None:
    before = stored(collector)
    answer = post(collector, body, content_encoding=coding)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")
    assert stored(collector) == before + 1


def test_json_is_taken_and_answered_as_json(collector: Collector) -> None:
    before = stored(collector)
    answer = post(collector, document("a", "b", kind=2), f"{JSON}; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})
    assert stored(collector) == before + 2


def test_rejected_spans_are_told_in_either_encoding(collector: Collector) -> None:
    answer = post(collector, request(span(), span(trace_id=b"short")).SerializeToString())
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1
    answer = post(collector, document("a", traceId="0a"), JSON)
    assert answer.json() == {
        "partialSuccess": {"rejectedSpans": "1", "errorMessage": "1 × the trace id has 1 bytes, not 16"}
    }


@pytest.mark.parametrize(
    ("body", "kind", "coding", "status"),
    [
        (GOOD, "text/plain", "identity", 415),
        (GOOD, "", "identity", 415),
        (GOOD, PROTOBUF, "br", 415),
        (b"\xff\xff", PROTOBUF, "identity", 400),
        (b"{", JSON, "identity", 400),
        (b"[]", JSON, "identity", 400),
        (b"[" * 100_000, JSON, "identity", 400),
        (document("a", kind="SERVER"), JSON, "identity", 400),
        (document("a", spanId="not hex"), JSON, "identity", 400),
        (b"\xff", JSON, "identity", 400),
        (GOOD, PROTOBUF, "gzip", 400),
        (packed(GOOD)[:-9], PROTOBUF, "gzip", 400),
        (packed(GOOD) + b"more", PROTOBUF, "gzip", 400),
        (packed(GOOD) + packed(b"") * 64, PROTOBUF, "gzip", 400),
        (b"\x00" * (DEFAULT_MAX_MESSAGE_BYTES + 1), PROTOBUF, "identity", 413),
        (packed(b"\x00" * (DEFAULT_MAX_MESSAGE_BYTES + 1)), PROTOBUF, "gzip", 413),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_status_and_stores_nothing(
    collector: Collector, body: bytes, kind: str, coding: str, status: int
) -> None:
    before = stored(collector)
    answer = post(collector, body, kind, content_encoding=coding)
    assert answer.status_code == status
    message = (
        answer.json()["message"] if kind == JSON else status_pb2.Status.FromString(answer.content).message
    )
    assert message
    assert stored(collector) == before


def test_a_bomb_is_cut_off_and_not_unfolded(collector: Collector) -> None:
    """A megabyte that unfolds to a gigabyte: the answer comes without the memory for it."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join(squeezer.compress(zeros) for _ in range(1024)) + squeezer.flush()
    assert len(bomb) < 2_000_000
    assert post(collector, bomb, content_encoding="gzip").status_code == 413


def test_what_cannot_be_stored_now_is_a_503_with_retry_after(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, records: object, *, room: int = 0) -> None:
        raise StoreFullError("The disk is full")

    monkeypatch.setattr(Journal, "append", full)
    answer = post(collector, good())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "The disk is full" in status_pb2.Status.FromString(answer.content).message


def test_a_connection_is_kept_from_one_export_to_the_next(collector: Collector) -> None:
    """HTTP/1.1: after an acknowledgement and after a refusal."""
    before = stored(collector)
    connection = http.client.HTTPConnection(collector.http_url.removeprefix("http://"), timeout=10)
    connection.connect()
    socket = connection.sock
    for body, status in ((good(), 200), (b"\xff\xff", 400), (good(), 200)):
        connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.version, answer.headers["connection"]) == (status, 11, None)
        assert connection.sock is socket
    connection.close()
    assert stored(collector) == before + 2


def test_exporters_may_use_any_name_for_the_host_and_web_pages_may_not_write(collector: Collector) -> None:
    assert post(collector, GOOD, host="collector.internal:4318").status_code == 200
    assert post(collector, GOOD, origin="https://evil.example").status_code == 403


def test_other_methods_and_paths_are_not_there(collector: Collector) -> None:
    assert httpx.get(f"{collector.http_url}/v1/traces").status_code == 405
    assert httpx.post(f"{collector.http_url}/v1/nothing").status_code == 404
