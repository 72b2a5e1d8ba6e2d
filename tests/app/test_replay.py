"""Replay: what was recorded arrives as it was, or moved to now with every relation kept."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.otlp_sink import Sink, running_sink
from tracescape.replay import ReplayError, replay

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as running:
        yield running


def table(path: Path, spans: int = 50, **columns: object) -> Path:
    frame = pl.DataFrame(
        {
            "trace_id": [f"{i // 5 + 1:032x}" for i in range(spans)],
            "span_id": [f"{i + 1:016x}" for i in range(spans)],
            "parent_span_id": ["" if i % 5 == 0 else f"{i:016x}" for i in range(spans)],
            "service": [f"service-{i % 3}" for i in range(spans)],
            "operation": [f"op {i}" for i in range(spans)],
            # Written backwards: a recording need not be in order.
            "start_ns": [BEGIN + (spans - i) * SECOND for i in range(spans)],
            "duration_ns": [i * 1_000 for i in range(spans)],
        }
    )
    frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()}).write_parquet(path)
    return path


def facts(span: Span) -> tuple[object, ...]:
    times = (span.start_time_unix_nano, span.end_time_unix_nano)
    return (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, *times)


def test_a_table_arrives_as_it_was(tmp_path: Path, sink: Sink) -> None:
    path = table(tmp_path / "t.parquet")
    result = replay(path, sink.endpoint, batch=7)
    assert (result.spans_sent, result.spans_failed, result.requests) == (50, 0, 8)
    expected = {
        (
            row["trace_id"],
            row["span_id"],
            row["parent_span_id"],
            row["operation"],
            row["start_ns"],
            row["start_ns"] + row["duration_ns"],
        )
        for row in pl.read_parquet(path).iter_rows(named=True)
    }
    assert {facts(span) for span in sink.spans()} == expected
    services = {span.name: service for service, span in sink.by_service()}
    assert services["op 4"] == "service-1"


def test_spans_go_out_in_order_of_their_start(tmp_path: Path, sink: Sink) -> None:
    seen: list[tuple[int, int | None]] = []
    path = table(tmp_path / "t.parquet")
    replay(path, sink.endpoint, limit=10, batch=1, progress=lambda done, total: seen.append((done, total)))
    assert {span.name for span in sink.spans()} == {f"op {i}" for i in range(40, 50)}
    assert seen == [(i, 10) for i in range(1, 11)]


def test_kinds_and_status_are_kept_where_a_table_has_them(tmp_path: Path, sink: Sink) -> None:
    replay(table(tmp_path / "t.parquet", kind=3, status=2), sink.endpoint)
    assert {(span.kind, span.status.code) for span in sink.spans()} == {(3, 2)}


def test_now_moves_times_and_ids_and_keeps_every_relation(tmp_path: Path, sink: Sink) -> None:
    path = table(tmp_path / "t.parquet")
    before = time.time_ns()
    replay(path, sink.endpoint, now=True, batch=7)
    recorded = {row["operation"]: row for row in pl.read_parquet(path).iter_rows(named=True)}
    moved = {span.name: span for span in sink.spans()}
    deltas = {moved[name].start_time_unix_nano - row["start_ns"] for name, row in recorded.items()}
    assert len(deltas) == 1
    assert before <= max(span.end_time_unix_nano for span in moved.values()) <= time.time_ns()
    successor: dict[str, str] = {}
    for name, row in recorded.items():
        span = moved[name]
        assert span.end_time_unix_nano - span.start_time_unix_nano == row["duration_ns"]
        for old, new in (
            (row["trace_id"], span.trace_id.hex()),
            (row["span_id"], span.span_id.hex()),
            (row["parent_span_id"], span.parent_span_id.hex()),
        ):
            assert successor.setdefault(old, new) == new
            assert (old == new) == (old == "")
    assert len(set(successor.values())) == len(successor)


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
def test_speed_stretches_the_recorded_gaps(
    tmp_path: Path, sink: Sink, speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still here, so each wait asks for all the time from the beginning to its part."""
    still = SimpleNamespace(monotonic=lambda: 0.0, time_ns=time.time_ns)
    monkeypatch.setattr("tracescape.replay.sending.time", still)
    waits: list[float] = []
    replay(table(tmp_path / "t.parquet", spans=10), sink.endpoint, speed=speed, batch=1, sleep=waits.append)
    assert waits == pytest.approx([seconds / speed for seconds in range(1, 10)])


def test_a_replay_can_be_stopped(tmp_path: Path, sink: Sink) -> None:
    stop = threading.Event()
    result = replay(
        table(tmp_path / "t.parquet"),
        sink.endpoint,
        batch=1,
        stop=stop,
        progress=lambda done, total: stop.set(),
    )
    assert 0 < result.spans_sent < 50
    assert len(sink.spans()) == result.spans_sent


def test_headers_reach_the_server(tmp_path: Path, sink: Sink) -> None:
    replay(table(tmp_path / "t.parquet"), sink.endpoint, headers={"x-api-key": "secret"})
    assert sink.metadata[0]["x-api-key"] == "secret"


def document(**span: object) -> dict[str, object]:
    plain = {
        "traceId": "0A" * 16,
        "spanId": "0b" * 8,
        "name": "n",
        "startTimeUnixNano": "5",
        "endTimeUnixNano": 9,
    }
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
                "scopeSpans": [{"spans": [{**plain, **span}]}],
            }
        ]
    }


def send(sink: Sink, path: Path, content: object) -> Span:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    replay(path, sink.endpoint)
    return sink.spans()[-1]


def test_otlp_json_ids_are_hex_of_any_case_and_integers_exact(tmp_path: Path, sink: Sink) -> None:
    span = send(
        sink,
        tmp_path / "t.json",
        document(
            parentSpanId="Cc" * 8,
            kind=3,
            startTimeUnixNano=9007199254740993,
            endTimeUnixNano="9007199254740995",
            attributes=[
                {"key": "i", "value": {"intValue": "9007199254740993"}},
                {"key": "b", "value": {"bytesValue": "eHg="}},
            ],
            links=[{"traceId": "0D" * 16, "spanId": "0e" * 8}],
            status={"code": 2, "message": "m"},
            unknownField={"x": 1},
            parent_span_id="ignored",
            **{"trace_state": "ignored"},
        ),
    )
    assert (span.trace_id, span.span_id, span.parent_span_id) == (b"\x0a" * 16, b"\x0b" * 8, b"\xcc" * 8)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (9007199254740993, 9007199254740995)
    values = {pair.key: pair.value for pair in span.attributes}
    assert values["i"].int_value == 9007199254740993
    assert values["b"].bytes_value == b"xx"
    assert (span.links[0].trace_id, span.links[0].span_id) == (b"\x0d" * 16, b"\x0e" * 8)
    assert (span.kind, span.status.code, span.trace_state) == (3, 2, "")


def test_json_lines_are_many_requests(tmp_path: Path, sink: Sink) -> None:
    lines = "\n".join(json.dumps(document(name=name)) for name in "abc") + "\n\n"
    send(sink, tmp_path / "t.jsonl", lines)
    assert sorted(span.name for span in sink.spans()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        ('{"resourceSpans": [', "is no JSON"),
        ("[1, 2]", "this is no OTLP JSON"),
        ('{"resourceSpans": []}', "holds no spans"),
        (document(spanId="not hex"), "spanId 'not hex' is not hexadecimal"),
        (document(kind="SPAN_KIND_SERVER"), "OTLP JSON writes enums as integers"),
        (document(attributes=7), "an object was expected"),
        (document(startTimeUnixNano="soon"), "soon"),
        (document(startTimeUnixNano=2**70), "t.json"),
        (json.dumps(document()) + "\n{broken\n", "at line 2"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_broken_json_says_what_is_wrong(tmp_path: Path, sink: Sink, content: object, message: str) -> None:
    with pytest.raises(ReplayError, match="t.json") as caught:
        send(sink, tmp_path / "t.json", content)
    assert message in str(caught.value)
    assert not sink.requests


def test_values_nested_without_end_are_refused(tmp_path: Path, sink: Sink) -> None:
    value: dict[str, object] = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(ReplayError, match="nest too deep"):
        send(sink, tmp_path / "t.json", document(attributes=[{"key": "k", "value": value}]))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("trace_id", "xyz", "the span '.*' of trace 'xyz' cannot be sent: non-hexadecimal"),
        ("duration_ns", -5, "50 spans have a negative start or duration"),
        ("start_ns", "soon", "the column start_ns must be integers, not String"),
        ("service", 3, "the column service must be text, not Int32"),
        ("operation", None, "the column operation must be text, not Null"),
    ],
)
def test_a_broken_table_says_what_is_wrong(
    tmp_path: Path, sink: Sink, column: str, values: object, message: str
) -> None:
    with pytest.raises(ReplayError, match=message):
        replay(table(tmp_path / "t.parquet", **{column: values}), sink.endpoint)


def test_what_is_no_recording_says_so(tmp_path: Path, sink: Sink) -> None:
    with pytest.raises(ReplayError, match="There is no file"):
        replay(tmp_path / "missing.parquet", sink.endpoint)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(ReplayError, match="is no Parquet file"):
        replay(tmp_path / "text.parquet", sink.endpoint)
    (tmp_path / "binary.dat").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReplayError, match="neither Parquet nor JSON"):
        replay(tmp_path / "binary.dat", sink.endpoint)
    whole = table(tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReplayError, match="cannot be read as Parquet"):
        replay(tmp_path / "cut.parquet", sink.endpoint)
    pl.DataFrame({"trace_id": ["a"]}).write_parquet(tmp_path / "few.parquet")
    with pytest.raises(ReplayError, match="lacks the columns span_id, parent_span_id, service"):
        replay(tmp_path / "few.parquet", sink.endpoint)
    table(tmp_path / "none.parquet", spans=0)
    with pytest.raises(ReplayError, match="holds no spans"):
        replay(tmp_path / "none.parquet", sink.endpoint)


def test_an_endpoint_that_takes_nothing_is_told_at_once(tmp_path: Path, sink: Sink) -> None:
    sink.refuse = True
    with pytest.raises(
        ReplayError, match=r"takes no spans \(refused for a test\)\. Is a collector listening"
    ):
        replay(table(tmp_path / "t.parquet"), sink.endpoint, batch=1)


def test_an_endpoint_that_stops_taking_spans_ends_the_replay(tmp_path: Path, sink: Sink) -> None:
    def refuse_after_ten(done: int, total: int | None) -> None:
        sink.refuse = done >= 10

    path = table(tmp_path / "t.parquet", spans=500)
    with pytest.raises(ReplayError, match=r"has stopped taking spans \(refused for a test\)\. 1\d were"):
        replay(path, sink.endpoint, batch=1, progress=refuse_after_ten)
    assert 10 <= len(sink.spans()) < 20
