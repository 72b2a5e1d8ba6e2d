"""An encoded ``ExportTraceServiceRequest`` into rows of integers and one heap of text, in one pass.

The scan takes what encoders write and nothing else. Whatever is unusual (bytes that are no message, a field
twice where a merge would be due, text that is not UTF-8, groups) makes it give up on the whole message with
`UNUSUAL`: the reference decoder then decides. So there is one definition of what such a message means, and
this is only its fast path. Spans that are merely invalid (ids, times) are left out here and named.

Text is referred to as (offset, length) in the heap; length -1 means that there is none. Words of a trace id
are its bytes read little-endian, so that storing them restores the bytes; a span id is its bytes read
big-endian, signed.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.json_text import SLACK, copy_text
from tracescape_native.memory import ByteArray, Word, WordArray, borrowed, load32, load64, swap64
from tracescape_native.otlp_attributes import (
    MAX_KEYS,
    Keys,
    PromotedKeys,
    begin_list,
    forget,
    new_keys,
    promotion,
    write_attribute,
)
from tracescape_native.wire import UNUSUAL, read_run, read_tag, read_varint, skip_field
from tracescape_native.xxh64 import xxh64, xxh64_of_words

#: Columns of `Scanned.spans`.
TRACE_WORD_0: Final = 0
TRACE_WORD_1: Final = 1
SPAN_ID: Final = 2
PARENT_ID: Final = 3
START: Final = 4
DURATION: Final = 5
KIND: Final = 6
STATUS: Final = 7
FLAGS: Final = 8
DROPPED_ATTRIBUTES: Final = 9
DROPPED_EVENTS: Final = 10
DROPPED_LINKS: Final = 11
RESOURCE: Final = 12
SCOPE: Final = 13
SPAN_BEGIN: Final = 14  # the bounds of the encoded Span in the message
SPAN_END: Final = 15
ATTRIBUTES: Final = 16
OPERATION: Final = 18
STATUS_MESSAGE: Final = 20
TRACE_STATE: Final = 22
PROMOTED: Final = 24  # two columns each: text (offset, length), or an integer and 0; the second -1 for none

#: Columns of `Scanned.events` and `Scanned.links`; ``0`` is the row of the span.
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

#: A status of the kernel alone: more events or links than there is room for.
NO_ROOM: Final = -3
_MAX_REASONS: Final = 64
_KEPT_HEAP_BYTES: Final = 4 << 20

_MAX_TIME: Final = np.int64(2**63 - 1)
_NO_PRIORITY: Final = np.int64(2**31)
_INT32_MAX: Final = np.int64(2**31 - 1)

# Scratch columns: the bounds of a span's fields in the message.
_TRACE_ID, _SPAN_ID, _PARENT_ID, _NAME, _STATE, _MESSAGE, _SPAN_STATUS = range(0, 14, 2)
_FIELDS: Final = 14


class Scanned(NamedTuple):
    """What a request holds; all but ``heap`` int64, a row a thing.

    ``status`` is 0, or `UNUSUAL` and everything else is empty. ``spans`` has `PROMOTED` + 2 columns a
    promoted column; ``resources`` and ``scopes`` hold the bounds of the encoded Resource or
    InstrumentationScope and of its schema URL in the message, (0, 0) for an absent one; ``rejected`` is
    (reason, detail, how many). ``heap`` is uint8.
    """

    status: int
    spans: WordArray
    events: WordArray
    links: WordArray
    resources: WordArray
    scopes: WordArray
    rejected: WordArray
    heap: ByteArray


@njit(cache=True, nogil=True)
def _count(data: ByteArray, at: int, end: int, wanted: int) -> int:
    # How many fields with that tag stand in data[at:end].
    found = 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL
        found += tag == wanted
        at = skip_field(data, at, end, tag)
        if at < 0:
            return UNUSUAL
    return found


@njit(cache=True, nogil=True)
def _sizes(data: ByteArray) -> tuple[int, int, int]:
    # Numbers of ResourceSpans, ScopeSpans and Spans; the first is UNUSUAL when the message is.
    resources, scopes, spans = 0, 0, 0
    end = len(data)
    at = 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL, 0, 0
        if tag != 10:
            at = skip_field(data, at, end, tag)
            if at < 0:
                return UNUSUAL, 0, 0
            continue
        inner, at = read_run(data, at, end)
        if at < 0:
            return UNUSUAL, 0, 0
        resources += 1
        while inner < at:
            tag, inner = read_tag(data, inner, at)
            if inner < 0:
                return UNUSUAL, 0, 0
            if tag != 18:
                inner = skip_field(data, inner, at, tag)
                if inner < 0:
                    return UNUSUAL, 0, 0
                continue
            scope, inner = read_run(data, inner, at)
            if inner < 0:
                return UNUSUAL, 0, 0
            scopes += 1
            found = _count(data, scope, inner, 18)
            if found < 0:
                return UNUSUAL, 0, 0
            spans += found
    return resources, scopes, spans


@njit(cache=True, nogil=True)
def _other_field(data: ByteArray, at: int, end: int, tag: int, rows: WordArray, row: int) -> int:
    # A field of ResourceSpans or ScopeSpans that is not the repeated one: field 1 (a message, at most once)
    # and field 3 (a schema URL) are noted in rows[row]. Where it ends.
    if tag != 10 and tag != 26:
        return skip_field(data, at, end, tag)
    start, stop = read_run(data, at, end)
    column = 0 if tag == 10 else 2
    if tag == 10 and rows[row, 0]:
        return UNUSUAL
    rows[row, column], rows[row, column + 1] = start, stop
    return stop


@njit(cache=True, nogil=True, forceinline=True)
def _write_plain(
    data: ByteArray, start: int, end: int, out: ByteArray, to: int, row: WordArray, column: int
) -> int:
    # Copy text to the heap and refer to it; absent (start < 0) or empty text becomes length -1 or 0.
    if start < 0:
        row[column], row[column + 1] = 0, -1
        return to
    row[column], row[column + 1] = to, end - start
    return copy_text(data, start, end, out, to)


@njit(cache=True, nogil=True, forceinline=True)
def _write_optional(
    data: ByteArray, start: int, end: int, out: ByteArray, to: int, row: WordArray, column: int
) -> int:
    # Text for which empty means none.
    if start == end:
        start = -1
    return _write_plain(data, start, end, out, to, row, column)


@njit(cache=True, nogil=True)
def _small_number(data: ByteArray, start: int, end: int) -> tuple[Word, bool]:
    # The value of decimal digits (at most twelve count), if it fits int32.
    number = np.int64(0)
    for place in range(start, end):
        if data[place] < 48 or data[place] > 57:
            return 0, False
        if place < start + 12:
            number = number * 10 + np.int64(data[place]) - 48
    return number, bool(start < end and number <= _INT32_MAX)


@njit(cache=True, nogil=True)
def _promote(
    data: ByteArray,
    column: int,
    priority: int,
    start: int,
    end: int,
    promoted: PromotedKeys,
    best: WordArray,
    row: WordArray,
) -> None:
    # Note the value data[start:end] of a promoted key, as bounds in the message or as an integer.
    if priority >= best[column] or start < 0 or start == end:
        return
    best[column] = priority
    place = PROMOTED + 2 * column
    row[place], row[place + 1] = 0, -1
    tag, at = read_tag(data, start, end)  # the writer has seen that the value is well formed
    if tag == 10:
        first, stop = read_run(data, at, end)
        if promoted.is_integer[column]:
            number, small = _small_number(data, first, stop)
            if small:
                row[place], row[place + 1] = number, 0
        else:
            row[place], row[place + 1] = first, stop - first
    elif tag == 24 and promoted.is_integer[column]:
        number, _ = read_varint(data, at, end)
        if -_INT32_MAX - 1 <= number <= _INT32_MAX:
            row[place], row[place + 1] = number, 0


@njit(cache=True, nogil=True)
def _copy_promoted(
    data: ByteArray, promoted: PromotedKeys, best: WordArray, row: WordArray, out: ByteArray, to: int
) -> int:
    # Bounds in the message become references to the heap.
    for column in range(len(best)):
        place = PROMOTED + 2 * column
        if best[column] != _NO_PRIORITY and not promoted.is_integer[column] and row[place + 1] >= 0:
            start, length = row[place], row[place + 1]
            row[place] = to
            to = copy_text(data, start, start + length, out, to)
    return to


@njit(cache=True, nogil=True)
def _read_status(data: ByteArray, at: int, end: int, row: WordArray, fields: WordArray) -> bool:
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return False
        if tag == 18:
            fields[_MESSAGE], at = read_run(data, at, end)
            fields[_MESSAGE + 1] = at
        elif tag == 24:
            number, at = read_varint(data, at, end)
            code = np.int64(np.int32(number))
            row[STATUS] = code if 0 <= code <= 2 else 0
        else:
            at = skip_field(data, at, end, tag)
        if at < 0:
            return False
    return True


@njit(cache=True, nogil=True, forceinline=True)
def _read_number(data: ByteArray, at: int, end: int, tag: int, row: WordArray) -> int:
    # A field of a span that is a number; where it ends.
    if tag == 57 or tag == 65:
        if at + 8 > end:
            return UNUSUAL
        row[START if tag == 57 else DURATION] = np.int64(load64(data, at))
        return at + 8
    if tag == 133:
        if at + 4 > end:
            return UNUSUAL
        row[FLAGS] = np.int64(load32(data, at))
        return at + 4
    number, at = read_varint(data, at, end)
    if tag == 48:
        kind = np.int64(np.int32(number))
        row[KIND] = kind if 0 <= kind <= 5 else 0
    elif tag == 80:
        row[DROPPED_ATTRIBUTES] = number & 0xFFFFFFFF
    elif tag == 96:
        row[DROPPED_EVENTS] = number & 0xFFFFFFFF
    else:
        row[DROPPED_LINKS] = number & 0xFFFFFFFF
    return at


@njit(cache=True, nogil=True, forceinline=True)
def _run_column(tag: int) -> int:
    # The scratch column of a length-delimited field of a span, -1 for another field.
    if tag == 10:
        return _TRACE_ID
    if tag == 18:
        return _SPAN_ID
    if tag == 26:
        return _STATE
    if tag == 34:
        return _PARENT_ID
    if tag == 42:
        return _NAME
    if tag == 122:
        return _SPAN_STATUS
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def _is_number(tag: int) -> bool:
    return tag == 48 or tag == 57 or tag == 65 or tag == 80 or tag == 96 or tag == 112 or tag == 133


@njit(cache=True, nogil=True, forceinline=True)
def _scan_span(
    data: ByteArray,
    at: int,
    end: int,
    row: WordArray,
    blank: WordArray,
    fields: WordArray,
    promoted: PromotedKeys,
    best: WordArray,
    keys: Keys,
    stamp: int,
    seed: Word,
    out: ByteArray,
    to: int,
) -> tuple[int, int]:
    # Numbers into row, bounds into fields, attributes into the heap. Where writing ended (or UNUSUAL), and
    # how many events and links there are.
    row[:] = blank
    fields[:] = 0
    best[:] = _NO_PRIORITY
    begin, attributes, parts = to, 0, 0
    begin_list(keys)
    out[to] = 123
    to += 1
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL, 0
        if tag == 74:
            start, at = read_run(data, at, end)
            attributes += 1
            if at < 0 or attributes > MAX_KEYS:
                return UNUSUAL, 0
            if attributes > 1:
                out[to] = 44
                to += 1
            to, slot, first, last = write_attribute(data, start, at, out, to, keys, stamp, promoted, seed)
            if to < 0:
                return UNUSUAL, 0
            column, priority = promotion(keys, slot)
            if column >= 0:
                _promote(data, column, priority, first, last, promoted, best, row)
        elif _is_number(tag):
            at = _read_number(data, at, end, tag, row)
        elif _run_column(tag) >= 0:
            column = _run_column(tag)
            start, at = read_run(data, at, end)
            if column == _SPAN_STATUS and fields[column + 1]:
                return UNUSUAL, 0
            fields[column], fields[column + 1] = start, at
        else:
            parts += tag == 90 or tag == 106
            at = skip_field(data, at, end, tag)
        if at < 0:
            return UNUSUAL, 0
    if fields[_SPAN_STATUS + 1] and not _read_status(
        data, fields[_SPAN_STATUS], fields[_SPAN_STATUS + 1], row, fields
    ):
        return UNUSUAL, 0
    out[to] = 125
    row[ATTRIBUTES], row[ATTRIBUTES + 1] = begin, to + 1 - begin
    return to + 1, parts


@njit(cache=True, nogil=True, forceinline=True)
def _write_texts(
    data: ByteArray,
    fields: WordArray,
    row: WordArray,
    promoted: PromotedKeys,
    best: WordArray,
    out: ByteArray,
    to: int,
) -> int:
    to = _copy_promoted(data, promoted, best, row, out, to)
    to = _write_plain(data, fields[_NAME], fields[_NAME + 1], out, to, row, OPERATION)
    if to >= 0:
        to = _write_optional(data, fields[_STATE], fields[_STATE + 1], out, to, row, TRACE_STATE)
    if to >= 0:
        to = _write_optional(data, fields[_MESSAGE], fields[_MESSAGE + 1], out, to, row, STATUS_MESSAGE)
    return to


@njit(cache=True, nogil=True, forceinline=True)
def _judge(data: ByteArray, fields: WordArray, row: WordArray) -> tuple[int, int]:
    # Check and read times and ids. Why the span cannot be stored (0: it can), and a detail.
    start, end = np.uint64(row[START]), np.uint64(row[DURATION])
    if end < start:
        return ENDS_BEFORE_START, 0
    if end > np.uint64(_MAX_TIME):
        return BEYOND_2262, 0
    row[DURATION] = np.int64(end - start)
    length = fields[_TRACE_ID + 1] - fields[_TRACE_ID]
    if length != 16:
        return TRACE_ID_LENGTH, length
    first, second = load64(data, fields[_TRACE_ID]), load64(data, fields[_TRACE_ID] + 8)
    if first | second == np.uint64(0):
        return TRACE_ID_ZERO, 0
    row[TRACE_WORD_0], row[TRACE_WORD_1] = np.int64(first), np.int64(second)
    length = fields[_SPAN_ID + 1] - fields[_SPAN_ID]
    if length != 8:
        return SPAN_ID_LENGTH, length
    word = load64(data, fields[_SPAN_ID])
    if word == np.uint64(0):
        return SPAN_ID_ZERO, 0
    row[SPAN_ID] = np.int64(swap64(word))
    length = fields[_PARENT_ID + 1] - fields[_PARENT_ID]
    if length != 8 and length != 0:
        return PARENT_ID_LENGTH, length
    if length:
        row[PARENT_ID] = np.int64(swap64(load64(data, fields[_PARENT_ID])))
    return 0, 0


@njit(cache=True, nogil=True)
def _scan_part(
    data: ByteArray,
    at: int,
    end: int,
    is_link: bool,
    row: WordArray,
    promoted: PromotedKeys,
    keys: Keys,
    stamp: int,
    seed: Word,
    out: ByteArray,
    to: int,
) -> int:
    # An event or a link into row and heap. Where writing ended, or UNUSUAL (a link with a bad id is, too).
    row[1:] = 0
    begin, attributes = to, 0
    begin_list(keys)
    attribute_tag = 34 if is_link else 26
    text_start, text_end, id_start, id_end, span_start, span_end = 0, 0, 0, 0, 0, 0
    out[to] = 123
    to += 1
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL
        if tag == attribute_tag:
            start, at = read_run(data, at, end)
            attributes += 1
            if at < 0 or attributes > MAX_KEYS:
                return UNUSUAL
            if attributes > 1:
                out[to] = 44
                to += 1
            to, _, _, _ = write_attribute(data, start, at, out, to, keys, stamp, promoted, seed)
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
            row[LINK_FLAGS] = np.int64(load32(data, at))
            at += 4
        else:
            at = skip_field(data, at, end, tag)
        if at < 0:
            return UNUSUAL
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
    return _write_optional(data, text_start, text_end, out, to + 1, row, LINK_STATE)


@njit(cache=True, nogil=True)
def _note(rejected: WordArray, count: int, reason: int, detail: int) -> int:
    # Count a rejection; equal ones share a row. How many rows there are, UNUSUAL when they do not suffice.
    for index in range(count):
        if rejected[index, 0] == reason and rejected[index, 1] == detail:
            rejected[index, 2] += 1
            return count
    if count == len(rejected):
        return UNUSUAL
    rejected[count, 0], rejected[count, 1], rejected[count, 2] = reason, detail, 1
    return count + 1


@njit(cache=True, nogil=True)
def _scan(
    data: ByteArray,
    hashes: WordArray,
    columns: WordArray,
    priorities: WordArray,
    is_integer: WordArray,
    lengths: WordArray,
    known: WordArray,
    texts: ByteArray,
    used: WordArray,
    nested: WordArray,
    stack: WordArray,
    seed: Word,
    spans: WordArray,
    events: WordArray,
    links: WordArray,
    resources: WordArray,
    scopes: WordArray,
    rejected: WordArray,
    out: ByteArray,
    spare: WordArray,
    blank: WordArray,
    fields: WordArray,
    best: WordArray,
) -> tuple[int, int, int, int, int]:
    # Rows into the arrays. How many spans (or a status), events, links, rejections, how much of the heap.
    # The fields of PromotedKeys and Keys come one by one: a dispatcher types tuples slowly.
    data, out = borrowed(data), borrowed(out)
    spans, events, links = borrowed(spans), borrowed(events), borrowed(links)
    resources, scopes, rejected = borrowed(resources), borrowed(scopes), borrowed(rejected)
    spare, blank = borrowed(spare), borrowed(blank)
    fields, best = borrowed(fields), borrowed(best)
    promoted = PromotedKeys(borrowed(hashes), borrowed(columns), borrowed(priorities), borrowed(is_integer))
    keys = Keys(
        borrowed(lengths),
        borrowed(known),
        borrowed(texts),
        borrowed(used),
        borrowed(nested),
        borrowed(stack),
    )
    to, stamp = 0, 0
    resource, scope, kept, event_count, link_count, reasons = 0, 0, 0, 0, 0, 0
    end = len(data)
    at = 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if tag != 10:
            at = skip_field(data, at, end, tag)
            continue
        group_at, at = read_run(data, at, end)
        while group_at < at:
            tag, group_at = read_tag(data, group_at, at)
            if tag != 18:
                group_at = _other_field(data, group_at, at, tag, resources, resource)
                if group_at < 0:
                    return UNUSUAL, 0, 0, 0, 0
                continue
            scope_at, group_at = read_run(data, group_at, at)
            while scope_at < group_at:
                tag, scope_at = read_tag(data, scope_at, group_at)
                if tag != 18:
                    scope_at = _other_field(data, scope_at, group_at, tag, scopes, scope)
                    if scope_at < 0:
                        return UNUSUAL, 0, 0, 0, 0
                    continue
                span_at, scope_at = read_run(data, scope_at, group_at)
                row = spans[kept] if kept < len(spans) else spare
                stamp += 1
                begin, first_event, first_link = to, event_count, link_count
                to, parts = _scan_span(
                    data, span_at, scope_at, row, blank, fields, promoted, best, keys, stamp, seed, out, to
                )
                if to < 0:
                    return UNUSUAL, 0, 0, 0, 0
                to = _write_texts(data, fields, row, promoted, best, out, to)
                if to < 0:
                    return UNUSUAL, 0, 0, 0, 0
                part_at = span_at
                while parts > 0:
                    tag, part_at = read_tag(data, part_at, scope_at)
                    if tag != 90 and tag != 106:
                        part_at = skip_field(data, part_at, scope_at, tag)
                        continue
                    parts -= 1
                    start, part_at = read_run(data, part_at, scope_at)
                    stamp += 1
                    if tag == 90:
                        if event_count == len(events):
                            return NO_ROOM, 0, 0, 0, 0
                        part = events[event_count]
                        event_count += 1
                    else:
                        if link_count == len(links):
                            return NO_ROOM, 0, 0, 0, 0
                        part = links[link_count]
                        link_count += 1
                    part[0] = kept
                    to = _scan_part(
                        data, start, part_at, tag == 106, part, promoted, keys, stamp, seed, out, to
                    )
                    if to < 0:
                        return UNUSUAL, 0, 0, 0, 0
                reason, detail = _judge(data, fields, row)
                if reason:
                    reasons = _note(rejected, reasons, reason, detail)
                    if reasons < 0:
                        return UNUSUAL, 0, 0, 0, 0
                    to, event_count, link_count = begin, first_event, first_link
                    continue
                row[RESOURCE], row[SCOPE] = resource, scope
                row[SPAN_BEGIN], row[SPAN_END] = span_at, scope_at
                kept += 1
            scope += 1
        resource += 1
    return kept, event_count, link_count, reasons, to


class _Scratch(threading.local):
    """What a scan needs besides its results: kept by each thread, since making it costs more than a scan."""

    def __init__(self) -> None:
        self.keys = new_keys()
        self._heap = np.empty(0, np.uint8)

    def heap(self, size: int) -> ByteArray:
        """At least ``size`` bytes; what is large is not kept."""
        if size > _KEPT_HEAP_BYTES:
            return np.empty(size, np.uint8)
        if size > len(self._heap):
            self._heap = np.empty(min(2 * size, _KEPT_HEAP_BYTES), np.uint8)
        return self._heap


_scratch = _Scratch()


def scan_traces(data: ByteArray, promoted: PromotedKeys, *, seed: int) -> Scanned:
    """Scan an encoded request, uint8 of shape (n,); ``seed`` is the one that ``promoted`` was made with.

    O(n) time; memory up to eight times the message while it is scanned.
    """
    resource_count, scope_count, span_count = _sizes(data)
    width = PROMOTED + 2 * len(promoted.is_integer)
    if resource_count < 0:
        return _nothing(width)
    spans = np.empty((span_count, width), np.int64)
    rejected = np.empty((_MAX_REASONS, 3), np.int64)
    heap = _scratch.heap(6 * len(data) + 4 * SLACK)
    fields = np.empty(_FIELDS, np.int64), np.empty(len(promoted.is_integer), np.int64)
    blank = np.zeros(width, np.int64)
    blank[PROMOTED + 1 :: 2] = -1
    room = span_count // 4 + 64
    while True:
        resources, scopes = np.zeros((resource_count, 4), np.int64), np.zeros((scope_count, 4), np.int64)
        events, links = np.empty((room, EVENT_COLUMNS), np.int64), np.empty((room, LINK_COLUMNS), np.int64)
        keys = _scratch.keys
        forget(keys)
        kept, event_count, link_count, reasons, used = _scan(
            data,
            promoted.hashes,
            promoted.columns,
            promoted.priorities,
            promoted.is_integer,
            keys.lengths,
            keys.known,
            keys.texts,
            keys.used,
            keys.nested,
            keys.stack,
            np.uint64(seed),
            spans,
            events,
            links,
            resources,
            scopes,
            rejected,
            heap,
            np.empty(width, np.int64),
            blank,
            *fields,
        )
        if kept == NO_ROOM:
            room *= 4
            continue
        if kept < 0:
            return _nothing(width)
        return Scanned(
            0,
            spans[:kept],
            events[:event_count].copy(),
            links[:link_count].copy(),
            resources,
            scopes,
            rejected[:reasons].copy(),
            heap[:used].copy(),
        )


@njit(cache=True, nogil=True)
def _fingerprints(
    data: ByteArray, spans: WordArray, resources: WordArray, seed: Word, out: WordArray
) -> None:
    of_resource, hashed = np.int64(-1), np.uint64(0)
    for index in range(len(spans)):
        resource = spans[index, RESOURCE]
        if resource != of_resource:
            of_resource = resource
            hashed = xxh64(data, resources[resource, 0], resources[resource, 1], seed)
        first, second = np.uint64(spans[index, TRACE_WORD_0]), np.uint64(spans[index, TRACE_WORD_1])
        span_id = swap64(np.uint64(spans[index, SPAN_ID]))
        out[index, 0] = np.int64(xxh64_of_words(first, second, span_id, seed))
        out[index, 1] = np.int64(xxh64(data, spans[index, SPAN_BEGIN], spans[index, SPAN_END], hashed))


def fingerprints(data: ByteArray, scanned: Scanned, *, seed: int) -> WordArray:
    """Two hashes a span, int64 of shape (n, 2), by which a copy of it is known.

    The first is XXH64 of its trace and span id (24 bytes), the second that of its encoded bytes, seeded with
    that of its encoded resource; both of the latter are seeded with ``seed``.
    """
    out = np.empty((len(scanned.spans), 2), np.int64)
    _fingerprints(data, scanned.spans, scanned.resources, np.uint64(seed), out)
    return out


def _nothing(width: int) -> Scanned:
    def empty(columns: int) -> WordArray:
        return np.empty((0, columns), np.int64)

    heap = np.empty(0, np.uint8)
    return Scanned(
        UNUSUAL, empty(width), empty(EVENT_COLUMNS), empty(LINK_COLUMNS), empty(4), empty(4), empty(3), heap
    )
