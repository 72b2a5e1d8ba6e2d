"""OTLP attribute lists from the wire into JSON text.

The text is what ``tracescape_storage.attributes`` describes: bytes and doubles that JSON lacks are one-key
objects, a leading ``$`` of a key is doubled. What an encoder does not write (a key twice in one list, a value
with two members, lists nested deeper than `MAX_DEPTH`) is `UNUSUAL`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.decimals import write_double, write_signed
from tracescape_native.json_text import BAD_TEXT, SHORT, copy_short, same_short, write_base64, write_text
from tracescape_native.memory import ByteArray, Word, WordArray, copy_bytes, load8, load64, store8
from tracescape_native.wire import UNUSUAL, read_run, read_tag, read_varint, skip_field

MAX_DEPTH: Final = 6
MAX_KEYS: Final = 256
_SLOTS: Final = 1024
_MAX_KNOWN: Final = 512  # beyond that all is forgotten before the next list
_MAX_PROBES: Final = 32
_MAX_KEY_BYTES: Final = 1024
_TEXT_BYTES: Final = 1 << 20
_AT, _TEXT, _TEXT_LENGTH, _STAMP, _COLUMN, _PRIORITY = range(6)  # what Keys.known says of a key
_KNOWN: Final = 8
_NESTED_KEYS: Final = 64
_STOP, _IS_MAP, _COUNT, _RESUME = range(4)  # columns of Keys.stack

_STRING: Final = 1 << 3 | 2
_BOOL: Final = 2 << 3 | 0
_INT: Final = 3 << 3 | 0
_DOUBLE: Final = 4 << 3 | 1
_ARRAY: Final = 5 << 3 | 2
_MAP: Final = 6 << 3 | 2
_BYTES: Final = 7 << 3 | 2
_FIRST: Final = 1 << 3 | 2  # a KeyValue's key; the items of an ArrayValue or a KeyValueList
_VALUE: Final = 2 << 3 | 2  # a KeyValue's value

_EXPONENT: Final = np.uint64(0x7FF0000000000000)
_FRACTION: Final = np.uint64(0x000FFFFFFFFFFFFF)
_K: Final = np.uint64(0x9E3779B97F4A7C15)
_K2: Final = np.uint64(0xC2B2AE3D27D4EB4F)


class Keys(NamedTuple):
    """What is known of the keys of one message: most spans repeat the keys of others.

    ``lengths`` (int64, shape (`_SLOTS`,)) is an open-addressing table: a key's length + 1, or 0. ``known``
    (int64, `_KNOWN` a slot) has where the key stands in the message, its text as JSON in ``texts``
    (uint8), the list that had it last, and the column and priority of a promoted key (-1 for another).
    ``used`` (int64, shape (2,)) counts keys and bytes of ``texts``. ``nested`` (uint64) holds the hashes of
    the keys of each open map, ``stack`` (int64) the open containers.
    """

    lengths: WordArray
    known: WordArray
    texts: ByteArray
    used: WordArray
    nested: WordArray
    stack: WordArray


def new_keys() -> Keys:
    """Nothing known; good for the lists of one message, whose stamps grow from 1."""
    return Keys(
        np.zeros(_SLOTS, np.int64),
        np.empty(_SLOTS * _KNOWN, np.int64),
        np.empty(_TEXT_BYTES, np.uint8),
        np.zeros(2, np.int64),
        np.empty((MAX_DEPTH, _NESTED_KEYS), np.uint64),
        np.empty((MAX_DEPTH, 4), np.int64),
    )


def forget(keys: Keys) -> None:
    """Make ``keys`` good for another message."""
    keys.lengths[:] = 0
    keys.used[:] = 0


class PromotedKeys(NamedTuple):
    """Attribute keys that fill columns of their own: an open-addressing table over `key_hash`.

    ``hashes`` uint64; ``columns`` int64, -1 for an empty slot; ``priorities`` int64, the lowest key that is
    set wins its column; ``is_integer`` int64 of shape (columns,).
    """

    hashes: WordArray
    columns: WordArray
    priorities: WordArray
    is_integer: WordArray


def promoted_keys(columns: list[tuple[tuple[str, ...], bool]], seed: int) -> PromotedKeys:
    """The table for ``columns``, each the keys in order of preference and whether it holds integers."""
    size = 256
    table = PromotedKeys(
        np.zeros(size, np.uint64),
        np.full(size, -1, np.int64),
        np.zeros(size, np.int64),
        np.array([integer for _, integer in columns], np.int64),
    )
    for column, (keys, _) in enumerate(columns):
        for priority, key in enumerate(keys):
            data = np.frombuffer(key.encode(), np.uint8)
            hashed = key_hash(data, 0, len(data), np.uint64(seed))
            slot = int(hashed) & (size - 1)
            while table.columns[slot] >= 0:
                slot = (slot + 1) & (size - 1)
            table.hashes[slot], table.columns[slot], table.priorities[slot] = hashed, column, priority
    return table


@njit(cache=True, nogil=True)
def key_hash(data: ByteArray, start: int, end: int, seed: Word) -> Word:
    """A well spread uint64 of ``data[start:end]`` for tables that a sender cannot aim at."""
    total = seed ^ (np.uint64(end - start) * _K)
    at = start
    while at + 8 <= end:
        total = (total ^ load64(data, at)) * _K
        total ^= total >> np.uint64(32)
        at += 8
    if at < end:
        if at + 8 <= len(data):
            word = load64(data, at) & ((np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1))
        else:
            word = np.uint64(0)
            for place in range(end - 1, at - 1, -1):
                word = (word << np.uint64(8)) | np.uint64(load8(data, place))
        total = (total ^ word) * _K
        total ^= total >> np.uint64(32)
    total *= _K
    return total ^ (total >> np.uint64(29))


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
def _write_key(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    # The key in quotes and a colon.
    store8(out, to, 34)
    to += 1
    if start < end and load8(data, start) == 36:
        store8(out, to, 36)
        to += 1
    to = write_text(data, start, end, out, to)
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


@njit(cache=True, nogil=True)
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
def _write_scalar(data: ByteArray, at: int, end: int, tag: int, out: ByteArray, to: int) -> tuple[int, int]:
    # A value that holds no others. Where reading and writing ended.
    if tag == _STRING:
        start, stop = read_run(data, at, end)
        if stop < 0:
            return UNUSUAL, to
        store8(out, to, 34)
        to = write_text(data, start, stop, out, to + 1)
        if to < 0:
            return stop, to
        store8(out, to, 34)
        return stop, to + 1
    if tag == _INT:
        number, at = read_varint(data, at, end)
        return at, write_signed(out, to, number)
    if tag == _BOOL:
        number, at = read_varint(data, at, end)
        return at, _write_word(out, to, b"true") if number else _write_word(out, to, b"false")
    if tag == _DOUBLE:
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


@njit(cache=True, nogil=True)
def _is_new(nested: WordArray, depth: int, count: int, hashed: Word) -> bool:
    for index in range(count):
        if nested[depth, index] == hashed:
            return False
    nested[depth, count] = hashed
    return True


@njit(cache=True, nogil=True)
def _write_item_key(
    data: ByteArray, key_start: int, key_end: int, out: ByteArray, to: int, keys: Keys, depth: int, seed: Word
) -> int:
    # The key of an entry of the map at this depth of the stack, which must not have it yet.
    count = keys.stack[depth, _COUNT]
    if count >= _NESTED_KEYS:
        return UNUSUAL
    if not _is_new(keys.nested, depth, count, key_hash(data, key_start, key_end, seed)):
        return UNUSUAL
    return _write_key(data, key_start, key_end, out, to)


@njit(cache=True, nogil=True)
def write_value(data: ByteArray, at: int, end: int, out: ByteArray, to: int, keys: Keys, seed: Word) -> int:
    """Write the AnyValue ``data[at:end]``; ``at`` is -1 for an absent one. Returns where writing ended.

    Containers wait on a stack for their items: their end, whether they are maps, how many items they have,
    and where to go on once they are closed.
    """
    stack = keys.stack
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
                stack[depth, _STOP], stack[depth, _IS_MAP] = end, tag == _MAP
                stack[depth, _COUNT], stack[depth, _RESUME] = 0, resume
                store8(out, to, 123 if tag == _MAP else 91)
                to += 1
                resume = start
            else:
                at, to = _write_scalar(data, at, end, tag, out, to)
                if at != end or to < 0:
                    return to if to < 0 else UNUSUAL
        at = resume
        while depth >= 0 and at == stack[depth, _STOP]:
            store8(out, to, 125 if stack[depth, _IS_MAP] else 93)
            to += 1
            at = stack[depth, _RESUME]
            depth -= 1
        if depth < 0:
            return to
        item, at = read_tag(data, at, stack[depth, _STOP])
        if at < 0 or item != _FIRST:
            return UNUSUAL
        start, resume = read_run(data, at, stack[depth, _STOP])
        if resume < 0:
            return UNUSUAL
        if stack[depth, _COUNT]:
            store8(out, to, 44)
            to += 1
        at, end = start, resume
        if stack[depth, _IS_MAP]:
            key_start, key_end, at, end = read_pair(data, start, resume)
            if key_start < 0:
                return UNUSUAL
            to = _write_item_key(data, key_start, key_end, out, to, keys, depth, seed)
            if to < 0:
                return to
        stack[depth, _COUNT] += 1


@njit(cache=True, nogil=True, forceinline=True)
def begin_list(keys: Keys) -> None:
    """Make room before a list of attributes."""
    if keys.used[0] > _MAX_KNOWN or 2 * keys.used[1] > _TEXT_BYTES:
        keys.lengths[:] = 0
        keys.used[:] = 0


@njit(cache=True, nogil=True, forceinline=True)
def _word_at(data: ByteArray, start: int, end: int) -> Word:
    # The first eight bytes of data[start:end], or all of them above zeros.
    if start + 8 <= end:
        return load64(data, start)
    if start + 8 <= len(data):
        return load64(data, start) & ((np.uint64(1) << np.uint64(8 * (end - start))) - np.uint64(1))
    word = np.uint64(0)
    for place in range(end - 1, start - 1, -1):
        word = (word << np.uint64(8)) | np.uint64(load8(data, place))
    return word


@njit(cache=True, nogil=True)
def _learn(
    data: ByteArray, start: int, end: int, keys: Keys, slot: int, promoted: PromotedKeys, seed: Word
) -> Word:
    # Enter a key into its slot. The slot, BAD_TEXT or UNUSUAL.
    text = keys.used[1]
    if end - start > _MAX_KEY_BYTES or text + 6 * (end - start) + 64 > _TEXT_BYTES:
        return np.int64(UNUSUAL)
    stop = _write_key(data, start, end, keys.texts, text)
    if stop < 0:
        return stop
    hashed = key_hash(data, start, end, seed)
    last = len(promoted.hashes) - 1
    place = np.int64(hashed & np.uint64(last))
    while promoted.columns[place] >= 0 and promoted.hashes[place] != hashed:
        place = (place + 1) & last
    keys.lengths[slot] = end - start + 1
    known = slot * _KNOWN
    keys.known[known + _AT] = start
    keys.known[known + _TEXT], keys.known[known + _TEXT_LENGTH] = text, stop - text
    keys.known[known + _STAMP] = 0
    keys.known[known + _COLUMN] = promoted.columns[place]
    keys.known[known + _PRIORITY] = promoted.priorities[place]
    keys.used[0] += 1
    keys.used[1] = stop + SHORT  # short texts are copied whole
    return slot


@njit(cache=True, nogil=True)
def _find_slowly(
    data: ByteArray, start: int, end: int, slot: Word, keys: Keys, promoted: PromotedKeys, seed: Word
) -> Word:
    # The slot of a key, looked for from where it should be, or learnt; negative as _learn says.
    length = end - start
    for _ in range(_MAX_PROBES):
        if keys.lengths[slot] == 0:
            return _learn(data, start, end, keys, slot, promoted, seed)
        if keys.lengths[slot] == length + 1:
            other = keys.known[slot * _KNOWN + _AT]
            at = 0
            while at < length and load8(data, start + at) == load8(data, other + at):
                at += 1
            if at == length:
                return slot
        slot = (slot + 1) & (_SLOTS - 1)
    return np.int64(UNUSUAL)


@njit(cache=True, nogil=True, forceinline=True)
def _find_key(data: ByteArray, start: int, end: int, keys: Keys, promoted: PromotedKeys, seed: Word) -> Word:
    # The slot of a key: nearly always the first that is looked at.
    length = end - start
    word = _word_at(data, start, end)
    tail = _word_at(data, max(start, end - 8), end)
    mixed = (tail ^ seed) * _K ^ (word + np.uint64(length)) * _K2
    slot = np.int64(mixed >> np.uint64(54))
    if keys.lengths[slot] == length + 1 and same_short(data, start, keys.known[slot * _KNOWN + _AT], length):
        return slot
    return _find_slowly(data, start, end, slot, keys, promoted, seed)


@njit(cache=True, nogil=True)
def _write_pair(
    data: ByteArray,
    at: int,
    end: int,
    out: ByteArray,
    to: int,
    keys: Keys,
    stamp: int,
    promoted: PromotedKeys,
    seed: Word,
) -> tuple[int, int, int, int]:
    # Any KeyValue; returns as write_attribute does.
    key_start, key_end, value_start, value_end = read_pair(data, at, end)
    if key_start < 0:
        return UNUSUAL, 0, 0, 0
    slot = _find_key(data, key_start, key_end, keys, promoted, seed)
    if slot < 0:
        return slot, 0, 0, 0
    known = slot * _KNOWN
    if keys.known[known + _STAMP] == stamp:
        return UNUSUAL, 0, 0, 0
    keys.known[known + _STAMP] = stamp
    length = keys.known[known + _TEXT_LENGTH]
    copy_bytes(out, to, keys.texts, keys.known[known + _TEXT], length)
    to = write_value(data, value_start, value_end, out, to + length, keys, seed)
    return to, slot, value_start, value_end


@njit(cache=True, nogil=True, forceinline=True)
def write_attribute(
    data: ByteArray,
    at: int,
    end: int,
    out: ByteArray,
    to: int,
    keys: Keys,
    stamp: int,
    promoted: PromotedKeys,
    seed: Word,
) -> tuple[int, int, int, int]:
    """Write the KeyValue ``data[at:end]`` as ``"key":value``.

    Returns where writing ended (or `BAD_TEXT`, `UNUSUAL`), the slot of the key in ``keys``, and the bounds
    of the value. A key that the list with this stamp has already is `UNUSUAL`.
    """
    # A key and a string value, both shorter than 128 bytes: straight through. All else: _write_pair.
    if end - at < 8 or load8(data, at) != _FIRST:
        return _write_pair(data, at, end, out, to, keys, stamp, promoted, seed)
    key_end = at + 2 + load8(data, at + 1)
    value = key_end + 2
    if (
        load8(data, at + 1) >= 0x80
        or value + 2 > end
        or load8(data, key_end) != _VALUE
        or load8(data, key_end + 1) >= 0x80
        or value + load8(data, key_end + 1) != end
        or load8(data, value) != _STRING
        or value + 2 + load8(data, value + 1) != end
    ):
        return _write_pair(data, at, end, out, to, keys, stamp, promoted, seed)
    slot = _find_key(data, at + 2, key_end, keys, promoted, seed)
    if slot < 0:
        return slot, 0, 0, 0
    known = slot * _KNOWN
    if keys.known[known + _STAMP] == stamp:
        return UNUSUAL, 0, 0, 0
    keys.known[known + _STAMP] = stamp
    to = copy_short(keys.texts, keys.known[known + _TEXT], keys.known[known + _TEXT_LENGTH], out, to)
    store8(out, to, 34)
    to = write_text(data, value + 2, end, out, to + 1)
    if to < 0:
        return to, 0, 0, 0
    store8(out, to, 34)
    return to + 1, slot, value, end


@njit(cache=True, nogil=True, forceinline=True)
def promotion(keys: Keys, slot: int) -> tuple[int, int]:
    """Column (-1 for none) and priority of the key in that slot."""
    return keys.known[slot * _KNOWN + _COLUMN], keys.known[slot * _KNOWN + _PRIORITY]


__all__ = [
    "BAD_TEXT",
    "MAX_KEYS",
    "UNUSUAL",
    "Keys",
    "PromotedKeys",
    "begin_list",
    "forget",
    "new_keys",
    "promoted_keys",
    "promotion",
    "write_attribute",
]
