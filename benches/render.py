"""Scenes of several sizes: layout, picture, and frames with moving lights. Names the renderer it ran on."""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from tracescape_render.picture import off_screen_plotter
from tracescape_render.scene import build_scene

SIZE = (1280, 720)
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
            "calls": random.integers(1, 10_000, len(pairs)),
            "state": ["healthy"] * len(pairs),
        }
    )
    return nodes, calls


def main() -> None:
    """Print seconds to a scene, to its first picture, and milliseconds a frame."""
    from tracescape_render.stage import Stage

    build_scene(*community_graph(50, 100), seconds=1.0)  # the layout's kernels are compiled once
    print("\nscene, first picture, frames (turning, labels placed anew, lights moving)")
    for count, edges in ((100, 500), (1_000, 5_000)):
        frames = community_graph(count, edges)
        begin = time.perf_counter()
        scene = build_scene(*frames, seconds=60.0)
        built = time.perf_counter()
        plotter = off_screen_plotter(SIZE)
        stage = Stage(plotter, moving=True)
        stage.show(scene)
        plotter.render_window.Render()
        renderer = stage.settle()
        shown = time.perf_counter()
        taken = []
        for frame in range(FRAMES):
            start = time.perf_counter()
            plotter.renderer.GetActiveCamera().Azimuth(1.0)
            stage.animate(frame / 30)
            stage.relabel()
            plotter.render_window.Render()
            plotter.render_window.WaitForCompletion()
            taken.append(time.perf_counter() - start)
        plotter.close()
        low, middle, high = np.percentile(np.array(taken) * 1e3, [0, 50, 100])
        times = f"scene {built - begin:5.2f} s, picture {shown - built:5.2f} s"
        frame = f"frame {middle:4.0f} ms ({low:.0f} to {high:.0f})"
        print(f"  {count:>5,} services, {edges:>5,} calls: {times}, {frame}")
    print(f"  on {renderer}")


if __name__ == "__main__":
    main()
