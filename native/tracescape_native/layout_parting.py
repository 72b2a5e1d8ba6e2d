"""Room for every body: balls that overlap are pushed apart in the plane, newcomers find a gap.

Balls have a height, which stays: two that stand one above the other need less room beside each other. All
looks for neighbours go through a grid of cells as wide as the largest two balls, kept in a hash table.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_ROUNDS: Final = 80
#: So many neighbours a ball are looked at in all rounds; a pile has more, and is worth no more.
_LOOKS: Final = 1_000
#: Where pushing does not help, the world may grow so much; beyond that all stand in a new order.
_MOST_GROWTH: Final = 3.0
_GOLDEN: Final = 2.399963229728653  # radians: no two turns of it meet
_SLACK: Final = 1e-6


def part(place: FloatArray, radius: FloatArray, *, gap: float = 0.0) -> FloatArray:
    """The balls moved apart in x and y until none is nearer to another than ``gap``: float64 (n, 3).

    Args:
        place: finite, shape (n, 3). radius: above 0, shape (n,).
        gap: between the surfaces of two balls.

    They are pushed along the line between them, by half each, some rounds. What still overlaps then is parted
    by stretching the whole, or, if it were stretched to more than three times its size, by a sunflower in the
    order of the balls. O(n) for balls of one size, however they lie.
    """
    moved = np.ascontiguousarray(place, np.float64).copy()
    radii = np.ascontiguousarray(radius, np.float64)
    if len(moved) < 2:
        return moved
    width = float(2 * radii.max() + gap)
    if _push_apart(moved, radii, float(gap), width, _ROUNDS):
        return moved
    middle = moved[:, :2].mean(axis=0)
    growth = _tightness(moved, radii, float(gap), width) * (1 + _SLACK)
    if growth <= _MOST_GROWTH:
        moved[:, :2] = middle + growth * (moved[:, :2] - middle)
        return moved
    moved[:, :2] = middle + sunflower(len(moved), width)
    return moved


def sunflower(count: int, distance: float) -> FloatArray:
    """Points in the plane around the origin, none nearer than ``distance`` to another: float64 (n, 2).

    Vogel, "A better way to construct the sunflower head" (1979).
    """
    turn = np.arange(count)
    away, angle = distance * np.sqrt(turn + 0.5), turn * _GOLDEN
    return np.column_stack([away * np.cos(angle), away * np.sin(angle)])


def find_room(
    place: FloatArray,
    home: FloatArray,
    height: FloatArray,
    circle: FloatArray,
    *,
    spacing: float,
) -> tuple[FloatArray, BoolArray]:
    """Places for newcomers, one after the other, each as near to its home as there is room.

    Args:
        place: who stands already, shape (n, 3).
        home: where newcomers want to be, shape (k, 2); height: their z, shape (k,).
        circle: the middle x, y and the radius of where each may stand, shape (k, 3).
        spacing: how near two may stand, newcomers or not.

    Returns:
        places, float64 (k, 3), and who found one, bool (k,): None is free for the others, whose place is
        their home. About O(n + k) where homes are not all alike, and no worse than the area looked through.
    """
    k = len(home)
    found = np.column_stack([home, height]).astype(np.float64)
    there = np.zeros(k, np.bool_)
    everyone = np.concatenate([np.ascontiguousarray(place, np.float64).reshape(-1, 3), found])
    _find_room(
        everyone,
        len(everyone) - k,
        np.ascontiguousarray(circle, np.float64).reshape(k, 3),
        float(spacing),
        there,
    )
    return everyone[len(everyone) - k :], there


@njit(cache=True, nogil=True)
def _slot(column: int, row: int, slots: int) -> int:
    return (column * 73856093 ^ row * 19349663) & (slots - 1)


@njit(cache=True, nogil=True)
def _slots_for(count: int) -> int:
    slots = 16
    while slots < 2 * count:
        slots *= 2
    return slots


@njit(cache=True, nogil=True)
def _hashed(place: FloatArray, width: float, head: IntArray, following: IntArray) -> None:
    head[:] = -1
    for i in range(len(place)):
        slot = _slot(math.floor(place[i, 0] / width), math.floor(place[i, 1] / width), len(head))
        following[i] = head[slot]
        head[slot] = i


@njit(cache=True, nogil=True)
def _near(
    place: FloatArray, i: int, width: float, head: IntArray, following: IntArray, found: IntArray
) -> int:
    """Write who has a smaller number than ``i`` and may be near into ``found``; how many that are.

    ``found`` has room for 9 n: who is in a cell that shares its slot with another may come twice.
    """
    column, row, count = math.floor(place[i, 0] / width), math.floor(place[i, 1] / width), 0
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            j = head[_slot(column + dx, row + dy, len(head))]
            while j >= 0:
                if j < i:
                    found[count] = j
                    count += 1
                j = following[j]
    return count


@njit(cache=True, nogil=True)
def _wanted(place: FloatArray, i: int, j: int, apart: float) -> float:
    """How far two must be in the plane so that they are ``apart`` in space; 0 where height does it."""
    dz = place[i, 2] - place[j, 2]
    return math.sqrt(max(apart * apart - dz * dz, 0.0))


@njit(cache=True, nogil=True)
def _push_apart(place: FloatArray, radius: FloatArray, gap: float, width: float, rounds: int) -> bool:
    """Push, and say whether nothing overlaps at the end."""
    n = len(place)
    head, following = np.empty(_slots_for(n), np.int64), np.empty(n, np.int64)
    near, looks = np.empty(9 * n, np.int64), _LOOKS * n
    for _ in range(rounds):
        clean = True
        _hashed(place, width, head, following)
        for i in range(n):
            count = _near(place, i, width, head, following, near)
            looks -= count
            if looks < 0:
                return False
            for q in range(count):
                j = near[q]
                wanted = _wanted(place, i, j, radius[i] + radius[j] + gap)
                dx, dy = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1]
                d = math.sqrt(dx * dx + dy * dy)
                if d >= wanted:
                    continue
                clean = False
                if d < 1e-3 * wanted:  # in one place: part along a direction of their own
                    dx, dy, d = math.cos(_GOLDEN * i), math.sin(_GOLDEN * i), 1.0
                    share = 0.5 * wanted / d
                else:
                    share = 0.5 * (wanted * (1 + _SLACK) - d) / d
                place[i, 0] += dx * share
                place[i, 1] += dy * share
                place[j, 0] -= dx * share
                place[j, 1] -= dy * share
        if clean:
            return True
    return False


@njit(cache=True, nogil=True)
def _tightness(place: FloatArray, radius: FloatArray, gap: float, width: float) -> float:
    """By how much the plane must be stretched so that nothing overlaps; infinity for far too much."""
    n = len(place)
    head, following = np.empty(_slots_for(n), np.int64), np.empty(n, np.int64)
    near, growth, looks = np.empty(9 * n, np.int64), 1.0, _LOOKS * n
    _hashed(place, width, head, following)
    for i in range(n):
        count = _near(place, i, width, head, following, near)
        looks -= count
        if looks < 0 or growth > _MOST_GROWTH:
            return np.inf
        for q in range(count):
            j = near[q]
            wanted = _wanted(place, i, j, radius[i] + radius[j] + gap)
            d = math.hypot(place[i, 0] - place[j, 0], place[i, 1] - place[j, 1])
            if d < wanted:
                growth = max(growth, wanted / max(d, 1e-9 * wanted))
    return growth


@njit(cache=True, nogil=True)
def _find_room(place: FloatArray, settled: int, circle: FloatArray, spacing: float, there: BoolArray) -> None:
    n = len(place)
    head, following = np.empty(_slots_for(n), np.int64), np.empty(n, np.int64)
    near = np.empty(9 * n, np.int64)
    _hashed(place[:settled], spacing, head, following)
    turns = np.zeros(_slots_for(n), np.int64)  # how far a home of that cell has been looked around already
    for i in range(settled, n):
        home_x, home_y = place[i, 0], place[i, 1]
        x, y, most = circle[i - settled]
        cell = _slot(math.floor(home_x / spacing), math.floor(home_y / spacing), len(turns))
        furthest = math.hypot(home_x - x, home_y - y) + most
        turn = max(turns[cell] - 16, 0)
        while not there[i - settled]:
            away = 0.6 * spacing * math.sqrt(turn)
            if away > furthest:
                break
            place[i, 0] = home_x + away * math.cos(turn * _GOLDEN)
            place[i, 1] = home_y + away * math.sin(turn * _GOLDEN)
            turn += 1
            free = math.hypot(place[i, 0] - x, place[i, 1] - y) <= most
            if free:
                for q in range(_near(place, i, spacing, head, following, near)):
                    j = near[q]
                    d = math.hypot(place[i, 0] - place[j, 0], place[i, 1] - place[j, 1])
                    if d < _wanted(place, i, j, spacing):
                        free = False
                        break
            there[i - settled] = free
        turns[cell] = turn
        if not there[i - settled]:
            place[i, 0], place[i, 1] = home_x, home_y
            continue
        slot = _slot(math.floor(place[i, 0] / spacing), math.floor(place[i, 1] / spacing), len(head))
        following[i] = head[slot]
        head[slot] = i
