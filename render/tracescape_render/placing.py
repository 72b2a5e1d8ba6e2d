"""Where everything stands: islands on the ground, bodies on their islands, height by call depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_native.layout import part_discs, spread
from tracescape_render.islands import IntArray

FloatArray = NDArray[np.float64]

#: All lengths are in units of about half a body's distance to its neighbour.
DISTANCE: Final = 4.0
LAYER: Final = 1.5
GROUND_CLEARANCE: Final = 1.6
MARGIN: Final = 3.4
_OUTLINE_POINTS: Final = 96
#: The view is from above at an angle, which shortens what lies behind each other; this makes up for it.
_DEPTH_STRETCH: Final = 1.35
_ISLAND_GAP: Final = 1.5


class Places(NamedTuple):
    """``positions`` float64 (n, 3); ``outlines``: the corners of each island's plate, float64 (c, 2) each."""

    positions: FloatArray
    outlines: list[FloatArray]


def place(
    names: Sequence[str],
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
    depth: IntArray,
    island: IntArray,
    known: Mapping[str, tuple[float, float, float]],
) -> Places:
    """Places for all bodies. Those in ``known`` stay exactly there; newcomers settle near whom they talk to.

    Weights are call counts; heights fall with ``depth``, so that a request runs downwards.
    """
    count = len(names)
    deepest = int(depth.max()) if count else 0
    height = (GROUND_CLEARANCE + (deepest - depth) * LAYER).astype(np.float64)
    pinned = np.array([name in known for name in names], bool)
    xy = np.zeros((count, 2))
    for i in np.flatnonzero(pinned).tolist():
        xy[i] = known[names[i]][:2]
        height[i] = known[names[i]][2]
    loads = np.log1p(weight)
    pull: FloatArray = 0.25 + 0.75 * loads / max(float(loads.max(initial=0.0)), 1e-9)
    if pinned.any():
        xy = _settle_newcomers(xy, height, source, target, pull, ~pinned)
    else:
        xy = _settle_all(height, source, target, pull, island)
    return Places(np.column_stack([xy, height]), outlines(xy, island))


def _settle_all(
    height: FloatArray, source: IntArray, target: IntArray, pull: FloatArray, island: IntArray
) -> FloatArray:
    """Each island by itself around its centre, then the islands beside each other."""
    islands = int(island.max()) + 1 if len(island) else 0
    xy = np.zeros((len(height), 2))
    radii = np.zeros(islands)
    for number in range(islands):
        members = np.flatnonzero(island == number)
        inside = (island[source] == number) & (island[target] == number)
        local = np.searchsorted(members, np.column_stack([source[inside], target[inside]]))
        settled = spread(
            _spiral(len(members)),
            height[members],
            local[:, 0],
            local[:, 1],
            pull[inside],
            np.ones(len(members), bool),
            distance=DISTANCE,
            iterations=_iterations(len(members)),
        )
        xy[members] = _upright(settled) * [1.0, _DEPTH_STRETCH]
        radii[number] = _reach(xy[members], np.zeros(2))
    return xy + _island_centres(radii, island, source, target)[island] if islands else xy


def _island_centres(radii: FloatArray, island: IntArray, source: IntArray, target: IntArray) -> FloatArray:
    if len(radii) == 1:
        return np.zeros((1, 2))
    between = np.column_stack([island[source], island[target]])
    between = np.unique(between[between[:, 0] != between[:, 1]], axis=0)
    count = len(radii)
    centres = spread(
        _spiral(count) * float(radii.mean()),
        np.zeros(count),
        between[:, 0],
        between[:, 1],
        np.ones(len(between)),
        np.ones(count, bool),
        distance=float(2 * radii.mean()),
    )
    return part_discs(_upright(centres), radii, np.ones(count, bool), gap=_ISLAND_GAP)


def _settle_newcomers(
    xy: FloatArray,
    height: FloatArray,
    source: IntArray,
    target: IntArray,
    pull: FloatArray,
    free: NDArray[np.bool_],
) -> FloatArray:
    settled_centre = xy[~free].mean(axis=0)
    start = xy.copy()
    for i in np.flatnonzero(free):
        near = [b for a, b in zip(source, target, strict=True) if a == i and not free[b]]
        near += [a for a, b in zip(source, target, strict=True) if b == i and not free[a]]
        home = xy[near].mean(axis=0) if near else settled_centre
        start[i] = home + DISTANCE * 0.8 * np.array([np.cos(2.4 * i), np.sin(2.4 * i)])
    return spread(start, height, source, target, pull, free, distance=DISTANCE, gravity=0.0, iterations=80)


def outlines(xy: FloatArray, island: IntArray) -> list[FloatArray]:
    """The convex hull of each island's members, each widened to a disc of `MARGIN`, its corners rounded."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    disc = MARGIN * np.column_stack([np.cos(angle), np.sin(angle)])
    islands = int(island.max()) + 1 if len(island) else 0
    return [
        _rounded(_convex_hull((xy[island == number][:, None] + disc[None]).reshape(-1, 2)))
        for number in range(islands)
    ]


def _rounded(outline: FloatArray) -> FloatArray:
    """The outline at even steps, each point averaged with its surroundings; what is convex stays so."""
    closed = np.vstack([outline, outline[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    steps = np.linspace(0.0, way[-1], _OUTLINE_POINTS, endpoint=False)
    even = np.column_stack([np.interp(steps, way, closed[:, axis]) for axis in (0, 1)])
    reach = _OUTLINE_POINTS // 16
    weights = np.hanning(2 * reach + 3)[1:-1]
    around = np.vstack([even[-reach:], even, even[:reach]])
    smooth = [np.convolve(around[:, axis], weights / weights.sum(), mode="valid") for axis in (0, 1)]
    return np.column_stack(smooth)


def _convex_hull(points: FloatArray) -> FloatArray:
    """Corners counter-clockwise: Andrew's monotone chain (1979)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))].tolist()

    def chain(walk: list[list[float]]) -> list[list[float]]:
        hull: list[list[float]] = []
        for x, y in walk:
            while len(hull) > 1:
                (ax, ay), (bx, by) = hull[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                hull.pop()
            hull.append([x, y])
        return hull

    return np.array(chain(ordered)[:-1] + chain(ordered[::-1])[:-1])


def _reach(members: FloatArray, centre: FloatArray) -> float:
    return float(np.linalg.norm(members - centre, axis=1).max(initial=0.0)) + MARGIN


def _upright(xy: FloatArray) -> FloatArray:
    """Turned so that the longest extent lies across the view, centred on the origin."""
    centred: FloatArray = xy - xy.mean(axis=0)
    if len(xy) < 3:
        return centred
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ axes.T
    # A singular vector's sign is arbitrary; this one is not.
    signed: FloatArray = turned * np.where(np.sum(turned**3, axis=0) < 0, -1.0, 1.0)
    return signed


def _spiral(count: int) -> FloatArray:
    """A sunflower: even, and the same every time."""
    k = np.arange(count)
    radius, angle = DISTANCE * 0.7 * np.sqrt(k + 0.5), k * 2.399963
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _iterations(count: int) -> int:
    return 400 if count <= 300 else max(20, 400 * 300 * 300 // (count * count))
