"""A trace as a wall: nothing overlaps, work and waiting add up, missing spans are voids, search within."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, MemoryReader, reader, span, span_number, span_table, trace_bytes
from naive.forest import Span
from naive.spans import nested_spans, tangled_spans
from support.documented import documented
from support.sizes import sized
from tracescape_analytics.span_forest import plant
from tracescape_analytics.trace import load_trace, trace_of
from tracescape_analytics.trace_details import TraceDetails
from tracescape_analytics.trace_wall import LIT_SCHEMA, NOTE_SCHEMA, PIECE_SCHEMA, WALL_SCHEMA, Wall, wall_of
from tracescape_storage.filters import FilterError
from tracescape_storage.one_trace import trace_spans
from tracescape_storage.schema import EVENTS, LOGS

Row = dict[str, object]
TIME = {"time_ns": pl.Int64}
LOG_TEXTS = ("span_id", "severity", "body", "event_name", "attributes")
ROWS: list[Row] = [
    span("A", service="web", operation="GET /", kind="server", start=100, end=200),
    span("B", "A", service="web", operation="call pay", kind="client", start=110, end=180),
    span("C", "B", service="pay", operation="charge", kind="server", start=120, end=170, status="error"),
    span("D", "A", service="web", operation="log", start=150, end=195, attributes='{"user.id":"Ölaf"}'),
]


def wall(store: MemoryReader, name: str = "t") -> Wall:
    trace = load_trace(store, trace_bytes(name))
    return wall_of(trace, plant(trace_spans(store, trace_bytes(name))), store)


def check(found: Wall) -> None:
    start, end, lane, parent = (
        found.spans[name].to_numpy() for name in ("start_ns", "end_ns", "lane", "parent")
    )
    order = np.lexsort((start, lane))
    together = lane[order][1:] == lane[order][:-1]
    assert (np.maximum(end, start + 1)[order][:-1][together] <= start[order][1:][together]).all()
    inner = parent >= 0
    assert (lane[inner] > lane[parent[inner]]).all()
    assert (found.start_ns, found.end_ns, found.lanes) == (start.min(), end.max(), lane.max() + 1)
    main = found.spans.with_row_index("row").filter(pl.col("critical_ns").is_not_null())
    assert main.height
    length, waited = found.pieces["end_ns"] - found.pieces["start_ns"], found.pieces["waited"]
    of = found.pieces["span"].to_numpy()
    spans = int((~found.spans["void"]).sum())
    assert np.bincount(of, length, spans).astype(int).tolist() == (end - start)[:spans].tolist()
    worked = np.bincount(of, length * ~waited, spans).astype(int)
    assert worked.tolist() == found.spans["self_ns"][:spans].to_list()
    lit = found.lit
    assert (lit["end_ns"] - lit["start_ns"]).sum() == found.root_ns[1] - found.root_ns[0]


def test_spans_stand_on_lanes_and_the_critical_path_is_lit() -> None:
    found = wall(reader(*ROWS))
    assert found.spans["lane"].to_list() == [0, 1, 2, 3]
    assert found.spans["start_ns", "end_ns"].rows() == [(100, 200), (110, 180), (120, 170), (150, 195)]
    assert found.lit.rows() == [(0, 100, 150), (3, 150, 195), (0, 195, 200)]
    assert found.pieces.filter(span=0).drop("span").rows() == [
        (100, 110, False),
        (110, 195, True),
        (195, 200, False),
    ]
    assert found.spans["failed"].to_list() == [False, False, True, False]
    check(found)


def test_a_lane_is_used_again_by_what_comes_later() -> None:
    rows = [
        span("A", end=100),
        *(span(name, "A", start=10 * i, end=10 * i + 10) for i, name in enumerate("BCD")),
    ]
    found = wall(reader(*rows))
    assert found.spans["lane"].to_list() == [0, 1, 1, 1]


def test_the_main_root_stands_on_the_first_lane_whatever_came_before() -> None:
    rows = [*ROWS, span("X", "gone", service="old", start=50, end=190)]
    found = wall(reader(*rows))
    assert found.spans.row(by_predicate=pl.col("operation") == "GET /", named=True)["lane"] == 0
    check(found)


def test_a_parent_that_is_not_stored_is_a_void_above_its_children() -> None:
    late = [
        span("X", "gone", start=120, end=150),
        span("Y", "gone", start=160, end=190),
        span("Z", "else", start=0, end=3),
    ]
    found = wall(reader(*ROWS, *late))
    voids = found.spans.filter("void")
    assert dict(voids.select("span_id", "start_ns").rows()) == {
        f"{span_number('gone'):016x}": 120,
        f"{span_number('else'):016x}": 0,
    }
    assert sorted(voids["end_ns"]) == [3, 190]
    orphan = found.spans.row(by_predicate=pl.col("start_ns") == 160, named=True)
    above = found.spans.row(orphan["parent"], named=True)
    assert (above["void"], above["end_ns"]) == (True, 190)
    assert above["lane"] < orphan["lane"]
    assert repr(found).startswith(f"<Wall of {trace_bytes('t').hex()}: 7 spans, 2 missing on ")
    check(found)


def test_when_the_missing_parent_arrives_the_void_is_gone() -> None:
    assert wall(reader(*ROWS[1:])).spans["void"].sum() == 1
    assert not wall(reader(*ROWS)).spans["void"].any()


def _log(time: int, body: str, name: str) -> Row:
    numbers = ("flags", "dropped_attributes")
    return {
        "time_ns": time,
        "observed_time_ns": time,
        "severity_number": 17,
        "service": "pay",
        "body": json.dumps(body),
        "trace_id": trace_bytes("t"),
        "span_id": span_number(name),
        "resource_id": 1,
        "scope_id": 1,
        "attributes": "{}",
        "time_is_observed": False,
        **dict.fromkeys(numbers, 0),
    }


def noted(*rows: Row) -> MemoryReader:
    store = reader(*rows)
    event = {
        "trace_id": trace_bytes("t"),
        "span_id": span_number("C"),
        "time_ns": 165,
        "name": "exception",
        "attributes": json.dumps({"exception.type": "CardDeclined"}),
        "dropped_attributes": 0,
    }
    store.others["events"] = pa.Table.from_pylist([event], schema=EVENTS)
    logs = [_log(130, "Charging 5 €", "C"), _log(140, "nobody knows", "Q")]
    store.others["logs"] = pa.Table.from_pylist(logs, schema=LOGS)
    return store


def test_events_and_logs_hang_beside_their_spans() -> None:
    found = wall(noted(*ROWS))
    assert found.notes.select("kind", "time_ns", "span", "lane", "text", "severity").rows() == [
        ("log", 130, 2, 2, "Charging 5 €", "error"),
        ("log", 140, None, None, "nobody knows", "error"),
        ("event", 165, 2, 2, "exception", None),
    ]


def test_search_within_finds_names_attributes_events_and_logs() -> None:
    found = wall(noted(*ROWS))
    for text, rows in (
        ("PAY", [1, 2]),
        ("öLAF", [3]),
        ("carddeclined", [2]),
        ("charging 5", [2]),
        ("nobody knows", []),
        ("no.such", []),
        ("GET", [0]),
        (f"{span_number('D'):x}", [3]),
    ):
        assert found.find(text).to_list() == rows, text
    assert found.find("").to_list() == [0, 1, 2, 3]


def test_a_filter_finds_spans_too() -> None:
    found = wall(reader(*ROWS, span("E", trace="other", service="pay", status="error")))
    assert found.matching('service = "pay" and status = "error"').to_list() == [2]
    assert found.matching("duration >= 50ns").to_list() == [0, 1, 2]
    with pytest.raises(FilterError):
        found.matching("duration >")


def row_of(made: Span) -> Row:
    return span(
        str(made.id)[-7:],
        str(made.parent)[-7:] if made.parent else None,
        service=f"s{made.resource}",
        start=made.start,
        end=made.end,
        kind=KINDS[made.kind],
    )


@given(st.one_of(tangled_spans(), nested_spans()))
def test_any_trace_is_a_wall_without_overlaps(spans: list[Span]) -> None:
    rows = [row_of(made) for made in spans if not made.trace]
    check(quick_wall(MemoryReader(span_table(rows))))


class Nothing(TraceDetails):
    """Neither events nor logs, and no question about them."""

    events = pl.DataFrame(schema=dict.fromkeys(("span_id", "name", "attributes"), pl.String) | TIME)
    logs = pl.DataFrame(schema=dict.fromkeys(LOG_TEXTS, pl.String) | TIME)


def quick_wall(store: MemoryReader) -> Wall:
    name = trace_bytes("t")
    trace = trace_of(store.table, Nothing(store, name), store, name)
    return wall_of(trace, plant(store.table), store)


def test_a_large_trace_in_bounded_work() -> None:
    count = sized(100_000)
    made = span_table([span("A", start=0, end=10**9, service="web", kind="server")]).to_pydict()
    rows = {name: [value[0]] * count for name, value in made.items()}
    rows["span_id"] = list(range(1, count + 1))
    rows["parent_span_id"] = [0, *((i - 1) // 300 + 1 for i in range(1, count))]
    store = MemoryReader(pl.DataFrame(rows).to_arrow().cast(span_table([]).schema))
    found = quick_wall(store)
    assert found.lanes == count
    assert len(found.find("web")) == count


def test_the_columns_are_documented() -> None:
    assert documented("trace.wall()`: `.spans") == list(WALL_SCHEMA)
    assert documented("trace.wall()`: `.pieces") == list(PIECE_SCHEMA)
    assert documented("trace.wall()`: `.lit") == list(LIT_SCHEMA)
    assert documented("trace.wall()`: `.notes") == list(NOTE_SCHEMA)
