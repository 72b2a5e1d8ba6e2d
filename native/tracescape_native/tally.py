"""Counting by key in hash tables that kernels fill: groups of two words, and counts of one.

Tables do not grow inside a kernel: whoever calls makes `room` for what one call may add at most.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.grouping import HASH_SEED, mix, spread
from tracescape_native.memory import NumberArray, pointer, wrapping
from tracescape_native.sorting import IntArray

_FIRST_KEYS: Final = 16_384
_FIRST_VALUES: Final = 256
_LINE: Final = 2  # bits of a key that tell its slots in a line of the cache apart


class Groups(NamedTuple):
    """Distinct pairs of words, numbered from 0 in order of appearance; ``used[0]`` is how many.

    int64, shape (capacity,): ``first`` and ``second`` by number; ``slowest`` and ``failed``, the greatest
    value noted for a group (-1 for none), with the row it is of in ``slowest_row`` and ``failed_row``.
    ``slots`` is the hash table, a power of 2 long, int32.
    """

    first: IntArray
    second: IntArray
    slowest: IntArray
    slowest_row: IntArray
    failed: IntArray
    failed_row: IntArray
    slots: NumberArray
    used: IntArray


class Tally(NamedTuple):
    """``slots``, int64, shape (power of 2, 2): keys (-1: a free slot) and their counts; ``used[0]`` keys."""

    slots: IntArray
    used: IntArray


def _power_of_two(least: int) -> int:
    return 1 << max(int(least) - 1, 15).bit_length()


def groups_for(capacity: int) -> Groups:
    """No group yet, room for ``capacity``."""
    slots = np.full(_power_of_two(2 * capacity), -1, np.int32)
    columns: tuple[IntArray, ...] = tuple(np.full((6, capacity), -1, np.int64))
    return Groups._make((*columns, slots, np.zeros(1, np.int64)))


def tally_for(capacity: int) -> Tally:
    """No count yet, room for ``capacity`` keys."""
    slots = np.full((_power_of_two(2 * capacity), 2), -1, np.int64)
    return Tally(slots, np.zeros(1, np.int64))


@wrapping
@njit(cache=True, nogil=True, forceinline=True)
def number_of(
    firsts: Any, seconds: Any, slots: Any, last: int, used: Any, first: int, second: int, seed: int
) -> Any:
    """The number of the pair in a `Groups` with ``last + 1`` slots, a new one if it is new.

    ``firsts``, ``seconds``, ``slots`` and ``used`` are pointers to its arrays.
    """
    slot = spread(first ^ spread(second, seed), seed) & last
    while slots[slot] >= 0:
        number = np.int64(slots[slot])
        if firsts[number] == first and seconds[number] == second:
            break
        slot = (slot + 1) & last
    else:
        number = used[0]
        slots[slot] = number
        firsts[number], seconds[number] = first, second
        used[0] += 1
    return number


@wrapping
@njit(cache=True, nogil=True, forceinline=True)
def add(slots: Any, last: int, key: int, count: int, seed: int) -> int:
    """Add to the count of ``key``, which is not negative, in a table of ``last + 1`` slots.

    ``slots`` is a pointer to those of a `Tally`. Returns how many keys that added: 1 or 0.
    """
    # Neighbouring codes are counted together, and their slots are in one line of the cache.
    slot = (spread(key >> _LINE, seed) << _LINE | key & ((1 << _LINE) - 1)) & last
    while slots[2 * slot] != key:
        if slots[2 * slot] < 0:
            slots[2 * slot] = key
            slots[2 * slot + 1] = count
            return 1
        slot = (slot + 1) & last
    slots[2 * slot + 1] += count
    return 0


@njit(cache=True, nogil=True)
def _add_all(tally: Tally, keys: IntArray, counts: IntArray, seed: int) -> None:
    to, last = pointer(tally.slots), len(tally.slots) - 1
    for i in range(len(keys)):
        tally.used[0] += add(to, last, keys[i], counts[i], seed)


@njit(cache=True, nogil=True)
def _add_some(tally: Tally, keys: IntArray, counts: IntArray, begin: int, seed: int) -> int:
    # Add from `begin` on until the table is half full; how far that was.
    to, last, used = pointer(tally.slots), len(tally.slots) - 1, tally.used[0]
    i = begin
    while i < len(keys) and 2 * used <= last:
        used += add(to, last, keys[i], counts[i], seed)
        i += 1
    tally.used[0] = used
    return i


@njit(cache=True, nogil=True)
def _enter_all(groups: Groups, first: IntArray, second: IntArray, seed: int) -> None:
    firsts, seconds, used = pointer(groups.first), pointer(groups.second), pointer(groups.used)
    slots, last = pointer(groups.slots), len(groups.slots) - 1
    for i in range(len(first)):
        number_of(firsts, seconds, slots, last, used, first[i], second[i], seed)


def room(groups: Groups, tally: Tally, more_groups: int, more_keys: int) -> tuple[Groups, Tally]:
    """Tables with the same content and room for so many more groups and keys: the same, or larger ones."""
    used = int(groups.used[0])
    if used + more_groups > len(groups.first):
        larger = groups_for(2 * used + more_groups)
        _enter_all(larger, groups.first[:used], groups.second[:used], HASH_SEED)
        for name in ("slowest", "slowest_row", "failed", "failed_row"):
            getattr(larger, name)[:used] = getattr(groups, name)[:used]
        groups = larger
    if 2 * (int(tally.used[0]) + more_keys) > len(tally.slots):
        bigger = tally_for(2 * int(tally.used[0]) + more_keys)
        _add_all(bigger, *counted(tally), HASH_SEED)
        tally = bigger
    return groups, tally


def counted(tally: Tally) -> tuple[IntArray, IntArray]:
    """The keys that occur and their counts, in no order."""
    taken = tally.slots[tally.slots[:, 0] >= 0]
    return taken[:, 0].copy(), taken[:, 1].copy()


def sums_by_key(keys: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct ``keys`` (int64, not negative, shape (n,)), in no order, and the sum of the counts of each."""
    # Most keys repeat: a table for all would be larger than the processor keeps near, and new memory is dear.
    tally, done = tally_for(min(len(keys), _FIRST_KEYS)), 0
    while (done := _add_some(tally, keys, counts, done, HASH_SEED)) < len(keys):
        bigger = tally_for(4 * int(tally.used[0]))
        _add_all(bigger, *counted(tally), HASH_SEED)
        tally = bigger
    return counted(tally)


@wrapping
@njit(cache=True, nogil=True)
def _refill(slots: NumberArray, values: IntArray, first: IntArray, count: int, seed: int) -> None:
    last = len(slots) - 1
    for number in range(count):
        slot = mix(values[first[number]], seed) & last
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = number


@wrapping
@njit(cache=True, nogil=True)
def _number_some(
    values: IntArray,
    begin: int,
    numbers: IntArray,
    first: IntArray,
    slots: NumberArray,
    count: int,
    seed: int,
) -> tuple[int, int]:
    # Number values from `begin` on until `first` is full; how far that was, and how many there are then.
    last, i = len(slots) - 1, begin
    while i < len(values) and count < len(first):
        slot = mix(values[i], seed) & last
        while slots[slot] >= 0 and values[first[slots[slot]]] != values[i]:
            slot = (slot + 1) & last
        if slots[slot] < 0:
            slots[slot] = count
            first[count] = i
            count += 1
        numbers[i] = slots[slot]
        i += 1
    return i, count


def distinct(values: IntArray) -> tuple[IntArray, IntArray]:
    """Number distinct values (int64, shape (n,)) from 0 in order of first appearance.

    Returns the number of each, int64, shape (n,), and where each number appears first, int64. Expected O(n).
    """
    numbers, first = np.empty(len(values), np.int64), np.empty(_FIRST_VALUES, np.int64)
    slots = np.full(8 * len(first), -1, np.int32)
    done, count = _number_some(values, 0, numbers, first, slots, 0, HASH_SEED)
    while done < len(values):  # out here: a kernel that puts arrays in others' place counts references
        first = np.concatenate([first, np.empty_like(first)])
        slots = np.full(8 * len(first), -1, np.int32)
        _refill(slots, values, first, count, HASH_SEED)
        done, count = _number_some(values, done, numbers, first, slots, count, HASH_SEED)
    return numbers, first[:count].copy()


@njit(cache=True, nogil=True)
def _extents(group: IntArray, values: IntArray, low: IntArray, high: IntArray) -> None:
    for i in range(len(group)):
        g, value = group[i], values[i]
        low[g] = min(low[g], value)
        high[g] = max(high[g], value)


def extents_of(group: IntArray, values: IntArray, groups: int) -> tuple[IntArray, IntArray]:
    """The smallest and the largest value of each group, int64, shape (groups,); every group has one."""
    low, high = np.full(groups, 2**63 - 1, np.int64), np.full(groups, -(2**63), np.int64)
    _extents(group, values, low, high)
    return low, high


@njit(cache=True, nogil=True)
def _ends(start: IntArray, duration: IntArray) -> None:
    latest = np.int64(2**63 - 1)
    for i in range(len(start)):
        length = max(duration[i], 0)
        duration[i] = latest if start[i] > 0 and length > latest - start[i] else start[i] + length


def ends_of(start: IntArray, duration: IntArray) -> IntArray:
    """``start + duration``, negative durations being none, at the latest int64's last moment.

    Written over ``duration``: memory that a process has not touched yet is dear.
    """
    _ends(start, duration)
    return duration
