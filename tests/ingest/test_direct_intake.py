"""The door of a collector that keeps nothing."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pytest

from support.otlp import request, span
from support.signals import log, logs_request, metrics_request
from tracescape_ingest.decode import UndecodableError
from tracescape_ingest.direct_intake import DirectIntake
from tracescape_ingest.intake import Signal
from tracescape_ingest.self_observation import SelfObservation
from tracescape_ingest.signals import answer_of
from tracescape_storage.clickhouse.rows import span_rows


class Sink:
    def __init__(self) -> None:
        self.tables: list[Mapping[str, pa.Table]] = []

    def prepare(self, *batches: Mapping[str, pa.Table]) -> tuple[Mapping[str, pa.Table], ...]:
        return batches

    def insert(self, block: tuple[Mapping[str, pa.Table], ...], token: str) -> None:
        self.tables.extend(block)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def intake(sink: Sink) -> Iterator[DirectIntake]:
    made = DirectIntake(sink, unkept={Signal.METRICS: "send them elsewhere"}, linger_s=0, compiled=False)
    yield made
    made.close()


def test_spans_and_logs_arrive(intake: DirectIntake, sink: Sink) -> None:
    for signal, message in ((Signal.TRACES, request(span("a"))), (Signal.LOGS, logs_request(log("said")))):
        assert intake.submit(signal, message.SerializeToString()).result(10) == (1, 0, "")
    assert [next(iter(each)) for each in sink.tables] == ["spans", "logs"]
    assert intake.settle() and intake.catch_up()
    assert intake.counting.read().accepted == {"traces": 1, "logs": 1}


def test_attributes_that_many_spans_have_are_decoded_into_columns_and_none_is_lost(
    intake: DirectIntake, sink: Sink
) -> None:
    for _ in range(2):
        spans = [span(attributes={"app.tier": "gold", **({"odd": n} if not n else {})}) for n in range(300)]
        assert intake.submit(Signal.TRACES, request(*spans).SerializeToString()).result(10).accepted == 300
    first, second = (each["spans"].column_names for each in sink.tables)
    assert "app.tier" not in first and "app.tier" in second and "odd" not in second
    found = [span_rows(dict(each))["SpanAttributes"].to_pylist() for each in sink.tables]
    assert [dict(each) for each in found[0]] == [dict(each) for each in found[1]]
    assert dict(found[1][0]) == {"app.tier": "gold", "odd": "0"}


def test_of_a_signal_that_is_not_kept_everything_is_rejected_with_the_reason(
    intake: DirectIntake, sink: Sink
) -> None:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

    points = [NumberDataPoint(as_int=n, time_unix_nano=1) for n in range(3)]
    message = metrics_request(Metric(name="m", gauge=Gauge(data_points=points)))
    outcome = intake.submit(Signal.METRICS, message.SerializeToString()).result(10)
    assert outcome == (0, 3, "send them elsewhere")
    answer = answer_of(Signal.METRICS, outcome)
    assert answer.partial_success.rejected_data_points == 3
    assert intake.submit(Signal.METRICS, b"").result(10) == (0, 0, "")
    with pytest.raises(UndecodableError):
        intake.submit(Signal.METRICS, b"\xff")
    assert not sink.tables
    assert intake.counting.read().rejected["metrics"] == 3


def test_it_watches_itself_with_spans_alone(intake: DirectIntake, sink: Sink) -> None:
    intake.submit(Signal.TRACES, request(span("a")).SerializeToString()).result(10)
    SelfObservation(intake, interval_s=3600).close()
    assert [name for each in sink.tables for name in each["spans"]["operation"].to_pylist()] == [
        "a",
        "settle",
    ]
    assert intake.counting.read().rejected.get("metrics", 0) == 0
