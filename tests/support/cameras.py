"""A camera without graphics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracescape_render.camera import VIEW_ANGLE, View


def projection(view: View, size: tuple[int, int] = (1600, 900)) -> NDArray[np.float64]:
    """A pinhole camera written from the definition, standing in for VTK's matrix."""
    position, focus = np.array(view.position), np.array(view.focus)
    ahead = (focus - position) / np.linalg.norm(focus - position)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, ahead)
    zoom = 1 / np.tan(np.radians(VIEW_ANGLE / 2))
    rows = [zoom * size[1] / size[0] * right, zoom * up, 1.002 * ahead, ahead]
    matrix = np.array([[*row, -row @ position] for row in rows])
    matrix[2, 3] -= 2.002  # from 1 to 1,000 away is depth from -1 to 1
    return matrix
