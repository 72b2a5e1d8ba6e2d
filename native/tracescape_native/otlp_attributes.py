"""OTLP attribute lists from the wire into JSON text, or key by key into columns.

The text is what ``tracescape_storage.attributes`` describes: bytes and doubles that JSON lacks are one-key
objects, a leading ``$`` of a key is doubled. What an encoder does not write (a key twice in one list, a value
with two members, lists nested deeper than `MAX_DEPTH`) is `UNUSUAL`.

Arguments that all functions share: ``data``, of which ``limit`` bytes may be read; ``out`` and ``to``, where
to write; ``keys`` and ``texts`` as `Keys` describes them; ``columns`` of `column_keys`; ``seed``, secret, so
that no sender can aim at a hash table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.decimals import SMALL, write_double, write_signed, write_small
from tracescape_native.json_text import (
    SHORT,
    first,
    same_text,
    write_any_text,
    write_base64,
    write_text,
)
from tracescape_native.memory import (
    ByteArray,
    Word,
    WordArray,
    copy32,
    copy_bytes,
    differ32,
    load8,
    load32,
    load64,
    store8,
    store64,
    wrapping,
)
from tracescape_native.wire import UNUSUAL, read_run, read_tag, read_varint, skip_field

MAX_DEPTH: Final = 6
MAX_KEYS: Final = 256
#: Bytes behind an attribute's first that must be readable for it to be read quickly.
AHEAD: Final = 192

_SLOTS: Final = 2048
_MAX_KNOWN: Final = 512  # beyond that all is forgotten before the next list
_MAX_PROBES: Final = 32
_MAX_KEY_BYTES: Final = 1024
_TEXT_BYTES: Final = 1 << 20

#: Columns of a key.
LENGTH, AT, TEXT, TEXT_LENGTH, STAMP, PLACE, KEY_KIND, NEXT = range(8)
_KEY: Final = 8
_END: Final = _SLOTS * _KEY
#: A key that no list has: the one before the first.
BEFORE_FIRST: Final = _END
_COUNT: Final = _END + _KEY  # known keys
_USED: Final = _COUNT + 1  # bytes of texts
#: Where a caller counts its lists; a number is used once.
LISTS: Final = _COUNT + 2
_STACK: Final = _COUNT + _KEY
_STOP, _IS_MAP, _ITEMS, _RESUME = range(4)  # columns of the stack
_NESTED: Final = _STACK + 4 * MAX_DEPTH
_NESTED_KEYS: Final = 64
_KEY_WORDS: Final = _NESTED + MAX_DEPTH * _NESTED_KEYS

#: Tags of an AnyValue's members.
STRING: Final = 1 << 3 | 2
BOOL: Final = 2 << 3 | 0
INT: Final = 3 << 3 | 0
DOUBLE: Final = 4 << 3 | 1
_ARRAY: Final = 5 << 3 | 2
_MAP: Final = 6 << 3 | 2
_BYTES: Final = 7 << 3 | 2
_FIRST: Final = 1 << 3 | 2  # a KeyValue's key; the items of an ArrayValue or a KeyValueList
_VALUE: Final = 2 << 3 | 2  # a KeyValue's value

_EXPONENT: Final = np.uint64(0x7FF0000000000000)
_FRACTION: Final = np.uint64(0x000FFFFFFFFFFFFF)
_TRUE: Final = np.uint64(int.from_bytes(b"true", "little"))
_FALSE: Final = np.uint64(int.from_bytes(b"false", "little"))
_K: Final = np.uint64(0x9E3779B97F4A7C15)
_K2: Final = np.uint64(0xC2B2AE3D27D4EB4F)


class Keys(NamedTuple):
    """What is known of keys: most spans repeat those of others, in the same order.

    ``keys`` (int64) is an open-addressing table of `_SLOTS` keys, `_KEY` words each: their length + 1 (0: an
    empty slot), where their bytes are in ``texts`` (uint8), where their rendering ``,"key":"`` is there and
    how long it is without the last quote, the list that had them last, the place and the kind of their column
    (see `column_keys`), and the key that came next last time. Behind the table are counters, the open
    containers of a value that is written, and hashes of the keys of each open map.
    """

    keys: WordArray
    texts: ByteArray


def new_keys() -> Keys:
    """Nothing known; good for the lists of many messages, one after the other."""
    return Keys(np.zeros(_KEY_WORDS, np.int64), np.empty(_TEXT_BYTES, np.uint8))


#: Places of keys without a column: of no interest, or (from here down) to be told of.
NO_COLUMN: Final = -1
WANTED: Final = -100

_COLUMN_SLOTS: Final = 512
MAX_COLUMN_KEYS: Final = _COLUMN_SLOTS // 2


def column_keys(keys: dict[str, tuple[int, int]], seed: int) -> WordArray:
    """An open-addressing table of keys that have or want columns of their own: int64, shape (512 · 3,).

    ``keys`` maps each to a place and a kind, at most `MAX_COLUMN_KEYS` of them. A place is where the caller
    keeps the column's value, or `WANTED` - n for the n-th key that ought to have one; the kind is the tag of
    the values it takes. A row is their `key_hash`, place (`NO_COLUMN` for an empty row) and kind.
    """
    if len(keys) > MAX_COLUMN_KEYS:
        raise ValueError(f"{len(keys)} keys with columns; {MAX_COLUMN_KEYS} are possible")
    table = np.full(3 * _COLUMN_SLOTS, NO_COLUMN, np.int64)
    for key, (place, kind) in keys.items():
        data = np.frombuffer(key.encode(), np.uint8)
        hashed = np.uint64(_key_hash(data, 0, len(data), np.uint64(seed))).view(np.int64)
        slot = int(hashed) & (_COLUMN_SLOTS - 1)
        while table[3 * slot + 1] != NO_COLUMN:
            slot = (slot + 1) & (_COLUMN_SLOTS - 1)
        table[3 * slot : 3 * slot + 3] = hashed, place, kind
    return table


@njit(cache=True, nogil=True, forceinline=True)
def tail_word(data: ByteArray, start: int, end: int) -> Word:
    """Up to the last eight bytes of ``data[start:end]`` as a uint64; reads nothing beyond them."""
    if end - start >= 8:
        return load64(data, end - 8)
    word = np.uint64(0)
    for place in range(end - 1, start - 1, -1):
        word = (word << np.uint64(8)) | np.uint64(load8(data, place))
    return word


@njit(cache=True, nogil=True, inline="always")
def text_hash(head: Word, tail: Word, length: Word, seed: Word) -> Word:
    """A uint64 from the first and the last eight bytes of a text (the same where it has no more) and its
    length.

    The upper bits are well spread. Texts that differ only in between have the same hash.
    """
    mixed = ((seed ^ tail) * _K) ^ ((head + np.uint64(length)) * _K2)
    # A product carries upwards only: without this, texts that differ in their last bytes stand side by side.
    mixed ^= mixed >> np.uint64(32)
    return mixed * _K


@njit(cache=True, nogil=True)
def key_hash(data: ByteArray, start: int, end: int, seed: Word) -> Word:
    """A well spread uint64 of ``data[start:end]`` for tables that a sender cannot aim at."""
    total = seed ^ (np.uint64(end - start) * _K)
    at = start
    while at + 8 <= end:
        total = (total ^ load64(data, at)) * _K
        total ^= total >> np.uint64(32)
        at += 8
    total = (total ^ tail_word(data, at, end)) * _K
    total ^= total >> np.uint64(32)
    total *= _K
    return total ^ (total >> np.uint64(29))


_key_hash = wrapping(key_hash)


@njit(cache=True, nogil=True)
def read_pair(data: ByteArray, at: int, end: int) -> tuple[int, int, int, int]:
    """Bounds of a KeyValue's key and value; an absent value begins at -1. Begins at `UNUSUAL` for the key."""
    key_start, key_end, value_start, value_end = at, at, -1, -1
    keys = 0
    while at < end:
        tag, at = read_tag(data, at, end)
        if at < 0:
            return UNUSUAL, 0, 0, 0
        if tag == _FIRST:
            key_start, key_end = read_run(data, at, end)
            at = key_end
            keys += 1
        elif tag == _VALUE:
            if value_start >= 0:
                return UNUSUAL, 0, 0, 0
            value_start, value_end = read_run(data, at, end)
            at = value_end
        else:
            at = skip_field(data, at, end, tag)
        if at < 0 or keys > 1:
            return UNUSUAL, 0, 0, 0
    return key_start, key_end, value_start, value_end


@njit(cache=True, nogil=True)
def _write_key(data: ByteArray, start: int, end: int, limit: int, out: ByteArray, to: int) -> int:
    # The key in quotes and a colon.
    store8(out, to, 34)
    to += 1
    if start < end and load8(data, start) == 36:
        store8(out, to, 36)
        to += 1
    to = write_any_text(data, start, end, limit, out, to)
    if to < 0:
        return to
    store8(out, to, 34)
    store8(out, to + 1, 58)
    return to + 2


@njit(cache=True, nogil=True, forceinline=True)
def _write_word(out: ByteArray, to: int, text: bytes) -> int:
    for place in range(len(text)):
        store8(out, to + place, text[place])
    return to + len(text)


@njit(cache=True, nogil=True, inline="always")
def _write_double(bits: Word, out: ByteArray, to: int) -> int:
    if (bits & _EXPONENT) != _EXPONENT:
        return write_double(out, to, bits)
    to = _write_word(out, to, b'{"$double":"')
    if bits & _FRACTION:
        to = _write_word(out, to, b"NaN")
    elif bits >> np.uint64(63):
        to = _write_word(out, to, b"-Infinity")
    else:
        to = _write_word(out, to, b"Infinity")
    return _write_word(out, to, b'"}')


@njit(cache=True, nogil=True)
def _write_scalar(
    data: ByteArray, at: int, end: int, limit: int, tag: int, out: ByteArray, to: int
) -> tuple[int, int]:
    # A value that holds no others. Where reading and writing ended.
    if tag == STRING:
        start, stop = read_run(data, at, end)
        if stop < 0:
            return UNUSUAL, to
        store8(out, to, 34)
        to = write_any_text(data, start, stop, limit, out, to + 1)
        if to < 0:
            return stop, to
        store8(out, to, 34)
        return stop, to + 1
    if tag == INT:
        number, at = read_varint(data, at, end)
        return at, write_signed(out, to, number)
    if tag == BOOL:
        number, at = read_varint(data, at, end)
        return at, _write_word(out, to, b"true") if number else _write_word(out, to, b"false")
    if tag == DOUBLE:
        if at + 8 > end:
            return UNUSUAL, to
        return at + 8, _write_double(load64(data, at), out, to)
    if tag == _BYTES:
        start, stop = read_run(data, at, end)
        if stop < 0:
            return UNUSUAL, to
        to = _write_word(out, to, b'{"$bytes":"')
        to = write_base64(data, start, stop, out, to)
        return stop, _write_word(out, to, b'"}')
    return UNUSUAL, to


@njit(cache=True, nogil=True, inline="always")
def _write_item_key(
    data: ByteArray,
    key_start: int,
    key_end: int,
    limit: int,
    out: ByteArray,
    to: int,
    keys: WordArray,
    depth: int,
    seed: Word,
) -> int:
    # The key of an entry of the map at this depth of the stack, which must not have it yet.
    count = keys[_STACK + 4 * depth + _ITEMS]
    if count >= _NESTED_KEYS:
        return UNUSUAL
    hashed = np.int64(key_hash(data, key_start, key_end, seed))
    nested = _NESTED + depth * _NESTED_KEYS
    for index in range(nested, nested + count):
        if keys[index] == hashed:
            return UNUSUAL
    keys[nested + count] = hashed
    return _write_key(data, key_start, key_end, limit, out, to)


@njit(cache=True, nogil=True, inline="always")
def _write_nested(
    data: ByteArray, at: int, end: int, limit: int, out: ByteArray, to: int, keys: WordArray, seed: Word
) -> int:
    # A value that is a list or a map. Containers wait on a stack for their items: their end, whether they are
    # maps, how many items they have, and where to go on once they are closed.
    depth = -1
    resume = end
    while True:
        if at == end or at < 0:
            to = _write_word(out, to, b"null")
        else:
            tag, at = read_tag(data, at, end)
            if at < 0:
                return UNUSUAL
            if tag in (_ARRAY, _MAP):
                start, stop = read_run(data, at, end)
                depth += 1
                if stop != end or depth >= MAX_DEPTH:
                    return UNUSUAL
                top = _STACK + 4 * depth
                keys[top + _STOP], keys[top + _IS_MAP] = end, tag == _MAP
                keys[top + _ITEMS], keys[top + _RESUME] = 0, resume
                store8(out, to, 123 if tag == _MAP else 91)
                to += 1
                resume = start
            else:
                at, to = _write_scalar(data, at, end, limit, tag, out, to)
                if at != end or to < 0:
                    return to if to < 0 else UNUSUAL
        at = resume
        while depth >= 0 and at == keys[_STACK + 4 * depth + _STOP]:
            store8(out, to, 125 if keys[_STACK + 4 * depth + _IS_MAP] else 93)
            to += 1
            at = keys[_STACK + 4 * depth + _RESUME]
            depth -= 1
        if depth < 0:
            return to
        top = _STACK + 4 * depth
        item, at = read_tag(data, at, keys[top + _STOP])
        if at < 0 or item != _FIRST:
            return UNUSUAL
        start, resume = read_run(data, at, keys[top + _STOP])
        if resume < 0:
            return UNUSUAL
        if keys[top + _ITEMS]:
            store8(out, to, 44)
            to += 1
        at, end = start, resume
        if keys[top + _IS_MAP]:
            key_start, key_end, at, end = read_pair(data, start, resume)
            if key_start < 0:
                return UNUSUAL
            to = _write_item_key(data, key_start, key_end, limit, out, to, keys, depth, seed)
            if to < 0:
                return to
        keys[top + _ITEMS] += 1


@njit(cache=True, nogil=True)
def write_value(
    data: ByteArray, at: int, end: int, limit: int, out: ByteArray, to: int, keys: WordArray, seed: Word
) -> int:
    """Write the AnyValue ``data[at:end]``; ``at`` is -1 for an absent one. Returns where writing ended."""
    if at == end or at < 0:
        return _write_word(out, to, b"null")
    tag, start = read_tag(data, at, end)
    if start < 0:
        return UNUSUAL
    if tag in (_ARRAY, _MAP):
        return _write_nested(data, at, end, limit, out, to, keys, seed)
    stop, to = _write_scalar(data, start, end, limit, tag, out, to)
    return to if stop == end or to < 0 else UNUSUAL


@njit(cache=True, nogil=True)
def forget(keys: WordArray) -> None:
    """Know nothing any more."""
    for place in range(_COUNT):
        keys[place] = 0
    keys[_COUNT], keys[_USED] = 0, 0


@njit(cache=True, nogil=True, inline="always")
def begin_list(keys: WordArray) -> Word:
    """Make room before a list of attributes; the list's number, which its keys are marked with."""
    if keys[_COUNT] > _MAX_KNOWN or 2 * keys[_USED] > _TEXT_BYTES:
        forget(keys)
    keys[LISTS] += 1
    return keys[LISTS]


@njit(cache=True, nogil=True, inline="always")
def _learn(
    data: ByteArray,
    start: int,
    end: int,
    limit: int,
    keys: WordArray,
    texts: ByteArray,
    slot: Word,
    columns: WordArray,
    seed: Word,
) -> Word:
    # Enter a key into its slot. The slot, BAD_TEXT or UNUSUAL.
    length = end - start
    raw = keys[_USED]
    text = raw + length + SHORT
    if length > _MAX_KEY_BYTES or text + 6 * length + 128 > _TEXT_BYTES:
        return np.int64(UNUSUAL)
    copy_bytes(texts, raw, data, start, length)
    store8(texts, text, 44)
    stop = _write_key(data, start, end, limit, texts, text + 1)
    if stop < 0:
        return np.int64(stop)
    store8(texts, stop, 34)
    hashed = np.int64(key_hash(data, start, end, seed))
    row = hashed & (_COLUMN_SLOTS - 1)
    while columns[3 * row + 1] != NO_COLUMN and columns[3 * row] != hashed:
        row = (row + 1) & (_COLUMN_SLOTS - 1)
    keys[slot + LENGTH], keys[slot + AT] = length + 1, raw
    keys[slot + TEXT], keys[slot + TEXT_LENGTH], keys[slot + STAMP] = text, stop - text, 0
    keys[slot + PLACE], keys[slot + KEY_KIND] = columns[3 * row + 1], columns[3 * row + 2]
    keys[slot + NEXT] = BEFORE_FIRST
    keys[_COUNT] += 1
    keys[_USED] = stop + 2 * SHORT  # short texts are copied whole
    return slot


@njit(cache=True, nogil=True)
def _find_key(
    data: ByteArray,
    start: int,
    end: int,
    limit: int,
    keys: WordArray,
    texts: ByteArray,
    before: int,
    columns: WordArray,
    seed: Word,
) -> Word:
    # The slot of a key, which is learnt if it is new; negative as _learn says. ``before`` is the slot of the
    # key before it in its list, which remembers it.
    length = end - start
    head, tail = tail_word(data, start, min(start + 8, end)), tail_word(data, start, end)
    index = np.int64(text_hash(head, tail, length, seed) >> np.uint64(53))
    for _ in range(_MAX_PROBES):
        slot = index * _KEY
        if keys[slot + LENGTH] == 0:
            slot = _learn(data, start, end, limit, keys, texts, slot, columns, seed)
            if slot >= 0:
                keys[before + NEXT] = slot
            return slot
        if keys[slot + LENGTH] == length + 1 and same_text(data, start, texts, keys[slot + AT], length):
            keys[before + NEXT] = slot
            return slot
        index = (index + 1) & (_SLOTS - 1)
    return np.int64(UNUSUAL)


@njit(cache=True, nogil=True)
def _find_any(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    keys: WordArray,
    texts: ByteArray,
    before: int,
    stamp: int,
    columns: WordArray,
    seed: Word,
) -> tuple[Word, int, int]:
    # As find_attribute, for any KeyValue.
    key_start, key_end, value_start, value_end = read_pair(data, at, end)
    if key_start < 0:
        return np.int64(UNUSUAL), 0, 0
    slot = _find_key(data, key_start, key_end, limit, keys, texts, before, columns, seed)
    if slot < 0 or keys[slot + STAMP] == stamp:
        return np.int64(UNUSUAL), 0, 0
    keys[slot + STAMP] = stamp
    return slot, value_start, value_end


@njit(cache=True, nogil=True, inline="always")
def find_attribute(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    keys: WordArray,
    texts: ByteArray,
    before: int,
    stamp: int,
    columns: WordArray,
    seed: Word,
) -> tuple[Word, int, int]:
    """The slot in ``keys`` of the key of the KeyValue ``data[at:end]``, and the bounds of its value.

    ``before`` is the slot of the key before it in its list, or `BEFORE_FIRST`; ``stamp`` is the list's
    number. The slot is `UNUSUAL` for what is no KeyValue and for a key that the list has already; an absent
    value begins at -1.
    """
    # A key and a value, both shorter than 128 bytes, a key that is expected here: straight through.
    if at + AHEAD > limit or end - at < 6:
        return _find_any(data, at, end, limit, keys, texts, before, stamp, columns, seed)
    length = load8(data, at + 1)
    key_end = at + 2 + length
    head = load32(data, key_end) if length < 0x80 else 0
    value = key_end + 2
    if load8(data, at) != _FIRST or (head & 0x80FF) != _VALUE or value + (head >> 8 & 0x7F) != end:
        return _find_any(data, at, end, limit, keys, texts, before, stamp, columns, seed)
    slot = keys[before + NEXT]
    if (
        keys[slot + LENGTH] != length + 1
        or length > SHORT
        or (differ32(data, at + 2, texts, keys[slot + AT]) & first(length)) != 0
    ):
        slot = _find_key(data, at + 2, key_end, limit, keys, texts, before, columns, seed)
    if slot < 0 or keys[slot + STAMP] == stamp:
        return np.int64(UNUSUAL), 0, 0
    keys[slot + STAMP] = stamp
    return slot, value, end


@njit(cache=True, nogil=True, inline="always")
def write_found(
    data: ByteArray,
    at: int,
    end: int,
    limit: int,
    out: ByteArray,
    to: int,
    keys: WordArray,
    texts: ByteArray,
    slot: Word,
    seed: Word,
) -> int:
    """Write ``,"key":value`` of what `find_attribute` found. Where writing ended, `BAD_TEXT` or `UNUSUAL`."""
    length = keys[slot + TEXT_LENGTH]
    if length < SHORT:
        copy32(out, to, texts, keys[slot + TEXT])
    else:
        copy_bytes(out, to, texts, keys[slot + TEXT], length + 1)
    to += length
    if at < 0 or end - at < 2:
        return write_value(data, at, end, limit, out, to, keys, seed)
    kind, second = load8(data, at), load8(data, at + 1)
    if kind == STRING and second < 0x80 and at + 2 + second == end:
        to = write_text(data, at + 2, end, limit, out, to + 1)
        if to < 0:
            return to
        store8(out, to, 34)
        return to + 1
    if kind == INT and (end - at == 2 or end - at == 3):
        number = second if end - at == 2 else (second & 0x7F) | (load8(data, end - 1) << 7)
        if (end - at == 2) == (second < 0x80) and number < SMALL:
            return int(write_small(out, to, number))
    if kind == BOOL and end - at == 2 and second < 2:
        store64(out, to, _TRUE if second else _FALSE)
        return int(to + 5 - second)
    return write_value(data, at, end, limit, out, to, keys, seed)
