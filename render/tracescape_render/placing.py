"""Where everything stands: islands on the ground, bodies on their islands, height by call depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_native.layout import lay_out
from tracescape_native.layout_graph import Links, links, subgraph
from tracescape_native.layout_parting import find_room, part, sunflower
from tracescape_render.islands import FloatArray, IntArray, Stand, by_size, keys_of
from tracescape_render.outlines import MARGIN, outline

#: World units of the layout's unit, which is about the distance of two that only each other hold.
DISTANCE: Final = 4.0
#: No two bodies are nearer, from middle to middle: the largest have a radius of 1.
SPACING: Final = 2.6
LAYER: Final = 1.5
GROUND_CLEARANCE: Final = 1.6
#: A chain of calls may be long; the world gets no higher than so many layers.
_MOST_LAYERS: Final = 16
#: The view is from above at an angle, which shortens what lies behind each other; this makes up for it.
_DEPTH_STRETCH: Final = 1.35
_ISLAND_GAP: Final = 1.5
#: An island leaves room for newcomers.
_RESERVE: Final = 1.08
#: What nothing joins is drawn to the middle so strongly: it stands at the rim, not beyond the horizon.
_GRAVITY: Final = 0.5
#: Circles of one size fill so much of the plane without being packed.
_FILLING: Final = 0.65
#: Nobody stands further out than so many times the distance from the middle that nine of ten keep.
_FURTHEST: Final = 1.25


class Places(NamedTuple):
    """Where n bodies stand on k islands.

    ``positions`` float64 (n, 3); ``island`` int64 (n,), numbered by size; ``outlines``: the corners of each
    island's plate, float64 (c, 2) each.
    """

    positions: FloatArray
    island: IntArray
    outlines: list[FloatArray]


class Transition(NamedTuple):
    """The same n bodies before and after a new layout, float64 (n, 3) each."""

    before: FloatArray
    after: FloatArray

    def at(self, share: float) -> FloatArray:
        """Where they are on the way, float64 (n, 3): 0 is before, 1 after; it starts and ends gently."""
        t = min(max(float(share), 0.0), 1.0)
        eased = t * t * (3.0 - 2.0 * t)
        moved: FloatArray = self.before + eased * (self.after - self.before)
        return moved


def place(
    names: Sequence[str],
    source: IntArray,
    target: IntArray,
    weight: FloatArray,
    depth: IntArray,
    island: IntArray,
    known: Mapping[str, Stand],
) -> Places:
    """Places for all bodies. Those in ``known`` stay exactly there; newcomers settle near whom they talk to.

    Weights are call counts; heights fall with ``depth``, so that a request runs downwards. No two bodies are
    nearer than `SPACING`, and no two islands overlap, but where ``known`` has them so. The order of the
    bodies does not matter. A newcomer for whom its island has no room stands on one of its own.
    """
    if not len(names):
        return Places(np.zeros((0, 3)), np.zeros(0, np.int64), [])
    loads = np.log1p(np.maximum(weight, 0.0))
    pull = 0.25 + 0.75 * loads / max(float(loads.max(initial=0.0)), 1e-9)
    graph = links(keys_of(names), source, target, pull)
    order = graph.order
    positions = np.column_stack([np.zeros((len(names), 2)), _heights(depth)])[order]
    home = np.ascontiguousarray(island, np.int64)[order]
    ordered = [names[i] for i in order]
    pinned = np.array([name in known for name in ordered], bool)
    if pinned.any():
        positions[pinned] = [known[name][:3] for name in np.array(ordered, object)[pinned]]
        absent = np.array(
            [known[name][:3] for name in sorted(known.keys() - set(names))], np.float64
        ).reshape(-1, 3)
        home = _settle_newcomers(graph, positions, home, pinned, absent)
    else:
        _settle_all(graph, positions, home)
    settled, numbers = np.empty_like(positions), np.empty_like(home)
    settled[order], numbers[order] = positions, by_size(home)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    return Places(settled, numbers, [outline(settled[of, :2]) for of in members])


def outgrown(names: Sequence[str], known: Mapping[str, Stand]) -> bool:
    """Whether newcomers are more than all who have a place: then a new layout is better than gaps."""
    return 0 < len(known) < sum(name not in known for name in names)


def stands(
    names: Sequence[str],
    positions: NDArray[np.floating],
    island: IntArray,
    known: Mapping[str, Stand] | None = None,
) -> dict[str, Stand]:
    """Where everybody stands, to be ``known`` later, as islands are ``known`` already.

    A new island's label is the least of its members' keys.
    """
    keys = keys_of(names) & 0x7FFF_FFFF_FFFF  # exact as a float
    label = np.full(int(island.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(label, island, keys)
    for name, number in zip(names, island.tolist(), strict=True):
        if len((known or {}).get(name, ())) > 3:
            label[number] = int((known or {})[name][3])
    xyz = np.asarray(positions, np.float64)
    return {
        name: (*where, int(label[number]))
        for name, where, number in zip(names, xyz.tolist(), island.tolist(), strict=True)
    }


def _heights(depth: IntArray) -> FloatArray:
    deepest = int(depth.max(initial=0))
    layer = LAYER * min(1.0, _MOST_LAYERS / max(deepest, 1))
    return (GROUND_CLEARANCE + (deepest - depth) * layer).astype(np.float64)


def _settle_all(graph: Links, positions: FloatArray, island: IntArray) -> None:
    """Each island by itself around its centre, then the islands beside each other; writes x and y."""
    groups = _groups(island)
    for members in groups:
        positions[members, :2] = _settled_island(graph, members, positions[members, 2])
    if len(groups) == 1:
        return
    radii = np.array([_reach(positions[of, :2]) for of in groups]) * _RESERVE
    centres = _island_centres(graph, groups, radii, island)
    _turn(graph, positions, island, centres)
    positions[:, :2] += centres[island]


def _groups(island: IntArray) -> list[IntArray]:
    """The members of each island, ascending; islands are numbered without a gap."""
    return np.split(np.argsort(island, kind="stable"), np.cumsum(np.bincount(island))[:-1])


def _settled_island(graph: Links, members: IntArray, height: FloatArray) -> FloatArray:
    """x and y of the members around the origin, shape (c, 2)."""
    inner = subgraph(graph, members)
    settled = lay_out(inner, height=height / DISTANCE, gravity=_GRAVITY) * DISTANCE
    settled[:, :2] = _upright(_drawn_in(settled[:, :2])) * [1.0, _DEPTH_STRETCH]
    settled[:, :2] *= _airy(settled[:, :2])
    settled[:, 2] = height
    parted = part(settled, np.full(len(members), SPACING / 2))[:, :2]
    middle: FloatArray = (parted.min(axis=0) + parted.max(axis=0)) / 2
    return parted - middle


def _airy(xy: FloatArray) -> float:
    """The factor, at least 1, at which so many bodies have room in an even disc of their spread."""
    extent = np.pi * 2 * float(((xy - xy.mean(axis=0)) ** 2).sum(axis=1).mean())
    return max(1.0, float(np.sqrt(len(xy) * SPACING**2 / max(extent, 1e-9)))) if len(xy) > 2 else 1.0


def _island_centres(graph: Links, groups: list[IntArray], radii: FloatArray, island: IntArray) -> FloatArray:
    """Islands that talk are near, and no circle around one meets another."""
    low, high, weight = graph.pairs()
    between = links(graph.key[[of[0] for of in groups]], island[low], island[high], weight)
    laid = np.empty((len(groups), 3))
    laid[between.order] = lay_out(between, height=np.zeros(len(groups)), gravity=_GRAVITY)
    laid[:, :2] = _upright(_drawn_in(laid[:, :2]))
    room = np.pi * float(((radii + _ISLAND_GAP / 2) ** 2).sum()) / _FILLING
    extent = np.pi * 2 * float((laid[:, :2] ** 2).sum(axis=1).mean())  # of an even disc of that spread
    laid *= np.sqrt(room / max(extent, 1e-9))
    return part(laid, radii, gap=_ISLAND_GAP)[:, :2]


def _turn(graph: Links, positions: FloatArray, island: IntArray, centres: FloatArray) -> None:
    """Turn each island so that who calls another one stands on that side: the best angle, in closed form."""
    row = np.repeat(np.arange(len(island)), np.diff(graph.start))
    out = island[row] != island[graph.neighbour]
    a, b, w = row[out], graph.neighbour[out], graph.weight[out]
    way = centres[island[b]] - centres[island[a]]
    way *= (w / np.maximum(np.linalg.norm(way, axis=1), 1e-9))[:, None]
    x, y = positions[a, 0], positions[a, 1]
    count = len(centres)
    across = np.bincount(island[a], x * way[:, 1] - y * way[:, 0], count)
    along = np.bincount(island[a], x * way[:, 0] + y * way[:, 1], count)
    angle = np.arctan2(across, along)[island]
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = positions[:, 0].copy(), positions[:, 1].copy()
    positions[:, 0], positions[:, 1] = cos * x - sin * y, sin * x + cos * y


def _settle_newcomers(
    graph: Links, positions: FloatArray, island: IntArray, pinned: NDArray[np.bool_], absent: FloatArray
) -> IntArray:
    """Write x and y of who is not pinned; the islands, with new ones for those who found no room."""
    home, placed = island.copy(), pinned.copy()
    circle = _circles(positions, home, pinned)
    resident = np.isin(home, home[pinned])
    while True:
        todo = np.flatnonzero(~placed & resident)
        if not len(todo):
            break
        wanted, invited = _homes(graph, positions, home, placed, todo, circle)
        now = todo[invited] if invited.any() else todo
        found, there = find_room(
            np.concatenate([positions[placed], absent]),
            wanted[invited] if invited.any() else wanted,
            positions[now, 2],
            circle[home[now]],
            spacing=SPACING,
        )
        positions[now[there]] = found[there]
        placed[now[there]] = True
        home[now[~there]] = home.max() + 1
        resident[now[~there]] = False
    strangers = np.flatnonzero(~placed)
    for number in np.unique(home[strangers]).tolist():
        members = strangers[home[strangers] == number]
        inner = _settled_island(graph, members, positions[members, 2])
        taken = np.concatenate([_around(positions, home, placed), _away_each(absent)])
        positions[members, :2] = inner + _free_spot(taken, _reach(inner))
        placed[members] = True
    return np.unique(home, return_inverse=True)[1].astype(np.int64)


def _homes(
    graph: Links,
    positions: FloatArray,
    island: IntArray,
    placed: NDArray[np.bool_],
    todo: IntArray,
    circle: FloatArray,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Beside whom each wants to stand, (c, 2), else the island's middle; and who has such neighbours."""
    row = np.repeat(np.arange(len(island)), np.diff(graph.start))
    near = placed[graph.neighbour] & (island[row] == island[graph.neighbour])
    a, b, w = row[near], graph.neighbour[near], graph.weight[near]
    total = np.bincount(a, w, len(island))
    sums = np.column_stack([np.bincount(a, w * positions[b, axis], len(island)) for axis in (0, 1)])
    invited = total[todo] > 0
    middle: FloatArray = sums[todo] / np.maximum(total[todo], 1e-300)[:, None]
    return np.where(invited[:, None], middle, circle[island[todo], :2]), invited


def _circles(positions: FloatArray, island: IntArray, pinned: NDArray[np.bool_]) -> FloatArray:
    """The circle of each island where newcomers may stand: x, y, radius. Half of a gap is each's."""
    circles = np.zeros((int(island.max()) + 1, 3))
    there = np.unique(island[pinned])
    around = _around(positions, island, pinned)
    circles[there] = around
    if len(there) == 1:
        circles[there, 2] = np.inf
        return circles
    middle, reach = around[:, :2], around[:, 2]
    for i, number in enumerate(there.tolist()):
        free = np.linalg.norm(middle - middle[i], axis=1) - reach - reach[i] - _ISLAND_GAP
        free[i] = np.inf
        circles[number, 2] = reach[i] + float(free.min()) / 2 - MARGIN
    return circles


def _around(positions: FloatArray, island: IntArray, placed: NDArray[np.bool_]) -> FloatArray:
    """A circle around what is placed of each island that has any, in the islands' order: x, y, radius."""
    there = np.flatnonzero(placed)
    circles = []
    for of in _groups(np.unique(island[there], return_inverse=True)[1]):
        members = positions[there[of], :2]
        middle = (members.min(axis=0) + members.max(axis=0)) / 2
        circles.append([*middle, _reach(members - middle)])
    return np.array(circles).reshape(-1, 3)


def _away_each(absent: FloatArray) -> FloatArray:
    """A circle around each who is away."""
    return np.column_stack([absent[:, :2], np.full(len(absent), MARGIN)])


def _free_spot(taken: FloatArray, radius: float) -> FloatArray:
    """The middle of a circle that meets no other (x, y, radius), as near to their middle as there is."""
    middle: FloatArray = taken[:, :2].mean(axis=0)
    clear = taken[:, 2] + radius + _ISLAND_GAP
    furthest = float((np.linalg.norm(taken[:, :2] - middle, axis=1) + clear).max())
    turns = int(min((furthest / (radius / 2)) ** 2 + 8, 4_000))
    for spot in middle + sunflower(turns, radius / 2):
        if (np.linalg.norm(taken[:, :2] - spot, axis=1) >= clear).all():
            return np.asarray(spot)
    return middle + [furthest, 0.0]


def _reach(members: FloatArray) -> float:
    return float(np.linalg.norm(members, axis=1).max(initial=0.0)) + MARGIN


def _drawn_in(xy: FloatArray) -> FloatArray:
    """Those far outside nearer: what nothing joins drifts away, and would make all others small."""
    ordered, count = np.sort(xy, axis=0), len(xy)
    middle: FloatArray = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    away = np.linalg.norm(xy - middle, axis=1)
    limit = _FURTHEST * float(np.interp(0.9 * (count - 1), np.arange(count), np.sort(away)))
    drawn: FloatArray = middle + (xy - middle) * np.minimum(1.0, limit / np.maximum(away, 1e-9))[:, None]
    return drawn


def _upright(xy: FloatArray) -> FloatArray:
    """Turned so that the longest extent lies across the view, centred on the origin."""
    centred: FloatArray = xy - xy.mean(axis=0)
    if len(xy) < 3:
        return centred
    _, axes = np.linalg.eigh(centred.T @ centred)
    turned = centred @ axes[:, ::-1]
    # An eigenvector's sign is arbitrary; this one is not.
    signed: FloatArray = turned * np.where(np.sum(turned**3, axis=0) < 0, -1.0, 1.0)
    return signed
