"""Every bench, one after the other: what `make bench` prints."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
#: Those that take minutes run in a short form here.
BENCHES = (
    ("decode.py",),
    ("insert.py",),
    ("ingest.py", "--short"),
    ("fsync.py",),
    ("faults.py", "--rounds", "2"),
    ("first_use.py",),
    ("analyse.py", "--spans", "10000", "1000000", "--stored", "1000000"),
    ("beside_crisp.py", "--spans", "20000", "--ours", "1000000"),
    ("topology.py",),
    ("timeline.py", "--spans", "1000000"),
    ("render.py",),
    ("layout.py", "--nodes", "300", "3000", "10000"),
    ("root_cause/run.py",),
)


def main() -> int:
    """Run each bench in a process of its own; the worst exit code."""
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True)
    worst = 0
    for name, *options in BENCHES:
        worst = max(worst, subprocess.run([sys.executable, HERE / name, *options], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
