"""A folder that another process has open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("chdb")

HOLD = """
import sys
import clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
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
    assert told.stdout.startswith(f"clickhouse+chdb://{folder} cannot be opened: another process holds it"), (
        told.stdout + told.stderr
    )
