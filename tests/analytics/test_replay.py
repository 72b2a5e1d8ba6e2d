"""A request moment by moment: where it is, who waits, what went wrong so far."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, reader, span, span_table, trace_bytes
from naive.forest import Span
from naive.spans import nested_spans, tangled_spans
from support.documented import documented
from support.sizes import sized
from support.small_shop import small_shop
from tracescape_analytics.errors import UnknownTraceError
from tracescape_analytics.replay import LEG_SCHEMA, LEGS, REPLAY_SPAN_SCHEMA, Replay, load_replay, replay_of
from tracescape_analytics.span_forest import plant
from tracescape_storage.schema import SPANS_FULL

Row = dict[str, object]

CALL: list[Row] = [
    span("A", service="web", operation="GET /", kind="server", start=100, end=200),
    span("B", "A", service="web", kind="client", start=110, end=180, status="error"),
    span("C", "B", service="pay", kind="server", start=130, end=160, status="error"),
    span("D", "C", service="pay", kind="client", start=135, end=155, db_system="mysql", db_namespace="bills"),
]


def replay(*rows: Row) -> Replay:
    return load_replay(reader(*rows), trace_bytes("t"))


def under_way(found: Replay, at: int) -> dict[tuple[str, str, str], float]:
    frame = found.at(at)
    rows = found.legs[frame.legs].select("leg", "source", "target").rows()
    return dict(zip(rows, frame.place.tolist(), strict=True))


def names(found: Replay, rows: np.ndarray) -> list[str]:
    return [chr(int(text[-2:], 16)) for text in found.spans["span_id"][rows]]


def test_a_request_goes_to_its_server_and_the_response_comes_back() -> None:
    found = replay(*CALL)
    entered = {("work", "user", "web"): 1.0}
    assert under_way(found, 105) == entered
    assert under_way(found, 115) == {**entered, ("request", "web", "pay"): 0.25}
    assert under_way(found, 130) == {**entered, ("work", "web", "pay"): 1.0}
    assert under_way(found, 140) == {
        **entered,
        ("work", "web", "pay"): 1.0,
        ("away", "pay", "mysql bills"): 1.0,
    }
    assert under_way(found, 165) == {**entered, ("response", "web", "pay"): 0.75}
    assert under_way(found, 180) == entered
    assert under_way(found, 200) == {}


def test_who_runs_who_waits_for_whom_and_what_is_critical() -> None:
    found = replay(*CALL)
    frame = found.at(140)
    assert names(found, frame.running) == ["A", "B", "C", "D"]
    assert names(found, frame.waits_for[:-1]) == ["B", "C", "D"]
    assert frame.waits_for[-1] == -1
    assert names(found, np.array([frame.critical])) == ["D"]
    assert names(found, found.at(120).running) == ["A", "B"]
    assert names(found, np.array([found.at(120).critical])) == ["B"]


def test_an_error_is_known_once_its_span_has_ended() -> None:
    found = replay(*CALL)
    assert names(found, found.at(159).failed) == []
    assert names(found, found.at(160).failed) == ["C"]
    assert names(found, found.at(199).failed) == ["C", "B"]
    assert found.legs.filter(pl.col("failed"))["leg"].to_list() == ["request", "work", "response"]


def test_the_critical_path_is_what_frames_say_and_a_missing_parent_is_counted() -> None:
    found = replay(*CALL, span("F", "E", service="pay", start=140, end=150))
    path = found.critical
    told = {at: found.at(at).critical for at in range(100, 200)}
    rows = zip(path.span.tolist(), path.start.tolist(), path.end.tolist(), strict=True)
    assert {at: row for row, start, end in rows for at in range(start, end)} == told
    assert (found.fragments, replay(*CALL).fragments) == (1, 0)


def test_before_the_start_and_after_the_end_nothing_runs() -> None:
    found = replay(*CALL)
    for at in (-5, 99, 200, 10**18):
        frame = found.at(at)
        assert (len(frame.running), frame.critical, len(frame.legs)) == (0, -1, 0)
    assert found.share(-1).at_ns == found.start_ns == 100
    assert found.share(2).at_ns == found.end_ns == 200
    assert found.share(0.5).at_ns == 150


def test_a_light_whose_caller_gave_up_does_not_come_back() -> None:
    rows = [*CALL[:1], span("B", "A", service="web", kind="client", start=110, end=150)]
    rows.append(span("C", "B", service="pay", kind="server", start=120, end=190))
    assert set(replay(*rows).legs["leg"]) == {"work", "request"}


def test_skewed_clocks_do_not_send_answers_before_questions() -> None:
    rows = [*CALL[:2], span("C", "B", service="pay", kind="server", start=30, end=60)]
    legs = replay(*rows).legs.filter(pl.col("target") == "pay")
    assert legs.select("leg", "start_ns", "end_ns").rows() == [("work", 110, 140), ("response", 140, 180)]


def test_a_message_waits_in_its_queue() -> None:
    topic = {"messaging_system": "kafka", "messaging_destination": "orders"}
    rows = [
        *CALL[:1],
        span("B", "A", service="web", kind="producer", start=110, end=120, **topic),
        span("C", "B", service="mail", kind="consumer", start=160, end=260, **topic),
    ]
    found = replay(*rows)
    assert under_way(found, 115)["message", "web", "kafka orders"] == 0.5
    assert under_way(found, 130)["message", "kafka orders", "mail"] == 0.25
    assert under_way(found, 210) == {("work", "kafka orders", "mail"): 1.0}
    assert (found.root_ns, found.end_ns) == ((100, 200), 260)


def test_a_queue_that_only_its_consumer_names() -> None:
    topic = {"messaging_system": "kafka", "messaging_destination": "orders"}
    rows = [
        *CALL[:1],
        span("B", "A", service="web", kind="producer", start=110, end=120),
        span("C", "B", service="mail", kind="consumer", start=160, end=260, **topic),
    ]
    assert under_way(replay(*rows), 115)["message", "web", "kafka orders"] == 0.5
    assert under_way(replay(*rows), 130)["message", "kafka orders", "mail"] == 0.25


def test_a_queue_that_nobody_names_is_passed_by() -> None:
    rows = [
        *CALL[:1],
        span("B", "A", service="web", kind="producer", start=110, end=120),
        span("C", "B", service="mail", kind="consumer", start=160, end=260),
    ]
    assert under_way(replay(*rows), 135)["message", "web", "mail"] == 0.5


def test_services_without_kinds_hand_over_work() -> None:
    rows = [span("A", service="web", start=0, end=90), span("B", "A", service="pay", start=20, end=50)]
    assert under_way(replay(*rows), 30) == {("work", "user", "web"): 1.0, ("work", "web", "pay"): 1.0}


def test_a_trace_that_still_arrives_is_replayed_as_far_as_it_is_there() -> None:
    found = replay(*CALL[2:])
    assert (found.start_ns, found.end_ns, len(found.spans)) == (130, 160, 2)
    assert "user" not in found.legs["source"].to_list(), "who called is not stored yet"
    assert names(found, np.array([found.at(132).critical])) == ["C"]
    assert len(replay(*CALL).spans) == 4


def test_a_trace_that_was_pruned_is_unknown() -> None:
    with pytest.raises(UnknownTraceError, match=trace_bytes("gone").hex()):
        load_replay(reader(*CALL), trace_bytes("gone"))


def row_of(made: Span) -> Row:
    return span(
        str(made.id)[-7:],
        str(made.parent)[-7:] if made.parent else None,
        service=f"s{made.resource}",
        start=made.start,
        end=made.end,
        kind=KINDS[made.kind],
        status="error" if made.content == 2 else "unset",
        peer_service="far",
    )


def rows_of(spans: list[Span]) -> list[Row]:
    return [row_of(made) for made in spans if not made.trace]


@given(st.one_of(tangled_spans(), nested_spans()))
def test_at_any_moment(spans: list[Span]) -> None:
    found = replay_of(plant(span_table(rows_of(spans))), "t")
    start, end = (found.spans[name].to_numpy() for name in ("start_ns", "end_ns"))
    failed = found.spans["failed"].to_numpy()
    for at in range(found.start_ns - 1, min(found.end_ns + 2, found.start_ns + 60)):
        frame = found.at(at)
        assert frame.running.tolist() == np.flatnonzero((start <= at) & (at < end)).tolist()
        assert (frame.critical >= 0) == (found.root_ns[0] <= at < found.root_ns[1])
        assert frame.critical < 0 or frame.critical in frame.running
        assert sorted(frame.failed.tolist()) == np.flatnonzero(failed & (end <= at)).tolist()
        waited = frame.waits_for[frame.waits_for >= 0]
        assert set(waited.tolist()) <= set(frame.running.tolist())
        assert (found.spans["parent"].to_numpy()[waited] == frame.running[frame.waits_for >= 0]).all()
        legs = found.legs[frame.legs]
        assert (legs["start_ns"] <= at).all()
        assert (legs["end_ns"] > at).all()
        assert ((frame.place >= 0) & (frame.place <= 1)).all()
    assert (found.legs["start_ns"] < found.legs["end_ns"]).all()


def test_edges_are_those_of_the_topology() -> None:
    from tracescape_analytics.topology import topology

    shop = small_shop(minutes=1, per_minute=6, fault_minutes=0)
    edges = set(topology(shop).edges.select("source", "target").rows())
    seen = set()
    for trace_id in set(shop.table["trace_id"].to_pylist()):
        seen |= set(load_replay(shop, trace_id).legs.select("source", "target").rows())
    assert seen == edges


def test_a_large_trace() -> None:
    count = sized(100_000)
    rows = {name: [None] * count for name in SPANS_FULL.names}
    made = span("A", start=0, end=10**9, service="web", kind="server")
    table = span_table([made]).to_pydict()
    rows = {name: [value[0]] * count for name, value in table.items()}
    rows["span_id"] = list(range(1, count + 1))
    rows["parent_span_id"] = [0, *((i - 1) // 3 + 1 for i in range(1, count))]
    found = replay_of(plant(pl.DataFrame(rows).to_arrow().cast(span_table([made]).schema)), "t")
    assert len(found.at(5).running) == count
    assert found.at(5).critical >= 0


def test_the_columns_are_documented() -> None:
    assert documented("trace.replay()`: `.spans") == list(REPLAY_SPAN_SCHEMA)
    assert documented("trace.replay()`: `.legs") == list(LEG_SCHEMA)
    assert set(LEGS) == {"request", "work", "away", "response", "message"}
