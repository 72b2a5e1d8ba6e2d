"""The whole way in: both decoders give the same rows, and a restart at any point finds everything once."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

import tracescape as ts
from support.otlp import request, span
from support.signals import log, logs_request
from tracescape_ingest import pipeline as pipeline_module
from tracescape_ingest.accepting import Decoder
from tracescape_ingest.envelope import UndecodableError
from tracescape_ingest.grpc_server import SERVICE
from tracescape_ingest.intake import Intake, Outcome, Signal
from tracescape_ingest.together import tables_of
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore, Position
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.schema import ARRIVED

TABLES = ("spans", "events", "links", "resources", "scopes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


def rich(*names: str) -> bytes:
    spans = [
        span(name, attributes={"http.request.method": "GET", "n": 7, "list": [1, "x"]}) for name in names
    ]
    for each in spans:
        each.events.add(name="event", time_unix_nano=5)
        each.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    return request(*spans, service="rich").SerializeToString()


def rows(reader: DuckDBReader, table: str) -> list[dict[str, Any]]:
    found = reader.sql(f"select * from {table} order by all").to_pylist()
    return [{key: value for key, value in row.items() if key != ARRIVED} for row in found]


def contents(store: DuckDBStore) -> dict[str, list[dict[str, Any]]]:
    reader = store.reader()
    return {name: rows(reader, name) for name in TABLES}


def names(path: Path) -> list[str]:
    """What an intake over the store finds, after it has recovered."""
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    assert intake.settle(30)
    found = intake.reader().sql("select operation from spans order by 1")["operation"].to_pylist()
    intake.close()
    store.close()
    return found


def send(intake: Intake, data: bytes, of: Signal = Signal.TRACES) -> Outcome:
    return intake.submit(of, data).result(10)


class Crash:
    """A collector that ends without settling: its store takes nothing."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, compiled: bool = False) -> None:
        self.store = DuckDBStore(path)

        def full(*batches: object, position: object = None) -> None:
            raise StoreFullError("full")

        self._append = self.store.append
        monkeypatch.setattr(self.store, "append", full)
        self.intake = Intake(self.store, compiled=compiled)
        if compiled:
            assert self.intake.decoder.wait(100)

    def append(self, requests: list[Any], position: Position) -> None:
        """What the second thread would have done."""
        self._append(*tables_of(requests), position=position)

    def end(self) -> None:
        self.intake.close()
        self.store.close()


def test_the_same_message_gives_the_same_rows_before_and_after_the_kernels_are_ready(tmp_path: Path) -> None:
    data = [rich("a", "b"), rich("c"), request(span("x"), span(trace_id=b"short")).SerializeToString()]
    found, outcomes = [], []
    for compiled in (False, True):
        store = DuckDBStore(tmp_path / f"{compiled}.db")
        intake = Intake(store, compiled=compiled)
        if compiled:
            assert intake.decoder.wait(100)
        outcomes.append([send(intake, each) for each in data])
        intake.settle()
        found.append(contents(store))
        intake.close()
        store.close()
    assert found[0] == found[1]
    assert outcomes[0] == outcomes[1]


def test_both_decoders_know_each_others_spans(path: Path) -> None:
    a, b, c = span("a"), span("b"), span("c")
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    send(intake, request(a, b).SerializeToString())
    intake.decoder.start()
    assert intake.decoder.wait(100)
    send(intake, request(b, c).SerializeToString())
    intake.close()
    store.close()
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    send(intake, request(c, a).SerializeToString())
    assert intake.reader().extent().spans == 3
    intake.close()
    store.close()


def test_undecodable_bytes_and_empty_requests_leave_no_trace(path: Path) -> None:
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    with pytest.raises(UndecodableError):
        intake.submit(Signal.TRACES, b"\xff\xff")
    assert send(intake, b"") == (0, 0, "")
    intake.close()
    assert not list(store.journal_folder.glob("*.log"))
    store.close()


def test_an_answer_cannot_be_called_off(path: Path) -> None:
    """A caller that goes away must not leave the thread with a future that it cannot resolve."""
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    answer: Future[Outcome] = intake.submit(Signal.TRACES, rich("a"))
    assert not answer.cancel()
    assert answer.result(10).accepted == 1
    intake.close()
    store.close()


@pytest.mark.parametrize("compiled", [False, True])
def test_journalled_and_nothing_settled(path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    crash = Crash(path, monkeypatch, compiled=compiled)
    send(crash.intake, rich("a", "b"))
    send(crash.intake, logs_request(log("hello")).SerializeToString(), Signal.LOGS)
    send(crash.intake, rich("c"))
    crash.end()
    assert names(path) == ["a", "b", "c"]
    assert names(path) == ["a", "b", "c"], "once"
    with ts.open(path) as store:
        assert store.sql("select count(*) n from logs")["n"].to_list() == [1]
        assert store.sql("select count(*) n from events")["n"].to_list() == [3]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_split_request_goes_on_where_it_was_split(
    path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """Whichever decoder split it: the reference decodes it at the next start, and some of it was left out."""
    crash = Crash(path, monkeypatch, compiled=compiled)
    spans = [span(f"{number}") for number in range(8)]
    send(crash.intake, request(*spans[1:3]).SerializeToString())
    send(crash.intake, request(*spans).SerializeToString())
    send(crash.intake, request(span("8"), span("9")).SerializeToString())
    first, second, _ = (waiting.request for waiting in crash.intake._pipeline._unsettled)
    assert second.content.rows.tolist() == [0, 3, 4, 5, 6, 7]
    half = second.keep(second.content.rows < 5)
    crash.append([first, half], Position(0, 5))
    crash.end()
    assert names(path) == [f"{number}" for number in range(10)]


def test_settled_and_not_forgotten(path: Path) -> None:
    for _ in range(3):
        store = DuckDBStore(path)
        intake = Intake(store, compiled=False)
        send(intake, request(span("a", trace_id=b"t" * 16, span_id=b"s" * 8)).SerializeToString())
        intake.close()
        assert len(list(store.journal_folder.glob("*.log"))) == 1
        store.close()
    assert names(path) == ["a"]


def test_a_crash_after_a_commit_and_before_it_is_known(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = Crash(path, monkeypatch)
    send(crash.intake, rich("a"))
    send(crash.intake, rich("b"))
    waiting = crash.intake._pipeline._unsettled[0].request
    crash.append([waiting], Position(0, 0))
    crash.end()
    assert names(path) == ["a", "b"]


def test_what_was_left_out_as_a_duplicate_stays_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = Crash(path, monkeypatch)
    a, b, c = span("a"), span("b"), span("c")
    send(crash.intake, request(a, b).SerializeToString())
    send(crash.intake, request(b, c, a).SerializeToString())
    crash.end()
    assert names(path) == ["a", "b", "c"]


def test_what_comes_while_an_earlier_backlog_settles_is_taken_and_recognised(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = Crash(path, monkeypatch)
    old = [rich(f"old {number}") for number in range(6)]
    for data in old:
        send(crash.intake, data)
    crash.end()
    monkeypatch.setattr(pipeline_module, "ROW_GROUP", 4)
    store = DuckDBStore(path)
    gate, append = threading.Event(), store.append
    positions: list[Position] = []

    def gated(*batches: Any, position: Position) -> None:
        assert gate.wait(10)
        positions.append(position)
        append(*batches, position=position)

    monkeypatch.setattr(store, "append", gated)
    intake = Intake(store, compiled=False)
    send(intake, rich("new"))
    assert send(intake, old[3]).accepted == 1
    assert not positions, "the port does not wait for the backlog"
    gate.set()
    assert intake.reader().extent().spans == 7
    assert [position.sequence for position in positions[:2]] == [3, 5], "it is read as it is stored"
    intake.close()
    store.close()


def test_a_store_that_is_full_at_the_next_start_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "_RETRY_S", 0.01)
    for number in range(3):
        crash = Crash(path, monkeypatch)
        assert not crash.intake.settle() or number == 0
        send(crash.intake, rich(f"{number}"))
        crash.end()
    assert names(path) == ["0", "1", "2"]


def test_an_accepted_request_that_no_decoder_takes_any_more_is_kept_as_a_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crash = Crash(path, monkeypatch)
    for name in ("a", "odd", "b"):
        send(crash.intake, rich(name))
    crash.end()
    real = Decoder.decode

    def decode(self: Decoder, of: Signal, data: bytes) -> Any:
        if b"odd" in data:
            raise UndecodableError("no")
        return real(self, of, data)

    monkeypatch.setattr(Decoder, "decode", decode)
    assert names(path) == ["a", "b"]
    (kept,) = path.with_name("t.db.journal").glob("*.otlp")
    assert b"odd" in kept.read_bytes()
    assert "cannot be decoded" in caplog.text


def test_the_compiled_decoder_may_fail_and_the_reference_takes_over(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = DuckDBStore(path)
    intake = Intake(store)
    assert intake.decoder.wait(100)

    def fail(data: bytes) -> None:
        raise SystemError("a kernel")

    monkeypatch.setattr(intake.decoder._fast, "scan", fail)
    assert send(intake, rich("a")).accepted == 1
    assert "compiled decoder failed" in caplog.text
    intake.close()
    store.close()


def test_a_deleted_store_does_not_take_the_journal_of_the_old_one(path: Path) -> None:
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    send(intake, rich("a"))
    intake.close()
    store.close()
    path.unlink()
    store = DuckDBStore(path)
    with pytest.raises(StoreError, match=r"belongs to another store than t\.db"):
        Intake(store)
    shutil.rmtree(store.journal_folder)
    intake = Intake(store, compiled=False)
    send(intake, rich("b"))
    intake.close()
    store.close()
    assert names(path) == ["b"]


def test_a_store_from_a_backup_gets_what_its_journal_still_has(path: Path, tmp_path: Path) -> None:
    store = DuckDBStore(path)
    store.close()
    backup = tmp_path / "backup"
    shutil.copy(path, backup)
    store = DuckDBStore(path)
    intake = Intake(store, compiled=False)
    send(intake, rich("a"))
    intake.close()
    store.close()
    shutil.copy(backup, path)
    assert names(path) == ["a"]


def test_a_link_to_a_store_has_the_journal_of_that_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = Crash(path, monkeypatch)
    send(crash.intake, rich("a"))
    crash.end()
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert names(link) == ["a"]


def test_a_commit_that_failed_only_at_its_end_is_not_stored_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB may say that a commit failed whose log was on disk already."""
    import duckdb

    store = DuckDBStore(path)
    insert, failures = store._insert, []

    def commit_and_fail(tables: Any, position: Any) -> None:
        insert(tables, position)
        if not failures:
            failures.append(position)
            raise duckdb.IOException("the end of it")

    monkeypatch.setattr(store, "_insert", commit_and_fail)
    intake = Intake(store, compiled=False)
    send(intake, rich("a"))
    assert intake.settle()
    assert failures
    assert intake.reader().extent().spans == 1
    intake.close()
    store.close()


# A closed file.


def test_a_file_is_opened_with_what_its_collector_accepted_before_it_was_killed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = Crash(path, monkeypatch)
    send(crash.intake, rich("a", "b"))
    crash.end()
    with ts.open(path) as store:
        assert store.extent().spans == 2
        assert not store.live
    with ts.open(path) as store:
        assert store.extent().spans == 2


def test_a_file_on_a_medium_that_cannot_be_written_is_opened_with_a_warning(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crash = Crash(path, monkeypatch)
    send(crash.intake, rich("a"))
    crash.end()

    def refuse(file: Path) -> None:
        raise StoreError(f"{file} cannot be opened: Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("tracescape.store.DuckDBStore", refuse)
        with ts.open(path) as store:
            assert store.extent().spans == 0
    assert "lacks what its collector accepted last" in caplog.text
    assert "Read-only file system" in caplog.text


def test_a_file_beside_a_foreign_journal_is_opened_with_a_warning(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crash = Crash(path, monkeypatch)
    send(crash.intake, rich("a"))
    crash.end()
    other = tmp_path / "other.db"
    DuckDBStore(other).close()
    path.with_name("t.db.journal").rename(tmp_path / "other.db.journal")
    with ts.open(other) as store:
        assert store.extent().spans == 0
    assert "belongs to another store than other.db" in caplog.text


# kill -9 under load.

_SERVE = """
import pathlib, sys, time
from tracescape.collector import Collector
with Collector(pathlib.Path(sys.argv[1]), grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
    print(running.grpc_endpoint.removeprefix("http://"), running.http_url, flush=True)
    time.sleep(600)
"""


class Served:
    def __init__(self, path: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(path)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.grpc, self.http = self.process.stdout.readline().split()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_kill_9_under_load_loses_nothing_acknowledged_and_stores_nothing_twice(path: Path) -> None:
    acknowledged: list[str] = []
    unanswered: list[bytes] = []
    sent = iter(range(10**9))
    lock = threading.Lock()

    def client(channel: grpc.Channel) -> None:
        export = channel.unary_unary(f"/{SERVICE}/Export")
        while True:
            mine = [f"{next(sent)}" for _ in range(5)]
            data = request(*map(span, mine)).SerializeToString()
            try:
                export(data, timeout=20)
            except grpc.RpcError:
                with lock:
                    unanswered.append(data)
                return
            with lock:
                acknowledged.extend(mine)

    random = np.random.default_rng(1)
    served = Served(path)
    for _ in range(3):
        with grpc.insecure_channel(served.grpc) as channel:
            clients = [threading.Thread(target=client, args=(channel,)) for _ in range(4)]
            for each in clients:
                each.start()
            clients[0].join(0.2 + random.random() * 0.5)
            served.kill()
            for each in clients:
                each.join()
        served = Served(path)
        with grpc.insecure_channel(served.grpc) as channel:
            for data in unanswered:  # as their clients do, whether or not it arrived before the kill
                assert channel.unary_unary(f"/{SERVICE}/Export")(data) == b""
        with ts.connect(served.http) as store:
            found = store.sql("select operation from spans")["operation"].to_list()
        assert len(found) == len(set(found)), "stored twice"
        assert set(acknowledged) <= set(found), "acknowledged and lost"
        assert len(found) == len(acknowledged) + 5 * len(unanswered)
    served.kill()
    assert len(acknowledged) > 100
    with ts.open(path) as store:
        assert store.extent().spans == len(found)
