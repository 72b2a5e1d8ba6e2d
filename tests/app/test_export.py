"""`tracescape export`: a trace leaves one collector as a file and enters another by replay."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

import tracescape as ts
from support.otlp import batch, request, span
from tracescape.cli import app
from tracescape.collector import Collector
from tracescape.replay import replay
from tracescape_ingest.intake import Signal
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError

TRACE = b"\x0f" * 16


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store = DuckDBStore(tmp_path / "t.db")
    spans = [span(name, trace_id=TRACE, attributes={"n": 1, "b": b"\xff"}) for name in ("a", "b")]
    store.append(batch(*spans))
    store.close()
    return tmp_path / "t.db"


SPANS = "select * exclude (arrived_ns) from spans_full order by operation"


def test_an_exported_trace_is_replayed_into_another_collector(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    done = CliRunner().invoke(app, ["export", TRACE.hex(), "--store", str(file), "--output", str(out)])
    assert (done.exit_code, done.output.strip()) == (0, str(out))
    with Collector(tmp_path / "second.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as second:
        assert replay(out, second.grpc_endpoint).spans_sent == 2
        rows = second.reader().sql(SPANS).to_pylist()
    with ts.open(file) as first:
        assert rows == first.reader.sql(SPANS).to_pylist()


def test_without_a_file_it_is_printed(file: Path) -> None:
    done = CliRunner().invoke(app, ["export", TRACE.hex().upper(), "--store", str(file)])
    (group,) = json.loads(done.output)["resourceSpans"]
    assert len(group["scopeSpans"][0]["spans"]) == 2


def test_a_remote_trace_is_exported_too(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        data = request(span(trace_id=TRACE)).SerializeToString()
        next(iter(collector.lanes.values())).intake.submit(Signal.TRACES, data).result(timeout=20)
        with ts.connect(collector.http_url) as store:
            assert TRACE.hex() in store.trace(TRACE.hex()).to_otlp_json()


def test_what_is_no_trace_is_one_sentence(file: Path) -> None:
    for typed, error in (("0f", "is no trace id"), ("ab" * 16, "No span of trace abab")):
        done = CliRunner().invoke(app, ["export", typed, "--store", str(file)])
        assert error in str(done.exception)


def test_without_a_trace_the_whole_store_is_copied(tmp_path: Path) -> None:
    out = tmp_path / "copy.db"
    with Collector(tmp_path / "live.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as live:
        body = request(span("a"), span("b")).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{live.http_url}/v1/traces", content=body, headers=headers).raise_for_status()
        done = CliRunner().invoke(app, ["export", "--store", live.http_url, "--output", str(out)])
        assert (done.exit_code, done.output.split()[1:]) == (0, ["2", "rows"])
        again = CliRunner().invoke(app, ["export", "--store", live.http_url, "--output", str(out)])
        assert isinstance(again.exception, StoreError)
        unnamed = CliRunner().invoke(app, ["export", "--store", live.http_url])
        assert isinstance(unnamed.exception, ValueError)
    with ts.open(out) as copy:
        assert sorted(copy.sql("select operation from spans")["operation"]) == ["a", "b"]


def test_everything_goes_into_a_folder_of_parquet_and_again_what_is_new(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    typed = ["export", "--parquet", str(folder), "--store", str(file)]
    done = CliRunner().invoke(app, typed)
    assert (done.exit_code, done.output.strip()) == (0, f"{folder}   2 rows in 1 files")
    done = CliRunner().invoke(app, typed)
    assert done.output.strip() == f"{folder}   0 rows in 0 files, 1 were there"
    assert (folder / "spans/day=1970-01-01/hour=00/part-0.parquet").exists()


def test_a_collector_is_exported_too(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        data = request(span(trace_id=TRACE)).SerializeToString()
        next(iter(collector.lanes.values())).intake.submit(Signal.TRACES, data).result(timeout=20)
        with ts.connect(collector.http_url) as store:
            assert store.export_parquet(tmp_path / "lake") == (1, 1, 0)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["ab" * 16, "--parquet", "x"], "goes with no trace"),
        (["--parquet", "x", "--output", "y"], "goes with no trace"),
        (["--since", "1h"], "are for --parquet"),
    ],
)
def test_what_does_not_go_together_is_said(file: Path, typed: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["export", "--store", str(file), *typed])
    assert done.exit_code == 1
    assert words in str(done.exception)
