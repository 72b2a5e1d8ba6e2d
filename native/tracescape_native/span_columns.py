"""Scanned requests into the buffers of columns: one pass over the rows, text interned on the way.

Text columns become codes into a dictionary each; all their dictionaries live in one hash table. Attributes
are laid end to end, with offsets, as Arrow wants them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit

from tracescape_native import otlp_traces as scan
from tracescape_native.memory import ByteArray, Word, WordArray, borrowed, copy_bytes, load8, load64, store64
from tracescape_native.xxh64 import xxh64

#: Columns of `SpanColumns.words`, int64.
WORDS: Final = (scan.SPAN_ID, scan.PARENT_ID, scan.START, scan.DURATION)
#: Columns of `SpanColumns.numbers`, uint32.
NUMBERS: Final = (
    scan.KIND,
    scan.STATUS,
    scan.FLAGS,
    scan.DROPPED_ATTRIBUTES,
    scan.DROPPED_EVENTS,
    scan.DROPPED_LINKS,
)
#: Text columns that every span has; the promoted ones follow.
TEXTS: Final = (scan.OPERATION, scan.STATUS_MESSAGE, scan.TRACE_STATE)

Array: TypeAlias = np.ndarray[Any, Any]

_COLUMN, _CODE, _AT, _LENGTH, _HASH = range(5)
_WORDS: Final = np.array(WORDS, np.int64)
_NUMBERS: Final = np.array(NUMBERS, np.int64)


class Interned(NamedTuple):
    """Dictionaries of text columns while they grow.

    ``slots`` (int64) maps hashes to entries, -1 for none; ``entries`` (int64, shape (room, 5)) are column,
    code, where the text is in ``texts`` (uint8), its length and hash; ``counts`` (int64, shape
    (columns + 2,)) counts each column's codes, then all entries, then the bytes of ``texts``.
    """

    slots: WordArray
    entries: WordArray
    texts: ByteArray
    counts: WordArray


def new_interned(columns: int, *, room: int = 1024, text_bytes: int = 1 << 16) -> Interned:
    """No text yet."""
    return Interned(
        np.full(4 * room, -1, np.int64),
        np.empty((room, 5), np.int64),
        np.empty(text_bytes, np.uint8),
        np.zeros(columns + 2, np.int64),
    )


@njit(cache=True, nogil=True)
def _resettle(slots: WordArray, entries: WordArray, count: int) -> None:
    last = len(slots) - 1
    for entry in range(count):
        slot = entries[entry, _HASH] & last
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = entry


def grown(interned: Interned, text_bytes: int) -> Interned:
    """The same with at least twice the room for entries and ``text_bytes`` more for text."""
    columns = len(interned.counts) - 2
    entries, used = int(interned.counts[columns]), int(interned.counts[columns + 1])
    larger = new_interned(
        columns, room=2 * len(interned.entries), text_bytes=max(2 * len(interned.texts), used + text_bytes)
    )
    larger.entries[:entries] = interned.entries[:entries]
    larger.texts[:used] = interned.texts[:used]
    larger.counts[:] = interned.counts
    _resettle(larger.slots, larger.entries, entries)
    return larger


@njit(cache=True, nogil=True)
def _equal(one: ByteArray, at: int, other: ByteArray, there: int, length: int) -> bool:
    place = 0
    while place + 8 <= length:
        if load64(one, at + place) != load64(other, there + place):
            return False
        place += 8
    while place < length:
        if load8(one, at + place) != load8(other, there + place):
            return False
        place += 1
    return True


@njit(cache=True, nogil=True)
def _code(
    heap: ByteArray,
    at: int,
    length: int,
    column: int,
    slots: WordArray,
    entries: WordArray,
    texts: ByteArray,
    counts: WordArray,
) -> Word:
    # The code of heap[at:at + length] in its column; -2 when there is no room for a new one.
    columns = len(counts) - 2
    hashed = np.int64(xxh64(heap, at, at + length, np.uint64(column)) >> np.uint64(1))
    last = len(slots) - 1
    slot = hashed & last
    while slots[slot] >= 0:
        entry = slots[slot]
        if (
            entries[entry, _HASH] == hashed
            and entries[entry, _COLUMN] == column
            and entries[entry, _LENGTH] == length
            and _equal(heap, at, texts, entries[entry, _AT], length)
        ):
            return entries[entry, _CODE]
        slot = (slot + 1) & last
    entry, used = counts[columns], counts[columns + 1]
    if entry == len(entries) or used + length > len(texts):
        return np.int64(-2)
    copy_bytes(texts, used, heap, at, length)
    code = counts[column]
    entries[entry, _COLUMN], entries[entry, _CODE] = column, code
    entries[entry, _AT], entries[entry, _LENGTH], entries[entry, _HASH] = used, length, hashed
    slots[slot] = entry
    counts[column] += 1
    counts[columns] += 1
    counts[columns + 1] += length
    return code


@njit(cache=True, nogil=True)
def _fill(
    rows: WordArray,
    heap: ByteArray,
    resources: WordArray,
    scopes: WordArray,
    text_places: WordArray,
    integer_places: WordArray,
    slots: WordArray,
    entries: WordArray,
    texts: ByteArray,
    counts: WordArray,
    at: int,
    begin: int,
    trace_ids: ByteArray,
    words: WordArray,
    numbers: Array,
    groups: Array,
    codes: Array,
    integers: Array,
    offsets: Array,
    attributes: ByteArray,
) -> int:
    # Rows from begin on into the columns from at + begin on. Where it stopped: the end, or for want of room.
    rows, heap, resources, scopes = borrowed(rows), borrowed(heap), borrowed(resources), borrowed(scopes)
    slots, entries, texts, counts = borrowed(slots), borrowed(entries), borrowed(texts), borrowed(counts)
    for row in range(begin, len(rows)):
        to = at + row
        for column in range(len(text_places)):
            place = text_places[column]
            length = rows[row, place + 1]
            code: Word = np.int64(-1)
            if length >= 0:
                code = _code(heap, rows[row, place], length, column, slots, entries, texts, counts)
                if code == -2:
                    return row
            codes[column, to] = code
        store64(trace_ids, 16 * to, np.uint64(rows[row, scan.TRACE_WORD_0]))
        store64(trace_ids, 16 * to + 8, np.uint64(rows[row, scan.TRACE_WORD_1]))
        for column in range(len(_WORDS)):
            words[column, to] = rows[row, _WORDS[column]]
        for column in range(len(_NUMBERS)):
            numbers[column, to] = rows[row, _NUMBERS[column]]
        for column in range(len(integer_places)):
            place = integer_places[column]
            integers[column, to] = rows[row, place]
            integers[column + len(integer_places), to] = rows[row, place + 1]
        groups[0, to] = resources[rows[row, scan.RESOURCE]]
        groups[1, to] = scopes[rows[row, scan.SCOPE]]
        length = rows[row, scan.ATTRIBUTES + 1]
        copy_bytes(attributes, np.int64(offsets[to]), heap, rows[row, scan.ATTRIBUTES], length)
        offsets[to + 1] = offsets[to] + length
    return len(rows)


class SpanColumns:
    """Buffers for ``n`` spans with ``attribute_bytes`` of attribute text, filled request by request.

    Args:
        text_places, integer_places: columns of `Scanned.spans` that hold text, or integers with a mark.

    Attributes:
        trace_ids: uint8, (16 · n,).
        words: int64, (4, n), see `WORDS`. numbers: uint32, (6, n), see `NUMBERS`.
        groups: int32, (2, n): numbers of resources and scopes.
        codes: int32, (texts, n), -1 for none.
        integers: int32, (2 · integers, n): values, then marks (-1: none).
        offsets: int32, (n + 1,). attributes: uint8.
    """

    def __init__(
        self, n: int, attribute_bytes: int, text_places: tuple[int, ...], integer_places: tuple[int, ...]
    ) -> None:
        self.trace_ids = np.empty(16 * n, np.uint8)
        self.words = np.empty((len(WORDS), n), np.int64)
        self.numbers = np.empty((len(NUMBERS), n), np.uint32)
        self.groups = np.empty((2, n), np.int32)
        self.codes = np.empty((len(text_places), n), np.int32)
        self.integers = np.empty((2 * len(integer_places), n), np.int32)
        self.offsets = np.zeros(n + 1, np.int32)
        self.attributes = np.empty(attribute_bytes, np.uint8)
        self._text_places = np.array(text_places, np.int64)
        self._integer_places = np.array(integer_places, np.int64)
        self._interned = new_interned(len(text_places))
        self._filled = 0

    def add(self, rows: WordArray, heap: ByteArray, resources: WordArray, scopes: WordArray) -> None:
        """Append ``rows`` of `Scanned.spans`; ``resources`` and ``scopes`` number the request's, int64."""
        done = 0
        while True:
            done = _fill(
                rows,
                heap,
                resources,
                scopes,
                self._text_places,
                self._integer_places,
                *self._interned,
                self._filled,
                done,
                self.trace_ids,
                self.words,
                self.numbers,
                self.groups,
                self.codes,
                self.integers,
                self.offsets,
                self.attributes,
            )
            if done == len(rows):
                break
            self._interned = grown(self._interned, len(heap))
        self._filled += len(rows)

    def dictionary(self, column: int) -> tuple[Array, ByteArray]:
        """The texts behind the codes of a text column: offsets, int32, (count + 1,), and bytes, uint8."""
        _, entries, texts, counts = self._interned
        mine = entries[: counts[-2]]
        mine = mine[mine[:, _COLUMN] == column]  # entries stand in the order of their codes
        offsets = np.zeros(len(mine) + 1, np.int32)
        np.cumsum(mine[:, _LENGTH], out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        gather(texts, mine[:, _AT].copy(), mine[:, _LENGTH].copy(), data)
        return offsets, data


@njit(cache=True, nogil=True)
def gather(source: ByteArray, starts: WordArray, lengths: WordArray, out: ByteArray) -> None:
    """Lay the runs ``source[start:start + length]`` end to end in ``out``; a negative length is none."""
    to = 0
    for index in range(len(starts)):
        if lengths[index] > 0:
            copy_bytes(out, to, source, starts[index], lengths[index])
            to += lengths[index]
