"""The collector watches itself: what it says in its own store is what happened."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.otlp import request, span
from tracescape_ingest.counting import DURATION_BOUNDS_S, Durations
from tracescape_ingest.intake import Intake, Signal
from tracescape_ingest.self_observation import SelfObservation
from tracescape_storage.duckdb_file import DuckDBStore


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    store = DuckDBStore(tmp_path / "t.db")
    running = Intake(store)
    yield running
    running.close()
    store.close()


def own(intake: Intake) -> dict[tuple[str, str | None], int]:
    query = (
        "select name, attributes, value_int, count from metrics where service = 'tracescape' order by time_ns"
    )
    rows = intake.reader().sql(query).to_pylist()
    return {
        (row["name"], json.loads(row["attributes"]).get("signal")): row["count"]
        if row["value_int"] is None
        else row["value_int"]
        for row in rows
    }


def test_its_metrics_say_what_was_accepted_rejected_and_sent_twice(intake: Intake) -> None:
    observation = SelfObservation(intake, interval_s=3600)
    data = request(span(), span(), span(trace_id=b"short")).SerializeToString()
    intake.submit(Signal.TRACES, data).result(10)
    intake.submit(Signal.TRACES, data).result(10)
    intake.settle()
    observation.close()
    found = own(intake)
    assert found["tracescape.accepted", "traces"] == 4, "a duplicate is acknowledged too"
    assert found["tracescape.rejected", "traces"] == 2
    assert found["tracescape.duplicates", "traces"] == 2
    assert found["tracescape.received", "traces"] == 2 * len(data)
    assert found["tracescape.acknowledge.duration", None] == 2


def test_it_tells_how_much_waits_to_be_stored(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    observation = SelfObservation(intake, interval_s=3600)
    monkeypatch.setattr(Intake, "held_bytes", 4317)
    observation.close()
    assert own(intake)["tracescape.waiting", None] == 4317


def test_what_it_says_of_itself_is_not_counted(intake: Intake) -> None:
    observation = SelfObservation(intake, interval_s=3600)
    for _ in range(3):
        observation.report()
    observation.close()
    counts = intake.counting.read()
    assert not (counts.accepted or counts.received_bytes or counts.acknowledged.count)


def test_refusals_are_told(intake: Intake) -> None:
    observation = SelfObservation(intake, interval_s=3600)
    intake.refused(Signal.LOGS)
    intake.refused(Signal.LOGS)
    observation.close()
    assert own(intake)["tracescape.refused", "logs"] == 2


def test_a_span_stands_for_each_transaction_of_the_store(intake: Intake) -> None:
    observation = SelfObservation(intake, interval_s=3600)
    intake.submit(Signal.TRACES, request(*(span() for _ in range(7))).SerializeToString()).result(10)
    intake.settle()
    observation.close()
    rows = intake.reader().sql("select operation, attributes from spans_v where service = 'tracescape'")
    (settle,) = rows.to_pylist()
    assert settle["operation"] == "settle"
    assert json.loads(settle["attributes"]) == {"tracescape.requests": 1, "tracescape.items": 7}


def test_it_reports_at_its_interval_and_ends_when_told(intake: Intake) -> None:
    observation = SelfObservation(intake, interval_s=0.05)
    while not own(intake):
        pass
    observation.close()
    observation.close()


def test_durations_fall_into_their_buckets() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.001, 0.0011, 100.0):
        durations.add(seconds)
    assert durations.buckets[:2] == [2, 1]
    assert durations.buckets[-1] == 1
    assert (durations.count, len(durations.buckets)) == (4, len(DURATION_BOUNDS_S) + 1)
