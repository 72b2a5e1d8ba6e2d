"""Rows column by column are the rows that `rows.span_rows` and `rows.log_rows` make one by one."""

import contextlib
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from support.otlp import batch, request, span
from support.signals import log, logs_request
from support.wild_otlp import wild_request
from tracescape_ingest.accepting import Decoder, Signal
from tracescape_ingest.decode import UndecodableError, decode_traces
from tracescape_ingest.logs import decode_logs
from tracescape_ingest.together import tables_of
from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.quick_rows import quick_log_rows, quick_span_rows
from tracescape_storage.clickhouse.rows import LOG_ROWS, SPAN_ROWS, log_rows, span_rows

#: Keys of `support.wild_otlp` whose values get columns, of every type there is.
COLUMNS = {**WELL_KNOWN, "note": "VARCHAR", "count": "BIGINT", "ratio": "DOUBLE", "flag": "BOOLEAN"}


def same(tables: dict[str, pa.Table]) -> pa.Table:
    return compared(quick_span_rows(tables), span_rows(tables), SPAN_ROWS)


def same_logs(tables: dict[str, pa.Table]) -> pa.Table:
    return compared(quick_log_rows(tables), log_rows(tables), LOG_ROWS)


def compared(quick: pa.Table, slow: pa.Table, schema: pa.Schema) -> pa.Table:
    assert quick.schema == slow.schema == schema
    quick.validate(full=True)
    for name in schema.names:
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


def test_attributes_with_columns_stand_behind_the_others_of_their_own_span() -> None:
    some: list[dict[str, object]] = [
        {},
        {"note": "n", "k": [1], "ratio": 2.0, "flag": False},
        {"k": 1},
        {"ratio": 0.1, "count": -(2**62), "note": "", "other": "o"},
        {"note": 7, "flag": "yes"},  # of other types than the columns
    ]
    message = request(*(span(attributes=each) for each in some))
    found = same(dict(decode_traces(message.SerializeToString(), columns=COLUMNS).tables))
    assert [dict(each) for each in found["SpanAttributes"].to_pylist()] == [
        {},
        {"note": "n", "k": "[1]", "ratio": "2", "flag": "false"},
        {"k": "1"},
        {"ratio": "0.1", "count": str(-(2**62)), "note": "", "other": "o"},
        {"note": "7", "flag": "yes"},
    ]


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


@pytest.fixture(scope="module", params=[{}, COLUMNS], ids=["text", "columns"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    made = Decoder(1, wanted=request.param)
    made.start()
    assert made.wait(300)
    return made


KEYS = st.sampled_from(["a", "$b", "c d", "é"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=4), st.binary()
)
VALUES = st.recursive(SCALARS, lambda of: st.lists(of, max_size=3) | st.dictionaries(KEYS, of, max_size=3))
RECORDS = st.builds(
    log,
    VALUES,
    attributes=st.dictionaries(KEYS, VALUES, max_size=3),
    severity_number=st.integers(0, 24),
    severity_text=st.sampled_from(["", "INFO"]),
    trace_id=st.sampled_from([b"", b"\xfe" * 16]),
    span_id=st.sampled_from([b"", b"\xfe" * 8]),
    flags=st.integers(0, 2**32 - 1),
)


@given(st.lists(RECORDS, max_size=5))
def test_log_records_with_bodies_of_every_kind(records: list[LogRecord]) -> None:
    same_logs(dict(decode_logs(logs_request(*records).SerializeToString()).tables))


def test_a_log_record_without_a_body_and_outside_of_a_trace() -> None:
    found = same_logs(dict(decode_logs(logs_request(LogRecord(), log("b")).SerializeToString()).tables))
    assert found["Body"].to_pylist() == ["", "b"]
    assert found["TraceId"].to_pylist() == found["SpanId"].to_pylist() == ["", ""]


def test_what_log_records_resources_and_scopes_say_of_their_schemas() -> None:
    message = logs_request(log("a"))
    message.resource_logs[0].schema_url = "https://of.resource/1"
    message.resource_logs[0].scope_logs[0].schema_url = "https://of.scope/1"
    message.resource_logs[0].scope_logs[0].scope.version = "2"
    found = same_logs(dict(decode_logs(message.SerializeToString()).tables))
    assert found["ResourceSchemaUrl"].to_pylist() == ["https://of.resource/1"]
    assert found["ScopeSchemaUrl"].to_pylist() == ["https://of.scope/1"]


def test_numbers_of_bytes_that_are_out_of_range() -> None:
    tables = dict(decode_logs(logs_request(log("a"), log("b")).SerializeToString()).tables)
    at = tables["logs"].schema.get_field_index("severity_number")
    tables["logs"] = tables["logs"].set_column(at, "severity_number", pa.array([-1, 300], pa.int32()))
    assert same_logs(tables)["SeverityNumber"].to_pylist() == [0, 44]
