"""Counts of calls and visits that add up: what topology, RED and health are computed from.

`Counts` of disjoint times add up to those of the whole, exactly, in any order: counts are integers,
durations are counted in buckets of one fixed width (``native.buckets``), and exemplars are maxima.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.shapes import Vocabulary
from tracescape_native import call_counts, call_keys
from tracescape_native.call_keys import GROUP_SHIFT, MEASURE_SHIFT, OFFSET
from tracescape_native.grouping import group_ids
from tracescape_native.tally import sums_by_key

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: What identifies a group: ``role`` and ``connection`` are ``call_keys``' and ``connections``' numbers,
#: kinds are indices into ``NODE_KINDS``. Of a visit, ``target`` is the operation; what has no name is "".
Identity = tuple[int, int, int, str, int, str]
GROUP_COLUMNS: Final = ("role", "connection", "source_kind", "source", "target_kind", "target")
EXEMPLAR_SCHEMA: Final = {
    "group": pl.Int64,
    "failed": pl.Boolean,
    "duration_ns": pl.Int64,
    "trace_id": pl.Binary,
}
CELL_SCHEMA: Final = {"group": pl.Int64, "measure": pl.Int64, "code": pl.Int64, "count": pl.Int64}

_ID_BYTES: Final = 16
#: The bits of a key that are not its group.
LOW: Final = (1 << GROUP_SHIFT) - 1


@dataclass(frozen=True)
class Groups:
    """What is counted, a row a group, numbered from 0: names stand once, all else is numbers.

    ``names``: pairs of a kind and a text, distinct. ``role``, ``connection``, and ``source`` and ``target``,
    which are places in ``names``: int64, shape (groups,).
    """

    names: Sequence[tuple[int, str]]
    role: IntArray
    connection: IntArray
    source: IntArray
    target: IntArray

    def __len__(self) -> int:
        return len(self.role)

    @classmethod
    def of(cls, rows: Iterable[Identity]) -> Groups:
        """Groups by their identities."""
        known: dict[tuple[int, str], int] = {}
        numbers = [
            (row[0], row[1], *(known.setdefault(end, len(known)) for end in (row[2:4], row[4:6])))
            for row in rows
        ]
        columns = np.array(numbers, np.int64).reshape(-1, 4).T
        return cls(list(known), *np.ascontiguousarray(columns))

    def rows(self) -> list[Identity]:
        """Their identities."""
        columns = (self.role, self.connection, self.source, self.target)
        return [
            (role, connection, *self.names[source], *self.names[target])
            for role, connection, source, target in zip(*(c.tolist() for c in columns), strict=True)
        ]

    def take(self, places: IntArray) -> Groups:
        """Some of them."""
        columns = (self.role, self.connection, self.source, self.target)
        return Groups(self.names, *(column[places] for column in columns))


def united(parts: Sequence[Groups]) -> tuple[Groups, list[IntArray]]:
    """The groups of all parts, each once; and for each part their numbers, int64, shape (groups of it,)."""
    names: dict[tuple[int, str], int] = {}
    places: dict[int, IntArray] = {}
    for part in parts:
        if id(part.names) not in places:
            known = [names.setdefault(name, len(names)) for name in part.names]
            places[id(part.names)] = np.array(known, np.int64)
    role, connection = (
        np.concatenate([np.empty(0, np.int64), *(getattr(part, column) for part in parts)])
        for column in ("role", "connection")
    )
    source, target = (
        np.concatenate(
            [np.empty(0, np.int64), *(places[id(part.names)][getattr(part, column)] for part in parts)]
        )
        for column in ("source", "target")
    )
    number, first = numbered((source << 31) | target, (connection << 8) | role)
    groups = Groups(list(names), role, connection, source, target).take(first)
    return groups, np.split(number, np.cumsum([len(part) for part in parts])[:-1])


def numbered(high: IntArray, low: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs numbered from 0 in order of appearance: the number of each, and where each number is first."""
    number, count = group_ids(high, low)
    first = np.zeros(count, np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]
    return number, first


class Exemplars(NamedTuple):
    """The slowest call of a group, of all or of those that failed; of equals the one in the greatest trace.

    ``group``, ``duration_ns``: int64, shape (m,); ``failed``: bool, shape (m,); ``trace_id``: uint8, shape
    (m, 16).
    """

    group: IntArray
    failed: BoolArray
    duration_ns: IntArray
    trace_id: ByteArray

    def rows(self, chosen: Any) -> Exemplars:
        """Some of them; ``chosen`` is any index of an array."""
        return Exemplars(*(column[chosen] for column in self))

    def frame(self) -> pl.DataFrame:
        """Columns of ``EXEMPLAR_SCHEMA``."""
        count = len(self.group)
        data = pa.py_buffer(np.ascontiguousarray(self.trace_id))
        trace = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_ID_BYTES), count, [None, data])
        columns = {"group": self.group, "failed": self.failed, "duration_ns": self.duration_ns}
        return pl.DataFrame({**columns, "trace_id": trace.cast(pa.binary())}, schema=EXEMPLAR_SCHEMA)


def no_exemplars() -> Exemplars:
    """None of them."""
    none = np.empty(0, np.int64)
    return Exemplars(none, none.astype(np.bool_), none, np.empty((0, _ID_BYTES), np.uint8))


class Counts(NamedTuple):
    """``groups``: distinct; the number of one is its row.

    ``keys`` and ``counts``, int64, shape (cells,): how often a group has a code of a measure, packed as
    ``call_keys`` says; keys are distinct, in no order.
    """

    groups: Groups
    keys: IntArray
    counts: IntArray
    exemplars: Exemplars

    def cells(self) -> pl.DataFrame:
        """The counts as a frame, columns of ``CELL_SCHEMA``."""
        columns = {
            "group": self.keys >> GROUP_SHIFT,
            "measure": (self.keys & LOW) >> MEASURE_SHIFT,
            "code": (self.keys & ((1 << MEASURE_SHIFT) - 1)) - OFFSET,
            "count": self.counts,
        }
        return pl.DataFrame(columns, schema=CELL_SCHEMA)


class Counted(NamedTuple):
    """Counts by period (ascending), of groups that are numbered together; ``groups`` as in `Counts`.

    Those of ``periods[i]`` are ``keys[cells[i]:cells[i + 1]]``, ascending, and ``counts`` beside them, and
    ``exemplars.rows(slice(noted[i], noted[i + 1]))``, by group and then ``failed``.
    """

    groups: Groups
    periods: IntArray
    cells: IntArray
    keys: IntArray
    counts: IntArray
    noted: IntArray
    exemplars: Exemplars

    def whole(self) -> Counts:
        """The counts of the only period."""
        return Counts(self.groups, self.keys, self.counts, self.exemplars)


def no_counts() -> Counts:
    """The counts of nothing."""
    none = np.empty(0, np.int64)
    return Counts(Groups.of([]), none, none, no_exemplars())


def nothing_counted() -> Counted:
    """As ``no_counts``."""
    none, start = np.empty(0, np.int64), np.zeros(1, np.int64)
    return Counted(Groups.of([]), none, start, none, none, start, no_exemplars())


def merged(parts: Sequence[Counts]) -> Counts:
    """The sum of counts."""
    if len(parts) < 2:
        return parts[0] if parts else no_counts()
    groups, numbers = united([part.groups for part in parts])
    keys, exemplars = [], []
    for part, number in zip(parts, numbers, strict=True):
        keys.append((number[part.keys >> GROUP_SHIFT] << GROUP_SHIFT) | (part.keys & LOW))
        exemplars.append(part.exemplars._replace(group=number[part.exemplars.group]))
    sums = sums_by_key(np.concatenate(keys), np.concatenate([part.counts for part in parts]))
    return Counts(groups, *sums, greatest(together(exemplars)))


def together(parts: Sequence[Exemplars]) -> Exemplars:
    """All exemplars of several parts."""
    return Exemplars(*(np.concatenate(columns) for columns in zip(no_exemplars(), *parts, strict=True)))


def greatest(exemplars: Exemplars) -> Exemplars:
    """Of each group and ``failed`` that with the greatest (duration, trace id), by group and ``failed``."""
    slot, first = numbered(exemplars.group, exemplars.failed.astype(np.int64))
    longest = np.full(len(first), np.iinfo(np.int64).min)
    np.maximum.at(longest, slot, exemplars.duration_ns)
    # Only ties are sorted: to sort all takes twenty times as long.
    exemplars = exemplars.rows(exemplars.duration_ns == longest[slot])
    halves = np.ascontiguousarray(exemplars.trace_id).view(">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0], exemplars.failed, exemplars.group))
    group, failed = exemplars.group[order], exemplars.failed[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (group[1:] != group[:-1]) | (failed[1:] != failed[:-1])
    return exemplars.rows(order[last])


def named(found: call_counts.Counts, words: Vocabulary, ids: ByteArray) -> Counted:
    """The counts of each period, by names instead of numbers.

    ``ids`` are the trace ids of the rows that were counted, uint8, shape (n, 16).
    """
    ends = (found.source << 31) | found.target
    group, first = numbered(ends, (found.connection << 8) | found.role)
    count = len(first)
    periods, period = np.unique(found.period, return_inverse=True)
    # Within a period by group: sorting is all that it takes to tell them apart.
    place = period.astype(np.int64) * count + group
    keys = (place[found.group] << GROUP_SHIFT) | (found.measure << MEASURE_SHIFT) | (found.code + OFFSET)
    keys, counts = sums_by_key(keys, found.counted)
    if len(periods) > 1:
        order = np.argsort(keys)
        keys, counts = keys[order], counts[order]
    exemplars = greatest(_noted(found, place, ids))
    edges = np.arange(len(periods) + 1) * count
    return Counted(
        _identities(found, first, words),
        periods,
        np.searchsorted(keys, edges << GROUP_SHIFT) if len(periods) > 1 else np.array([0, len(keys)]),
        ((keys >> GROUP_SHIFT) % max(count, 1) << GROUP_SHIFT) | (keys & LOW),
        counts,
        np.searchsorted(exemplars.group, edges),
        exemplars._replace(group=exemplars.group % max(count, 1)),
    )


def used(groups: Groups, keys: IntArray, counts: IntArray, exemplars: Exemplars) -> Counts:
    """Counts of the groups that occur, numbered anew; ``keys`` and ``exemplars`` have rows of ``groups``."""
    occurs = np.zeros(len(groups) + 1, np.bool_)
    occurs[keys >> GROUP_SHIFT] = True
    place = np.cumsum(occurs) - 1
    return Counts(
        groups.take(np.flatnonzero(occurs)),
        (place[keys >> GROUP_SHIFT] << GROUP_SHIFT) | (keys & LOW),
        counts,
        exemplars._replace(group=place[exemplars.group]),
    )


def _identities(found: call_counts.Counts, first: IntArray, words: Vocabulary) -> Groups:
    rows = []
    columns = (found.role, found.connection, found.source, found.target)
    for role, connection, source, target in zip(*(column[first].tolist() for column in columns), strict=True):
        source_kind, source_name, target_kind, target_name = 0, "", 0, ""
        counted = role & ~call_keys.EXTRA
        if counted != call_keys.TOTAL:
            source_kind, source_name = words.nodes[source]
        if counted == call_keys.EDGE:
            target_kind, target_name = words.nodes[target]
        elif counted in (call_keys.ENTRY, call_keys.TOPMOST):
            target_name = words.operations[target]
        rows.append((role, connection, source_kind, source_name, target_kind, target_name))
    return Groups.of(rows)


def _noted(found: call_counts.Counts, group: IntArray, ids: ByteArray) -> Exemplars:
    parts = []
    for failed in (False, True):
        taken = found.failed if failed else found.slowest
        rows = found.failed_row if failed else found.slowest_row
        some = np.flatnonzero(taken >= 0)
        flags = np.full(len(some), failed)
        parts.append(Exemplars(group[some], flags, taken[some], ids[rows[some]]))
    return together(parts)
