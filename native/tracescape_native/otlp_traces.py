"""An encoded ``ExportTraceServiceRequest`` into rows of integers and heaps of text, in one pass.

An attribute of a span whose key has a column goes there, if it is of the column's kind; all others become
text. The scan takes what encoders write and nothing else. Whatever is unusual (bytes that are no message, a
field twice where a merge would be due, text that is not UTF-8, groups) makes it give up on the whole message
with `UNUSUAL`: the reference decoder then decides. So there is one definition of what such a message means,
and this is only its fast path. Spans that are merely invalid (ids, times) are left out here and named.

Words of a trace id are its bytes read little-endian, so that storing them restores the bytes; a span id is
its bytes read big-endian, signed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numba import njit

from tracescape_native.json_text import SLACK, copy_text
from tracescape_native.memory import (
    ByteArray,
    NumberArray,
    Word,
    WordArray,
    behind,
    load8,
    load32,
    load64,
    pointer,
    swap64,
    wrapping,
)
from tracescape_native.otlp_attributes import (
    AHEAD,
    BEFORE_FIRST,
    BOOL,
    DOUBLE,
    INT,
    KEY_KIND,
    MAX_KEYS,
    NO_COLUMN,
    PLACE,
    STRING,
    WANTED,
    begin_list,
    column_keys,
    find_attribute,
    new_keys,
    write_found,
)
from tracescape_native.request_texts import (
    MAX_COLUMNS,
    NO_ROOM,
    begin_message,
    code_of,
    new_table,
    text_count,
)
from tracescape_native.slabs import Slabs
from tracescape_native.wire import UNUSUAL, read_run, read_tag, read_varint, skip_field
from tracescape_native.xxh64 import xxh64, xxh64_of_words

#: Columns of `Scanned.words`.
TRACE_WORD_0, TRACE_WORD_1, SPAN_ID, PARENT_ID, START, DURATION = range(6)
WORDS: Final = 6

#: Columns of `Scanned.numbers`; those from `FLAGS` to `DROPPED_LINKS` are the bits of uint32.
KIND, STATUS, FLAGS, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, RESOURCE, SCOPE = range(8)
SPAN_BEGIN, SPAN_END = 8, 9  # the bounds of the encoded Span in the message
ATTRIBUTES: Final = 10  # (offset, length) in the heap
OPERATION, STATUS_MESSAGE, TRACE_STATE = 12, 13, 14  # codes of texts, -1 for none
#: From here on those of attributes, see `places_of`: text is a code as above, anything else has 64 bits in
#: two columns, low before high (of an integer, a double, or 0 and 1), `MISSING` where there is none.
COLUMNS: Final = 15
MISSING: Final = -(2**63)  # of the values themselves, this one and -0.0 stay text

#: Columns of `Scanned.events` and `Scanned.links`; ``0`` is the row of the span. Texts are (offset, length)
#: in their heap; length -1 means that there is none.
EVENT_TIME: Final = 1
EVENT_DROPPED: Final = 2
EVENT_NAME: Final = 3
EVENT_ATTRIBUTES: Final = 5
EVENT_COLUMNS: Final = 7
LINK_WORD_0: Final = 1
LINK_WORD_1: Final = 2
LINK_SPAN_ID: Final = 3
LINK_FLAGS: Final = 4
LINK_DROPPED: Final = 5
LINK_STATE: Final = 6
LINK_ATTRIBUTES: Final = 8
LINK_COLUMNS: Final = 10

#: Why a span is left out (`Scanned.rejected`, with a detail).
ENDS_BEFORE_START: Final = 1
BEYOND_2262: Final = 2
TRACE_ID_LENGTH: Final = 3  # the detail is the length
TRACE_ID_ZERO: Final = 4
SPAN_ID_LENGTH: Final = 5
SPAN_ID_ZERO: Final = 6
PARENT_ID_LENGTH: Final = 7

_MAX_REASONS: Final = 64
_MAX_TIME: Final = np.int64(2**63 - 1)
_HALF_MISSING: Final = -(2**31)
_EXPONENT: Final = np.uint64(0x7FF0000000000000)
_MINUS_ZERO: Final = np.uint64(1 << 63)
#: A span that is kept has at least so many bytes: those of its ids.
_MIN_SPAN_BYTES: Final = 30

#: What `_scan` counts: spans, events, links, resources, scopes, texts, reasons, bytes of both heaps.
_SPANS, _EVENTS, _LINKS, _RESOURCES, _SCOPES, _TEXTS, _REASONS, _HEAP, _PART_HEAP = range(9)
_COUNTS: Final = 9
#: Scratch columns: lengths of a span's ids, how many events and links it has, and where they begin.
_TRACE_LENGTH, _SPAN_LENGTH, _PARENT_LENGTH, _PARTS, _FIRST_PART = range(5)
_SCRATCH: Final = 8

#: The longest message whose spans' attributes and texts int32 can tell apart.
MAX_MESSAGE: Final = (2**31 - 1) // 6 - SLACK
_SMALL_MESSAGE: Final = 1 << 14
_KEPT_MESSAGE: Final = 1 << 20
_FIRST_ROOM: Final = 1024
_KEPT_ROOM: Final = 1 << 16


class Scanned(NamedTuple):
    """What a request holds, a row a thing.

    ``status`` is 0; else everything else is empty, and it is `UNUSUAL`, or `WANTED` - n: the n-th of the keys
    that ought to have a column occurs. ``words`` (int64) and ``numbers`` (int32) describe the spans; codes
    are rows of ``texts`` (int32): a column of ``numbers``, start and length in the message. ``resources`` and
    ``scopes`` (int64) hold the bounds of the encoded Resource or InstrumentationScope and of its schema URL
    in the message, (0, 0) for an absent one; ``rejected`` (int64) is (reason, detail, how many). ``heap``
    (uint8) has the spans' attributes, one after the other; ``part_heap`` all text of ``events`` and ``links``
    (int64).
    """

    status: int
    words: WordArray
    numbers: NumberArray
    texts: NumberArray
    events: WordArray
    links: WordArray
    resources: WordArray
    scopes: WordArray
    rejected: WordArray
    heap: ByteArray
    part_heap: ByteArray

    @property
    def nbytes(self) -> int:
        """Bytes that it occupies in memory."""
        return sum(int(array.nbytes) for array in self[1:])


@njit(cache=True, nogil=True)
def _other_field(data: ByteArray, at: int, end: int, tag: int, row: WordArray) -> int:
    # A field of ResourceSpans or ScopeSpans that is not the repeated one: field 1 (a message, at most once)
    # and field 3 (a schema URL) are noted in the row. Where it ends.
    if tag != 10 and tag != 26:
        return skip_field(data, at, end, tag)
    start, stop = read_run(data, at, end)
    column = 0 if tag == 10 else 2
    if tag == 10 and row[0]:
        return UNUSUAL
    row[column], row[column + 1] = start, stop
    return stop


@njit(cache=True, nogil=True, inline="always")
def _store_wide(numbers: NumberArray, place: Word, word: Word) -> None:
    numbers[place] = np.int32(word & np.uint64(0xFFFFFFFF))
    numbers[place + 1] = np.int32(word >> np.uint64(32))


@njit(cache=True, nogil=True)
def _fill_wide(
    data: ByteArray, start: int, end: int, place: Word, kind: Word, tag: int, at: int, numbers: NumberArray
) -> Word:
    # As _fill_column, for a value of this tag, which may be that of an integer, a double or a bool.
    if tag != kind:
        return np.int64(0)
    if kind == DOUBLE:
        if at + 8 != end:
            return np.int64(0)
        word = load64(data, at)
        if (word & _EXPONENT) == _EXPONENT or word == _MINUS_ZERO:
            return np.int64(0)
    else:
        number, at = read_varint(data, at, end)
        word = np.uint64(number)
        if at != end or word == _MINUS_ZERO:
            return np.int64(0)
        if kind == BOOL:
            word = np.uint64(number != 0)
    if place <= WANTED:
        return place
    _store_wide(numbers, place, word)
    return np.int64(1)


@njit(cache=True, nogil=True, inline="always")
def _fill_column(
    data: ByteArray,
    start: int,
    end: int,
    limit: int,
    place: Word,
    kind: Word,
    numbers: NumberArray,
    table: WordArray,
    entries: NumberArray,
    room: int,
    seed: Word,
) -> Word:
    # Put the value data[start:end] into its column, if it is of its kind: 1, else 0. Negative as code_of
    # says, or the place itself if that is a wanted one.
    if start < 0 or end - start < 2:
        return np.int64(0)
    tag, at = load8(data, start), start + 1  # those that matter have one byte
    if kind != STRING:
        if kind == INT and tag == INT and end - start == 2 and load8(data, at) < 0x80 and place > WANTED:
            numbers[place] = load8(data, at)
            numbers[place + 1] = 0
            return np.int64(1)
        return _fill_wide(data, start, end, place, kind, tag, at, numbers)
    if tag != STRING:
        return np.int64(0)
    if load8(data, at) < 0x80:
        begin, stop = at + 1, at + 1 + load8(data, at)
    else:
        begin, stop = read_run(data, at, end)
    if stop != end:
        return np.int64(0)  # the writer of text says what is wrong with it
    if place <= WANTED:
        return place
    code = code_of(data, begin, stop - begin, limit, place, table, entries, room, seed)
    if code < 0:
        return code
    numbers[place] = code
    return np.int64(1)


@njit(cache=True, nogil=True)
def _read_status(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    numbers: NumberArray,
    table: WordArray,
    entries: NumberArray,
    room: int,
    seed: Word,
) -> Word:
    # 0, or what is wrong with it.
    start, stop = 0, 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return np.int64(UNUSUAL)
        if tag == 18:
            start, at = read_run(data, at, end)
            stop = at
        elif tag == 24:
            number, at = read_varint(data, at, end)
            code = np.int64(np.int32(number))
            numbers[STATUS] = code if 0 <= code <= 2 else 0
        else:
            at = skip_field(data, at, end, tag)
        if at < 0:
            return np.int64(UNUSUAL)
    if stop > start:
        code = code_of(data, start, stop - start, limit, STATUS_MESSAGE, table, entries, room, seed)
        if code < 0:
            return code
        numbers[STATUS_MESSAGE] = code
    return np.int64(0)


@njit(cache=True, nogil=True)
def _read_id(data: ByteArray, at: int, end: int, tag: int, words: WordArray, scratch: WordArray) -> int:
    # A trace id, span id or parent id; where it ends. One of another length is noted by its length alone.
    start, stop = read_run(data, at, end)
    length = stop - start
    if stop < 0:
        return UNUSUAL
    if tag == 10:
        scratch[_TRACE_LENGTH] = length
        if length == 16:
            words[TRACE_WORD_0] = np.int64(load64(data, start))
            words[TRACE_WORD_1] = np.int64(load64(data, start + 8))
        return stop
    word = np.int64(swap64(load64(data, start))) if length == 8 else np.int64(0)
    if tag == 18:
        scratch[_SPAN_LENGTH] = length
        words[SPAN_ID] = word
    else:
        scratch[_PARENT_LENGTH] = length
        words[PARENT_ID] = word
    return stop


@njit(cache=True, nogil=True)
def _read_field(
    data: ByteArray, at: int, end: int, tag: int, words: WordArray, numbers: NumberArray, scratch: WordArray
) -> int:
    # Any field of a span but its attributes, texts and status; where it ends.
    if tag == 10 or tag == 18 or tag == 34:
        return _read_id(data, at, end, tag, words, scratch)
    if tag == 57 or tag == 65:
        if at + 8 > end:
            return UNUSUAL
        words[START if tag == 57 else DURATION] = np.int64(load64(data, at))
        return at + 8
    if tag == 133:
        if at + 4 > end:
            return UNUSUAL
        numbers[FLAGS] = np.int32(load32(data, at))
        return at + 4
    if tag == 48 or tag == 80 or tag == 96 or tag == 112:
        number, at = read_varint(data, at, end)
        if tag == 48:
            kind = np.int64(np.int32(number))
            numbers[KIND] = kind if 0 <= kind <= 5 else 0
        else:
            column = DROPPED_ATTRIBUTES if tag == 80 else DROPPED_EVENTS if tag == 96 else DROPPED_LINKS
            numbers[column] = np.int32(number)
        return at
    return skip_field(data, at, end, tag)


@njit(cache=True, nogil=True, inline="always")
def _begin_row(
    words: WordArray, numbers: NumberArray, scratch: WordArray, blank: NumberArray, width: int
) -> None:
    for column in range(WORDS):
        words[column] = 0
    for column in range(width):
        numbers[column] = blank[column]
    for column in range(_FIRST_PART + 1):
        scratch[column] = 0


@njit(cache=True, nogil=True, inline="always")
def _read_head(
    data: ByteArray, at: int, end: int, words: WordArray, numbers: NumberArray, scratch: WordArray
) -> int:
    # The ids with which encoders begin a span, if they are there and readable; where what is left begins.
    if at + 40 > end or load8(data, at) != 10 or load8(data, at + 1) != 16:
        return at
    scratch[_TRACE_LENGTH] = 16
    words[TRACE_WORD_0] = np.int64(load64(data, at + 2))
    words[TRACE_WORD_1] = np.int64(load64(data, at + 10))
    at += 18
    if load8(data, at) != 18 or load8(data, at + 1) != 8:
        return at
    scratch[_SPAN_LENGTH] = 8
    words[SPAN_ID] = np.int64(swap64(load64(data, at + 2)))
    at += 10
    if load8(data, at) != 34 or load8(data, at + 1) != 8:
        return at
    scratch[_PARENT_LENGTH] = 8
    words[PARENT_ID] = np.int64(swap64(load64(data, at + 2)))
    return at + 10


@njit(cache=True, nogil=True, inline="always")
def _read_times(data: ByteArray, at: int, end: int, words: WordArray, numbers: NumberArray) -> int:
    # Kind, start and end, which encoders write after the name, if they are there; where what is left begins.
    if at + 20 > end or load8(data, at) != 48 or load8(data, at + 1) > 5:
        return at
    if load8(data, at + 2) != 57 or load8(data, at + 11) != 65:
        return at
    numbers[KIND] = np.int32(load8(data, at + 1))
    words[START] = np.int64(load64(data, at + 3))
    words[DURATION] = np.int64(load64(data, at + 12))
    return at + 20


@njit(cache=True, nogil=True)
def _scan_span(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    words: WordArray,
    numbers: NumberArray,
    blank: NumberArray,
    width: int,
    scratch: WordArray,
    keys: WordArray,
    key_texts: ByteArray,
    columns: WordArray,
    table: WordArray,
    entries: NumberArray,
    room: int,
    seed: Word,
    out: ByteArray,
    to: int,
) -> Word:
    # A span but its events and links into its row (times, ids and lengths still unjudged), attributes into
    # the heap. Where writing ended, or a status. Where its events and links begin, and how many, is in
    # scratch.
    _begin_row(words, numbers, scratch, blank, width)
    begin, attributes, before = to, 0, BEFORE_FIRST
    name, name_end, state, state_end, status, status_end = 0, 0, 0, 0, -1, 0
    stamp = begin_list(keys)
    at = _read_head(data, at, end, words, numbers, scratch)
    while at < end:
        field = at
        tag, at = read_tag(data, at, end)
        if at < 0:
            return np.int64(UNUSUAL)
        if tag == 74:
            start, at = read_run(data, at, end)
            attributes += 1
            if at < 0 or attributes > MAX_KEYS:
                return np.int64(UNUSUAL)
            slot, first, last = find_attribute(
                data, start, at, limit, keys, key_texts, before, stamp, columns, seed
            )
            if slot < 0:
                return np.int64(UNUSUAL)
            before = slot
            place = keys[slot + PLACE]
            taken = np.int64(0)
            if place != NO_COLUMN:
                taken = _fill_column(
                    data,
                    first,
                    last,
                    limit,
                    place,
                    keys[slot + KEY_KIND],
                    numbers,
                    table,
                    entries,
                    room,
                    seed,
                )
                if taken < 0:
                    return taken
            if taken == 0:
                to = write_found(data, first, last, limit, out, to, keys, key_texts, slot, seed)
                if to < 0:
                    return np.int64(UNUSUAL)
        elif tag == 42:
            name, at = read_run(data, at, end)
            name_end = at
            if at > 0:
                at = _read_times(data, at, end, words, numbers)
        elif tag == 26:
            state, at = read_run(data, at, end)
            state_end = at
        elif tag == 122:
            if status >= 0:
                return np.int64(UNUSUAL)
            status, at = read_run(data, at, end)
            status_end = at
        elif tag == 90 or tag == 106:
            if scratch[_PARTS] == 0:
                scratch[_FIRST_PART] = field
            scratch[_PARTS] += 1
            _, at = read_run(data, at, end)
        elif tag == 133 and at + 4 <= end:
            numbers[FLAGS] = np.int32(load32(data, at))
            at += 4
        else:
            at = _read_field(data, at, end, tag, words, numbers, scratch)
        if at < 0:
            return np.int64(UNUSUAL)
    code = code_of(data, name, name_end - name, limit, OPERATION, table, entries, room, seed)
    if code < 0:
        return code
    numbers[OPERATION] = code
    if state_end > state:
        code = code_of(data, state, state_end - state, limit, TRACE_STATE, table, entries, room, seed)
        if code < 0:
            return code
        numbers[TRACE_STATE] = code
    if status >= 0:
        code = _read_status(data, status, status_end, limit, numbers, table, entries, room, seed)
        if code < 0:
            return code
    if to == begin:
        to += 1
    out[begin] = 123  # where the first attribute's comma was
    out[to] = 125
    numbers[ATTRIBUTES], numbers[ATTRIBUTES + 1] = begin, to + 1 - begin
    return to + 1


@njit(cache=True, nogil=True, inline="always")
def _judge(words: WordArray, scratch: WordArray) -> tuple[Word, Word]:
    # Check times and ids. Why the span cannot be stored (0: it can), and a detail.
    start, end = np.uint64(words[START]), np.uint64(words[DURATION])
    zero = np.int64(0)
    if end < start:
        return np.int64(ENDS_BEFORE_START), zero
    if end > np.uint64(_MAX_TIME):
        return np.int64(BEYOND_2262), zero
    words[DURATION] = np.int64(end - start)
    if scratch[_TRACE_LENGTH] != 16:
        return np.int64(TRACE_ID_LENGTH), scratch[_TRACE_LENGTH]
    if words[TRACE_WORD_0] == 0 and words[TRACE_WORD_1] == 0:
        return np.int64(TRACE_ID_ZERO), zero
    if scratch[_SPAN_LENGTH] != 8:
        return np.int64(SPAN_ID_LENGTH), scratch[_SPAN_LENGTH]
    if words[SPAN_ID] == 0:
        return np.int64(SPAN_ID_ZERO), zero
    if scratch[_PARENT_LENGTH] != 8 and scratch[_PARENT_LENGTH] != 0:
        return np.int64(PARENT_ID_LENGTH), scratch[_PARENT_LENGTH]
    return zero, zero


@njit(cache=True, nogil=True, inline="always")
def _write_plain(
    data: ByteArray, start: int, end: int, out: ByteArray, to: int, row: WordArray, column: int
) -> int:
    # Copy text to the heap and refer to it.
    row[column], row[column + 1] = to, end - start
    return copy_text(data, start, end, out, to)


@njit(cache=True, nogil=True, inline="always")
def _scan_part(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    is_link: bool,
    row: WordArray,
    keys: WordArray,
    key_texts: ByteArray,
    columns: WordArray,
    seed: Word,
    out: ByteArray,
    to: Word,
) -> Word:
    # An event or a link into row and heap. Where writing ended, or UNUSUAL (a link with a bad id is, too).
    for place in range(1, LINK_COLUMNS if is_link else EVENT_COLUMNS):
        row[place] = 0
    begin, attributes, before = to, 0, BEFORE_FIRST
    stamp = begin_list(keys)
    attribute_tag = 34 if is_link else 26
    text_start, text_end, id_start, id_end, span_start, span_end = 0, 0, 0, 0, 0, 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL
        if tag == attribute_tag:
            start, at = read_run(data, at, end)
            attributes += 1
            if at < 0 or attributes > MAX_KEYS:
                return UNUSUAL
            slot, first, last = find_attribute(
                data, start, at, limit, keys, key_texts, before, stamp, columns, seed
            )
            if slot < 0:
                return UNUSUAL
            before = slot
            to = write_found(data, first, last, limit, out, to, keys, key_texts, slot, seed)
            if to < 0:
                return UNUSUAL
        elif tag == 9 and not is_link:
            if at + 8 > end:
                return UNUSUAL
            time = np.int64(load64(data, at))
            row[EVENT_TIME] = _MAX_TIME if time < 0 else time
            at += 8
        elif tag == (26 if is_link else 18):
            text_start, at = read_run(data, at, end)
            text_end = at
        elif tag == 10 and is_link:
            id_start, at = read_run(data, at, end)
            id_end = at
        elif tag == 18 and is_link:
            span_start, at = read_run(data, at, end)
            span_end = at
        elif tag == (40 if is_link else 32):
            number, at = read_varint(data, at, end)
            row[LINK_DROPPED if is_link else EVENT_DROPPED] = number & 0xFFFFFFFF
        elif tag == 53 and is_link:
            if at + 4 > end:
                return UNUSUAL
            row[LINK_FLAGS] = load32(data, at)
            at += 4
        else:
            at = skip_field(data, at, end, tag)
        if at < 0:
            return UNUSUAL
    if attributes == 0:
        out[to] = 123
        to += 1
    out[begin] = 123
    out[to] = 125
    column = LINK_ATTRIBUTES if is_link else EVENT_ATTRIBUTES
    row[column], row[column + 1] = begin, to + 1 - begin
    if not is_link:
        return _write_plain(data, text_start, text_end, out, to + 1, row, EVENT_NAME)
    if id_end - id_start != 16 or span_end - span_start != 8:
        return UNUSUAL
    first, second, span = load64(data, id_start), load64(data, id_start + 8), load64(data, span_start)
    if first | second == np.uint64(0) or span == np.uint64(0):
        return UNUSUAL
    row[LINK_WORD_0], row[LINK_WORD_1] = np.int64(first), np.int64(second)
    row[LINK_SPAN_ID] = np.int64(swap64(span))
    if text_start == text_end:
        row[LINK_STATE + 1] = -1
        return to + 1
    return _write_plain(data, text_start, text_end, out, to + 1, row, LINK_STATE)


@njit(cache=True, nogil=True, inline="always")
def _scan_parts(
    data: ByteArray,
    end: int,
    limit: int,
    scratch: WordArray,
    counts: WordArray,
    room: int,
    events: WordArray,
    links: WordArray,
    keys: WordArray,
    key_texts: ByteArray,
    columns: WordArray,
    seed: Word,
    out: ByteArray,
) -> Word:
    # The events and links of the span that is to be row counts[_SPANS]. 0, or a status.
    at, parts, to = scratch[_FIRST_PART], scratch[_PARTS], counts[_PART_HEAP]
    while parts > 0:
        tag, at = read_tag(data, at, end)  # _scan_span has seen that all is well here
        if tag != 90 and tag != 106:
            at = skip_field(data, at, end, tag)
            continue
        parts -= 1
        start, at = read_run(data, at, end)
        kind, width, rows = _EVENTS, EVENT_COLUMNS, events
        if tag == 106:
            kind, width, rows = _LINKS, LINK_COLUMNS, links
        if counts[kind] == room:
            return np.int64(NO_ROOM)
        row = behind(rows, width * counts[kind])
        counts[kind] += 1
        row[0] = counts[_SPANS]
        to = _scan_part(data, start, at, limit, tag == 106, row, keys, key_texts, columns, seed, out, to)
        if to < 0:
            return np.int64(UNUSUAL)
    counts[_PART_HEAP] = to
    return np.int64(0)


@njit(cache=True, nogil=True, inline="always")
def _note(rejected: WordArray, counts: WordArray, reason: Word, detail: Word) -> bool:
    # Count a rejection; equal ones share a row. Whether there was room for it.
    count = counts[_REASONS]
    for index in range(count):
        if rejected[3 * index] == reason and rejected[3 * index + 1] == detail:
            rejected[3 * index + 2] += 1
            return True
    if count == _MAX_REASONS:
        return False
    rejected[3 * count], rejected[3 * count + 1], rejected[3 * count + 2] = reason, detail, 1
    counts[_REASONS] += 1
    return True


@wrapping
@njit(cache=True, nogil=True)
def _scan(
    data_array: ByteArray,
    end: int,
    limit: int,
    words_array: WordArray,
    numbers_array: NumberArray,
    events_array: WordArray,
    links_array: WordArray,
    resources_array: WordArray,
    scopes_array: WordArray,
    rejected_array: WordArray,
    entries_array: NumberArray,
    table_array: WordArray,
    keys_array: WordArray,
    key_texts_array: ByteArray,
    columns_array: WordArray,
    blank_array: NumberArray,
    scratch_array: WordArray,
    counts_array: WordArray,
    heap_array: ByteArray,
    part_heap_array: ByteArray,
    span_room: int,
    room: int,
    width: int,
    seed: Word,
) -> Word:
    # All of data[:end] into the arrays, of which limit bytes may be read; counts says how much. A status.
    # There are span_room rows for spans and one more, and room for everything else.
    data, words, numbers = pointer(data_array), pointer(words_array), pointer(numbers_array)
    events, links = pointer(events_array), pointer(links_array)
    resources, scopes = pointer(resources_array), pointer(scopes_array)
    rejected, entries = pointer(rejected_array), pointer(entries_array)
    table, keys, key_texts = pointer(table_array), pointer(keys_array), pointer(key_texts_array)
    columns, blank = pointer(columns_array), pointer(blank_array)
    scratch, counts = pointer(scratch_array), pointer(counts_array)
    out, part_out = pointer(heap_array), pointer(part_heap_array)
    begin_message(table)
    for index in range(_COUNTS):
        counts[index] = 0
    at = 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL
        if tag != 10:
            at = skip_field(data, at, end, tag)
            if at < 0:
                return UNUSUAL
            continue
        group_at, at = read_run(data, at, end)
        if at < 0:
            return UNUSUAL
        resource = counts[_RESOURCES]
        if resource == room:
            return NO_ROOM
        counts[_RESOURCES] += 1
        resource_row = behind(resources, 4 * resource)
        _clear4(resource_row)
        while group_at < at:
            tag, group_at = read_tag(data, group_at, at)
            if group_at < 0:
                return UNUSUAL
            if tag != 18:
                group_at = _other_field(data, group_at, at, tag, resource_row)
                if group_at < 0:
                    return UNUSUAL
                continue
            scope_at, group_at = read_run(data, group_at, at)
            if group_at < 0:
                return UNUSUAL
            scope = counts[_SCOPES]
            if scope == room:
                return NO_ROOM
            counts[_SCOPES] += 1
            scope_row = behind(scopes, 4 * scope)
            _clear4(scope_row)
            while scope_at < group_at:
                tag, scope_at = read_tag(data, scope_at, group_at)
                if scope_at < 0:
                    return UNUSUAL
                if tag != 18:
                    scope_at = _other_field(data, scope_at, group_at, tag, scope_row)
                    if scope_at < 0:
                        return UNUSUAL
                    continue
                span_at, scope_at = read_run(data, scope_at, group_at)
                if scope_at < 0:
                    return UNUSUAL
                kept = counts[_SPANS]
                span_words, span_numbers = behind(words, WORDS * kept), behind(numbers, width * kept)
                to = _scan_span(
                    data,
                    span_at,
                    scope_at,
                    limit,
                    span_words,
                    span_numbers,
                    blank,
                    width,
                    scratch,
                    keys,
                    key_texts,
                    columns,
                    table,
                    entries,
                    room,
                    seed,
                    out,
                    counts[_HEAP],
                )
                if to < 0:
                    return to
                event_count, link_count, part_bytes = counts[_EVENTS], counts[_LINKS], counts[_PART_HEAP]
                if scratch[_PARTS]:
                    wrong = _scan_parts(
                        data,
                        scope_at,
                        limit,
                        scratch,
                        counts,
                        room,
                        events,
                        links,
                        keys,
                        key_texts,
                        columns,
                        seed,
                        part_out,
                    )
                    if wrong < 0:
                        return wrong
                reason, detail = _judge(span_words, scratch)
                if reason:
                    counts[_EVENTS], counts[_LINKS], counts[_PART_HEAP] = event_count, link_count, part_bytes
                    if not _note(rejected, counts, reason, detail):
                        return UNUSUAL
                    continue
                if kept == span_room:
                    return NO_ROOM
                span_numbers[RESOURCE], span_numbers[SCOPE] = resource, scope
                span_numbers[SPAN_BEGIN], span_numbers[SPAN_END] = span_at, scope_at
                counts[_SPANS], counts[_HEAP] = kept + 1, to
    counts[_TEXTS] = text_count(table)
    return 0


@njit(cache=True, nogil=True, inline="always")
def _clear4(row: WordArray) -> None:
    for column in range(4):
        row[column] = 0


def read_only(data: ByteArray) -> ByteArray:
    """A view that cannot be written to, as bytes are seen: to a kernel that is another type."""
    view = data.view()
    view.flags.writeable = False
    return view


#: A key and the kind of its values.
Column: TypeAlias = tuple[str, int]


class _Rows(NamedTuple):
    """Where a scan writes what it finds, a row a thing, and room for how many things there is."""

    span_room: int
    room: int
    words: WordArray
    numbers: NumberArray
    events: WordArray
    links: WordArray
    resources: WordArray
    scopes: WordArray
    texts: NumberArray


def _rows(span_room: int, room: int, width: int) -> _Rows:
    return _Rows(
        span_room,
        room,
        np.empty((span_room + 1, WORDS), np.int64),  # the one more is for a span that is rejected
        np.empty((span_room + 1, width), np.int32),
        np.empty((room, EVENT_COLUMNS), np.int64),
        np.empty((room, LINK_COLUMNS), np.int64),
        np.empty((room, 4), np.int64),
        np.empty((room, 4), np.int64),
        np.empty((room, 3), np.int32),
    )


class _Scratch(threading.local):
    """What a scan needs besides its results, kept by each thread: to make it costs more than a scan."""

    def __init__(self, width: int) -> None:
        self.keys, self.key_texts = new_keys()
        self.table = new_table()
        self.span = np.zeros(_SCRATCH, np.int64)
        self.counts = np.zeros(_COUNTS, np.int64)
        self.rejected = np.empty((_MAX_REASONS, 3), np.int64)
        self.rows = _rows(_FIRST_ROOM, _FIRST_ROOM, width)
        self.data = np.zeros(_SMALL_MESSAGE + AHEAD, np.uint8)
        self.readable = read_only(self.data)
        self.part_heap = np.empty(0, np.uint8)
        self.slabs = Slabs()


def places_of(columns: Sequence[Column]) -> list[int]:
    """Where in `Scanned.numbers` each column of attributes begins."""
    places, place = [], COLUMNS
    for _, kind in columns:
        places.append(place)
        place += 1 if kind == STRING else 2
    return places


class Scanner:
    """Scans requests; safe to use from several threads.

    Args:
        columns: keys with columns of their own, each with the kind of its values: `STRING`, `INT`, `DOUBLE`
            or `BOOL`.
        wanted: keys that ought to have one, see `Scanned`; `otlp_attributes.MAX_COLUMN_KEYS` in all.
        seed: secret, so that no sender can aim at a hash table.
    """

    def __init__(self, columns: Sequence[Column], wanted: Sequence[Column], seed: int) -> None:
        places = places_of(columns)
        keys = {key: (WANTED - number, kind) for number, (key, kind) in enumerate(wanted)}
        keys |= {key: (place, kind) for (key, kind), place in zip(columns, places, strict=True)}
        self._keys = column_keys(keys, seed)
        self._width = COLUMNS + sum(1 if kind == STRING else 2 for _, kind in columns)
        if self._width > MAX_COLUMNS:
            raise ValueError(f"{len(columns)} columns are too many")
        self._blank = np.full(self._width, -1, np.int32)
        self._blank[:OPERATION] = 0
        for (_, kind), place in zip(columns, places, strict=True):
            if kind != STRING:
                self._blank[place : place + 2] = 0, _HALF_MISSING
        self._seed = np.uint64(seed)
        self._scratch = _Scratch(self._width)

    def scan(self, data: ByteArray) -> Scanned:
        """Scan an encoded request, uint8 of shape (n,), read-only.

        O(n) time; memory up to twelve times the message while it is scanned, of which nothing is touched that
        is not needed.
        """
        end = len(data)
        if end > MAX_MESSAGE:
            return _nothing(self._width)
        scratch = self._scratch
        limit = end
        if end <= _SMALL_MESSAGE:  # with nothing to read ahead in, a small message would be all slow
            scratch.data[:end] = data
            data, limit = scratch.readable, end + AHEAD
        heap_room = 6 * end + 4 * SLACK
        heap = scratch.slabs.reserve(heap_room)
        part_heap = scratch.part_heap
        if len(part_heap) < heap_room:
            part_heap = np.empty(heap_room, np.uint8)
            if end <= _KEPT_MESSAGE:
                scratch.part_heap = part_heap
        rows = scratch.rows
        while True:
            status = self._run(data, end, limit, rows, heap, part_heap)
            if status != NO_ROOM:
                break
            room = 8 * rows.room
            rows = _rows(min(room, end // _MIN_SPAN_BYTES + 1), room, self._width)
            if room <= _KEPT_ROOM:
                scratch.rows = rows
        return self._results(rows, part_heap) if status == 0 else _nothing(self._width, status)

    def _run(
        self, data: ByteArray, end: int, limit: int, rows: _Rows, heap: ByteArray, part_heap: ByteArray
    ) -> int:
        scratch = self._scratch
        return int(
            _scan(
                data,
                end,
                limit,
                rows.words,
                rows.numbers,
                rows.events,
                rows.links,
                rows.resources,
                rows.scopes,
                scratch.rejected,
                rows.texts,
                scratch.table,
                scratch.keys,
                scratch.key_texts,
                self._keys,
                self._blank,
                scratch.span,
                scratch.counts,
                heap,
                part_heap,
                rows.span_room,
                rows.room,
                self._width,
                self._seed,
            )
        )

    def _results(self, rows: _Rows, part_heap: ByteArray) -> Scanned:
        """Copies of what was found; the heap of attributes is where it stays."""
        scratch = self._scratch
        spans, events, links, resources, scopes, texts, reasons, heap, part_bytes = scratch.counts.tolist()
        attributes = scratch.slabs.take(heap)
        return Scanned(
            0,
            scratch.slabs.copy(rows.words[:spans]),
            scratch.slabs.copy(rows.numbers[:spans]),
            rows.texts[:texts].copy(),
            rows.events[:events].copy() if events else rows.events[:0],
            rows.links[:links].copy() if links else rows.links[:0],
            rows.resources[:resources].copy(),
            rows.scopes[:scopes].copy(),
            scratch.rejected[:reasons].copy() if reasons else scratch.rejected[:0],
            attributes,
            part_heap[:part_bytes].copy(),
        )


def _nothing(width: int, status: int = UNUSUAL) -> Scanned:
    def empty(columns: int, dtype: type[np.generic] = np.int64) -> np.ndarray[Any, Any]:
        return np.empty((0, columns), dtype)

    return Scanned(
        status,
        empty(WORDS),
        empty(width, np.int32),
        empty(3, np.int32),
        empty(EVENT_COLUMNS),
        empty(LINK_COLUMNS),
        empty(4),
        empty(4),
        empty(3),
        np.empty(0, np.uint8),
        np.empty(0, np.uint8),
    )


@wrapping
@njit(cache=True, nogil=True)
def _fingerprints(
    data: ByteArray,
    words: WordArray,
    numbers: NumberArray,
    resources: WordArray,
    seed: Word,
    out: WordArray,
) -> None:
    of_resource, hashed = np.int64(-1), np.uint64(0)
    start = pointer(data)
    for index in range(len(words)):
        resource = np.int64(numbers[index, RESOURCE])
        if resource != of_resource:
            of_resource = resource
            hashed = xxh64(start, resources[resource, 0], resources[resource, 1], seed)
        begin: Word = np.int64(numbers[index, SPAN_BEGIN])
        end: Word = np.int64(numbers[index, SPAN_END])
        first, second = np.uint64(words[index, TRACE_WORD_0]), np.uint64(words[index, TRACE_WORD_1])
        span_id = swap64(np.uint64(words[index, SPAN_ID]))
        out[index, 0] = np.int64(xxh64_of_words(first, second, span_id, seed))
        out[index, 1] = np.int64(xxh64(start, begin, end, hashed))


def fingerprints(data: ByteArray, scanned: Scanned, *, seed: int) -> WordArray:
    """Two hashes a span, int64 of shape (n, 2), by which a copy of it is known.

    The first is XXH64 of its trace and span id (24 bytes), the second that of its encoded bytes, seeded with
    that of its encoded resource; both of the latter are seeded with ``seed``.
    """
    out = np.empty((len(scanned.words), 2), np.int64)
    _fingerprints(data, scanned.words, scanned.numbers, scanned.resources, np.uint64(seed), out)
    return out
