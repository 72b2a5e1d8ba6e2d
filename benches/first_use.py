"""The first minutes of somebody who has just installed this: from a process's start to its answers.

Each line is a process of its own. The first of a kind has no machine code of any kernel and compiles what it
needs; the second finds it in the cache. Besides the time on the clock, which others on the machine stretch,
stands the CPU time of the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import workload

from tracescape_storage.duckdb_file import DuckDBStore

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "ingest", "storage", "analytics", "render", "native")
SPANS = 5_000
#: Seconds that each may take.
COMPILED_S, CACHED_S = 60, 2
#: Prints the wall and CPU seconds since the process began, after each step.
CLOCK = """
import sys, time
def tell():
    print(time.time(), time.process_time())
"""
IMPORTS = "import tracescape as ts\nstore = ts.open(sys.argv[1])\ntell()\n"
PROGRAMS = {
    "topology": f"{CLOCK}{IMPORTS}store.topology()\ntell()",
    "aggregate critical path": f"{CLOCK}{IMPORTS}store.critical_path()\ntell()",
    "diagnosis": f"{CLOCK}{IMPORTS}store.diagnose()\ntell()",
    "every kernel, as the demo prepares them": (
        f"{CLOCK}from tracescape_analytics.warm_up import warm_up\ntell()\nwarm_up()\ntell()"
    ),
}


@dataclass(frozen=True)
class Took:
    """Seconds since the process was started: on the clock, and of CPU."""

    wall: float
    cpu: float


def run(program: str, path: Path, cache: Path) -> tuple[Took, Took]:
    """Until everything is imported and open, and until the answer."""
    paths = os.pathsep.join(str(ROOT / name) for name in PACKAGES)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": paths}
    begin = time.time()
    ended = subprocess.run(
        [sys.executable, "-c", program, path], env=environment, capture_output=True, text=True, check=True
    )
    ready, answered = (
        Took(float(wall) - begin, float(cpu)) for wall, cpu in map(str.split, ended.stdout.splitlines())
    )
    return ready, answered


def stored(path: Path) -> None:
    """A file of some spans."""
    table: pa.Table = workload.random(SPANS)
    store = DuckDBStore(path)
    store.append({"spans": table})
    store.close()


def main() -> None:
    """Print each question, compiled and from the cache."""
    print(f"from the start of a process to the answer, seconds on the clock (and of CPU), {SPANS:,} spans")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.db"
        stored(path)
        for number, (name, program) in enumerate(PROGRAMS.items()):
            cache = Path(folder) / f"cache-{number}"
            print(f"\n{name}")
            for how, target in (("compiled", COMPILED_S), ("from the cache", CACHED_S)):
                ready, answered = run(program, path, cache)
                print(
                    f"  {how:<18}{answered.wall:7.2f} ({answered.cpu:6.2f}), of which until it is imported"
                    f" and open {ready.wall:6.2f} ({ready.cpu:5.2f})   target {target}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
