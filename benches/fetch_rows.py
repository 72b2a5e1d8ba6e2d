"""A million rows from a collector into a notebook: ``python benches/fetch_rows.py [ROWS]``.

Spans go in through the collector's own intake; then eight columns of them are asked for over HTTP, as
Arrow and as a Polars frame, with the collector in a process of its own as in life.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sized
from pathlib import Path

import tracescape as ts
from tracescape_ingest.decode import decode_traces
from tracescape_storage.duckdb_file import DuckDBStore

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.otlp import request, span

QUERY = (
    "SELECT trace_id, span_id, parent_span_id, start_ns, duration_ns, service, operation, status FROM spans"
)
_A_REQUEST = 5_000
ADDRESS = "127.0.0.1:43180"


def filled(path: Path, rows: int) -> None:
    """Make a store of ``rows`` spans of 25 operations."""
    store = DuckDBStore(path)
    for first in range(0, rows, _A_REQUEST):
        numbers = range(first, first + _A_REQUEST)
        spans = [span(f"GET /{i % 25}", start=1_000 * i, end=1_000 * i + 700) for i in numbers]
        store.append(decode_traces(request(*spans).SerializeToString()).tables)
    store.close()


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.db"
        filled(path, rows)
        command = [
            sys.executable,
            "-c",
            "from tracescape.cli import main; main()",
            "serve",
            "--db",
            str(path),
        ]
        with subprocess.Popen([*command, "--grpc", "127.0.0.1:0", "--http", ADDRESS]) as collector:
            store = connected(ADDRESS)
            store.sql("SELECT count(*) FROM spans")
            for name, ask in (("Arrow", store.reader.sql), ("Polars", store.sql)):
                seconds = [timed(ask, rows) for _ in range(5)]
                median, best = statistics.median(seconds), min(seconds)
                print(f"{name:7} {rows:,} rows: median {median:.2f} s, best {best:.2f} s")
            store.close()
            collector.terminate()


def connected(address: str) -> ts.Store:
    """A store as soon as the collector listens."""
    for _ in range(200):
        try:
            return ts.connect(address)
        except ts.StoreError:
            time.sleep(0.1)
    return ts.connect(address)


def timed(ask: Callable[[str], Sized], rows: int) -> float:
    begin = time.monotonic()
    answer = ask(QUERY)
    seconds = time.monotonic() - begin
    assert len(answer) == rows
    return seconds


if __name__ == "__main__":
    main()
