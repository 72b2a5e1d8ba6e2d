"""A trace computed anew with other durations: defines ``tracescape_native.slack``."""

from __future__ import annotations

from collections.abc import Callable

from naive.critical_path import Interval, Walk
from naive.forest import Node


class Network:
    """What a root's spans wait for, fixed once, to be computed again with other durations."""

    def __init__(self, root: Node) -> None:
        self.root = root
        walk = Walk(root, 0)
        self.clipped: dict[Node, Interval] = {}
        self.waited_for: dict[Node, list[Node]] = {node: [] for node in root.walk()}
        for node in root.walk():
            inside = None if node.parent is None else walk._clip(node, self.clipped[node.parent])
            if inside and inside[0] < inside[1] and node.parent is not None:
                self.clipped[node] = inside
                self.waited_for[node.parent].append(node)
            else:
                self.clipped[node] = walk._interval(node)

    def nobody_waits(self, node: Node) -> bool:
        while node.parent is not None:
            if node not in self.waited_for[node.parent]:
                return True
            node = node.parent
        return False

    def duration(
        self,
        node: Node,
        work: Callable[[Node, int], int] = lambda _, gap: gap,
        lasts: Callable[[Node, int], int] = lambda _, duration: duration,
    ) -> int:
        """What ``node`` takes if gaps become ``work(node, gap)`` and, then, totals ``lasts(node, total)``."""
        start, end = self.clipped[node]
        children = sorted(self.waited_for[node], key=lambda child: self.clipped[child][0])
        ends: dict[Node, int] = {}

        def after(time: int, before: list[Node]) -> int:
            """When ``node`` comes to what it did at ``time``, after those children had ended."""
            released = max([start, *(self.clipped[child][1] for child in before)])
            return max([0, *(ends[child] for child in before)]) + work(node, time - released)

        for child in children:
            child_start = self.clipped[child][0]
            before = [other for other in ends if self.clipped[other][1] <= child_start]
            ends[child] = after(child_start, before) + self.duration(child, work, lasts)
        return lasts(node, after(end, children))

    def grown(self, node: Node, by: int) -> int:
        """The root's duration if ``node`` takes that much longer."""
        return self.duration(self.root, lasts=lambda n, duration: duration + by * (n is node))

    def without(self, node: Node) -> int:
        """The root's duration if ``node`` takes no time."""
        return self.duration(self.root, lasts=lambda n, duration: 0 if n is node else duration)

    def faster(self, nodes: set[Node], factor: float, of: Node) -> int:
        return self.duration(of, work=lambda n, gap: int(gap / factor) if n in nodes else gap)
