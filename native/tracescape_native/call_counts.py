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
from tracescape_native.call_events import MESSAGE, PLAIN, VISIT, Question, Shapes, Work, events_of, work_for
from tracescape_native.call_keys import (
    ALONE_TIME,
    CLIENT_TIME,
    CONNECTION_BITS,
    DELAY,
    END_BITS,
    ERRORS,
    EXTRA,
    GROUP_SHIFT,
    MEASURE_SHIFT,
    NETWORK_TIME,
    NUMBER,
    OFFSET,
    ROLE_BITS,
    SERVER_TIME,
)
from tracescape_native.grouping import HASH_SEED, rows_by_code
from tracescape_native.growing import Scratch, SpanArrays, grow, scratch_for
from tracescape_native.memory import ByteArray, NumberArray, pointer, wrapping
from tracescape_native.parallel import run_all, workers_for
from tracescape_native.sorting import IntArray
from tracescape_native.tally import Groups, Tally, add, counted, groups_for, number_of, room, tally_for

_CHUNK: Final = 2_048  # spans whose trees, and all that is found about them, fit into a core's cache
_PIECE: Final = 16_384  # spans that a thread takes at a time
_GROUPS: Final = 1_024  # groups and cells that there is room for at first
_CELLS: Final = 8_192
_KEYS: Final = 16  # groups or keys of one event at most


class Counts(NamedTuple):
    """Counts by group; see `call_keys`. Groups stand in no order and may repeat.

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
        measure = SERVER_TIME if client >= 0 or what == VISIT else ALONE_TIME
        fresh += add(slots, last, base + (measure << MEASURE_SHIFT) + bucket_code(server), count, seed)
    if what == MESSAGE:
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
        if what == PLAIN:
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
    work: Work
    at: IntArray


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
    at, events = memory.at, memory.work.events
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
        some, tree = rows[begin : offsets[last]], memory.work.tree
        # No constant 0: for one the kernel would be compiled apart from `build_forest`'s.
        grow(spans, some, bounds, np.int64(0), last - first, seed, memory.scratch, tree)
        count = events_of(first, last, offsets, spans, shapes, question, memory.work)
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
    work = work_for(max(longest, _CHUNK), int(shapes.service.max()) + 1, len(question.link_consumer))
    memory = _Memory(scratch_for(longest), work, np.zeros(3, np.int64))
    groups, tally = groups_for(_GROUPS), tally_for(_CELLS)
    for first, last in pieces:
        memory.at[0] = first
        columns = rows, offsets, spans, shapes, question, memory
        while not _count_some(last, *columns, groups, tally, HASH_SEED):
            groups, tally = room(groups, tally, max(int(groups.used[0]), _KEYS), int(tally.used[0]))
    return groups, tally


def count_calls(
    spans: SpanArrays, traces: int, shapes: Shapes, question: Question, *, threads: int | None = None
) -> Counts:
    """Count the calls, visits and spans of many traces.

    ``spans.kind``, ``resource`` and ``content`` all are numbers of shapes. Trees are those of
    ``build_forest``, calls those of ``find_calls``. A call counts when its calling side started, a visit when
    its span did, a trace when its main root did. See `call_keys` for what is counted, and `Question` for
    when. Of ``threads`` (None: of all cores) each counts for itself: where much is counted apart, more of
    them take less time, but more work. O(n log n).
    """
    offsets, rows = rows_by_code(spans.trace, traces)
    pieces = iter(_pieces(offsets))
    parts: list[tuple[Groups, Tally]] = []

    def count(begin: int, end: int) -> None:
        parts.append(_count(spans, rows, offsets, shapes, question, pieces))

    if traces:
        run_all(count, workers_for(len(rows))[:threads])
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
        role=first & (2**ROLE_BITS - 1),
        connection=(first >> ROLE_BITS) & (2**CONNECTION_BITS - 1),
        period=first >> (ROLE_BITS + CONNECTION_BITS),
        source=second >> END_BITS,
        target=second & (2**END_BITS - 1),
        slowest=columns["slowest"],
        slowest_row=columns["slowest_row"],
        failed=columns["failed"],
        failed_row=columns["failed_row"],
        group=keys >> GROUP_SHIFT,
        measure=(keys >> MEASURE_SHIFT) & (2 ** (GROUP_SHIFT - MEASURE_SHIFT) - 1),
        code=(keys & (2**MEASURE_SHIFT - 1)) - OFFSET,
        counted=np.concatenate([np.empty(0, np.int64), *(counts for _, counts in cells)]),
    )
