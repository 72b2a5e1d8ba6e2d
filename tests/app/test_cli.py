"""The installed command, as a person types it: what it prints, how it fails, how it ends.

Where one test types several, what is typed is what matters, and `commands.run` runs them.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support import commands
from support.display import xdotool

COMMAND = Path(sys.executable).with_name("tracescape")


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("DISPLAY", "WAYLAND"))
    }
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def fails(result: subprocess.CompletedProcess[str], *fragments: str) -> None:
    """One sentence on stderr, exit code 1, no traceback and no noise of a library."""
    assert result.returncode == 1, result
    assert "Traceback" not in result.stderr
    assert "nanobind" not in result.stderr
    assert result.stderr.startswith("tracescape: "), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for fragment in fragments:
        assert fragment in result.stderr


class Served:
    """`tracescape serve` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.db = folder / "t.db"
        options = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--db", str(self.db), *arguments]
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--observe-s", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        first = [self.process.stdout.readline() for _ in range(4)]
        self.grpc, self.http = (re.search(r"http://\S+", line)[0] for line in first[:2])  # type: ignore[index]

    def export(self, *names: str) -> None:
        provider = TracerProvider(resource=Resource.create({"service.name": "cart"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=self.grpc, insecure=True)))
        for name in names:
            provider.get_tracer("t").start_span(name).end()
        assert provider.force_flush()
        provider.shutdown()

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stores_what_an_sdk_sends_and_ends_cleanly(served: Served, number: int) -> None:
    served.export("a", "b", "c")
    sql = "select operation from spans order by 1"
    live = commands.run("query", "--store", served.http, "--json", sql)
    assert [json.loads(line)["operation"] for line in live.stdout.splitlines()] == ["a", "b", "c"]
    through_file = commands.run("query", "--store", served.db, "--json", sql)
    assert through_file.stdout == live.stdout, "a file that a collector holds answers through that collector"
    code, out, error = served.end(number)
    assert (code, error) == (0, "")
    assert "everything acknowledged is in the store" in out
    closed = run("query", "--store", served.db, "--json", sql, cwd=served.folder)
    assert closed.stdout == live.stdout


def test_a_killed_collector_lost_nothing_and_starts_again(served: Served) -> None:
    served.export("a", "b")
    served.process.kill()
    served.process.communicate()
    result = commands.run("query", "--store", served.db, "--json", "select count(*) n from spans")
    assert json.loads(result.stdout) == {"n": 2}
    again = Served(served.folder)
    again.export("c")
    assert again.end(signal.SIGTERM)[0] == 0
    result = commands.run("query", "--store", served.db, "--json", "select count(*) n from spans")
    assert json.loads(result.stdout) == {"n": 3}


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        fails(
            run("serve", "--http", address, cwd=tmp_path),
            f"cannot listen at {address}: Address already in use",
        )
        fails(
            run("serve", "--grpc", address, "--http", "127.0.0.1:0", cwd=tmp_path), "Address already in use"
        )


def test_nothing_is_listed_at_the_end_whenever_the_decoder_was_compiled(tmp_path: Path) -> None:
    """A command that fails early ends while kernels compile, or just after."""
    script = "import time, tracescape.cli as cli\ncode = cli.run()\n"
    script += "while cli._compiling():\n time.sleep(0.05)\ncli._end(code)"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = subprocess.run(
            [sys.executable, "-c", script, "serve", "--grpc", address, "--http", "127.0.0.1:0"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert "decoder     compiled" in result.stdout
    fails(result, "Address already in use")


def test_a_database_that_another_process_holds(served: Served) -> None:
    result = run("serve", "--db", served.db, cwd=served.folder)
    fails(result, f"Process {served.process.pid} holds")


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    fails(
        run("explore", "missing.db", "--screenshot", "x.png", cwd=tmp_path), "There is no store at missing.db"
    )
    fails(commands.run("query", "--store", tmp_path / "missing.db", "select 1"), "There is no store at")


def test_a_collector_that_is_not_there() -> None:
    fails(
        commands.run("query", "--store", "127.0.0.1:9", "select 1"),
        "No collector answers",
        "tracescape serve",
    )


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello " * 1000)
    fails(run("serve", "--db", "text.db", cwd=tmp_path), "not a Tracescape store")
    fails(run("explore", "text.db", cwd=tmp_path), "not a Tracescape store")


def test_wrong_sql(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.folder)
    for sql in ("select nope from spans", "drop table spans", "select 1; select 2", "gibberish"):
        fails(commands.run("query", "--store", served.http, sql))


def test_no_display(served: Served) -> None:
    served.export("a")
    fails(run("explore", served.http, cwd=served.folder), "--screenshot")


def test_wrong_times_sizes_and_speeds(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.folder)
    served.export("a")
    explore = ("explore", served.http, "--screenshot", "x.png")
    fails(commands.run(*explore, "--since", "yesterdayish"), "is no time; write 15m")
    fails(commands.run(*explore, "--size", "huge"), "is no size")
    fails(commands.run(*explore, "--since", "1m", "--until", "2m"), "the window is empty")
    fails(commands.run("replay", "x.parquet", "--speed", "warp"), "is no speed")


def test_a_picture_without_a_display(served: Served) -> None:
    served.export("a", "b")
    result = run("explore", served.http, "--screenshot", "x.png", "--size", "640x360", cwd=served.folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "x.png"
    assert (served.folder / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_a_focus_a_theme_and_a_view(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.folder)
    served.export("a", "b")
    service = "cart"
    picture = ("explore", served.http, "--size", "320x200", "--screenshot")
    view = ("--view", "0,-20,9,0,0,1", "--theme", "light")
    options = ("--focus", service, "--hops", "1", "--direction", "down", "--select", service, *view)
    for name, more in (("a.png", ()), ("b.png", options)):
        result = commands.run(*picture, name, *more)
        assert result.returncode == 0, result.stderr
    assert (served.folder / "a.png").read_bytes() != (served.folder / "b.png").read_bytes()
    fails(commands.run(*picture, "c.png", "--focus", service + "x"), f"Did you mean {service}?")
    fails(commands.run(*picture, "c.png", "--select", "nobody"), f"There are: {service}")
    fails(commands.run(*picture, "c.png", "--view", "1,2"), "six numbers")


def test_a_picture_of_an_empty_store_says_so(served: Served) -> None:
    picture = served.folder / "x.png"
    result = commands.run("explore", served.http, "--screenshot", picture, "--size", "640x360")
    assert result.returncode == 0
    assert "holds no spans yet" in result.stderr


def test_a_picture_that_cannot_be_written(served: Served) -> None:
    served.export("a")
    fails(
        commands.run("explore", served.http, "--screenshot", served.folder / "nowhere" / "x.png"), "nowhere"
    )


def test_options_come_from_flags_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracescape.toml").write_text('[query]\ntarget = "from-file.db"\n')
    fails(commands.run("query", "select 1"), "from-file.db")
    monkeypatch.setenv("TRACESCAPE_STORE", "from-env.db")
    fails(commands.run("query", "select 1"), "from-env.db")
    fails(commands.run("query", "--store", "from-flag.db", "select 1"), "from-flag.db")
    monkeypatch.delenv("TRACESCAPE_STORE")
    (tmp_path / "tracescape.toml").write_text("[query\n")
    fails(commands.run("query", "select 1"), "tracescape.toml is not valid TOML")


def test_explore_opens_a_window_on_a_live_collector_that_follows_it(served: Served, display: str) -> None:
    served.export("a")
    environment = {**os.environ, "DISPLAY": display}
    window = subprocess.Popen(
        [COMMAND, "explore", served.http, "--size", "640x400"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    title = f"{served.http}$"
    for _ in range(300):
        found = xdotool(display, "search", "--name", title).split()
        if found:
            break
        assert window.poll() is None, window.communicate()
        time.sleep(0.1)
    served.export("b")
    time.sleep(1.5)  # the window asks the collector again meanwhile; it must survive its end as well
    assert served.end(signal.SIGTERM)[0] == 0
    time.sleep(1.5)
    assert window.poll() is None, "the window stays when its collector goes"
    xdotool(display, "key", "--window", found[-1], "q")
    out, error = window.communicate(timeout=30)
    assert (window.returncode, out, error) == (0, "", "")


def test_help_names_every_command(tmp_path: Path) -> None:
    text = run("--help", cwd=tmp_path).stdout
    for command in ("serve", "explore", "demo", "replay", "query", "search", "tail"):
        assert command in text
