"""`tracescape serve` with certificates and keys, as a person starts it and asks it."""

import gc
import hashlib
import itertools
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import tracescape as ts
from support import commands
from support.certificates import Certificates, make_certificates
from support.endings import without_bindings_list
from support.otlp import request, span
from tracescape import cli
from tracescape_ingest.grpc_server import SERVICE
from tracescape_ingest.self_signed import self_signed
from tracescape_storage.errors import StoreError

COMMAND = [sys.executable, "-c", "from tracescape.cli import main; main()"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("TRACESCAPE_")},
    "PYTHONPATH": os.pathsep.join(sys.path),
}
KEY = "the-key-of-the-shop"


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(f'[tenants]\nshop = ["{KEY}"]\n')
    path.chmod(0o600)
    return path


def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, files: Certificates, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.chmod(0o644)
    cases = [
        (("--tls-cert", files.cert), "needs both --tls-cert and --tls-key"),
        (("--tls-cert", files.cert, "--tls-key", files.client_key), "is not that of the certificate"),
        (("--tls-cert", "no.pem", "--tls-key", files.key), "no.pem cannot be read: No such file"),
        (("--api-keys", "no.toml"), "no.toml cannot be read: No such file"),
        (("--api-keys", keys), "chmod 600"),
        (("--keep", "soon"), "'soon' is no duration; write"),
        (("--keep", "0s"), "would keep nothing"),
    ]
    monkeypatch.chdir(tmp_path)
    for arguments, reason in cases:
        result = commands.run("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("tracescape: ")
        assert len(result.stderr.splitlines()) == 1
        assert reason in result.stderr


def test_a_collector_with_certificates_and_keys_is_sent_to_and_asked(
    tmp_path: Path, files: Certificates, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "TRACESCAPE_TLS_CERT": str(files.cert),
        "TRACESCAPE_TLS_KEY": str(files.key),
        "TRACESCAPE_API_KEYS": str(keys),
    }
    arguments = [
        "serve",
        "--observe-s",
        "0",
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--db",
        "traces.db",
    ]
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env={**ENVIRONMENT, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    endpoint, url = (match[0] for line in lines[:2] if (match := re.search(r"https://[\w.:]+", line)))
    assert lines[2].split()[-1] == str(tmp_path / "traces.shop.db")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(files.ca))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={KEY}")
    provider = TracerProvider(resource=Resource.create({"service.name": "cart"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    provider.get_tracer("t").start_span("sold").end()
    provider.shutdown()
    sql = ("query", "--json", "select operation from spans", "--store")
    denied = run(*sql, url, cwd=tmp_path, TRACESCAPE_CA=str(files.ca))
    assert denied.returncode == 1
    assert "Set TRACESCAPE_TOKEN" in denied.stderr
    asked = run(*sql, url, cwd=tmp_path, TRACESCAPE_CA=str(files.ca), TRACESCAPE_TOKEN=KEY)
    assert json.loads(asked.stdout) == {"operation": "sold"}
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, without_bindings_list(error)) == (0, "")
    closed = run(*sql, tmp_path / "traces.shop.db", cwd=tmp_path)
    assert json.loads(closed.stdout) == {"operation": "sold"}


def test_what_was_compiled_is_looked_through_by_no_collection_any_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        cli._on_compiled()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
    assert "compiled; the slower one served until now" in capsys.readouterr().out


def test_one_that_is_asked_to_end_under_load_stores_what_it_acknowledged_and_refuses_the_rest(
    tmp_path: Path,
) -> None:
    command = [*COMMAND, "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--db", "t.db"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[1].removeprefix("http://")
    acknowledged: list[str] = []
    refusals: list[tuple[grpc.StatusCode, str]] = []

    def client(number: int) -> None:
        with grpc.insecure_channel(address) as channel:
            export = channel.unary_unary(f"/{SERVICE}/Export")
            for batch in itertools.count():
                mine = [f"{number} {batch} {each}" for each in range(20)]
                try:
                    export(request(*map(span, mine)).SerializeToString(), timeout=20)
                except grpc.RpcError as error:
                    refusals.append((error.code(), error.details()))
                    return
                acknowledged.extend(mine)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for each in clients:
        each.start()
    while len(acknowledged) < 2000:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    for each in clients:
        each.join()
    output, error = process.communicate(timeout=30)
    assert (process.returncode, without_bindings_list(error)) == (0, "")
    assert output.endswith("stopped; everything acknowledged is in the store\n")
    # The latter is what gRPC says to calls that arrive in its very end; OTLP's clients send both again.
    assert {code for code, _ in refusals} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert any("shutting down; send it again" in details for _, details in refusals), refusals
    with ts.open(tmp_path / "t.db") as store:
        found = store.sql("select operation from spans where service <> 'tracescape'")["operation"].to_list()
    assert sorted(found) == sorted(acknowledged)


def test_a_certificate_of_its_own_is_said_aloud_and_holds(tmp_path: Path) -> None:
    arguments = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tls-self-signed"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        text = "".join(itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), process.stdout))
        try:
            address = re.search(r"page +(https://127\.0\.0\.1:\d+)/", text)
            assert address is not None, text
            cert = tmp_path / "tracescape.db.tls" / "cert.pem"
            der = ssl.PEM_cert_to_DER_cert(cert.read_text())
            assert f"SHA-256 {hashlib.sha256(der).digest().hex(':').upper()}" in text
            assert "Nobody vouches for it" in text
            grpc_port = re.search(r"OTLP/gRPC +(https://127\.0\.0\.1:\d+)", text)
            assert grpc_port is not None, text
            trusted = grpc.ssl_channel_credentials(cert.read_bytes())
            exporter = OTLPSpanExporter(grpc_port[1], credentials=trusted)
            provider = TracerProvider(resource=Resource.create({"service.name": "cart"}))
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            provider.get_tracer("t").start_span("sold").end()
            provider.shutdown()
            with ts.connect(address[1], ca=str(cert)) as store:
                assert "cart" in store.services()["service"].to_list()
            with pytest.raises(StoreError):
                ts.connect(address[1]).services()
        finally:
            process.terminate()


def test_a_fingerprint_is_printed_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = self_signed(tmp_path / "tls", ["localhost"])
    cli._print_certificate(own._replace(fingerprint="00:AB:CD:00"))
    assert "SHA-256 00:AB:CD:00" in capsys.readouterr().out


def test_a_certificate_of_its_own_is_never_made_unasked(tmp_path: Path, files: Certificates) -> None:
    both = ("--tls-self-signed", "--tls-cert", files.cert, "--tls-key", files.key)
    for arguments, reason in ((both, "give either"), (("--tls-name", "lab"), "--tls-name is for")):
        result = run("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments, cwd=tmp_path)
        assert (result.returncode, reason in result.stderr) == (1, True), result.stderr
    assert not list(tmp_path.glob("*.tls"))
