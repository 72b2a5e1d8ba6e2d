"""Labels placed one after the other, candidate by candidate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
DIRECTIONS = ((0, -1), (0, 1), (1, 0), (-1, 0), (0.8, -0.9), (-0.8, -0.9), (0.8, 0.9), (-0.8, 0.9))
DISTANCES = (1.0, 1.7, 2.6, 4.0, 6.0, 9.0)
GAP, STRAYING = 3.0, 0.6


def overlaps(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def arrange(
    bodies: NDArray[np.float64],
    sizes: list[tuple[float, float]],
    order: list[int],
    frame: tuple[int, int],
    taken: list[Box],
    most: int,
    urgent: int,
) -> dict[int, Box]:
    """``bodies``: x, y, radius, (n, 3), which labels had better not cover."""
    minded = [(x - r, y - r, x + r, y + r) for x, y, r in bodies.tolist()]
    placed: dict[int, Box] = {}
    for place, body in enumerate(order):
        if len(placed) == most:
            break
        choices = []
        for distance in DISTANCES if place < urgent else DISTANCES[:3]:
            for box in _candidates(bodies[body], distance, sizes[body], frame):
                inside = box[0] >= 0 and box[1] >= 0 and box[2] <= frame[0] and box[3] <= frame[1]
                if inside and not any(overlaps(box, other) for other in [*taken, *placed.values()]):
                    covered = sum(overlaps(box, other) for other in minded)
                    choices.append((STRAYING * (distance - 1.0) + covered, box))
        if choices:
            placed[body] = min(choices, key=lambda choice: choice[0])[1]
    return placed


def _candidates(
    body: NDArray[np.float64], distance: float, size: tuple[float, float], frame: tuple[int, int]
) -> list[Box]:
    width, height = size
    reach = (float(body[2]) + GAP) * distance
    boxes = []
    for across, up in DIRECTIONS:
        x = float(body[0]) + across * (reach + width / 2)
        x = max(width / 2, min(x, frame[0] - width / 2))
        y = float(body[1]) + up * (reach + height / 2)
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return boxes
