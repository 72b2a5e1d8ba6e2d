"""The octree of a layout, and the forces on its points: Barnes and Hut, a leaf at a time.

After Barnes and Hut, "A hierarchical O(N log N) force-calculation algorithm" (1986), with the points sorted
along Warren and Salmon's Morton curve (1993) and Barnes' own later modification (1990): the tree is walked
once for all points of a leaf, which leaves plain loops over lists that a processor adds up many at a time.
Repulsion and attraction are Fruchterman and Reingold's (1991), k²/d and w·d²/k with k = 1.

Positions are float32 (n, 3); sums over cells are float64.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.int8]

LEAF: Final = 64
_BITS: Final = 21
_LEVELS: Final = _BITS + 1
_LIST: Final = 4096
#: Added to squared distances, so that points in one place are no infinity.
SOFT: Final = 1e-3


class Tree(NamedTuple):
    """Cells in preorder; points are numbered along the curve.

    Attributes:
        order: int64 (n,), the point that is at each place of the curve.
        point: float32 (4, n), x, y, z and mass in that order.
        begin, end: int64 (c,), the places that a cell holds; level: int8 (c,); its side is
            ``size / 2 ** level``.
        skip: int64 (c,), the next cell that is not inside this one; a leaf is whose ``skip`` is the next.
        centre: float32 (c, 4), the middle of mass and the mass.
        leaves: int64 (l,), the cells that are leaves.
        size: the side of the root.
    """

    order: IntArray
    point: Float32Array
    begin: IntArray
    end: IntArray
    level: ByteArray
    skip: IntArray
    centre: Float32Array
    leaves: IntArray
    size: float


def grow(place: Float32Array, mass: Float32Array, order: IntArray) -> Tree:
    """The tree of n points, n > 0. ``order`` is any order of them: the nearer to the curve's, the faster."""
    low, size = _box(place)
    codes = _curve(place, low, np.float32((1 << _BITS) / size), order)
    by = np.argsort(codes, kind="stable")  # nearly sorted already, which this sort makes use of
    order, codes = order[by], codes[by]
    point = np.empty((4, len(order)), np.float32)
    point[:3], point[3] = place[order].T, mass[order]
    begin, end, level = _cells(codes)
    skip, centre = _chained(begin, end, point)
    leaves = np.flatnonzero(skip == np.arange(1, len(skip) + 1))
    return Tree(order, point, begin, end, level, skip, centre, leaves, size)


def push(tree: Tree, first: int, last: int, theta: float, out: Float32Array) -> None:
    """Write what repels the points of ``tree.leaves[first:last]`` into their rows of ``out``, (n, 3).

    A cell stands for its points where its side is less than ``theta`` times its distance from the leaf; 0
    compares every point with every other. May run in several threads for different leaves.
    """
    _push(
        tree.order,
        tree.point,
        tree.begin,
        tree.end,
        tree.level,
        tree.skip,
        tree.centre,
        tree.leaves[first:last],
        np.float32(tree.size),
        np.float32(theta * theta),
        out,
    )


@njit(cache=True, nogil=True)
def _box(place: Float32Array) -> tuple[Float32Array, float]:
    """The lowest corner of the cube that holds all points, and its side."""
    low, high = place[0].copy(), place[0].copy()
    for i in range(1, len(place)):
        for axis in range(3):
            low[axis] = min(low[axis], place[i, axis])
            high[axis] = max(high[axis], place[i, axis])
    return low, float((high - low).max()) * 1.0001 + 1e-6


@njit(cache=True, nogil=True)
def _spread_bits(value: int) -> int:
    value &= 0x1FFFFF
    value = (value | (value << 32)) & 0x1F00000000FFFF
    value = (value | (value << 16)) & 0x1F0000FF0000FF
    value = (value | (value << 8)) & 0x100F00F00F00F00F
    value = (value | (value << 4)) & 0x10C30C30C30C30C3
    return (value | (value << 2)) & 0x1249249249249249


@njit(cache=True, nogil=True)
def _curve(place: Float32Array, low: Float32Array, cells: np.float32, order: IntArray) -> IntArray:
    """Morton codes of the points, in the order given."""
    codes = np.empty(len(order), np.int64)
    most = (1 << _BITS) - 1
    for q in range(len(order)):
        i = order[q]
        code = 0
        for axis in range(3):
            step = min(most, max(0, int((place[i, axis] - low[axis]) * cells)))
            code |= _spread_bits(step) << axis
        codes[q] = code
    return codes


@njit(cache=True, nogil=True)
def _first_not_below(codes: IntArray, low: int, high: int, value: int) -> int:
    while low < high:
        middle = (low + high) >> 1
        if codes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _cells(codes: IntArray) -> tuple[IntArray, IntArray, ByteArray]:
    """Preorder cells over sorted codes; a leaf has at most `LEAF` points, or no bits are left."""
    capacity = 64
    begin, end = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    level = np.empty(capacity, np.int8)
    stack = np.empty((8 * _LEVELS, 3), np.int64)
    stack[0] = (0, len(codes), 0)
    depth, count = 1, 0
    while depth > 0:
        depth -= 1
        a, b, at = stack[depth]
        if count == capacity:
            begin = np.concatenate((begin, np.empty(capacity, np.int64)))
            end = np.concatenate((end, np.empty(capacity, np.int64)))
            level = np.concatenate((level, np.empty(capacity, np.int8)))
            capacity *= 2
        begin[count], end[count], level[count] = a, b, at
        count += 1
        if b - a <= LEAF or at == _BITS:
            continue
        shift = 3 * (_BITS - 1 - at)
        corner = (codes[a] >> (shift + 3)) << (shift + 3)
        upper = b
        for octant in range(7, -1, -1):
            lower = _first_not_below(codes, a, upper, corner + (octant << shift))
            if upper > lower:
                stack[depth] = (lower, upper, at + 1)
                depth += 1
            upper = lower
    return begin[:count], end[:count], level[:count]


@njit(cache=True, nogil=True)
def _chained(begin: IntArray, end: IntArray, point: Float32Array) -> tuple[IntArray, Float32Array]:
    cells, n = len(begin), point.shape[1]
    skip = np.empty(cells, np.int64)
    for k in range(cells - 1, -1, -1):
        after = k + 1
        while after < cells and begin[after] < end[k]:
            after = skip[after]
        skip[k] = after
    sums = np.zeros((n + 1, 4))
    for q in range(n):
        for axis in range(3):
            sums[q + 1, axis] = sums[q, axis] + point[3, q] * point[axis, q]
        sums[q + 1, 3] = sums[q, 3] + point[3, q]
    centre = np.empty((cells, 4), np.float32)
    for k in range(cells):
        mass = sums[end[k], 3] - sums[begin[k], 3]
        for axis in range(3):
            centre[k, axis] = (sums[end[k], axis] - sums[begin[k], axis]) / mass
        centre[k, 3] = mass
    return skip, centre


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})
def add_push(
    x: np.float32, y: np.float32, z: np.float32, others: Float32Array, count: int
) -> tuple[np.float32, np.float32, np.float32]:
    """What ``count`` masses, ``others`` (4, …), do to a point: the sum of m·(p − q) / (d² + `SOFT`)."""
    fx, fy, fz = np.float32(0), np.float32(0), np.float32(0)
    for q in range(count):
        dx, dy, dz = x - others[0, q], y - others[1, q], z - others[2, q]
        force = others[3, q] / (dx * dx + dy * dy + dz * dz + np.float32(SOFT))
        fx += dx * force
        fy += dy * force
        fz += dz * force
    return fx, fy, fz


@njit(cache=True, nogil=True)
def _push(
    order: IntArray,
    point: Float32Array,
    begin: IntArray,
    end: IntArray,
    level: ByteArray,
    skip: IntArray,
    centre: Float32Array,
    leaves: IntArray,
    size: np.float32,
    theta2: np.float32,
    out: Float32Array,
) -> None:
    side2 = np.empty(_LEVELS, np.float32)
    for at in range(_LEVELS):
        side2[at] = (size / np.float32(2.0**at)) ** 2
    near = np.empty((4, _LIST), np.float32)
    cells = len(begin)
    for leaf in leaves:
        a, b = begin[leaf], end[leaf]
        for q in range(a, b):
            out[order[q]] = 0.0
        low, high = np.empty(3, np.float32), np.empty(3, np.float32)
        for axis in range(3):
            low[axis] = point[axis, a:b].min()
            high[axis] = point[axis, a:b].max()
        k = count = 0
        while k < cells:
            d2 = np.float32(0)
            for axis in range(3):
                c = centre[k, axis]
                away = max(max(low[axis] - c, c - high[axis]), np.float32(0))
                d2 += away * away
            if side2[level[k]] < theta2 * d2:
                for row in range(4):
                    near[row, count] = centre[k, row]
                count += 1
                k = skip[k]
            elif skip[k] == k + 1:
                for q in range(begin[k], end[k]):
                    for row in range(4):
                        near[row, count] = point[row, q]
                    count += 1
                    if count == _LIST:
                        _add_all(order, point, a, b, near, count, out)
                        count = 0
                k += 1
            else:
                k += 1
            if count == _LIST:
                _add_all(order, point, a, b, near, count, out)
                count = 0
        _add_all(order, point, a, b, near, count, out)


@njit(cache=True, nogil=True)
def _add_all(
    order: IntArray, point: Float32Array, a: int, b: int, near: Float32Array, count: int, out: Float32Array
) -> None:
    for q in range(a, b):
        fx, fy, fz = add_push(point[0, q], point[1, q], point[2, q], near, count)
        i = order[q]
        out[i, 0] += fx
        out[i, 1] += fy
        out[i, 2] += fz


@njit(cache=True, nogil=True)
def step(
    place: Float32Array,
    pushed: Float32Array,
    moved: Float32Array,
    start: IntArray,
    neighbour: IntArray,
    pull: Float32Array,
    first: int,
    last: int,
    gravity: float,
    reach: float,
    upright: bool,
) -> None:
    """Where the points ``first`` to ``last`` go, into ``moved``: along all forces, at most ``reach`` far.

    With ``upright``, z stays. ``place`` is only read, so threads may do different ranges.
    """
    for i in range(first, last):
        x, y, z = place[i, 0], place[i, 1], place[i, 2]
        fx = pushed[i, 0] - np.float32(gravity) * x
        fy = pushed[i, 1] - np.float32(gravity) * y
        fz = pushed[i, 2] - np.float32(gravity) * z
        for q in range(start[i], start[i + 1]):
            j = neighbour[q]
            dx, dy, dz = place[j, 0] - x, place[j, 1] - y, place[j, 2] - z
            force = pull[q] * np.float32(math.sqrt(dx * dx + dy * dy + dz * dz))
            fx += dx * force
            fy += dy * force
            fz += dz * force
        if upright:
            fz = np.float32(0)
        length = np.float32(math.sqrt(fx * fx + fy * fy + fz * fz)) + np.float32(1e-9)
        scale = min(length, np.float32(reach)) / length
        moved[i, 0] = x + fx * scale
        moved[i, 1] = y + fy * scale
        moved[i, 2] = z + fz * scale
