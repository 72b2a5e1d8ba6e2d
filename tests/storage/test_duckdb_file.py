"""A store file: what goes in is there, whoever opens it next; what cannot be opened says why."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from support.otlp import batch, request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.errors import QueryError, StoreError, StoreFullError
from tracescape_storage.query import select_table
from tracescape_storage.unopened import LockedStoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


def test_spans_are_there_after_closing_and_opening(path: Path) -> None:
    store = DuckDBStore(path)
    store.append(batch(span("a", start=5, end=9), span("b", start=7, end=8)))
    store.close()
    reader = open_reader(path)
    assert reader.extent() == (2, 5, 7)
    assert not reader.live
    rows = reader.spans(["operation", "duration_ns"], since_ns=6, until_ns=8).to_pylist()
    assert rows == [{"operation": "b", "duration_ns": 1}]
    reader.close()


def test_windows_are_half_open(path: Path) -> None:
    store = DuckDBStore(path)
    store.append(batch(*(span(start=at, end=at) for at in (1, 2, 3))))
    starts = store.reader().spans(["start_ns"], since_ns=1, until_ns=3)["start_ns"].to_pylist()
    assert sorted(starts) == [1, 2]
    store.close()


def test_service_and_trace_filters_and_dictionary_coding(path: Path) -> None:
    store = DuckDBStore(path)
    wanted = span("x", trace_id=b"t" * 16)
    store.append(batch(wanted, service="it's"))
    store.append(batch(span("y"), service="other"))
    reader = store.reader()
    assert reader.spans(["operation"], service="it's")["operation"].to_pylist() == ["x"]
    found = reader.spans(["service", "operation"], trace_ids=[b"t" * 16])
    assert found.to_pylist() == [{"service": "it's", "operation": "x"}]
    assert str(found.schema.field("service").type).startswith("dictionary")
    store.close()


def test_an_unknown_column_names_the_known_ones(path: Path) -> None:
    store = DuckDBStore(path)
    with pytest.raises(ValueError, match="no such span column: nope; there are trace_id"):
        store.reader().spans(["nope"])
    store.close()


def test_a_resource_is_stored_once_even_across_restarts(path: Path) -> None:
    for _ in range(2):
        store = DuckDBStore(path)
        store.append(batch(span()))
        store.append(batch(span()))
        store.close()
    reader = open_reader(path)
    assert reader.sql("select count(*) n from resources").to_pylist() == [{"n": 1}]
    assert reader.sql("select count(*) n from spans join resources using (resource_id)").to_pylist() == [
        {"n": 4}
    ]
    reader.close()


def test_events_and_links_are_stored_with_their_span(path: Path) -> None:
    message = span("with more")
    message.events.add(time_unix_nano=1_500, name="exception")
    message.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    store = DuckDBStore(path)
    store.append(batch(message))
    reader = store.reader()
    assert reader.sql("select name, time_ns from events").to_pylist() == [
        {"name": "exception", "time_ns": 1500}
    ]
    (link,) = reader.links().to_pylist()
    assert link["linked_trace_id"] == b"l" * 16
    assert link["linked_span_id"] == int.from_bytes(b"m" * 8, "big")
    assert reader.links(since_ns=1_001).num_rows == 0
    store.close()


def test_the_view_for_people_has_hex_ids_and_words(path: Path) -> None:
    store = DuckDBStore(path)
    child = span("c", trace_id=b"\xff" * 16, span_id=b"\xfe" * 8, parent=b"\0" * 7 + b"\1")
    store.append(batch(child))
    (row,) = store.reader().sql("select * exclude (start_time, attributes) from spans_v").to_pylist()
    assert row["trace_id"] == "ff" * 16
    assert row["span_id"] == "fe" * 8
    assert row["parent_span_id"] == "0000000000000001"
    assert (row["kind"], row["status"]) == ("server", "unset")
    store.close()


@pytest.mark.parametrize(
    "query",
    [
        "drop table spans",
        "insert into spans select * from spans",
        "select 1; select 2",
        "",
        "create table x as select 1",
        "pragma version",
        "set threads = 1",
        "attach 'other.db'",
        "copy spans to 'out.parquet'",
        "select * from read_csv('/etc/passwd')",
        "select * from 'other.parquet'",
        "select * from nowhere",
        "selec",
        "explain analyze delete from spans",
        "with gone as (delete from spans returning *) select * from gone",
    ],
)
def test_anything_but_one_harmless_select_is_refused_and_changes_nothing(path: Path, query: str) -> None:
    store = DuckDBStore(path)
    store.append(batch(span()))
    with pytest.raises(QueryError):
        store.reader().sql(query)
    assert store.reader().extent().spans == 1
    store.close()


def test_a_query_that_never_ends_is_ended(path: Path) -> None:
    store = DuckDBStore(path)
    endless = "select count(*) from range(10000000000) a, range(10000000000) b where a.range * b.range = 7"
    with pytest.raises(QueryError, match="ran longer than 0.2 s"):
        select_table(store.pool, endless, time_limit_s=0.2)
    store.append(batch(span()))
    assert store.reader().extent().spans == 1
    store.close()


def test_a_missing_a_foreign_and_a_newer_file_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no store at .*tracescape serve --db"):
        open_reader(tmp_path / "missing.db")
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to look like a file of something" * 100)
    with pytest.raises(StoreError, match="not a Tracescape store"):
        open_reader(text)
    foreign = tmp_path / "foreign.db"
    with duckdb.connect(foreign) as connection:
        connection.execute("create table mine (x integer)")
    for opening in (open_reader, DuckDBStore):
        with pytest.raises(StoreError, match="not a Tracescape store"):
            opening(foreign)
    newer = tmp_path / "newer.db"
    DuckDBStore(newer).close()
    with duckdb.connect(newer) as connection:
        connection.execute("update tracescape_store set version = 99")
    with pytest.raises(StoreError, match="store version 99"):
        DuckDBStore(newer)
    with pytest.raises(StoreError, match="folder .* does not exist"):
        DuckDBStore(tmp_path / "nowhere" / "t.db")


def test_a_truncated_file_is_refused_without_a_crash(path: Path) -> None:
    store = DuckDBStore(path)
    store.append(batch(*(span() for _ in range(500))))
    store.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"t\.db"):
        reader = open_reader(path)
        reader.sql("select sum(duration_ns), max(attributes::varchar) from spans")


def test_a_file_that_another_process_holds_names_that_process(path: Path) -> None:
    store = DuckDBStore(path)
    code = f"""
import pathlib
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.unopened import LockedStoreError
try:
    DuckDBStore(pathlib.Path({str(path)!r}))
except LockedStoreError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert f"Process {os.getpid()} holds {path}" in result.stdout
    with pytest.raises(LockedStoreError, match="This process already holds"):
        open_reader(path)
    store.close()


def test_too_little_disk_is_refused_before_anything_is_written(path: Path) -> None:
    store = DuckDBStore(path, reserve_bytes=shutil.disk_usage(path.parent).total * 2)
    with pytest.raises(StoreFullError, match=r"is full: .* clients that retry lose nothing"):
        store.append(batch(span()))
    assert store.reader().extent().spans == 0
    store.close()


def test_when_the_disk_fills_in_a_commit_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the write fails in the middle, deep inside DuckDB."""
    code = """
import pathlib, resource, signal, sys
from support.otlp import batch, span
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = DuckDBStore(pathlib.Path(sys.argv[1]))
noise = lambda i: {"noise": "".join(chr(33 + (i * k * k) % 90) for k in range(300))}
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
acknowledged = refused = 0
for i in range(40):
    try:
        store.append(batch(*(span(attributes=noise(i + k)) for k in range(200))))
        acknowledged += 200
    except StoreError:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append(batch(span("after")))
print(acknowledged + 1, refused)
store.close()
"""
    path = tmp_path / "full.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    acknowledged, refused = map(int, result.stdout.split())
    assert refused > 0, "the limit was never reached: the test tests nothing"
    reader = open_reader(path)
    assert reader.extent().spans == acknowledged
    reader.close()


def test_a_kill_loses_nothing_that_append_returned_for(tmp_path: Path) -> None:
    code = """
import pathlib, sys
from support.otlp import batch, span
from tracescape_storage.duckdb_file import DuckDBStore
store = DuckDBStore(pathlib.Path(sys.argv[1]))
while True:
    store.append(batch(*(span() for _ in range(20))))
    print(20, flush=True)
"""
    path = tmp_path / "killed.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    acknowledged = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(30):
            acknowledged += int(process.stdout.readline())
        process.kill()
        acknowledged += sum(int(line) for line in process.stdout.read().splitlines() if line)
        process.wait()
        process.stdout.close()
        store = DuckDBStore(path)
        stored = store.reader().extent().spans
        store.close()
        assert acknowledged <= stored <= acknowledged + 20, "at most the commit in flight may be extra"
        acknowledged = stored


def test_readers_see_whole_commits_while_a_writer_writes(path: Path) -> None:
    store = DuckDBStore(path)
    done = threading.Event()

    def write() -> None:
        for _ in range(30):
            store.append(batch(*(span() for _ in range(7))))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    while not done.is_set():
        counts.append(store.reader().extent().spans)
    writer.join()
    assert all(count % 7 == 0 for count in counts)
    assert counts == sorted(counts)
    assert store.reader().extent().spans == 210
    store.close()


def test_one_commit_takes_several_requests_together(path: Path) -> None:
    store = DuckDBStore(path)
    message = request(span("a"), service="one")
    message.MergeFrom(request(span("b"), span("c"), service="two"))
    store.append(decode_traces(message.SerializeToString()).tables)
    rows = store.reader().sql("select service, count(*) n from spans group by all order by 1").to_pylist()
    assert rows == [{"service": "one", "n": 1}, {"service": "two", "n": 2}]
    store.close()
