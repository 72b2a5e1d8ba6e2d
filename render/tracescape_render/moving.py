"""Moving a camera: where it stands after a step, a turn, a tilt. Up stays up."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.camera import View

_STEP: Final = 0.05
_LOWEST: Final = 2.0
_HIGHEST: Final = 88.0
_NEAREST: Final = 2.0
_FARTHEST: Final = 5_000.0


def flown(view: View, forward: float = 0.0, right: float = 0.0, up: float = 0.0) -> View:
    """A step in the direction of sight, across and up; the farther away, the longer."""
    position, focus = np.array(view.position), np.array(view.focus)
    ahead = focus - position
    distance = max(float(np.linalg.norm(ahead)), 1e-9)
    side = np.cross(ahead, [0.0, 0.0, 1.0])
    move = forward * ahead / distance + right * side / max(float(np.linalg.norm(side)), 1e-9)
    move = (move + np.array([0.0, 0.0, up])) * max(distance, 8.0) * _STEP
    return View(_triple(position + move), _triple(focus + move))


def turned(view: View, degrees: float) -> View:
    """Around what is looked at, counterclockwise from above."""
    angle = np.radians(degrees)
    arm = np.subtract(view.position, view.focus)
    x = arm[0] * np.cos(angle) - arm[1] * np.sin(angle)
    y = arm[0] * np.sin(angle) + arm[1] * np.cos(angle)
    return View(_triple(np.array([x, y, arm[2]]) + view.focus), view.focus)


def tilted(view: View, degrees: float) -> View:
    """Higher or lower above what is looked at, never over the top and never below the ground."""
    arm = np.subtract(view.position, view.focus)
    distance, level = float(np.linalg.norm(arm)), float(np.hypot(arm[0], arm[1]))
    here = float(np.degrees(np.arctan2(arm[2], level)))
    angle = np.radians(np.clip(here + degrees, _LOWEST, _HIGHEST))
    around = np.arctan2(arm[1], arm[0]) if level > 1e-9 else -np.pi / 2
    flat = distance * np.cos(angle)
    new = np.array([flat * np.cos(around), flat * np.sin(around), distance * np.sin(angle)])
    return View(_triple(new + view.focus), view.focus)


def panned(view: View, right: float, up: float) -> View:
    """Sideways and up in the picture, in parts of the distance to what is looked at."""
    position, focus = np.array(view.position), np.array(view.focus)
    ahead = focus - position
    distance = max(float(np.linalg.norm(ahead)), 1e-9)
    side = np.cross(ahead / distance, [0.0, 0.0, 1.0])
    side = side / max(float(np.linalg.norm(side)), 1e-9)
    move = (right * side + up * np.cross(side, ahead / distance)) * distance
    return View(_triple(position + move), _triple(focus + move))


def nearer(view: View, factor: float) -> View:
    """At ``factor`` times the distance from what is looked at, never inside it and never out of sight."""
    arm = np.subtract(view.position, view.focus)
    distance = max(float(np.linalg.norm(arm)), 1e-9)
    wanted = float(np.clip(distance * factor, _NEAREST, _FARTHEST))
    return View(_triple(np.array(view.focus) + arm / distance * wanted), view.focus)


def between(begin: View, end: View, part: float) -> View:
    """A view on the way, ``part`` from 0 to 1: slow at both ends."""
    eased = part * part * (3.0 - 2.0 * part)
    mixed = [
        _triple(np.array(a) + (np.array(b) - np.array(a)) * eased) for a, b in zip(begin, end, strict=True)
    ]
    return View(*mixed)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
