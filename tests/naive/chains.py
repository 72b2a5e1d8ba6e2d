"""Chains of calls, span by span: defines ``tracescape_analytics.chains``.

A span's ``resource`` is its service here; ``content`` 1 says that it names a database (CLIENT) or a topic
(PRODUCER), 2 that it names something external (CLIENT). Every third id failed; ids are odd or even
operations, and say how the span was sampled.
"""

from __future__ import annotations

from collections.abc import Iterator

from naive.edges import calls, unanswered
from naive.forest import CLIENT, PRODUCER, Node, Span

DATABASE, TOPIC, PEER = "postgresql", "orders", "bank"


def operation_of(span: Span) -> str:
    return f"op{span.id % 2}"


def failed(span: Span) -> bool:
    return span.id % 3 == 0


def weight(node: Node) -> int:
    """How many such chains it stands for: as many as what stands for most from the root on."""
    own = [1, 1, 2, 4][node.span.id % 4]
    return own if node.parent is None else max(own, weight(node.parent))


def trace_state(span: Span) -> str | None:
    return [None, None, "ot=th:8", "ot=th:c"][span.id % 4]


def chains(nodes: list[Node], by: str = "operation") -> Iterator[tuple[str, Node]]:
    """Each step as the chain that ends with it, as text, and the span that it is of."""
    matched, silent = calls(nodes), unanswered(nodes)

    def label(span: Span) -> str:
        return f"s{span.resource}" + (f" {operation_of(span)}" if by == "operation" else "")

    def is_step(node: Node) -> bool:
        answers = node in matched and matched[node][1] in ("paired", "delivered")
        return node.parent is None or node.span.resource != node.parent.span.resource or answers

    def leaf(node: Node) -> str | None:
        if node in silent:
            return {0: None, 1: DATABASE, 2: PEER}[node.span.content]
        return TOPIC if node.span.kind == PRODUCER and node.span.content == 1 else None

    def steps(node: Node) -> list[str]:
        if not is_step(node):
            assert node.parent is not None
            return steps(node.parent)
        above = [] if node.parent is None else steps(node.parent)
        if node in matched and matched[node][1] == "delivered":
            producer = matched[node][0]
            if (topic := leaf(producer)) is not None:
                above = [*steps(producer), topic]
        return [*above, label(node.span)]

    def known(node: Node) -> bool:
        while node.parent is not None:
            node = node.parent
        return node.origin == "root"

    for node in filter(known, nodes):
        if is_step(node):
            yield " → ".join(steps(node)), node
        if (far := leaf(node)) is not None:
            yield " → ".join([*steps(node), far]), node


def named_as(span: Span) -> dict[str, str]:
    """The promoted columns that say what a span names."""
    if span.kind == CLIENT:
        return [{}, {"db_system": DATABASE}, {"peer_service": PEER}][span.content]
    return {"messaging_destination": TOPIC} if span.kind == PRODUCER and span.content == 1 else {}
