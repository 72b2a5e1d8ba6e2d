"""Who called whom: the topology edge of every span, from parents, kinds and services alone.

All arrays are int64 of shape (n,) in the depth-first order of a ``Forest``; every pass is a few loops.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, Forest
from tracescape_native.parallel import ranges_of, run_all
from tracescape_native.sorting import IntArray

#: How a span was matched with its caller (``Calls.relation``).
NONE: Final = 0
PAIRED: Final = 1  # a SERVER with its CLIENT
CROSSED: Final = 2  # a child of another service, whatever the kinds
DELIVERED: Final = 3  # a CONSUMER with its PRODUCER

#: What a CLIENT span names: nothing, a database or broker, or anything else that it calls.
NOTHING: Final = 0
STORE: Final = 1
PEER: Final = 2

_SILENT: Final = 1
_TELLING: Final = 2


class Calls(NamedTuple):
    """Per span, int64, shape (n,).

    ``caller`` is the position of the span on the calling side, -1 where there is none; ``relation`` says how
    they were matched. ``unanswered`` is 1 for a CLIENT span that no span answers and that speaks for its
    call: the far end of the call sends no spans.
    """

    caller: IntArray
    relation: IntArray
    unanswered: IntArray


class Matching(NamedTuple):
    """Working memory of ``match``, int64, shape (n,): results as in ``Calls``, and what leads to them.

    ``above``: the nearest ancestor that is not INTERNAL, -1 for none. ``changes``: how often the service
    changes from there down; after two changes a third service stands between, and nothing is walked through.
    ``between``: an INTERNAL span that a pair below walks through; its own change of service is that pair's.
    ``delegates``: a client library on top of another: the lower one makes the call; 1 where those below tell
    nothing, 2 where one is answered or names whom it calls. ``covered``: below a call that is named at the
    top.
    """

    caller: IntArray
    relation: IntArray
    unanswered: IntArray
    above: IntArray
    changes: IntArray
    between: IntArray
    answered: IntArray
    delegates: IntArray
    covered: IntArray


def matching_for(spans: int) -> Matching:
    """Memory for positions up to ``spans``."""
    return Matching(*np.empty((len(Matching._fields), spans), np.int64))


@njit(cache=True, nogil=True)
def _pair(
    parent: IntArray, service: IntArray, kind: IntArray, first: int, last: int, found: Matching
) -> None:
    above, changes = found.above, found.changes
    for i in range(first, last):
        above[i], changes[i], found.caller[i], found.relation[i] = -1, 0, -1, NONE
        found.between[i], found.answered[i], found.delegates[i] = 0, 0, 0
        p = parent[i]
        if p < 0:
            continue
        inside = kind[p] == INTERNAL
        above[i] = above[p] if inside else p
        changes[i] = (changes[p] if inside else 0) + (1 if service[i] != service[p] else 0)
        a = above[i]
        if a >= 0 and changes[i] <= 1:
            if kind[i] == SERVER and kind[a] == CLIENT:
                found.caller[i], found.relation[i] = a, PAIRED
            elif kind[i] == CONSUMER and kind[a] == PRODUCER:
                found.caller[i], found.relation[i] = a, DELIVERED


@njit(cache=True, nogil=True)
def _cross(
    parent: IntArray, service: IntArray, kind: IntArray, first: int, last: int, found: Matching
) -> None:
    # Children of other services that no pair accounts for.
    for i in range(last - 1, first - 1, -1):
        p = parent[i]
        walked = found.relation[i] != NONE or (kind[i] == INTERNAL and found.between[i])
        if p >= 0 and kind[p] == INTERNAL and walked:
            found.between[p] = 1
    for i in range(first, last):
        p = parent[i]
        if p < 0 or found.relation[i] != NONE or found.between[i] or service[i] == service[p]:
            continue
        a = found.above[i]
        outgoing = a >= 0 and kind[a] == CLIENT and service[a] == service[p]
        found.caller[i], found.relation[i] = (a if outgoing else p), CROSSED


@njit(cache=True, nogil=True)
def _leave(
    service: IntArray, kind: IntArray, names: IntArray, first: int, last: int, found: Matching
) -> None:
    # Which CLIENT spans leave their call to others below them, which stand behind them.
    above, answered, delegates = found.above, found.answered, found.delegates
    for i in range(first, last):
        if found.caller[i] >= 0:
            answered[found.caller[i]] = 1
    for i in range(last - 1, first - 1, -1):
        a = above[i]
        if kind[i] == CLIENT and a >= 0 and kind[a] == CLIENT and service[i] == service[a]:
            tells = answered[i] or names[i] != NOTHING or delegates[i] == _TELLING
            delegates[a] = max(delegates[a], _TELLING if tells else _SILENT)


@njit(cache=True, nogil=True)
def _call_out(
    service: IntArray, kind: IntArray, names: IntArray, first: int, last: int, found: Matching
) -> None:
    above, answered, covered = found.above, found.answered, found.covered
    for i in range(first, last):
        covered[i] = found.unanswered[i] = 0
        if kind[i] != CLIENT:
            continue
        a = above[i]
        if a >= 0 and kind[a] == CLIENT and service[i] == service[a]:
            named = names[a] != NOTHING and _speaks(names[a], found.delegates[a])
            covered[i] = 1 if covered[a] or (named and not answered[a]) else 0
        if not answered[i] and not covered[i] and _speaks(names[i], found.delegates[i]):
            found.unanswered[i] = 1


@njit(cache=True, nogil=True, forceinline=True)
def _speaks(names: int, delegates: int) -> bool:
    # Whether a CLIENT span speaks for its call, though there may be others below.
    return names == STORE or delegates == 0 or (names == PEER and delegates == _SILENT)


@njit(cache=True, nogil=True)
def match(
    parent: IntArray,
    service: IntArray,
    kind: IntArray,
    names: IntArray,
    first: int,
    last: int,
    found: Matching,
) -> None:
    """``find_calls`` for positions ``first`` to ``last`` (exclusive), which are whole traces."""
    _pair(parent, service, kind, first, last, found)
    _cross(parent, service, kind, first, last, found)
    _leave(service, kind, names, first, last, found)
    _call_out(service, kind, names, first, last, found)


def find_calls(forest: Forest, service: IntArray, names: IntArray) -> Calls:
    """Match every span with the span that called it.

    A SERVER is paired with the CLIENT above it, a CONSUMER with the PRODUCER above it; INTERNAL spans in
    between are walked through as long as they belong to one side or the other. Any other child of another
    service is matched with its parent (with the CLIENT above it, if that is of the parent's service). A
    CLIENT that calls through another CLIENT below it leaves the call to that one, unless it names a database
    or broker (`STORE`), or names whom it calls (`PEER`) while what is below neither does nor is answered: it
    speaks for what is below then.

    ``service`` and ``names`` (`NOTHING`, `STORE` or `PEER`) are int64 of shape (n,) in the forest's order.
    """
    found = matching_for(len(forest.parent))

    def match_range(first: int, last: int) -> None:
        begin, end = forest.offsets[first], forest.offsets[last]
        match(forest.parent, service, forest.kind, names, begin, end, found)

    run_all(match_range, ranges_of(forest.offsets))
    return Calls(found.caller, found.relation, found.unanswered)
