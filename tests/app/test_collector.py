"""The collector as a whole: ports, questions over HTTP, who may ask, and how it ends."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pyarrow as pa
import pytest

from support.otlp import request, span
from tracescape.collector import Collector
from tracescape.guard import is_trusted
from tracescape_ingest.address import PortInUseError
from tracescape_ingest.fast_spans import FastSpans
from tracescape_ingest.grpc_server import SERVICE
from tracescape_storage.collector import CollectorReader, UnreachableError, base_url
from tracescape_storage.discovery import collector_of, note_path
from tracescape_storage.duckdb_file import open_reader
from tracescape_storage.errors import QueryError, StoreError
from tracescape_storage.unopened import LockedStoreError


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


@pytest.fixture
def reader(collector: Collector) -> Iterator[CollectorReader]:
    opened = CollectorReader(collector.http_url)
    yield opened
    opened.close()


def send(collector: Collector, *names: str) -> None:
    with grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel:
        data = request(*(span(name) for name in names)).SerializeToString()
        assert channel.unary_unary(f"/{SERVICE}/Export")(data) == b""


def test_what_was_acknowledged_is_answered_at_once(collector: Collector, reader: CollectorReader) -> None:
    assert reader.extent() == (0, 0, 0)
    send(collector, "a", "b")
    assert reader.extent().spans == 2
    assert sorted(reader.spans(["operation"])["operation"].to_pylist()) == ["a", "b"]
    assert reader.live


def test_a_large_answer_streams_whole(reader: CollectorReader) -> None:
    table = reader.sql("select range as n, 'text ' || range as t from range(300000)")
    assert table.num_rows == 300_000
    assert table["t"][299_999].as_py() == "text 299999"


@pytest.mark.parametrize(
    "query", ["drop table spans", "select * from nowhere", "select * from read_text('/etc/hosts')"]
)
def test_a_refused_query_says_why_and_the_collector_goes_on(
    collector: Collector, reader: CollectorReader, query: str
) -> None:
    with pytest.raises(QueryError):
        reader.sql(query)
    send(collector, "still here")
    assert reader.extent().spans == 1


def test_a_query_that_fails_after_its_first_rows_is_no_answer(reader: CollectorReader) -> None:
    with pytest.raises(StoreError):
        reader.sql(
            "select case when range = 290000 then error('late') else range end as n from range(300000)"
        )
    assert reader.extent().spans == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"sql": 7}', b"[" * 100_000, b'{"sql": "\xff"}'])
def test_a_body_that_is_no_question_is_a_400(collector: Collector, body: bytes) -> None:
    answer = httpx.post(f"{collector.http_url}/query", content=body)
    assert answer.status_code == 400
    assert "error" in answer.json()


def test_an_endless_body_is_cut_off(collector: Collector) -> None:
    answer = httpx.post(f"{collector.http_url}/query", json={"sql": "select '" + "x" * 3_000_000 + "'"})
    assert answer.status_code == 400
    assert "longer than" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:4318"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_web_page_of_a_stranger_gets_nothing(collector: Collector, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{collector.http_url}/query", json={"sql": "select 1"}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("host", "origin", "trusted"),
    [
        ("localhost:4318", None, True),
        ("127.0.0.1", None, True),
        ("[::1]:4318", None, True),
        ("LOCALHOST:4318", "http://localhost:4318", True),
        ("localhost:4318", "http://localhost:9999", False),
        ("localhost.evil.example", None, False),
        ("127.0.0.1.evil.example", None, False),
        ("[::1", None, False),
        ("", None, False),
        (None, None, False),
    ],
)
def test_whom_the_guard_lets_pass(host: str | None, origin: str | None, trusted: bool) -> None:
    assert is_trusted(host, origin) is trusted


def test_a_taken_port_is_one_sentence_and_leaves_nothing_behind(collector: Collector, tmp_path: Path) -> None:
    http = collector.http_url.removeprefix("http://")
    grpc_address = collector.grpc_endpoint.removeprefix("http://")
    for options in ({"grpc": "127.0.0.1:0", "http": http}, {"grpc": grpc_address, "http": "127.0.0.1:0"}):
        with pytest.raises(PortInUseError, match="cannot listen at .*: Address already in use"):
            Collector(tmp_path / "other.db", **options)
        open_reader(tmp_path / "other.db").close()  # not held any more


def test_a_second_collector_on_the_same_file_is_refused(collector: Collector) -> None:
    with pytest.raises(LockedStoreError):
        Collector(collector.store.path, grpc="127.0.0.1:0", http="127.0.0.1:0")
    assert collector_of(collector.store.path) == collector.http_url, "the note of the first stays"


def test_the_note_goes_with_the_collector_and_the_file_opens_afterwards(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        send(running, "a")
        assert collector_of(running.store.path) == running.http_url
    assert not note_path(running.store.path).exists()
    reader = open_reader(tmp_path / "t.db")
    assert reader.extent().spans == 1
    reader.close()


def test_nothing_at_the_address_says_how_to_start_one() -> None:
    reader = CollectorReader("127.0.0.1:9")
    with pytest.raises(
        UnreachableError, match="No collector answers .*nothing listens there.*tracescape serve"
    ):
        reader.extent()
    reader.close()


def test_the_grpc_port_instead_of_the_http_port_is_explained(collector: Collector) -> None:
    reader = CollectorReader(collector.grpc_endpoint)
    with pytest.raises(UnreachableError, match="does not speak HTTP; gRPC is on 4317, questions go to 4318"):
        reader.extent()
    reader.close()


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost", "http://localhost:4318"),
        ("localhost:5000", "http://localhost:5000"),
        ("https://host/", "https://host:4318"),
        ("[::1]:4318", "http://[::1]:4318"),
    ],
)
def test_addresses_as_people_type_them(typed: str, url: str) -> None:
    assert base_url(typed) == url


@pytest.mark.parametrize("typed", ["", "http://", "ftp://host", "localhost:port", "localhost:99999", "[::1"])
def test_what_is_no_address_is_said(typed: str) -> None:
    with pytest.raises(StoreError, match="is no address"):
        base_url(typed)


def test_an_answer_of_something_else_is_not_taken_for_ours(collector: Collector) -> None:
    reader = CollectorReader(collector.http_url)
    reader._client.base_url = httpx.URL(collector.http_url + "/elsewhere")
    with pytest.raises(StoreError, match=r"is no Tracescape collector \(HTTP 404\)"):
        reader.extent()
    reader.close()


def test_arrow_types_cross_the_wire_unchanged(collector: Collector, reader: CollectorReader) -> None:
    send(collector, "a")
    table = reader.spans(["trace_id", "span_id", "service", "kind", "attributes"])
    assert [str(kind) for kind in table.schema.types] == [
        "binary",
        "int64",
        str(pa.dictionary(pa.int32(), pa.string())),
        "int8",
        "string",
    ]


def test_it_serves_while_its_kernels_are_compiled_and_says_when_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, ready = threading.Event(), threading.Event()
    compile_now = FastSpans.compile

    def compile_late(fast: FastSpans) -> None:
        may_end.wait(60)
        compile_now(fast)

    monkeypatch.setattr(FastSpans, "compile", compile_late)
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", ready=ready.set) as running:
        send(running, "early")
        assert not ready.is_set()
        may_end.set()
        assert ready.wait(60)
        send(running, "late")
        assert sorted(running.reader().spans(["operation"])["operation"].to_pylist()) == ["early", "late"]
