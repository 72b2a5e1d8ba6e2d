"""Rows column by column are the rows that `rows.span_rows` makes one by one."""

import contextlib
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from support.otlp import batch, request, span
from support.wild_otlp import wild_request
from tracescape_ingest.accepting import Decoder, Signal
from tracescape_ingest.decode import UndecodableError, decode_traces
from tracescape_ingest.together import tables_of
from tracescape_storage.clickhouse.quick_rows import quick_span_rows
from tracescape_storage.clickhouse.rows import SPAN_ROWS, span_rows


def same(tables: dict[str, pa.Table]) -> pa.Table:
    quick, slow = quick_span_rows(tables), span_rows(tables)
    assert quick.schema == slow.schema == SPAN_ROWS
    quick.validate(full=True)
    for name in SPAN_ROWS.names:
        assert values(quick, name) == values(slow, name), name
    return quick


def values(table: pa.Table, name: str) -> list[object]:
    """With times as integers: Python has no nanoseconds."""
    column = table[name]
    times = {pa.timestamp("ns"): pa.int64(), pa.list_(pa.timestamp("ns")): pa.list_(pa.int64())}
    found: list[object] = column.cast(times.get(column.type, column.type)).to_pylist()
    return found


def test_every_kind_of_value_and_no_attributes() -> None:
    every = {
        "text": 'with "$" and \\ and é\x00',
        "int": -(2**63),
        "double": 1.0,
        "nan": float("nan"),
        "inf": float("-inf"),
        "bytes": b"\xff\x00",
        "list": [1, "a", [True]],
        "map": {"$bytes": "x", "n": 1.5},
        "$bytes": "a key",
        "none": None,
        "bool": False,
    }
    found = same(
        decode_traces(request(span("a", attributes=every), span("b")).SerializeToString(), columns={}).tables
    )
    assert dict(found["SpanAttributes"][0].as_py())["bytes"] == "/wA="


def test_ids_times_and_codes_at_their_edges() -> None:
    far = 2**62
    spans = [
        span(
            "", trace_id=b"\xff" * 16, span_id=b"\xff" * 8, parent=b"\x00" * 7 + b"\x01", start=far, end=far
        ),
        span("x" * 70_000, trace_id=b"\x00" * 15 + b"\x01", kind=0, start=0, end=0),
        span("y", kind=77),
    ]
    same(decode_traces(request(*spans, service=None).SerializeToString(), columns={}).tables)


def test_no_spans() -> None:
    same({name: table.slice(0, 0) for name, table in batch(span()).items()})


def test_attributes_with_columns_of_their_own_are_not_lost() -> None:
    found = same(batch(span("a", attributes={"http.request.method": "GET", "other": 1})))
    assert dict(found["SpanAttributes"][0].as_py()) == {"http.request.method": "GET", "other": "1"}


def test_events_and_links_go_to_their_spans_wherever_they_stand() -> None:
    message = request(*(span(f"{n}") for n in range(4)))
    spans = message.resource_spans[0].scope_spans[0].spans
    for number in (2, 0, 2):
        spans[number].events.add(name=f"event {number}", time_unix_nano=5).attributes.add(
            key="k"
        ).value.int_value = number
        spans[number].links.add(trace_id=b"l" * 16, span_id=b"\x00" * 7 + bytes([number + 1]))
    tables = dict(decode_traces(message.SerializeToString(), columns={}).tables)
    for name in ("events", "links"):
        tables[name] = tables[name].take(np.array([2, 0, 1]))
    found = same(tables)
    assert [len(names) for names in found["Events.Name"].to_pylist()] == [1, 0, 2, 0]


def test_parts_without_their_span_are_left_out() -> None:
    message = request(span("a"), span("b"))
    message.resource_spans[0].scope_spans[0].spans[0].events.add(name="e")
    tables = dict(decode_traces(message.SerializeToString(), columns={}).tables)
    tables["spans"] = tables["spans"].slice(1)
    assert same(tables)["Events.Name"].to_pylist() == [[]]


@pytest.mark.parametrize("seed", range(30))
def test_wild_requests_by_both_decoders(seed: int, decoder: Decoder) -> None:
    random = Random(seed)
    requests = []
    for _ in range(4):
        with contextlib.suppress(UndecodableError):
            requests.append(decoder.decode(Signal.TRACES, wild_request(random, 0.02)))
    for tables in tables_of([each for each in requests if each.items]):
        ids = tables["spans"].select(["trace_id", "span_id"]).to_pylist()
        if len({tuple(each.values()) for each in ids}) == len(ids):
            same(dict(tables))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    made = Decoder(1, wanted={})
    made.start()
    assert made.wait(300)
    return made
