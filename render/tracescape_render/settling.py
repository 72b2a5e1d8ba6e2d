"""From one layout to another: everybody goes to the new place instead of being there at once."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tracescape_render.arcs import control_points
from tracescape_render.placing import Transition
from tracescape_render.scene import Scene, beacon_of


def transition(before: Scene, after: Scene) -> Transition | None:
    """The way of the bodies of ``after`` from where they stood in ``before``; None if nobody has moved.

    Who was not there before stands at the new place from the beginning.
    """
    stood = dict(zip(before.services, before.positions.astype(np.float64), strict=True))
    there = after.positions.astype(np.float64)
    here = there.copy()
    for body, name in enumerate(after.services):
        here[body] = stood.get(name, there[body])
    return None if np.array_equal(here, there) else Transition(here, there)


def moved(scene: Scene, positions: NDArray[np.float64]) -> Scene:
    """``scene`` with its bodies at ``positions`` (n, 3), arcs and beacon with them; plates stay."""
    stands = positions.astype(np.float32)
    curves = control_points(stands, scene.radii, scene.source, scene.target, scene.island)
    beacon = beacon_of(stands, curves, scene.cause)
    return dataclasses.replace(scene, positions=stands, curves=curves, beacon=beacon)
