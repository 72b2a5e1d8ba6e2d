"""How long a diagnosis takes from the file: a sixth of the spans is the window, the rest the baseline.

    python benches/root_cause/speed.py [--spans 1000000] [--rounds 5] [--data ../shared/data]

Recorded spans where they are (repeated as needed), else random ones. CPU is user and system time of all
threads: on a busy machine that is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from topology import dressed, filled, spans_to_tile

from tracescape_analytics.root_cause import diagnose
from tracescape_storage.duckdb_file import open_reader


def main() -> int:
    """Print wall and CPU seconds of each round's median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    default = os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    options = parser.parse_args()
    recorded = options.data / "rca" / "online-boutique-2022-08-22.parquet"
    frame = dressed(spans_to_tile(recorded if recorded.exists() else None))
    with tempfile.TemporaryDirectory(prefix="tracescape-bench-") as folder:
        path = Path(folder) / "spans.db"
        filled(path, frame, options.spans)
        reader = open_reader(path)
        extent = reader.extent()
        since = extent.last_start_ns - (extent.last_start_ns - extent.first_start_ns) // 7
        ways = {"a window given": {"since_ns": since}, "without a window": {}}
        for name, asked in ways.items():
            diagnose(reader, **asked)
            wall, cpu = [], []
            for _ in range(options.rounds):
                begin, used = time.perf_counter(), time.process_time()
                diagnose(reader, **asked)
                wall.append(time.perf_counter() - begin)
                cpu.append(time.process_time() - used)
            print(
                f"  diagnose of {options.spans:,} spans, {name}: {statistics.median(wall):.2f} s "
                f"(best {min(wall):.2f}), {statistics.median(cpu):.2f} s of CPU",
                flush=True,
            )
        reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
