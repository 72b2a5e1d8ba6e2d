"""The different texts of one message's text columns: each is noted once, where it stands in the message.

``entries`` (int32, shape (room · 3,)) are a text's column, start and length; a code is the number of an
entry. ``table`` (int64) finds them again: a counter of messages, how many entries there are, and an
open-addressing table of entries, each with the number of its message above it, so that nothing needs to be
cleared. The table is small: texts that it has no place for are noted again and again, which costs room, but
nothing else. A text that is noted is UTF-8.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from tracescape_native.json_text import SHORT, first, is_utf8, same_text
from tracescape_native.memory import ByteArray, NumberArray, Word, WordArray, differ32, load64
from tracescape_native.otlp_attributes import tail_word, text_hash
from tracescape_native.wire import UNUSUAL

#: More texts than there is room for.
NO_ROOM: Final = -3
MAX_COLUMNS: Final = 256
#: Columns of ``entries``.
COLUMN, START, LENGTH = range(3)

_MESSAGE, _COUNT = 0, 1
_TABLE: Final = 8
_SLOTS: Final = 8192
_MAX_PROBES: Final = 8
#: The largest number of a message that fits above that of an entry.
_LAST_MESSAGE: Final = (1 << 31) - 1
#: Which bits of a word its first bytes are.
_LOW: Final = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


def new_table() -> WordArray:
    """A table that has seen no message."""
    return np.zeros(_TABLE + _SLOTS, np.int64)


@njit(cache=True, nogil=True, inline="always")
def begin_message(table: WordArray) -> None:
    """Forget the texts of the message before."""
    if table[_MESSAGE] == _LAST_MESSAGE:
        for place in range(_TABLE + _SLOTS):  # a number of more bits would find nothing again
            table[place] = 0
    table[_MESSAGE] += 1
    table[_COUNT] = 0


@njit(cache=True, nogil=True, inline="always")
def text_count(table: WordArray) -> Word:
    """How many entries there are."""
    return table[_COUNT]


@njit(cache=True, nogil=True)
def _find(
    data: ByteArray,
    start: int,
    length: int,
    column: int,
    table: WordArray,
    entries: NumberArray,
    room: int,
    seed: Word,
) -> Word:
    head, tail = tail_word(data, start, start + min(length, 8)), tail_word(data, start, start + length)
    slot = np.int64(text_hash(head, tail, length + (column << 32), seed) >> np.uint64(51))
    message = table[_MESSAGE]
    free = np.int64(-1)
    for _ in range(_MAX_PROBES):
        found = table[_TABLE + slot]
        if found >> 32 != message:
            free = slot
            break
        entry = 3 * (found & 0xFFFFFFFF)
        if (
            entries[entry + LENGTH] == length
            and entries[entry + COLUMN] == column
            and same_text(data, start, data, entries[entry + START], length)
        ):
            return found & 0xFFFFFFFF
        slot = (slot + 1) & (_SLOTS - 1)
    code = table[_COUNT]
    if not is_utf8(data, start, start + length):
        return np.int64(UNUSUAL)
    if code == room:
        return np.int64(NO_ROOM)
    entries[3 * code + COLUMN], entries[3 * code + START], entries[3 * code + LENGTH] = column, start, length
    if free >= 0:
        table[_TABLE + free] = message << 32 | code
    table[_COUNT] = code + 1
    return code


@njit(cache=True, nogil=True, inline="always")
def code_of(
    data: ByteArray,
    start: int,
    length: int,
    limit: int,
    column: int,
    table: WordArray,
    entries: NumberArray,
    room: int,
    seed: Word,
) -> Word:
    """The code of ``data[start:start + length]`` in its column; `UNUSUAL` for bad text, or `NO_ROOM`.

    ``limit`` bytes of ``data`` may be read; ``entries`` has ``room`` for that many.
    """
    if length <= SHORT and start + SHORT <= limit:
        head = load64(data, start) & _LOW[min(length, 8)]
        tail = load64(data, start + length - 8) if length > 8 else head
        slot = np.int64(text_hash(head, tail, length + (column << 32), seed) >> np.uint64(51))
        found = table[_TABLE + slot]
        entry = 3 * (found & 0xFFFFFFFF)
        if (
            found >> 32 == table[_MESSAGE]
            and entries[entry + LENGTH] == length
            and entries[entry + COLUMN] == column
        ):
            other = np.int64(entries[entry + START])
            if other + SHORT <= limit and (differ32(data, start, data, other) & first(length)) == 0:
                return found & 0xFFFFFFFF
    return _find(data, start, length, column, table, entries, room, seed)
