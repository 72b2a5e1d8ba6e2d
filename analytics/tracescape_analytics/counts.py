"""Counts of calls and visits that add up: what topology, RED and health are computed from.

`Counts` of disjoint times add up to those of the whole, exactly, in any order: counts are integers,
durations are counted in buckets of one fixed width (``native.buckets``), and exemplars are maxima.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.shapes import Vocabulary
from tracescape_native import call_counts as native
from tracescape_native.call_counts import GROUP_SHIFT, MEASURE_SHIFT, OFFSET
from tracescape_native.tally import sums_by_key

IntArray = np.ndarray[Any, np.dtype[np.int64]]
ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: What identifies a group: ``role`` and ``connection`` are ``call_counts``' and ``connections``' numbers,
#: kinds are indices into ``NODE_KINDS``. Of a visit, ``target`` is the operation; what has no name is "".
GROUP_SCHEMA: Final = {
    "role": pl.Int8,
    "connection": pl.Int8,
    "source_kind": pl.Int8,
    "source": pl.String,
    "target_kind": pl.Int8,
    "target": pl.String,
}
#: The slowest call of a group, of all or of those that failed; of equals the one in the greatest trace.
EXEMPLAR_SCHEMA: Final = {
    "group": pl.Int64,
    "failed": pl.Boolean,
    "duration_ns": pl.Int64,
    "trace_id": pl.Binary,
}
CELL_SCHEMA: Final = {"group": pl.Int64, "measure": pl.Int64, "code": pl.Int64, "count": pl.Int64}

_LOW: Final = (1 << GROUP_SHIFT) - 1


class Counts(NamedTuple):
    """``groups``: a row a group, distinct, columns of ``GROUP_SCHEMA``; its number is its row.

    ``keys`` and ``counts``, int64, shape (cells,): how often a group has a code of a measure, packed as
    ``call_counts`` says; keys are distinct, in no order. ``exemplars``: columns of ``EXEMPLAR_SCHEMA``.
    """

    groups: pl.DataFrame
    keys: IntArray
    counts: IntArray
    exemplars: pl.DataFrame

    def cells(self) -> pl.DataFrame:
        """The counts as a frame, columns of ``CELL_SCHEMA``."""
        columns = {
            "group": self.keys >> GROUP_SHIFT,
            "measure": (self.keys & _LOW) >> MEASURE_SHIFT,
            "code": (self.keys & ((1 << MEASURE_SHIFT) - 1)) - OFFSET,
            "count": self.counts,
        }
        return pl.DataFrame(columns, schema=CELL_SCHEMA)


def no_counts() -> Counts:
    """The counts of nothing."""
    none = np.empty(0, np.int64)
    return Counts(pl.DataFrame(schema=GROUP_SCHEMA), none, none, pl.DataFrame(schema=EXEMPLAR_SCHEMA))


def merged(parts: Sequence[Counts]) -> Counts:
    """The sum of counts."""
    if len(parts) < 2:
        return parts[0] if parts else no_counts()
    columns = list(GROUP_SCHEMA)
    groups = pl.concat([part.groups for part in parts]).unique().with_row_index("number")
    numbers = []
    for part in parts:
        found = part.groups.join(groups, on=columns, how="left", maintain_order="left")["number"]
        numbers.append(found.cast(pl.Int64).to_numpy())
    keys = [
        (number[part.keys >> GROUP_SHIFT] << GROUP_SHIFT) | (part.keys & _LOW)
        for part, number in zip(parts, numbers, strict=True)
    ]
    sums = sums_by_key(np.concatenate(keys), np.concatenate([part.counts for part in parts]))
    exemplars = [
        part.exemplars.with_columns(
            group=pl.Series(number[part.exemplars["group"].to_numpy()], dtype=pl.Int64)
        )
        for part, number in zip(parts, numbers, strict=True)
    ]
    return Counts(groups.drop("number"), *sums, greatest(pl.concat(exemplars)))


def greatest(exemplars: pl.DataFrame) -> pl.DataFrame:
    """Of each group and kind the exemplar with the greatest (duration, trace id)."""
    ranked = exemplars.sort("duration_ns", "trace_id", descending=True)
    return ranked.unique(["group", "failed"], keep="first", maintain_order=True)


def named(found: native.Counts, words: Vocabulary, ids: ByteArray) -> dict[int, Counts]:
    """The counts of each period, by names instead of numbers.

    ``ids`` are the trace ids of the rows that were counted, uint8, shape (n, 16).
    """
    names = ("role", "connection", "source", "target")
    raw = pl.DataFrame({name: getattr(found, name) for name in names})
    unique = raw.unique(maintain_order=True).with_row_index("group")
    group = raw.join(unique, on=names, how="left", maintain_order="left")["group"].cast(pl.Int64).to_numpy()
    groups = _identities(unique, words)
    result = {}
    cell_period = found.period[found.group]
    for period in np.unique(found.period).tolist():
        here, cells = found.period == period, np.flatnonzero(cell_period == period)
        keys = (group[found.group[cells]] << GROUP_SHIFT) | (found.measure[cells] << MEASURE_SHIFT)
        sums = sums_by_key(keys | (found.code[cells] + OFFSET), found.counted[cells])
        result[period] = used(groups, *sums, _exemplars(found, here, group, ids))
    return result


def used(groups: pl.DataFrame, keys: IntArray, counts: IntArray, exemplars: pl.DataFrame) -> Counts:
    """Counts of the groups that occur, numbered anew; ``keys`` and ``exemplars`` have rows of ``groups``."""
    present, numbers = np.unique(keys >> GROUP_SHIFT, return_inverse=True)
    place = np.zeros(len(groups) + 1, np.int64)
    place[present] = np.arange(len(present))
    return Counts(
        groups[present],
        (numbers.astype(np.int64) << GROUP_SHIFT) | (keys & _LOW),
        counts,
        exemplars.with_columns(group=pl.Series(place[exemplars["group"].to_numpy()], dtype=pl.Int64)),
    )


def _identities(unique: pl.DataFrame, words: Vocabulary) -> pl.DataFrame:
    rows = []
    for _, role, connection, source, target in unique.iter_rows():
        source_kind, source_name, target_kind, target_name = 0, "", 0, ""
        if role != native.TOTAL:
            source_kind, source_name = words.nodes[source]
        if role == native.EDGE:
            target_kind, target_name = words.nodes[target]
        elif role in (native.ENTRY, native.TOPMOST):
            target_name = words.operations[target]
        rows.append((role, connection, source_kind, source_name, target_kind, target_name))
    return pl.DataFrame(rows, schema=GROUP_SCHEMA, orient="row")


def _exemplars(found: native.Counts, here: Any, group: IntArray, ids: ByteArray) -> pl.DataFrame:
    frames = []
    for failed in (False, True):
        taken = found.failed if failed else found.slowest
        rows = found.failed_row if failed else found.slowest_row
        some = np.flatnonzero(here & (taken >= 0))
        traces = [ids[row].tobytes() for row in rows[some].tolist()]
        columns = {
            "group": group[some],
            "failed": np.full(len(some), failed),
            "duration_ns": taken[some],
            "trace_id": pl.Series(traces, dtype=pl.Binary),
        }
        frames.append(pl.DataFrame(columns, schema=EXEMPLAR_SCHEMA))
    return greatest(pl.concat(frames))
