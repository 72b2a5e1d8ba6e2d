"""The upkeep of the blocks that a store keeps: its counts by minute and by hour, for `rollups`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from tracescape_analytics.blocks import Block
from tracescape_analytics.calls import counts_in, spans_of
from tracescape_analytics.counts import GROUP_COLUMNS, LOW, Identity
from tracescape_analytics.kept_blocks import blocks_within, cursor_of, neighbours, total
from tracescape_analytics.windows import Window
from tracescape_native.call_keys import GROUP_SHIFT
from tracescape_storage import rollups as kept
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS, Rolled

#: How long a minute, with its neighbours, waits for its last spans before it becomes a block.
SETTLE_NS: Final = 10_000_000_000
#: Minutes of so many spans are read at once: they share the minutes around them, and memory is bounded.
SPANS_AT_ONCE: Final = 2_000_000
#: A minute for which more must be read, of it and its neighbours, gets no block: a collector's memory is
#: bounded. It is answered from its spans.
MOST_SPANS: Final = 3_000_000
#: So many new spans are worth an account at once.
ENOUGH_SPANS: Final = 200_000
#: While it rests, it looks so often whether they are there.
_LOOK_NS: Final = 2 * MINUTE_NS
_MINUTES_AT_ONCE: Final = 60


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


def runs(minutes: Iterable[int], spans: Mapping[int, int]) -> list[tuple[int, int]]:
    """Neighbouring minutes as (first, last), so many as may be read at once; ``spans``: of each minute."""
    found: list[tuple[int, int]] = []
    for first, last in neighbours(minutes):
        begin, read = first, 0
        for minute in range(first, last + 1):
            size = spans.get(minute, 0)
            if minute > begin and (read + size > SPANS_AT_ONCE or minute - begin == _MINUTES_AT_ONCE):
                found.append((begin, minute - 1))
                begin, read = minute, 0
            read += size
        found.append((begin, last))
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
        self._cursor_ns = cursor_of(self._reader)  # nobody else moves it
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
            self._looks_ns = min(now_ns + _LOOK_NS, self._rests_until_ns)
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
        for first, last in neighbours(minutes):
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
        # Nobody waits for it, and each thread more counts much of it once more.
        read = spans_of(self._reader, window, kept.arrived_by(cursor_ns))
        found = counts_in(*read, window, by_minute=True, threads=1)
        new: list[Identity] = []
        numbers = np.array([self._number(row, new) for row in found.groups.rows()], np.int64)
        keys = (numbers[found.keys >> GROUP_SHIFT] << GROUP_SHIFT) | (found.keys & LOW)
        exemplars = found.exemplars._replace(group=numbers[found.exemplars.group])
        blocks: list[dict[str, object]] = []
        for i, minute in enumerate(found.periods.tolist()):
            cells, noted = slice(*found.cells[i : i + 2]), slice(*found.noted[i : i + 2])
            block = Block(keys[cells], found.counts[cells], exemplars.rows(noted))
            blocks += kept.cut(minute * MINUTE_NS, MINUTE_NS, block.written())
        self._put(blocks, new, range(first, last + 1), prunes)

    def _make_hour(self, hour: int) -> None:
        prunes = self._reader.sql(kept.PRUNES_SQL)["prunes"][0].as_py()
        if self._reader.sql(kept.pending_sql(hour))["minutes"][0].as_py():
            return  # what is pending will be ready some time, and the hour with it
        window = Window(hour * HOUR_NS, (hour + 1) * HOUR_NS)
        block = total(self._reader, blocks_within(self._reader, window, MINUTE_NS))
        if block is not None:
            self._put(kept.cut(hour * HOUR_NS, HOUR_NS, block.written()), [], [], prunes)

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


def _is_settled(minute: int, since_ns: int, now_ns: int) -> bool:
    # A minute looks at its neighbours too: the later one has to be over.
    return now_ns >= max((minute + 2) * MINUTE_NS, since_ns) + SETTLE_NS
