"""The kernels as plain Python say what they say compiled: what a debugger or a reader steps through is it.

``NUMBA_DISABLE_JIT=1 pytest tests/native tests/analytics`` runs them all; here are those of topology and of
critical paths, on reduced sizes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracescape_native.memory import INTERPRETED

HERE = Path(__file__).resolve().parent
KERNELS = ("forest", "critical_path", "slack", "critical_sums", "edges", "call_counts", "call_paths", "tally")
#: These are about tables that grow, which takes many rows.
SLOW = ("grows_beyond", "many_twins")


@pytest.mark.skipif(INTERPRETED, reason="it runs as plain Python already")
def test_topology_and_critical_paths_are_the_same_as_plain_python() -> None:
    skipped = " and ".join(f"not {name}" for name in SLOW)
    files = [str(HERE / f"test_{name}.py") for name in KERNELS]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", skipped, *files],
        cwd=HERE.parent.parent,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-4000:]
