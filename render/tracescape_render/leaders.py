"""Thin lines from labels that stand away from their bodies: else nobody knows whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D

from tracescape_render.labels import Rect
from tracescape_render.palette import RGB

#: A label that is farther from its body than so many pixels has a line.
AWAY: Final = 9.0


def leader_lines(
    rects: Mapping[int, Rect], xy: NDArray[np.float64], clearance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From each label that is `AWAY`, the nearest point of it and of its body: pixels, (lines, 2, 2).

    ``xy`` (n, 2) and ``clearance`` (n,) are where bodies are and how far they reach; ``rects`` are by body.
    """
    if not rects:
        return np.zeros((0, 2, 2))
    bodies = np.fromiter(rects, np.int64)
    box = np.array(list(rects.values()), np.float64)
    middle = xy[bodies]
    near = np.clip(middle, box[:, :2], box[:, 2:])
    far = np.linalg.norm(near - middle, axis=1)
    edge = middle + (near - middle) * (clearance[bodies] / np.maximum(far, 1e-9))[:, None]
    lines: NDArray[np.float64] = np.stack([near, edge], axis=1)
    away: NDArray[np.float64] = lines[far - clearance[bodies] > AWAY]
    return away


class Leaders:
    """One actor for all lines."""

    def __init__(self) -> None:
        self._lines = vtkPolyData()
        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(self._lines)
        self.actor = vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.PickableOff()
        self.actor.GetProperty().SetLineWidth(1.0)

    def colour(self, ink: RGB) -> None:
        """Draw in that colour."""
        self.actor.GetProperty().SetColor(*(part / 255 for part in ink))
        self.actor.GetProperty().SetOpacity(0.75)

    def draw(self, lines: NDArray[np.float64]) -> None:
        """These lines, (lines, 2, 2), and no others."""
        count = len(lines)
        ends = np.zeros((2 * count, 3), np.float32)
        ends[:, :2] = lines.reshape(-1, 2)
        points = vtkPoints()
        points.SetData(numpy_to_vtk(ends, deep=True))  # type: ignore[no-untyped-call]  # VTK leaves it untyped
        cells = vtkCellArray()
        pairs = np.arange(2 * count, dtype=np.int64).reshape(-1, 2)
        rows = np.column_stack([np.full(count, 2, np.int64), pairs]).ravel()
        cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(rows, deep=True))  # type: ignore[no-untyped-call]  # same
        self._lines.SetPoints(points)
        self._lines.SetLines(cells)
        self._lines.Modified()
