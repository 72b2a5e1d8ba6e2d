"""Counts of long windows from the blocks that a store keeps.

A block holds the counts of a minute or an hour, packed. What it says equals what the spans say, exactly: a
minute that something could have changed since its block was made is answered from the spans. How a store
knows which those are: ``tracescape_storage.rollups``; how blocks are made: ``upkeep``.
"""

from __future__ import annotations

import bisect
from typing import Final, NamedTuple

from tracescape_analytics.blocks import Block, sum_of
from tracescape_analytics.calls import counts_of_window
from tracescape_analytics.counts import Counts, Groups, merged, no_counts, used
from tracescape_analytics.kept_blocks import (
    GoneError,
    Kept,
    blocks_within,
    contents,
    cursor_of,
    groups_of,
    planned,
    total,
)
from tracescape_analytics.namespaces import condition_of, shown
from tracescape_analytics.windows import Window
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

ATTEMPTS: Final = 3


def counts_of(reader: Reader, window: Window, environment: str | None = None) -> Counts:
    """The counts of a window: from blocks where there are any, else from spans. Equal to those from spans.

    Services are named as people see them, see ``namespaces``. Of one ``environment`` of several they are
    counted from spans: blocks do not tell environments apart.

    Raises:
        UnknownEnvironmentError: no resource is of this environment; the near ones are listed.
    """
    where = condition_of(reader, environment)
    counts = counts_of_window(reader, window, where) if where else _full_counts(reader, window)
    return counts._replace(groups=shown(reader, counts.groups))


def _full_counts(reader: Reader, window: Window) -> Counts:
    cursor = cursor_of(reader)
    for _ in range(ATTEMPTS if cursor else 0):
        plan = planned(reader, window, cursor)
        try:
            blocks = total(reader, plan.blocks)
        except GoneError:
            continue
        parts = [counts_of_window(reader, one) for one in plan.windows]
        if blocks is not None:
            parts.append(used(groups_of(reader), *blocks))
        return merged(parts)
    return counts_of_window(reader, window)


class Pieces(NamedTuple):
    """What makes up a window: blocks that are kept, and windows of spans.

    ``groups`` are those that blocks number.
    """

    blocks: list[Kept]
    groups: Groups
    windows: list[Window]


def pieces_of(reader: Reader, window: Window, longest_ns: int = HOUR_NS) -> Pieces:
    """Of what a window's counts are made, with no block longer than ``longest_ns``; nothing is read yet."""
    cursor = cursor_of(reader)
    if not cursor:
        return of_spans(window)
    plan = planned(reader, window, cursor, longest_ns)
    return Pieces(plan.blocks, groups_of(reader) if plan.blocks else Groups.of([]), plan.windows)


def of_spans(window: Window) -> Pieces:
    """The pieces of a window that spans answer."""
    return Pieces([], Groups.of([]), [window])


def kept_samples(reader: Reader, window: Window, length_ns: int, most: int) -> list[tuple[Window, Counts]]:
    """Windows of about one length, evenly spread over a longer one, as blocks alone tell of them.

    The longer one (closed; from its first block on) ends with the last sample; there are up to ``most``, and
    they do not overlap. ``length_ns`` is rounded up to whole minutes, from an hour on to whole hours. Nothing
    is counted anew, so minutes without a block, which are recent or huge, are missing: that is good enough
    to compare with, and costs next to nothing. None for a reader that keeps no blocks.
    """
    since, until = window.since_ns, window.until_ns
    if since is None or until is None or not cursor_of(reader):
        return []
    width = HOUR_NS if length_ns >= HOUR_NS else MINUTE_NS
    for _ in range(ATTEMPTS):
        blocks = blocks_within(reader, window, width)
        size, end = -(-length_ns // width) * width, until // width * width
        begin = blocks[0].start_ns if blocks else end
        begins = _spread(begin, end, size, width, most)
        try:
            found = _samples(reader, blocks, begins, size)
        except GoneError:
            continue
        groups = shown(reader, groups_of(reader)) if begins else Groups.of([])
        return [
            (Window(first, first + size), used(groups, *block) if block else no_counts())
            for first, block in zip(begins, found, strict=True)
        ]
    return []


def _spread(begin: int, end: int, size: int, width: int, most: int) -> list[int]:
    # Where the samples begin.
    samples = min(most, (end - begin) // size)
    room, steps = end - begin - size, max(samples - 1, 1)
    return [end - size - room * i // steps // width * width for i in reversed(range(samples))]


def _samples(reader: Reader, blocks: list[Kept], begins: list[int], size: int) -> list[Block | None]:
    # What the blocks of each sample hold together; several samples may be read at once.
    numbers = {block.start_ns: bisect.bisect(begins, block.start_ns) - 1 for block in blocks}
    within = {start: at for start, at in numbers.items() if at >= 0 and start < begins[at] + size}
    found: list[Block | None] = [None] * len(begins)
    for part in contents(reader, [block for block in blocks if block.start_ns in within]):
        some: dict[int, list[Block]] = {}
        for start, block in part.items():
            some.setdefault(within[start], []).append(block)
        for number, more in some.items():
            before = found[number]
            found[number] = sum_of([*([before] if before else []), *more])
    return found
