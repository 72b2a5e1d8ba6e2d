"""The log decoder: nothing of a record is lost, and a bad record is rejected alone."""

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry._logs import SeverityNumber as SdkSeverity
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from support.otlp import any_value, key_values, request, span
from support.signals import asked, log, logs_request
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.envelope import DecodedTables, UndecodableError
from tracescape_ingest.fields import MAX_VALUE_DEPTH
from tracescape_ingest.logs import decode_logs
from tracescape_storage.attributes import decode_attributes, decode_value
from tracescape_storage.schema import TABLES


def decoded(*records: LogRecord) -> DecodedTables:
    return decode_logs(logs_request(*records).SerializeToString())


def bodies(result: DecodedTables) -> list[object]:
    return [
        None if body is None else decode_value(body) for body in result.tables["logs"]["body"].to_pylist()
    ]


def test_every_field_of_a_record_arrives() -> None:
    record = LogRecord(
        time_unix_nano=10,
        observed_time_unix_nano=12,
        severity_number=SeverityNumber.SEVERITY_NUMBER_ERROR,
        severity_text="ERR",
        body=any_value("no cart"),
        attributes=key_values({"user.id": "42", "n": 1}),
        dropped_attributes_count=3,
        flags=1,
        trace_id=b"t" * 16,
        span_id=b"\xff" * 8,
        event_name="cart.missing",
    )
    result = decode_logs(logs_request(record, service="shop").SerializeToString())

    (row,) = result.tables["logs"].to_pylist()
    ids = [row.pop("resource_id"), row.pop("scope_id")]
    assert decode_attributes(row.pop("attributes")) == {"user.id": "42", "n": 1}
    assert row == {
        "time_ns": 10,
        "observed_time_ns": 12,
        "time_is_observed": False,
        "severity_number": 17,
        "severity_text": "ERR",
        "body": '"no cart"',
        "event_name": "cart.missing",
        "trace_id": b"t" * 16,
        "span_id": -1,
        "flags": 1,
        "service": "shop",
        "dropped_attributes": 3,
    }
    assert (result.items, result.rejected, result.message) == (1, 0, "")
    assert ids == [
        result.tables["resources"]["resource_id"][0].as_py(),
        result.tables["scopes"]["scope_id"][0].as_py(),
    ]
    assert {name: table.schema for name, table in result.tables.items()} == {
        name: TABLES[name] for name in ("logs", "resources", "scopes")
    }


def test_a_bare_record_has_no_ids_no_body_and_no_time() -> None:
    (row,) = decoded(LogRecord()).tables["logs"].to_pylist()
    absent = ("severity_text", "body", "event_name", "trace_id")
    assert [row[name] for name in absent] == [None] * 4
    numbers = ("time_ns", "observed_time_ns", "severity_number", "span_id", "flags", "dropped_attributes")
    assert [row[name] for name in numbers] == [0] * 6
    assert not row["time_is_observed"]


def test_a_record_without_its_own_time_has_the_observed_one() -> None:
    own, observed = (
        decoded(
            log(time_unix_nano=5, observed_time_unix_nano=5), log(time_unix_nano=0, observed_time_unix_nano=5)
        )
        .tables["logs"]
        .to_pylist()
    )
    assert (own["time_ns"], own["time_is_observed"]) == (5, False)
    assert (observed["time_ns"], observed["time_is_observed"]) == (5, True)


def test_a_resource_and_a_scope_have_the_same_id_in_every_signal() -> None:
    spans = decode_traces(request(span(), service="shop").SerializeToString()).tables
    tables = decode_logs(logs_request(log(), service="shop").SerializeToString()).tables
    assert tables["resources"].equals(spans["resources"])
    assert tables["scopes"].equals(spans["scopes"])


def test_an_all_zero_id_is_no_id() -> None:
    (row,) = decoded(log(trace_id=b"\0" * 16, span_id=b"\0" * 8)).tables["logs"].to_pylist()
    assert (row["trace_id"], row["span_id"]) == (None, 0)


@pytest.mark.parametrize(
    "body",
    [
        "text",
        "",
        'quote " and \\ and \0',
        7,
        2**63 - 1,
        1.0,
        True,
        b"\xff",
        [1, [2.5, None]],
        {"$bytes": "a"},
    ],
)
def test_a_body_of_any_type_comes_back_from_the_store(body: object) -> None:
    (row,) = asked(decoded(log(body)), "select body from logs")
    back = decode_value(row["body"])
    assert back == body
    assert type(back) is type(body)


def test_no_body_and_an_empty_body_are_two_things() -> None:
    result = decoded(LogRecord(), log(None))
    assert result.tables["logs"]["body"].to_pylist() == [None, "null"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (log(trace_id=b"t" * 15), "the trace id has 15 bytes, not 16"),
        (log(trace_id=b"\0" * 17), "the trace id has 17 bytes, not 16"),
        (log(span_id=b"s" * 9), "the span id has 9 bytes, not 8"),
        (log(span_id=b"\0" * 3), "the span id has 3 bytes, not 8"),
        (log(time_unix_nano=2**63), "the log record's time is beyond the year 2262"),
        (log(observed_time_unix_nano=2**64 - 1), "the log record's observed time is beyond the year 2262"),
    ],
)
def test_a_bad_record_is_rejected_alone_and_named(bad: LogRecord, reason: str) -> None:
    result = decoded(log("before"), bad, log("after"))
    assert bodies(result) == ["before", "after"]
    assert (result.items, result.rejected, result.message) == (2, 1, f"1 × {reason}")


@pytest.mark.parametrize(
    "bad",
    [
        log("marker"),
        log(["marker"]),
        log(severity_text="marker"),
        log(event_name="marker"),
        log(attributes={"marker": 1}),
        log(attributes={"a": {"b": "marker"}}),
    ],
)
def test_bad_utf8_rejects_the_record_that_carries_it(bad: LogRecord) -> None:
    data = logs_request(log("good"), bad).SerializeToString().replace(b"marker", b"mark\xffr")
    result = decode_logs(data)
    assert bodies(result) == ["good"]
    assert result.message == "1 × text that is not UTF-8"


def test_bad_utf8_in_a_resource_or_scope_rejects_its_records_and_no_others() -> None:
    message = logs_request(log("a"), log("b"), service="marker")
    message.MergeFrom(logs_request(log("c"), service="other"))
    message.resource_logs[1].scope_logs.add(log_records=[log("d")]).scope.version = "marker"
    result = decode_logs(message.SerializeToString().replace(b"marker", b"mark\xffr"))
    assert bodies(result) == ["c"]
    assert (result.rejected, result.reasons) == (3, {"text that is not UTF-8": 3})
    assert result.tables["resources"]["service"].to_pylist() == ["other"]


def test_bodies_nested_too_deep_reject_the_record() -> None:
    fine: object = 1
    for _ in range(MAX_VALUE_DEPTH):
        fine = [fine]
    result = decoded(log(fine), log([fine]))
    assert bodies(result) == [fine]
    assert result.message == "1 × an attribute nests deeper than 32"


def test_empty_requests_at_every_level_are_fine() -> None:
    message = logs_request()
    message.resource_logs.add()
    message.resource_logs.add().scope_logs.add()
    for data in (b"", message.SerializeToString()):
        result = decode_logs(data)
        assert (result.items, result.rejected, result.tables["logs"].num_rows) == (0, 0, 0)


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05abc", b"not protobuf at all", b"\x0a\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_message_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableError, match="not an ExportLogsServiceRequest"):
        decode_logs(data)


def sdk_made(records: Sequence[SdkLogRecord]) -> bytes:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=Resource.create({"service.name": "sdk"}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("library", "1.2", "https://schema", {"scope": True})
    for record in records:
        logger.emit(record)
    return encode_logs(exporter.get_finished_logs()).SerializeToString()


def test_what_the_sdk_sends_is_stored_with_the_span_it_was_logged_in() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("work") as working:
        data = sdk_made(
            [
                SdkLogRecord(
                    timestamp=5_000,
                    severity_number=SdkSeverity.WARN2,
                    severity_text="WARNING",
                    body={"items": [1, 2.0, b"raw"]},
                    attributes={"code.line": 7},
                    event_name="slow",
                )
            ]
        )
    result = decode_logs(data)
    (row,) = result.tables["logs"].to_pylist()
    context = working.get_span_context()
    assert row["trace_id"] == context.trace_id.to_bytes(16, "big")
    assert row["span_id"] & (2**64 - 1) == context.span_id
    assert bodies(result) == [{"items": [1, 2.0, b"raw"]}]
    assert row["observed_time_ns"] > 5_000
    (scope,) = result.tables["scopes"].to_pylist()
    assert (scope["name"], scope["version"], scope["schema_url"]) == ("library", "1.2", "https://schema")
    assert decode_attributes(scope["attributes"]) == {"scope": True}

    (person,) = asked(result, "select * exclude time from logs_v")
    assert person["trace_id"] == f"{context.trace_id:032x}"
    assert person["span_id"] == f"{context.span_id:016x}"
    assert (person["severity"], person["severity_number"], person["severity_text"]) == ("warn", 14, "WARNING")
    assert (person["service"], person["event_name"]) == ("sdk", "slow")
    assert person["body"] == '{"items":[1,2.0,{"$bytes":"cmF3"}]}'


def test_the_view_for_people_shows_text_as_text_and_words_for_severities() -> None:
    records = [
        log("two\nlines", severity_number=number, time_unix_nano=number) for number in (0, 1, 4, 5, 12, 24)
    ]
    message = logs_request(*records, LogRecord(time_unix_nano=99))
    message.resource_logs[0].scope_logs[0].log_records[-1].severity_number = 77  # type: ignore[assignment]
    people = asked(
        decode_logs(message.SerializeToString()),
        "select * exclude time, epoch_ns(time) as at from logs_v order by time_ns",
    )
    assert [row["severity"] for row in people] == [
        "unset",
        "trace",
        "trace",
        "debug",
        "info",
        "fatal",
        "77",
    ]
    assert {row["body"] for row in people} == {"two\nlines", None}
    assert {(row["trace_id"], row["span_id"]) for row in people} == {("", "")}
    assert (people[-1]["at"], people[-1]["time_ns"]) == (99, 99)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
_BODIES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | _TEXT
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(_BODIES, min_size=1, max_size=4))
def test_bodies_of_any_shape_come_back(sent: list[object]) -> None:
    result = decoded(*(log(body) for body in sent))
    assert bodies(result) == sent


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_undecodable(data: bytes) -> None:
    with contextlib.suppress(UndecodableError):
        decode_logs(data)


_REAL = logs_request(*(log({"a": [1, {"b": "c"}]}, trace_id=b"t" * 16) for _ in range(3))).SerializeToString()


@given(st.integers(0, len(_REAL) - 1), st.integers(0, 255))
def test_a_real_message_with_one_byte_changed_never_crashes(position: int, value: int) -> None:
    mutated = _REAL[:position] + bytes([value]) + _REAL[position + 1 :]
    try:
        result = decode_logs(mutated)
    except UndecodableError:
        return
    assert result.items == result.tables["logs"].num_rows
