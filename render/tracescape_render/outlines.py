"""The outline of an island's plate: what its members span, widened and with its corners rounded."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: How far a plate reaches beyond its bodies.
MARGIN: Final = 3.4
_POINTS: Final = 96


def outline(members: FloatArray) -> FloatArray:
    """The convex hull of members (n, 2), n > 0, each widened to a disc of `MARGIN`: corners, (96, 2).

    They go round counter-clockwise: in each direction the furthest that there is.
    """
    angle = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    return _rounded(members[np.argmax(direction @ members.T, axis=1)] + MARGIN * direction)


def _rounded(corners: FloatArray) -> FloatArray:
    """The outline at even steps, each point averaged with its surroundings; what is convex stays so."""
    closed = np.vstack([corners, corners[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    steps = np.linspace(0.0, way[-1], _POINTS, endpoint=False)
    even = np.column_stack([np.interp(steps, way, closed[:, axis]) for axis in (0, 1)])
    reach = _POINTS // 16
    weights = np.hanning(2 * reach + 3)[1:-1]
    around = np.vstack([even[-reach:], even, even[:reach]])
    smooth = [np.convolve(around[:, axis], weights / weights.sum(), mode="valid") for axis in (0, 1)]
    return np.column_stack(smooth)
