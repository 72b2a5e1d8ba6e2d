"""The shapes that scenes are drawn with, as VTK meshes. Each is made once a scene, not once a body."""

from __future__ import annotations

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from tracescape_render.arcs import STEPS
from tracescape_render.palette import GRID, PLATE, RIM_COLOURS
from tracescape_render.scene import Scene


def body_shapes(bodies: int) -> list[pv.PolyData]:
    """A mesh of about unit radius for each of ``scene.KINDS``, in that order; coarser when there are many."""
    across, down = (40, 24) if bodies <= 50 else (24, 16) if bodies <= 300 else (16, 10)
    return [
        pv.Sphere(radius=1.0, theta_resolution=across, phi_resolution=down),
        _flat(pv.Cylinder(direction=(0, 0, 1), radius=0.86, height=1.5, resolution=40)),
        _flat(pv.Cylinder(direction=(1, 0, 0), radius=0.72, height=2.3, resolution=6)),
        _flat(pv.PlatonicSolid("octahedron", radius=1.25)),
        _flat(pv.Cone(direction=(0, 0, -1), radius=0.9, height=1.5, resolution=40)),
    ]


def ring_shapes() -> list[pv.PolyData]:
    """What the unhealthy wear: one ring for degraded, two for failing, a cage for absent."""
    ring = pv.ParametricTorus(ringradius=1.55, crosssectionradius=0.075, u_res=64, v_res=12, w_res=12)
    outer = pv.ParametricTorus(ringradius=1.95, crosssectionradius=0.075, u_res=64, v_res=12, w_res=12)
    thin = pv.ParametricTorus(ringradius=1.12, crosssectionradius=0.06, u_res=48, v_res=10, w_res=10)
    cage = thin + thin.rotate_x(90, inplace=False) + thin.rotate_y(90, inplace=False)
    return [ring, ring + outer, cage]


def tubes(points: NDArray[np.float32], radii: NDArray[np.float32], colours: NDArray[np.uint8]) -> pv.PolyData:
    """Arcs (m, STEPS, 3) as tubes that brighten from the caller to the callee."""
    count = len(points)
    lines = pv.PolyData(points.reshape(-1, 3), lines=_polylines(count, STEPS))
    lines.point_data["width"] = np.repeat(radii, STEPS)
    glow = np.tile(np.linspace(0.28, 1.0, STEPS), count)[:, None]
    lines.point_data["rgb"] = (np.repeat(colours, STEPS, axis=0) * glow).astype(np.uint8)
    return lines.tube(scalars="width", absolute=True, n_sides=7 if count <= 100 else 4, radius=0.03)


def plates(scene: Scene) -> pv.PolyData:
    """All plates as one mesh of triangles, fanned around a corner each: the outlines are convex."""
    points, faces, base = [], [], 0
    for outline in scene.plates:
        step = np.arange(1, len(outline) - 1)
        corners = [np.full(len(step), 3), np.full(len(step), base), base + step, base + step + 1]
        faces.append(np.column_stack(corners))
        points.append(np.column_stack([outline, np.zeros(len(outline))]))
        base += len(outline)
    mesh = pv.PolyData(np.vstack(points).astype(np.float32), faces=np.vstack(faces).ravel())
    mesh.point_data["rgb"] = np.tile(np.array(PLATE, np.uint8), (mesh.n_points, 1))
    return mesh


def rims(scene: Scene) -> pv.PolyData:
    """A tube around each plate, in the colour of the worst state on it."""
    points, lines, colours, base = [], [], [], 0
    for outline, state in zip(scene.plates, scene.plate_state, strict=True):
        closed = np.vstack([outline, outline[:1]])
        points.append(np.column_stack([closed, np.full(len(closed), 0.03)]))
        lines += [len(closed), *range(base, base + len(closed))]
        colours.append(np.tile(RIM_COLOURS[state], (len(closed), 1)))
        base += len(closed)
    mesh = pv.PolyData(np.vstack(points).astype(np.float32), lines=np.array(lines))
    mesh.point_data["rgb"] = np.vstack(colours)
    return mesh.tube(radius=0.085, n_sides=8)


def stems(scene: Scene) -> pv.PolyData:
    """A thin line from each body down to its plate, so that heights can be read."""
    feet = scene.positions.copy()
    feet[:, 2] = 0.02
    pairs = np.stack([scene.positions, feet], axis=1)
    return pv.PolyData(pairs.reshape(-1, 3), lines=_polylines(len(pairs), 2))


def grid(scene: Scene) -> pv.PolyData:
    """A quiet ground that fades into the background with the distance from the middle."""
    reach = 40.0
    if scene.plates:
        reach += float(np.linalg.norm(np.vstack(scene.plates), axis=1).max())
    spacing = 3.0 * max(1.0, reach / 120.0)
    ticks = np.arange(-reach, reach + spacing, spacing)
    fine = np.linspace(-reach, reach, 40)
    along_x = [np.column_stack([fine, np.full(40, tick), np.full(40, -0.12)]) for tick in ticks]
    along_y = [points[:, [1, 0, 2]] for points in along_x]
    points = np.vstack(along_x + along_y)
    mesh = pv.PolyData(points.astype(np.float32), lines=_polylines(2 * len(ticks), 40))
    fade = np.clip(1.0 - np.linalg.norm(points[:, :2], axis=1) / reach, 0, 1)[:, None] ** 0.8
    mesh.point_data["rgba"] = np.column_stack([np.tile(GRID, (len(points), 1)), 190 * fade]).astype(np.uint8)
    return mesh


def _polylines(count: int, length: int) -> NDArray[np.int64]:
    cells = np.empty((count, length + 1), np.int64)
    cells[:, 0] = length
    cells[:, 1:] = np.arange(count * length).reshape(count, length)
    return cells.ravel()


def _flat(mesh: pv.PolyData) -> pv.PolyData:
    """With edges that stay sharp under light."""
    return mesh.extract_surface(algorithm="dataset_surface").compute_normals(
        split_vertices=True, feature_angle=40
    )
