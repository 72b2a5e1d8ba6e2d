"""The main job, as the README's first command runs it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tracescape as ts
from support.otlp import request, span
from tracescape.collector import Collector
from tracescape.demo import _command, _forget
from tracescape_ingest.intake import Signal

COMMAND = Path(sys.executable).with_name("tracescape")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY"}
    }
    return subprocess.Popen(
        [COMMAND, "demo", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_finds_the_slow_dependency_and_leaves_a_picture_and_a_store(tmp_path: Path) -> None:
    out, error = start(tmp_path).communicate(timeout=120)
    assert error == ""
    assert "14 services" in out
    assert "inventory is failing" in out
    assert re.search(
        r"1\. postgresql inventory@inventory-db \(slow calls to it, since .*\)\. .*UPDATE stock", out
    )
    assert re.search(r"bad trace [0-9a-f]{32}", out)
    assert "diagnose --store" in out
    assert (tmp_path / "tracescape-demo.png").read_bytes().startswith(b"\x89PNG")
    with ts.open(tmp_path / "tracescape-demo.db") as store:
        said = re.search(r"shop +([\d,]+) spans", out)
        assert said is not None
        assert store.extent().spans >= int(said[1].replace(",", ""))
    assert not list(tmp_path.glob("*.collector.json")), "nothing is left running or announced"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_the_store_opens(tmp_path: Path, number: int) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    while "shop  " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode not in {0, -number}, "it ended in order, and says that it was interrupted"
    assert "Traceback" not in error
    with ts.open(tmp_path / "tracescape-demo.db") as store:
        assert store.extent().spans > 10_000


def test_a_taken_port_is_no_obstacle(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start(tmp_path, "--http", address)
        assert process.stdout is not None
        first = process.stdout.readline()
        process.kill()
        process.communicate()
    assert f"cannot listen at {address}: Address already in use; the demo takes free ports instead" in first


def test_a_file_that_is_no_store_is_not_deleted(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work " * 1000)
    _, error = start(tmp_path, "--db", "thesis.txt").communicate(timeout=60)
    assert "not a Tracescape store" in error
    assert precious.read_text().startswith("years of work")


def test_the_demo_begins_anew_where_an_earlier_one_has_been(tmp_path: Path) -> None:
    db = tmp_path / "t.db"
    for _ in range(2):
        _forget(db)
        with Collector(db, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
            assert collector.reader().extent().spans == 0
            data = request(span()).SerializeToString()
            collector.lanes["default"].intake.submit(Signal.TRACES, data).result(10)
            assert collector.reader().extent().spans == 1


def test_a_fault_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    _, error = start(tmp_path, "--fault", "flood").communicate(timeout=60)
    assert "there is no fault 'flood'; there are: slow-dependency, cpu, bad-version" in error
    assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        (ts.__file__.replace("__init__", "__main__"), "python -m tracescape"),
        (str(COMMAND), "tracescape"),
    ],
)
def test_what_comes_next_is_typed_as_the_demo_was(
    program: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "demo"])
    monkeypatch.setenv("PATH", str(COMMAND.parent))
    assert _command() == typed
