"""Which labels are shown, and where: nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rect(NamedTuple):
    """Pixels from the lower left corner; right and top are outside."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Rect) -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def within(self, frame: tuple[int, int]) -> bool:
        """Whether it lies wholly in a window of that width and height."""
        return self.left >= 0 and self.bottom >= 0 and self.right <= frame[0] and self.top <= frame[1]


#: Where a label may stand around its body: (right, up) in half label sizes, the best places first.
_DIRECTIONS: Final = (
    (0.0, -1.0),
    (0.0, 1.0),
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.8, -0.9),
    (-0.8, -0.9),
    (0.8, 0.9),
    (-0.8, 0.9),
)
_DISTANCES: Final = (1.0, 1.7, 2.6)
#: For those that must have a label, though it may be taken for another's.
_FAR: Final = (*_DISTANCES, 4.0, 6.0, 9.0)
_GAP: Final = 3.0
#: What a label that stands a clearance farther away is worth, in covered bodies: near ones are read sooner.
_STRAYING: Final = 0.6


def arrange(
    anchors: NDArray[np.float64],
    clearances: NDArray[np.float64],
    sizes: Sequence[tuple[float, float]],
    order: Sequence[int],
    frame: tuple[int, int],
    taken: Sequence[Rect] = (),
    most: int = 80,
    obstacles: NDArray[np.float64] | None = None,
    urgent: int = 0,
) -> dict[int, Rect]:
    """A place for as many labels as there is room for.

    Args:
        anchors: the bodies on the screen, pixels, shape (n, 2).
        clearances: their radii on the screen, shape (n,).
        sizes: width and height of each label, padding included.
        order: the bodies to label, the most important first.
        frame: width and height of the window.
        taken: places that are not free.
        most: how many labels at most.
        urgent: how many of the first may have their label farther away than others.
        obstacles: x, y and radius of what a label had better not cover, shape (o, 3); by default the bodies.

    Returns:
        body: rectangle. Rectangles do not overlap each other or ``taken`` and lie in the frame.
    """
    placed: dict[int, Rect] = {}
    minded = np.column_stack([anchors, clearances]) if obstacles is None else obstacles
    bodies = np.column_stack([minded[:, :2] - minded[:, 2:], minded[:, :2] + minded[:, 2:]])
    for place, body in enumerate(order):
        if len(placed) >= most:
            break
        blocked = [*taken, *placed.values()]
        best: tuple[float, Rect] | None = None
        for distance in _FAR if place < urgent else _DISTANCES:
            away = _STRAYING * (distance - _DISTANCES[0])
            if best is not None and best[0] <= away:
                break
            for rect in _candidates(anchors[body], (clearances[body] + _GAP) * distance, sizes[body], frame):
                if not rect.within(frame) or any(rect.overlaps(other) for other in blocked):
                    continue
                cost = away + _covered_bodies(rect, bodies)
                if best is None or cost < best[0]:
                    best = cost, rect
                if cost <= away:
                    break
        if best is not None:
            placed[body] = best[1]
    return placed


def _candidates(
    anchor: NDArray[np.float64], reach: float, size: tuple[float, float], frame: tuple[int, int]
) -> list[Rect]:
    """Places around a body, the best first; what would stick out to the side is moved in."""
    width, height = size
    places = []
    for across, up in _DIRECTIONS:
        x = anchor[0] + across * (reach + width / 2)
        x = max(width / 2, min(x, frame[0] - width / 2))
        y = anchor[1] + up * (reach + height / 2)
        places.append(Rect(x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return places


def _covered_bodies(rect: Rect, bodies: NDArray[np.float64]) -> int:
    left, bottom, right, top = bodies.T
    covered = (left < rect.right) & (right > rect.left) & (bottom < rect.top) & (top > rect.bottom)
    return int(covered.sum())
