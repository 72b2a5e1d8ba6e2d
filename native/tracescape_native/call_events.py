"""What happened in a few traces whose trees are grown, as events: rows of words that are counted next.

An event is a visit, a call, a message, or a plain number of something. They are written into memory that is
used again for the next traces.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.call_keys import (
    CONNECTION_BITS,
    EDGE,
    END_BITS,
    ENTRY,
    ORPHANS,
    ROLE_BITS,
    SPANS,
    TOPMOST,
    TOTAL,
    TRACES,
    UNANSWERED,
    UNSENT,
)
from tracescape_native.edges import CROSSED, DELIVERED, NONE, PAIRED, Matching, match, matching_for
from tracescape_native.forest import CLIENT, CONSUMER, INTERNAL, ORPHAN, PRODUCER, ROOT, SERVER, UNSET
from tracescape_native.growing import Grown, SpanArrays
from tracescape_native.memory import ByteArray
from tracescape_native.sorting import IntArray

_MOST: Final = 8  # events of one span at most, beyond those of its links


class Shapes(NamedTuple):
    """What spans say besides ids and times; int64, shape (shapes,), by the shape's number.

    ``service``, ``operation``; ``kind`` (OTLP's, 0 to 5); ``failed`` (0 or 1); ``connection``, below 16;
    ``names`` (see ``find_calls``); ``far_end`` (whom a CLIENT span calls, or an INTERNAL one within its
    service) and ``queue``, the nodes that it names, -1 for none;
    ``extra``, how many more spans than itself such a span stands for, in any unit, below 2^60. A call of
    several spans stands for what the one does that stands for most.

    Services and other nodes share one numbering; numbers are below 2^31.
    """

    service: IntArray
    operation: IntArray
    kind: IntArray
    failed: IntArray
    connection: IntArray
    names: IntArray
    far_end: IntArray
    queue: IntArray
    extra: IntArray


class Question(NamedTuple):
    """What to count.

    ``low`` and ``high``: of each trace what starts in [low, high), int64 ns, shape (traces,). ``width``:
    counts are kept apart by ``start // width``, 0 for no such thing. ``links``: rows of CONSUMER spans and of
    the spans that they link to, int64, shape (links,), ascending by both. ``entry``: the node that calls from
    outside. ``messaging``, ``unseen``: connections. ``ids``: the trace ids of the rows, uint8, shape (n, 16):
    of equally slow calls the one in the greatest is noted.
    """

    low: IntArray
    high: IntArray
    width: int
    link_consumer: IntArray
    link_producer: IntArray
    entry: int
    messaging: int
    unseen: int
    ids: ByteArray


# As int64 and not as constants: for each of those a callee would be compiled apart.
_NOBODY: Final[Any] = np.int64(-1)
_ZERO: Final[Any] = np.int64(0)

#: An event is a row of eight words: the two words of its group, what it is (the lowest two bits) and how many
#: more it stands for, two numbers (of what is counted, a code and how often; else the client's time and the
#: server's, -1 for none), whether it failed, a row, and the delay.
WORDS: Final = 8
PLAIN: Final = 0
VISIT: Final = 1
CALL: Final = 2
MESSAGE: Final = 3  # a call with a delay


@njit(cache=True, nogil=True, forceinline=True)
def _first(role: int, connection: Any, at: int, width: int) -> Any:
    period = at // width if width else 0
    return (period << (ROLE_BITS + CONNECTION_BITS)) | connection << ROLE_BITS | role


@njit(cache=True, nogil=True, forceinline=True)
def _put(
    events: IntArray,
    n: int,
    first: int,
    ends: tuple[Any, Any],
    what: int,
    times: tuple[Any, Any],
    failed: int,
    row: int,
    delay: Any,
) -> int:
    events[n, 0], events[n, 1], events[n, 2] = first, ends[0] << END_BITS | ends[1], what
    events[n, 3], events[n, 4] = times
    events[n, 5], events[n, 6], events[n, 7] = failed, row, delay
    return n + 1


class _Columns(NamedTuple):
    # By position: the span's service and kind, what it names, and whether it is counted. Where
    # copies were dropped positions are left over: their kind is -1, and they are not counted.
    service: IntArray
    kind: IntArray
    names: IntArray
    inside: IntArray


class _Sent(NamedTuple):
    # How many ``spans`` services sent, by service, all 0 between two calls; ``services`` that have any.
    spans: IntArray
    services: IntArray


@njit(cache=True, nogil=True)
def _lay_out(
    first: int, last: int, offsets: IntArray, question: Question, tree: Grown, shapes: Shapes, here: _Columns
) -> None:
    for t in range(first, last):
        begin, end = offsets[t] - offsets[first], offsets[t + 1] - offsets[first]
        kept, low, high = begin + tree.kept[t - first], question.low[t], question.high[t]
        for i in range(begin, kept):
            shape = tree.kind[i]
            here.service[i], here.kind[i] = shapes.service[shape], shapes.kind[shape]
            here.names[i] = shapes.names[shape]
            here.inside[i] = low <= tree.start[i] < high
        for i in range(kept, end):
            tree.parent[i], tree.origin[i], here.kind[i], here.inside[i] = -1, -1, -1, 0


@njit(cache=True, nogil=True)
def _sent(count: int, width: int, tree: Grown, here: _Columns, sent: _Sent, events: IntArray, n: int) -> int:
    # Spans by service, an event for many: they mostly are of one period. How many events there are then.
    some, begin = 0, np.int64(0)
    for i in range(count):
        if not here.inside[i]:
            continue
        start, service = tree.start[i], here.service[i]
        if width and not begin <= start < begin + width:
            n, some = _flush(begin, some, width, sent, events, n), 0
            begin = start // width * width
        if sent.spans[service] == 0:
            sent.services[some] = service
            some += 1
        sent.spans[service] += 1
    return int(_flush(begin, some, width, sent, events, n))


@njit(cache=True, nogil=True)
def _flush(at: Any, some: int, width: int, sent: _Sent, events: IntArray, n: int) -> int:
    first = _first(SPANS, 0, at, width)
    for k in range(some):
        service = sent.services[k]
        n = _put(events, n, first, (service, 0), PLAIN, (0, sent.spans[service]), 0, 0, 0)
        sent.spans[service] = 0
    return n


@njit(cache=True, nogil=True)
def _visits(
    count: int, width: int, tree: Grown, shapes: Shapes, here: _Columns, events: IntArray, n: int
) -> int:
    # What each span is itself, and whether it served a request. How many events there are then.
    for i in range(count):
        if not here.inside[i]:
            continue
        start, shape, service, kind = tree.start[i], tree.kind[i], here.service[i], here.kind[i]
        p = tree.parent[i]
        if tree.origin[i] == ORPHAN:
            n = _put(events, n, _first(TOTAL, 0, start, width), (0, 0), PLAIN, (ORPHANS, 1), 0, 0, 0)
        topmost = p < 0 or here.service[p] != service
        entry = kind in (SERVER, CONSUMER) or (kind == UNSET and topmost)
        if entry or topmost:
            ends = service, shapes.operation[shape]
            first = _first(ENTRY if entry else TOPMOST, 0, start, width)
            failed, taken = shapes.failed[shape], tree.end[i] - start
            what = VISIT | shapes.extra[shape] << 2
            n = _put(events, n, first, ends, what, (-1, taken), failed, tree.rows[i], 0)
    return n


@njit(cache=True, nogil=True)
def _answered(
    count: int,
    question: Question,
    tree: Grown,
    shapes: Shapes,
    here: _Columns,
    found: Matching,
    events: IntArray,
    n: int,
) -> int:
    # Calls from a span to a span that answers it, and those from outside. How many events there are then.
    for i in range(count):
        relation, shape = found.relation[i], tree.kind[i]
        if relation in (PAIRED, CROSSED):
            c = found.caller[i]
            if not here.inside[c]:
                continue
            above, asks = tree.kind[c], here.kind[c]
            # A span without kind whose only child is the remote one did nothing but wait: it is the client.
            waits = asks == UNSET and tree.size[c] == tree.size[i] + 1
            client: Any
            client, connection, failed = np.int64(-1), question.unseen, shapes.failed[shape]
            if asks in (CLIENT, PRODUCER) or waits:
                client, connection = tree.end[c] - tree.start[c], shapes.connection[above]
                failed |= shapes.failed[above]
            if connection == question.unseen:
                connection = shapes.connection[shape]
            first = _first(EDGE, connection, tree.start[c], question.width)
            ends, times = (here.service[c], here.service[i]), (client, tree.end[i] - tree.start[i])
            what = CALL | max(shapes.extra[above], shapes.extra[shape]) << 2
            n = _put(events, n, first, ends, what, times, failed, tree.rows[c], 0)
        elif tree.origin[i] == ROOT and here.inside[i] and (here.kind[i] == SERVER or here.kind[i] == UNSET):
            first = _first(EDGE, shapes.connection[shape], tree.start[i], question.width)
            ends, times = (question.entry, here.service[i]), (np.int64(-1), tree.end[i] - tree.start[i])
            what = CALL | shapes.extra[shape] << 2
            n = _put(events, n, first, ends, what, times, shapes.failed[shape], tree.rows[i], 0)
    return n


@njit(cache=True, nogil=True)
def _outgoing(
    count: int,
    question: Question,
    tree: Grown,
    shapes: Shapes,
    here: _Columns,
    found: Matching,
    events: IntArray,
    n: int,
) -> int:
    # Calls to what sends no spans itself. How many events there are then.
    width = question.width
    for i in range(count):
        if not here.inside[i]:
            continue
        shape, start = tree.kind[i], tree.start[i]
        target, connection = np.int64(-1), question.messaging
        if found.unanswered[i]:
            n = _put(events, n, _first(TOTAL, 0, start, width), (0, 0), PLAIN, (UNANSWERED, 1), 0, 0, 0)
            target, connection = shapes.far_end[shape], shapes.connection[shape]
        elif here.kind[i] == PRODUCER:
            target = shapes.queue[shape]
        elif here.kind[i] == INTERNAL:
            target, connection = shapes.far_end[shape], shapes.connection[shape]
        if target >= 0:
            first, ends = _first(EDGE, connection, start, width), (here.service[i], target)
            times, what = (tree.end[i] - start, np.int64(-1)), CALL | shapes.extra[shape] << 2
            n = _put(events, n, first, ends, what, times, shapes.failed[shape], tree.rows[i], 0)
    return n


@njit(cache=True, nogil=True)
def _same_span(spans: SpanArrays, ids: ByteArray, row: int, other: Any) -> bool:
    if spans.span_id[row] != spans.span_id[other]:
        return False
    same = True
    for k in range(ids.shape[1]):
        same &= ids[row, k] == ids[other, k]
    return bool(same)


@njit(cache=True, nogil=True)
def _delivered(
    i: int,
    sender: Any,
    by_parent: Any,
    question: Question,
    tree: Grown,
    spans: SpanArrays,
    shapes: Shapes,
    here: _Columns,
    events: IntArray,
    n: int,
) -> int:
    # One message from row `sender` (-1: from nobody known) to the CONSUMER at i; `by_parent` is the position
    # of the sender, -1 where only a link tells of it.
    width, shape, start, row = question.width, tree.kind[i], tree.start[i], tree.rows[i]
    service, failed, taken = here.service[i], shapes.failed[shape], tree.end[i] - start
    sent_to, delay, what, extra = np.int64(-1), np.int64(0), CALL, shapes.extra[shape]
    if sender >= 0:
        sent_to, delay, what = shapes.queue[spans.kind[sender]], start - spans.end[sender], MESSAGE
        extra = max(extra, shapes.extra[spans.kind[sender]])
    queue = sent_to if sent_to >= 0 else shapes.queue[shape]
    if queue >= 0:
        if here.inside[i]:
            first = _first(EDGE, question.messaging, start, width)
            n = _put(events, n, first, (queue, service), what | extra << 2, (-1, taken), failed, row, delay)
            if sent_to < 0:
                first = _first(UNSENT, 0, start, width)
                n = _put(events, n, first, (queue, 0), VISIT | extra << 2, (-1, taken), failed, row, 0)
        return n
    # Where nobody names a queue, the call is the producer's; one that only a link tells is the consumer's.
    owner = by_parent if by_parent >= 0 else i
    if sender >= 0 and here.inside[owner]:
        first = _first(EDGE, question.messaging, tree.start[owner], width)
        ends = shapes.service[spans.kind[sender]], service
        times = max(spans.end[sender] - spans.start[sender], 0), taken
        failed |= shapes.failed[spans.kind[sender]]
        n = _put(events, n, first, ends, MESSAGE | extra << 2, times, failed, row, delay)
    return n


@njit(cache=True, nogil=True)
def _received(
    count: int,
    question: Question,
    tree: Grown,
    spans: SpanArrays,
    shapes: Shapes,
    here: _Columns,
    found: Matching,
    events: IntArray,
    n: int,
) -> int:
    # What CONSUMER spans received: from their parents, from the spans that they link to, or from a queue
    # that they name. How many events there are then.
    links, ids = question.link_consumer, question.ids
    for i in range(count):
        if here.kind[i] != CONSUMER:
            continue
        above = found.caller[i] if found.relation[i] == DELIVERED else np.int64(-1)
        parent = tree.rows[above] if above >= 0 else np.int64(-1)
        senders = 0
        if parent >= 0:
            n = _delivered(i, parent, above, question, tree, spans, shapes, here, events, n)
            senders = 1
        row = tree.rows[i]
        k = np.searchsorted(links, row)
        while k < len(links) and links[k] == row:
            sender = question.link_producer[k]
            if parent < 0 or not _same_span(spans, ids, sender, parent):
                n = _delivered(i, sender, _NOBODY, question, tree, spans, shapes, here, events, n)
                senders += 1
            k += 1
        if not senders and found.relation[i] == NONE:
            n = _delivered(i, _NOBODY, _NOBODY, question, tree, spans, shapes, here, events, n)
    return n


class Work(NamedTuple):
    """Memory for the trees of a few traces, what is found about them, and the events that come of it."""

    tree: Grown
    here: _Columns
    found: Matching
    sent: _Sent
    events: IntArray


def work_for(size: int, services: int, links: int) -> Work:
    """Memory for up to ``size`` spans of so many services, with up to so many links."""
    return Work(
        Grown(*np.empty((12, size), np.int64), *np.empty((2, size), np.int64)),
        _Columns(*np.empty((4, size), np.int64)),
        matching_for(size),
        _Sent(*np.zeros((2, services), np.int64)),
        np.empty((_MOST * size + 2 * links, WORDS), np.int64),
    )


@njit(cache=True, nogil=True)
def events_of(
    first: int,
    last: int,
    offsets: IntArray,
    spans: SpanArrays,
    shapes: Shapes,
    question: Question,
    work: Work,
) -> int:
    """Write the events of traces in [first, last), whose trees are in ``work``, into it; how many."""
    tree, here, found, events = work.tree, work.here, work.found, work.events
    count = offsets[last] - offsets[first]
    _lay_out(first, last, offsets, question, tree, shapes, here)
    match(tree.parent, here.service, here.kind, here.names, _ZERO, count, found)
    n = 0
    for t in range(last - first):
        root = tree.main_root[t]
        if here.inside[root]:
            word = _first(TOTAL, 0, tree.start[root], question.width)
            n = _put(events, n, word, (0, 0), PLAIN, (TRACES, 1), 0, 0, 0)
    n = _sent(count, question.width, tree, here, work.sent, events, n)
    n = _visits(count, question.width, tree, shapes, here, events, n)
    n = _answered(count, question, tree, shapes, here, found, events, n)
    n = _outgoing(count, question, tree, shapes, here, found, events, n)
    return int(_received(count, question, tree, spans, shapes, here, found, events, n))
