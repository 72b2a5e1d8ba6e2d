"""A folder that another process has open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("chdb")

from tracescape.store import connect
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.writer import Writer
from tracescape_storage.errors import StoreError

HOLD = """
import sys
import clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
client.command("CREATE TABLE made (x UInt8) ENGINE = MergeTree ORDER BY x")
print("held", flush=True)
sys.stdin.read()
"""
OPEN = """
import sys
import tracescape as ts
try:
    ts.connect(f"clickhouse+chdb://{sys.argv[1]}")
except ts.StoreError as error:
    print(error)
"""


def test_a_folder_that_another_process_holds_is_named_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "held"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        environment = {"PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", OPEN, str(folder)]
        told = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=240, check=False
        )
        holder.communicate("")
    assert told.stdout == (
        f"{folder} cannot be opened: process {holder.pid} holds it. One process reads or writes a folder at a"
        " time; a server lets many.\n"
    )
    assert told.stderr == ""


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StoreError, match="There is no ClickHouse in the folder"):
        connect(f"clickhouse+chdb://{tmp_path}")
    with pytest.raises(StoreError, match=r"holds other things, such as notes.txt"):
        Writer(parse_address(f"clickhouse+chdb://{tmp_path}"))
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file cannot be made: File exists"):
        Writer(parse_address(f"clickhouse+chdb://{tmp_path}/file"))
