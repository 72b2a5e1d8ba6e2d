"""What ships: the wheel, installed into an environment that has nothing else, does the main job."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    "tracescape",
    "tracescape_analytics",
    "tracescape_ingest",
    "tracescape_native",
    "tracescape_render",
    "tracescape_storage",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_our_six_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert sorted(tops) == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    for file in ("index.html", "page/index.js", "page/index.css"):
        assert f"tracescape_render/web/built/{file}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".db", ".pyc", ".png"))]


@pytest.mark.timeout(420)
def test_the_wheel_collects_and_answers_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    # From outside, and without compiling the thousands of modules that nobody imports here.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile"]
    install = [*pip, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", ROOT / "constraints.txt", wheel], check=True, cwd=tmp_path)

    def run(*arguments: str) -> str:
        command = [tmp_path / "env" / "bin" / "tracescape", *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert run("--version").startswith("tracescape 0.")
    code = """
import grpc, os, pathlib
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from tracescape.collector import Collector
with Collector(pathlib.Path("t.db"), grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
    request = trace_service_pb2.ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    ids = dict(trace_id=b"t" * 16, span_id=b"s" * 8)
    spans.add(name="hello", start_time_unix_nano=1, end_time_unix_nano=2, **ids)
    channel = grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://"))
    trace_service_pb2_grpc.TraceServiceStub(channel).Export(request)
"""
    subprocess.run([python, "-c", code], cwd=tmp_path, check=True)
    assert '"operation": "hello"' in run("query", "--store", "t.db", "--json", "select operation from spans")
