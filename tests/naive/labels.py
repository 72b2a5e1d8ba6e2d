"""Labels placed one after the other, candidate by candidate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
DIRECTIONS = ((0, -1), (0, 1), (1, 0), (-1, 0), (0.8, -0.9), (-0.8, -0.9), (0.8, 0.9), (-0.8, 0.9))
MORE = ((0.4, -1), (-0.4, -1), (0.4, 1), (-0.4, 1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5))
DISTANCES = (1.0, 1.7, 2.6, 4.0, 6.0, 9.0)
GAP, STRAYING = 3.0, 0.6
PATIENCE, MARGIN = 1.0, 24.0


def overlaps(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def nearest(box: Box, bodies: NDArray[np.float64]) -> set[tuple[float, float]]:
    """Where the bodies are whose edge is nearest to a box."""
    away = {}
    for x, y, radius in bodies.tolist():
        across, up = max(box[0] - x, x - box[2], 0.0), max(box[1] - y, y - box[3], 0.0)
        away[x, y] = min(away.get((x, y), np.inf), float(np.sqrt(across * across + up * up)) - radius)
    return {place for place, far in away.items() if far == min(away.values())}


def arrange(
    bodies: NDArray[np.float64],
    sizes: list[tuple[float, float]],
    order: list[int],
    frame: tuple[int, int],
    taken: list[Box],
    most: int,
    urgent: int,
    kept: dict[int, int] | None = None,
    strict: bool = False,
) -> dict[int, Box]:
    """``bodies``: x, y, radius, (n, 3), which labels had better not cover."""
    minded = [(x - r, y - r, x + r, y + r) for x, y, r in bodies.tolist()]
    placed: dict[int, Box] = {}
    directions = DIRECTIONS + MORE if strict else DIRECTIONS
    for place, body in enumerate(order):
        if len(placed) == most:
            break
        choices = {}
        room = MARGIN if kept is not None and body not in kept else 0.0
        for number, distance in enumerate(DISTANCES if place < urgent else DISTANCES[:3]):
            for direction, box in enumerate(
                _candidates(bodies[body], distance, sizes[body], frame, directions)
            ):
                left, bottom, right, top = box
                wide = left - room, bottom - room, right + room, top + room
                inside = left >= 0 and wide[1] >= 0 and right <= frame[0] and wide[3] <= frame[1]
                if strict and nearest(box, bodies) != {tuple(bodies[body, :2].tolist())}:
                    continue
                if inside and not any(overlaps(wide, other) for other in [*taken, *placed.values()]):
                    covered = sum(overlaps(box, other) for other in minded)
                    cost = STRAYING * (distance - 1.0) + covered
                    choices[number * len(directions) + direction] = cost, box
        if choices:
            best = min(choices, key=lambda choice: choices[choice][0])
            before = choices.get((kept or {}).get(body, -1))
            stays = before is not None and before[0] <= choices[best][0] + PATIENCE
            placed[body] = before[1] if before is not None and stays else choices[best][1]
    return placed


def _candidates(
    body: NDArray[np.float64],
    distance: float,
    size: tuple[float, float],
    frame: tuple[int, int],
    directions: tuple[tuple[float, float], ...],
) -> list[Box]:
    width, height = size
    reach = (float(body[2]) + GAP) * distance
    boxes = []
    for across, up in directions:
        x = float(body[0]) + across * (reach + width / 2)
        x = max(width / 2, min(x, frame[0] - width / 2))
        y = float(body[1]) + up * (reach + height / 2)
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return boxes
