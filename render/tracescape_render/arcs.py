"""The curves that requests travel along."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.scene import Scene

#: Points along a curve.
STEPS: Final = 24
_LOOP_RADIUS: Final = 1.1


def control_points(scene: Scene) -> NDArray[np.float32]:
    """Start, middle and end of each arc's quadratic Bézier curve: float32, shape (m, 3, 3).

    Arcs leave and enter bodies at their surface. An arc and its way back bow to different sides, so that both
    are seen; a service that calls itself gets a loop above it.
    """
    begin = scene.positions[scene.source].astype(np.float64)
    end = scene.positions[scene.target].astype(np.float64)
    along = end - begin
    length = np.linalg.norm(along, axis=1, keepdims=True)
    unit = along / np.maximum(length, 1e-9)
    side = np.column_stack([-unit[:, 1], unit[:, 0], np.zeros(len(unit))])
    bow = np.minimum(0.16 * length, 2.2)
    middle = (begin + end) / 2 + side * bow * 0.55
    middle[:, 2] += bow[:, 0]
    begin += _towards(middle - begin) * scene.radii[scene.source][:, None] * 0.9
    end += _towards(middle - end) * scene.radii[scene.target][:, None] * 0.9
    loops = scene.source == scene.target
    if loops.any():
        around = scene.positions[scene.source[loops]]
        begin[loops] = around + [-0.4, 0.0, 0.3]
        end[loops] = around + [0.4, 0.0, 0.3]
        middle[loops] = around + [0.0, 0.0, 2.0 * _LOOP_RADIUS + 0.8]
    return np.stack([begin, middle, end], axis=1).astype(np.float32)


def along(controls: NDArray[np.float32], t: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points on curves: controls (m, 3, 3) at parameters t (m, s) in [0, 1], giving float32 (m, s, 3)."""
    s = t[:, :, None]
    a, b, c = controls[:, None, 0], controls[:, None, 1], controls[:, None, 2]
    points: NDArray[np.float32] = (1 - s) ** 2 * a + 2 * s * (1 - s) * b + s**2 * c
    return points


def polylines(controls: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each curve as `STEPS` points: float32, shape (m, STEPS, 3)."""
    t = np.broadcast_to(np.linspace(0, 1, STEPS, dtype=np.float32), (len(controls), STEPS))
    return along(controls, t)


def _towards(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
