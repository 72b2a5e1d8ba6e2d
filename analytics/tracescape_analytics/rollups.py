"""Counts of long windows from blocks that a store keeps, and the upkeep of those blocks.

A block holds the counts of a minute or an hour, packed. What it says equals what the spans say, exactly: a
minute that something could have changed since its block was made is answered from the spans. How a store
knows which those are: ``tracescape_storage.rollups``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from tracescape_analytics.blocks import Block, sum_of
from tracescape_analytics.calls import counts_in, counts_of_window, spans_of
from tracescape_analytics.counts import GROUP_COLUMNS, Counts, Groups, Identity, merged, no_counts, used
from tracescape_analytics.namespaces import condition_of, shown
from tracescape_analytics.windows import Window
from tracescape_native.call_counts import GROUP_SHIFT
from tracescape_storage import rollups as kept
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS, Rolled

LOW: Final = (1 << GROUP_SHIFT) - 1
_FOREVER: Final = 2**62

#: How long a minute, with its neighbours, waits for its last spans before it becomes a block.
SETTLE_NS: Final = 10_000_000_000
#: Minutes of so many spans are read at once: they share the minutes around them, and memory is bounded.
SPANS_AT_ONCE: Final = 2_000_000
#: A minute for which more must be read, of it and its neighbours, gets no block: a collector's memory is
#: bounded. It is answered from its spans.
MOST_SPANS: Final = 3_000_000
#: So many new spans are worth an account at once.
ENOUGH_SPANS: Final = 100_000
_MINUTES_AT_ONCE: Final = 60
_BLOCKS_AT_ONCE: Final = 4_000
_ATTEMPTS: Final = 3


class KeepsBlocks(Protocol):
    """The part of a store that the upkeep needs; see `DuckDBStore`."""

    def reader(self) -> Reader:
        """See `DuckDBStore.reader`."""
        ...

    def touch_rollups(self, minutes: Iterable[int], cursor_ns: int, now_ns: int) -> None:
        """See `DuckDBStore.touch_rollups`."""
        ...

    def put_rollups(self, rolled: Rolled) -> bool:
        """See `DuckDBStore.put_rollups`."""
        ...


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
    cursor = _cursor(reader)
    for _ in range(_ATTEMPTS if cursor else 0):
        plan = _plan(reader, window, cursor)
        contents = _contents(reader, plan.blocks)
        if len(contents) == len(plan.blocks):  # none has gone since
            parts = [counts_of_window(reader, one) for one in plan.windows]
            if contents:
                parts.append(used(_groups(reader), *sum_of(list(contents.values()))))
            return merged(parts)
    return counts_of_window(reader, window)


class Pieces(NamedTuple):
    """What makes up a window: blocks as they are kept (``kept.BLOCKS``), and windows of spans.

    ``groups`` are those that blocks number.
    """

    blocks: pa.Table
    groups: Groups
    windows: list[Window]


def pieces_of(reader: Reader, window: Window, longest_ns: int = HOUR_NS) -> Pieces:
    """Of what a window's counts are made, with no block longer than ``longest_ns``; nothing is added up."""
    cursor = _cursor(reader)
    for _ in range(_ATTEMPTS if cursor else 0):
        plan = _plan(reader, window, cursor, longest_ns)
        parts = [
            reader.sql(kept.contents_sql(plan.blocks[first : first + _BLOCKS_AT_ONCE]))
            for first in range(0, len(plan.blocks), _BLOCKS_AT_ONCE)
        ]
        blocks = pa.concat_tables(parts) if parts else kept.BLOCKS.empty_table()
        if blocks.num_rows == len(plan.blocks):  # none has gone since
            return Pieces(blocks, _groups(reader) if parts else Groups.of([]), plan.windows)
    return Pieces(kept.BLOCKS.empty_table(), Groups.of([]), [window])


class _Plan(NamedTuple):
    # Which blocks, by start and width, and which windows of spans make up a window.
    blocks: list[tuple[int, int]]
    windows: list[Window]


def _plan(reader: Reader, window: Window, cursor_ns: int, longest_ns: int = HOUR_NS) -> _Plan:
    since = -_FOREVER if window.since_ns is None else max(window.since_ns, -_FOREVER)
    until = _FOREVER if window.until_ns is None else min(window.until_ns, _FOREVER)
    found = reader.sql(kept.blocks_sql(since, until, cursor_ns, longest_ns=longest_ns))
    rows = list(zip(found["start_ns"].to_pylist(), found["width_ns"].to_pylist(), strict=True))
    raw = runs(start // MINUTE_NS for start, width in rows if not width)
    cut = [Window(max(first * MINUTE_NS, since), min((last + 1) * MINUTE_NS, until)) for first, last in raw]
    return _Plan([row for row in rows if row[1]], cut)


def _contents(reader: Reader, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Block]:
    blocks = sorted(wanted)
    found: dict[tuple[int, int], Block] = {}
    for first in range(0, len(blocks), _BLOCKS_AT_ONCE):
        rows = reader.sql(kept.contents_sql(blocks[first : first + _BLOCKS_AT_ONCE]))
        names = zip(rows["start_ns"].to_pylist(), rows["width_ns"].to_pylist(), strict=True)
        contents = [value.as_buffer() for chunk in rows["content"].chunks for value in chunk]
        found.update(zip(names, map(Block.read, contents), strict=True))
    return found


def _groups(reader: Reader) -> Groups:
    found = reader.sql(kept.GROUPS_SQL)
    return Groups.of(zip(*(found[name].to_pylist() for name in GROUP_COLUMNS), strict=True))


def kept_samples(reader: Reader, window: Window, length_ns: int, most: int) -> list[tuple[Window, Counts]]:
    """Windows of about one length, evenly spread over a longer one, as blocks alone tell of them.

    The longer one (closed; from its first block on) ends with the last sample; there are up to ``most``, and
    they do not overlap. ``length_ns`` is rounded up to whole minutes, from an hour on to whole hours. Nothing
    is counted anew, so minutes without a block, which are recent or huge, are missing: that is good enough
    to compare with, and costs next to nothing. None for a reader that keeps no blocks.
    """
    since, until = window.since_ns, window.until_ns
    if not _cursor(reader) or since is None or until is None:
        return []
    width = HOUR_NS if length_ns >= HOUR_NS else MINUTE_NS
    starts = reader.sql(kept.starts_sql(since, until, width))["start_ns"].to_numpy()
    size, end = -(-length_ns // width) * width, until // width * width
    begin = int(starts.min()) if len(starts) else end
    samples = min(most, (end - begin) // size)
    if samples < 1:
        return []
    room, steps = end - begin - size, max(samples - 1, 1)
    begins = [end - size - room * i // steps // width * width for i in reversed(range(samples))]
    wanted = [start for start in starts.tolist() if any(first <= start < first + size for first in begins)]
    contents = _contents(reader, [(start, width) for start in wanted])
    groups = shown(reader, _groups(reader))
    inside = [[block for (at, _), block in contents.items() if 0 <= at - first < size] for first in begins]
    return [
        (Window(first, first + size), used(groups, *sum_of(some)) if some else no_counts())
        for first, some in zip(begins, inside, strict=True)
    ]


def _cursor(reader: Reader) -> int:
    # 0: this reader keeps no blocks, or has none yet.
    if not hasattr(reader, "shaped_spans"):
        return 0
    try:
        cursors = reader.sql(kept.CURSOR_SQL)["cursor_ns"].to_pylist()
    except StoreError:  # a file of a release that kept none, or that counted otherwise
        return 0
    return int(cursors[0]) if cursors else 0


def runs(minutes: Iterable[int], spans: Mapping[int, int] | None = None) -> list[tuple[int, int]]:
    """Neighbouring minutes as (first, last); where ``spans`` says how many each has, no longer than may be
    read at once."""
    found: list[tuple[int, int]] = []
    read = 0
    for minute in sorted(set(minutes)):
        read += 0 if spans is None else spans.get(minute, 0)
        fits = (
            spans is None or (read <= SPANS_AT_ONCE and minute - found[-1][0] < _MINUTES_AT_ONCE)
            if found
            else False
        )
        if found and minute == found[-1][1] + 1 and fits:
            found[-1] = found[-1][0], minute
        else:
            found.append((minute, minute))
            read = 0 if spans is None else spans.get(minute, 0)
    return found


class Upkeep:
    """Keeps the blocks of one store up to date; for one thread. Costs nothing between two steps.

    Args:
        store: whose blocks.
        rest_ns: after it has taken account it rests so long, unless `ENOUGH_SPANS` arrive meanwhile: taking
            account of ten spans costs nearly what it does of many. Until then they are answered from spans.
    """

    def __init__(self, store: KeepsBlocks, *, rest_ns: int = 0) -> None:
        self._store = store
        self._rest_ns = rest_ns
        self._rests_until_ns = self._looks_ns = 0
        self._reader = store.reader()
        self._cursor_ns = _cursor(self._reader)  # nobody else moves it
        known = self._reader.sql(kept.GROUPS_SQL).select(list(GROUP_COLUMNS)).to_pylist()
        self._numbers = {tuple(row.values()): number for number, row in enumerate(known)}
        self._hours = set(self._reader.sql(kept.HOURS_SQL)["hour"].to_pylist())  # that may lack their blocks

    def close(self) -> None:
        """Let the reader go."""
        self._reader.close()

    def step(self, now_ns: int) -> int:
        """Take account of what arrived, and make blocks of minutes that have settled; how many minutes.

        Raises:
            StoreError: the store could not be read or written; another step may do.
        """
        if now_ns < self._looks_ns:
            return 0
        (new,) = self._reader.sql(kept.new_sql(self._cursor_ns)).to_pylist()
        if now_ns < self._rests_until_ns and new["spans"] < ENOUGH_SPANS:
            self._looks_ns = min(now_ns + MINUTE_NS, self._rests_until_ns)
            return 0
        if new["spans"]:
            arrived = int(new["arrived_ns"])
            touched = self._reader.sql(kept.touched_sql(self._cursor_ns, arrived))["minute"].to_pylist()
            self._store.touch_rollups(touched, arrived, now_ns)
            self._cursor_ns = arrived
        pending = self._reader.sql(kept.PENDING_SQL).to_pylist()
        settled = [row["minute"] for row in pending if _is_settled(row["minute"], row["since_ns"], now_ns)]
        sizes = self._sizes({minute + step for minute in settled for step in (-1, 0, 1)})
        ready = [minute for minute in settled if self._fits(minute, sizes)]
        for first, last in runs(ready, sizes):
            self._make_minutes(first, last, self._cursor_ns)
        self._hours |= {minute // 60 for minute in ready}
        for hour in sorted(self._hours):
            if _is_settled(hour * 60 + 59, 0, now_ns):
                self._make_hour(hour)
                self._hours.remove(hour)
        self._rests_until_ns = now_ns + self._rest_ns
        return len(ready)

    def _sizes(self, minutes: Iterable[int]) -> dict[int, int]:
        # How many spans each of the minutes has.
        found: dict[int, int] = {}
        for first, last in runs(minutes):
            sizes = self._reader.sql(kept.sizes_sql(first, last))
            found.update(zip(sizes["minute"].to_pylist(), sizes["spans"].to_pylist(), strict=True))
        return found

    def _fits(self, minute: int, sizes: Mapping[int, int]) -> bool:
        # Whether what must be read for a minute is little enough.
        if sum(sizes.get(minute + step, 0) for step in (-1, 0, 1)) <= MOST_SPANS:
            return True
        (read,) = self._reader.sql(kept.read_sql(minute))["spans"].to_pylist()
        return sizes.get(minute, 0) <= MOST_SPANS and int(read) <= MOST_SPANS

    def _make_minutes(self, first: int, last: int, cursor_ns: int) -> None:
        window = Window(first * MINUTE_NS, (last + 1) * MINUTE_NS)
        prunes = self._reader.sql(kept.PRUNES_SQL)["prunes"][0].as_py()
        found = counts_in(*spans_of(self._reader, window, kept.arrived_by(cursor_ns)), window, by_minute=True)
        new: list[Identity] = []
        numbers = np.array([self._number(row, new) for row in found.groups.rows()], np.int64)
        keys = (numbers[found.keys >> GROUP_SHIFT] << GROUP_SHIFT) | (found.keys & LOW)
        exemplars = found.exemplars._replace(group=numbers[found.exemplars.group])
        blocks = []
        for i, minute in enumerate(found.periods.tolist()):
            cells, noted = slice(*found.cells[i : i + 2]), slice(*found.noted[i : i + 2])
            block = Block(keys[cells], found.counts[cells], exemplars.rows(noted))
            blocks.append(_row(minute * MINUTE_NS, MINUTE_NS, block))
        self._put(blocks, new, range(first, last + 1), prunes)

    def _make_hour(self, hour: int) -> None:
        prunes = self._reader.sql(kept.PRUNES_SQL)["prunes"][0].as_py()
        minutes = self._reader.sql(kept.hour_sql(hour))
        if not minutes.num_rows or minutes["pending"][0].as_py():
            return  # what is pending will be ready some time, and the hour with it
        contents = [value.as_buffer() for chunk in minutes["content"].chunks for value in chunk]
        block = sum_of([Block.read(content) for content in contents])
        self._put([_row(hour * HOUR_NS, HOUR_NS, block)], [], [], prunes)

    def _number(self, identity: Identity, new: list[Identity]) -> int:
        if identity not in self._numbers:
            self._numbers[identity] = len(self._numbers)
            new.append(identity)
        return self._numbers[identity]

    def _put(
        self, blocks: list[dict[str, object]], new: list[Identity], minutes: Sequence[int], prunes: int
    ) -> None:
        rows = [dict(zip(kept.GROUPS.names, (self._numbers[row], *row), strict=True)) for row in new]
        rolled = Rolled(
            blocks=pa.Table.from_pylist(blocks, schema=kept.BLOCKS),
            groups=pa.Table.from_pylist(rows, schema=kept.GROUPS),
            minutes=minutes,
            prunes=prunes,
        )
        try:
            done = self._store.put_rollups(rolled)
        except StoreError:
            done = False
            raise
        finally:
            if not done:  # the store does not know these groups
                for row in new:
                    del self._numbers[row]


def _row(start_ns: int, width_ns: int, block: Block) -> dict[str, object]:
    return {"start_ns": start_ns, "width_ns": width_ns, "content": block.written()}


def _is_settled(minute: int, since_ns: int, now_ns: int) -> bool:
    # A minute looks at its neighbours too: the later one has to be over.
    return now_ns >= max((minute + 2) * MINUTE_NS, since_ns) + SETTLE_NS
