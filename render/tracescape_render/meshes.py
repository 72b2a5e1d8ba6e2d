"""The shapes that scenes are drawn with, as VTK meshes. Each is made once a scene, not once a body."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from tracescape_render.painting import rim_segments
from tracescape_render.palette import ABSENT, DEGRADED, FAILING, RGB, Theme
from tracescape_render.scene import (
    GROUP,
    Scene,
    beacon_rings,
    suspect_ring,
    top_of_beacon,
    top_of_suspect,
)

#: How thick a rim is by state; the sick parts are thicker, and broken where they are not failing.
_RIM: Final = {FAILING: 0.15, DEGRADED: 0.12, ABSENT: 0.13}
_RIM_REST: Final = 0.06
_DASHES: Final = {DEGRADED: (1.1, 0.5), ABSENT: (0.42, 0.42)}
#: The shaft: radius, opacity at the foot and at the top of a bright core and of shells that fade outwards.
_SHELLS: Final = (
    (0.09, 0.95, 0.8),
    *((0.09 + 0.7 * (k / 11) ** 1.4, 0.17 * (1 - k / 12) ** 1.6, 0.0) for k in range(1, 12)),
)
#: More rims than these are flat.
_ROUND_RIMS: Final = 60
_HATCHES: Final = 6
#: The line from the suspect to its flag has so many.
_DASHES_UP: Final = 4
_DOME_HEIGHT: Final = 0.34


def body_shapes(bodies: int) -> list[pv.PolyData]:
    """A mesh of about unit radius for each of ``scene.KINDS``, in that order; coarser when there are many."""
    across, down = (40, 24) if bodies <= 50 else (24, 16) if bodies <= 300 else (12, 8)
    return _body_shapes(*((8, 6) if bodies > 5_000 else (across, down)))


@cache
def _body_shapes(across: int, down: int) -> list[pv.PolyData]:
    round_ = min(40, across)
    return [
        pv.Sphere(radius=1.0, theta_resolution=across, phi_resolution=down),
        _flat(pv.Cylinder(direction=(0, 0, 1), radius=0.86, height=1.5, resolution=round_)),
        _flat(pv.Cylinder(direction=(1, 0, 0), radius=0.72, height=2.3, resolution=6)),
        _flat(pv.PlatonicSolid("octahedron", radius=1.25)),
        _flat(pv.Cone(direction=(0, 0, -1), radius=0.9, height=1.5, resolution=round_)),
    ]


def domes(
    positions: NDArray[np.float32], radii: NDArray[np.float32], colours: NDArray[np.uint8]
) -> pv.PolyData:
    """Flat domes on the ground, (n,), as one mesh, with the light painted on: uint8 RGB in ``rgb``."""
    dome = pv.Sphere(radius=1.0, theta_resolution=16, phi_resolution=5, end_phi=90.0)
    normal = dome.points / np.linalg.norm(dome.points, axis=1, keepdims=True)
    shade = np.clip(0.42 + 0.62 * normal @ np.array([0.4, -0.5, 0.77]), 0.25, 1.0)
    count, corners = len(positions), dome.n_points
    points = positions[:, None] + radii[:, None, None] * (dome.points * [1.0, 1.0, _DOME_HEIGHT])[None]
    triangles = dome.faces.reshape(-1, 4)[None] + np.arange(count)[:, None, None] * [
        0,
        corners,
        corners,
        corners,
    ]
    mesh = pv.PolyData(points.reshape(-1, 3).astype(np.float32), faces=triangles.ravel())
    mesh.point_data["rgb"] = (colours[:, None] * shade[None, :, None]).astype(np.uint8).reshape(-1, 3)
    return mesh


def mark_shapes(wearers: int) -> list[pv.PolyData]:
    """What the sick wear: a ring for degraded, two for failing, hatching for each kind that is absent.

    Coarser when many wear them.
    """
    return _mark_shapes((64, 10) if wearers <= 12 else (32, 5) if wearers <= 60 else (20, 3))


@cache
def _mark_shapes(corners: tuple[int, int]) -> list[pv.PolyData]:
    ring = _ring(1.55, 0.085, corners)
    outer = _ring(2.0, 0.085, corners)
    broken = _broken_ring(1.7, 0.085)
    return [ring, ring + outer, *(_hatched(shape) + broken for shape in body_shapes(100))]


def mark_of(scene: Scene) -> NDArray[np.int64]:
    """Which of `mark_shapes` a body wears, -1 for none: shape (n,)."""
    mark = np.full(len(scene.state), -1, np.int64)
    mark[scene.state == DEGRADED] = 0
    mark[scene.state == FAILING] = 1
    absent = (scene.state == ABSENT) & (scene.shape != GROUP)
    mark[absent] = 2 + scene.shape[absent]
    return mark


def wires(points: NDArray[np.float32], colours: NDArray[np.uint8]) -> pv.PolyData:
    """Arcs (m, steps, 3) as thin lines, paler at the caller as `tubes`; colours RGBA, uint8 (m, 4)."""
    count, steps = points.shape[:2]
    lines = pv.PolyData(points.reshape(-1, 3), lines=joined(count, steps))
    lines.point_data["rgba"] = _coming_out(colours, steps)
    return lines


def tubes(points: NDArray[np.float32], radii: NDArray[np.float32], colours: NDArray[np.uint8]) -> pv.PolyData:
    """Arcs (m, steps, 3) as tubes that come out from the caller to the callee; colours RGBA, uint8 (m, 4)."""
    count, steps = points.shape[:2]
    lines = pv.PolyData(points.reshape(-1, 3), lines=joined(count, steps))
    lines.point_data["width"] = np.repeat(radii, steps)
    lines.point_data["rgba"] = _coming_out(colours, steps)
    return lines.tube(scalars="width", absolute=True, n_sides=7 if count <= 100 else 3, radius=0.03)


def _coming_out(colours: NDArray[np.uint8], steps: int) -> NDArray[np.uint8]:
    """The colours of each arc's points: less opaque where the call comes from."""
    rgba = np.repeat(colours, steps, axis=0)
    rgba[:, 3] = (rgba[:, 3] * np.tile(np.linspace(0.4, 1.0, steps), len(colours))).astype(np.uint8)
    return rgba


def plates(scene: Scene, colour: RGB) -> pv.PolyData:
    """All plates as one mesh of triangles, fanned around a corner each: the outlines are convex."""
    points, faces, base = [], [], 0
    every = 1 if len(scene.plates) <= 100 else 4
    for whole in scene.plates:
        outline = whole[::every]
        step = np.arange(1, len(outline) - 1)
        corners = [np.full(len(step), 3), np.full(len(step), base), base + step, base + step + 1]
        faces.append(np.column_stack(corners))
        points.append(np.column_stack([outline, np.zeros(len(outline))]))
        base += len(outline)
    mesh = pv.PolyData(np.vstack(points).astype(np.float32), faces=np.vstack(faces).ravel())
    mesh.point_data["rgb"] = np.tile(np.array(colour, np.uint8), (mesh.n_points, 1))
    return mesh


def rims(scene: Scene, theme: Theme, *, quiet: bool = False) -> pv.PolyData:
    """A tube around each plate. As much of it as bodies are sick is in their colour, thick, and in front.

    ``quiet`` rims recede: something else is looked at.
    """
    size = scene.size
    corners, sides = (120, 6) if len(scene.plates) <= 12 else (60, 3)
    if len(scene.plates) > _ROUND_RIMS:
        corners = 40
    sick_seen, rest_seen = (1.0, 0.75) if scene.cause is None else (0.62, 0.3)
    if quiet:
        sick_seen, rest_seen = 0.4, 0.3
    points: list[NDArray[np.float64]] = []
    lines: list[int] = []
    colours: list[RGB] = []
    widths: list[float] = []
    for outline, shares in zip(scene.plates, scene.plate_shares, strict=True):
        for state, begin, end in rim_segments(shares):
            sick = state in _RIM
            colour = _between(theme.plate, theme.marks[state], sick_seen if sick else rest_seen)
            for piece in _pieces(outline, begin, end, _DASHES.get(state), size, corners):
                lines += [len(piece), *range(len(colours), len(colours) + len(piece))]
                points.append(piece)
                colours += [colour] * len(piece)
                widths += [_RIM.get(state, _RIM_REST) * size] * len(piece)
    if len(scene.plates) > _ROUND_RIMS:
        return _ribbons(points, np.array(widths), np.array(colours, np.uint8))
    mesh = pv.PolyData(np.vstack(points).astype(np.float32), lines=np.array(lines))
    mesh.point_data["rgb"] = np.array(colours, np.uint8)
    mesh.point_data["width"] = np.array(widths)
    return mesh.tube(scalars="width", absolute=True, radius=0.06, n_sides=sides)


def _ribbons(
    pieces: list[NDArray[np.float64]], widths: NDArray[np.float64], colours: NDArray[np.uint8]
) -> pv.PolyData:
    """Lines on the ground, pieces (p, 3) each, as flat bands: widths and colours a point of all together."""
    points = np.vstack(pieces)
    way = np.vstack([_ahead(piece[:, :2]) for piece in pieces])
    side = np.column_stack([-way[:, 1], way[:, 0], np.zeros(len(way))])
    side *= (widths / np.maximum(np.linalg.norm(side, axis=1), 1e-9))[:, None]
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    step = np.setdiff1d(np.arange(len(points)), ends)  # each point to the next of its piece
    low, high = step, step + len(points)
    faces = np.column_stack([np.full(len(step), 4), low, low + 1, high + 1, high])
    mesh = pv.PolyData(np.vstack([points - side, points + side]).astype(np.float32), faces=faces.ravel())
    mesh.point_data["rgb"] = np.vstack([colours, colours])
    return mesh


def _ahead(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a line (p, 2) goes at each of its points; one that ends where it begins has no seam."""
    closed = len(line) > 2 and bool(np.allclose(line[0], line[-1]))
    longer = np.vstack([line[-2:-1], line, line[1:2]]) if closed else line
    ahead: NDArray[np.float64] = np.gradient(longer, axis=0)
    return ahead[1:-1] if closed else ahead


def beacon(scene: Scene, colour: RGB) -> pv.PolyData:
    """A shaft of light that stands on the cause and ends above everything, and rings around that.

    It does not go on to the ground: whoever happens to be in front of that would seem to be meant.
    """
    assert scene.beacon is not None
    assert scene.cause is not None
    size = scene.size
    top = top_of_beacon(scene)
    place = scene.beacon.astype(np.float64)
    rings = beacon_rings(scene)
    parts = [_shell(place, float(top[2]), width * size, low, high, colour) for width, low, high in _SHELLS]
    parts.append(_pool(place, 1.6 * rings[-1], colour))
    for radius in rings:
        ring = _ring(radius, 0.085 * size).translate(place, inplace=False)
        parts.append(_coloured(ring, colour, 1.0))
    return pv.merge(parts, merge_points=False)


def suspicion(scene: Scene, colour: RGB) -> pv.PolyData:
    """A ring in four parts around the suspect and a dashed line up to its flag: no light, no shaft."""
    assert scene.suspect is not None
    place = scene.positions[scene.suspect.body].astype(np.float64)
    radius, size = suspect_ring(scene), scene.size
    lines = []
    for quarter in range(4):
        angle = np.pi * (0.5 * quarter + np.linspace(0.06, 0.44, 14))
        ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(14)])
        lines.append(ring + place)
    foot, top = float(place[2] + scene.radii[scene.suspect.body]), float(top_of_suspect(scene)[2])
    heights = np.linspace(foot, top, 2 * _DASHES_UP)
    for low, high in heights.reshape(-1, 2).tolist():
        lines.append(np.array([[place[0], place[1], low], [place[0], place[1], high]]))
    parts = [pv.PolyData(line, lines=joined(1, len(line))) for line in lines]
    return _coloured(pv.merge(parts).tube(radius=0.055 * size, n_sides=6), colour, 1.0)


def stems(scene: Scene) -> pv.PolyData:
    """A thin line from each body down to its plate, so that heights can be read."""
    feet = scene.positions.copy()
    feet[:, 2] = 0.02
    pairs = np.stack([scene.positions, feet], axis=1)
    return pv.PolyData(pairs.reshape(-1, 3), lines=joined(len(pairs), 2))


def grid(scene: Scene, colour: RGB) -> pv.PolyData:
    """A quiet ground that fades into the background with the distance from the middle."""
    reach = 40.0
    if scene.plates:
        reach += float(np.linalg.norm(np.vstack(scene.plates), axis=1).max())
    spacing = 3.0 * max(1.0, reach / 80.0)
    ticks = np.arange(-reach, reach + spacing, spacing)
    fine = np.linspace(-reach, reach, 40)
    along_x = [np.column_stack([fine, np.full(40, tick), np.full(40, -0.12)]) for tick in ticks]
    along_y = [points[:, [1, 0, 2]] for points in along_x]
    points = np.vstack(along_x + along_y)
    mesh = pv.PolyData(points.astype(np.float32), lines=joined(2 * len(ticks), 40))
    fade = np.clip(1.0 - np.linalg.norm(points[:, :2], axis=1) / reach, 0, 1)[:, None] ** 0.8
    mesh.point_data["rgba"] = np.column_stack([np.tile(colour, (len(points), 1)), 190 * fade]).astype(
        np.uint8
    )
    return mesh


def _pieces(
    outline: NDArray[np.float32],
    begin: float,
    end: float,
    dash: tuple[float, float] | None,
    size: float,
    corners: int,
) -> list[NDArray[np.float64]]:
    """The part of a closed outline from ``begin`` to ``end`` (0 = in front), whole or in dashes.

    All of it would have ``corners``.
    """
    first = int(np.argmin(outline[:, 1]))
    closed = np.vstack([outline[first:], outline[:first], outline[first : first + 1]]).astype(np.float64)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    total = float(way[-1])
    spans = [(begin * total, end * total)]
    if dash is not None:
        long, gap = dash[0] * size, dash[1] * size
        starts = np.arange(begin * total, max(end * total - 0.6 * long, begin * total + 1e-6), long + gap)
        spans = [(float(at), min(float(at) + long, end * total)) for at in starts]
    pieces = []
    for low, high in spans:
        steps = np.linspace(low, high, max(2, int(corners * (high - low) / total) + 2))
        flat = [np.interp(steps % total, way, closed[:, axis]) for axis in (0, 1)]
        pieces.append(np.column_stack([*flat, np.full(len(steps), 0.05)]))
    return pieces


def _shell(
    foot: NDArray[np.float64], top: float, radius: float, low: float, high: float, colour: RGB
) -> pv.PolyData:
    angle = np.linspace(0, 2 * np.pi, 24)
    heights = np.linspace(0.0, 1.0, 12)
    x = foot[0] + radius * np.cos(angle)[None, :] * np.ones(12)[:, None]
    y = foot[1] + radius * np.sin(angle)[None, :] * np.ones(12)[:, None]
    z = (foot[2] + (top - foot[2]) * heights)[:, None] * np.ones(24)[None, :]
    mesh = pv.StructuredGrid(x, y, z).extract_surface(algorithm="dataset_surface")
    share = (mesh.points[:, 2] - foot[2]) / max(top - foot[2], 1e-9)
    opacity = (low + (high - low) * share) * 255
    mesh.clear_data()
    mesh.point_data["rgba"] = np.column_stack([np.tile(colour, (mesh.n_points, 1)), opacity]).astype(np.uint8)
    return mesh


def _pool(foot: NDArray[np.float64], radius: float, colour: RGB) -> pv.PolyData:
    """Light on the ground, fading outwards."""
    mesh = pv.Disc(center=foot.tolist(), inner=0.0, outer=radius, r_res=8, c_res=48)
    away = np.linalg.norm(mesh.points[:, :2] - foot[:2], axis=1) / radius
    opacity = 120 * np.clip(1 - away, 0, 1) ** 1.3
    mesh.clear_data()
    mesh.point_data["rgba"] = np.column_stack([np.tile(colour, (mesh.n_points, 1)), opacity]).astype(np.uint8)
    return mesh


def _coloured(mesh: pv.PolyData, colour: RGB, opacity: float) -> pv.PolyData:
    mesh.clear_data()
    mesh.point_data["rgba"] = np.tile(np.array([*colour, 255 * opacity], np.uint8), (mesh.n_points, 1))
    return mesh


def _hatched(shape: pv.PolyData) -> pv.PolyData:
    """Slanted contours around a body, a little outside of it."""
    body = shape.copy()
    slant = body.points @ np.array([0.75, 0.36, 0.555])
    body.clear_data()
    body.point_data["slant"] = slant
    low, high = float(slant.min()), float(slant.max())
    levels = low + (high - low) * (np.arange(_HATCHES) + 0.5) / _HATCHES
    lines = body.contour(levels.tolist(), scalars="slant")
    lines.points = lines.points * 1.03
    lines.clear_data()
    return lines.strip().tube(radius=0.06, n_sides=6)


def _ring(radius: float, thickness: float, corners: tuple[int, int] = (64, 10)) -> pv.PolyData:
    """A torus with so many corners around it and around its section."""
    around, section = corners
    return pv.ParametricTorus(
        ringradius=radius, crosssectionradius=thickness, u_res=around, v_res=section, w_res=section
    )


def _broken_ring(radius: float, thickness: float) -> pv.PolyData:
    parts = []
    for number in range(10):
        angle = np.linspace(0, 2 * np.pi * 0.06, 6) + 2 * np.pi * number / 10
        points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(6)])
        parts.append(pv.PolyData(points, lines=joined(1, 6)))
    return pv.merge(parts).tube(radius=thickness, n_sides=6)


def _between(ground: RGB, colour: RGB, share: float) -> RGB:
    mixed = np.rint(np.array(ground) + (np.array(colour) - np.array(ground)) * share).astype(int).tolist()
    return mixed[0], mixed[1], mixed[2]


def joined(count: int, length: int) -> NDArray[np.int64]:
    """Cells that join each ``length`` points of ``count`` lines, as VTK wants them."""
    cells = np.empty((count, length + 1), np.int64)
    cells[:, 0] = length
    cells[:, 1:] = np.arange(count * length).reshape(count, length)
    return cells.ravel()


def _flat(mesh: pv.PolyData) -> pv.PolyData:
    """With edges that stay sharp under light."""
    return mesh.extract_surface(algorithm="dataset_surface").compute_normals(
        split_vertices=True, feature_angle=40
    )
