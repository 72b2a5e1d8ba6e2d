"""Parent resolution by dictionaries and sorted lists: defines what ``tracescape_native.forest`` computes."""

from __future__ import annotations

from dataclasses import dataclass, field

UNSET, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(6)


@dataclass(frozen=True)
class Span:
    """One span as it was sent; ids are unsigned here, an ``end`` is never before its ``start``."""

    trace: int
    id: int
    parent: int
    start: int
    end: int
    kind: int = UNSET
    resource: int = 0
    content: int = 0

    @property
    def duration(self) -> int:
        return self.end - self.start

    @property
    def order(self) -> tuple[int, ...]:
        signed = self.parent - 2**64 if self.parent >= 2**63 else self.parent
        return self.start, self.id, -self.end, signed, self.resource, self.content * 8 + self.kind


@dataclass(eq=False)
class Node:
    span: Span
    origin: str = "child"
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def walk(self) -> list[Node]:
        found, stack = [], [self]
        while stack:
            node = stack.pop()
            found.append(node)
            stack.extend(reversed(node.children))
        return found


def _cut_cycles(nodes: list[Node]) -> None:
    for node in nodes:  # canonical order: the first span of a cycle that is met is where it is cut
        above = node.parent
        for _ in nodes:
            if above is None or above is node:
                break
            above = above.parent
        if above is node:
            node.parent, node.origin = None, "cut"


def grow(spans: list[Span]) -> list[Node]:
    """The roots of one trace, in canonical order, children attached in canonical order."""
    nodes = [Node(span) for span in sorted(set(spans), key=lambda span: span.order)]
    first: dict[int, Node] = {}
    for node in nodes:
        first.setdefault(node.span.id, node)
    for node in nodes:
        if node.span.parent == 0:
            node.origin = "root"
        elif node.span.parent not in first:
            node.origin = "orphan"
        else:
            node.parent = first[node.span.parent]
    _cut_cycles(nodes)
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)
    return [node for node in nodes if node.parent is None]


def main_root(roots: list[Node]) -> Node:
    candidates = [node for node in roots if node.origin == "root"] or roots
    return max(candidates, key=lambda node: node.span.duration)  # max keeps the first of equals


def twin(spans: list[Span]) -> tuple[list[Node], list[Node]]:
    """All nodes in depth-first order, trace by trace, and the main root of each trace."""
    nodes, mains = [], []
    for trace in range(max(span.trace for span in spans) + 1):
        roots = grow([span for span in spans if span.trace == trace])
        nodes += [node for root in roots for node in root.walk()]
        mains.append(main_root(roots))
    return nodes, mains
