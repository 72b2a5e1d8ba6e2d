"""The examples of docs/time.md, as written there; and one request of a real store, moment by moment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tracescape as ts
from tracescape.collector import Collector

PAGE = Path(__file__).parents[2] / "docs" / "time.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)


def test_the_examples_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(path.parent)
    names: dict[str, Any] = {}
    try:
        exec("\n".join(EXAMPLES), names)
    finally:
        names["store"].close()  # an example that fails leaves the file to the tests after it
    said = capsys.readouterr().out
    assert "27 services" in said
    assert " beside " in said


def test_a_collector_answers_like_its_file(path: Path, store: ts.Store) -> None:
    minute = store.extent().last_start_ns // 60_000_000_000 * 60_000_000_000
    here = store.at(minute)
    nodes, versions, steps = (
        here.topology().nodes,
        here.versions(),
        store.timeline(minute - 240 * 10**9, minute),
    )
    trace = store.trace(
        store.search(order="slowest", since=minute - 240 * 10**9, until=minute).rows["trace_id"][0]
    )
    legs, lanes = trace.replay().legs, trace.wall().spans["lane"]
    found = trace.wall().matching('service = "inventory"')
    store.close()
    with (
        Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0", observe_s=0) as collector,
        ts.connect(collector.http_url) as there,
    ):
        moment = there.at(minute)
        assert moment.note is None
        assert moment.topology().nodes.equals(nodes)
        assert moment.versions().equals(versions)
        assert there.timeline(minute - 240 * 10**9, minute).equals(steps)
        same = there.trace(trace.trace_id)
        assert same.replay().legs.equals(legs)
        assert same.wall().spans["lane"].equals(lanes)
        assert same.wall().matching('service = "inventory"').equals(found)


def test_a_slow_request_waits_where_the_fault_is(store: ts.Store) -> None:
    trace = store.trace(store.search(order="slowest").rows["trace_id"][0])
    replay, longest = trace.replay(), trace.critical_path().sort("duration_ns").row(-1, named=True)
    frame = replay.at((longest["start_ns"] + longest["end_ns"]) // 2)
    critical = replay.spans.row(frame.critical, named=True)
    assert (critical["service"], critical["operation"]) == ("inventory", "UPDATE stock")
    legs = replay.legs[frame.legs].select("leg", "source", "target").rows()
    assert ("away", "inventory", "postgresql inventory@inventory-db") in legs
    assert ("work", "checkout", "inventory") in legs
    edges = set(store.topology().edges.select("source", "target").rows())
    assert set(replay.legs.select("source", "target").rows()) <= edges
    wall = trace.wall()
    assert wall.lit.select((pl.col("end_ns") - pl.col("start_ns")).sum()).item() == trace.root.duration_ns
    assert frame.critical in wall.find("update STOCK").to_list()
