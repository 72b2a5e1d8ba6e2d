"""Which labels are shown, and where: nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_native.label_room import find_places


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
_DIRECTIONS: Final = np.array(
    [(0.0, -1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0), (0.8, -0.9), (-0.8, -0.9), (0.8, 0.9), (-0.8, 0.9)]
)
#: More of them for where a place is hard to find.
_MORE_DIRECTIONS: Final = np.concatenate(
    [
        _DIRECTIONS,
        [
            (0.4, -1.0),
            (-0.4, -1.0),
            (0.4, 1.0),
            (-0.4, 1.0),
            (1.0, 0.5),
            (-1.0, 0.5),
            (1.0, -0.5),
            (-1.0, -0.5),
        ],
    ]
)
#: How far: the first three for all, the others for those that must have a label, though it may be taken for
#: another's.
_FAR: Final = np.array([1.0, 1.7, 2.6, 4.0, 6.0, 9.0])
_COMMON: Final = 3
_GAP: Final = 3.0
#: What a label that stands a clearance farther away is worth, in covered bodies: near ones are read sooner.
_STRAYING: Final = 0.6
#: A label stays where it is until another place covers more than so many bodies less.
_PATIENCE: Final = 1.0
#: Pixels of room to spare around a label that was not there a moment ago.
_MARGIN: Final = 24.0


class Arranged(NamedTuple):
    """Where labels are, by body: their rectangles, and the numbers of their places, for the next time."""

    rects: dict[int, Rect]
    places: dict[int, int]


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
    kept: Mapping[int, int] | None = None,
    rivals: NDArray[np.float64] | None = None,
) -> Arranged:
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
        kept: the places that labels had a moment ago: they stay there while they can, and who had none gets
            one only with some room to spare. None where there was no moment before this one.
        rivals: x, y and radius of all bodies, shape (r, 3), where no label may stand nearer to another's body
            than to its own; by default it may, and has a line.

    Rectangles do not overlap each other or ``taken`` and lie in the frame.
    """
    before = np.full(len(anchors), -1, np.int64)
    if kept:
        before[list(kept)] = list(kept.values())
    minded = np.column_stack([anchors, clearances]) if obstacles is None else obstacles
    bodies, rects, places = find_places(
        np.ascontiguousarray(anchors, np.float64),
        clearances + _GAP,
        np.array(sizes, np.float64).reshape(-1, 2),
        np.array(order, np.int64),
        (float(frame[0]), float(frame[1])),
        np.array(taken, np.float64).reshape(-1, 4),
        np.column_stack([minded[:, :2] - minded[:, 2:], minded[:, :2] + minded[:, 2:]]),
        _DIRECTIONS if rivals is None else _MORE_DIRECTIONS,
        _FAR,
        _COMMON,
        urgent,
        _STRAYING,
        most,
        before,
        _PATIENCE,
        0.0 if kept is None else _MARGIN,
        np.zeros((0, 3)) if rivals is None else np.ascontiguousarray(rivals, np.float64),
    )
    named = bodies.tolist()
    return Arranged(
        {body: Rect(*rect) for body, rect in zip(named, rects.tolist(), strict=True)},
        dict(zip(named, places.tolist(), strict=True)),
    )
