"""The notebook of an incident on faults of a public day, run as an engineer would when the alarm goes off.

    python benches/root_cause/incident.py [--data ../shared/data] [--set SET] [--fault 3 …] [--pages FOLDER]

For each fault the half hour before it and its own time are replayed into a collector, through OTLP; then
``examples/incident.ipynb`` asks its store. What it says is printed beside what was injected; with ``--pages``
the notebooks are kept, with their pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import nbformat
import polars as pl
from nbclient import NotebookClient

from tracescape.collector import Collector
from tracescape.replay import replay

NOTEBOOK = Path(__file__).parents[2] / "examples" / "incident.ipynb"
BEFORE_NS = 30 * 60 * 1_000_000_000


def main() -> None:
    """Run the notebook for every fault asked for."""
    options = _options()
    faults = json.loads((options.data / "rca" / f"{options.set}.faults.json").read_text())
    spans = pl.read_parquet(options.data / "rca" / f"{options.set}.parquet")
    for number in options.fault or range(1, 4):
        fault = faults[number - 1]
        with tempfile.TemporaryDirectory() as folder:
            store = replayed(spans, fault["start_ns"], fault["end_ns"], Path(folder))
            document = _run(store, fault["start_ns"], fault["end_ns"])
        print(f"\n{number}. injected: {fault['fault']} at {fault['service']}\n{_said(document)}", flush=True)
        if options.pages:
            options.pages.mkdir(exist_ok=True)
            nbformat.write(document, options.pages / f"incident-{number}.ipynb")


def replayed(spans: pl.DataFrame, begin_ns: int, end_ns: int, folder: Path) -> Path:
    """A store of what started in ``[begin_ns, end_ns)`` or in the half hour before."""
    table, store = folder / "spans.parquet", folder / "incident.db"
    spans.filter(pl.col("start_ns").is_between(begin_ns - BEFORE_NS, end_ns, closed="left")).write_parquet(
        table
    )
    with Collector(store, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        sent = replay(table, collector.grpc_endpoint, speed=None)
    if sent.spans_failed:
        raise RuntimeError(f"{sent.spans_failed} spans were not acknowledged")
    return store


def _run(store: Path, begin_ns: int, end_ns: int) -> nbformat.NotebookNode:
    since, until = (
        pl.Series([ns]).cast(pl.Datetime("ns")).dt.to_string("iso")[0] for ns in (begin_ns, end_ns)
    )
    asked = {"TRACESCAPE_STORE": str(store), "TRACESCAPE_SINCE": since + "Z", "TRACESCAPE_UNTIL": until + "Z"}
    document = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(document, timeout=300, resources={"metadata": {"path": str(store.parent)}})
    client.execute(env={**os.environ, **asked})
    return document


def _said(document: nbformat.NotebookNode) -> str:
    """What the diagnosis printed."""
    cell = next(each for each in document.cells if "store.diagnose" in each.source)
    return "".join(output.get("text", "") for output in cell.outputs).rstrip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = Path(os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--set", default="online-boutique-2022-08-22", help="a day of spans")
    parser.add_argument("--fault", type=int, action="append", help="its number, from 1; repeatable")
    parser.add_argument("--pages", type=Path, help="where to keep the notebooks, run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
