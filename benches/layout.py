"""The layout in space beside igraph's: seconds, normalised stress and how far communities are apart.

igraph is installed in a virtual environment that TRACESCAPE_BENCH_PEERS names; without it we are alone. Its
Fruchterman-Reingold compares all with all, so large graphs are left to its DrL. Seconds are of CPU, for they
do not depend on who else is on the machine; ours are of all threads together, igraph has one.

Stress is normalised and free of scale: the mean over pairs of (s·|x - y| / d - 1)², d the number of edges
between them on the shortest way, s the scale that makes it least; over all nodes and some of them. Separation
is the mean distance of two nodes of different communities over that of two of one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tracescape_native.layout import lay_out
from tracescape_native.layout_communities import depths
from tracescape_native.layout_graph import links
from tracescape_render.islands import call_depths, communities
from tracescape_render.placing import Places, place, stands

ROUNDS = 5
PIVOTS = 60
#: (nodes, targets in seconds of ours)
SIZES = (300, 3_000, 10_000, 30_000, 100_000)
TARGETS = {10_000: 0.35, 100_000: 5.0}
TARGET_TIMES = 10
#: Above this igraph's method takes more than minutes.
MOST = {"fr": 3_000, "drl": 10_000}

#: Runs in the peer's Python: reads edges, writes seconds and positions.
_PEER = """
import json, random, sys, time
import igraph, numpy
folder, method, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
edges = numpy.load(folder + "/edges.npy")
count = int(numpy.load(folder + "/count.npy"))
graph = igraph.Graph(count, [tuple(edge) for edge in edges.tolist()])
seconds = []
for _ in range(rounds):
    random.seed(1)
    begin = time.process_time()
    if method == "fr":
        found = graph.layout_fruchterman_reingold_3d()
    else:
        found = graph.layout_drl(dim=3)
    seconds.append(time.process_time() - begin)
numpy.save(folder + "/place.npy", numpy.array(found.coords))
print(json.dumps([igraph.__version__, seconds]))
"""


def service_graph(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, target and community: groups of about 25 in layers, most calls inside, and hubs."""
    random = np.random.default_rng(seed)
    group = np.arange(count) % max(1, count // 25)
    layer = np.minimum(random.geometric(0.35, count), 7)
    many = 4 * count
    source = random.integers(0, count, many)
    size = max(1, count // 25)
    inside = random.integers(0, (count - 1 - group[source]) // size + 1) * size + group[source]
    hubs = random.choice(count, max(3, count // 100), replace=False)
    kind = random.random(many)
    target = np.where(kind < 0.8, inside, random.integers(0, count, many))
    target = np.where(kind > 0.95, hubs[(random.power(3, many) * len(hubs)).astype(int)], target)
    down = layer[source] <= layer[target]
    pairs = np.column_stack([np.where(down, source, target), np.where(down, target, source)])
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return pairs[:, 0], pairs[:, 1], group


def stress(positions: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """See above; between `PIVOTS` nodes and all that can be reached from them."""
    count = len(positions)
    both = np.concatenate([source, target]), np.concatenate([target, source])
    ratios = []
    for pivot in np.random.default_rng(0).choice(count, min(PIVOTS, count), replace=False):
        far = depths(count, *both, np.array([pivot]))
        reached = far > 0
        length = np.linalg.norm(positions[reached] - positions[pivot], axis=1)
        ratios.append(length / far[reached])
    ratio = np.concatenate(ratios)
    scale = ratio.sum() / (ratio**2).sum()
    return float(((scale * ratio - 1) ** 2).mean())


def separation(positions: np.ndarray, group: np.ndarray) -> float:
    """See above; over a million random pairs."""
    random = np.random.default_rng(0)
    a = random.integers(0, len(group), 500_000)
    mates = np.argsort(group, kind="stable")
    first = np.searchsorted(group[mates], group[a])
    sizes = np.bincount(group)[group[a]]
    mate = mates[first + (random.random(len(a)) * sizes).astype(int)]
    other = random.integers(0, len(group), len(a))

    def distance(b: np.ndarray, kept: np.ndarray) -> float:
        return float(np.linalg.norm(positions[a[kept]] - positions[b[kept]], axis=1).mean())

    return distance(other, group[other] != group[a]) / distance(mate, mate != a)


def timed(run: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of CPU and on the clock, of each round after one that compiles."""
    run()
    cpu, clock = [], []
    for _ in range(rounds):
        begin, started = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - begin)
        clock.append(time.perf_counter() - started)
    return cpu, clock


def ours(count: int, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The layout in space, in the order of the nodes."""
    keys = np.random.default_rng(5).permutation(count).astype(np.int64)
    graph = links(keys, source, target, np.ones(len(source)))
    found = np.empty((count, 3))
    found[graph.order] = lay_out(graph)
    return found


def scene(count: int, source: np.ndarray, target: np.ndarray) -> Places:
    """The whole way of the scene: islands, heights, places, plates."""
    names = [f"service-{i}" for i in range(count)]
    calls = np.random.default_rng(3).lognormal(5, 1.5, len(source))
    island = communities(names, source, target, calls)
    return place(names, source, target, calls, call_depths(count, source, target, []), island, {})


def newcomer(count: int, source: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Seconds until one more service stands in a settled world, and how far the others moved, in edges."""
    before = scene(count, source, target)
    names = [f"service-{i}" for i in range(count)]
    known = stands(names, before.positions, before.island)
    names.append("newcomer")
    source, target = np.append(source, [0, 1]), np.append(target, [count, count])
    calls = np.ones(len(source))

    def join() -> Places:
        island = communities(names, source, target, calls, known)
        depth = call_depths(count + 1, source, target, [])
        return place(names, source, target, calls, depth, island, known)

    moved = np.linalg.norm(join().positions[:count] - before.positions, axis=1).max()
    edge = np.linalg.norm(before.positions[source[:-2]] - before.positions[target[:-2]], axis=1).mean()
    return statistics.median(timed(join, 3)[0]), float(moved / edge)


def peer(
    python: Path, method: str, count: int, source: np.ndarray, target: np.ndarray, rounds: int
) -> tuple[str, list[float], np.ndarray]:
    """igraph's version, its seconds and its places."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "edges.npy", np.column_stack([source, target]))
        np.save(Path(folder) / "count.npy", np.array(count))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [python, "-c", _PEER, folder, method, str(rounds)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        if done.returncode:
            raise SystemExit(f"igraph failed: {done.stderr[-500:]}")
        version, seconds = json.loads(done.stdout)
        return version, seconds, np.load(Path(folder) / "place.npy")


def _peer_python() -> Path | None:
    for folder in filter(None, os.environ.get("TRACESCAPE_BENCH_PEERS", "").split(os.pathsep)):
        if list(Path(folder).glob("lib/python*/site-packages/igraph")):
            return Path(folder).absolute() / "bin" / "python"
    print("igraph: python -m venv peers && peers/bin/pip install igraph numpy; TRACESCAPE_BENCH_PEERS=peers")
    return None


def _line(name: str, seconds: list[float], positions: np.ndarray, graph: tuple[np.ndarray, ...]) -> str:
    middle = statistics.median(seconds)
    noise = (max(seconds) - min(seconds)) / middle / 2
    source, target, group = graph
    return (
        f"  {name:<34}{middle:9.3f} s ± {noise:4.0%}   stress {stress(positions, source, target):.4f}"
        f"   separation {separation(positions, group):.2f}"
    )


def main() -> None:
    """Print a block for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    python = _peer_python()
    for count in options.nodes:
        graph = service_graph(count)
        source, target, _ = graph
        print(f"\n{count:,} services, {len(source):,} edges")
        rounds = ROUNDS if count <= 10_000 else 3
        cpu, clock = timed(lambda n=count, s=source, t=target: ours(n, s, t), rounds)
        aim = f"   (target {TARGETS[count]} s)" if count in TARGETS else ""
        found = ours(count, source, target)
        print(_line("Tracescape", cpu, found, graph) + f"   clock {statistics.median(clock):.3f} s{aim}")
        for method, most in MOST.items() if python else ():
            if count > most:
                continue
            version, seconds, theirs = peer(python, method, count, source, target, 3 if count < 1000 else 1)
            name = {"fr": "Fruchterman-Reingold 3D", "drl": "DrL 3D"}[method]
            print(_line(f"igraph {version} {name}", seconds, theirs, graph))
            times = statistics.median(seconds) / statistics.median(cpu)
            worse = stress(found, source, target) / stress(theirs, source, target)
            print(f"    ours is {times:.0f}× as fast (target {TARGET_TIMES}) at {worse:.2f}× its stress")
        cpu, _ = timed(lambda n=count, s=source, t=target: scene(n, s, t), 1)
        world = scene(count, source, target)
        flat = f"{int(world.island.max()) + 1} islands, their heights given"
        print(_line(f"the scene: {flat}", cpu, world.positions, graph))
        seconds, moved = newcomer(count, source, target)
        print(f"  a newcomer: {seconds:.3f} s, the others move {moved:.3f} edge lengths")


if __name__ == "__main__":
    main()
