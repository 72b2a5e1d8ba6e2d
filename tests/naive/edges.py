"""Who called whom, span by span: defines ``tracescape_native.edges``.

A span's ``resource`` stands for its service here, ``content`` what it names: 0 nothing, 1 a database or
topic, 2 anything else.
"""

from __future__ import annotations

import itertools

from naive.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, Node

Call = tuple[Node, str]


def above(node: Node) -> list[Node]:
    """From the node up to its nearest ancestor that is not INTERNAL (to the root if all are)."""
    chain = [node]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
        if chain[-1].span.kind != INTERNAL:
            break
    return chain


def paired(node: Node) -> Call | None:
    chain = above(node)
    services = [step.span.resource for step in chain]
    changes = sum(a != b for a, b in itertools.pairwise(services))
    if changes > 1 or len(chain) == 1:
        return None
    kinds = node.span.kind, chain[-1].span.kind
    if kinds == (SERVER, CLIENT):
        return chain[-1], "paired"
    if kinds == (CONSUMER, PRODUCER):
        return chain[-1], "delivered"
    return None


def calls(nodes: list[Node]) -> dict[Node, Call]:
    """The caller of each node that has one, and how they were matched."""
    found = {node: call for node in nodes if (call := paired(node))}
    walked_through = {step for node in found for step in above(node)[1:-1]}
    for node in nodes:
        if node in found or node in walked_through or node.parent is None:
            continue
        if node.span.resource != node.parent.span.resource:
            top = above(node)[-1]
            outgoing = top.span.kind == CLIENT and top.span.resource == node.parent.span.resource
            found[node] = (top if outgoing else node.parent), "crossed"
    return found


def client_above(node: Node) -> Node | None:
    top = above(node)[-1]
    same = top is not node and top.span.kind == CLIENT and top.span.resource == node.span.resource
    return top if same else None


def unanswered(nodes: list[Node]) -> set[Node]:
    """CLIENT spans that speak for a call which no span answers."""
    clients = [node for node in nodes if node.span.kind == CLIENT]
    answered = {caller for caller, _ in calls(nodes).values()}
    below = {node: [lower for lower in clients if client_above(lower) is node] for node in clients}

    def tells(node: Node) -> bool:
        return node in answered or bool(node.span.content) or any(map(tells, below[node]))

    def speaks(node: Node) -> bool:
        if node.span.content == 1 or not below[node]:
            return True
        return node.span.content == 2 and not any(map(tells, below[node]))

    def inside_a_named_call(node: Node) -> bool:
        while (outer := client_above(node)) is not None:
            if outer.span.content and outer not in answered and speaks(outer):
                return True
            node = outer
        return False

    return {
        node for node in clients if node not in answered and not inside_a_named_call(node) and speaks(node)
    }
