"""The protobuf wire format, as far as a scan of known messages needs it.

Every reader takes the place to read at and the end that bounds it, and returns where it ended; a negative
place means that the bytes are not what an encoder writes. `UNUSUAL` says so without judging: such a message
is left to the reference decoder.
"""

from __future__ import annotations

from typing import Final

from numba import njit

from tracescape_native.memory import ByteArray, load8

UNUSUAL: Final = -2

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5


@njit(cache=True, nogil=True, inline="always")
def _read_long_tag(data: ByteArray, at: int, end: int) -> tuple[int, int]:
    if at + 1 >= end or load8(data, at + 1) >= 0x80:
        return 0, UNUSUAL
    tag = (load8(data, at) & 0x7F) | (load8(data, at + 1) << 7)
    return tag, at + 2 if tag >= 8 else UNUSUAL


@njit(cache=True, nogil=True, forceinline=True)
def read_tag(data: ByteArray, at: int, end: int) -> tuple[int, int]:
    """Field number and wire type as one integer, and where it ended. Tags of three bytes are unusual."""
    first = load8(data, at)
    if first < 0x80:
        return first, at + 1 if first >= 8 else UNUSUAL
    return _read_long_tag(data, at, end)


@njit(cache=True, nogil=True)
def _read_long_varint(data: ByteArray, at: int, end: int) -> tuple[int, int]:
    value, shift = load8(data, at) & 0x7F, 7
    while shift < 63:
        at += 1
        if at >= end:
            return 0, UNUSUAL
        byte = load8(data, at)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    at += 1
    if at >= end or load8(data, at) > 1:
        return 0, UNUSUAL
    return value | (load8(data, at) << 63), at + 1


@njit(cache=True, nogil=True, forceinline=True)
def read_varint(data: ByteArray, at: int, end: int) -> tuple[int, int]:
    """A 64-bit varint as int64, and where it ended."""
    if at >= end:
        return 0, UNUSUAL
    byte = load8(data, at)
    if byte < 0x80:
        return byte, at + 1
    return _read_long_varint(data, at, end)


@njit(cache=True, nogil=True, forceinline=True)
def read_run(data: ByteArray, at: int, end: int) -> tuple[int, int]:
    """Where a length-delimited field's content begins and ends; ends negative when it leaves its bounds."""
    length, start = read_varint(data, at, end)
    if start < 0 or length < 0 or length > end - start:
        return 0, UNUSUAL
    return start, start + length


@njit(cache=True, nogil=True)
def skip_field(data: ByteArray, at: int, end: int, tag: int) -> int:
    """Where a field that nobody knows ends; groups are unusual."""
    wire_type = tag & 7
    if wire_type == VARINT:
        _, at = read_varint(data, at, end)
        return at
    if wire_type == LENGTH:
        _, at = read_run(data, at, end)
        return at
    if wire_type == FIXED64:
        return at + 8 if at + 8 <= end else UNUSUAL
    if wire_type == FIXED32:
        return at + 4 if at + 4 <= end else UNUSUAL
    return UNUSUAL
