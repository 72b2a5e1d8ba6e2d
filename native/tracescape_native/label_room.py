"""Room for labels: rectangles beside bodies that overlap nothing and leave no frame, the important first."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True, nogil=True)
def find_places(
    anchors: FloatArray,
    reach: FloatArray,
    sizes: FloatArray,
    order: IntArray,
    frame: tuple[float, float],
    taken: FloatArray,
    minded: FloatArray,
    directions: FloatArray,
    distances: FloatArray,
    common: int,
    urgent: int,
    straying: float,
    most: int,
    kept: IntArray,
    patience: float,
    margin: float,
    rivals: FloatArray,
) -> tuple[IntArray, FloatArray, IntArray]:
    """Who gets a label, in that order, the rectangles, and their places: int64 (p,), float64 (p, 4),
    int64 (p,).

    Rectangles are left, bottom, right, top; two overlap if they share more than an edge. A place is the
    number of the distance times how many directions there are, and the number of the direction.

    Args:
        anchors: the bodies, (n, 2); reach: how far labels keep from their middle at least, (n,).
        sizes: widths and heights of the labels, (n, 2); order: the bodies to label, the most important first.
        frame: width and height; taken: rectangles that are not free, (t, 4).
        minded: rectangles that had better not be covered, (o, 4): a place costs as many as it covers.
        directions: where a label may stand, in half sizes to the right and up, (d, 2), the best first.
        distances: in times of ``reach``, ascending; a place costs ``straying`` times how much farther it is.
            All but the first ``urgent`` of ``order`` have the first ``common`` distances only.
        most: labels at most.
        kept: the place that each label had a moment ago, -1 for none, (n,). It keeps that unless another
            one costs less by more than ``patience``.
        margin: who had none gets one only with so much room to spare, lest it goes again at once.
        rivals: x, y and radius of bodies, (r, 3): no label stands nearer to one of these than to its own
            body, edge to edge.
    """
    blocked = np.empty((len(taken) + min(most, len(order)), 4))
    blocked[: len(taken)] = taken
    occupied = len(taken)
    who = np.empty(min(most, len(order)), np.int64)
    where = np.empty(min(most, len(order)), np.int64)
    count = 0
    best = np.empty(4)
    for place in range(len(order)):
        if count >= most:
            break
        body = order[place]
        least, chosen, room = np.inf, -1, margin if kept[body] < 0 else 0.0
        reached = len(distances) if place < urgent else common
        for number in range(reached):
            away = straying * (distances[number] - distances[0])
            if least <= away:
                break
            for direction in range(len(directions)):
                left, bottom, right, top = _beside(
                    anchors[body], reach[body] * distances[number], sizes[body], directions[direction], frame
                )
                if left < 0 or bottom < room or right > frame[0] or top + room > frame[1]:
                    continue
                if _met(blocked, occupied, left - room, bottom - room, right + room, top + room, 1):
                    continue
                if _taken_for_another(rivals, anchors[body], left, bottom, right, top):
                    continue
                cost = away + _met(minded, len(minded), left, bottom, right, top, len(minded))
                if cost < least:
                    least, chosen = cost, number * len(directions) + direction
                    best[:] = (left, bottom, right, top)
                if cost <= away:
                    break
        number, direction = divmod(kept[body], len(directions))
        if kept[body] >= 0 and kept[body] != chosen and number < reached:
            left, bottom, right, top = _beside(
                anchors[body], reach[body] * distances[number], sizes[body], directions[direction], frame
            )
            inside = left >= 0 and bottom >= 0 and right <= frame[0] and top <= frame[1]
            free = inside and not _met(blocked, occupied, left, bottom, right, top, 1)
            if free and not _taken_for_another(rivals, anchors[body], left, bottom, right, top):
                cost = straying * (distances[number] - distances[0])
                cost += _met(minded, len(minded), left, bottom, right, top, len(minded))
                if cost <= least + patience:
                    chosen = kept[body]
                    best[:] = (left, bottom, right, top)
        if chosen >= 0:
            blocked[occupied] = best
            occupied += 1
            who[count], where[count] = body, chosen
            count += 1
    return who[:count], blocked[len(taken) : occupied].copy(), where[:count]


@njit(cache=True, nogil=True)
def _beside(
    anchor: FloatArray, reach: float, size: FloatArray, direction: FloatArray, frame: tuple[float, float]
) -> tuple[float, float, float, float]:
    """A rectangle beside a body; what would stick out to the side is moved in."""
    x = anchor[0] + direction[0] * (reach + size[0] / 2)
    x = max(size[0] / 2, min(x, frame[0] - size[0] / 2))
    y = anchor[1] + direction[1] * (reach + size[1] / 2)
    return x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2


@njit(cache=True, nogil=True)
def _met(
    rects: FloatArray, count: int, left: float, bottom: float, right: float, top: float, enough: int
) -> int:
    """How many of the first ``count`` rectangles one overlaps; ``enough`` are not exceeded."""
    found = 0
    for i in range(count):
        if rects[i, 0] < right and left < rects[i, 2] and rects[i, 1] < top and bottom < rects[i, 3]:
            found += 1
            if found >= enough:
                break
    return found


@njit(cache=True, nogil=True)
def _taken_for_another(
    rivals: FloatArray, anchor: FloatArray, left: float, bottom: float, right: float, top: float
) -> bool:
    """Whether a rectangle is nearer to the edge of a rival than of all rivals in the place of its body."""
    own, least = np.inf, np.inf
    for i in range(len(rivals)):
        across = max(left - rivals[i, 0], rivals[i, 0] - right, 0.0)
        up = max(bottom - rivals[i, 1], rivals[i, 1] - top, 0.0)
        away = np.sqrt(across * across + up * up) - rivals[i, 2]
        if rivals[i, 0] == anchor[0] and rivals[i, 1] == anchor[1]:
            own = min(own, away)
        else:
            least = min(least, away)
    return least <= own and least < np.inf
