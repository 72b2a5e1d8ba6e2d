"""Who called whom: the topology edge of every span, from parents, kinds and services alone.

All arrays are int64 of shape (n,) in the depth-first order of a ``Forest``; every pass is one loop.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, Forest
from tracescape_native.sorting import IntArray

#: How a span was matched with its caller (``Calls.relation``).
NONE: Final = 0
PAIRED: Final = 1  # a SERVER with its CLIENT
CROSSED: Final = 2  # a child of another service, whatever the kinds
DELIVERED: Final = 3  # a CONSUMER with its PRODUCER


class Calls(NamedTuple):
    """Per span, int64, shape (n,).

    ``caller`` is the position of the span on the calling side, -1 where there is none; ``relation`` says how
    they were matched. ``unanswered`` is 1 for a CLIENT span that no span answers and that speaks for its
    call: the far end of the call sends no spans.
    """

    caller: IntArray
    relation: IntArray
    unanswered: IntArray


@njit(cache=True, nogil=True)
def _callers(parent: IntArray, service: IntArray, kind: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    # above[i]: the nearest ancestor that is not INTERNAL. changes[i]: how often the service changes from
    # there down to i; after two changes a third service stands between, and nothing is walked through.
    n = len(parent)
    above = np.full(n, -1, np.int64)
    changes = np.zeros(n, np.int64)
    caller = np.full(n, -1, np.int64)
    relation = np.zeros(n, np.int64)
    for i in range(n):
        p = parent[i]
        if p < 0:
            continue
        inside = kind[p] == INTERNAL
        above[i] = above[p] if inside else p
        changes[i] = (changes[p] if inside else 0) + (1 if service[i] != service[p] else 0)
        a = above[i]
        if a >= 0 and changes[i] <= 1:
            if kind[i] == SERVER and kind[a] == CLIENT:
                caller[i], relation[i] = a, PAIRED
            elif kind[i] == CONSUMER and kind[a] == PRODUCER:
                caller[i], relation[i] = a, DELIVERED
    return above, caller, relation


@njit(cache=True, nogil=True)
def _cross(
    parent: IntArray, service: IntArray, kind: IntArray, above: IntArray, caller: IntArray, relation: IntArray
) -> None:
    # Children of other services that no pair accounts for. between[i]: an INTERNAL span that a pair below
    # walks through; its own change of service is that pair's.
    n = len(parent)
    between = np.zeros(n, np.int64)
    for i in range(n - 1, -1, -1):
        p = parent[i]
        if p >= 0 and kind[p] == INTERNAL:
            walked = relation[i] != NONE or (kind[i] == INTERNAL and between[i])
            if walked:
                between[p] = 1
    for i in range(n):
        p = parent[i]
        if p < 0 or relation[i] != NONE or between[i] or service[i] == service[p]:
            continue
        a = above[i]
        outgoing = a >= 0 and kind[a] == CLIENT and service[a] == service[p]
        caller[i], relation[i] = (a if outgoing else p), CROSSED


@njit(cache=True, nogil=True)
def _unanswered(
    service: IntArray, kind: IntArray, names_store: IntArray, above: IntArray, caller: IntArray
) -> IntArray:
    n = len(kind)
    answered = np.zeros(n, np.int64)
    delegates = np.zeros(n, np.int64)  # a client library on top of another: the lower one makes the call
    for i in range(n):
        if caller[i] >= 0:
            answered[caller[i]] = 1
        a = above[i]
        if kind[i] == CLIENT and a >= 0 and kind[a] == CLIENT and service[i] == service[a]:
            delegates[a] = 1
    inside = np.zeros(n, np.int64)  # below a call to a database or broker, which is named at the top
    unanswered = np.zeros(n, np.int64)
    for i in range(n):
        if kind[i] != CLIENT:
            continue
        a = above[i]
        if a >= 0 and kind[a] == CLIENT and service[i] == service[a]:
            inside[i] = 1 if inside[a] or (names_store[a] and not answered[a]) else 0
        if not answered[i] and not inside[i] and (names_store[i] or not delegates[i]):
            unanswered[i] = 1
    return unanswered


def find_calls(forest: Forest, service: IntArray, names_store: IntArray) -> Calls:
    """Match every span with the span that called it.

    A SERVER is paired with the CLIENT above it, a CONSUMER with the PRODUCER above it; INTERNAL spans in
    between are walked through as long as they belong to one side or the other. Any other child of another
    service is matched with its parent (with the CLIENT above it, if that is of the parent's service). A
    CLIENT that calls through another CLIENT below it leaves the call to that one, unless it names a database
    or broker (``names_store``): then it speaks for what is below.

    ``service`` and ``names_store`` (0 or 1) are int64 of shape (n,) in the forest's order.
    """
    above, caller, relation = _callers(forest.parent, service, forest.kind)
    _cross(forest.parent, service, forest.kind, above, caller, relation)
    return Calls(caller, relation, _unanswered(service, forest.kind, names_store, above, caller))
