"""The window over a live collector: until it is up, and until new data is on the screen.

    python benches/window.py [--display :0] [--opens 5] [--spans 30]

Up is: from the start of the process (Python, imports and kernels from their cache included) until the first
picture is drawn. New data is a trace that names a service nobody has seen: from its acknowledgement over
OTLP/gRPC until a frame with that service is drawn. The rest of the shop goes on meanwhile. Without
``--display`` it is an Xvfb of its own, and the renderer software; the renderer's name is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from support.display import x_server
from support.otlp import request, span
from tracescape.collector import Collector
from tracescape.shop import Shop, ShopConfig

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MINUTES = 8

#: The window in a process of its own, as ``tracescape explore`` opens it; it says what is drawn, and when.
CHILD = """
import sys, time
from tracescape.panels import StorePanels
from tracescape.store import connect
from tracescape.view import follow, recent
from tracescape_render import open_window

def ready(window):
    print("ready", time.time(), window.world.stage.profile.renderer, flush=True)
    told, painted = set(), window.world.painted
    def seen(seconds):
        painted(seconds)
        scene = window.world.stage.scene
        for name in scene.services if scene is not None else ():
            if name.startswith("new-") and name not in told:
                told.add(name)
                print("seen", time.time(), name, flush=True)
    window.world.painted = seen

with connect(sys.argv[1]) as store:
    panels = StorePanels(store)
    open_window(follow(store, recent, panels=panels), questions=panels, on_ready=ready)
"""


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--display")
    parser.add_argument("--opens", type=int, default=5)
    parser.add_argument("--spans", type=int, default=30)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        display = options.display or stack.enter_context(x_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        collector = stack.enter_context(Collector(folder / "shop.db", grpc="127.0.0.1:0", http="127.0.0.1:0"))
        stack.enter_context(going_shop(collector))
        up = []
        for number in range(options.opens + 1):
            with window(collector, display) as lines:
                began, moment, renderer = lines[0]
                if number:  # the first fills the caches
                    up.append(moment - began)
        with window(collector, display) as lines:
            time.sleep(3.0)
            lags = [lag(collector, lines, number) for number in range(options.spans)]
    print(f"renderer: {renderer}")
    print(f"window up: {np.median(up):.2f} s (worst of {len(up)}: {max(up):.2f})   target 4 s")
    p50, p95 = np.quantile(lags, [0.5, 0.95])
    print(f"new data on screen after its acknowledgement: p50 {p50:.2f} s, p95 {p95:.2f} s   target p95 2 s")


@contextlib.contextmanager
def going_shop(collector: Collector) -> Iterator[None]:
    """The last minutes of a shop, which goes on."""
    shop = Shop(
        lambda: OTLPSpanExporter(endpoint=collector.grpc_endpoint, insecure=True), ShopConfig(rate_per_s=6.0)
    )
    now = time.time_ns()
    shop.backfill(now - MINUTES * 60 * 1_000_000_000, now)
    stop = threading.Event()
    thread = threading.Thread(target=shop.run, args=(stop,), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)
    shop.shutdown()


Lines = list[tuple[float, float, str]]


@contextlib.contextmanager
def window(collector: Collector, display: str) -> Iterator[Lines]:
    """What a window says: when it was started and ready, and its renderer; then what it saw, and when."""
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, collector.http_url],
        env={**os.environ, "DISPLAY": display, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines: Lines = []
    word, moment, renderer = process.stdout.readline().split(maxsplit=2)
    assert word == "ready"
    lines.append((began, float(moment), renderer.strip()))

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            _, at, name = line.split()
            lines.append((0.0, float(at), name))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield lines
    process.terminate()
    process.wait(20)
    reader.join(5)


def lag(collector: Collector, lines: Lines, number: int) -> float:
    """Seconds from the acknowledgement of a new service to the frame that shows it."""
    name, now = f"new-{number}", time.time_ns()
    trace = np.random.default_rng(number).bytes(16)
    one = span(trace_id=trace, span_id=b"12345678", start=now - 2_000_000, end=now - 1_000_000)
    with grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel:
        channel.unary_unary(EXPORT)(request(one, service=name).SerializeToString())
    acknowledged, deadline = time.time(), time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [at for _, at, seen in lines[1:] if seen == name]
        if found:
            time.sleep(float(np.random.default_rng(number).uniform(0.0, 1.0)))  # at any moment of its round
            return found[0] - acknowledged
        time.sleep(0.01)
    raise SystemExit(f"{name} was not on the screen after 30 s")


if __name__ == "__main__":
    main()
