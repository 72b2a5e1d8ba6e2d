"""A trace out as OTLP JSON and in again: nothing is lost, nothing changes its type."""

import base64
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.otlp import key_values, request, span
from support.wild_otlp import Wild
from tracescape_analytics.errors import UnknownTraceError
from tracescape_analytics.otlp_json import traces_document, traces_text
from tracescape_analytics.whole_trace import whole_trace, whole_traces
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.otlp_json import request_of
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.duckdb_file import DuckDBStore

TRACE = bytes(range(16))
TABLES = ("spans", "events", "links", "resources", "scopes")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def exported(store: DuckDBStore, trace_id: bytes) -> dict[str, object]:
    document: dict[str, object] = json.loads(traces_text([whole_trace(store.reader(), trace_id)]))
    return document


def rows(store: DuckDBStore, trace_ids: list[bytes]) -> dict[str, list[tuple[object, ...]]]:
    reader, found = store.reader(), {}
    for table in TABLES:
        content = reader.sql(f"SELECT * FROM {'spans_full' if table == 'spans' else table}").to_pylist()
        content = [row for row in content if row.get("trace_id") in {None, *trace_ids}]
        for row in content:
            row.pop("arrived_ns", None)
            # Which attributes have columns, and in what order, is each store's own.
            row["attributes"] = repr(sorted(decode_attributes(row["attributes"]).items()))
        found[table] = [tuple(row.values()) for row in content]
        if table in {"resources", "scopes", "spans"}:
            found[table].sort(key=repr)
    found["events"].sort(key=lambda row: repr(row[:2]))  # within a span, their order is kept
    found["links"].sort(key=lambda row: repr(row[:2]))
    return found


def everything() -> Span:
    made = span(
        "all",
        trace_id=TRACE,
        span_id=b"\xff" * 8,
        parent=b"\x80" + b"\0" * 7,
        start=1_700_000_000_000_000_001,
        end=1_700_000_000_000_000_999,
        attributes={
            "text": "ü\u2028\0", "$odd": "x", "bool": False,
            "int": -(2**63), "zero": 0, "double": 1.0, "nan": math.nan,
            "inf": -math.inf, "bytes": b"\0\xff", "empty": None, "list": [1, 1.0, "1", [b"x"], {}, None],
            "map": {"a": {"$b": 1}}, "no list": [],
        },
    )  # fmt: skip
    made.trace_state, made.flags = "a=b", 0x101
    made.dropped_attributes_count, made.dropped_events_count, made.dropped_links_count = 1, 2, 2**32 - 1
    made.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="no"))
    made.events.add(
        name="late", time_unix_nano=9, attributes=key_values({"n": 1}), dropped_attributes_count=3
    )
    made.events.add(name="early", time_unix_nano=1)
    made.links.add(
        trace_id=b"l" * 16, span_id=b"m" * 8, trace_state="c=d", flags=1, attributes=key_values({"k": 2.5})
    )
    return made


def test_the_document_is_otlp_json_to_the_letter(store: DuckDBStore) -> None:
    message = request(everything(), region="eu")
    message.resource_spans[0].schema_url = "https://example.com/r"
    message.resource_spans[0].scope_spans[0].schema_url = "https://example.com/s"
    message.resource_spans[0].scope_spans[0].scope.version = "1"
    store.append(decode_traces(message.SerializeToString()).tables)
    (group,) = exported(store, TRACE)["resourceSpans"]  # type: ignore[misc, attr-defined]
    assert group["schemaUrl"] == "https://example.com/r"
    assert {"key": "region", "value": {"stringValue": "eu"}} in group["resource"]["attributes"]
    (scope,) = group["scopeSpans"]
    assert (scope["scope"], scope["schemaUrl"]) == ({"name": "test", "version": "1"}, "https://example.com/s")
    (found,) = scope["spans"]
    assert found["traceId"] == "000102030405060708090a0b0c0d0e0f"
    assert (found["spanId"], found["parentSpanId"]) == ("ffffffffffffffff", "8000000000000000")
    assert (found["startTimeUnixNano"], found["endTimeUnixNano"]) == (
        "1700000000000000001",
        "1700000000000000999",
    )
    assert (found["kind"], found["status"]) == (2, {"message": "no", "code": 2})
    assert (found["traceState"], found["flags"], found["droppedLinksCount"]) == ("a=b", 257, 2**32 - 1)
    values = {each["key"]: each["value"] for each in found["attributes"]}
    assert values["int"] == {"intValue": "-9223372036854775808"}
    assert values["double"] == {"doubleValue": 1.0}
    assert (values["nan"], values["inf"]) == ({"doubleValue": "NaN"}, {"doubleValue": "-Infinity"})
    assert values["bytes"] == {"bytesValue": base64.b64encode(b"\0\xff").decode()}
    assert (values["empty"], values["bool"], values["zero"]) == ({}, {"boolValue": False}, {"intValue": "0"})
    assert values["map"]["kvlistValue"]["values"][0]["value"]["kvlistValue"]["values"][0]["key"] == "$b"
    assert [each["name"] for each in found["events"]] == ["late", "early"], "the order in which they came"
    assert found["links"][0]["traceId"] == (b"l" * 16).hex()


def test_a_trace_that_is_not_there_says_so(store: DuckDBStore) -> None:
    with pytest.raises(UnknownTraceError, match="No span of trace 0001"):
        whole_trace(store.reader(), TRACE)
    assert whole_traces(store.reader(), []) == []


def test_many_traces_keep_their_order_and_stop_at_a_bound(store: DuckDBStore) -> None:
    ids = [bytes([number]) * 16 for number in (3, 1, 2)]
    store.append(
        decode_traces(request(*(span(trace_id=each) for each in ids * 2)).SerializeToString()).tables
    )
    found = whole_traces(store.reader(), [ids[0], b"9" * 16, ids[1], ids[2]], most_spans=4)
    assert [trace.trace_id for trace in found] == ids[:2]
    assert [len(trace.spans) for trace in found] == [2, 2]
    assert len(whole_traces(store.reader(), ids[:1], most_spans=1)) == 1, "one trace is always whole"


def out_and_in(first: DuckDBStore, second: DuckDBStore) -> list[bytes]:
    """Every trace of one store, through its text, into another."""
    ids = [row["trace_id"] for row in first.reader().sql("SELECT DISTINCT trace_id FROM spans").to_pylist()]
    for trace_id in ids:
        message = request_of(exported(first, trace_id))
        decoded = decode_traces(message.SerializeToString())
        assert not decoded.rejected
        second.append(decoded.tables)
    return ids


def test_everything_comes_back_as_it_was(store: DuckDBStore, tmp_path: Path) -> None:
    store.append(decode_traces(request(everything(), region="eu").SerializeToString()).tables)
    second = DuckDBStore(tmp_path / "second.db")
    ids = out_and_in(store, second)
    assert rows(second, ids) == rows(store, ids)
    second.close()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), number=st.integers(0, 10**9))
def test_whatever_is_stored_comes_back_as_it_was(tmp_path: Path, seed: int, number: int) -> None:
    path = tmp_path / f"{seed}-{number}"
    if path.exists():
        return
    path.mkdir()
    first, second = DuckDBStore(path / "first.db"), DuckDBStore(path / "second.db")
    wild = Wild(random.Random(seed), 0.05)
    for _ in range(4):
        try:
            first.append(decode_traces(wild.request()).tables)
        except ValueError:
            continue
    ids = out_and_in(first, second)
    before, after = rows(first, ids), rows(second, ids)
    for table in ("spans", "events", "links"):
        assert after[table] == before[table]
    used = {row["resource_id"] for row in first.reader().sql("SELECT resource_id FROM spans").to_pylist()}
    assert after["resources"] == [row for row in before["resources"] if row[0] in used]
    first.close()
    second.close()


def test_the_document_of_several_traces_is_one(store: DuckDBStore) -> None:
    ids = [b"a" * 16, b"b" * 16]
    store.append(decode_traces(request(*(span(trace_id=each) for each in ids)).SerializeToString()).tables)
    document = traces_document(whole_traces(store.reader(), ids))
    assert len(document["resourceSpans"]) == 2
    assert isinstance(store.reader().sql("select 1"), pa.Table)
