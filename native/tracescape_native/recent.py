"""A set of 128-bit fingerprints that remembers the newest ones: what has been seen lately.

A fingerprint is two int64 words, the first for an identity and the second for its content. Each table is an
open-addressing hash table, int64 of shape (2 · slots,), slots a power of two, (0, 0) for an empty slot.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from tracescape_native.grouping import mix
from tracescape_native.memory import Word, WordArray, wrapping

NEW: Final = 0
SEEN: Final = 1
SAME_IDENTITY: Final = 2  # and other content

_AT_ONCE: Final = 256  # fingerprints whose slots are fetched together


@njit(cache=True, nogil=True)
def _look(table: WordArray, identity: int, content: int) -> int:
    last = len(table) // 2 - 1
    slot = mix(identity, 0) & last
    found = NEW
    while table[2 * slot] != 0 or table[2 * slot + 1] != 0:
        if table[2 * slot] == identity:
            if table[2 * slot + 1] == content:
                return SEEN
            found = SAME_IDENTITY
        slot = (slot + 1) & last
    return found


@njit(cache=True, nogil=True)
def _enter(table: WordArray, identity: int, content: int) -> None:
    last = len(table) // 2 - 1
    slot = mix(identity, 0) & last
    while table[2 * slot] != 0 or table[2 * slot + 1] != 0:
        slot = (slot + 1) & last
    table[2 * slot], table[2 * slot + 1] = identity, content


@njit(cache=True, nogil=True)
def _touch(table: WordArray, fingerprints: WordArray) -> Word:
    # Bring the slots that fingerprints belong into near the processor, many at once: looked up one after the
    # other, each would be waited for.
    last = len(table) // 2 - 1
    touched = np.int64(0)
    for row in range(len(fingerprints)):
        touched ^= table[2 * (mix(fingerprints[row, 0], 0) & last)]
    return touched


@wrapping
@njit(cache=True, nogil=True)
def _judge(
    fingerprints: WordArray, newer: WordArray, older: WordArray, pending: WordArray, verdicts: WordArray
) -> int:
    new = 0
    begun = 0
    for row in range(len(fingerprints)):
        if row == begun:
            begun += _AT_ONCE
            verdicts[row] = _touch(newer, fingerprints[row:begun]) ^ _touch(older, fingerprints[row:begun])
        identity, content = fingerprints[row, 0], fingerprints[row, 1]
        verdict = NEW
        for table in (newer, older, pending):
            found = _look(table, identity, content)
            if found == SEEN:
                verdict = SEEN
                break
            if found == SAME_IDENTITY:
                verdict = SAME_IDENTITY
        verdicts[row] = verdict
        if verdict != SEEN:
            _enter(pending, identity, content)
            new += 1
    return new


def judge(
    fingerprints: WordArray, newer: WordArray, older: WordArray, pending: WordArray
) -> tuple[WordArray, int]:
    """Which rows of ``fingerprints`` (int64, shape (n, 2)) the tables or earlier rows have already.

    Enters what is not `SEEN` into ``pending``, which needs n free slots and one more. Returns int64 verdicts
    of shape (n,) (`NEW`, `SEEN`, `SAME_IDENTITY`) and how many are not `SEEN`.
    """
    verdicts = np.empty(len(fingerprints), np.int64)
    return verdicts, int(_judge(fingerprints, newer, older, pending, verdicts))


@wrapping
@njit(cache=True, nogil=True)
def _enter_all(table: WordArray, fingerprints: WordArray) -> None:
    for row in range(len(fingerprints)):
        _enter(table, fingerprints[row, 0], fingerprints[row, 1])


def enter(table: WordArray, fingerprints: WordArray) -> None:
    """Enter every row of ``fingerprints``, which the table has room for."""
    _enter_all(table, fingerprints)


@wrapping
@njit(cache=True, nogil=True)
def _rehash(table: WordArray, larger: WordArray) -> None:
    for slot in range(len(table) // 2):
        if table[2 * slot] != 0 or table[2 * slot + 1] != 0:
            _enter(larger, table[2 * slot], table[2 * slot + 1])


def with_slots(table: WordArray, slots: int) -> WordArray:
    """A copy of ``table`` with that many slots."""
    larger = np.zeros(2 * slots, np.int64)
    _rehash(table, larger)
    return larger
