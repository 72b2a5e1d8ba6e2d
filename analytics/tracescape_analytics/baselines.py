"""What a window is compared with: the same length of time just before, and the day before.

Just before (``before``) are, for a window longer than one, the last whole minutes that are over when it
begins; they are counted already. The day (``day``: 24 hours up to the window, or what is stored of them)
speaks through twelve windows of the same length as this one, evenly spread over it, by their median: an
incident does not count as normal before it fills half of what is stored, however short the store's memory is.
Where none of the twelve has enough calls, their sum is taken. They are read from the counts that a store
keeps by minute and hour, where it keeps any, and never from spans: that would cost a question about five
minutes a scan of the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.connections import CONNECTIONS
from tracescape_analytics.counts import Counts, IntArray, united
from tracescape_analytics.distributions import NO_CODE, Durations, durations, sums, values
from tracescape_analytics.health import DEFAULT, Thresholds, with_states
from tracescape_analytics.naming import (
    Cells,
    Directory,
    NamedCounts,
    both,
    meaning,
    measured,
    named_counts,
    services_in,
)
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.sampling import whole
from tracescape_analytics.significance import FloatArray
from tracescape_analytics.source import Source
from tracescape_analytics.windows import MINUTE_NS, Window, checked

#: Baselines by name, in the order in which they are asked.
BEFORE: Final = "before"
DAY: Final = "day"
_LARGEST: Final = 2**62


class Baseline(NamedTuple):
    """A time to compare with: as a whole, or by windows in it that are ``length_ns`` long."""

    name: str
    window: Window
    length_ns: int
    samples: Sequence[Counts]


class Compared(NamedTuple):
    """Calls, errors, quantiles, states and what they were judged by: a row a node, and a row an edge.

    Rows stand by the numbers of ``directory``, also those of which nothing is counted. Columns: ``calls,
    errors, seen, p50_ns, p95_ns, p99_ns``, of each baseline with its name in front ``calls, errors, p95_ns,
    expected``, and those of ``with_states``. ``here`` is what all this comes from.
    """

    directory: Directory
    here: NamedCounts
    nodes: pl.DataFrame
    edges: pl.DataFrame

    def node_columns(self) -> dict[str, list[str]]:
        """The names and kinds of nodes, in the order of their rows."""
        kinds = [NODE_KINDS[kind] for kind, _ in self.directory.nodes]
        return {"name": [name for _, name in self.directory.nodes], "kind": kinds}

    def edge_columns(self) -> dict[str, list[str]]:
        """The ends and connections of edges, in the order of their rows."""
        edges = list(self.directory.edges)
        return {
            "source": [source for source, _, _ in edges],
            "target": [target for _, target, _ in edges],
            "connection": [CONNECTIONS[connection] for _, _, connection in edges],
        }


class _Normal(NamedTuple):
    # What is normal by one baseline, of each thing: ``p95`` is a code. float64 and int64, shape (things,).
    name: str
    calls: IntArray
    errors: IntArray
    p95: IntArray
    expected: FloatArray


def baselines(
    source: Source,
    window: Window,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
) -> list[Baseline]:
    """The baselines of a window: the one given alone, else those of the module's docstring that are stored.

    An open end of the window is the last span that is stored; a window that is open at its begin has none.
    """
    if baseline is not None:
        given = checked(*baseline)
        length = (given.until_ns or 0) - (given.since_ns or 0)
        return [Baseline(BEFORE, given, length, [source.counts(given)])]
    if window.since_ns is None:
        return []
    since, until = source.bounds(window)
    if until <= since:
        return []
    found = []
    before = just_before(since, until)
    counts = source.counts(before)
    if len(counts.keys):
        length = since - (before.since_ns or 0)
        found.append(Baseline(BEFORE, before, length, [counts]))
    day = Window(since - thresholds.day_ns, since)
    samples = source.samples(day, until - since, thresholds.day_samples)
    if samples:
        first, last = samples[0][0], samples[-1][0]
        length = (first.until_ns or 0) - (first.since_ns or 0)
        stored = Window(first.since_ns, last.until_ns)
        found.append(Baseline(DAY, stored, length, [counts for _, counts in samples]))
    return found


def just_before(since_ns: int, until_ns: int) -> Window:
    """The time before a window that is as long; in whole minutes, which are counted already, where the window
    is longer than one: the last ones that are over when it begins, so many that they are no shorter."""
    length, end = until_ns - since_ns, since_ns
    if length > MINUTE_NS:
        length = -(-length // MINUTE_NS) * MINUTE_NS
        end = since_ns // MINUTE_NS * MINUTE_NS
    return Window(end - length, end)


def compared(
    now: Counts, earlier: Sequence[Baseline], length_ns: int, thresholds: Thresholds = DEFAULT
) -> Compared:
    """The counts of a window of that length, judged against baselines if there are any.

    Who calls a service that fell silent still calls a service, if a baseline knows it. An edge is judged by
    what the caller felt.
    """
    directory = Directory()
    pasts = [united([counts.groups for counts in baseline.samples]) for baseline in earlier]
    known = {name for groups, _ in pasts for name in services_in(groups)}
    what = meaning(now.groups, directory, known)
    meanings = [meaning(groups, directory) for groups, _ in pasts]
    here = named_counts(now, what, directory)
    nodes, edges = [], []
    for baseline, (_, numbers), meant in zip(earlier, pasts, meanings, strict=True):
        cells = [
            measured(counts.keys, counts.counts, meant.of(number))
            for counts, number in zip(baseline.samples, numbers, strict=True)
        ]
        visits = [(sample.visits, sample.visit_errors) for sample in cells]
        felt = [(sample.felt(), sample.edge_errors) for sample in cells]
        nodes.append(_normal(baseline, visits, len(directory.nodes), length_ns, thresholds))
        edges.append(_normal(baseline, felt, len(directory.edges), length_ns, thresholds))
    return Compared(
        directory,
        here,
        _judged(here.visits, here.visit_errors, nodes, thresholds),
        _judged(here.felt, here.edge_errors, edges, thresholds),
    )


def _judged(
    times: Durations, errors: IntArray, normals: Sequence[_Normal], thresholds: Thresholds
) -> pl.DataFrame:
    p95 = times.at(0.95)
    columns: dict[str, Any] = {
        "calls": times.seen,
        "errors": times.share(errors),
        "p50_ns": values("p50_ns", times.at(0.5)),
        "p95_ns": values("p95_ns", p95),
        "p99_ns": values("p99_ns", times.at(0.99)),
        "timed": times.seen,
        "seen": times.seen,
        "p95": values("p95", p95),
    }
    for name, calls, failed, usual, expected in normals:
        known, slow = usual != NO_CODE, times.above(usual)
        columns[f"{name}_calls"], columns[f"{name}_errors"] = calls, failed
        columns[f"{name}_p95_ns"] = columns[f"{name}_p95"] = values("p95", usual)
        columns[f"{name}_slow"] = np.where(known, times.share(slow), 0)
        columns[f"{name}_expected"] = expected
    if not normals:  # nothing to compare with: judged by errors alone
        for what in ("calls", "errors", "p95", "slow", "expected"):
            columns[f"{BEFORE}_{what}"] = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(p95))
    names = [normal.name for normal in normals]
    # Of sampled calls, those that are there tell how sure one can be, and what they stand for how many.
    judged = with_states(pl.DataFrame(columns), thresholds, names or [BEFORE])
    for name, numbers in (("calls", times.calls), ("errors", whole(errors))):
        judged.replace_column(judged.get_column_index(name), pl.Series(name, numbers))
    return judged


def _normal(
    baseline: Baseline,
    samples: Sequence[tuple[Cells, Cells]],
    things: int,
    length_ns: int,
    thresholds: Thresholds,
) -> _Normal:
    # Each sample, and where none of them has enough calls their sum, has a say: the middle one, of an even
    # number the better one.
    of_samples = [_totals(*sample, things) for sample in samples]
    total, errors, p95 = (np.array(columns) for columns in zip(*of_samples, strict=True))
    heard = total >= (thresholds.calls if len(samples) > 1 else 1)
    if len(samples) > 1:
        times, failed = (reduce(both, kind) for kind in zip(*samples, strict=True))
        sums_of = _totals(times, failed, things)
        alone = (sums_of[0] > 0) & ~heard.any(axis=0)
        total_and, errors_and, p95_and = (
            np.concatenate([column, of_sum[None]])
            for column, of_sum in zip((total, errors, p95), sums_of, strict=True)
        )
        heard = np.concatenate([heard, alone[None]])
    else:
        total_and, errors_and, p95_and = total, errors, p95
    middle = np.maximum(heard.sum(axis=0) - 1, 0) // 2
    place = np.arange(things)
    rate = errors_and / np.maximum(total_and, 1)
    order = np.lexsort((total_and, rate, ~heard), axis=0)[middle, place]
    slowness = np.sort(np.where(heard, p95_and, _LARGEST), axis=0)[middle, place]
    some = heard.any(axis=0)
    # Samples without a call count too: the median of how many there were may be 0.
    median = np.sort(total, axis=0)[(len(samples) - 1) // 2]
    return _Normal(
        baseline.name,
        np.where(some, total_and[order, place], 0),
        np.where(some, errors_and[order, place], 0),
        np.where(some, slowness, NO_CODE),
        median * (length_ns / max(baseline.length_ns, 1)),
    )


def _totals(times: Cells, errors: Cells, things: int) -> tuple[IntArray, IntArray, IntArray]:
    # Calls that are there, how many of them failed, and the code of the p95, of each thing.
    found = durations(*times, things)
    failed = found.share(sums(errors.thing, errors.counted, things))
    return found.seen, failed, found.at(0.95)
