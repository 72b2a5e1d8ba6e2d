"""Blocks as a store keeps them: which make up a window, and what they hold, read so much at a time.

A store may hold more blocks than there is memory: what is read at once is bounded by its bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from tracescape_analytics.blocks import Block, sum_of
from tracescape_analytics.counts import GROUP_COLUMNS, ByteArray, Groups, IntArray
from tracescape_analytics.windows import Window
from tracescape_storage import rollups as kept
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

#: Bytes of blocks that are read at once, unless one alone is larger; unpacked, they take eight times that.
BYTES_AT_ONCE: Final = 8 << 20
#: So many at once, however small they are: a question's text is bounded.
_BLOCKS_AT_ONCE: Final = 1_000
_FOREVER: Final = 2**62
#: So many minutes that spans must answer are named in a question; more are looked for each time.
_RAW_NAMED: Final = 200


class Kept(NamedTuple):
    """Where a block is, and how long its content is."""

    start_ns: int
    width_ns: int
    bytes: int


class Packed(NamedTuple):
    """Blocks as they are kept, one after the other in ``data`` (uint8), in order of time.

    ``starts``, int64, shape (blocks,): where each begins in time; ``begin``, int64, shape (blocks + 1,): and
    where in ``data``.
    """

    starts: IntArray
    data: ByteArray
    begin: IntArray


class GoneError(Exception):
    """A block is not there any more: something arrived, or was pruned, since it was planned to read it."""


class Plan(NamedTuple):
    """Which blocks, in order of time, and which windows of spans make up a window."""

    blocks: list[Kept]
    windows: list[Window]


def cursor_of(reader: Reader) -> int:
    """Until when a store's blocks take account of what arrived; 0 where it keeps none, or has none yet."""
    if not hasattr(reader, "shaped_spans"):
        return 0
    try:
        cursors = _lasting(reader, kept.CURSOR_SQL)["cursor_ns"].to_pylist()
    except StoreError:  # a file of a release that kept none
        return 0
    return int(cursors[0]) if cursors else 0


def planned(reader: Reader, window: Window, cursor_ns: int, longest_ns: int = HOUR_NS) -> Plan:
    """What makes up a window, with no block longer than ``longest_ns``; see `kept.blocks_sql`."""
    since = -_FOREVER if window.since_ns is None else max(window.since_ns, -_FOREVER)
    until = _FOREVER if window.until_ns is None else min(window.until_ns, _FOREVER)
    raw_minutes = _raw_minutes(reader, cursor_ns)
    found = kept.blocks_sql(since, until, cursor_ns, longest_ns=longest_ns, raw_minutes=raw_minutes)
    rows = _rows(reader.sql(found))
    raw = neighbours(row.start_ns // MINUTE_NS for row in rows if not row.width_ns)
    cut = [Window(max(first * MINUTE_NS, since), min((last + 1) * MINUTE_NS, until)) for first, last in raw]
    return Plan([row for row in rows if row.width_ns], cut)


def minutes_of(reader: Reader, first: int, end: int, cursor_ns: int) -> tuple[list[Kept], set[int]]:
    """The blocks of the minutes in [first, end), and the minutes that spans must answer."""
    rows = _rows(reader.sql(kept.minutes_sql(first, end, cursor_ns)))
    raw = {row.start_ns // MINUTE_NS for row in rows if not row.width_ns}
    return [row for row in rows if row.width_ns], raw


def blocks_within(reader: Reader, window: Window, width_ns: int) -> list[Kept]:
    """The blocks of one width that lie in a closed window, in order of time."""
    return _rows(reader.sql(kept.starts_sql(window.since_ns or 0, window.until_ns or 0, width_ns)))


def _rows(found: pa.Table) -> list[Kept]:
    columns = (found[name].to_pylist() for name in Kept._fields)
    return sorted(map(Kept._make, zip(*columns, strict=True)))


def neighbours(minutes: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbouring minutes as (first, last), in order."""
    found: list[tuple[int, int]] = []
    for minute in sorted(set(minutes)):
        if found and minute == found[-1][1] + 1:
            found[-1] = found[-1][0], minute
        else:
            found.append((minute, minute))
    return found


def in_parts(blocks: Sequence[Kept], most_bytes: int | None = None) -> Iterator[Sequence[Kept]]:
    """Blocks in the same order, so many at a time as may be read at once: of `BYTES_AT_ONCE`, or another."""
    most = BYTES_AT_ONCE if most_bytes is None else most_bytes
    first, size = 0, 0
    for end, block in enumerate(blocks):
        if end > first and (size + block.bytes > most or end - first == _BLOCKS_AT_ONCE):
            yield blocks[first:end]
            first, size = end, 0
        size += block.bytes
    if first < len(blocks):
        yield blocks[first:]


def packed(reader: Reader, blocks: Sequence[Kept], most_bytes: int | None = None) -> Iterator[Packed]:
    """Blocks as they are kept, so many at a time; no two begin together. Raises `GoneError`."""
    for part in in_parts(blocks, most_bytes):
        found = reader.sql(kept.contents_sql((block.start_ns, block.width_ns) for block in part))
        read = _joined(found)
        if len(read.starts) != len(part):
            raise GoneError
        yield read


def _joined(found: pa.Table) -> Packed:
    # The parts of each block lie one after the other once they are in order: nothing else is to be done.
    starts = found["start_ns"].to_numpy()
    order = np.lexsort((found["part"].to_numpy(), starts))
    content = found["content"].cast(pa.large_binary()).take(pa.array(order)).combine_chunks()
    _, offsets, data = content.buffers()
    ends = np.frombuffer(offsets, np.int64)[content.offset : content.offset + len(content) + 1]
    distinct, first = np.unique(starts[order], return_index=True)
    begin = np.append(ends[first], ends[-1:])
    return Packed(distinct, np.frombuffer(data if data is not None else b"", np.uint8), begin)


def contents(reader: Reader, blocks: Sequence[Kept]) -> Iterator[dict[int, Block]]:
    """Blocks by their starts, so many at a time; no two begin together. Raises `GoneError`."""
    for read in packed(reader, blocks):
        ends = itertools.pairwise(read.begin.tolist())
        content = (Block.read(read.data[begin:end]) for begin, end in ends)
        yield dict(zip(read.starts.tolist(), content, strict=True))


def total(reader: Reader, blocks: Sequence[Kept]) -> Block | None:
    """All blocks together, None of none; no two begin together. Raises `GoneError`."""
    found: Block | None = None
    for part in contents(reader, blocks):
        found = sum_of([*([found] if found else []), *part.values()])
    return found


def groups_of(reader: Reader) -> Groups:
    """The groups that the store's blocks number."""
    found = _lasting(reader, kept.GROUPS_SQL)
    return Groups.of(zip(*(found[name].to_pylist() for name in GROUP_COLUMNS), strict=True))


def _raw_minutes(reader: Reader, cursor_ns: int) -> list[int] | None:
    # Of a closed file, where they are few enough to be named: the minutes that spans must answer.
    if reader.live or not hasattr(reader, "lasting"):
        return None
    minutes = reader.lasting(kept.raw_sql(cursor_ns))["minute"]
    return minutes.to_pylist() if len(minutes) <= _RAW_NAMED else None


def _lasting(reader: Reader, query: str) -> pa.Table:
    # A step through time asks the same of a closed file again and again.
    ask: Callable[[str], pa.Table] = getattr(reader, "lasting", reader.sql)
    return ask(query)
