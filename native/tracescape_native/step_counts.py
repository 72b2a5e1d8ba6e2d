"""Counts by step of time, straight from the bytes in which counts are kept: what a timeline is drawn from.

Nothing is added up by group first: a timeline wants a histogram of durations a step, of a few selections of
nodes, and how often each node was called. Bytes are blocks as ``packing`` writes them: a head of 16 bytes
(how many keys, and of something else), the steps between the keys, then as many counts; keys are those of
``call_keys``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.buckets import CODES
from tracescape_native.call_keys import ALONE_TIME, ERRORS, GROUP_SHIFT, MEASURE_SHIFT, OFFSET, SERVER_TIME
from tracescape_native.memory import ByteArray
from tracescape_native.sorting import IntArray

#: How many codes durations have, which are never negative.
CODES_LONG: Final = CODES + 1
_HEAD: Final = 16
_CODE_MASK: Final = (1 << MEASURE_SHIFT) - 1
_MEASURE_MASK: Final = (1 << (GROUP_SHIFT - MEASURE_SHIFT)) - 1


class Wanted(NamedTuple):
    """What groups count, int64, shape (groups,).

    ``node`` whose calls, below the nodes of a `Sums`, -1 for none; ``chosen``, a bit for each selection that
    the node is in; ``edge``: 1 where the group is an edge, whose SERVER_TIME is no visit; ``unit``: what one
    of its counts is worth; ``stored``: whether it counts what is stored (1), or what that stands for (0).
    """

    node: IntArray
    chosen: IntArray
    edge: IntArray
    unit: IntArray
    stored: IntArray


class Sums(NamedTuple):
    """Sums by step, int64.

    ``times``, shape (steps, selections, CODES_LONG): visits by `buckets.bucket_code`, in units; ``errors``
    and ``seen``, shape (steps, selections): those that failed, in units, and how many are stored; ``calls``,
    shape (steps, nodes): visits of each node, in units.
    """

    times: IntArray
    errors: IntArray
    seen: IntArray
    calls: IntArray


def sums_for(steps: int, selections: int, nodes: int) -> Sums:
    """Nothing yet."""
    return Sums(
        np.zeros((steps, selections, CODES_LONG), np.int64),
        np.zeros((steps, selections), np.int64),
        np.zeros((steps, selections), np.int64),
        np.zeros((steps, nodes), np.int64),
    )


@njit(cache=True, nogil=True, inline="always")
def _number(data: ByteArray, at: int, end: int) -> Any:
    # A number in LEB128 and where the next one begins; -1 where the bytes end.
    value, shift = np.int64(0), 0
    while at < end and shift <= 56:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return np.int64(0), -1


@njit(cache=True, nogil=True)
def _mark(data: ByteArray, begin: IntArray, cells: IntArray, occurs: ByteArray, counts_at: IntArray) -> int:
    for block in range(len(cells)):
        at, end, key = begin[block] + _HEAD, begin[block + 1], np.int64(0)
        for _ in range(cells[block]):
            step, at = _number(data, at, end)
            key += step
            if at < 0 or key >> GROUP_SHIFT >= len(occurs):
                return block
            occurs[key >> GROUP_SHIFT] = 1
        counts_at[block] = at
    return -1


@njit(cache=True, nogil=True, inline="always")
def _add(key: int, count: int, step: int, wanted: Wanted, sums: Sums) -> None:
    group = key >> GROUP_SHIFT
    node = wanted.node[group]
    if node < 0:
        return
    measure = (key >> MEASURE_SHIFT) & _MEASURE_MASK
    failed = measure == ERRORS
    if (measure > ALONE_TIME and not failed) or (measure == SERVER_TIME and wanted.edge[group]):
        return
    units = count * wanted.unit[group]
    if not failed:
        sums.calls[step, node] += units
    code = min(max((key & _CODE_MASK) - OFFSET, 0), CODES_LONG - 1)
    chosen = wanted.chosen[group]
    for selection in range(sums.errors.shape[1]):
        if not (chosen >> selection) & 1:
            continue
        if failed:
            sums.errors[step, selection] += units
        else:
            sums.times[step, selection, code] += units
            sums.seen[step, selection] += count * wanted.stored[group]


@njit(cache=True, nogil=True)
def _add_blocks(
    data: ByteArray,
    begin: IntArray,
    cells: IntArray,
    counts_at: IntArray,
    step: IntArray,
    wanted: Wanted,
    sums: Sums,
) -> int:
    for block in range(len(cells)):
        at, end, key = begin[block] + _HEAD, begin[block + 1], np.int64(0)
        at_count = counts_at[block]
        for _ in range(cells[block]):
            more, at = _number(data, at, end)
            count, at_count = _number(data, at_count, end)
            if at_count < 0:
                return block
            key += more
            _add(key, count, step[block], wanted, sums)
    return -1


@njit(cache=True, nogil=True)
def _add_cells(keys: IntArray, counts: IntArray, step: int, wanted: Wanted, sums: Sums) -> None:
    for cell in range(len(keys)):
        _add(keys[cell], counts[cell], step, wanted, sums)


class PackedBlocks:
    """Blocks one after the other in ``data`` (uint8); ``begin``, int64, shape (blocks + 1,), says where.

    Raises ``ValueError`` where the bytes are no blocks, here or by its methods.
    """

    def __init__(self, data: ByteArray, begin: IntArray) -> None:
        self._data, self._begin = data, begin
        lengths = np.diff(begin)
        if (lengths < _HEAD).any():
            raise ValueError(f"a block is shorter than its head of {_HEAD} bytes")
        heads = begin[:-1, None] + np.arange(8)
        self._cells = np.ascontiguousarray(data[heads]).view(np.int64).reshape(-1)
        self._counts_at = np.zeros(len(lengths), np.int64)

    def groups(self, known: int) -> IntArray:
        """The groups that occur, of ``known``, ascending; int64. Before `add_to`."""
        occurs = np.zeros(known, np.uint8)
        _whole(_mark(self._data, self._begin, self._cells, occurs, self._counts_at))
        return np.flatnonzero(occurs)

    def add_to(self, sums: Sums, step: IntArray, wanted: Wanted) -> None:
        """Add what they hold to the ``step`` of each block (int64, shape (blocks,)); `groups` came first."""
        _whole(
            _add_blocks(self._data, self._begin, self._cells, self._counts_at, step, wanted, sums),
        )


def add_cells(keys: IntArray, counts: IntArray, step: int, wanted: Wanted, sums: Sums) -> None:
    """Add cells that are not packed, int64, shape (cells,), to one step."""
    _add_cells(keys, counts, step, wanted, sums)


def _whole(broken: int) -> None:
    if broken >= 0:
        raise ValueError(f"block {broken} is broken: its numbers end too early")
