"""The compiled scan stays inside its memory, whatever the bytes; where it would not, a process dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tracescape_native.memory import INTERPRETED

pytestmark = pytest.mark.skipif(INTERPRETED, reason="what is not compiled checks its bounds")

_ROOT = Path(__file__).parent.parent.parent
_FOLDERS = [str(_ROOT / folder) for folder in ("ingest", "storage", "native", "tests", "tests/native")]


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(_FOLDERS)
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else []), *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        cwd=_ROOT,
    )


def test_no_mutant_makes_the_scan_read_or_write_beyond_its_memory() -> None:
    found = python("import fuzz_scan; print(fuzz_scan.fuzz(3.0, 4317))")
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 1000


def test_the_guard_does_stop_whoever_goes_beyond() -> None:
    found = python(
        "import fuzz_scan; from tracescape_native.json_text import copy_text;"
        "guarded = fuzz_scan.Guarded(100).last(100); copy_text(guarded, 0, 101, guarded, 0)"
    )
    assert found.returncode == -signal.SIGSEGV


def test_no_index_is_out_of_bounds_where_numba_checks_each(tmp_path: Path) -> None:
    """What goes beyond an array, but not beyond its page, meets no guard: rows, keys and tables are indexed.

    Bytes are loaded by address, which nobody checks but the guards.
    """
    found = python(
        "import fuzz_scan, numba, numpy as np\n"
        "beyond = numba.njit(lambda array: array[len(array)])\n"
        "try: beyond(np.zeros(100))\n"
        "except IndexError: print('checked', fuzz_scan.fuzz(2.0, 4317))",
        NUMBA_BOUNDSCHECK="1",
        NUMBA_CACHE_DIR=str(tmp_path),  # what was compiled without checks stays out
    )
    assert found.returncode == 0, found.stderr
    word, count = found.stdout.split()
    assert (word, int(count) > 200) == ("checked", True)


def test_the_kernels_do_the_same_as_plain_python() -> None:
    """So a fuzzer that follows coverage sees the very code that is compiled."""
    tests = ("test_decode.py", "test_fast_spans.py", "test_fast_spans_tables.py")
    slow = ("dictionaries_grow", "more_different_names", "thousands", "long_text", "fuzzer_found")
    skipped = " and ".join(f"not {name}" for name in slow)
    found = python(
        "",
        *("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", skipped),
        *(f"tests/ingest/{name}" for name in tests),
        NUMBA_DISABLE_JIT="1",
    )
    assert found.returncode == 0, found.stdout[-4000:]
