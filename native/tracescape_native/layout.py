"""Places for the nodes of a graph: a force-directed layout in the plane, with heights given.

After Fruchterman and Reingold, "Graph Drawing by Force-directed Placement" (1991): nodes repel one another
with k²/d, edges pull with w·d²/k, and the step shrinks as the layout cools. It departs from the paper in
that heights are part of the distance but never change, so that layers keep their order and bodies one above
the other push each other aside; and in that nodes can be pinned.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def _relax(
    place: FloatArray,
    height: FloatArray,
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
    free: BoolArray,
    k: float,
    gravity: float,
    iterations: int,
) -> None:
    n = len(place)
    push = np.empty((n, 2))
    for iteration in range(iterations):
        push[:] = 0.0
        for i in range(n):
            for j in range(i):
                dx = place[i, 0] - place[j, 0]
                dy = place[i, 1] - place[j, 1]
                dz = height[i] - height[j]
                d2 = dx * dx + dy * dy + dz * dz + 1e-4 * k * k
                force = k * k / d2
                push[i, 0] += dx * force
                push[i, 1] += dy * force
                push[j, 0] -= dx * force
                push[j, 1] -= dy * force
        for e in range(len(source)):
            a, b = source[e], target[e]
            dx = place[b, 0] - place[a, 0]
            dy = place[b, 1] - place[a, 1]
            force = weight[e] * math.sqrt(dx * dx + dy * dy) / k
            push[a, 0] += dx * force
            push[a, 1] += dy * force
            push[b, 0] -= dx * force
            push[b, 1] -= dy * force
        step = k * (1.0 - iteration / iterations) * 0.6 + 0.01 * k
        for i in range(n):
            if not free[i]:
                continue
            fx = push[i, 0] - gravity * place[i, 0]
            fy = push[i, 1] - gravity * place[i, 1]
            length = math.sqrt(fx * fx + fy * fy)
            if length > 0.0:
                scale = min(length, step) / length
                place[i, 0] += fx * scale
                place[i, 1] += fy * scale


@njit(cache=True, nogil=True)
def _part_discs(centre: FloatArray, radius: FloatArray, free: BoolArray, gap: float, rounds: int) -> None:
    for _ in range(rounds):
        moved = False
        for i in range(len(centre)):
            for j in range(i):
                dx = centre[i, 0] - centre[j, 0]
                dy = centre[i, 1] - centre[j, 1]
                d = math.sqrt(dx * dx + dy * dy)
                overlap = radius[i] + radius[j] + gap - d
                if overlap <= 0.0 or not (free[i] or free[j]):
                    continue
                if d < 1e-9:  # in the same place: part along a direction of their own
                    dx, dy, d = math.cos(float(i)), math.sin(float(i)), 1.0
                share = 0.5 if free[i] and free[j] else 1.0
                if free[i]:
                    centre[i, 0] += dx / d * overlap * share
                    centre[i, 1] += dy / d * overlap * share
                if free[j]:
                    centre[j, 0] -= dx / d * overlap * share
                    centre[j, 1] -= dy / d * overlap * share
                moved = True
        if not moved:
            return


def spread(
    start: FloatArray,
    height: FloatArray,
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
    free: BoolArray,
    *,
    distance: float,
    gravity: float = 0.03,
    iterations: int = 300,
) -> FloatArray:
    """Places after ``iterations`` steps: float64, shape (n, 2). O(iterations · n²).

    Args:
        start: where nodes begin, shape (n, 2).
        height: their fixed heights, shape (n,), same unit.
        source, target: the edges as node numbers, shape (m,); weight: their pull, shape (m,).
        free: False pins a node, shape (n,).
        distance: how far apart unconnected neighbours settle.
        gravity: pull towards the origin, which keeps unconnected parts together.
        iterations: steps of the cooling.
    """
    place = np.ascontiguousarray(start, np.float64).copy()
    _relax(
        place,
        np.ascontiguousarray(height, np.float64),
        np.ascontiguousarray(source, np.int64),
        np.ascontiguousarray(target, np.int64),
        np.ascontiguousarray(weight, np.float64),
        np.ascontiguousarray(free, np.bool_),
        float(distance),
        float(gravity),
        int(iterations),
    )
    return place


def part_discs(centre: FloatArray, radius: FloatArray, free: BoolArray, *, gap: float) -> FloatArray:
    """Centres of discs moved apart until none is closer than ``gap`` to another: float64, shape (n, 2).

    Discs that are not ``free`` stay, even where two such overlap. Up to 200 rounds of O(n²).
    """
    parted = np.ascontiguousarray(centre, np.float64).copy()
    _part_discs(
        parted,
        np.ascontiguousarray(radius, np.float64),
        np.ascontiguousarray(free, np.bool_),
        float(gap),
        200,
    )
    return parted
