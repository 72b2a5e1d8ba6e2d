"""Requests as light that travels along the arcs."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render.actors import splats
from tracescape_render.arcs import FAINTEST, along
from tracescape_render.palette import FAILING, Theme
from tracescape_render.scene import Scene

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

    def light(self, scene: Scene, theme: Theme, size: float, most: int) -> vtkActor:
        """The lights of ``scene`` as one actor, ``size`` times as large as in a small world.

        No more than ``most``: the connections that are seen best have theirs.
        """
        share = np.log1p(scene.traffic) / max(float(np.log1p(scene.traffic).max(initial=0.0)), 1e-9)
        shown = (scene.traffic > 0) & (scene.arc_seen > FAINTEST)
        count = np.where(shown, 1 + np.round(5 * share), 0).astype(np.int64)
        if count.sum() > most:  # one each, lest a few short connections glow and all others be dark
            count = np.minimum(count, 1)
        best = np.argsort(-scene.arc_seen, kind="stable")
        count[best[np.cumsum(count[best]) > most]] = 0
        arc = np.repeat(np.arange(len(count)), count)
        self._controls = scene.curves[arc]
        lengths = np.linalg.norm(self._controls[:, 2] - self._controls[:, 0], axis=1)
        back = np.arange(len(arc)) % 3 == 2  # every third one is an answer on its way
        self._speed = (np.where(back, -1.0, 1.0) * _LIGHT_SPEED / np.maximum(lengths, 0.5)).astype(np.float32)
        self._phase = ((np.arange(len(arc)) * 0.6180339887) % 1.0).astype(np.float32)
        colours = np.tile(np.array(theme.light, np.float64), (len(arc), 1))
        sick = scene.arc_state[arc] == FAILING
        colours[sick] = (np.array(theme.marks[FAILING]) + np.array(theme.light)) / 2
        strength = np.clip(scene.arc_seen[arc] * 1.4, 0.25, 1.0) * np.where(back, 0.55, 1.0)
        if theme.glows:
            colours *= strength[:, None]
        else:
            colours += (np.array(theme.plate) - colours) * (1.0 - strength[:, None])
        self._mesh = pv.PolyData(self._at(0.0)) if len(arc) else pv.PolyData()
        return splats(self._mesh, colours.astype(np.uint8), 0.13 * size, adds=theme.glows)

    def move(self, seconds: float) -> None:
        """Where the lights are after ``seconds``."""
        if len(self._phase):
            self._mesh.points = self._at(seconds)

    def _at(self, seconds: float) -> NDArray[np.float32]:
        t = ((self._phase + self._speed * np.float32(seconds)) % 1.0)[:, None].astype(np.float32)
        return along(self._controls, t)[:, 0]
