"""The critical path by its definition, one span at a time: defines ``tracescape_native.critical_path``."""

from __future__ import annotations

import itertools

from naive.forest import CLIENT, CONSUMER, PRODUCER, SERVER, Node

Interval = tuple[int, int]


def shifts(root: Node) -> dict[Node, int]:
    """Correction of each span for clock skew, in ns."""
    result = {root: 0}
    for node in root.walk()[1:]:
        assert node.parent is not None
        child, parent = node.span, node.parent.span
        result[node] = result[node.parent]
        skewable = child.kind == SERVER and parent.kind == CLIENT and child.resource != parent.resource
        if skewable and child.duration <= parent.duration:
            if child.start < parent.start:
                result[node] += parent.start - child.start
            elif child.end > parent.end:
                result[node] += parent.end - child.end
    return result


def follows(node: Node) -> bool:
    assert node.parent is not None
    return node.span.kind == CONSUMER and node.parent.span.kind == PRODUCER


class Walk:
    """The critical path of one root: ``segments`` in time order, ``critical`` and ``self_ns`` by node."""

    def __init__(self, root: Node, tolerance: float) -> None:
        self.root = root
        self.tolerance = tolerance
        self.shift = shifts(root)
        self.critical = dict.fromkeys(root.walk(), 0)
        self.segments: list[tuple[Node, int, int]] = []
        self._walk_back(root, (root.span.start, root.span.end))
        self.segments.reverse()
        self.self_ns: dict[Node, int] = {}
        self._self_times()

    def _interval(self, node: Node) -> Interval:
        return node.span.start + self.shift[node], node.span.end + self.shift[node]

    def _clip(self, node: Node, to: Interval) -> Interval | None:
        """The node's interval inside that of its parent; None if the parent does not wait for it."""
        start, end = self._interval(node)
        start, end = max(start, to[0]), min(end, to[1])
        return None if follows(node) or start > end else (start, end)

    def _own(self, node: Node, start: int, end: int) -> None:
        if start == end:
            return
        self.critical[node] += end - start
        if self.segments and self.segments[-1][0] is node and self.segments[-1][1] == end:
            end = self.segments.pop()[2]  # only a child of length 0 lay between: one segment
        self.segments.append((node, start, end))

    def _walk_back(self, node: Node, interval: Interval) -> None:
        allowance = int((interval[1] - interval[0]) * self.tolerance)
        waiting = [(child, clip) for child in node.children if (clip := self._clip(child, interval))]
        cursor = interval[1]
        while waiting:
            # What finishes last first; then the later start; then the smaller id; then the earlier sibling.
            last = min(waiting, key=lambda w: (-w[1][1], -w[1][0], w[0].span.id, node.children.index(w[0])))
            waiting.remove(last)
            child, (start, end) = last
            on_time = end <= cursor
            nearly = end - cursor <= allowance and start < cursor
            if not (on_time or nearly):
                continue
            end = min(end, cursor)
            self._own(node, end, cursor)
            self._walk_back(child, (start, end))
            cursor = start
        self._own(node, interval[0], cursor)

    def _self_times(self) -> None:
        """Self times by a timeline cut at every clipped start and end."""
        clipped: dict[Node, Interval] = {}
        for node in self.root.walk():
            own = self._interval(node)
            inside = None if node.parent is None else self._clip(node, clipped[node.parent])
            clipped[node] = inside if inside and inside[0] < inside[1] else own
        for node in self.root.walk():
            start, end = clipped[node]
            covers = [clip for child in node.children if (clip := self._clip(child, (start, end)))]
            cuts = sorted({start, end, *(point for cover in covers for point in cover)})
            self.self_ns[node] = sum(
                b - a
                for a, b in itertools.pairwise(cuts)
                if not any(cover[0] <= a and b <= cover[1] for cover in covers)
            )
