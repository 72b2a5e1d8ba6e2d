"""`tracescape doctor`: what is there, what it costs, what was refused."""

from pathlib import Path

import httpx
import pytest

import tracescape as ts
from support.otlp import request, span
from tracescape.collector import Collector
from tracescape.doctor import _TABLES, compacted, examine, report
from tracescape_storage.errors import StoreError
from tracescape_storage.retention import Limits


def test_a_live_collector_tells_what_it_holds_and_what_it_has_done(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", observe_s=0.1) as collector:
        body = request(span(), span(), span(trace_id=b"x")).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{collector.http_url}/v1/traces", content=body, headers=headers).raise_for_status()
        with ts.connect(collector.http_url) as store:
            while True:
                found = examine(store)
                counters = found["collector"].get("counters", {})
                if counters.get("tracescape.rejected", {}).get("traces"):
                    break
    assert found["rows"]["spans"] >= 2
    assert counters["tracescape.accepted"] == {"traces": 2}
    assert counters["tracescape.rejected"] == {"traces": 1}
    lines = "\n".join(report(found))
    assert "accepted    2 traces" in lines
    assert f"received    {len(body)} bytes of traces" in lines
    assert "bytes a span" not in lines, "of so few nobody can tell"
    assert "acknowledge 1 times" in lines


def test_what_was_pruned_is_told_from_what_never_was(tmp_path: Path) -> None:
    limits = Limits(max_age_ns=1, max_bytes=None)
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", limits=limits) as collector:
        body = request(span(), span()).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{collector.http_url}/v1/traces", content=body, headers=headers).raise_for_status()
        with ts.connect(collector.http_url) as store:
            assert store.extent().spans == 2
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", limits=limits):
        pass  # prunes as it starts
    with ts.open(tmp_path / "t.db") as store:
        found = examine(store)
        assert (found["rows"]["spans"], found["pruned"]["spans"]) == (0, 2)
        assert any(line.startswith("pruned      2 spans") for line in report(found))


def test_an_empty_closed_store_is_no_error(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0"):
        pass
    with ts.open(tmp_path / "t.db") as store:
        lines = list(report(examine(store)))
    assert lines[1] == "holds       0 spans"
    assert lines[-1].startswith("collector   has not reported yet")


def test_compacting_needs_a_closed_file_and_says_what_came_of_it(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0"), pytest.raises(StoreError, match="holds"):
        compacted(str(path))
    before = path.read_bytes()
    assert compacted(str(path)) == "at least half of the file is in use: nothing to give back"
    assert len(path.read_bytes()) == len(before)
    with pytest.raises(StoreError, match="there is none at localhost:4318"):
        compacted("localhost:4318")


def test_room_that_pruning_left_and_the_journal_are_told() -> None:
    told = {
        **{"location": "t.db", "live": False, "schema_version": 3, "rows": dict.fromkeys(_TABLES, 20_000)},
        **{"first_start_ns": 1, "last_start_ns": 2, "file_bytes": 128 << 20, "used_bytes": 43 << 20},
        **{"wal_size": "0 bytes", "journal_bytes": 7 << 20, "bytes_per_span": 40.5, "collector": {}},
        **{"arrival": {"rate": 1.0, "last_ns": 2}, "pruned": {"spans": 0}},
    }
    size = "128.0 MiB in the file, 85.0 MiB of it free for what comes, log 0 bytes, journal 7.0 MiB"
    assert f"size        {size}; 40.5 bytes a span" in list(report(told))
    quiet = {**told, "used_bytes": 127 << 20, "journal_bytes": None}
    assert "size        128.0 MiB in the file, log 0 bytes; 40.5 bytes a span" in list(report(quiet))


def test_the_journal_of_a_closed_store_counts(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        body = request(span()).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{collector.http_url}/v1/traces", content=body, headers=headers).raise_for_status()
        with ts.connect(collector.http_url) as store:
            assert examine(store)["journal_bytes"] is None, "nobody knows from afar"
    with ts.open(tmp_path / "t.db") as store:
        lying = sum(file.stat().st_size for file in (tmp_path / "t.db.journal").iterdir())
        assert examine(store)["journal_bytes"] == lying > len(body)
