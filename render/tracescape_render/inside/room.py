"""Where rows, shares of time and notes are in space, and what is under a pixel.

Time goes along x, rows go up (z) and back (y) like the tiers of a stand; notes hang on a board below.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.camera import Matrix, View, framed
from tracescape_render.inside.bodies import Bodies
from tracescape_render.inside.standing import LEVELS

#: The wall's width and height, its tallest row; of a row how far back the next is.
WIDTH: Final = 48.0
HEIGHT: Final = 19.0
TALLEST: Final = 1.7
LEAN: Final = 0.5
#: Of a row: how high who works and who waits, and how deep.
WORKING: Final = 0.62
WAITING: Final = 0.2
DEEP: Final = 0.42
#: The board: how far below and before the wall's foot it begins, how high a strip is, how far it leans.
BOARD: Final = 1.9
STRIP: Final = 1.15
BOARD_LEAN: Final = 0.45
_ELEVATION: Final = 15.0
#: Pixels above the wall for the headline and two lines below it.
_HEAD: Final = 96
_AZIMUTH: Final = -8.0
_TITLE: Final = 1.8
#: Who looks at a wall from behind sees nothing.
WIDEST: Final = 62.0
LOWEST, HIGHEST = 0.0, 72.0

Points = NDArray[np.float64]


class Room(NamedTuple):
    """``pitch`` is a row's height; ``levels`` are the kinds of notes that have a strip, from above.

    ``titled``: there is a line over the wall that says which trace it is.
    """

    rows: int
    pitch: float
    levels: tuple[int, ...]
    titled: bool = False

    @property
    def top(self) -> float:
        """The upper end of the wall."""
        return self.rows * self.pitch

    def x(self, share: NDArray[np.float64]) -> Points:
        """From the left end to the right."""
        return (np.asarray(share, np.float64) - 0.5) * WIDTH

    def y(self, row: NDArray[np.generic]) -> Points:
        """The front of a row."""
        return np.asarray(row, np.float64) * self.pitch * LEAN

    def z(self, row: NDArray[np.generic]) -> Points:
        """The foot of a row."""
        return np.asarray(row, np.float64) * self.pitch

    def strip(self, level: int) -> tuple[float, float]:
        """y and z of the middle of a strip of notes."""
        down = BOARD + (self.levels.index(level) + 0.5) * STRIP
        return -down * BOARD_LEAN, -down

    @property
    def bottom(self) -> tuple[float, float]:
        """y and z of the lower end of everything."""
        down = BOARD + len(self.levels) * STRIP if self.levels else BOARD
        return -down * BOARD_LEAN, -down


def room_for(
    drawn: Bodies, levels: tuple[int, ...] = tuple(range(len(LEVELS))), *, titled: bool = False
) -> Room:
    """The room that ``drawn`` takes; ``levels`` are the kinds of notes that the wall has at all."""
    return Room(drawn.rows, min(HEIGHT / drawn.rows, TALLEST), levels, titled)


def overview(room: Room, aspect: float, height: int = 1_000) -> View:
    """From in front, a little from the left and above: as near as all fits a window of ``aspect``.

    ``height`` in pixels: what is written above the wall takes more of a low window.
    """
    azimuth, elevation = np.radians(_AZIMUTH), np.radians(_ELEVATION)
    back = np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    y, z = room.bottom
    above = room.top + (_TITLE if room.titled else 0.3)
    ends = np.array([-0.5, 0.5]) * WIDTH
    points = np.array([(x, *yz) for x in ends for yz in ((y, z), (room.top * LEAN, above), (0.0, 0.0))])
    high = min(0.76, max(1.0 - 2.0 * _HEAD / max(height, 1), 0.5))
    return framed(points, back, aspect, up=-0.01, half_width=0.93, half_height=high)


def kept_in_front(view: View) -> View:
    """The same view, but never from behind, from below or from straight above."""
    arm = np.subtract(view.position, view.focus)
    distance = max(float(np.linalg.norm(arm)), 1e-9)
    side = float(np.degrees(np.arctan2(arm[0], -arm[1])))
    height = float(np.degrees(np.arcsin(np.clip(arm[2] / distance, -1.0, 1.0))))
    azimuth = np.radians(np.clip(side, -WIDEST, WIDEST))
    elevation = np.radians(np.clip(height, LOWEST, HIGHEST))
    flat = distance * np.cos(elevation)
    x, y, z = (flat * np.sin(azimuth), -flat * np.cos(azimuth), distance * np.sin(elevation))
    fx, fy, fz = view.focus
    return View((fx + float(x), fy + float(y), fz + float(z)), view.focus)


class Ray(NamedTuple):
    """From where to where a pixel looks, (3,) each."""

    near: Points
    way: Points


def ray(projection: Matrix, size: tuple[int, int], pixel: tuple[float, float]) -> Ray:
    """What lies behind a pixel (from the lower left corner)."""
    inverse = np.linalg.inv(projection)
    x, y = (2.0 * pixel[axis] / size[axis] - 1.0 for axis in (0, 1))
    ends = np.array([[x, y, -1.0, 1.0], [x, y, 1.0, 1.0]]) @ inverse.T
    points = ends[:, :3] / ends[:, 3:]
    return Ray(points[0], points[1] - points[0])


def place_at(room: Room, sight: Ray) -> tuple[float, float]:
    """Share of time and row (not whole) where a ray meets the slope on which the rows stand."""
    # The slope: y = LEAN * z.
    fall = sight.way[1] - LEAN * sight.way[2]
    part = (LEAN * sight.near[2] - sight.near[1]) / (fall if abs(fall) > 1e-12 else 1e-12)
    point = sight.near + part * sight.way
    return float(point[0] / WIDTH + 0.5), float(point[2] / room.pitch)


def body_under(drawn: Bodies, room: Room, sight: Ray, reach: float) -> int | None:
    """The body that a ray meets first: its front or its top, or None. ``reach`` is slack in x."""
    rows = np.arange(room.rows)
    front, foot = room.y(rows), room.z(rows)
    found: tuple[float, int] | None = None
    for parts, height_of in (
        (_meets(sight, 1, front), 2),
        (_meets(sight, 2, foot + WORKING * room.pitch), 1),
    ):
        points = sight.near + parts[:, None] * sight.way
        if height_of == 2:
            hit = (points[:, 2] >= foot - 0.1 * room.pitch) & (points[:, 2] <= foot + WORKING * room.pitch)
        else:
            hit = (points[:, 1] >= front) & (points[:, 1] <= front + DEEP * room.pitch)
        hit &= (parts > 0) & (np.abs(points[:, 0]) <= WIDTH / 2 + reach)
        for row in np.flatnonzero(hit).tolist():
            body = drawn.body_at(row, float(points[row, 0] / WIDTH + 0.5), reach / WIDTH)
            if body is not None and (found is None or parts[row] < found[0]):
                found = float(parts[row]), body
    return None if found is None else found[1]


def pin_under(drawn: Bodies, room: Room, sight: Ray, reach: float) -> int | None:
    """The pin of the board that a ray meets, or None."""
    fall = sight.way[1] - BOARD_LEAN * sight.way[2]
    part = (BOARD_LEAN * sight.near[2] - sight.near[1]) / (fall if abs(fall) > 1e-12 else 1e-12)
    point = sight.near + part * sight.way
    strip = int(np.floor((-point[2] - BOARD) / STRIP))
    if part <= 0 or not 0 <= strip < len(room.levels):
        return None
    mine = np.flatnonzero(drawn.pins.level == room.levels[strip])
    if not len(mine):
        return None
    away = np.abs(room.x(drawn.pins.at[mine]) - point[0])
    best = int(np.argmin(away))
    return int(mine[best]) if away[best] <= max(reach, 0.35) else None


def _meets(sight: Ray, axis: int, planes: Points) -> Points:
    """The part of the ray at which it meets each plane across ``axis``."""
    way = sight.way[axis]
    return np.asarray((planes - sight.near[axis]) / (way if abs(way) > 1e-12 else 1e-12))
