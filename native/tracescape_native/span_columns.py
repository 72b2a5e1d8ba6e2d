"""Scanned requests into the buffers of columns, one dictionary a text column.

A request knows its texts by codes of its own, so each of its different texts is looked up once, and all rows
are translated. Attributes are laid end to end, with offsets, as Arrow wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit

from tracescape_native import otlp_traces as scan
from tracescape_native import request_texts
from tracescape_native.json_text import same_text
from tracescape_native.memory import (
    ByteArray,
    Word,
    WordArray,
    behind,
    copy_bytes,
    pointer,
    store64,
    wrapping,
)
from tracescape_native.xxh64 import xxh64

Array: TypeAlias = np.ndarray[Any, Any]

#: Columns of `SpanColumns.words`: all but the trace id.
WORDS: Final = (scan.SPAN_ID, scan.PARENT_ID, scan.START, scan.DURATION)
#: Columns of `SpanColumns.numbers` are the first of `otlp_traces.Scanned`.
NUMBERS: Final = (
    scan.KIND,
    scan.STATUS,
    scan.FLAGS,
    scan.DROPPED_ATTRIBUTES,
    scan.DROPPED_EVENTS,
    scan.DROPPED_LINKS,
)
#: Text columns that every span has; those of attributes follow.
TEXTS: Final = (scan.OPERATION, scan.STATUS_MESSAGE, scan.TRACE_STATE)

_COLUMN, _CODE, _AT, _LENGTH, _HASH = range(5)
_ENTRY: Final = 5
_FIRST_WORD: Final = scan.SPAN_ID
_BLOCK: Final = 64  # rows of a request that stay in the nearest cache while their columns are written


class Interned(NamedTuple):
    """Dictionaries of text columns while they grow.

    ``slots`` (int64) maps hashes to entries, -1 for none; ``entries`` (int64, shape (room · 5,)) are column,
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
        np.empty(_ENTRY * room, np.int64),
        np.empty(text_bytes, np.uint8),
        np.zeros(columns + 2, np.int64),
    )


@njit(cache=True, nogil=True)
def _resettle(slots: WordArray, entries: WordArray, count: int) -> None:
    last = len(slots) - 1
    for entry in range(count):
        slot = entries[_ENTRY * entry + _HASH] & last
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = entry


def grown(interned: Interned, text_bytes: int) -> Interned:
    """The same with at least twice the room for entries and ``text_bytes`` more for text."""
    columns = len(interned.counts) - 2
    entries, used = int(interned.counts[columns]), int(interned.counts[columns + 1])
    room = 2 * len(interned.entries) // _ENTRY
    larger = new_interned(columns, room=room, text_bytes=max(2 * len(interned.texts), used + text_bytes))
    larger.entries[: _ENTRY * entries] = interned.entries[: _ENTRY * entries]
    larger.texts[:used] = interned.texts[:used]
    larger.counts[:] = interned.counts
    _resettle(larger.slots, larger.entries, entries)
    return larger


@njit(cache=True, nogil=True)
def _code(
    data: ByteArray,
    at: int,
    length: int,
    column: int,
    slots: WordArray,
    last: int,
    entries: WordArray,
    room: int,
    texts: ByteArray,
    text_room: int,
    counts: WordArray,
    columns: int,
    seed: Word,
) -> Word:
    # The code of data[at:at + length] in its column; -2 when there is no room for a new one.
    hashed = np.int64(xxh64(data, at, at + length, seed + np.uint64(column)) >> np.uint64(1))
    slot = hashed & last
    while slots[slot] >= 0:
        entry = _ENTRY * slots[slot]
        if (
            entries[entry + _HASH] == hashed
            and entries[entry + _COLUMN] == column
            and entries[entry + _LENGTH] == length
            and same_text(data, at, texts, entries[entry + _AT], length)
        ):
            return entries[entry + _CODE]
        slot = (slot + 1) & last
    count, used = counts[columns], counts[columns + 1]
    if count == room or used + length > text_room:
        return np.int64(-2)
    copy_bytes(texts, used, data, at, length)
    code, entry = counts[column], _ENTRY * count
    entries[entry + _COLUMN], entries[entry + _CODE] = column, code
    entries[entry + _AT], entries[entry + _LENGTH], entries[entry + _HASH] = used, length, hashed
    slots[slot] = count
    counts[column] += 1
    counts[columns] += 1
    counts[columns + 1] += length
    return code


@wrapping
@njit(cache=True, nogil=True)
def _translate(
    data: ByteArray,
    local: Array,
    columns_of: WordArray,
    slots: WordArray,
    entries: WordArray,
    texts: ByteArray,
    counts: WordArray,
    seed: Word,
    begin: int,
    codes: Array,
) -> int:
    # The codes of a request's texts from begin on, which stand in data. Where it stopped: the end, or for
    # want of room.
    bytes_at, slots_at, entries_at = pointer(data), pointer(slots), pointer(entries)
    texts_at, counts_at = pointer(texts), pointer(counts)
    last, room, columns = len(slots) - 1, len(entries) // _ENTRY, len(counts) - 2
    for number in range(begin, len(local)):
        column = columns_of[local[number, request_texts.COLUMN]]
        start: Word = np.int64(local[number, request_texts.START])
        length: Word = np.int64(local[number, request_texts.LENGTH])
        code = _code(
            bytes_at,
            start,
            length,
            column,
            slots_at,
            last,
            entries_at,
            room,
            texts_at,
            len(texts),
            counts_at,
            columns,
            seed,
        )
        if code < 0:
            return number
        codes[number] = code
    return len(local)


@njit(cache=True, nogil=True, forceinline=True)
def _translated(codes: Array, code: int) -> int:
    return codes[code] if code >= 0 else -1


@njit(cache=True, nogil=True)
def _append_attributes(numbers: Array, heap: ByteArray, at: int, offsets: Array, out: ByteArray) -> None:
    # Attributes and offsets; what lies together in the heap is copied at once.
    to = np.int64(offsets[at])
    begin, end = np.int64(0), np.int64(0)
    for row in range(len(numbers)):
        start = np.int64(numbers[row, scan.ATTRIBUTES])
        length = np.int64(numbers[row, scan.ATTRIBUTES + 1])
        if start != end:
            copy_bytes(out, to - (end - begin), heap, begin, end - begin)
            begin = start
        end = start + length
        to += length
        offsets[at + row + 1] = to
    copy_bytes(out, to - (end - begin), heap, begin, end - begin)


@njit(cache=True, nogil=True)
def _fill(
    words: WordArray,
    numbers: Array,
    used: WordArray,
    text_places: WordArray,
    wide_places: WordArray,
    codes: Array,
    resources: Array,
    scopes: Array,
    heap: ByteArray,
    at: int,
    trace_ids: ByteArray,
    out_words: WordArray,
    out_numbers: Array,
    out_groups: Array,
    out_codes: Array,
    out_wide: WordArray,
    offsets: Array,
    attributes: ByteArray,
) -> None:
    # All rows into the columns from at on, a block of rows after the other, column by column.
    count, width, room = len(words), numbers.shape[1], out_words.shape[1]
    words_at, numbers_at, codes_at = pointer(words), pointer(numbers), pointer(codes)
    resources_at, scopes_at = pointer(resources), pointer(scopes)
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        for row in range(begin, end):
            store64(trace_ids, 16 * (at + row), np.uint64(words_at[scan.WORDS * row]))
            store64(trace_ids, 16 * (at + row) + 8, np.uint64(words_at[scan.WORDS * row + 1]))
        for column in range(scan.WORDS - _FIRST_WORD):
            word_to = behind(pointer(out_words), column * room + at)
            for row in range(begin, end):
                word_to[row] = words_at[scan.WORDS * row + _FIRST_WORD + column]
        for column in range(out_numbers.shape[0]):
            number_to = behind(pointer(out_numbers), column * room + at)
            for row in range(begin, end):
                number_to[row] = numbers_at[width * row + column]
        resource_to, scope_to = behind(pointer(out_groups), at), behind(pointer(out_groups), room + at)
        for row in range(begin, end):
            resource_to[row] = resources_at[numbers_at[width * row + scan.RESOURCE]]
            scope_to[row] = scopes_at[numbers_at[width * row + scan.SCOPE]]
        for column in used:
            code_to, place = behind(pointer(out_codes), column * room + at), text_places[column]
            for row in range(begin, end):
                code = numbers_at[width * row + place] if place < width else -1
                code_to[row] = _translated(codes_at, code)
        for column in range(len(wide_places)):
            wide_to, place = behind(pointer(out_wide), column * room + at), wide_places[column]
            if place >= width:
                for row in range(begin, end):
                    wide_to[row] = scan.MISSING
                continue
            for row in range(begin, end):
                low = np.int64(numbers_at[width * row + place]) & 0xFFFFFFFF
                wide_to[row] = np.int64(numbers_at[width * row + place + 1]) << 32 | low
    _append_attributes(numbers, heap, at, offsets, attributes)


class SpanColumns:
    """Buffers for ``n`` spans with ``attribute_bytes`` of attribute text, filled request by request.

    Args:
        text_places, wide_places: columns of `Scanned.numbers` where codes of text, or 64 bits of something
            else, begin. Requests that were scanned with fewer columns have none of what is in the others.

    Attributes:
        trace_ids: uint8, (16 · n,).
        words: int64, (4, n), see `WORDS`. numbers: int32, (6, n), see `NUMBERS`.
        groups: int32, (2, n): numbers of resources and scopes.
        codes: int32, (texts, n), -1 for none; not filled where a column has no text at all.
        wide: int64, (others, n): integers, the bits of doubles, or 0 and 1; `otlp_traces.MISSING` for none.
        offsets: int32, (n + 1,). attributes: uint8.
    """

    def __init__(
        self, n: int, attribute_bytes: int, text_places: Sequence[int], wide_places: Sequence[int]
    ) -> None:
        if attribute_bytes > np.iinfo(np.int32).max:
            raise OverflowError(f"{attribute_bytes} bytes of attributes are too many for one batch of spans")
        self.trace_ids = np.empty(16 * n, np.uint8)
        self.words = np.empty((len(WORDS), n), np.int64)
        self.numbers = np.empty((len(NUMBERS), n), np.int32)
        self.groups = np.empty((2, n), np.int32)
        self.codes = np.empty((len(text_places), n), np.int32)
        self.wide = np.empty((len(wide_places), n), np.int64)
        self.offsets = np.zeros(n + 1, np.int32)
        self.attributes = np.empty(attribute_bytes, np.uint8)
        self._text_places = np.array(text_places, np.int64)
        self._wide_places = np.array(wide_places, np.int64)
        self._columns_of = np.full(request_texts.MAX_COLUMNS, -1, np.int64)
        self._columns_of[self._text_places] = np.arange(len(text_places))
        self._interned = new_interned(len(text_places))
        self._seed = np.uint64(int.from_bytes(np.random.default_rng().bytes(8), "little"))
        self._used: Array | None = None  # text columns that have any text
        self._filled = 0

    def codes_of(self, data: ByteArray, scanned: scan.Scanned) -> Array:
        """The codes of the texts that were scanned from ``data``, int32: to be found before any row is
        added.
        """
        texts = scanned.texts
        codes = np.empty(len(texts), np.int32)
        done = 0
        while True:
            done = _translate(data, texts, self._columns_of, *self._interned, self._seed, done, codes)
            if done == len(texts):
                return codes
            self._interned = grown(self._interned, int(texts[done, request_texts.LENGTH]))

    def add(
        self, scanned: scan.Scanned, rows: Array | slice, codes: Array, resources: Array, scopes: Array
    ) -> None:
        """Append ``rows`` of what was scanned; int32 ``resources`` and ``scopes`` number its own.

        ``codes`` come from `codes_of`, which all that is going to be added has been through.
        """
        if self._used is None:
            self._used = np.flatnonzero(self._interned.counts[:-2])
        words, numbers = scanned.words[rows], scanned.numbers[rows]
        _fill(
            words,
            numbers,
            self._used,
            self._text_places,
            self._wide_places,
            codes,
            resources,
            scopes,
            scanned.heap,
            self._filled,
            self.trace_ids,
            self.words,
            self.numbers,
            self.groups,
            self.codes,
            self.wide,
            self.offsets,
            self.attributes,
        )
        self._filled += len(words)

    def dictionary(self, column: int) -> tuple[Array, ByteArray]:
        """The texts behind the codes of a text column: offsets, int32, (count + 1,), and bytes, uint8."""
        _, entries, texts, counts = self._interned
        mine = entries[: _ENTRY * counts[-2]].reshape(-1, _ENTRY)
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
