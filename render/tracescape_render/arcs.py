"""The curves that requests travel along, and which of them stand out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Points along a curve.
STEPS: Final = 24
_LOOP_RADIUS: Final = 1.1
#: How far a connection between islands leaves its own way for the one that all take between these two.
_BUNDLED: Final = 0.72
#: So many of the strongest connections are seen well in any world; the others fade behind them.
_STRONG: Final = 120.0
#: A body's strongest connection to a caller is seen at least so well: nobody floats alone.
_BACKBONE: Final = 0.24
#: What is fainter is not drawn.
FAINTEST: Final = 0.025

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


def control_points(
    positions: FloatArray, radii: FloatArray, source: IntArray, target: IntArray, island: IntArray
) -> FloatArray:
    """Start, middle and end of each arc's quadratic Bézier curve: float32, shape (m, 3, 3).

    Arcs leave and enter bodies at their surface. An arc and its way back bow to different sides, so that both
    are seen; a service that calls itself gets a loop above it. Arcs between two islands meet halfway.
    """
    begin = positions[source].astype(np.float64)
    end = positions[target].astype(np.float64)
    straight = end - begin
    length = np.linalg.norm(straight, axis=1, keepdims=True)
    unit = straight / np.maximum(length, 1e-9)
    side = np.column_stack([-unit[:, 1], unit[:, 0], np.zeros(len(unit))])
    bow = np.minimum(0.16 * length, 2.2)
    middle = (begin + end) / 2 + side * bow * 0.55
    middle[:, 2] += bow[:, 0]
    abroad = island[source] != island[target]
    middle[abroad] += _BUNDLED * (_waists(positions, island, source, target, abroad) - middle[abroad])
    begin += _towards(middle - begin) * radii[source][:, None] * 0.9
    end += _towards(middle - end) * radii[target][:, None] * 0.9
    loops = source == target
    if loops.any():
        around = positions[source[loops]]
        begin[loops] = around + [-0.4, 0.0, 0.3]
        end[loops] = around + [0.4, 0.0, 0.3]
        middle[loops] = around + [0.0, 0.0, 2.0 * _LOOP_RADIUS + 0.8]
    return np.stack([begin, middle, end], axis=1).astype(np.float32)


def weights(calls: NDArray[np.float64], target: IntArray) -> FloatArray:
    """How well each arc is seen, from 0 to 1, float32, shape (m,): the strongest well, the weakest hardly.

    In a small world all are; in a large one the strongest are and, less so, each body's strongest from a
    caller. So a picture of thousands of arcs has no more ink than one of some hundred.
    """
    count = len(calls)
    order = np.lexsort((np.arange(count), -calls))
    place = np.empty(count)
    place[order] = np.arange(count)
    load = np.log1p(calls) / max(float(np.log1p(calls).max(initial=0.0)), 1e-9)
    seen = (0.3 + 0.55 * load) / (1.0 + (place / _STRONG) ** 2)
    _, first = np.unique(target[order], return_index=True)
    backbone = order[first]
    crowd = min(1.0, (900.0 / max(len(backbone), 1)) ** 0.5)
    seen[backbone] = np.maximum(seen[backbone], _BACKBONE * crowd)
    return seen.astype(np.float32)


def along(controls: FloatArray, t: FloatArray) -> FloatArray:
    """Points on curves: controls (m, 3, 3) at parameters t (m, s) in [0, 1], giving float32 (m, s, 3)."""
    s = t[:, :, None]
    a, b, c = controls[:, None, 0], controls[:, None, 1], controls[:, None, 2]
    points: FloatArray = (1 - s) ** 2 * a + 2 * s * (1 - s) * b + s**2 * c
    return points


def polylines(controls: FloatArray, steps: int = STEPS) -> FloatArray:
    """Each curve as ``steps`` points: float32, shape (m, steps, 3)."""
    t = np.broadcast_to(np.linspace(0, 1, steps, dtype=np.float32), (len(controls), steps))
    return along(controls, t)


def _waists(
    positions: FloatArray, island: IntArray, source: IntArray, target: IntArray, abroad: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Where all that goes between two islands meets, above the middle between them; a row an arc abroad."""
    islands = int(island.max()) + 1 if len(island) else 0
    sizes = np.maximum(np.bincount(island, minlength=islands), 1)
    centres = np.column_stack(
        [np.bincount(island, weights=positions[:, axis], minlength=islands) / sizes for axis in range(3)]
    )
    begin, end = centres[island[source[abroad]]], centres[island[target[abroad]]]
    waist = (begin + end) / 2
    waist[:, 2] += np.minimum(0.22 * np.linalg.norm(end - begin, axis=1), 9.0)
    return waist


def _towards(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
