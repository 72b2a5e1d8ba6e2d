"""Inserts into ClickHouse: each once whatever befalls the connection, and every failure is what it says."""

import socket
from collections.abc import Iterator

import pytest

from support.clickhouse_http import Server, cut, once, serving
from support.otlp import batch, span
from support.signals import log, logs_request
from tracescape_ingest.logs import decode_logs

pytest.importorskip("clickhouse_connect")
pytest.importorskip("chdb")

from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.writer import Writer
from tracescape_storage.errors import InDoubtError, StoreError, UnstorableError

SPANS = "otel_traces"
LOOKUP = "otel_traces_trace_id_ts"
DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("chdb")) as server:
        yield server


@pytest.fixture
def server(engine: Server) -> Iterator[Server]:
    for row in engine.run("SELECT name FROM system.databases").decode().split():
        if row not in ("system", "information_schema", "INFORMATION_SCHEMA", "_local"):
            engine.run(f"DROP DATABASE IF EXISTS {row}")
    engine.run("CREATE DATABASE default")
    engine.inserts.clear()
    yield engine
    engine.before = engine.after = lambda sql: None
    engine.password = ""


@pytest.fixture
def writer(server: Server) -> Iterator[Writer]:
    made = Writer(parse_address(server.address()))
    yield made
    made.close()


def test_missing_tables_are_made_and_found_again(server: Server, writer: Writer) -> None:
    assert writer.warnings == []
    block = writer.prepare(batch(span("a"), span("b")))
    writer.insert(block, "t")
    again = Writer(parse_address(server.address()))
    again.insert(block, "u")
    again.close()
    assert server.count(SPANS) == 4


def test_a_database_that_is_missing_is_made(server: Server) -> None:
    writer = Writer(parse_address(server.address("tenant_shop")))
    writer.insert(writer.prepare(batch(span("a"))), "t")
    writer.close()
    assert server.count("tenant_shop.otel_traces") == 1


def test_the_view_fills_the_lookup_as_the_exporters_does(server: Server, writer: Writer) -> None:
    trace = b"\x0f" * 16
    writer.insert(writer.prepare(batch(span("a", trace_id=trace), span("b", trace_id=trace))), "t")
    rows = server.run(f"SELECT TraceId, toUnixTimestamp(Start) FROM {LOOKUP}").decode()
    assert rows == f"{trace.hex()}\t0\n"


def test_the_same_token_is_stored_once_and_another_again(server: Server, writer: Writer) -> None:
    block = writer.prepare(batch(span("a")))
    for token in ("t", "t", "u"):
        writer.insert(block, token)
    assert server.count(SPANS) == 2
    assert server.count(LOOKUP) == 2


def test_spans_of_many_days_are_stored_once_too(server: Server, writer: Writer) -> None:
    spans = [span("a", start=day * DAY, end=day * DAY) for day in range(1, 60)]
    block = writer.prepare(batch(*spans))
    for _ in range(2):
        writer.insert(block, "t")
    assert server.count(SPANS) == 59


def test_of_an_insert_of_which_some_days_are_there_the_others_follow(server: Server, writer: Writer) -> None:
    """A server that ended between two of its parts: each has the token."""
    spans = [span("a", start=day * DAY, end=day * DAY) for day in range(1, 6)]
    for some in (spans[:2], spans):
        writer.insert(writer.prepare(batch(*some)), "t")
    assert server.count(SPANS) == 5


def test_a_view_that_failed_after_the_table_is_filled_by_the_retry_and_the_table_not_twice(
    server: Server, writer: Writer
) -> None:
    """Views come after the table: the insert is in doubt, its rows are there, and the view knows nothing."""
    server.run("CREATE TABLE minutes (At DateTime, Spans UInt64) ENGINE = SummingMergeTree ORDER BY At")
    server.run("ALTER TABLE minutes MODIFY SETTING non_replicated_deduplication_window = 100")
    server.run("CREATE TABLE failing (reason UInt8) ENGINE = Memory")
    server.run("INSERT INTO failing VALUES (1)")
    server.run(
        "CREATE MATERIALIZED VIEW of_minutes TO minutes AS SELECT toStartOfMinute(Timestamp) AS At,"
        " count() + throwIf((SELECT count() FROM failing) > 0, 'the view failed') AS Spans"
        f" FROM {SPANS} GROUP BY At"
    )
    counted = "SELECT sum(Spans) FROM minutes"
    block = writer.prepare(batch(span("a"), span("b")))
    with pytest.raises(InDoubtError, match="the view failed"):
        writer.insert(block, "t")
    assert (server.count(SPANS), server.run(counted)) == (2, b"0\n")
    server.run("TRUNCATE TABLE failing")
    for _ in range(2):
        writer.insert(block, "t")
    assert (server.count(SPANS), server.run(counted)) == (2, b"2\n")


def test_more_days_than_the_server_takes_at_once_is_for_the_content(writer: Writer) -> None:
    spans = [span("a", start=day * DAY, end=day * DAY) for day in range(1, 150)]
    with pytest.raises(UnstorableError, match="Too many partitions"):
        writer.insert(writer.prepare(batch(*spans)), "t")


def test_logs_have_their_table(server: Server, writer: Writer) -> None:
    tables = decode_logs(logs_request(log("said"), log("again")).SerializeToString()).tables
    writer.insert(writer.prepare(tables, tables), "t")
    assert (
        server.run("SELECT Body FROM otel_logs ORDER BY 1").decode().split() == ["again"] * 2 + ["said"] * 2
    )


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_connection_that_is_cut_leaves_a_doubt_that_the_token_ends(
    server: Server, writer: Writer, where: str
) -> None:
    setattr(server, where, once(cut))
    block = writer.prepare(batch(span("a")))
    with pytest.raises(InDoubtError, match="broke off"):
        writer.insert(block, "t")
    assert server.count(SPANS) == (where == "after")
    assert len(server.inserts) == (where == "after"), "the driver must not try again by itself"
    writer.insert(block, "t")
    assert server.count(SPANS) == 1


def test_nothing_listens_any_more_is_certain(server: Server, writer: Writer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        writer._client.url = writer._client._backend.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        writer._client._backend._base_url = writer._client.url
        with pytest.raises(StoreError, match="nothing listens there") as raised:
            writer.insert(writer.prepare(batch(span("a"))), "t")
    assert type(raised.value) is StoreError


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (243, InDoubtError, "disk of .* is full"),
        (241, InDoubtError, "failed at an insert"),
        (159, InDoubtError, "failed at an insert"),
        (497, StoreError, "does not let"),
        (516, StoreError, "name or the password"),
        (60, StoreError, "why"),
        (252, InDoubtError, "merges more slowly"),
        (242, InDoubtError, "failed at an insert"),
        (53, StoreError, "why"),
        (321, UnstorableError, "why"),
    ],
)
def test_what_the_server_says_of_an_insert(
    server: Server, writer: Writer, code: int, kind: type[Exception], words: str
) -> None:
    server.before = once(lambda sql: f"Code: {code}. DB::Exception: why. (NAME) (version 26.9)")
    with pytest.raises(kind, match=words) as raised:
        writer.insert(writer.prepare(batch(span("a"))), "t")
    assert type(raised.value) is kind


def test_a_table_that_is_dropped_meanwhile_is_certain(server: Server, writer: Writer) -> None:
    block = writer.prepare(batch(span("a")))
    server.run(f"DROP TABLE {SPANS} SYNC")
    with pytest.raises(StoreError) as raised:
        writer.insert(block, "t")
    assert type(raised.value) is StoreError


def test_a_wrong_password_is_one_sentence_without_it(server: Server) -> None:
    server.password = "right"
    with pytest.raises(StoreError, match="name or the password is wrong") as raised:
        Writer(parse_address(server.address(user="me:wr0ng@")))
    assert "wr0ng" not in str(raised.value)
    Writer(parse_address(server.address(user="default:right@"))).close()


def test_another_version_of_the_schema_is_refused(server: Server, writer: Writer) -> None:
    server.run(f"ALTER TABLE {SPANS} DROP COLUMN TraceState")
    with pytest.raises(StoreError, match=r"has no column TraceState.*another version"):
        Writer(parse_address(server.address()))


def test_a_table_that_does_not_remember_inserts_is_told_with_its_remedy(
    server: Server, writer: Writer
) -> None:
    server.run(f"ALTER TABLE {SPANS} RESET SETTING non_replicated_deduplication_window")
    second = Writer(parse_address(server.address()))
    second.close()
    (warning,) = second.warnings
    remedy = warning[warning.index("ALTER TABLE") :]
    server.run(remedy)
    third = Writer(parse_address(server.address()))
    third.close()
    assert third.warnings == []


def test_tables_that_cannot_be_made_say_why(server: Server) -> None:
    server.before = lambda sql: "Code: 497. DB::Exception: me: Not enough privileges. (ACCESS_DENIED)"
    with pytest.raises(StoreError, match=r"are not there and cannot be made: .*Not enough privileges"):
        Writer(parse_address(server.address()))


def test_tables_that_are_there_need_no_right_to_make_them(server: Server, writer: Writer) -> None:
    server.before = lambda sql: "Code: 497. DB::Exception: me: Not enough privileges. (ACCESS_DENIED)"
    Writer(parse_address(server.address())).close()


def test_settings_that_an_older_server_lacks_are_left_out(writer: Writer) -> None:
    assert "insert_deduplicate" in writer._settings
    assert writer._known({"no_such_setting": "1", "async_insert": "0"}) == {"async_insert": "0"}


def test_an_insert_is_answered_when_it_is_stored(server: Server, writer: Writer) -> None:
    writer.insert(writer.prepare(batch(span("a"))), "t")
    assert server.inserts[-1]["async_insert"] == "0"
