"""Views: where one stands to see everything, and where on the screen a place is."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.scene import Scene, top_of_beacon

VIEW_ANGLE: Final = 30.0
_ELEVATION: Final = 33.0
#: From how far a single place is looked at: with those around it.
_CLOSE: Final = 21.0


class _Frame(NamedTuple):
    """The part of the window for the world, from -1 to 1: the title is above it, the legend below."""

    across: float = 0.0
    up: float = -0.02
    half_width: float = 0.88
    half_height: float = 0.78


_FRAME: Final = _Frame()
#: With a flag above everything.
_FLAGGED: Final = _Frame(up=-0.08, half_height=0.71)

#: Pixels that are written on: the title above, a flag under it, the legend below.
_TITLE: Final = 90
_FLAG: Final = 44
_LEGEND: Final = 56
_TALL: Final = 900
#: However small a window is, so much of it is the world's.
_LEAST_HALF: Final = 0.25

Matrix = NDArray[np.float64]


class View(NamedTuple):
    """A camera: where it stands, what it looks at (world units)."""

    position: tuple[float, float, float]
    focus: tuple[float, float, float]


def overview(scene: Scene, aspect: float, height: int = _TALL) -> View:
    """From in front and above, as near as everything with its labels still fits a window of ``aspect``.

    What is written above and below takes the more of it the fewer pixels in ``height`` it has.
    """
    flagged = scene.beacon is not None
    frame = _beside_words(_FLAGGED if flagged else _FRAME, height, _TITLE + flagged * _FLAG)
    return framed(extent(scene), _back(), aspect, **frame._asdict())


def around(scene: Scene, bodies: NDArray[np.int64], aspect: float, height: int = _TALL) -> View:
    """The same for some of the bodies, with their neighbourhood."""
    if not len(bodies):
        return overview(scene, aspect, height)
    frame = _beside_words(_FRAME, height, _TITLE)
    middle = scene.positions[bodies].astype(np.float64)
    room = 2.2 * scene.radii[bodies][:, None].astype(np.float64) * np.ones(3)
    feet = middle * [1.0, 1.0, 0.0]
    return framed(np.vstack([middle + room, middle - room, feet]), _back(), aspect, **frame._asdict())


def _beside_words(frame: _Frame, height: int, title: int) -> _Frame:
    """As much of ``frame`` as a ``title`` and the legend, in pixels, leave free of a window."""
    top = min(frame.up + frame.half_height, 1.0 - 2.0 * title / height)
    foot = max(frame.up - frame.half_height, 2.0 * _LEGEND / height - 1.0)
    half = max((top - foot) / 2.0, _LEAST_HALF)
    return frame._replace(up=(top + foot) / 2.0, half_height=half)


def _back() -> NDArray[np.float64]:
    elevation = np.radians(_ELEVATION)
    return np.array([0.0, -np.cos(elevation), np.sin(elevation)])


def framed(
    points: NDArray[np.float64],
    back: NDArray[np.float64],
    aspect: float,
    *,
    across: float = 0.0,
    up: float = 0.0,
    half_width: float = 1.0,
    half_height: float = 1.0,
) -> View:
    """As near as ``points`` (n, 3) fit a part of a window of ``aspect``, looking against ``back``.

    ``back`` is a unit vector. The part is that of `_Frame`: its middle and its half sizes, from -1 to 1.
    """
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    above = np.cross(back, right)
    slope = np.tan(np.radians(VIEW_ANGLE / 2))
    focus = points.mean(axis=0)
    distance = float(np.linalg.norm(points - focus, axis=1).max()) / slope
    for _ in range(12):  # what moves nearer grows; a dozen rounds settle that
        away = points - (focus + back * distance)
        depth = -(away @ back)
        x = away @ right / depth / (slope * aspect)
        y = away @ above / depth / slope
        focus = focus + right * (_middle(x) - across) * distance * slope * aspect
        focus = focus + above * (_middle(y) - up) * distance * slope
        distance *= max(_half(x) / half_width, _half(y) / half_height)
        distance = max(distance, float((points @ back).max() - focus @ back) + 4.0)
    return View(_triple(focus + back * distance), _triple(focus))


def _middle(values: NDArray[np.float64]) -> float:
    return float(values.min() + values.max()) / 2


def _half(values: NDArray[np.float64]) -> float:
    return float(values.max() - values.min()) / 2


def close_up(place: NDArray[np.float32], view: View) -> View:
    """Nearer to ``place``, float32 (3,), looking in the same direction as ``view``."""
    focus = place.astype(np.float64)
    direction = np.subtract(view.position, view.focus)
    return View(_triple(focus + direction / np.linalg.norm(direction) * _CLOSE), _triple(focus))


def to_screen(
    points: NDArray[np.float32], projection: Matrix, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels (n, 2) from the lower left corner, and the distance w (n,), not positive behind the camera.

    ``projection`` is the camera's 4 × 4 composite projection for the window's aspect.
    """
    homogeneous = points @ projection[:, :3].T + projection[:, 3]
    w = homogeneous[:, 3]
    safe = np.where(np.abs(w) < 1e-12, 1e-12, w)
    return (homogeneous[:, :2] / safe[:, None] * 0.5 + 0.5) * np.array(size), w


def pick(
    scene: Scene, projection: Matrix, size: tuple[int, int], pixel: tuple[float, float], reach: float = 6.0
) -> int | None:
    """The body under ``pixel`` (from the lower left corner): the nearest to the camera, or None.

    ``reach`` pixels are added around small bodies, so that they can be hit.
    """
    if not len(scene.positions):
        return None
    xy, w = to_screen(scene.positions, projection, size)
    slope = np.tan(np.radians(VIEW_ANGLE / 2))
    in_pixels = scene.radii / np.maximum(w, 1e-9) / slope * size[1] / 2
    away = np.linalg.norm(xy - np.array(pixel), axis=1)
    hit = np.flatnonzero((w > 0) & (away <= np.maximum(in_pixels, reach)))
    return int(hit[np.argmin(w[hit])]) if len(hit) else None


def extent(scene: Scene) -> NDArray[np.float64]:
    """Points that must be seen: bodies with room for a label, and the plates' rims."""
    if not len(scene.positions):
        return np.array([[-8.0, -6.0, 0.0], [8.0, 6.0, 4.0]])
    bodies = scene.positions.astype(np.float64)
    flat = np.vstack(scene.plates)
    ground = np.column_stack([flat, np.zeros(len(flat))])
    seen = [bodies + [0, 0, 1.2], bodies - [0, 0, 0.8], ground]
    if scene.beacon is not None:
        seen.append(top_of_beacon(scene)[None])
    return np.vstack(seen)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
