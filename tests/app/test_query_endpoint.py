"""``POST /query`` as clients meet it: limits, streams, those that go away, and a collector that does."""

import asyncio
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from support.otlp import request, span
from support.processes import COMMAND, ENVIRONMENT
from tracescape.cli import app
from tracescape.collector import Collector
from tracescape_ingest.intake import Signal
from tracescape_storage import http_api
from tracescape_storage.collector import BusyError, CollectorReader
from tracescape_storage.errors import ERROR_KEY, QueryError, StoreError
from tracescape_storage.filters import field
from tracescape_storage.limits import QueryLimits
from tracescape_storage.one_trace import trace_spans
from tracescape_storage.query_guard import running as queries_running
from tracescape_storage.search import Question, search_spans

ENDLESS = "select count(*) from range(10000000000000)"
LONG = "select range as n, 'text ' || range as t from range(1000000000)"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


@pytest.fixture
def reader(collector: Collector) -> Iterator[CollectorReader]:
    opened = CollectorReader(collector.http_url)
    yield opened
    opened.close()


def asked(collector: Collector, **body: object) -> httpx.Response:
    return httpx.post(f"{collector.http_url}/query", json=body, timeout=20)


def soon(condition: Callable[[], bool], within_s: float = 3.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def nothing_runs() -> bool:
    return not queries_running()


def test_a_client_may_ask_for_less_time_and_fewer_rows(collector: Collector) -> None:
    begin = time.monotonic()
    answer = asked(collector, sql=ENDLESS, time_limit_s=0.3)
    assert time.monotonic() - begin < 3
    assert (answer.status_code, "ran longer than 0.3 s" in answer.json()["error"]) == (400, True)
    answer = asked(collector, sql="from range(11)", max_rows=10)
    assert (answer.status_code, "more than 10 rows" in answer.json()["error"]) == (400, True)
    assert asked(collector, sql="from range(10)", max_rows=10).status_code == 200


@pytest.mark.parametrize("limit", [0, -1, "7", True, None, [1]])
def test_a_limit_that_is_none_is_a_400(collector: Collector, limit: object) -> None:
    for name in ("time_limit_s", "max_rows"):
        answer = asked(collector, sql="select 1", **{name: limit})
        assert (answer.status_code, f"{name} must be a number" in answer.json()["error"]) == (400, True)


def test_nobody_gets_more_than_the_collector_allows(collector: Collector) -> None:
    limits = QueryLimits(time_s=0.2, rows=5)
    question = http_api._question_of(b'{"sql": "x", "time_limit_s": 1e9, "max_rows": 1e18}', limits)
    assert (question.time_s, question.rows) == (0.2, 5)


def test_what_goes_wrong_late_is_said_and_breaks_the_transfer_off(
    collector: Collector, reader: CollectorReader, capfd: pytest.CaptureFixture[str]
) -> None:
    late = "select case when range = 1900000 then error('too late') else range end as n from range(2000000)"
    with pytest.raises(QueryError, match="too late"):
        reader.sql(late)
    received = bytearray()
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{collector.http_url}/query", json={"sql": late}) as response,
    ):
        for piece in response.iter_raw():
            received += piece
    assert ERROR_KEY in received
    assert reader.sql("select 1 as one")["one"].to_pylist() == [1], "and the collector goes on"
    assert not capfd.readouterr().err, "what the client is told is no failure of the collector"


def test_too_many_rows_of_a_stream_are_an_error_not_a_cut(collector: Collector) -> None:
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream(
            "POST", f"{collector.http_url}/query", json={"sql": LONG, "max_rows": 900_000}
        ) as response,
    ):
        for _ in response.iter_raw():
            pass


def test_a_client_that_goes_away_before_the_first_row_ends_its_query(collector: Collector) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{collector.http_url}/query", json={"sql": ENDLESS}, timeout=0.5)
    assert soon(nothing_runs)


def test_a_client_that_goes_away_in_the_middle_ends_its_query(collector: Collector) -> None:
    with httpx.stream("POST", f"{collector.http_url}/query", json={"sql": LONG}) as response:
        next(response.iter_raw())
        assert not nothing_runs()
    assert soon(nothing_runs)


def test_rows_that_nobody_reads_are_not_computed(collector: Collector) -> None:
    before = _process_mib()
    with httpx.stream("POST", f"{collector.http_url}/query", json={"sql": LONG}) as response:
        pieces = response.iter_raw()
        next(pieces)
        time.sleep(1.5)
        assert _process_mib() - before < 150
        next(pieces)
    assert soon(nothing_runs)


def _process_mib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20


def test_beyond_its_number_of_questions_a_collector_says_when_to_come_back(collector: Collector) -> None:
    async def one_more() -> httpx.Response:
        async with httpx.AsyncClient(base_url=collector.http_url, timeout=60) as client:
            running = [asyncio.create_task(client.post("/query", json={"sql": ENDLESS})) for _ in range(8)]
            while queries_running() < 4:
                await asyncio.sleep(0.02)
            answer = await client.post("/query", json={"sql": "select 1"})
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            return answer

    answer = asyncio.run(one_more())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "8 questions run already. Ask again in a moment" in answer.json()["error"]
    assert soon(nothing_runs)
    assert asked(collector, sql="select 1").status_code == 200, "afterwards it answers"


def test_a_collector_allows_what_it_is_told_to(tmp_path: Path) -> None:
    limits = QueryLimits(time_s=0.5, rows=3)
    with Collector(
        tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", queries=limits, memory_mib=300
    ) as collector:
        assert asked(collector, sql="select * from range(3)").status_code == 200
        assert (
            "more than 3 rows" in asked(collector, sql="select * from range(4)", max_rows=9).json()["error"]
        )
        endless = "select count(*) from range(10000000000000)"
        assert "longer than 0.5 s" in asked(collector, sql=endless, time_limit_s=9).json()["error"]
        reader = collector.reader()
        memory = reader.sql("select current_setting('memory_limit') as memory")
        assert memory["memory"].to_pylist() == ["300.0 MiB"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--queries", "0"), ("--query-time-s", "soon"), ("--query-rows", "-1"), ("--memory-mib", "64")],
)
def test_a_limit_that_cannot_be_is_named(option: str, value: str, tmp_path: Path) -> None:
    variable = "TRACESCAPE_" + option[2:].upper().replace("-", "_")
    result = CliRunner().invoke(app, ["serve", "--db", str(tmp_path / "t.db")], env={variable: value})
    assert result.exit_code == 2
    assert option in result.output
    assert variable in result.output


def test_a_stream_is_read_as_it_is_taken_and_says_what_ended_it(reader: CollectorReader) -> None:
    rows = reader.stream(LONG)
    del rows
    assert soon(nothing_runs), "nothing of it was taken"
    rows = reader.stream("select * from range(1000000000000)")
    assert rows.read_next_batch().num_rows > 0
    del rows
    assert soon(nothing_runs)
    with pytest.raises(QueryError, match="at last"):
        # The last row may be computed before the first is sent, by another thread.
        for _ in reader.stream("select if(range < 999999, 1, error('at last')) as n from range(1000000)"):
            pass
    reader.close()


def test_a_reader_asks_a_busy_collector_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = httpx.Response(503, json={"error": "8 questions run already."}, headers={"Retry-After": "0"})
    table = pa.table({"n": [1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answers = [busy, busy, httpx.Response(200, content=sink.getvalue().to_pybytes()), busy, busy]
    reader = CollectorReader("127.0.0.1:9")
    reader._client = httpx.Client(
        transport=httpx.MockTransport(lambda _: answers.pop(0)), base_url=reader.location
    )
    assert reader.sql("select 1") == table
    monkeypatch.setattr("tracescape_storage.collector._BUSY_S", -1.0)
    with pytest.raises(BusyError, match="is busy: 8 questions run already"):
        reader.sql("select 1")
    reader.close()


def test_heavy_questions_keep_nothing_from_being_stored(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def ask(sql: str) -> None:
        while not done.is_set():
            httpx.post(f"{collector.http_url}/query", json={"sql": sql, "time_limit_s": 1}, timeout=20)

    heavy = [
        "select list(range) from range(1000000000)",
        "select hash(range) as h, range::text as t from range(20000000) order by h limit 1 offset 19000000",
        "select range % 20000000 as n, any_value(range::varchar) from range(60000000) group by n limit 10",
    ]
    askers = [threading.Thread(target=ask, args=(sql,)) for sql in heavy]
    for asker in askers:
        asker.start()
    intake, sent = next(iter(collector.lanes.values())).intake, 0
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        data = request(*(span(attributes={"text": "x" * 100}) for _ in range(500))).SerializeToString()
        sent += intake.submit(Signal.TRACES, data).result(timeout=20).accepted
    done.set()
    for asker in askers:
        asker.join()
    assert collector.reader().extent().spans == sent > 0
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


def test_a_collector_that_dies_in_the_middle_of_an_answer_is_a_clear_error(tmp_path: Path) -> None:
    command = [
        *COMMAND,
        "serve",
        "--db",
        str(tmp_path / "t.db"),
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        url = next(found[1] for line in lines if (found := re.search(r"OTLP/HTTP\s+(\S+)", line)))
        reader = CollectorReader(url)
        reader.sql("select 1")
        threading.Timer(1.0, process.send_signal, (signal.SIGKILL,)).start()
        with pytest.raises(StoreError, match=r"broke off after [\d,]+ rows: the collector ended.*Ask again"):
            reader.sql(LONG)
        reader.close()


def test_an_answer_is_arrow_that_any_client_reads(collector: Collector) -> None:
    answer = asked(collector, sql="select 1 as one, 'x' as x")
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"one": 1, "x": "x"}]
    assert json.loads(asked(collector, sql="selec").content)["error"]


def test_a_kept_connection_answers_without_waiting_for_acknowledgements(collector: Collector) -> None:
    with httpx.Client(base_url=collector.http_url) as client:
        seconds = []
        for _ in range(20):
            begin = time.monotonic()
            client.get("/healthz")
            seconds.append(time.monotonic() - begin)
    assert sorted(seconds)[10] < 0.03


def test_a_trace_and_a_search_without_attributes_are_one_question_each(
    collector: Collector, reader: CollectorReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = collector.lanes["default"].intake
    data = request(span(trace_id=b"t" * 16, attributes={"http.route": "/", "order": 7})).SerializeToString()
    intake.submit(Signal.TRACES, data).result(10)
    questions: list[str] = []
    ask = reader.sql
    monkeypatch.setattr(reader, "sql", lambda query: questions.append(query) or ask(query))
    attributes = json.loads(trace_spans(reader, b"t" * 16)["attributes"][0].as_py())
    assert (attributes, len(questions)) == ({"http.route": "/", "order": 7}, 1)
    found = search_spans(reader, Question(field("service") == "shop"))
    assert (json.loads(found.rows["attributes"][0].as_py()), len(questions)) == (attributes, 2)
