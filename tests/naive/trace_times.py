"""When spans ran, worked and waited, by asking about every nanosecond: defines ``native.trace_times``."""

from __future__ import annotations

from naive.critical_path import follows, shifts
from naive.forest import Node

Interval = tuple[int, int]


def clipped(root: Node) -> dict[Node, tuple[Interval, bool]]:
    """The interval of each span, and whether its parent waits for it."""
    shift, found = shifts(root), {}
    for node in root.walk():
        start, end = node.span.start + shift[node], node.span.end + shift[node]
        found[node] = (start, end), False
        if node.parent is not None and not follows(node):
            low, high = found[node.parent][0]
            if max(start, low) < min(end, high):
                found[node] = (max(start, low), min(end, high)), True
    return found


def running(times: dict[Node, tuple[Interval, bool]], at: int) -> list[Node]:
    return [node for node, ((start, end), _) in times.items() if start <= at < end]


def awaited(node: Node, times: dict[Node, tuple[Interval, bool]], at: int) -> list[Node]:
    """The children that a span waits for at a moment."""
    return [
        child for child in node.children if times[child][1] and times[child][0][0] <= at < times[child][0][1]
    ]
