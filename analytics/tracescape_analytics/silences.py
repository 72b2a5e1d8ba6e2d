"""When something that was called steadily was no longer called, and until when: phantoms on a timeline.

How surprising a silence is, is told as by ``absence``: from the steps before it, Poisson's law or, where they
vary more, a negative binomial one; and of all silences that are reported 1 % may be chance.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.absence import PARTS, chance_of_none
from tracescape_analytics.counts import BoolArray, IntArray
from tracescape_analytics.health import DEFAULT
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.significance import FloatArray, discoveries
from tracescape_analytics.step_counts import StepCounts

SILENCE_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "expected": pl.Float64,
}
#: Fewer steps before a silence do not tell what is steady.
LEAST_STEPS: Final = 3
#: Less than expected is no news by any law.
_LEAST_EXPECTED: Final = 4.0
_ENTRY: Final = NODE_KINDS.index("entry")


class _Runs(NamedTuple):
    # Steps without calls, [begin, end) of a thing that had calls before; int64, shape (runs,).
    thing: IntArray
    begin: IntArray
    end: IntArray


def silences(counts: StepCounts, until_ns: int) -> pl.DataFrame:
    """Columns of `SILENCE_SCHEMA`, by start, then name: a row a silence of a node that is surprising.

    ``service`` is null where nothing at all was called: a gap in what is stored, which says nothing about
    single nodes. ``end_ns`` is null for one that lasts until the end, ``until_ns``. Times are those of steps.
    ``expected`` is how many calls there would have been.
    """
    kinds = np.array([kind for kind, _ in counts.nodes], np.int64)
    calls = counts.calls[:, kinds != _ENTRY]
    names = [name for kind, name in counts.nodes if kind != _ENTRY]
    lengths = np.full(len(calls), 1.0)
    if len(calls):
        lengths[-1] = (until_ns - counts.first_ns) / counts.step_ns - (len(calls) - 1)
    gaps, expected = _surprising(calls.sum(axis=1)[:, None], lengths)
    stored = np.ones(len(calls), np.bool_)
    for begin, end in zip(gaps.begin, gaps.end, strict=True):
        stored[begin:end] = False
    rows = _rows(counts, gaps, expected, [None], np.arange(len(calls) + 1))
    kept = np.flatnonzero(stored)
    found, expected = _surprising(calls[kept], lengths[kept])
    rows += _rows(counts, found, expected, names, np.append(kept, len(calls)))
    return pl.DataFrame(rows, schema=SILENCE_SCHEMA, orient="row").sort("start_ns", "service")


def _runs(calls: IntArray) -> _Runs:
    silent = calls == 0
    silent[np.cumsum(calls, axis=0) == 0] = False  # not there yet
    edges = np.diff(np.pad(silent.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    begin, end = np.nonzero(edges.T == 1), np.nonzero(edges.T == -1)
    return _Runs(begin[0], begin[1], end[1])


def _surprising(calls: IntArray, lengths: FloatArray) -> tuple[_Runs, FloatArray]:
    # The runs that are discoveries, and how many calls were expected in each.
    runs = _runs(calls)
    up_to = np.concatenate([np.zeros((1, calls.shape[1]), np.int64), np.cumsum(calls, axis=0)])
    time = np.concatenate([[0.0], np.cumsum(lengths)])
    long = time[runs.end] - time[runs.begin]
    first = np.maximum(runs.begin - np.maximum(runs.end - runs.begin, PARTS), 0)
    before = (up_to[runs.begin, runs.thing] - up_to[first, runs.thing]) / np.maximum(runs.begin - first, 1)
    expected = before * long
    p_values = np.ones(len(expected))
    asked = (expected >= _LEAST_EXPECTED) & (runs.begin - first >= LEAST_STEPS)
    for i in np.flatnonzero(asked):
        past = calls[first[i] : runs.begin[i], runs.thing[i]].astype(np.float64)[None, :]
        p_values[i] = chance_of_none(past, long[i])[0]
    some: BoolArray = asked & discoveries(p_values, DEFAULT.false_discoveries)
    return _Runs(*(column[some] for column in runs)), expected[some]


def _rows(
    counts: StepCounts, runs: _Runs, expected: FloatArray, names: list[Any], steps: IntArray
) -> list[tuple[Any, ...]]:
    times = counts.first_ns + steps * counts.step_ns
    last = len(steps) - 1
    return [
        (int(times[begin]), None if end == last else int(times[end]), names[thing], float(many))
        for thing, begin, end, many in zip(*runs, expected, strict=True)
    ]
