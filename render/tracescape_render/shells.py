"""What is drawn around bodies and connections that differ between two moments: shells, cages, rays."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render import meshes
from tracescape_render.actors import glyphs, mesh_actor
from tracescape_render.arcs import STEPS, polylines
from tracescape_render.contrast import APPEARED, GREW, SHRANK, Contrast
from tracescape_render.painting import Paint
from tracescape_render.palette import RGB, Theme
from tracescape_render.scene import GROUP, Scene

#: How much of what is behind a shell it covers.
_SHELL_OPACITY: Final = 0.42
_SLEEVE_OPACITY: Final = 105
#: A connection that has less on it is in pieces of its old thickness, so many along it.
_PIECES: Final = 9
_LEVELS: Final = (-0.62, 0.0, 0.62)
_RAYS: Final = 12


def shells(
    scene: Scene, contrast: Contrast, radii: NDArray[np.float32], painted: Paint, theme: Theme
) -> list[vtkActor]:
    """Who grew has a shell as large as it is now, who shrank a cage as large as it was, who appeared rays."""
    single = scene.shape != GROUP
    shapes = meshes.body_shapes(len(radii))
    actors = []
    grew = np.flatnonzero(single & (contrast.change == GREW))
    if len(grew):
        where = scene.positions[grew], radii[grew], painted.bodies[grew]
        shell = glyphs(*where, shapes, scene.shape[grew])
        shell.GetProperty().SetOpacity(_SHELL_OPACITY)
        shell.GetProperty().SetAmbient(0.7)
        shell.GetProperty().SetBackfaceCulling(True)
        shell.ForceTranslucentOn()
        actors.append(shell)
    for change, forms, ink in (
        (SHRANK, _cages(), theme.text_quiet),
        (GREW, _girdles(), _ink(theme)),
        (APPEARED, [_rays()] * len(shapes), _ink(theme)),
    ):
        who = np.flatnonzero(single & (contrast.change == change))
        if len(who):
            colours = np.tile(np.array(ink, np.uint8), (len(who), 1))
            actors.append(
                glyphs(scene.positions[who], radii[who], colours, forms, scene.shape[who], lit=False)
            )
    return actors


def sleeves(scene: Scene, contrast: Contrast, shown: NDArray[np.int64], theme: Theme) -> list[vtkActor]:
    """Around the connections ``shown``: those with more in a sleeve, those with less in pieces of it."""
    actors = []
    for changes, ink, pieces in (((GREW, APPEARED), _ink(theme), False), ((SHRANK,), theme.text_quiet, True)):
        arcs = shown[np.isin(contrast.arc_change[shown], changes)]
        if not len(arcs):
            continue
        points = polylines(scene.curves[arcs], STEPS)
        radii = scene.arc_radii[arcs] * np.float32(scene.size**0.85)
        if pieces:
            cut = points[:, : _PIECES * (STEPS // _PIECES)].reshape(len(arcs) * _PIECES, STEPS // _PIECES, 3)
            points, radii = cut, np.repeat(radii, _PIECES)
        colours = np.tile(np.array([*ink, _SLEEVE_OPACITY], np.uint8), (len(points), 1))
        actors.append(mesh_actor(meshes.tubes(points, radii, colours), "rgba"))
    return actors


def _ink(theme: Theme) -> RGB:
    """That of traffic, bright: white would be a selection."""
    red, green, blue = ((2 * a + b) // 3 for a, b in zip(theme.arc, theme.light, strict=True))
    return red, green, blue


@cache
def _cages() -> list[pv.PolyData]:
    return [_levels(shape, _LEVELS) for shape in meshes.body_shapes(100)]


@cache
def _girdles() -> list[pv.PolyData]:
    return [_levels(shape, (0.0,)) for shape in meshes.body_shapes(100)]


def _levels(shape: pv.PolyData, levels: tuple[float, ...]) -> pv.PolyData:
    """Lines around a body at these heights, as shares of its own."""
    body = shape.copy()
    height = body.points[:, 2].copy()
    body.clear_data()
    body.point_data["height"] = height
    most = float(np.abs(height).max())
    lines = body.contour([1e-3 + most * level for level in levels], scalars="height")
    lines.points = lines.points * 1.02
    lines.clear_data()
    return lines.strip().tube(radius=0.035, n_sides=6)


@cache
def _rays() -> pv.PolyData:
    """Outwards all around."""
    parts = []
    for angle in 2 * np.pi * np.arange(_RAYS) / _RAYS:
        way = np.array([np.cos(angle), np.sin(angle), 0.0])
        parts.append(pv.Line(1.25 * way, 1.75 * way).tube(radius=0.05, n_sides=6))
    return pv.merge(parts)
