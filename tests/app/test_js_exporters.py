"""The exporters of JavaScript as they are: gRPC, JSON and protobuf over HTTP, with gzip, TLS and a key."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates, make_certificates
from tracescape.collector import Collector

SOURCE = Path(__file__).parent.parent / "js"
KEY = "the-key-of-the-browser"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the scripts with the packages that they import."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "package-lock.json", "send.mjs"):
        shutil.copy(SOURCE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not get the packages in time")
    if done.returncode:
        pytest.skip(f"npm cannot get the packages: {done.stderr.strip().splitlines()[:1]}")
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def collector(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("store")
    keys = folder / "keys.toml"
    keys.write_text(f'[tenants]\nweb = ["{KEY}"]\n')
    keys.chmod(0o600)
    with Collector(
        folder / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", tls=files.tls(), api_keys=keys
    ) as running:
        yield running


def send(
    scripts: Path, collector: Collector, files: Certificates, kind: str, key: str
) -> list[dict[str, object]]:
    endpoint = collector.grpc_endpoint if kind == "grpc" else collector.http_url
    done = subprocess.run(
        ["node", "send.mjs", kind, endpoint, str(files.ca), key],
        cwd=scripts,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.mark.parametrize("kind", ["grpc", "http", "proto"])
def test_what_javascript_sends_arrives(
    scripts: Path, collector: Collector, files: Certificates, kind: str
) -> None:
    assert send(scripts, collector, files, kind, KEY) == [{"code": 0}]
    query = f"select operation, attributes from spans where operation like '{kind}%' order by 1"
    rows = collector.reader().sql(query).to_pylist()
    assert [row["operation"] for row in rows] == [f"{kind} {number}" for number in range(3)]
    assert json.loads(str(rows[0]["attributes"])) == {"big": 2**53 - 1, "list": ["a", "b"]}


@pytest.mark.parametrize("kind", ["grpc", "http", "proto"])
def test_a_wrong_key_is_an_error_at_once(
    scripts: Path, collector: Collector, files: Certificates, kind: str
) -> None:
    (result,) = send(scripts, collector, files, kind, "wrong")
    assert result["code"] == 1
    assert "API key" in str(result["error"]) or "Unauthorized" in str(result["error"])
