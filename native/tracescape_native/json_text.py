"""UTF-8 text into JSON text, eight bytes at a time where nothing needs care.

What is written is what Python's ``json.dumps(ensure_ascii=False)`` writes. Every writer takes the place to
write at and returns where it ended, or `BAD_TEXT`; the caller provides room: six bytes for each that is read
and `SLACK` more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from tracescape_native.memory import ByteArray, Word, copy_bytes, load8, load64, store8, store64

BAD_TEXT: Final = -1
SLACK: Final = 64

_ONES: Final = np.uint64(0x0101010101010101)
_TOPS: Final = np.uint64(0x8080808080808080)
_SPACES: Final = np.uint64(0x2020202020202020)
_QUOTES: Final = np.uint64(0x2222222222222222)
_BACKSLASHES: Final = np.uint64(0x5C5C5C5C5C5C5C5C)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_BASE64: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
#: Runs up to this long are handled as four words at once, without a loop whose end cannot be predicted.
SHORT: Final = 32
#: Which bytes of those words belong to a run of a length.
_KEEP: Final = np.array(
    [[(1 << 8 * min(max(length - at, 0), 8)) - 1 for at in (0, 8, 16, 24)] for length in range(SHORT + 1)],
    np.uint64,
)
#: The letter after the backslash for those control characters that have one, else 0.
_SHORT: Final = np.zeros(128, np.uint8)
for _code, _letter in {8: b"b", 9: b"t", 10: b"n", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}.items():
    _SHORT[_code] = _letter[0]


@njit(cache=True, nogil=True, forceinline=True)
def _specials(word: Word) -> Word:
    # The top bit of each byte that needs care: a control character, a quote, a backslash, or beyond ASCII. A
    # borrow can only reach bytes above one that needs care itself, so "any" is exact.
    quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
    return ((word - _SPACES) | (quote - _ONES) | (backslash - _ONES) | word) & _TOPS


@njit(cache=True, nogil=True)
def sequence_length(data: ByteArray, at: int, end: int) -> int:
    """Bytes of the well-formed UTF-8 sequence beyond ASCII that begins at ``at``; 0 when there is none.

    Unicode 16, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
    """
    first = load8(data, at)
    low, high = 0x80, 0xBF
    if first < 0xC2:
        return 0
    if first < 0xE0:
        length = 2
    elif first < 0xF0:
        length = 3
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    elif first < 0xF5:
        length = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    else:
        return 0
    if at + length > end or load8(data, at + 1) < low or load8(data, at + 1) > high:
        return 0
    for place in range(at + 2, at + length):
        if load8(data, place) < 0x80 or load8(data, place) > 0xBF:
            return 0
    return length


@njit(cache=True, nogil=True)
def is_utf8(data: ByteArray, start: int, end: int) -> bool:
    """Whether ``data[start:end]``, which must lie inside the array, is UTF-8."""
    at = start
    while at < end:
        if at + 8 <= end and (load64(data, at) & _TOPS) == np.uint64(0):
            at += 8
        elif load8(data, at) < 0x80:
            at += 1
        else:
            length = sequence_length(data, at, end)
            if length == 0:
                return False
            at += length
    return True


@njit(cache=True, nogil=True)
def _write_careful(
    data: ByteArray, start: int, end: int, limit: int, out: ByteArray, to: int
) -> tuple[int, int]:
    # At least the characters that begin in data[start:limit], one by one. Where reading and writing ended.
    at = start
    while at < limit:
        byte = load8(data, at)
        if byte >= 0x80:
            length = sequence_length(data, at, end)
            if length == 0:
                return at, BAD_TEXT
            for place in range(length):
                store8(out, to + place, load8(data, at + place))
            at += length
            to += length
            continue
        at += 1
        if _SHORT[byte]:
            store8(out, to, 92)
            store8(out, to + 1, _SHORT[byte])
            to += 2
        elif byte < 0x20:
            store8(out, to, 92)
            store8(out, to + 1, 117)
            store8(out, to + 2, 48)
            store8(out, to + 3, 48)
            store8(out, to + 4, _HEX[byte >> 4])
            store8(out, to + 5, _HEX[byte & 15])
            to += 6
        else:
            store8(out, to, byte)
            to += 1
    return at, to


@njit(cache=True, nogil=True)
def _write_long(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    at = start
    while at + 8 <= end:
        word = load64(data, at)
        if _specials(word) == np.uint64(0):
            store64(out, to, word)
            at += 8
            to += 8
        else:
            at, to = _write_careful(data, at, end, at + 8, out, to)
            if to < 0:
                return BAD_TEXT
    _, to = _write_careful(data, at, end, end, out, to)
    return to


@njit(cache=True, nogil=True, forceinline=True)
def write_text(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    """Write ``data[start:end]`` as the inside of a JSON string (no quotes) at ``out[to:]``."""
    length = end - start
    if length > SHORT or start + SHORT > len(data):
        return _write_long(data, start, end, out, to)
    one, two = load64(data, start), load64(data, start + 8)
    three, four = load64(data, start + 16), load64(data, start + 24)
    specials = _specials(one) & _KEEP[length, 0]
    specials |= _specials(two) & _KEEP[length, 1]
    specials |= _specials(three) & _KEEP[length, 2]
    specials |= _specials(four) & _KEEP[length, 3]
    if specials:
        return _write_long(data, start, end, out, to)
    store64(out, to, one)
    store64(out, to + 8, two)
    store64(out, to + 16, three)
    store64(out, to + 24, four)
    return to + length


@njit(cache=True, nogil=True, forceinline=True)
def same_short(data: ByteArray, one: int, other: int, length: int) -> bool:
    """Whether two runs of at most `SHORT` bytes are equal; "no" for longer ones and at the array's end."""
    if length > SHORT or max(one, other) + SHORT > len(data):
        return False
    differ = (load64(data, one) ^ load64(data, other)) & _KEEP[length, 0]
    differ |= (load64(data, one + 8) ^ load64(data, other + 8)) & _KEEP[length, 1]
    differ |= (load64(data, one + 16) ^ load64(data, other + 16)) & _KEEP[length, 2]
    differ |= (load64(data, one + 24) ^ load64(data, other + 24)) & _KEEP[length, 3]
    return bool(differ == np.uint64(0))


@njit(cache=True, nogil=True, forceinline=True)
def copy_short(source: ByteArray, start: int, length: int, out: ByteArray, to: int) -> int:
    """Copy a run that is followed by `SHORT` bytes of room on both sides; returns where it ends."""
    if length > SHORT:
        copy_bytes(out, to, source, start, length)
        return to + length
    store64(out, to, load64(source, start))
    store64(out, to + 8, load64(source, start + 8))
    store64(out, to + 16, load64(source, start + 16))
    store64(out, to + 24, load64(source, start + 24))
    return to + length


@njit(cache=True, nogil=True)
def _copy_long(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    if not is_utf8(data, start, end):
        return BAD_TEXT
    copy_bytes(out, to, data, start, end - start)
    return to + end - start


@njit(cache=True, nogil=True, forceinline=True)
def copy_text(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    """Copy ``data[start:end]`` as it is to ``out[to:]``, if it is UTF-8."""
    length = end - start
    if length > SHORT or start + SHORT > len(data):
        return _copy_long(data, start, end, out, to)
    one, two = load64(data, start), load64(data, start + 8)
    three, four = load64(data, start + 16), load64(data, start + 24)
    beyond = (one & _KEEP[length, 0]) | (two & _KEEP[length, 1])
    beyond |= (three & _KEEP[length, 2]) | (four & _KEEP[length, 3])
    if beyond & _TOPS:
        return _copy_long(data, start, end, out, to)
    store64(out, to, one)
    store64(out, to + 8, two)
    store64(out, to + 16, three)
    store64(out, to + 24, four)
    return to + length


@njit(cache=True, nogil=True)
def write_base64(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    """Write ``data[start:end]`` in base64 (RFC 4648, padded) at ``out[to:]``; returns where it ends."""
    at = start
    while at + 3 <= end:
        word = (load8(data, at) << 16) | (load8(data, at + 1) << 8) | load8(data, at + 2)
        store8(out, to, _BASE64[word >> 18])
        store8(out, to + 1, _BASE64[(word >> 12) & 63])
        store8(out, to + 2, _BASE64[(word >> 6) & 63])
        store8(out, to + 3, _BASE64[word & 63])
        at += 3
        to += 4
    if at < end:
        word = load8(data, at) << 16
        if at + 1 < end:
            word |= load8(data, at + 1) << 8
        store8(out, to, _BASE64[word >> 18])
        store8(out, to + 1, _BASE64[(word >> 12) & 63])
        store8(out, to + 2, _BASE64[(word >> 6) & 63] if at + 1 < end else np.uint8(61))
        store8(out, to + 3, 61)
        to += 4
    return to
