"""VTK actors from meshes and arrays. One actor draws all bodies, another all arcs, and so on."""

from __future__ import annotations

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkDataArray
from vtkmodules.vtkRenderingCore import vtkActor, vtkGlyph3DMapper, vtkPointGaussianMapper

from tracescape_render import palette


def _vtk_array(values: NDArray[np.generic], name: str) -> vtkDataArray:
    # VTK leaves its helper untyped.
    array: vtkDataArray = numpy_to_vtk(np.ascontiguousarray(values), deep=True)  # type: ignore[no-untyped-call]
    array.SetName(name)
    return array


def mesh_actor(mesh: pv.PolyData, colours: str, *, lit: bool) -> vtkActor:
    """A mesh in the colours of its point array ``colours`` (uint8, 3 or 4 components)."""
    mapper = pv.DataSetMapper(mesh)
    mapper.SetScalarModeToUsePointFieldData()
    mapper.SelectColorArray(colours)
    mapper.SetColorModeToDirectScalars()
    mapper.ScalarVisibilityOn()
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetLighting(lit)
    return actor


def line_actor(mesh: pv.PolyData) -> vtkActor:
    """Thin lines in the colour of stems."""
    actor = vtkActor()
    actor.SetMapper(pv.DataSetMapper(mesh))
    actor.GetProperty().SetLighting(False)
    actor.GetProperty().SetColor(*(np.array(palette.STEM) / 255))
    return actor


def glyphs(
    positions: NDArray[np.float32],
    radii: NDArray[np.float32],
    colours: NDArray[np.uint8],
    shapes: list[pv.PolyData],
    shape: NDArray[np.int64],
    *,
    lit: bool = True,
) -> vtkActor:
    """Copies of ``shapes`` at ``positions`` (n, 3), sized by ``radii`` (n,); ``shape`` (n,) says which."""
    points = pv.PolyData(positions.copy())
    data = points.GetPointData()
    data.AddArray(_vtk_array(radii.astype(np.float32), "radius"))
    data.AddArray(_vtk_array(shape.astype(np.int32), "shape"))
    data.SetScalars(_vtk_array(colours, "rgb"))
    mapper = vtkGlyph3DMapper()
    mapper.SetInputData(points)
    for index, mesh in enumerate(shapes):
        mapper.SetSourceData(index, mesh)
    mapper.SourceIndexingOn()
    mapper.SetSourceIndexArray("shape")
    mapper.SetScaleArray("radius")
    mapper.SetScaleModeToScaleByMagnitude()
    mapper.OrientOff()
    mapper.SetColorModeToDirectScalars()
    actor = vtkActor()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetLighting(lit)
    look.SetSpecular(0.22)
    look.SetSpecularPower(30)
    look.SetAmbient(0.25)
    return actor


def glow(positions: NDArray[np.float32], radii: NDArray[np.float32], colours: NDArray[np.uint8]) -> vtkActor:
    """A halo around the unhealthy, small enough not to be cut off by the plate below."""
    mesh = pv.PolyData(positions.copy()) if len(positions) else pv.PolyData()
    return splats(mesh, (colours * 0.55).astype(np.uint8), 1.0, radii * 0.85)


def splats(
    mesh: pv.PolyData, colours: NDArray[np.uint8], radius: float, scale: NDArray[np.float32] | None = None
) -> vtkActor:
    """Soft lights that add to what is behind them, at the points of ``mesh``."""
    mesh.GetPointData().SetScalars(_vtk_array(colours, "rgb"))
    mapper = vtkPointGaussianMapper()
    mapper.SetInputData(mesh)
    mapper.SetScaleFactor(radius)
    if scale is not None:
        mesh.GetPointData().AddArray(_vtk_array(scale.astype(np.float32), "scale"))
        mapper.SetScaleArray("scale")
    mapper.EmissiveOn()
    mapper.SetColorModeToDirectScalars()
    actor = vtkActor()
    actor.SetMapper(mapper)
    return actor


def ring_actor() -> vtkActor:
    """The white ring around what is selected, of unit size at the origin."""
    actor = vtkActor()
    ring = pv.ParametricTorus(ringradius=1.35, crosssectionradius=0.09, u_res=64, v_res=12, w_res=12)
    actor.SetMapper(pv.DataSetMapper(ring))
    actor.GetProperty().SetColor(*(np.array(palette.SELECTION) / 255))
    actor.GetProperty().SetLighting(False)
    return actor
