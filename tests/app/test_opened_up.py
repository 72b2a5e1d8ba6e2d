"""A collector that is opened up: TLS, client certificates, keys, tenants, and web pages that may send."""

import asyncio
import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc import code_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

import tracescape as ts
from support.certificates import Certificates, make_certificates
from support.otlp import request, span
from tracescape.collector import Collector
from tracescape.guard import KeyGuard
from tracescape_ingest.access import KeysError, UnauthenticatedError
from tracescape_ingest.grpc_server import SERVICE
from tracescape_ingest.http_receiver import JSON, PROTOBUF
from tracescape_storage.collector import DeniedError, UnreachableError
from tracescape_storage.errors import StoreError

SHOP, BANK = "the-key-of-the-shop", "the-key-of-the-bank"
GOOD = request(span("good")).SerializeToString()
ORIGIN = "https://shop.example"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(f'[tenants]\nshop = ["{SHOP}"]\nbank = ["{BANK}"]\n')
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def collector(
    files: Certificates, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """TLS, two tenants, one origin."""
    with Collector(
        tmp_path_factory.mktemp("store") / "traces.db",
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        tls=files.tls(),
        api_keys=keys,
        cors_origins=[ORIGIN],
    ) as running:
        yield running


@pytest.fixture
def client(collector: Collector, files: Certificates) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=files.ca)
    with httpx.Client(base_url=collector.http_url, verify=context) as opened:
        yield opened


def export(exporter: SpanExporter, name: str) -> bool:
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("t").start_span(name).end()
    flushed = provider.force_flush()
    provider.shutdown()
    return flushed


def operations(collector: Collector, tenant: str) -> list[str]:
    rows = collector.reader(tenant).sql("select operation from spans")
    names: list[str] = rows["operation"].to_pylist()
    return names


def stub(collector: Collector, files: Certificates, *, client: bool = False) -> grpc.UnaryUnaryMultiCallable:
    pair = (files.client_key.read_bytes(), files.client_cert.read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(files.ca.read_bytes(), *pair)
    channel = grpc.secure_channel(collector.grpc_endpoint.removeprefix("https://"), credentials)
    return channel.unary_unary(f"/{SERVICE}/Export")


def test_the_sdk_sends_through_tls_with_a_key_over_both_ports(
    collector: Collector, files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):  # the HTTP exporter's client prefers them to its own
        monkeypatch.delenv(name, raising=False)
    credentials = grpc.ssl_channel_credentials(files.ca.read_bytes())
    headers = (("authorization", f"Bearer {SHOP}"),)
    assert export(
        GrpcExporter(endpoint=collector.grpc_endpoint, credentials=credentials, headers=headers), "by grpc"
    )
    assert export(
        HttpExporter(
            endpoint=f"{collector.http_url}/v1/traces",
            certificate_file=str(files.ca),
            headers={"x-api-key": SHOP},
        ),
        "by http",
    )
    assert {"by grpc", "by http"} <= set(operations(collector, "shop"))
    assert not {"by grpc", "by http"} & set(operations(collector, "bank"))


def test_the_environment_is_all_that_an_sdk_needs(
    collector: Collector, files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.grpc_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(files.ca))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={BANK}")
    assert export(GrpcExporter(), "from the environment")
    assert "from the environment" in operations(collector, "bank")


@pytest.mark.parametrize("key", [None, "wrong", SHOP + "x", SHOP.upper()])
def test_a_wrong_key_is_refused_on_both_ports_and_not_to_be_retried(
    collector: Collector, files: Certificates, client: httpx.Client, key: str | None
) -> None:
    before = operations(collector, "shop"), operations(collector, "bank")
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    with pytest.raises(grpc.RpcError) as caught:
        stub(collector, files)(GOOD, metadata=list(headers.items()))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert "google.rpc.retryinfo-bin" not in dict(caught.value.trailing_metadata())
    answer = client.post("/v1/traces", content=GOOD, headers={"content-type": PROTOBUF, **headers})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert status_pb2.Status.FromString(answer.content).code == code_pb2.UNAUTHENTICATED
    answer = client.post("/v1/logs", content=b"{}", headers={"content-type": JSON, **headers})
    assert answer.json()["code"] == code_pb2.UNAUTHENTICATED
    asked = client.post("/query", json={"sql": "select 1"}, headers=headers)
    assert (asked.status_code, list(asked.json())) == (401, ["error"])
    assert client.get("/v1/nothing", headers=headers).status_code == 401, "it does not even say what is there"
    assert before == (operations(collector, "shop"), operations(collector, "bank"))


def test_a_key_is_asked_for_before_the_body_is_sent(collector: Collector, files: Certificates) -> None:
    host = collector.http_url.removeprefix("https://")
    context = ssl.create_default_context(cafile=files.ca)
    with closing(http.client.HTTPSConnection(host, timeout=5, context=context)) as connection:
        connection.putrequest("POST", "/v1/traces")
        for name, value in (("content-type", PROTOBUF), ("content-length", "1000"), ("x-api-key", "wrong")):
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 401


def test_health_needs_no_key(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"host": "probe.internal"}).status_code == 200
    assert client.get("/readyz", headers={"host": "probe.internal"}).json() == {"status": "ready"}


def test_tenants_see_their_own_spans_only(collector: Collector, files: Certificates) -> None:
    send = stub(collector, files)
    for key, name in ((SHOP, "a sale"), (BANK, "a loan")):
        data = request(span(name)).SerializeToString()
        assert send(data, metadata=[("x-api-key", key)]) == b""
    for key, mine, theirs in ((SHOP, "a sale", "a loan"), (BANK, "a loan", "a sale")):
        with ts.connect(collector.http_url, token=key, ca=files.ca) as store:
            seen = store.sql("select operation from spans_v")["operation"].to_list()
            assert mine in seen
            assert theirs not in seen
            other = collector.lanes["bank" if key == SHOP else "shop"].store.path
            for escape in (
                f"select * from read_duckdb('{other}')",
                f"attach '{other}' as other",
                f"select * from '{other}'",
            ):
                with pytest.raises(StoreError):
                    store.sql(escape)
    folder = collector.store.path.parent
    assert sorted(path.name for path in folder.glob("*.db")) == ["traces.bank.db", "traces.shop.db"]


def test_a_reader_takes_key_and_ca_from_the_environment(
    collector: Collector, files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACESCAPE_TOKEN", BANK)
    monkeypatch.setenv("TRACESCAPE_CA", str(files.ca))
    with ts.open(collector.lanes["bank"].store.path) as store:
        assert store.location == collector.http_url
        store.extent()


def test_a_reader_is_told_what_it_lacks(
    collector: Collector, files: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeniedError, match=r"an API key is needed.*Set TRACESCAPE_TOKEN"):
        ts.connect(collector.http_url, ca=files.ca)
    with pytest.raises(DeniedError, match="this API key is not known"):
        ts.connect(collector.http_url, token="wrong", ca=files.ca)
    with pytest.raises(
        UnreachableError, match="its certificate is not trusted; name its CA in TRACESCAPE_CA"
    ):
        ts.connect(collector.http_url, token=SHOP)
    with pytest.raises(StoreError, match=r"no\.pem cannot be used for TLS: No such file"):
        ts.connect(collector.http_url, token=SHOP, ca=tmp_path / "no.pem")
    with pytest.raises(UnreachableError, match="https://"):
        ts.connect(collector.http_url.replace("https", "http"), token=SHOP)


def test_pages_of_a_configured_origin_may_send_and_nothing_else(client: httpx.Client) -> None:
    preflight = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
    }
    for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
        answer = client.options(path, headers=preflight)
        assert answer.status_code == 200, "a preflight carries no key"
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-api-key" in answer.headers["access-control-allow-headers"]
        assert (
            client.options(path, headers={**preflight, "origin": "https://evil.example"}).status_code == 403
        )
    headers = {"origin": ORIGIN, "content-type": PROTOBUF, "x-api-key": SHOP}
    sent = client.post("/v1/traces", content=GOOD, headers=headers)
    assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, ORIGIN)
    refused = client.post("/v1/traces", content=GOOD, headers={**headers, "x-api-key": "wrong"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    stranger = client.post("/v1/traces", content=GOOD, headers={**headers, "origin": "https://evil.example"})
    assert stranger.status_code == 403
    assert client.options("/query", headers=preflight).status_code == 403
    asked = client.post("/query", json={"sql": "select 1"}, headers={"origin": ORIGIN, "x-api-key": SHOP})
    assert asked.status_code == 403


def test_a_collector_with_keys_is_asked_under_any_name(client: httpx.Client) -> None:
    """A page that rebinds its name has no key, so the Host needs no list."""
    headers = {"host": "collector.example:4318", "x-api-key": SHOP}
    assert client.post("/query", json={"sql": "select 1 as n"}, headers=headers).status_code == 200


def test_without_origins_no_page_may_send(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as plain:
        preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
        assert httpx.options(f"{plain.http_url}/v1/traces", headers=preflight).status_code == 403


def test_clients_must_show_a_certificate_where_one_is_asked_for(files: Certificates, tmp_path: Path) -> None:
    with Collector(
        tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", tls=files.tls(mutual=True)
    ) as mutual:
        with pytest.raises(grpc.RpcError) as caught:
            stub(mutual, files)(GOOD, timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert stub(mutual, files, client=True)(GOOD) == b""
        context = ssl.create_default_context(cafile=files.ca)
        url, headers = f"{mutual.http_url}/v1/traces", {"content-type": PROTOBUF}
        with pytest.raises(httpx.TransportError):
            httpx.post(url, content=GOOD, headers=headers, verify=context)
        context.load_cert_chain(files.client_cert, files.client_key)
        other = request(span("other")).SerializeToString()
        assert httpx.post(url, content=other, headers=headers, verify=context).status_code == 200
        assert mutual.reader().extent().spans == 2


@pytest.mark.parametrize("mutual", [False, True])
def test_a_renewed_certificate_counts_from_the_next_connection_on_and_a_broken_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mutual: bool
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = make_certificates(tmp_path / "one"), make_certificates(tmp_path / "two")

    def sends(trusting: Certificates) -> list[bool]:
        body = request(span()).SerializeToString()
        context = ssl.create_default_context(cafile=trusting.ca)
        context.load_cert_chain(trusting.client_cert, trusting.client_key)
        worked = []
        try:
            stub(collector, trusting, client=mutual)(body, timeout=20)
            worked.append(True)
        except grpc.RpcError:
            worked.append(False)
        try:
            headers = {"content-type": PROTOBUF}
            httpx.post(f"{collector.http_url}/v1/traces", content=body, headers=headers, verify=context)
            worked.append(True)
        except httpx.TransportError:
            worked.append(False)
        return worked

    with Collector(
        tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", tls=one.tls(mutual=mutual)
    ) as collector:
        assert sends(one) == [True, True]
        one.key.write_text("no key")
        assert sends(one) == [True, True]
        assert "the certificates stay as they were" in caplog.text
        for old, new in zip((one.key, one.cert, one.ca), (two.key, two.cert, two.ca), strict=True):
            new.replace(old)
        renewed = two._replace(ca=one.ca)
        assert sends(renewed) == [True, True]
        if mutual:  # the client of the CA that was replaced is a stranger now
            stranger = renewed._replace(client_cert=one.client_cert, client_key=one.client_key)
            assert sends(stranger) == [False, False]


def test_a_reader_shows_its_certificate(
    files: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector(
        tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", tls=files.tls(mutual=True)
    ) as mutual:
        with pytest.raises(UnreachableError, match="TRACESCAPE_CLIENT_CERT"):
            ts.connect(mutual.http_url, ca=files.ca)
        monkeypatch.setenv("TRACESCAPE_CLIENT_CERT", str(files.client_cert))
        monkeypatch.setenv("TRACESCAPE_CLIENT_KEY", str(files.client_key))
        ts.connect(mutual.http_url, ca=files.ca).close()


def test_keys_that_cannot_be_used_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        Collector(tmp_path / "t.db", api_keys=tmp_path / "no.toml")
    assert not list(tmp_path.iterdir())


def test_an_address_beyond_this_machine_is_warned_about_once(
    tmp_path: Path, keys: Path, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector(tmp_path / "a.db", grpc="127.0.0.1:0", http="localhost:0"):
        assert not caplog.messages
    with Collector(tmp_path / "b.db", grpc="0.0.0.0:0", http="0.0.0.0:0", api_keys=keys):
        assert caplog.messages == [
            "listening beyond this machine without --tls-cert: anybody who reaches it can use it"
        ]


def test_the_key_guard_covers_sockets_too() -> None:
    def nobody(_headers: object) -> str:
        raise UnauthenticatedError("no")

    async def reached(*_arguments: object) -> None:
        raise AssertionError("it was let in")

    async def scenario() -> list[object]:
        sent: list[object] = []

        async def send(message: object) -> None:
            sent.append(message)

        guard = KeyGuard(reached, nobody, frozenset())
        await guard({"type": "websocket", "path": "/live", "headers": []}, None, send)  # type: ignore[arg-type]
        return sent

    assert asyncio.run(scenario()) == [{"type": "websocket.close", "code": 1008, "reason": "no"}]
