"""VTK actors from meshes and arrays. One actor draws all bodies, another all arcs, and so on."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkDataArray
from vtkmodules.vtkRenderingCore import vtkActor, vtkGlyph3DMapper, vtkPointGaussianMapper

from tracescape_render.palette import RGB

#: A round spot with a hard edge, for what does not glow. The names are VTK's.
_DISC: Final = """\
//VTK::Color::Impl
if (dot(offsetVCVSOutput.xy, offsetVCVSOutput.xy) > 1.0) { discard; }
"""
#: A spot shaded as a sphere, lit like the rest: from in front at the right, faintly from behind at the left.
_SPHERE: Final = """\
//VTK::Color::Impl
float across = dot(offsetVCVSOutput.xy, offsetVCVSOutput.xy);
if (across > 1.0) { discard; }
vec3 normal = vec3(offsetVCVSOutput.xy, sqrt(1.0 - across));
float front = max(0.0, dot(normal, vec3(0.43, 0.33, 0.84)));
float back = max(0.0, dot(normal, vec3(-0.85, 0.5, 0.1)));
float shine = max(0.0, dot(normal, vec3(0.224, 0.172, 0.959)));
shine *= shine; shine *= shine; shine *= shine; shine *= shine; shine *= 0.22 * shine;
ambientColor = diffuseColor * (0.3 + 0.75 * front + 0.2 * normal.z + back * vec3(0.15, 0.19, 0.3)) + shine;
diffuseColor = vec3(0.0);
"""


#: A cross, where an error happened: the same however the spot is turned.
_CROSS: Final = """\
//VTK::Color::Impl
vec2 arm = abs(offsetVCVSOutput.xy);
if (abs(arm.x - arm.y) > 0.3 || max(arm.x, arm.y) > 0.85) { discard; }
"""


def _vtk_array(values: NDArray[np.generic], name: str) -> vtkDataArray:
    # VTK leaves its helper untyped.
    array: vtkDataArray = numpy_to_vtk(np.ascontiguousarray(values), deep=True)  # type: ignore[no-untyped-call]  # VTK's is untyped
    array.SetName(name)
    return array


def mesh_actor(mesh: pv.PolyData, colours: str, *, lit: bool = False, floor: bool = False) -> vtkActor:
    """A mesh in the colours of its point array ``colours`` (uint8, 3 or 4 components).

    ``floor``: drawn before all that is translucent and without depth, so that nothing is cut off by it.
    """
    mapper = pv.DataSetMapper(mesh)
    mapper.SetScalarModeToUsePointFieldData()
    mapper.SelectColorArray(colours)
    mapper.SetColorModeToDirectScalars()
    mapper.ScalarVisibilityOn()
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetLighting(lit)
    if floor:
        actor.ForceTranslucentOn()  # VTK writes no depth for what is translucent
    return actor


def line_actor(mesh: pv.PolyData, colour: RGB, opacity: float) -> vtkActor:
    """Thin lines of one colour."""
    actor = vtkActor()
    actor.SetMapper(pv.DataSetMapper(mesh))
    actor.GetProperty().SetLighting(False)
    actor.GetProperty().SetColor(*unit(colour))
    actor.GetProperty().SetOpacity(opacity)
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


def splats(
    mesh: pv.PolyData,
    colours: NDArray[np.uint8],
    radius: float,
    scale: NDArray[np.float32] | None = None,
    *,
    adds: bool,
    shader: str = _DISC,
) -> vtkActor:
    """Round lights at the points of ``mesh``: soft, added to what is behind, or spots that cover it.

    ``shader`` draws the spots, in VTK's words.
    """
    recolour(mesh, colours)
    mapper = vtkPointGaussianMapper()
    mapper.SetInputData(mesh)
    mapper.SetScaleFactor(radius)
    if scale is not None:
        resize(mesh, scale)
        mapper.SetScaleArray("scale")
    mapper.SetEmissive(adds)
    if not adds:
        mapper.SetSplatShaderCode(shader)
    mapper.SetColorModeToDirectScalars()
    actor = vtkActor()
    actor.SetMapper(mapper)
    if adds:
        actor.ForceTranslucentOn()  # after the ground, whatever its colours are at first
    return actor


def recolour(mesh: pv.PolyData, colours: NDArray[np.uint8]) -> None:
    """Give the points of `splats` these colours, uint8 (n, 3)."""
    mesh.GetPointData().SetScalars(_vtk_array(colours, "rgb"))


def resize(mesh: pv.PolyData, scale: NDArray[np.float32]) -> None:
    """Give the points of `splats` with a scale these sizes, float32 (n,); 0 is not seen."""
    mesh.GetPointData().AddArray(_vtk_array(scale.astype(np.float32), "scale"))


def signs(
    mesh: pv.PolyData, colours: NDArray[np.uint8], scale: NDArray[np.float32], *, cross: bool = False
) -> vtkActor:
    """Signs that face the viewer: discs or crosses."""
    actor = splats(mesh, colours, 1.0, scale, adds=False, shader=_CROSS if cross else _DISC)
    actor.GetProperty().SetLighting(False)
    return actor


def spheres(
    positions: NDArray[np.float32], radii: NDArray[np.float32], colours: NDArray[np.uint8]
) -> vtkActor:
    """Spheres at ``positions`` (n, 3), each of two triangles and a shader: a sixth of what meshes cost."""
    mesh = pv.PolyData(positions.copy())
    actor = splats(mesh, colours, 1.0, radii, adds=False, shader=_SPHERE)
    actor.GetProperty().SetLighting(False)
    return actor


def ring_actor(colour: RGB) -> vtkActor:
    """The ring around what is selected, of unit size at the origin."""
    actor = vtkActor()
    ring = pv.ParametricTorus(ringradius=1.35, crosssectionradius=0.09, u_res=64, v_res=12, w_res=12)
    actor.SetMapper(pv.DataSetMapper(ring))
    actor.GetProperty().SetColor(*unit(colour))
    actor.GetProperty().SetLighting(False)
    return actor


def unit(colour: RGB) -> tuple[float, float, float]:
    """A colour from 0 to 1, as VTK's properties want it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
