"""`tracescape search`, `tail` and `query` as a person types them, and as a program reads them."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import polars as pl
import pytest

import tracescape as ts
from support.commands import run
from support.otlp import request, span
from support.shop_store import shop_store
from tracescape.collector import Collector
from tracescape_ingest.grpc_server import SERVICE

COMMAND = [str(Path(sys.executable).with_name("tracescape"))]


def fails(result: subprocess.CompletedProcess[str], fragment: str) -> None:
    assert result.returncode == 1, result
    assert result.stderr.startswith("tracescape: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert fragment in result.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "shop.db"
    shop_store(file, minutes=2, degraded_minutes=1)
    return file


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


def send(collector: Collector, *names: str, service: str = "shop") -> None:
    with grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel:
        data = request(*(span(name) for name in names), service=service).SerializeToString()
        assert channel.unary_unary(f"/{SERVICE}/Export")(data) == b""


class Tail:
    """`tracescape tail` in a process of its own, once it looks."""

    def __init__(self, collector: Collector, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "tail", "--store", collector.http_url, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        # What begins to look when nobody knows sees the first of these that arrives after.
        for _ in range(200):
            send(collector, "ready?", service="test")
            time.sleep(0.1)
            if self.lines:
                break
        assert self.process.poll() is None, self.process.communicate()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def wait_for(self, text: str) -> None:
        for _ in range(200):
            if any(text in line for line in self.lines):
                return
            time.sleep(0.05)
        raise AssertionError(self.lines)

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self._reading.join(30)
        assert self.process.stdout is not None and self.process.stderr is not None
        error = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, error


def test_search_prints_a_table_and_how_to_go_on(shop: Path) -> None:
    first = run("search", "--store", shop, "--limit", 3)
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].split() == [
        *("start", "duration", "root_service", "root_operation", "spans", "errors", "trace_id")
    ]
    assert len(lines) == 4
    after = first.stderr.split("--after ")[1].strip()
    second = run("search", "--store", shop, "--limit", 3, "--after", after)
    assert len(second.stdout.splitlines()) == 4
    assert not set(lines[1:]) & set(second.stdout.splitlines())


def test_search_for_programs(shop: Path, tmp_path: Path) -> None:
    words = ("search", 'kind = server and service = "checkout"', "--spans", "--store", shop, "--limit", 5)
    rows = [json.loads(line) for line in run(*words, "--json").stdout.splitlines()]
    assert {(row["service"], row["kind"]) for row in rows} == {("checkout", "server")}
    assert rows[0]["attributes"]["http.route"]
    as_csv = list(csv.DictReader(io.StringIO(run(*words, "--csv").stdout)))
    assert [row["span_id"] for row in as_csv] == [row["span_id"] for row in rows]
    assert json.loads(as_csv[0]["attributes"]) == rows[0]["attributes"]
    file = tmp_path / "x.parquet"
    assert run(*words, "--parquet", file).returncode == 0
    assert pl.read_parquet(file)["span_id"].to_list() == [row["span_id"] for row in rows]
    traces = run("search", "--store", shop, "--limit", 1, "--csv").stdout
    assert json.loads(next(csv.DictReader(io.StringIO(traces)))["services"])
    fails(run(*words, "--csv", "--json"), "exclude each other")
    fails(run(*words, "--parquet", "/nowhere/x.parquet"), "/nowhere/x.parquet")


def test_what_is_wrong_is_one_sentence(shop: Path) -> None:
    fails(run("search", 'servce = "x"', "--store", shop), "at column 1, servce")
    fails(run("search", "--service", "chekout", "--store", shop), "checkout")
    fails(run("search", "--after", "x", "--store", shop), "no place in a search")
    fails(run("search", "--limit", "0", "--store", shop), "1 to 1,000 traces")
    fails(run("search", "--store", "127.0.0.1:9"), "No collector answers")
    fails(run("tail", "--store", shop), "closed file")
    nothing = run("search", 'http.rout = "x"', "--store", shop)
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "did you mean http.route?" in nothing.stderr


def test_health_shows_services_and_with_all_every_edge(shop: Path) -> None:
    found = run("health", "--store", shop, "--since", "1m", "--baseline", "2m")
    assert found.returncode == 0, found.stderr
    head, *rows = found.stdout.splitlines()
    assert head.split() == ["state", "what", "calls/s", "errors", "p50", "p95", "p99", "apdex", "why"]
    assert sum(row.split()[1] == "gateway" for row in rows) == 1
    assert not any("web → gateway (http)" in row for row in rows if row.startswith("healthy"))
    assert "web → gateway (http)" in run("health", "--store", shop, "--since", "1m", "--all").stdout


def test_health_for_programs(shop: Path) -> None:
    lines = run("health", "--store", shop, "--since", "1m", "--apdex", "1ms", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["what"] for row in rows} == {"service", "edge"}
    assert {row["apdex_t_ns"] for row in rows} == {1_000_000}
    fails(run("health", "--store", shop, "--apdex", "soon"), "soon")


def test_query_prints_a_table(shop: Path) -> None:
    result = run(
        "query", "--store", shop, "select 'a' x, 1 n, [1, 2] l, null z union all select 'b', 2, [], 5"
    )
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["x", "n", "l", "z"],
        ["a", "1", "1,", "2"],
        ["b", "2", "5"],
    ]
    long = run("query", "--store", shop, "select range n from range(60)")
    assert "60 rows; --json, --csv and --parquet have them all" in long.stdout
    csv_text = run("query", "--store", shop, "--csv", "select 'x,y' a, from_hex('ff') b, [1] c").stdout
    assert csv_text == 'a,b,c\n"x,y",ff,[1]\n'


def test_names_of_strangers_do_not_reach_the_terminal(collector: Collector) -> None:
    send(collector, "\x1b[31mred\x9b5m\n[bold]x[/bold]\u202e")
    for arguments in (
        ("search",),
        ("search", "--json"),
        ("search", "--spans"),
        ("query", "select operation from spans"),
    ):
        shown = run(*arguments, "--store", collector.http_url).stdout
        assert "red" in shown and "[bold]x[/bold]" in shown
        assert not {"\x1b", "\x9b", "\u202e"} & set(shown)


def test_tail_shows_what_arrives_and_ends_with_ctrl_c(collector: Collector) -> None:
    send(collector, "before")
    tail = Tail(collector, 'not operation = "no"')
    send(collector, "GET /cart", "no")
    tail.wait_for("GET /cart")
    send(collector, "last")
    tail.wait_for("last")
    assert tail.end(signal.SIGINT) == (0, "")
    text = "".join(tail.lines)
    assert "before" not in text
    assert text.count("GET /cart") == 1
    assert "shop no" not in text


def test_tail_tells_people_that_it_looks(collector: Collector) -> None:
    ours, its = pty.openpty()
    tail = subprocess.Popen(
        [*COMMAND, "tail", "--store", collector.http_url], stdout=subprocess.PIPE, stderr=its
    )
    os.close(its)
    assert os.read(ours, 4096).decode().startswith(f"waiting for what arrives in {collector.http_url}; ")
    tail.send_signal(signal.SIGINT)
    assert tail.communicate(timeout=60) == (b"", None)
    os.close(ours)


def test_tail_for_programs(collector: Collector) -> None:
    tail = Tail(collector, "--json", "--traces")
    send(collector, "root")
    tail.wait_for('"root"')
    assert tail.end(signal.SIGINT) == (0, "")
    rows = [json.loads(line) for line in tail.lines]
    assert rows[-1]["root_service"] == "shop"
    assert len({row["trace_id"] for row in rows}) == len(rows)


def test_tail_of_a_collector_that_goes_away(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        tail = Tail(collector)
    code, error = tail.end()
    assert code == 1
    assert error.startswith("tracescape: No collector answers")
    assert len(error.strip().splitlines()) == 1


def test_nobody_reads_on(collector: Collector) -> None:
    sending = threading.Event()

    def keep_sending() -> None:
        while not sending.wait(0.1):
            send(collector, "more")

    sender = threading.Thread(target=keep_sending)
    sender.start()
    command = f"{COMMAND[0]} tail --store {collector.http_url} | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    sending.set()
    sender.join()
    assert "shop more" in result.stdout
    assert result.stdout.splitlines()[-1] == "0"
    assert result.stderr == ""


def test_the_public_frames_come_with_the_commands(shop: Path) -> None:
    with ts.open(shop) as store:
        assert store.spans(limit=1).height == 1


def test_diagnose_writes_a_note(shop: Path) -> None:
    result = run("diagnose", "--store", shop, "--since", "1m")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(("What broke from ", "Nothing significant from "))
    rows = [json.loads(line) for line in run("diagnose", "--store", shop, "--json").stdout.splitlines()]
    assert all({"service", "kind", "named", "sentence", "bad_trace", "path"} <= row.keys() for row in rows)


def test_diagnose_says_what_it_cannot_compare(shop: Path) -> None:
    fails(run("diagnose", "--store", shop, "--since", "9h"), "choose a later since, or a baseline")
