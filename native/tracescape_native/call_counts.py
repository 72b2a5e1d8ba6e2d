"""From unordered spans to counts of calls and visits in one pass, a few traces at a time, each in cache.

The trees of a few traces are grown, their calls are matched, everything is counted, and the memory is used
again. Nothing is written per span, so ten million spans take little more room than their columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.buckets import bucket_code
from tracescape_native.edges import CROSSED, DELIVERED, NONE, PAIRED, Matching, match, matching_for
from tracescape_native.forest import CLIENT, CONSUMER, INTERNAL, ORPHAN, PRODUCER, ROOT, SERVER, UNSET
from tracescape_native.grouping import HASH_SEED, rows_by_code
from tracescape_native.growing import Grown, Scratch, SpanArrays, grow, scratch_for
from tracescape_native.memory import ByteArray, NumberArray, pointer, wrapping
from tracescape_native.parallel import run_all, workers_for
from tracescape_native.sorting import IntArray
from tracescape_native.tally import Groups, Tally, add, counted, groups_for, number_of, room, tally_for

#: What a group counts (the lowest bits of its first word).
TOTAL: Final = 0  # of everything; the words are 0
SPANS: Final = 1  # of a service
ENTRY: Final = 2  # visits of (service, operation) by SERVER, CONSUMER and kindless topmost spans
TOPMOST: Final = 3  # visits of (service, operation) by other topmost spans
EDGE: Final = 4  # calls from a node to a node
UNSENT: Final = 5  # messages from (queue, 0) that no producer is known to have sent there
#: Added to a role: how many more the same calls stand for, where spans were sampled. Such a group has no
#: exemplars.
EXTRA: Final = 8

#: What is counted of a group: durations by `buckets.bucket_code`, or plain numbers under code 0.
CLIENT_TIME: Final = 0  # of calls whose calling side sent a span
SERVER_TIME: Final = 1  # of visits, and of calls of which both sides sent spans
ALONE_TIME: Final = 2  # the serving side's, of calls whose calling side sent no span
NETWORK_TIME: Final = 3  # client minus server
DELAY: Final = 4  # consumer start minus producer end
ERRORS: Final = 5
NUMBER: Final = 6  # of TOTAL: traces; of SPANS: spans
#: Of TOTAL, as codes of measure NUMBER.
TRACES: Final = 0
ORPHANS: Final = 1
UNANSWERED: Final = 2

#: A key: ``group << GROUP_SHIFT | measure << MEASURE_SHIFT | code + OFFSET``.
GROUP_SHIFT: Final = 17
MEASURE_SHIFT: Final = 14
OFFSET: Final = 8192

_ROLE_BITS: Final = 4
_CONNECTION_BITS: Final = 4
_CHUNK: Final = 2_048  # spans whose trees, and all that is found about them, fit into a core's cache
_PIECE: Final = 16_384  # spans that a thread takes at a time
_GROUPS: Final = 1_024  # groups and cells that there is room for at first
_CELLS: Final = 8_192
_MOST: Final = 8  # events of one span at most, beyond those of its links
_KEYS: Final = 16  # groups or keys of one event at most


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


class Counts(NamedTuple):
    """Counts by group; see the constants. Groups stand in no order and may repeat.

    int64, shape (groups,): ``role``, ``connection`` (of edges), ``period`` (start // width), ``source`` and
    ``target`` (for visits: service and operation), ``slowest`` and ``failed`` (ns, -1 for none) with the rows
    they are of. int64, shape (cells,): ``group``, ``measure``, ``code``, ``counted``.
    """

    role: IntArray
    connection: IntArray
    period: IntArray
    source: IntArray
    target: IntArray
    slowest: IntArray
    slowest_row: IntArray
    failed: IntArray
    failed_row: IntArray
    group: IntArray
    measure: IntArray
    code: IntArray
    counted: IntArray


#: An event is a row of eight words: the two words of its group, what it is (the lowest two bits) and how many
#: more it stands for, two numbers (of what is counted:
#: a code and how often; the client's and the server's time, -1 for none), whether it failed, a row, and the
#: delay.
_WORDS: Final = 8
_PLAIN: Final = 0
_VISIT: Final = 1
_CALL: Final = 2
_MESSAGE: Final = 3  # a call with a delay


@njit(cache=True, nogil=True, forceinline=True)
def _first(role: int, connection: Any, at: int, width: int) -> Any:
    period = at // width if width else 0
    return (period << (_ROLE_BITS + _CONNECTION_BITS)) | connection << _ROLE_BITS | role


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
    events[n, 0], events[n, 1], events[n, 2] = first, ends[0] << 31 | ends[1], what
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
        n = _put(events, n, first, (service, 0), _PLAIN, (0, sent.spans[service]), 0, 0, 0)
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
            n = _put(events, n, _first(TOTAL, 0, start, width), (0, 0), _PLAIN, (ORPHANS, 1), 0, 0, 0)
        topmost = p < 0 or here.service[p] != service
        entry = kind in (SERVER, CONSUMER) or (kind == UNSET and topmost)
        if entry or topmost:
            ends = service, shapes.operation[shape]
            first = _first(ENTRY if entry else TOPMOST, 0, start, width)
            failed, taken = shapes.failed[shape], tree.end[i] - start
            what = _VISIT | shapes.extra[shape] << 2
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
            what = _CALL | max(shapes.extra[above], shapes.extra[shape]) << 2
            n = _put(events, n, first, ends, what, times, failed, tree.rows[c], 0)
        elif tree.origin[i] == ROOT and here.inside[i] and (here.kind[i] == SERVER or here.kind[i] == UNSET):
            first = _first(EDGE, shapes.connection[shape], tree.start[i], question.width)
            ends, times = (question.entry, here.service[i]), (np.int64(-1), tree.end[i] - tree.start[i])
            what = _CALL | shapes.extra[shape] << 2
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
            n = _put(events, n, _first(TOTAL, 0, start, width), (0, 0), _PLAIN, (UNANSWERED, 1), 0, 0, 0)
            target, connection = shapes.far_end[shape], shapes.connection[shape]
        elif here.kind[i] == PRODUCER:
            target = shapes.queue[shape]
        elif here.kind[i] == INTERNAL:
            target, connection = shapes.far_end[shape], shapes.connection[shape]
        if target >= 0:
            first, ends = _first(EDGE, connection, start, width), (here.service[i], target)
            times, what = (tree.end[i] - start, np.int64(-1)), _CALL | shapes.extra[shape] << 2
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
    sent_to, delay, what, extra = np.int64(-1), np.int64(0), _CALL, shapes.extra[shape]
    if sender >= 0:
        sent_to, delay, what = shapes.queue[spans.kind[sender]], start - spans.end[sender], _MESSAGE
        extra = max(extra, shapes.extra[spans.kind[sender]])
    queue = sent_to if sent_to >= 0 else shapes.queue[shape]
    if queue >= 0:
        if here.inside[i]:
            first = _first(EDGE, question.messaging, start, width)
            n = _put(events, n, first, (queue, service), what | extra << 2, (-1, taken), failed, row, delay)
            if sent_to < 0:
                first = _first(UNSENT, 0, start, width)
                n = _put(events, n, first, (queue, 0), _VISIT | extra << 2, (-1, taken), failed, row, 0)
        return n
    # Where nobody names a queue, the call is the producer's; one that only a link tells is the consumer's.
    owner = by_parent if by_parent >= 0 else i
    if sender >= 0 and here.inside[owner]:
        first = _first(EDGE, question.messaging, tree.start[owner], width)
        ends = shapes.service[spans.kind[sender]], service
        times = max(spans.end[sender] - spans.start[sender], 0), taken
        failed |= shapes.failed[spans.kind[sender]]
        n = _put(events, n, first, ends, _MESSAGE | extra << 2, times, failed, row, delay)
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
                n = _delivered(i, sender, -1, question, tree, spans, shapes, here, events, n)
                senders += 1
            k += 1
        if not senders and found.relation[i] == NONE:
            n = _delivered(i, -1, -1, question, tree, spans, shapes, here, events, n)
    return n


@wrapping
@njit(cache=True, nogil=True, forceinline=True)
def _add_call(
    slots: Any, last: int, group: Any, what: int, events: IntArray, n: int, count: int, seed: int
) -> int:
    # Add a call or a visit to what is counted of its group; returns how many keys that added.
    base, client, server, fresh = group << GROUP_SHIFT | OFFSET, events[n, 3], events[n, 4], 0
    if client >= 0:
        fresh += add(slots, last, base + (CLIENT_TIME << MEASURE_SHIFT) + bucket_code(client), count, seed)
        if server >= 0:
            code = bucket_code(client - server)
            fresh += add(slots, last, base + (NETWORK_TIME << MEASURE_SHIFT) + code, count, seed)
    if server >= 0:
        measure = SERVER_TIME if client >= 0 or what == _VISIT else ALONE_TIME
        fresh += add(slots, last, base + (measure << MEASURE_SHIFT) + bucket_code(server), count, seed)
    if what == _MESSAGE:
        fresh += add(slots, last, base + (DELAY << MEASURE_SHIFT) + bucket_code(events[n, 7]), count, seed)
    if events[n, 5]:
        fresh += add(slots, last, base + (ERRORS << MEASURE_SHIFT), count, seed)
    return fresh


@wrapping
@njit(cache=True, nogil=True)
def _absorb(
    events: IntArray, begin: int, end: int, ids: ByteArray, groups: Groups, tally: Tally, seed: int
) -> int:
    # Count events until a table is full; returns how far that was.
    slots, last = pointer(tally.slots), len(tally.slots) - 1
    fresh, most, capacity = tally.used[0], len(tally.slots) // 2 - _KEYS, len(groups.first) - _KEYS
    firsts, seconds, used = pointer(groups.first), pointer(groups.second), pointer(groups.used)
    heads, last_head = pointer(groups.slots), len(groups.slots) - 1
    slowest, slowest_row = pointer(groups.slowest), pointer(groups.slowest_row)
    worst, worst_row = pointer(groups.failed), pointer(groups.failed_row)
    for n in range(begin, end):
        if fresh > most or used[0] > capacity:
            tally.used[0] = fresh
            return n
        first, second, what, extra = events[n, 0], events[n, 1], events[n, 2] & 3, events[n, 2] >> 2
        group = number_of(firsts, seconds, heads, last_head, used, first, second, seed)
        client, server = events[n, 3], events[n, 4]
        if what == _PLAIN:
            key = (group << GROUP_SHIFT | OFFSET) + (NUMBER << MEASURE_SHIFT) + client
            fresh += add(slots, last, key, server, seed)
            continue
        fresh += _add_call(slots, last, group, what, events, n, 1, seed)
        if extra:
            more = number_of(firsts, seconds, heads, last_head, used, first | EXTRA, second, seed)
            fresh += _add_call(slots, last, more, what, events, n, extra, seed)
        taken, row = client if client >= 0 else server, events[n, 6]
        if taken >= slowest[group]:
            _note(slowest, slowest_row, group, taken, row, ids)
        if events[n, 5] and taken >= worst[group]:
            _note(worst, worst_row, group, taken, row, ids)
    tally.used[0] = fresh
    return end


@njit(cache=True, nogil=True)
def _note(best: Any, best_row: Any, group: Any, taken: Any, row: Any, ids: ByteArray) -> None:
    # Exemplars are the greatest (duration, trace id).
    if taken == best[group]:
        other = best_row[group]
        k = 0
        while k < ids.shape[1] and ids[row, k] == ids[other, k]:
            k += 1
        if k == ids.shape[1] or ids[row, k] < ids[other, k]:
            return
    best[group], best_row[group] = taken, row


class _Memory(NamedTuple):
    # Working memory for a few traces at a time. ``at``: the next trace; of the events of those before it, how
    # many there are and how many of them are counted.
    scratch: Scratch
    tree: Grown
    here: _Columns
    found: Matching
    sent: _Sent
    events: IntArray
    at: IntArray


def _memory_for(longest: int, services: int, links: int) -> _Memory:
    size = max(longest, _CHUNK)
    return _Memory(
        scratch_for(longest),
        Grown(*np.empty((12, size), np.int64), *np.empty((2, size), np.int64)),
        _Columns(*np.empty((4, size), np.int64)),
        matching_for(size),
        _Sent(*np.zeros((2, services), np.int64)),
        np.empty((_MOST * size + 2 * links, _WORDS), np.int64),
        np.zeros(3, np.int64),
    )


@njit(cache=True, nogil=True)
def _events_of(
    first: int,
    last: int,
    offsets: IntArray,
    spans: SpanArrays,
    shapes: Shapes,
    question: Question,
    memory: _Memory,
) -> int:
    # The events of a few traces; how many there are.
    tree, here, found, events = memory.tree, memory.here, memory.found, memory.events
    count = offsets[last] - offsets[first]
    _lay_out(first, last, offsets, question, tree, shapes, here)
    match(tree.parent, here.service, here.kind, here.names, 0, count, found)
    n = 0
    for t in range(last - first):
        root = tree.main_root[t]
        if here.inside[root]:
            word = _first(TOTAL, 0, tree.start[root], question.width)
            n = _put(events, n, word, (0, 0), _PLAIN, (TRACES, 1), 0, 0, 0)
    n = _sent(count, question.width, tree, here, memory.sent, events, n)
    n = _visits(count, question.width, tree, shapes, here, events, n)
    n = _answered(count, question, tree, shapes, here, found, events, n)
    n = _outgoing(count, question, tree, shapes, here, found, events, n)
    return int(_received(count, question, tree, spans, shapes, here, found, events, n))


@njit(cache=True, nogil=True)
def _count_some(
    end: int,
    rows: NumberArray,
    offsets: IntArray,
    spans: SpanArrays,
    shapes: Shapes,
    question: Question,
    memory: _Memory,
    groups: Groups,
    tally: Tally,
    seed: int,
) -> bool:
    # Count from the next trace on, a chunk at a time, up to trace `end`; False where a table is full.
    at, events = memory.at, memory.events
    while True:
        at[2] = _absorb(events, at[2], at[1], question.ids, groups, tally, seed)
        if at[2] < at[1]:
            return False
        first = at[0]
        if first == end:
            return True
        begin, last = offsets[first], first + 1
        while last < end and offsets[last + 1] - begin <= _CHUNK:
            last += 1
        bounds = offsets[first : last + 1] - begin
        grow(spans, rows[begin : offsets[last]], bounds, 0, last - first, seed, memory.scratch, memory.tree)
        count = _events_of(first, last, offsets, spans, shapes, question, memory)
        at[0], at[1], at[2] = last, count, 0


def _pieces(offsets: IntArray) -> list[tuple[int, int]]:
    # Traces in pieces of about _PIECE spans, or one longer trace.
    pieces, first, last = [], 0, len(offsets) - 1
    while first < last:
        end = int(np.searchsorted(offsets, offsets[first] + _PIECE, "right")) - 1
        end = max(end, first + 1)
        pieces.append((first, end))
        first = end
    return pieces


def _count(
    spans: SpanArrays,
    rows: NumberArray,
    offsets: IntArray,
    shapes: Shapes,
    question: Question,
    pieces: Iterator[tuple[int, int]],
) -> tuple[Groups, Tally]:
    # Whoever else takes of the pieces counts those.
    longest = int(np.diff(offsets).max(initial=0))
    memory = _memory_for(longest, int(shapes.service.max()) + 1, len(question.link_consumer))
    groups, tally = groups_for(_GROUPS), tally_for(_CELLS)
    for first, last in pieces:
        memory.at[0] = first
        columns = rows, offsets, spans, shapes, question, memory
        while not _count_some(last, *columns, groups, tally, HASH_SEED):
            groups, tally = room(groups, tally, int(groups.used[0]) + int(tally.used[0]))
    return groups, tally


def count_calls(spans: SpanArrays, traces: int, shapes: Shapes, question: Question) -> Counts:
    """Count the calls, visits and spans of many traces.

    ``spans.kind``, ``resource`` and ``content`` all are numbers of shapes. Trees are those of
    ``build_forest``, calls those of ``find_calls``. A call counts when its calling side started, a visit when
    its span did, a trace when its main root did. See the constants for what is counted, and `Question` for
    when. O(n log n).
    """
    offsets, rows = rows_by_code(spans.trace, traces)
    pieces = iter(_pieces(offsets))
    parts: list[tuple[Groups, Tally]] = []

    def count(begin: int, end: int) -> None:
        parts.append(_count(spans, rows, offsets, shapes, question, pieces))

    if traces:
        run_all(count, workers_for(len(rows)))
    return _unpacked(parts)


def _unpacked(parts: list[tuple[Groups, Tally]]) -> Counts:
    names = ("first", "second", "slowest", "slowest_row", "failed", "failed_row")
    used = [int(groups.used[0]) for groups, _ in parts]
    columns = {
        name: np.concatenate(
            [
                np.empty(0, np.int64),
                *(getattr(groups, name)[:n] for (groups, _), n in zip(parts, used, strict=True)),
            ]
        )
        for name in names
    }
    base = np.cumsum([0, *used])
    cells = [counted(tally) for _, tally in parts]
    keys = np.concatenate(
        [np.empty(0, np.int64), *(keys + (base[i] << GROUP_SHIFT) for i, (keys, _) in enumerate(cells))]
    )
    first, second = columns["first"], columns["second"]
    return Counts(
        role=first & (2**_ROLE_BITS - 1),
        connection=(first >> _ROLE_BITS) & (2**_CONNECTION_BITS - 1),
        period=first >> (_ROLE_BITS + _CONNECTION_BITS),
        source=second >> 31,
        target=second & (2**31 - 1),
        slowest=columns["slowest"],
        slowest_row=columns["slowest_row"],
        failed=columns["failed"],
        failed_row=columns["failed_row"],
        group=keys >> GROUP_SHIFT,
        measure=(keys >> MEASURE_SHIFT) & (2 ** (GROUP_SHIFT - MEASURE_SHIFT) - 1),
        code=(keys & (2**MEASURE_SHIFT - 1)) - OFFSET,
        counted=np.concatenate([np.empty(0, np.int64), *(counts for _, counts in cells)]),
    )
