"""What of a wall is drawn: spans that can be seen alone, and crowds of those that cannot.

The wall is cut into rows (a lane each, or several where there are very many) and columns, about a pixel wide.
A span that is wider than a column stands alone, if its row is one lane; the others are merged where they are:
cells beside each other that look the same are one body, which says how many spans begin in it. Nothing is
left out: the counts of all bodies add up to the spans of the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.inside.reach import Reach
from tracescape_render.inside.standing import BoolArray, IntArray, Pieces, Standing
from tracescape_render.palette import SERVICE_COLOURS

FloatArray = NDArray[np.float64]

ROWS: Final = 90
COLUMNS: Final = 600
#: Notes need more room than spans.
NOTE_COLUMNS: Final = 120
_SLOTS: Final = len(SERVICE_COLOURS)
#: A cell shows work if spans worked for this share of it.
_HALF: Final = 0.5


class Strips(NamedTuple):
    """Parts of rows, in shares of the range: ``row`` int64 (m,), ``left``, ``right`` float64 (m,) in 0 … 1.

    ``body`` (m,) is the body that each is a part of.
    """

    row: IntArray
    left: FloatArray
    right: FloatArray
    body: IntArray


class Pins(NamedTuple):
    """Notes where they are: ``level``, ``at`` (0 … 1), ``number`` there, ``note`` the first."""

    level: IntArray
    at: FloatArray
    number: IntArray
    note: IntArray


@dataclass(frozen=True, eq=False)
class Bodies:
    """What is drawn of a `Standing` in a `Reach`. All arrays of bodies are (b,), by row, then from the left.

    Attributes:
        span: int64, the span that stands alone; -1 for a crowd.
        row: int64, from 0, the lowest. ``left``, ``right``: float64, 0 … 1.
        count: int64, how many spans begin in it or, at the left edge, before; 1 for a span.
        failed: int64, how many of those failed; ``ill``: bool, whether any span that is seen in it did.
        slot: int64, the colour of its service, of the most of a crowd.
        critical, void: bool, whether a part of the critical path, or a missing span, is in it.
        work: where spans worked; elsewhere they waited.
        lit: the critical path. ``steps``: float64 (k, 3), where it goes to another row: at, lower, upper.
        pins: notes.
        lanes_a_row, rows: how lanes became rows.
        spans: how many spans are in the range.
    """

    reach: Reach
    lanes_a_row: int
    rows: int
    spans: int
    span: IntArray
    row: IntArray
    left: FloatArray
    right: FloatArray
    count: IntArray
    failed: IntArray
    ill: BoolArray
    slot: IntArray
    critical: BoolArray
    void: BoolArray
    work: Strips
    lit: Strips
    steps: FloatArray
    pins: Pins

    @property
    def crowded(self) -> int:
        """How many spans are merged into crowds."""
        return int(self.count[self.span < 0].sum())

    def row_of(self, lane: int) -> int:
        """The row of a lane."""
        return (lane - self.reach.low) // self.lanes_a_row

    def body_at(self, row: int, share: float, slack: float = 0.0) -> int | None:
        """The body of a row at a place from 0 to 1, or the nearest within ``slack``; None for none."""
        first, last = np.searchsorted(self.row, [row, row + 1])
        if first == last:
            return None
        left, right = self.left[first:last], self.right[first:last]
        away = np.maximum(np.maximum(left - share, share - right), 0.0)
        best = int(np.argmin(away))
        if away[best] > slack:
            return None
        inside = np.flatnonzero(away <= 0.0)
        if len(inside):  # the narrowest, which may stand on a wide one
            best = int(inside[np.argmin((right - left)[inside])])
        return int(first) + best

    def body_of(self, wall: Standing, span: int) -> int | None:
        """The body that shows a span; None where it is out of the range."""
        reach = self.reach
        if not reach.low <= wall.lane[span] < reach.high:
            return None
        if wall.end[span] < reach.first or wall.start[span] > reach.last:
            return None
        alone = np.flatnonzero(self.span == span)
        if len(alone):
            return int(alone[0])
        at = (max(float(wall.start[span]), reach.first) - reach.first) / reach.length
        return self.body_at(self.row_of(int(wall.lane[span])), at, 1.0 / COLUMNS)


def bodies(wall: Standing, reach: Reach, rows: int = ROWS, columns: int = COLUMNS) -> Bodies:
    """What is drawn of ``wall`` in ``reach``, at most ``rows`` × ``columns`` crowds. O(n + crowds)."""
    per_row = max(-(-reach.lanes // rows), 1)
    count = max(-(-reach.lanes // per_row), 1)
    grid = _Grid(reach, per_row, count, columns)
    seen = np.flatnonzero(
        (wall.end >= reach.first)
        & (wall.start <= reach.last)
        & (wall.lane >= reach.low)
        & (wall.lane < reach.high)
    )
    row, left, right = grid.places(wall.lane[seen], wall.start[seen], wall.end[seen])
    alone = np.full(len(seen), per_row == 1) & (right - left >= 1.0 / columns)
    crowds = _crowds(grid, wall, seen[~alone], row[~alone], left[~alone], right[~alone])
    own = seen[alone]
    merged = [
        np.concatenate(parts)
        for parts in zip(
            (
                own,
                row[alone],
                left[alone],
                right[alone],
                np.ones(len(own), np.int64),
                wall.failed[own].astype(np.int64),
                wall.failed[own],
                wall.slot[own],
                wall.critical[own],
                wall.void[own],
            ),
            crowds,
            strict=True,
        )
    ]
    order = np.lexsort((merged[2], merged[1]))
    span, row, left, right, number, failed, ill, slot, critical, void = (part[order] for part in merged)
    owner = grid.owners(row, left, right)
    exact = np.zeros(len(wall.start), np.bool_)
    exact[span[span >= 0]] = True
    return Bodies(
        reach,
        per_row,
        count,
        len(seen),
        span,
        row,
        left,
        right,
        number,
        failed,
        ill,
        slot,
        critical,
        void,
        work=_strips(grid, wall, wall.work, exact, owner, _HALF),
        lit=_strips(grid, wall, wall.lit, exact, owner, 0.0),
        steps=_steps(grid, wall),
        pins=_pins(wall, reach),
    )


class _Grid(NamedTuple):
    """From times and lanes to rows, shares and cells."""

    reach: Reach
    per_row: int
    rows: int
    columns: int

    def places(
        self, lane: IntArray, start: IntArray, end: IntArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        row = (lane - self.reach.low) // self.per_row
        left, right = (np.clip((at - self.reach.first) / self.reach.length, 0.0, 1.0) for at in (start, end))
        return row, left, right

    def cells(self, left: FloatArray, right: FloatArray) -> tuple[IntArray, IntArray]:
        """First and past-the-last column; each has one at least."""
        first = np.minimum((left * self.columns).astype(np.int64), self.columns - 1)
        last = np.minimum(np.ceil(right * self.columns - 1e-9).astype(np.int64), self.columns)
        return first, np.maximum(last, first + 1)

    def covered(self, row: IntArray, first: IntArray, last: IntArray) -> IntArray:
        """How many of [first, last) cover each cell, (rows, columns)."""
        wide = self.columns + 1
        size = self.rows * wide
        change = np.bincount(row * wide + first, minlength=size) - np.bincount(
            row * wide + last, minlength=size
        )
        return np.cumsum(change.reshape(self.rows, wide), axis=1)[:, :-1]

    def counted(self, row: IntArray, first: IntArray) -> IntArray:
        return np.bincount(row * self.columns + first, minlength=self.rows * self.columns)

    def owners(self, row: IntArray, left: FloatArray, right: FloatArray) -> IntArray:
        """The body of each cell, flat; -1 for none. Where two meet, the later has it."""
        first, last = self.cells(left, right)
        length = last - first
        owner = np.full(self.rows * self.columns, -1, np.int64)
        begin = np.cumsum(length) - length
        within = np.arange(int(length.sum())) - np.repeat(begin, length)
        owner[np.repeat(row * self.columns + first, length) + within] = np.repeat(np.arange(len(row)), length)
        return owner

    def runs(self, key: IntArray) -> tuple[IntArray, IntArray]:
        """Where cells of the same ``key`` > 0 begin and end, flat; no run goes over the end of a row."""
        flat = np.concatenate([[0], key.ravel(), [0]])
        change = flat[1:] != flat[:-1]
        change[:: self.columns] = True
        edges = np.flatnonzero(change)
        begin, end = edges[:-1], edges[1:]
        kept = key.ravel()[begin] > 0
        return begin[kept], end[kept]


def _crowds(
    grid: _Grid, wall: Standing, seen: IntArray, row: IntArray, left: FloatArray, right: FloatArray
) -> tuple[NDArray[np.generic], ...]:
    """The merged bodies, in the order of the fields of `Bodies`; a crowd of one is that span."""
    first, last = grid.cells(left, right)
    cover = grid.covered(row, first, last)

    def some(chosen: BoolArray) -> BoolArray:
        return grid.covered(row[chosen], first[chosen], last[chosen]) > 0

    failed, critical, void = (some(flags[seen]) for flags in (wall.failed, wall.critical, wall.void))
    slot = _most(grid, wall.slot[seen], row, first, last)
    key = np.where(cover > 0, 1 + ((slot * 2 + failed) * 2 + critical) * 2 + void, 0)
    begin, end = grid.runs(key)

    def total(values: NDArray[np.generic]) -> IntArray:
        summed = np.concatenate([[0], np.cumsum(values)])
        return np.asarray(summed[end] - summed[begin], np.int64)

    count = total(grid.counted(row, first))
    number = total(grid.counted(row[wall.failed[seen]], first[wall.failed[seen]]))
    here = row * grid.columns + first
    who = total(np.bincount(here, seen.astype(np.float64), grid.rows * grid.columns).astype(np.int64))
    until = total(np.bincount(here, (last - first).astype(np.float64), grid.rows * grid.columns))
    length = end - begin
    single = (
        (count == 1)
        & (until == length)
        & (total(cover.ravel()) == length)
        & (grid.counted(row, first)[begin] == 1)
    )
    span = np.where(single, who, -1)
    lefts = np.where(single, 0.0, (begin % grid.columns) / grid.columns)
    rights = np.where(single, 0.0, ((end - 1) % grid.columns + 1) / grid.columns)
    _, lefts[single], rights[single] = grid.places(
        wall.lane[span[single]], wall.start[span[single]], wall.end[span[single]]
    )
    flat = [part.ravel()[begin] for part in (failed, slot, critical, void)]
    return span, begin // grid.columns, lefts, rights, count, number, *flat


def _most(grid: _Grid, slot: IntArray, row: IntArray, first: IntArray, last: IntArray) -> IntArray:
    """Of each cell the slot that most spans in it have."""
    most = np.zeros((grid.rows, grid.columns), np.int64)
    best = np.zeros((grid.rows, grid.columns), np.int64)
    for code in range(_SLOTS):
        of = slot == code
        if of.any():
            cover = grid.covered(row[of], first[of], last[of])
            better = cover > most
            most[better], best[better] = cover[better], code
    return best


def _strips(
    grid: _Grid, wall: Standing, pieces: Pieces, exact: BoolArray, owner: IntArray, least: float
) -> Strips:
    """Pieces as they are where they can be seen; the rest as cells of which they fill more than ``least``."""
    reach = grid.reach
    lane = wall.lane[pieces.span]
    seen = np.flatnonzero(
        (pieces.end > reach.first) & (pieces.start < reach.last) & (lane >= reach.low) & (lane < reach.high)
    )
    span = pieces.span[seen]
    row, left, right = grid.places(lane[seen], pieces.start[seen], pieces.end[seen])
    large = exact[span] & (right - left >= 1.0 / grid.columns)
    first, last = grid.cells(left[large], right[large])
    middle = row[large] * grid.columns + (first + last - 1) // 2
    small = ~large
    share = _filled(grid, row[small], left[small], right[small])
    filled = (share >= least) & (share > 0.0)
    begin, end = grid.runs(np.where(filled.ravel(), owner + 2, 0).reshape(filled.shape))
    return Strips(
        np.concatenate([row[large], begin // grid.columns]),
        np.concatenate([left[large], (begin % grid.columns) / grid.columns]),
        np.concatenate([right[large], ((end - 1) % grid.columns + 1) / grid.columns]),
        np.concatenate([owner[middle], owner[begin]]),
    )


def _filled(grid: _Grid, row: IntArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """How much of each cell is filled, (rows, columns); more than 1 where several lanes are in a row."""
    size, at = grid.rows * grid.columns, left * grid.columns
    until = right * grid.columns
    first = np.minimum(at.astype(np.int64), grid.columns - 1)
    last = np.minimum(until.astype(np.int64), grid.columns - 1)
    base, one = row * grid.columns, first == last
    share = np.bincount(base + first, np.where(one, until - at, first + 1 - at), size)
    share += np.bincount(base + last, np.where(one, 0.0, until - last), size)
    long = last > first + 1
    between = grid.covered(row[long], first[long] + 1, last[long])
    return np.asarray(share.reshape(grid.rows, grid.columns) + between, np.float64)


def _steps(grid: _Grid, wall: Standing) -> FloatArray:
    """Where the critical path goes to another row, one place a column: (at, lowest row, highest row)."""
    lit = wall.lit
    if len(lit.span) < 2:
        return np.zeros((0, 3))
    same = lit.end[:-1] == lit.start[1:]
    at = (lit.start[1:] - grid.reach.first) / grid.reach.length
    kept = same & (at >= 0.0) & (at <= 1.0)
    rows = (wall.lane[lit.span] - grid.reach.low) // grid.per_row
    rows = np.clip(rows, -1, grid.rows)
    low = np.minimum(rows[:-1], rows[1:])[kept].astype(np.float64)
    high = np.maximum(rows[:-1], rows[1:])[kept].astype(np.float64)
    at, low, high = (values[low != high] for values in (at[kept], low, high))
    column = (at * grid.columns).astype(np.int64)
    names, where = np.unique(column, return_inverse=True)
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(lowest, where, low)
    np.maximum.at(highest, where, high)
    place = np.zeros(len(names))
    place[where] = at
    ends: FloatArray = np.column_stack([place, np.maximum(lowest, 0), np.minimum(highest, grid.rows - 1)])
    return ends


def _pins(wall: Standing, reach: Reach) -> Pins:
    """Notes of one level that are too near to each other are one pin."""
    notes = wall.notes
    seen = np.flatnonzero((notes.time >= reach.first) & (notes.time <= reach.last))
    at = np.asarray((notes.time[seen] - reach.first) / reach.length, np.float64)
    cell = notes.level[seen] * NOTE_COLUMNS + np.minimum(
        (at * NOTE_COLUMNS).astype(np.int64), NOTE_COLUMNS - 1
    )
    cells, first, count = np.unique(cell, return_index=True, return_counts=True)
    return Pins(cells // NOTE_COLUMNS, at[first], count.astype(np.int64), seen[first])
