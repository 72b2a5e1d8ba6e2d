"""UTF-8 text into JSON text, 32 bytes at a time where nothing needs care.

What is written is what Python's ``json.dumps(ensure_ascii=False)`` writes. Every writer takes the place to
write at and returns where it ended, or `BAD_TEXT`; the caller provides room: six bytes for each that is read
and `SLACK` more. ``limit`` says how many bytes of ``data`` may be read, which is what 32 at a time need.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from tracescape_native.memory import (
    ByteArray,
    Word,
    copy32,
    copy_bytes,
    differ32,
    load8,
    load64,
    specials32,
    store8,
    trailing_zeros,
)

BAD_TEXT: Final = -1
SLACK: Final = 64
#: Runs up to this long are handled at once, without a loop whose end cannot be predicted.
SHORT: Final = 32

_TOPS: Final = np.uint64(0x8080808080808080)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_BASE64: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
#: The letter after the backslash for those characters that have one, else 0.
_LETTERS: Final = np.zeros(128, np.uint8)
for _code, _letter in {8: b"b", 9: b"t", 10: b"n", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}.items():
    _LETTERS[_code] = _letter[0]


@njit(cache=True, nogil=True, forceinline=True)
def first(count: int) -> Word:
    """Marks on the first ``count`` of 32 bytes."""
    return (1 << count) - 1


@njit(cache=True, nogil=True)
def sequence_length(data: ByteArray, at: int, end: int) -> int:
    """Bytes of the well-formed UTF-8 sequence beyond ASCII that begins at ``at``; 0 when there is none.

    Unicode 16, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
    """
    lead = load8(data, at)
    low, high = 0x80, 0xBF
    if lead < 0xC2:
        return 0
    if lead < 0xE0:
        length = 2
    elif lead < 0xF0:
        length = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif lead < 0xF5:
        length = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
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
def _write_character(data: ByteArray, at: int, end: int, out: ByteArray, to: int) -> tuple[int, int]:
    # One character, whatever it is. Where reading and writing ended.
    byte = load8(data, at)
    if byte >= 0x80:
        length = sequence_length(data, at, end)
        if length == 0:
            return at, BAD_TEXT
        for place in range(length):
            store8(out, to + place, load8(data, at + place))
        return at + length, to + length
    if byte >= 0x20 and byte != 34 and byte != 92:
        store8(out, to, byte)
        return at + 1, to + 1
    store8(out, to, 92)
    if _LETTERS[byte]:
        store8(out, to + 1, _LETTERS[byte])
        return at + 1, to + 2
    store8(out, to + 1, 117)
    store8(out, to + 2, 48)
    store8(out, to + 3, 48)
    store8(out, to + 4, _HEX[byte >> 4])
    store8(out, to + 5, _HEX[byte & 15])
    return at + 1, to + 6


@njit(cache=True, nogil=True)
def write_any_text(data: ByteArray, start: int, end: int, limit: int, out: ByteArray, to: int) -> int:
    """As `write_text`, not inlined."""
    at = start
    while at < end:
        if at + SHORT <= limit:
            count = min(end - at, SHORT)
            copy32(out, to, data, at)
            marks = specials32(data, at) & first(count)
            if marks:
                count = trailing_zeros(marks)
            at += count
            to += count
            if not marks:
                continue
        at, to = _write_character(data, at, end, out, to)
        if to < 0:
            return BAD_TEXT
    return to


@njit(cache=True, nogil=True, forceinline=True)
def write_text(data: ByteArray, start: int, end: int, limit: int, out: ByteArray, to: int) -> int:
    """Write ``data[start:end]`` as the inside of a JSON string (no quotes) at ``out[to:]``."""
    length = end - start
    if length <= SHORT and start + SHORT <= limit and (specials32(data, start) & first(length)) == 0:
        copy32(out, to, data, start)
        return to + length
    return write_any_text(data, start, end, limit, out, to)


@njit(cache=True, nogil=True)
def copy_text(data: ByteArray, start: int, end: int, out: ByteArray, to: int) -> int:
    """Copy ``data[start:end]`` as it is to ``out[to:]``, if it is UTF-8."""
    if not is_utf8(data, start, end):
        return BAD_TEXT
    copy_bytes(out, to, data, start, end - start)
    return to + end - start


@njit(cache=True, nogil=True)
def same_text(one: ByteArray, at: int, other: ByteArray, there: int, length: int) -> bool:
    """Whether two runs of ``length`` bytes are equal; reads nothing beyond them."""
    place = 0
    while place + SHORT <= length:
        if differ32(one, at + place, other, there + place):
            return False
        place += SHORT
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
