"""Both decoders: nothing of a message is lost, and a bad span is rejected alone.

The compiled one serves as in a collector: what it leaves, the reference decides.
"""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.decoders import compiled_or_reference
from support.otlp import key_values, request, span
from tracescape_ingest.decode import MAX_VALUE_DEPTH, Decoded, UndecodableError, decode_traces
from tracescape_storage.attributes import decode_attributes

Decode = Callable[[bytes], Decoded]


@pytest.fixture(scope="module", params=[decode_traces, compiled_or_reference], ids=["reference", "compiled"])
def decode(request: pytest.FixtureRequest) -> Decode:
    return request.param


@pytest.fixture(scope="module")
def decoded(decode: Decode) -> Callable[..., Decoded]:
    return lambda *spans, **resource: decode(request(*spans, **resource).SerializeToString())


def test_every_field_of_a_span_arrives(decoded: Callable[..., Decoded]) -> None:
    message = span(
        "GET /cart", trace_id=b"t" * 16, span_id=b"s" * 8, parent=b"p" * 8, start=10, end=25, kind=3
    )
    message.status.code = Status.STATUS_CODE_ERROR
    message.status.message = "no cart"
    message.trace_state = "vendor=1"
    message.flags = 257
    message.dropped_attributes_count, message.dropped_events_count, message.dropped_links_count = 1, 2, 3
    message.attributes.extend(key_values({"user.id": "42", "server.address": "db", "server.port": 5432}))
    message.events.add(time_unix_nano=12, name="e", dropped_attributes_count=4).attributes.extend(
        key_values({"k": 1})
    )
    message.links.add(
        trace_id=b"l" * 16, span_id=b"m" * 8, trace_state="l=1", flags=1, dropped_attributes_count=5
    )
    tables = decoded(message, service="shop").tables

    (row,) = tables["spans"].to_pylist()
    attributes = decode_attributes(row.pop("attributes"))
    assert attributes == {"user.id": "42"}
    ids = {"resource_id": row.pop("resource_id"), "scope_id": row.pop("scope_id")}
    assert {key: value for key, value in row.items() if value is not None} == {
        "trace_id": b"t" * 16,
        "span_id": int.from_bytes(b"s" * 8, "big"),
        "parent_span_id": int.from_bytes(b"p" * 8, "big"),
        "start_ns": 10,
        "duration_ns": 15,
        "service": "shop",
        "operation": "GET /cart",
        "kind": 3,
        "status": 2,
        "status_message": "no cart",
        "trace_state": "vendor=1",
        "flags": 257,
        "server.address": "db",
        "server.port": 5432,
        "dropped_attributes": 1,
        "dropped_events": 2,
        "dropped_links": 3,
    }
    (event,) = tables["events"].to_pylist()
    assert (event["time_ns"], event["name"], event["attributes"], event["dropped_attributes"]) == (
        12,
        "e",
        '{"k":1}',
        4,
    )
    (link,) = tables["links"].to_pylist()
    assert link["linked_trace_id"] == b"l" * 16
    assert (link["start_ns"], link["trace_state"], link["flags"], link["dropped_attributes"]) == (
        10,
        "l=1",
        1,
        5,
    )
    assert [tables["resources"]["resource_id"][0].as_py(), tables["scopes"]["scope_id"][0].as_py()] == list(
        ids.values()
    )


def test_ids_keep_all_their_bits(decoded: Callable[..., Decoded]) -> None:
    (row,) = decoded(span(span_id=b"\xff" * 8, trace_id=b"\x80" + b"\0" * 15)).tables["spans"].to_pylist()
    assert row["span_id"] == -1
    assert row["trace_id"] == b"\x80" + b"\0" * 15


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (span(trace_id=b"t" * 15), "the trace id has 15 bytes, not 16"),
        (span(trace_id=b""), "the trace id has 0 bytes, not 16"),
        (span(trace_id=b"\0" * 16), "the trace id is all zero"),
        (span(span_id=b"s" * 9), "the span id has 9 bytes, not 8"),
        (span(span_id=b"\0" * 8), "the span id is all zero"),
        (span(parent=b"p" * 3), "the parent span id has 3 bytes, not 8"),
        (span(start=2, end=1), "the span ends before it starts"),
        (span(start=1, end=2**63), "the span's time is beyond the year 2262"),
    ],
)
def test_a_bad_span_is_rejected_alone_and_named(
    decoded: Callable[..., Decoded], bad: Span, reason: str
) -> None:
    result = decoded(span("before"), bad, span("after"))
    assert result.tables["spans"]["operation"].to_pylist() == ["before", "after"]
    assert (result.items, result.rejected, result.message) == (2, 1, f"1 × {reason}")


def test_bad_utf8_rejects_the_span_that_carries_it(decode: Decode) -> None:
    data = request(span("good"), span("marker")).SerializeToString().replace(b"marker", b"mark\xffr")
    result = decode(data)
    assert result.tables["spans"]["operation"].to_pylist() == ["good"]
    assert result.message == "1 × text that is not UTF-8"


def test_bad_utf8_in_a_resource_rejects_its_spans_and_no_others(decode: Decode) -> None:
    message = request(span("a"), span("b"), service="marker")
    message.MergeFrom(request(span("c"), service="other"))
    result = decode(message.SerializeToString().replace(b"marker", b"mark\xffr"))
    assert result.tables["spans"]["operation"].to_pylist() == ["c"]
    assert result.rejected == 2
    assert result.tables["resources"]["service"].to_pylist() == ["other"]


def test_bad_utf8_in_a_scope_rejects_all_its_spans_and_no_others(decode: Decode) -> None:
    message = request(span("a"), span("b"))
    message.resource_spans[0].scope_spans[0].scope.name = "marker"
    message.resource_spans[0].scope_spans.add().spans.append(span("c"))
    result = decode(message.SerializeToString().replace(b"marker", b"mark\xffr"))
    assert result.tables["spans"]["operation"].to_pylist() == ["c"]
    assert (result.rejected, result.message) == (2, "2 × text that is not UTF-8")


def test_bad_utf8_in_a_resource_without_spans_rejects_nothing(decode: Decode) -> None:
    message = request(service="marker")
    message.MergeFrom(request(span("c")))
    result = decode(message.SerializeToString().replace(b"marker", b"mark\xffr"))
    assert (result.items, result.rejected, result.reasons, result.message) == (1, 0, {}, "")


@pytest.mark.parametrize("key", ["deployment.environment.name", "deployment.environment"])
def test_the_environment_is_known_by_its_new_name_and_by_its_old(decode: Decode, key: str) -> None:
    message = request(span())
    message.resource_spans[0].resource.attributes.extend(key_values({key: "staging"}))
    message.resource_spans[0].scope_spans[0].schema_url = "https://example.org/schema"
    tables = decode(message.SerializeToString()).tables
    assert tables["resources"]["environment"].to_pylist() == ["staging"]
    assert tables["scopes"]["schema_url"].to_pylist() == ["https://example.org/schema"]


def test_a_rejected_span_leaves_no_event_or_link_behind(decoded: Callable[..., Decoded]) -> None:
    bad = span(trace_id=b"short")
    bad.events.add(time_unix_nano=1, name="e")
    bad.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    tables = decoded(bad).tables
    assert [table.num_rows for table in (tables["spans"], tables["events"], tables["links"])] == [0, 0, 0]


def test_an_all_zero_parent_is_no_parent(decoded: Callable[..., Decoded]) -> None:
    assert decoded(span(parent=b"\0" * 8)).tables["spans"]["parent_span_id"].to_pylist() == [0]


def test_the_last_of_duplicate_keys_wins(decoded: Callable[..., Decoded]) -> None:
    message = span()
    message.attributes.extend(key_values({"k": 1}) + key_values({"k": "two"}))
    assert decoded(message).tables["spans"]["attributes"].to_pylist() == ['{"k":"two"}']


@pytest.mark.parametrize("service", [None, "", 7])
def test_a_resource_without_a_service_name_is_unknown_service(decode: Decode, service: object) -> None:
    message = request(span(), service=None, **({} if service is None else {"service.name": service}))
    assert decode(message.SerializeToString()).tables["spans"]["service"].to_pylist() == ["unknown_service"]


def test_empty_requests_at_every_level_are_fine(decode: Decode) -> None:
    message = request()
    message.resource_spans.add()
    message.resource_spans.add().scope_spans.add()
    for data in (b"", message.SerializeToString()):
        result = decode(data)
        assert (result.items, result.rejected) == (0, 0)


def test_values_nested_too_deep_reject_the_span(decoded: Callable[..., Decoded]) -> None:
    fine: object = 1
    for _ in range(MAX_VALUE_DEPTH):
        fine = [fine]
    result = decoded(span("fine", attributes={"a": fine}), span("deep", attributes={"a": [fine]}))
    assert result.tables["spans"]["operation"].to_pylist() == ["fine"]
    assert result.message == "1 × an attribute nests deeper than 32"


def test_unknown_enum_values_become_unset(decoded: Callable[..., Decoded]) -> None:
    message = span(kind=99)
    message.status.code = 77  # type: ignore[assignment]
    (row,) = decoded(message).tables["spans"].to_pylist()
    assert (row["kind"], row["status"]) == (0, 0)


def test_the_first_reasons_are_named_with_their_counts(decoded: Callable[..., Decoded]) -> None:
    bad = [span(trace_id=b"x" * length) for length in (1, 1, 2, 3, 4, 5)]
    assert decoded(*bad).message.endswith("and 2 other reasons")
    assert decoded(*bad).message.startswith("2 × the trace id has 1 bytes, not 16; 1 × ")


def test_well_known_attributes_of_the_right_type_have_columns_and_all_others_stay_text(
    decoded: Callable[..., Decoded],
) -> None:
    right = span(attributes={"db.system": "old", "server.port": 2**40, "mine": "x"})
    wrong = span(attributes={"db.system": 7, "server.port": "80", "http.response.status_code": True})
    first, second = decoded(right, wrong).tables["spans"].to_pylist()
    assert (first["db.system"], first["server.port"]) == ("old", 2**40)
    assert decode_attributes(first["attributes"]) == {"mine": "x"}
    assert (second["db.system"], second["server.port"]) == (None, None)
    assert decode_attributes(second["attributes"]) == {
        "db.system": 7,
        "server.port": "80",
        "http.response.status_code": True,
    }
    assert "http.response.status_code" not in first


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05abc", b"not protobuf at all", b"\x0a\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_message_is_undecodable(decode: Decode, data: bytes) -> None:
    with pytest.raises(UndecodableError, match="not an ExportTraceServiceRequest"):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_undecodable(decode: Decode, data: bytes) -> None:
    with contextlib.suppress(UndecodableError):
        decode(data)


_REAL = request(*(span(attributes={"a": [1, {"b": "c"}], "d": 1.5}) for _ in range(3))).SerializeToString()


@given(st.integers(0, len(_REAL) - 1), st.integers(0, 255))
def test_a_real_message_with_one_byte_changed_never_crashes(
    decode: Decode, position: int, value: int
) -> None:
    mutated = _REAL[:position] + bytes([value]) + _REAL[position + 1 :]
    try:
        result = decode(mutated)
    except UndecodableError:
        return
    assert result.items == result.tables["spans"].num_rows
