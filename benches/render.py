"""Scenes of several sizes: to the first picture, frames with moving lights, hovering, memory, the renderer.

Milliseconds are medians on the clock and of the processor, all threads together: on a machine that others use
too, the latter count.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
import pyvista as pv
from numpy.typing import NDArray

from tracescape_render.picture import off_screen_plotter
from tracescape_render.scene import build_scene
from tracescape_render.stage import Stage

SIZE = (1280, 720)
SIZES = ((1_000, 5_000), (10_000, 50_000), (100_000, 500_000))
FRAMES = 20


def community_graph(count: int, edges: int, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Services in communities of about 25, four fifths of the calls inside them."""
    random = np.random.default_rng(seed)
    community = random.integers(0, max(1, count // 25), count)
    source = random.integers(0, count, edges * 2)
    inside = random.random(len(source)) < 0.8
    order = np.argsort(community, kind="stable")
    first = np.searchsorted(community[order], community[source])
    size = np.bincount(community, minlength=community.max() + 1)[community[source]]
    target = np.where(
        inside,
        order[first + (random.random(len(source)) * size).astype(int)],
        random.integers(0, count, len(source)),
    )
    pairs = np.unique(np.column_stack([source, target])[source != target], axis=0)[:edges]
    names = [f"service-{i}" for i in range(count)]
    state = np.where(random.random(count) < 0.02, "failing", "healthy")
    nodes = pl.DataFrame(
        {
            "service": names,
            "kind": ["service"] * count,
            "calls": random.integers(20, 100_000, count),
            "errors": np.zeros(count, np.int64),
            "p50_ns": np.full(count, 10**6),
            "p95_ns": np.full(count, 10**7),
            "p99_ns": np.full(count, 10**8),
            "state": state,
        }
    )
    calls = pl.DataFrame(
        {
            "source": [names[i] for i in pairs[:, 0]],
            "target": [names[i] for i in pairs[:, 1]],
            "connection": ["http"] * len(pairs),
            "calls": random.integers(1, 10_000, len(pairs)),
            "state": ["healthy"] * len(pairs),
        }
    )
    return nodes, calls


class Opened(NamedTuple):
    """A scene on a stage, and the seconds until its first picture, on the clock and of the processor."""

    stage: Stage
    plotter: pv.Plotter
    clock_s: float
    processor_s: float


def opened(count: int, edges: int) -> Opened:
    """What a window does until its first picture."""
    frames = community_graph(count, edges)
    begin, worked = time.perf_counter(), time.process_time()
    scene = build_scene(*frames, seconds=60.0)
    plotter = off_screen_plotter(SIZE)
    stage = Stage(plotter, moving=True)
    stage.show(scene)
    plotter.render_window.Render()
    stage.settle()
    return Opened(stage, plotter, time.perf_counter() - begin, time.process_time() - worked)


def spent(action: Callable[[int], object], times: int) -> NDArray[np.float64]:
    """Milliseconds on the clock and of the processor, all threads together, (times, 2)."""
    taken = []
    for number in range(times):
        clock, processor = time.perf_counter(), time.process_time()
        action(number)
        taken.append((time.perf_counter() - clock, time.process_time() - processor))
    return np.array(taken) * 1e3


def measure(count: int, edges: int) -> None:
    """Open a scene of that size, turn it, point at it, and print what that took."""
    build_scene(*community_graph(50, 100), seconds=1.0)  # the kernels are compiled once
    stage, plotter, first_s, worked_s = opened(count, edges)
    camera, window = plotter.renderer.GetActiveCamera(), plotter.render_window

    def turn(number: int) -> None:
        camera.Azimuth(1.0)
        stage.animate(number / 30)
        stage.approach()
        stage.relabel()
        window.Render()
        window.WaitForCompletion()

    turn(0)
    clock, processor = np.median(spent(turn, FRAMES), axis=0)
    hover = spent(lambda number: stage.hover(stage.body_at(40.0 * number, 300.0)), FRAMES)[:, 1].max()
    group = next((i for i in range(len(stage.scene.services)) if stage.is_group(i)), None)
    entered = spent(lambda _: stage.open(group), 1)[0, 1] if group is not None else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    target = "".join(
        f", target {text}"
        for size, text in (
            (1_000, "50 ms a frame"),
            (10_000, "67 ms a frame, 16 ms a hover, 1,024 MB"),
            (100_000, "10 s to the first picture"),
        )
        if size == count
    )
    print(
        f"  {count:>7,} services, {edges:>7,} calls; {len(stage.scene.services):,} bodies and"
        f" {len(stage.scene.source):,} ways drawn\n"
        f"    to the first picture {first_s:.1f} s, {worked_s:.1f} of CPU; a frame {clock:.0f} ms,"
        f" {processor:.0f} of CPU; hover at most {hover:.1f} ms; to open an island {entered:.0f} ms;"
        f" {peak:,.0f} MB{target}\n    on {stage.profile.renderer}",
        flush=True,
    )
    plotter.close()


def main() -> None:
    """Print seconds to the first picture, milliseconds a frame, a hover and an opened island, and memory."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print("\nscenes: turning, labels placed anew, lights moving, islands opening, at 1280 × 720")
    print(f"  {os.cpu_count()} cores; load averages of 1, 5 and 15 minutes as it begins: {load}")
    for size in SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as fresh:  # so that memory is that of one scene
            fresh.apply(measure, size)


if __name__ == "__main__":
    main()
