"""Requests as light that travels along the arcs."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render import palette
from tracescape_render.actors import splats
from tracescape_render.arcs import along, control_points
from tracescape_render.scene import Scene

_MOST_LIGHTS: Final = 3_000
_LIGHT_SPEED: Final = 3.2  # world units a second


class Lights:
    """Requests as light along the arcs: more where there is more traffic, back and forth."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """No lights."""
        self._controls = np.zeros((0, 3, 3), np.float32)
        self._phase = self._speed = np.zeros(0, np.float32)
        self._mesh = pv.PolyData()

    def light(self, scene: Scene) -> vtkActor:
        """The lights of ``scene`` as one actor."""
        share = np.log1p(scene.traffic) / max(float(np.log1p(scene.traffic).max(initial=0.0)), 1e-9)
        count = np.where(scene.traffic > 0, 1 + np.round(5 * share), 0).astype(np.int64)
        if count.sum() > _MOST_LIGHTS:
            count = (count * _MOST_LIGHTS) // count.sum()
        arc = np.repeat(np.arange(len(count)), count)
        self._controls = control_points(scene)[arc] if len(arc) else np.zeros((0, 3, 3), np.float32)
        lengths = np.linalg.norm(self._controls[:, 2] - self._controls[:, 0], axis=1)
        back = np.arange(len(arc)) % 3 == 2  # every third one is an answer on its way
        self._speed = (np.where(back, -1.0, 1.0) * _LIGHT_SPEED / np.maximum(lengths, 0.5)).astype(np.float32)
        self._phase = ((np.arange(len(arc)) * 0.6180339887) % 1.0).astype(np.float32)
        colours = np.tile(np.array(palette.LIGHT, np.uint8), (len(arc), 1))
        sick = scene.arc_state[arc] == palette.FAILING
        colours[sick] = (255, 150, 140)
        colours[back] = (colours[back] * 0.55).astype(np.uint8)
        self._mesh = pv.PolyData(self._at(0.0)) if len(arc) else pv.PolyData()
        return splats(self._mesh, colours, 0.13)

    def move(self, seconds: float) -> None:
        """Where the lights are after ``seconds``."""
        if len(self._phase):
            self._mesh.points = self._at(seconds)

    def _at(self, seconds: float) -> NDArray[np.float32]:
        t = ((self._phase + self._speed * np.float32(seconds)) % 1.0)[:, None].astype(np.float32)
        return along(self._controls, t)[:, 0]
