"""What can go wrong with a ClickHouse that belongs to others, said in a sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support import clickhouse
from support.clickhouse_http import Server, serving
from tracescape.cli import app
from tracescape.store import connect
from tracescape.target import open_target
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.connection import Connection
from tracescape_storage.clickhouse.literals import Bound, literal
from tracescape_storage.errors import QueryError, StoreError

PASSWORD = "se%2Fcret"


class Place:
    def __init__(self, client: Any, server: Server) -> None:
        self.client, self.server = client, server

    def address(self, database: str = "default", password: str = PASSWORD) -> str:
        return self.server.address(database, f"default:{password}@")

    def make(self, database: str) -> None:
        """A database with an empty table of traces."""
        self.client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        self.client.command(f"CREATE TABLE IF NOT EXISTS {database}.otel_traces AS default.otel_traces")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    pytest.importorskip("clickhouse_connect")
    pytest.importorskip("chdb")
    if clickhouse.URL:
        pytest.skip("this is about a server that fails, and that of the address should not")
    folder = tmp_path_factory.mktemp("clickhouse") / "data"
    with clickhouse.database(folder) as (_, client), serving(folder) as server:
        server.password = "se/cret"
        client.command(
            "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, Duration,"
            " StatusCode) SELECT fromUnixTimestamp64Nano(toInt64(1700000000000000000 + number)),"
            " lower(hex(sipHash128(number))), lower(leftPad(hex(number + 1), 16, '0')), 'work', 'Server',"
            " 'app', number, 'Unset' FROM numbers(30000)"
        )
        yield Place(client, server)


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    yield running
    running.server.breaks = running.server.refuses = None


def test_over_http_it_answers_as_any_store(place: Place) -> None:
    with connect(place.address()) as store:
        assert store.extent().spans == 30_000
        assert store.search('operation = "work" and duration >= 29999ns', spans=True).rows.height == 1
        assert store.search('operation contains "it\'s \\\\ \\"so\\""', limit=1).rows.height == 0
        assert store.sql("SELECT count() AS n FROM otel_traces WHERE Duration < 10")["n"].item() == 10
        (topology,) = (store.topology().nodes,)
        assert topology["calls"].sum() >= 30_000
        assert "se" + "cret" not in repr(store)
        assert PASSWORD not in repr(store)
        assert "/cret" not in repr(store)


def test_every_question_is_read_only_and_bounded(place: Place) -> None:
    with connect(place.address()) as store:
        place.server.asked.clear()
        store.search(limit=1)
        store.services()
        with pytest.raises(QueryError, match="Exactly one SELECT"):
            store.sql("INSERT INTO otel_traces SELECT * FROM otel_traces")
        with pytest.raises(QueryError, match="url"):
            store.sql("SELECT * FROM otel_traces, url('http://127.0.0.1/')")
    assert len(place.server.asked) > 3
    for _, settings in place.server.asked:
        assert settings["readonly"] == "2"
        assert {"max_execution_time", "max_result_rows", "max_memory_usage", "query_id"} <= set(settings)


def test_no_server(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("clickhouse_connect")
    with pytest.raises(
        StoreError, match=r"No ClickHouse answers at clickhouse://127.0.0.1:1/x \(nothing listens"
    ):
        connect("clickhouse://127.0.0.1:1/x")
    assert not caplog.records


def test_a_wrong_password_is_not_repeated(place: Place) -> None:
    with pytest.raises(StoreError, match="the name or the password is wrong") as refused:
        connect(place.address(password="hunter2"))
    assert "hunter2" not in str(refused.value)
    shown = CliRunner().invoke(app, ["search", place.address(password="hunter2")])
    assert shown.exit_code != 0
    assert "hunter2" not in shown.output


def test_tables_that_are_not_there_or_others(place: Place) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        connect(place.address(database="nowhere"))
    place.client.command("CREATE DATABASE IF NOT EXISTS bare")
    with pytest.raises(StoreError, match="has no table otel_traces"):
        connect(place.address(database="bare"))
    place.client.command("CREATE TABLE IF NOT EXISTS bare.otel_traces (Timestamp DateTime) ENGINE = Memory")
    with pytest.raises(StoreError, match="otel_traces has no column TraceId, .* another version"):
        connect(place.address(database="bare"))
    with pytest.raises(StoreError, match="has no table spans_of_mine"):
        connect(place.address(database="default") + "?traces=spans_of_mine")


def test_attributes_of_type_json_are_refused(place: Place) -> None:
    """The exporter makes such columns where ``json`` is set."""
    place.make("typed")
    for index in ("idx_span_attr_key", "idx_span_attr_value"):
        place.client.command(f"ALTER TABLE typed.otel_traces DROP INDEX IF EXISTS {index}")
    place.client.command("ALTER TABLE typed.otel_traces DROP COLUMN SpanAttributes")
    place.client.command("ALTER TABLE typed.otel_traces ADD COLUMN SpanAttributes JSON")
    with pytest.raises(StoreError, match=r"SpanAttributes of otel_traces is of type JSON.*json is set"):
        connect(place.address("typed"))


def test_traces_that_overlap_are_each_on_one_page(place: Place) -> None:
    place.make("overlapping")
    place.client.command(
        "INSERT INTO overlapping.otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName) SELECT"
        " fromUnixTimestamp64Nano(toInt64(1000 + number)), lower(leftPad(hex(number % 5 + 1), 32, '0')),"
        " lower(leftPad(hex(number + 1), 16, '0')), 'work', 'app' FROM numbers(20)"
    )
    with connect(place.address("overlapping")) as store:
        found, after = [], None
        while len(found) < 9:
            page = store.search(limit=2, after=after)
            found += page.rows["trace_id"].to_list()
            after = page.after
            if after is None:
                break
    assert found == [f"{number:032x}" for number in (5, 4, 3, 2, 1)]


def test_a_span_of_a_clock_that_is_wrong_by_years_hides_no_others(place: Place) -> None:
    place.make("clocks")
    place.client.command("INSERT INTO clocks.otel_traces SELECT * FROM default.otel_traces")
    place.client.command(
        "INSERT INTO clocks.otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName) VALUES"
        " (fromUnixTimestamp64Nano(toInt64(4000000000000000000)), '0102030405060708090a0b0c0d0e0f10',"
        " '00000000000000ff', 'late', 'clock')"
    )
    with connect(place.address()) as right, connect(place.address("clocks")) as wrong:
        expected = right.search(limit=19, spans=True).rows
        place.server.asked.clear()
        found = wrong.search(limit=20, spans=True).rows
        looked = [query for query, _ in place.server.asked if "AS span" in query and "LIMIT 0" not in query]
        assert len(looked) <= 4
    assert found["service"][0] == "clock"
    assert found["span_id"].to_list()[1:] == expected["span_id"].to_list()


def test_a_server_that_ends_in_the_middle_of_a_result(place: Place) -> None:
    with connect(place.address()) as store:
        place.server.breaks = 100_000
        for ask in (lambda: store.topology(), lambda: store.sql("SELECT * FROM spans")):
            with pytest.raises(StoreError, match=r"broke off|No ClickHouse answers"):
                ask()
        place.server.breaks = None
        assert store.services().height == 1


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (159, "Timeout exceeded: elapsed 60 s. (TIMEOUT_EXCEEDED)", "took longer than it may"),
        (241, "Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", "more memory"),
        (396, "Limit for result exceeded. (TOO_MANY_ROWS_OR_BYTES)", "more rows"),
        (497, "default: Not enough privileges. (ACCESS_DENIED)", "does not let 'default' read"),
    ],
)
def test_what_the_server_refuses(place: Place, code: int, words: str, said: str) -> None:
    with connect(place.address()) as store:
        place.server.refuses = f"Code: {code}. DB::Exception: {words}"
        with pytest.raises(StoreError, match=said) as refused:
            store.search()
    assert "version" not in str(refused.value)


def test_hostile_names_are_names(place: Place) -> None:
    with connect(place.address()) as store:
        for name in ("'; DROP TABLE otel_traces; --", "\\", "{p0:String}", "a\nb", "%s", "é\0", '"', "`"):
            assert store.search(attributes={name: name, f"resource.{name}": name}).rows.is_empty()
            with pytest.raises(StoreError):
                store.search(service=name)
            assert store.logs(name).is_empty()
            with pytest.raises(ValueError, match=r"no column|there is no"):
                store.spans(columns=[name])
        assert store.extent().spans == 30_000


@pytest.mark.parametrize("text", ["\\", "'", "\\'; --", "\\t", "\t\n", "\\\\", "é", "{p0:String}", "%s", ""])
def test_values_stay_what_they_are(place: Place, text: str) -> None:
    bound = Bound()
    connection = Connection(parse_address(place.address()))
    asked = connection.table(f"SELECT {literal(text)} AS one, {bound.text(text)} AS other", bound.values)
    connection.close()
    assert asked.to_pylist() == [{"one": text, "other": text}]


def test_closed_means_closed(place: Place) -> None:
    store = connect(place.address())
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.search()


def test_what_was_not_kept_is_not_followed(place: Place) -> None:
    with (
        connect(place.address()) as store,
        pytest.raises(StoreError, match="does not tell when"),
    ):
        store.tail()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(StoreError, match=r"pip install 'tracescape\[clickhouse\]'"):
        open_target("clickhouse://127.0.0.1:8123/otel")


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("clickhouse://h", "clickhouse://h:8123/default"),
        ("clickhouse://h:1/otel", "clickhouse://h:1/otel"),
        ("clickhouses://me:p%40ss@h/otel", "clickhouses://me@h:8443/otel"),
        ("clickhouse://[::1]:9/x?traces=t&logs=l", "clickhouse://[::1]:9/x"),
        ("clickhouse+chdb:///a/b", "clickhouse+chdb:///a/b"),
    ],
)
def test_addresses(text: str, location: str) -> None:
    assert parse_address(text).location == location
    assert "p@ss" not in repr(parse_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "clickhouse://",
        "clickhouse://u:hunter2@h:port/x",
        "clickhouse://u:hunter2@h/x?colour=red",
        "clickhouse://u:hunter2@h/a;b",
        "clickhouse://u:hunter2@h/x#y",
        "clickhouse://u:hunter2@h /x",
        "clickhouse+chdb://h/x",
        "clickhouse://u:hunter2@[::1/x",
        "clickhouse://u:hunter2@h/x?traces=a.b",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(StoreError) as refused:
        parse_address(text)
    assert "hunter2" not in str(refused.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("clickhouse_connect")
    with pytest.raises(StoreError, match="There is no folder"):
        connect(f"clickhouse+chdb://{tmp_path}/nowhere")


def test_tables_of_an_older_exporter(place: Place) -> None:
    """It had no columns for scopes, other words for kinds, and perhaps no table of traces and no logs."""
    place.make("older")
    for column in ("ScopeName", "ScopeVersion"):
        place.client.command(f"ALTER TABLE older.otel_traces DROP COLUMN IF EXISTS {column}")
    place.client.command(
        "INSERT INTO older.otel_traces (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName,"
        " Duration, StatusCode, SpanAttributes) VALUES (fromUnixTimestamp64Nano(toInt64(5000)),"
        " '0102030405060708090a0b0c0d0e0f10', '00000000000000ff', 'a\\nb', 'SPAN_KIND_CLIENT', '', 7,"
        " 'STATUS_CODE_ERROR', map('otel.scope.name', 'lib', '$odd', 'it''s \\\\ \"so\"', 'tab', '\\t'))"
    )
    with connect(place.address("older")) as store:
        found = store.search('kind = client and status = error and scope.name = "lib"', spans=True).rows
        assert found["service"].to_list() == ["unknown_service"]
        assert store.search('service = "unknown_service"').rows.height == 1
        assert store.search('operation matches "a[^x]b"').rows.height == 1
        assert store.search('operation matches "a.b"').rows.is_empty()  # as RE2 has it elsewhere
        (root,) = store.trace("0102030405060708090a0b0c0d0e0f10").spans["span_id"]
        span = store.trace("0102030405060708090a0b0c0d0e0f10").span(root)
        assert span.attributes == {"otel.scope.name": "lib", "$odd": 'it\'s \\ "so"', "tab": "\t"}
        assert (span.kind, span.status, span.scope) == ("client", "error", "lib")
        assert store.logs().is_empty()
