"""Layers from left to right for a graph of calls: who calls stands left of who is called.

After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981):
edges that close a cycle are left out, each node stands one layer right of the farthest of those that call
it, edges over several layers get a place in each of them, and layers are put in an order in which
neighbours are near (barycentres). Places within a layer then move towards their neighbours as far as the
order and the distances let them. For pictures: a hundred nodes, not a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SWEEPS: Final = 12
_NODE: Final = 1.0
#: What an edge that passes takes of the room of a node.
_PASSING: Final = 0.5


@dataclass(frozen=True)
class Layers:
    """Where nodes stand, and where edges pass.

    Attributes:
        layer: the layer of each node, from 0.
        height: the place of each node within its layer; 1 is the room that a node takes, 0 the top.
        passing: for each edge the heights at the layers between its ends, from left to right.
        back: whether the edge goes left: it closes a cycle.
        count: how many layers there are.
        room: the largest height, with the room of its node.
    """

    layer: list[int]
    height: list[float]
    passing: list[list[float]]
    back: list[bool]
    count: int
    room: float


def layered(nodes: int, edges: Sequence[tuple[int, int]]) -> Layers:
    """Place ``nodes`` numbered from 0; edges are pairs of them, no node calls itself."""
    back = _closing(nodes, edges)
    forward = [edge for edge, closes in zip(edges, back, strict=True) if not closes]
    layer = _depths(nodes, forward)
    chains, total, of_dummy = _chains(nodes, layer, edges, back)
    layers = [*layer, *of_dummy]
    above: list[list[int]] = [[] for _ in range(total)]
    below: list[list[int]] = [[] for _ in range(total)]
    for chain in chains:
        for left, right in pairwise(chain):
            below[left].append(right)
            above[right].append(left)
    columns: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for each in range(total):
        columns[layers[each]].append(each)
    size = [_NODE if each < nodes else _PASSING for each in range(total)]
    height = _heights(columns, above, below, size)
    return Layers(
        layer,
        height[:nodes],
        [[height[each] for each in chain[1:-1]] for chain in chains],
        back,
        len(columns),
        max((height[each] + size[each] / 2 for each in range(total)), default=0.0),
    )


def _closing(nodes: int, edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each edge closes a cycle for somebody who follows calls from where nobody calls."""
    after: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    called = [0] * nodes
    for number, (source, target) in enumerate(edges):
        after[source].append((number, target))
        called[target] += 1
    back = [False] * len(edges)
    state = [0] * nodes  # 1: on the way, 2: done
    for start in sorted(range(nodes), key=lambda each: called[each] > 0):
        if state[start]:
            continue
        state[start] = 1
        way = [(start, iter(after[start]))]
        while way:
            node, rest = way[-1]
            number, target = next(rest, (-1, -1))
            if number < 0:
                state[node] = 2
                way.pop()
            elif state[target] == 1:
                back[number] = True
            elif not state[target]:
                state[target] = 1
                way.append((target, iter(after[target])))
    return back


def _depths(nodes: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each node along edges without cycles."""
    waiting = [0] * nodes
    after: list[list[int]] = [[] for _ in range(nodes)]
    for source, target in edges:
        waiting[target] += 1
        after[source].append(target)
    depth = [0] * nodes
    ready = [each for each in range(nodes) if not waiting[each]]
    while ready:
        node = ready.pop()
        for target in after[node]:
            depth[target] = max(depth[target], depth[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return depth


def _chains(
    nodes: int, layer: list[int], edges: Sequence[tuple[int, int]], back: list[bool]
) -> tuple[list[list[int]], int, list[int]]:
    """Each edge as a chain over neighbouring layers, how many links there are, the layers of the new ones."""
    chains = []
    of_dummy: list[int] = []
    for (source, target), closes in zip(edges, back, strict=True):
        if closes:
            chains.append([source])
            continue
        between = range(layer[source] + 1, layer[target])
        first = nodes + len(of_dummy)
        of_dummy += between
        chains.append([source, *range(first, first + len(between)), target])
    return chains, nodes + len(of_dummy), of_dummy


def _heights(
    columns: list[list[int]], above: list[list[int]], below: list[list[int]], size: list[float]
) -> list[float]:
    height = [0.0] * len(size)
    for column in columns:
        _stack(column, height, size)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        near = above if forwards else below
        for column in columns if forwards else reversed(columns):
            wanted = {each: _mean([height[other] for other in near[each]], height[each]) for each in column}
            if sweep < _SWEEPS - 4:
                column.sort(key=lambda each: (wanted[each], each))
            _settle(column, wanted, height, size)
    lowest = min((height[each] - size[each] / 2 for each in range(len(size))), default=0.0)
    return [each - lowest for each in height]


def _stack(column: list[int], height: list[float], size: list[float]) -> None:
    at = -sum(size[each] for each in column) / 2
    for each in column:
        height[each] = at + size[each] / 2
        at += size[each]


def _settle(column: list[int], wanted: dict[int, float], height: list[float], size: list[float]) -> None:
    """Places as near to what is wanted as order and sizes allow: neighbours that collide share a mean."""
    groups: list[tuple[float, int, list[int]]] = []  # mean of the wanted tops, members, who
    tops: dict[int, float] = {}
    for each in column:
        group = (wanted[each] - size[each] / 2, 1, [each])
        while groups and groups[-1][0] + sum(size[other] for other in groups[-1][2]) > group[0]:
            mean, count, members = groups.pop()
            shifted = group[0] - sum(size[other] for other in members)
            both = (mean * count + shifted * group[1]) / (count + group[1])
            group = (both, count + group[1], members + group[2])
        groups.append(group)
    for top, _, members in groups:
        at = top
        for each in members:
            tops[each] = at
            at += size[each]
    for each in column:
        height[each] = tops[each] + size[each] / 2


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default
