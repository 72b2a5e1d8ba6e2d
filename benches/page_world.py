"""A large world in the page: to write it, to load it in a browser, to draw it, to open an island of it.

A real collector, whose topology is a made-up one of that size; headless Chromium, which draws on the
processor where there is no graphics card. Besides times on the clock it prints what the processor worked in
the browser and in this process: on a machine that others use too, those count.

    python benches/page_world.py [--bodies 10000] [--calls 50000] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import IO, Any

import httpx
import polars as pl

import tracescape.page.questions as page_questions
from render import community_graph  # the file beside this one
from tracescape.collector import Collector
from tracescape.store import Topology
from tracescape_analytics.topology import Unpaired

PACKAGES = Path(__file__).parents[1] / "render" / "web"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def made_up(bodies: int, calls: int) -> Topology:
    """A topology of that size over the last minute."""
    nodes, edges = community_graph(bodies, calls)
    edges = edges.with_columns(
        errors=pl.lit(0),
        **{f"{side}_{name}_ns": pl.lit(1e6) for side in ("client", "server") for name in ("p50", "p95")},
    )
    until = time.time_ns()
    total = int(edges["calls"].sum())
    return Topology(nodes, edges, until - 60 * 10**9, until, total, total, Unpaired(0, 0, 0))


def worked_s(root: int) -> float:
    """Processor seconds of a process and all below it that still run."""
    parents: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) * _TICK_S
    below = {root}
    while more := {pid for pid, (parent, _) in parents.items() if parent in below} - below:
        below |= more
    return sum(parents[pid][1] for pid in below if pid in parents)


def browsed(url: str, browser: str) -> tuple[dict[str, Any], float]:
    """What a browser says of the world at ``url``, and what it worked."""
    told = {"url": url, "browser": browser, "packages": str(PACKAGES), "turns": 12}
    command = ["node", str(Path(__file__).with_suffix(".mjs")), json.dumps(told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        go = partial(_go, running.stdin)
        assert running.stdout.readline(), "the browser did not start"
        before = worked_s(running.pid)
        go()
        seen = json.loads(running.stdout.readline())
        seen["loaded_s"] = worked_s(running.pid) - before
        go()
        seen |= json.loads(running.stdout.readline())
        worked = worked_s(running.pid) - before
        go()
        running.wait(30)
    return seen, worked


def _go(to: IO[str]) -> None:
    to.write("go\n")
    to.flush()


def measure(bodies: int, calls: int, runs: int) -> None:
    """Print a line a run."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no Chromium is installed")
    topology = made_up(bodies, calls)
    page_questions._topology = lambda *_: topology  # what is stored is not measured here
    print(f"{bodies:,} bodies, {len(topology.edges):,} connections; load {os.getloadavg()[0]:.1f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        Collector(Path(folder) / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector,
    ):
        for name, parameters in (
            ("everybody", {}),
            ("software", {"renderer": "SwiftShader"}),
            ("a graphics card", {"renderer": "NVIDIA"}),
        ):
            asked = []
            for _ in range(runs + 1):  # the first compiles, and finds places
                clock, processor = time.perf_counter(), time.process_time()
                size = len(
                    httpx.get(f"{collector.http_url}/ask/world", params=parameters, timeout=120).content
                )
                asked.append((time.perf_counter() - clock, time.process_time() - processor))
            clock_s, processor_s = min(asked[1:])
            print(f"  told to {name}: {size:,} bytes, {clock_s:.2f} s, {processor_s:.2f} s of work")
        for _ in range(runs):
            before = time.process_time()
            seen, worked = browsed(collector.http_url, browser)
            here = time.process_time() - before
            opened = "" if seen["opened_ms"] is None else f", an island opens in {seen['opened_ms']:.0f} ms"
            print(
                f"  first full picture {seen['ready_ms'] / 1e3:.2f} s after navigation"
                f" (asked at {seen['asked_ms'] / 1e3:.2f} s, told in {seen['told_ms'] / 1e3:.2f} s,"
                f" {seen['bytes']:,} bytes), a frame {seen['frame_ms']:.0f} ms{opened};"
                f" worked: browser {seen['loaded_s']:.1f} s until then, {worked:.1f} s in all,"
                f" collector {here:.1f} s"
            )
        shown = f"{seen['bodies']:,} bodies, {seen['arcs']:,} arcs, {seen['calls']} draw calls"
        print(f"  {shown}, {seen['renderer']}")
        print(f"  {seen['caption']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    measure(given.bodies, given.calls, given.runs)
