"""Who owns a span's own time: the service that works, or the connection over which it waits for another.

A CLIENT span, and a span without a kind whose only child is of another service, does nothing but wait for
its callee: what its children do not account for passed between the two. All other own time is the service's.
So every nanosecond of a trace belongs to one service or one connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from tracescape_analytics.nodes import NodeTable, number_far_ends
from tracescape_analytics.span_forest import BoolArray, IntArray, SpanForest
from tracescape_native.forest import CLIENT, CONSUMER, PRODUCER, UNSET

_RPC_NAME: Final = re.compile(r"/?([\w$]+(?:\.[\w$]+)+)/\w+")
#: An operation calls out if so many of its spans do; to one node if so many of those go there.
_MOSTLY: Final = 0.5
_ALWAYS: Final = 0.9
_SMALL: Final = 1_000_000


@dataclass(frozen=True)
class Owners:
    """Int64 of shape (n,) in the forest's order: ``callee``, the node that a span waits for, -1 for none.

    ``crossed`` (bool) marks spans that another service's span called, or whose message they take: then they
    ``follow`` (bool). ``answered`` (bool) are calls that have a child that was called. ``nodes`` numbers
    services first, then what is known by its callers only.
    """

    callee: IntArray
    crossed: BoolArray
    follow: BoolArray
    answered: BoolArray
    nodes: NodeTable


def owners(trees: SpanForest) -> Owners:
    """Find the calls among the spans, and whom they call."""
    forest, n = trees.forest, len(trees.forest.rows)
    nodes = NodeTable(trees.services)
    parent, kind = forest.parent, forest.kind
    above = np.maximum(parent, 0)
    inner = parent >= 0
    follows = (kind == CONSUMER) & (kind[above] == PRODUCER) & inner
    crossed = inner & (trees.service != trees.service[above])
    waited = crossed & ~follows
    children = np.bincount(parent[inner], minlength=n)
    answered = np.zeros(n, np.bool_)
    answered[parent[waited]] = True
    callee = np.full(n, -1, np.int64)
    callee[parent[waited]] = trees.service[waited]
    calls = np.where(kind == UNSET, children == 1, kind == CLIENT)
    callee[~(answered & calls)] = -1
    _name_unanswered(trees, nodes, callee, children == 0, crossed)
    return Owners(callee, crossed, follows, answered, nodes)


def _name_unanswered(
    trees: SpanForest, nodes: NodeTable, callee: IntArray, leaf: BoolArray, crossed: BoolArray
) -> None:
    # Calls that no span answers: to what they name, else to whom spans of their operation call otherwise,
    # else to the RPC service of their name, unless it is the service's own.
    kind = trees.forest.kind
    client = np.flatnonzero((kind == CLIENT) & (callee < 0))
    callee[client] = number_far_ends(trees, client, nodes)
    code = trees.service * max(len(trees.operations), 1) + trees.operation
    operation, number = _numbered(code)
    here = leaf & ((kind == UNSET) | (kind == CLIENT)) & (callee < 0)
    works = np.zeros(len(operation), np.bool_)  # operations that do things themselves
    within = (trees.forest.parent >= 0) & ~crossed
    works[number[trees.forest.parent[within]]] = True
    works[number[(kind != UNSET) & (kind != CLIENT)]] = True
    usual = _usual_callees(number, callee, len(operation))
    by_name = _callees_by_name(trees, nodes, callee, crossed)
    first = np.zeros(len(operation), np.int64)
    first[number] = np.arange(len(number))
    for i in np.unique(number[here]):
        if works[i]:
            continue
        found = (
            usual[i]
            if usual[i] >= 0
            else by_name(int(trees.service[first[i]]), int(trees.operation[first[i]]))
        )
        usual[i] = found
    callee[here] = np.where(works[number[here]], -1, usual[number[here]])


def _usual_callees(number: IntArray, callee: IntArray, operations: int) -> IntArray:
    # Of operations that mostly call, and always the same node: that node.
    spans = np.bincount(number, minlength=operations)
    called = callee >= 0
    width = int(callee.max(initial=0)) + 1
    pair, place = _numbered(number[called] * width + callee[called])
    count = np.bincount(place, minlength=len(pair))
    calls = np.bincount(number[called], minlength=operations)
    usual = np.full(operations, -1, np.int64)
    for operation, node, times in zip(pair // width, pair % width, count, strict=True):
        if times >= _ALWAYS * calls[operation] and calls[operation] >= _MOSTLY * spans[operation]:
            usual[operation] = node
    return usual


def plain_name(name: str) -> str:
    """A service's name however it is written: ``hipstershop.CartService`` is ``cartservice``."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())


class _CalleesByName:
    """The node that an operation named ``package.Service/Method`` calls, -1 where it calls none."""

    def __init__(self, trees: SpanForest, nodes: NodeTable, callee: IntArray, entered: BoolArray) -> None:
        self._nodes = nodes
        self._names = [found[1] if (found := _RPC_NAME.fullmatch(name)) else "" for name in trees.operations]
        self._services = {plain_name(name): name for name in trees.services}
        self._known: dict[str, int] = {}
        self._own = {
            (int(service), self._names[int(operation)])
            for service, operation in _pairs(trees.service[entered], trees.operation[entered])
        }
        called = callee >= 0
        for operation, node in _pairs(trees.operation[called], callee[called]):
            self._known.setdefault(self._names[int(operation)], int(node))

    def __call__(self, service: int, operation: int) -> int:
        name = self._names[operation]
        if not name or (service, name) in self._own:
            return -1
        if name not in self._known:
            self._known[name] = self._nodes.number(self._services.get(plain_name(name), name), "external")
        return self._known[name] if self._known[name] != service else -1


def _callees_by_name(
    trees: SpanForest, nodes: NodeTable, callee: IntArray, crossed: BoolArray
) -> _CalleesByName:
    return _CalleesByName(trees, nodes, callee, crossed | (trees.forest.parent < 0))


def _pairs(left: IntArray, right: IntArray) -> list[tuple[int, int]]:
    width = int(right.max(initial=0)) + 1
    values, _ = _numbered(left * width + right)
    return [(int(value) // width, int(value) % width) for value in values]


def _numbered(code: IntArray) -> tuple[IntArray, IntArray]:
    # The distinct codes in order, and which of them each is: without sorting where a table of all is small.
    size = int(code.max(initial=0)) + 1
    if size > 4 * len(code) + _SMALL:
        values, number = np.unique(code, return_inverse=True)
        return values, number.astype(np.int64)
    seen = np.zeros(size, np.bool_)
    seen[code] = True
    return np.flatnonzero(seen), np.cumsum(seen)[code] - 1
