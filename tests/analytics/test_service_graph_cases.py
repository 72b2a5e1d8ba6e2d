"""Service graphs that others publish with their tests, as facts: what they expect, what we say, and why.

``theirs`` and ``ours`` are edges: source, target, calls, errors. Where they differ, ``differ`` says why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memory_reader import span, span_table
from tracescape_analytics.topology import Topology, topology_of
from tracescape_native.buckets import RELATIVE_ERROR
from tracescape_storage.schema import INTEGER_PROMOTED, PROMOTED

CASES = json.loads((Path(__file__).parents[1] / "data" / "service_graph_cases.json").read_text())
COLUMN = {key: column for column, keys in PROMOTED.items() for key in keys}


def found_in(case: dict[str, Any]) -> Topology:
    rows = []
    for sent in case["spans"]:
        promoted = {
            COLUMN[key]: int(value) if COLUMN[key] in INTEGER_PROMOTED else value
            for key, value in sent.get("attributes", {}).items()
            if key in COLUMN and value
        }
        same = {key: sent[key] for key in ("trace", "service", "operation", "kind", "start", "end")}
        status = sent.get("status", "unset")
        rows.append(span(sent["id"], sent["parent"], status=status, **same, **promoted))
    return topology_of(span_table(rows))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_peers_cases(case: dict[str, Any]) -> None:
    found = found_in(case).edges["source", "target", "calls", "errors"].rows()
    assert sorted(found) == sorted(map(tuple, case["ours"]))
    assert (sorted(case["theirs"]) != sorted(case["ours"])) == ("differ" in case), (
        "each difference is explained"
    )


def test_times_are_those_that_tempo_asserts() -> None:
    """Client 45.8 ms, server 30.0 ms; 9.8816 ms from the producer's end to the consumer's start."""
    (case,) = [case for case in CASES if case["name"] == "tempo-queue-and-database"]
    edges = {row["target"]: row for row in found_in(case).edges.iter_rows(named=True)}
    near = {"rel": RELATIVE_ERROR}
    assert edges["mythical-server"]["client_p50_ns"] == pytest.approx(45_834_496, **near)
    assert edges["mythical-server"]["server_p50_ns"] == pytest.approx(29_986_048, **near)
    assert edges["mythical-recorder"]["delay_p50_ns"] == pytest.approx(9_881_600, **near)


def test_the_edge_that_tempo_lets_expire_is_an_orphan() -> None:
    (case,) = [case for case in CASES if case["name"] == "tempo-expired-edges"]
    assert found_in(case).unpaired.orphans == 1
