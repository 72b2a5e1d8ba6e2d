"""What every node served in each of many steps of time, from the counts that a store keeps by minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import numpy as np

from tracescape_analytics.calls import periods_of_window
from tracescape_analytics.counts import Counted, Groups, IntArray, united
from tracescape_analytics.distributions import NO_CODE
from tracescape_analytics.kept_blocks import GoneError, Kept, packed
from tracescape_analytics.namespaces import shown
from tracescape_analytics.naming import Directory, Meaning, Node, meaning
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.rollups import ATTEMPTS, Pieces, of_spans, pieces_of
from tracescape_analytics.sampling import UNIT, whole
from tracescape_analytics.windows import Window
from tracescape_native.step_counts import PackedBlocks, Sums, Wanted, add_cells, sums_for
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Of packed blocks, which are gone through twice: so much is kept between, more is read twice.
BYTES_AT_ONCE: Final = 32 << 20
_SERVICE: Final = NODE_KINDS.index("service")


class StepCounts(NamedTuple):
    """Counts by step: the first begins at ``first_ns``, each is ``step_ns`` long.

    ``nodes`` are kinds and names; ``calls``, int64, shape (steps, nodes), what each served. ``sums`` are of
    the selections: of all services, and of the node that was selected, if one was.
    """

    first_ns: int
    step_ns: int
    nodes: Sequence[Node]
    calls: IntArray
    sums: Sums

    def failed(self) -> IntArray:
        """How many calls failed, to the nearest whole number; int64, shape (steps, selections)."""
        return whole(self.sums.errors)

    def served(self) -> IntArray:
        """How many calls there were, likewise."""
        return whole(self.sums.times.sum(axis=2))

    def codes(self, share: float) -> IntArray:
        """The smallest code that at least this share of calls does not exceed; `NO_CODE` without calls."""
        up_to = np.cumsum(self.sums.times, axis=2)
        total = up_to[:, :, -1]
        rank = np.ceil(total * share - np.spacing(1.0) * total).astype(np.int64).clip(1)
        code = (up_to < rank[:, :, None]).sum(axis=2)
        return np.where(total > 0, code, NO_CODE)


class _Packed:
    """Blocks as they are kept, with where each begins in time; what is read at once is bounded.

    Going through them raises `GoneError` where one is not there any more.
    """

    def __init__(self, reader: Reader, blocks: Sequence[Kept]) -> None:
        self._reader, self._blocks = reader, blocks
        self._few: list[tuple[PackedBlocks, IntArray]] | None = None

    def __iter__(self) -> Iterator[tuple[PackedBlocks, IntArray]]:
        if self._few is None and sum(block.bytes for block in self._blocks) <= BYTES_AT_ONCE:
            self._few = list(self._read())
        return iter(self._few) if self._few is not None else self._read()

    def _read(self) -> Iterator[tuple[PackedBlocks, IntArray]]:
        for read in packed(self._reader, self._blocks, BYTES_AT_ONCE):
            yield PackedBlocks(read.data, read.begin), read.starts


def step_counts(reader: Reader, window: Window, step_ns: int, selected: str | None = None) -> StepCounts:
    """What nodes served in a closed window, by the steps that it touches; each begins at a multiple of
    ``step_ns``.

    From blocks where steps are whole minutes, else from spans. What groups mean is decided once, for the
    whole window, as ``topology`` of it does: counts of steps add up to its counts. A ``selected`` node that
    is not there leaves its selection empty.
    """
    for _ in range(ATTEMPTS):
        with suppress(GoneError):
            return _counts(reader, window, step_ns, selected, _pieces(reader, window, step_ns))
    return _counts(reader, window, step_ns, selected, of_spans(window))


def _counts(reader: Reader, window: Window, step_ns: int, selected: str | None, pieces: Pieces) -> StepCounts:
    first, end = (window.since_ns or 0) // step_ns, -(-(window.until_ns or 0) // step_ns)
    kept = _Packed(reader, pieces.blocks)
    counted = [part for one in pieces.windows for part in periods_of_window(reader, one, step_ns)]
    groups, numbers = _groups(reader, pieces.groups, kept, counted)
    directory = Directory()
    found = meaning(groups, directory)
    nodes = list(directory.nodes)
    wanted = _wanted(groups, found, nodes, selected)
    sums = sums_for(end - first, 1 + (selected is not None), len(nodes))
    of_blocks = Wanted(*(_spread(column, numbers[0]) for column in wanted))
    for blocks, starts in kept:
        blocks.groups(len(pieces.groups))
        blocks.add_to(sums, starts // step_ns - first, of_blocks)
    for part, number in zip(counted, numbers[1:], strict=True):
        _add(sums, part, first, Wanted(*(column[number] for column in wanted)))
    return StepCounts(first * step_ns, step_ns, nodes, whole(sums.calls), sums)


def _pieces(reader: Reader, window: Window, step_ns: int) -> Pieces:
    if step_ns % MINUTE_NS:
        return of_spans(window)
    return pieces_of(reader, window, MINUTE_NS if step_ns % HOUR_NS else HOUR_NS)


def _groups(
    reader: Reader, known: Groups, kept: _Packed, counted: Sequence[Counted]
) -> tuple[Groups, list[IntArray]]:
    # The groups that occur; of the kept ones, and then of each counted part, their numbers (-1: none).
    occur = np.unique(
        np.concatenate([np.empty(0, np.int64), *(blocks.groups(len(known)) for blocks, _ in kept)])
    )
    groups, numbers = united([known.take(occur), *(part.groups for part in counted)])
    of_kept = np.full(len(known), -1, np.int64)
    of_kept[occur] = numbers[0]
    return shown(reader, groups), [of_kept, *numbers[1:]]


def _spread(column: IntArray, number: IntArray) -> IntArray:
    # What does not occur is never looked at.
    return column[number] if len(column) else np.zeros(len(number), np.int64)


def _wanted(groups: Groups, found: Meaning, nodes: Sequence[Node], selected: str | None) -> Wanted:
    kinds = np.array([kind for kind, _ in nodes] + [-1], np.int64)
    chosen = (kinds[found.node] == _SERVICE).astype(np.int64)
    if selected is not None:
        named = np.array([name == selected for _, name in nodes] + [False], np.bool_)
        chosen |= named[found.node].astype(np.int64) << 1
    return Wanted(
        node=found.node,
        chosen=chosen,
        edge=(found.edge >= 0).astype(np.int64),
        unit=np.where(found.extra, 1, UNIT),
        stored=(~found.extra).astype(np.int64),
    )


def _add(sums: Sums, part: Counted, first_step: int, wanted: Wanted) -> None:
    cells = part.cells.tolist()
    for i, period in enumerate(part.periods.tolist()):
        keys, counts = part.keys[cells[i] : cells[i + 1]], part.counts[cells[i] : cells[i + 1]]
        add_cells(keys, counts, period - first_step, wanted, sums)
