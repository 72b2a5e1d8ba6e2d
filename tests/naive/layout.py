"""The layout, written from its formulas: defines ``tracescape_native.layout`` and what it is made of.

Points are lists of three numbers, graphs are dictionaries of sets of two.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence

Point = Sequence[float]
Edges = dict[frozenset[int], float]


def merged(source: Sequence[int], target: Sequence[int], weight: Sequence[float]) -> Edges:
    """Each pair once, both directions added up, without what is no edge."""
    found: Edges = {}
    for a, b, w in zip(source, target, weight, strict=True):
        if a != b and math.isfinite(w) and w > 0:
            pair = frozenset((a, b))
            found[pair] = found.get(pair, 0.0) + w
    return found


def pushed(points: Sequence[Point], mass: Sequence[float], soft: float) -> list[list[float]]:
    """What all others do to each point."""
    forces = []
    for p in points:
        force = [0.0, 0.0, 0.0]
        for q, m in zip(points, mass, strict=True):
            apart = [a - b for a, b in zip(p, q, strict=True)]
            d2 = sum(x * x for x in apart)
            force = [f + x * m / (d2 + soft) for f, x in zip(force, apart, strict=True)]
        forces.append(force)
    return forces


def moved(
    points: Sequence[Point],
    mass: Sequence[float],
    edges: Edges,
    *,
    soft: float,
    gravity: float,
    reach: float,
    upright: bool,
) -> list[list[float]]:
    """One step: repulsion, attraction and gravity, cut off at ``reach``."""
    after = []
    for i, force in enumerate(pushed(points, mass, soft)):
        force = [f - gravity * x for f, x in zip(force, points[i], strict=True)]
        for pair, weight in edges.items():
            if i in pair:
                (other,) = pair - {i}
                way = [b - a for a, b in zip(points[i], points[other], strict=True)]
                force = [f + weight * math.hypot(*way) * x for f, x in zip(force, way, strict=True)]
        if upright:
            force[2] = 0.0
        length = math.hypot(*force)
        scale = min(length, reach) / length if length else 0.0
        after.append([x + f * scale for x, f in zip(points[i], force, strict=True)])
    return after


def modularity(count: int, edges: Edges, community: Sequence[int], resolution: float = 1.0) -> float:
    """Newman's: the weight inside communities beyond what the nodes' weights give by chance."""
    total = 2 * sum(edges.values())
    degree = [sum(w for pair, w in edges.items() if i in pair) for i in range(count)]
    value = 0.0
    for i, j in itertools.product(range(count), repeat=2):
        if community[i] == community[j]:
            between = edges.get(frozenset((i, j)), 0.0) if i != j else 0.0
            value += between / total - resolution * degree[i] * degree[j] / total**2
    return value


def parts(count: int, edges: Edges, group: Sequence[int]) -> list[int]:
    """Each group cut into what hangs together, numbered by first member."""
    part = [-1] * count
    number = itertools.count()
    for first in range(count):
        if part[first] >= 0:
            continue
        part[first] = next(number)
        members = deque([first])
        while members:
            i = members.popleft()
            for pair in edges:
                if i in pair:
                    (j,) = pair - {i}
                    if part[j] < 0 and group[j] == group[first]:
                        part[j] = part[first]
                        members.append(j)
    return part


def depths(count: int, source: Sequence[int], target: Sequence[int], first: Sequence[int]) -> list[int]:
    """Breadth first, along the calls."""
    depth = dict.fromkeys(first, 0)
    queue = deque(depth)
    while queue:
        i = queue.popleft()
        for a, b in zip(source, target, strict=True):
            if a == i and b not in depth:
                depth[b] = depth[i] + 1
                queue.append(b)
    return [depth.get(i, 0) for i in range(count)]


def nearest_gap(points: Sequence[Point], radius: Sequence[float]) -> float:
    """The smallest distance between the surfaces of two balls."""
    pairs = itertools.combinations(range(len(points)), 2)
    return min((math.dist(points[a], points[b]) - radius[a] - radius[b] for a, b in pairs), default=math.inf)


def room(
    others: Sequence[Point], home: Point, height: float, circle: Point, spacing: float, turn: float
) -> list[float] | None:
    """The first point of a spiral around ``home`` that is in the circle and near nobody."""
    for k in itertools.count():
        away = 0.6 * spacing * math.sqrt(k)
        if away > math.dist(home, circle[:2]) + circle[2]:
            return None
        spot = [home[0] + away * math.cos(k * turn), home[1] + away * math.sin(k * turn), height]
        inside = math.dist(spot[:2], circle[:2]) <= circle[2]
        if inside and all(math.dist(spot, other) >= spacing for other in others):
            return spot
    raise AssertionError
