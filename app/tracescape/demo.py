"""The demo: a collector, a shop that sends it real OTLP, and the window (or a picture) over both."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from rich.console import Console

from tracescape.answers import Diagnosis
from tracescape.collector import Collector
from tracescape.panels import StorePanels
from tracescape.progress import counting
from tracescape.shop import KINDS, Fault, Shop, ShopConfig, parsed
from tracescape.store import Store, connect
from tracescape.times import format_duration
from tracescape.view import follow, placed, recent
from tracescape_analytics.warm_up import warm_up
from tracescape_ingest.address import PortInUseError
from tracescape_render import Start, open_window, screenshot
from tracescape_render.picture import check_graphics
from tracescape_render.system import display_answers, missing_packages
from tracescape_render.verdict import leading
from tracescape_storage.duckdb_file import DuckDBStore, journal_folder

_MINUTE: Final = 60_000_000_000
HISTORY_NS: Final = 8 * _MINUTE
DEGRADED_NS: Final = 2 * _MINUTE
LIVE_S: Final = 6.0
RATE_PER_S: Final = 6.0
FAULT: Final = "slow-dependency"


def run_demo(
    db: Path,
    *,
    grpc: str,
    http: str,
    picture: Path,
    off_screen: bool,
    console: Console,
    fault: str = FAULT,
) -> None:
    """Run the demo until its window closes; without a display, until its picture is written.

    ``fault`` is what goes wrong, as `shop.parsed` reads it.

    Raises:
        ValueError: there is no such fault.
        RenderError: libraries that every picture needs are missing; said before anything starts.
        StoreError, PortInUseError: the store or an address cannot be had.
    """
    display = not off_screen and not missing_packages(display=True) and display_answers()
    wrong = parsed(fault, since_s=(HISTORY_NS - DEGRADED_NS) / 1e9)
    check_graphics(display=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended like by Ctrl-C: in order
    _forget(db)
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(_collector(db, grpc, http, console))
        console.print(
            f"collector   OTLP/gRPC at {collector.grpc_endpoint}, questions at {collector.http_url}"
        )
        begin = time.time_ns()
        with console.status("preparing the kernels (compiled once after installation, then cached) …"):
            warm_up()
        console.print(f"kernels     ready in {(time.time_ns() - begin) / 1e9:.1f} s")
        shop = stack.enter_context(_shop(collector.grpc_endpoint, wrong))
        degraded_since = _send_history(shop, console)
        minutes = DEGRADED_NS // _MINUTE
        console.print(
            f"fault       {wrong}: {KINDS[wrong.kind].summary}, for {minutes} minutes now", markup=False
        )
        store = stack.enter_context(connect(collector.http_url))
        stack.enter_context(_live(shop))
        if not display:
            with console.status(f"the shop goes on live for {LIVE_S:.0f} s …"):
                time.sleep(LIVE_S)
            shop.flush()
        _show(store, degraded_since, picture, display=display, console=console)
    console.print(f"\nEverything is in {db}. Next:", markup=False)
    command = _command()
    for line in (
        f"{command} explore {db}   # the window; --screenshot FILE without a display",
        f"{command} diagnose --store {db}   # what broke, and traces to open",
        f'{command} query --store {db} "select service, count(*) from spans_v group by all"',
        f"{command} serve   # then point your own exporter at localhost:4317",
    ):
        console.print(f"  {line}", markup=False)


def _command() -> str:
    """What to type for this very program: its name where the shell finds it, else its path or its module."""
    program = Path(sys.argv[0]).absolute()
    if program.name == "__main__.py":
        return "python -m tracescape"
    if shutil.which(program.name) == str(program):
        return program.name
    return str(program.relative_to(Path.cwd())) if program.is_relative_to(Path.cwd()) else str(program)


def _show(store: Store, degraded_since: int, picture: Path, *, display: bool, console: Console) -> None:
    topology = recent(store)
    baseline = (degraded_since - HISTORY_NS, degraded_since)
    found = store.diagnose(degraded_since, baseline=baseline)
    screenshot(placed(topology, store, store.reader.positions(), leading(found)), picture)
    _tell(found, topology.nodes, console)
    console.print(f"\npicture     {picture.absolute()}", markup=False)
    if display:
        console.print(
            "The window is live. Press ? in it for keys; close it or press Ctrl-C to end everything."
        )
        panels = StorePanels(store)
        start = Start(title="Tracescape · demo", command=("tracescape", "explore", store.location))
        open_window(follow(store, recent, panels=panels), questions=panels, start=start)


def _tell(found: Diagnosis, nodes: pl.DataFrame, console: Console) -> None:
    services = nodes.filter(pl.col("kind") == "service").height
    console.print(f"\nfound       {services} services and {nodes.height - services} things around them")
    for row in nodes.filter(pl.col("state").is_in(["failing", "degraded"])).iter_rows(named=True):
        errors = row["errors"] / max(row["calls"], 1)
        numbers = f"{errors:.1%} errors, p95 {format_duration(row['p95_ns'] or 0)}"
        console.print(f"            {row['service']} is {row['state']}: {numbers}", markup=False)
    console.print(f"\n{found}", markup=False, soft_wrap=True)


def _send_history(shop: Shop, console: Console) -> int:
    """Some minutes of the past, the last of them degraded. Returns when that began."""
    now = time.time_ns()
    begin, degraded = now - HISTORY_NS, now - DEGRADED_NS
    with counting("the shop sends its last minutes", console) as progress:
        started = time.monotonic()
        sent = shop.backfill(begin, now, progress=progress)
    seconds = time.monotonic() - started
    minutes = HISTORY_NS // _MINUTE
    console.print(
        f"shop        {sent:,} spans of the last {minutes} minutes sent and stored in {seconds:.1f} s"
    )
    return degraded


@contextlib.contextmanager
def _shop(endpoint: str, fault: Fault) -> Iterator[Shop]:
    config = ShopConfig(rate_per_s=RATE_PER_S, faults=(fault,))
    shop = Shop(lambda: OTLPSpanExporter(endpoint=endpoint, insecure=True), config)
    try:
        yield shop
    finally:
        shop.shutdown()


@contextlib.contextmanager
def _live(shop: Shop) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=shop.run, args=(stop,), name="shop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def _collector(db: Path, grpc: str, http: str, console: Console) -> Collector:
    """At the usual addresses; where those are taken, at free ones, and say so."""
    try:
        return Collector(db, grpc=grpc, http=http)
    except PortInUseError as error:
        console.print(f"{error}; the demo takes free ports instead", style="yellow", markup=False)
        return Collector(db, grpc="127.0.0.1:0", http="127.0.0.1:0")


def _forget(db: Path) -> None:
    """Begin anew. What somebody is using, or what is no store, is not deleted: opening it says so."""
    if db.exists():
        DuckDBStore(db).close()
    for path in (db, db.with_name(db.name + ".wal")):
        path.unlink(missing_ok=True)
    shutil.rmtree(journal_folder(db), ignore_errors=True)
