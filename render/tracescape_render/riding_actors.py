"""A ride on a VTK renderer: eight actors whatever the request, changed in place as time goes on."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render import meshes
from tracescape_render.actors import glyphs, mesh_actor, recolour, resize, signs, splats
from tracescape_render.palette import DEGRADED, FAILING, Theme
from tracescape_render.riding import (
    FULL_LIGHTS,
    STEPS,
    TAIL,
    Ride,
    RidePicture,
    sign_radius,
    signs_at,
    steps_of,
    way_points,
    way_radii,
)
from tracescape_render.route import MOST_TRAVELLERS

_HALO: Final = 1.35
_SIDES: Final = 7
_FEWER_SIDES: Final = 4
#: Radii of the three dots of who waits, and how far apart they are, in radii of a sign.
_DOT: Final = 0.26
_DOTS_APART: Final = 0.72


class RidingActors:
    """The actors of a ride; `show` gives them what is drawn at a moment."""

    def __init__(self, ride: Ride, theme: Theme) -> None:
        self._ride, self._theme = ride, theme
        scene, bodies = ride.scene, ride.bodies
        self._radii = scene.radii[bodies] * np.float32(min(scene.size**0.5, 2.0))
        self.actors: list[vtkActor] = []
        if len(ride.ways):
            self._tubes = _tubes(ride)
            self._point = np.rint(self._tubes.point_data["point"]).astype(np.int64)
            self.actors.append(mesh_actor(self._tubes, "rgba"))
        self._lights = pv.PolyData(np.zeros((MOST_TRAVELLERS * TAIL, 3), np.float32))
        self._lit = 0
        none = np.zeros(MOST_TRAVELLERS * TAIL, np.float32)
        black = np.zeros((len(none), 3), np.uint8)
        self.actors.append(splats(self._lights, black, 1.0, none, adds=theme.glows))
        self._places = signs_at(scene, bodies)
        self._signs = {sign: self._sign(sign) for sign in ("lamp", "dots", "cross")}
        self._lost = pv.PolyData(np.zeros((max(len(ride.ways), 1), 3), np.float32))
        self.actors.append(
            signs(
                self._lost,
                np.tile(np.array(theme.marks[FAILING], np.uint8), (self._lost.n_points, 1)),
                np.zeros(self._lost.n_points, np.float32),
                cross=True,
            )
        )
        self._halo = pv.PolyData(scene.positions[bodies].copy())
        if theme.glows:
            grey = np.zeros((len(bodies), 3), np.uint8)
            self.actors.append(splats(self._halo, grey, 1.0, self._radii * np.float32(_HALO), adds=True))
        self._changing: list[vtkActor] = []
        self._told: tuple[bytes, bytes] | None = None

    def _sign(self, sign: str) -> pv.PolyData:
        places = self._places
        if sign == "dots":  # three above each other: up is up on any screen
            up = np.float32(_DOTS_APART * sign_radius(self._ride.scene)) * np.arange(3, dtype=np.float32)
            places = np.repeat(places, 3, axis=0)
            places[:, 2] += np.tile(up, len(self._places))
        mesh = pv.PolyData(places.copy())
        ink = self._theme.marks[FAILING] if sign == "cross" else self._theme.light
        colours = np.tile(np.array(ink, np.uint8), (mesh.n_points, 1))
        self.actors.append(signs(mesh, colours, np.zeros(mesh.n_points, np.float32), cross=sign == "cross"))
        return mesh

    def show(self, picture: RidePicture) -> tuple[list[vtkActor], list[vtkActor]]:
        """Draw ``picture``: the actors that are gone now, and those that are new."""
        if len(self._ride.ways):
            self._tubes.point_data["rgba"] = picture.ways.reshape(-1, 4)[self._point]
        self._show_lights(picture)
        self._show_signs(picture)
        told = picture.state.tobytes(), picture.colours.tobytes()
        if told == self._told:
            return [], []
        self._told = told
        gone, self._changing = self._changing, self._bodies(picture)
        return gone, self._changing

    @property
    def changing(self) -> list[vtkActor]:
        """Those that `show` has made."""
        return self._changing

    def _show_lights(self, picture: RidePicture) -> None:
        count = len(picture.lights)
        if not count and not self._lit:
            return
        points = np.zeros((self._lights.n_points, 3), np.float32)
        colours = np.zeros((len(points), 3), np.uint8)
        sizes = np.zeros(len(points), np.float32)
        points[:count], colours[:count], sizes[:count] = (
            picture.lights,
            picture.light_colours,
            picture.light_sizes,
        )
        self._lights.points = points
        recolour(self._lights, colours)
        resize(self._lights, sizes)
        self._lit = count

    def _show_signs(self, picture: RidePicture) -> None:
        radius = np.float32(sign_radius(self._ride.scene))
        shown: dict[str, NDArray[np.float32]] = {
            "lamp": 0.55 * radius * (picture.works & ~picture.origins),
            "dots": np.repeat(_DOT * radius * (picture.waits & ~picture.origins), 3),
            "cross": 1.25 * radius * picture.origins,
        }
        if picture.critical >= 0:
            shown["lamp"][picture.critical] *= 1.5
        for sign, mesh in self._signs.items():
            resize(mesh, shown[sign].astype(np.float32))
        sizes = np.zeros(self._lost.n_points, np.float32)
        sizes[: len(picture.lost)] = radius
        points = np.zeros((len(sizes), 3), np.float32)
        points[: len(picture.lost)] = picture.lost
        self._lost.points = points
        resize(self._lost, sizes)
        if self._theme.glows:
            crowd = min(1.0, FULL_LIGHTS / 2 / max(int(picture.works.sum()), 1))
            glow = np.where(picture.works, 0.4 * crowd, 0.0)
            if picture.critical >= 0:
                glow[picture.critical] += 0.2
            light = np.array(self._theme.light, np.float64)[None] * glow[:, None]
            red = np.array(self._theme.marks[FAILING], np.float64)[None]
            failing = (picture.state == FAILING)[:, None]
            red *= 0.5 * min(1.0, FULL_LIGHTS / 2 / max(int(failing.sum()), 1))
            recolour(self._halo, np.clip(np.where(failing, red, light), 0, 255).astype(np.uint8))

    def _bodies(self, picture: RidePicture) -> list[vtkActor]:
        scene, bodies = self._ride.scene, self._ride.bodies
        if not len(bodies):
            return []
        shapes = meshes.body_shapes(len(bodies))
        made = [glyphs(scene.positions[bodies], self._radii, picture.colours, shapes, scene.shape[bodies])]
        bad = np.flatnonzero(np.isin(picture.state, (FAILING, DEGRADED)))
        if len(bad):
            rings = meshes.mark_shapes(len(bad))
            inks = np.array(self._theme.marks, np.uint8)[picture.state[bad]]
            two = (picture.state[bad] == FAILING).astype(np.int64)
            made.append(glyphs(scene.positions[bodies[bad]], self._radii[bad], inks, rings, two, lit=False))
        return made


def _tubes(ride: Ride) -> pv.PolyData:
    points, steps = way_points(ride), steps_of(ride)
    count = len(points)
    lines = pv.PolyData(points.reshape(-1, 3), lines=meshes.joined(count, steps))
    lines.point_data["width"] = np.repeat(way_radii(ride), steps)
    lines.point_data["point"] = np.arange(count * steps, dtype=np.float64)
    sides = _SIDES if steps == STEPS else _FEWER_SIDES
    tubes: pv.PolyData = lines.tube(scalars="width", absolute=True, n_sides=sides, radius=0.03)
    tubes.point_data["rgba"] = np.zeros((tubes.n_points, 4), np.uint8)
    return tubes
