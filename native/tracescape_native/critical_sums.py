"""Critical time by trace and code: what aggregates over many traces add up."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from tracescape_native.critical_path import Paths
from tracescape_native.forest import Forest
from tracescape_native.sorting import BoolArray, IntArray

_SPARSE: Final = 1_000_000


class TraceSums(NamedTuple):
    """int64, shape (rows,), a row a trace and code that occurs in it, by trace, in order of appearance.

    ``critical_ns`` is the time that spans of that code own on the critical path of the trace's main root,
    ``total_ns`` that of their subtrees (twice where one lies in another), ``spans`` how many spans that is.
    """

    trace: IntArray
    code: IntArray
    critical_ns: IntArray
    total_ns: IntArray
    spans: IntArray


@njit(cache=True, nogil=True)
def _on_path(main: IntArray, size: IntArray, low: IntArray, high: IntArray, counted: BoolArray) -> BoolArray:
    marks = np.zeros(len(size), np.bool_)
    for trace in range(len(main)):
        if counted[trace]:
            for i in range(main[trace], main[trace] + size[main[trace]]):
                marks[i] = low[i] < high[i]
    return marks


def on_main_path(forest: Forest, paths: Paths, counted: BoolArray) -> BoolArray:
    """Which spans lie on the critical path of a main root, themselves or with what is below them.

    ``counted``, bool of shape (traces,), says which traces count. Returns bool, shape (n,).
    """
    marks = _on_path(forest.main_root, forest.size, paths.path_start, paths.path_end, counted)
    return np.asarray(marks)


@njit(cache=True, nogil=True)
def _add_up(
    forest: Forest, paths: Paths, chosen: BoolArray, code: IntArray, most: int, out: TraceSums
) -> int:
    row = np.full(most + 1, -1, np.int64)  # of each code, in the trace at hand
    used = 0
    for trace in range(len(forest.offsets) - 1):
        first = used
        for i in range(forest.offsets[trace], forest.offsets[trace + 1]):
            if not chosen[i]:
                continue
            at = row[code[i]]
            if at < first:  # a row of an earlier trace
                at = used
                row[code[i]] = at
                out.trace[at], out.code[at] = trace, code[i]
                out.critical_ns[at] = out.total_ns[at] = out.spans[at] = 0
                used += 1
            out.critical_ns[at] += paths.critical_ns[i]
            out.total_ns[at] += paths.path_end[i] - paths.path_start[i]
            out.spans[at] += 1
    return used


def trace_sums(forest: Forest, paths: Paths, chosen: BoolArray, code: IntArray) -> TraceSums:
    """Add up the chosen spans (bool, shape (n,)) by trace and ``code`` (int64, shape (n,), from 0). O(n)."""
    most = int(code.max(initial=0))
    if most > _SPARSE + len(code):  # a table of all codes would be larger than what there is to add up
        values, dense = np.unique(code, return_inverse=True)
        found = trace_sums(forest, paths, chosen, dense.astype(np.int64))
        return found._replace(code=values[found.code])
    out = TraceSums(*np.empty((5, np.count_nonzero(chosen)), np.int64))
    used = _add_up(forest, paths, chosen, code, most, out)
    return TraceSums(*(column[:used] for column in out))
