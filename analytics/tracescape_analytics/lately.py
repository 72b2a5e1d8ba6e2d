"""Counts of a live store's last minutes, kept from one question to the next: only what is new is read.

Who looks at the last minutes again and again finds nearly all of them as they were. So a minute's counts are
kept, and so are the spans of the newest minutes: what arrived since is read and put to them, and the minutes
that it touches are counted again. Older minutes come from the blocks that the store keeps, see ``rollups``.
What is answered equals what the spans say at the moment of the last question to the store, exactly.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.blocks import Block, sum_of
from tracescape_analytics.calls import counts_in, pieces_of, spans_of, trace_ids
from tracescape_analytics.counts import (
    LOW,
    Counted,
    Counts,
    Groups,
    Identity,
    no_counts,
    nothing_counted,
    used,
)
from tracescape_analytics.kept_blocks import GoneError, contents, groups_of, minutes_of, neighbours
from tracescape_analytics.namespaces import shown
from tracescape_analytics.rollups import counts_of, kept_samples
from tracescape_analytics.shapes import Meaning, Shaped, meaning_of, shaped_spans
from tracescape_analytics.windows import MINUTE_NS, Window
from tracescape_native.call_keys import GROUP_SHIFT
from tracescape_storage import rollups as kept
from tracescape_storage.news import KNOWS_SQL, NEVER, News, arrived_within, held_sql, news_of, news_sql
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import arrived_by
from tracescape_storage.select import SHAPED_IDS, arrived_links_sql

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Answer = TypeVar("Answer")

#: Of a longer window, in minutes, only the last `_RECENT` are kept minute by minute.
MOST_MINUTES: Final = 60
_RECENT: Final = 15
#: Spans are held of the minute in which the last of them arrived, of so many before it, and of the next.
_HELD_BEFORE: Final = 2
#: More spans than that, some 80 bytes each, are not held: then the minutes that something touches are read.
MOST_HELD: Final = 2_000_000
#: More counts than that, 16 bytes each, are not kept: of windows that have more, only the last minutes are.
MOST_COUNTS: Final = 8_000_000
#: So many bytes of blocks are read for them at most; unpacked, they take eight times that.
MOST_BYTES: Final = 16 << 20
#: So many minutes later that is tried again.
_PATIENCE: Final = 5
#: Names of operations may be without end: those of what is long over are forgotten with all else.
_MOST_SHAPES: Final = 20_000
_ATTEMPTS: Final = 3
#: Minutes before the first that one of so many questions asked for are forgotten.
_QUESTIONS: Final = 8
_TABLES: Final = 32


class Look(NamedTuple):
    """The last minutes as they were at one moment; for any thread.

    ``version`` is another one when anything is different. ``first_ns`` and ``last_ns`` are the first and last
    start of a span in the store, ``minutes`` the counts of each minute from ``begin`` on that has any, of
    ``groups``. What is before ``begin`` is asked of `Lately.older`.
    """

    version: tuple[int, int, int]
    begin: int
    first_ns: int
    last_ns: int
    minutes: dict[int, Block]
    groups: Groups

    def counts(self, window: Window) -> Counts:
        """The counts of a window of whole minutes, not before ``begin``; an open end is after all spans."""
        since, until = window.since_ns or 0, window.until_ns
        if since < self.begin * MINUTE_NS or since % MINUTE_NS or (until or 0) % MINUTE_NS:
            raise ValueError(f"{window} is none of whole minutes, or begins before all that is kept")
        end = max(self.minutes, default=0) + 1 if until is None else until // MINUTE_NS
        inside = [block for minute, block in self.minutes.items() if since // MINUTE_NS <= minute < end]
        return used(self.groups, *sum_of(inside)) if inside else no_counts()


class _StaleError(Exception):
    """Something was pruned while it was read."""


class Lately:
    """The last minutes of one live store; safe to use from several threads, one at a time.

    What is held is bounded: minutes by ``MOST_MINUTES`` and ``MOST_COUNTS``, spans by ``MOST_HELD``, answers
    by ``_QUESTIONS``.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._begins: deque[int] = deque(maxlen=_QUESTIONS)
        self._samples: dict[tuple[int, int, int, int], list[tuple[Window, Counts]]] = {}
        self._named: tuple[tuple[int, int, int], Groups] | None = None
        self._older: dict[Window, Counts] = {}
        self._answers: dict[Hashable, tuple[Hashable, object]] = {}
        self._knows: bool | None = None
        self._starts = 0
        self._forget()

    def look(self, window: Window) -> Look | None:
        """The minutes of a window and of as much time before it; of one longer than ``MOST_MINUTES`` its last
        ones. None where they are not kept.

        They are of a live store that keeps blocks, and of windows that begin with a minute, end with one or
        not at all, and are at least a minute long.

        Raises:
            StoreError: the store could not be asked.
        """
        since, until = window
        if since is None or since % MINUTE_NS or (until or 0) % MINUTE_NS:
            return None
        if not self._reader.live or not hasattr(self._reader, "shaped_spans"):
            return None
        with self._lock:
            for _ in range(_ATTEMPTS):
                try:
                    return self._look(since // MINUTE_NS, until)
                except _StaleError:
                    self._forget()
                except BaseException:
                    self._forget()  # what is half done is worth nothing
                    raise
        return None

    def older(self, window: Window) -> Counts:
        """The counts of a window that ends before what is kept: as `rollups.counts_of`, asked anew when spans
        arrived that start in it or beside it, when something was pruned, or when others were asked since."""
        with self._lock:
            if window not in self._older:
                if len(self._older) >= _QUESTIONS:
                    self._older.clear()
                self._older[window] = counts_of(self._reader, window)
            return self._older[window]

    def remembered(self, version: Hashable, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """The answer to a question at a version of what is stored, found once."""
        known = self._answers.get(question)
        if known is not None and known[0] == version:
            return cast("Answer", known[1])
        found = answer()
        if len(self._answers) >= _QUESTIONS:
            self._answers.clear()
        self._answers[question] = version, found
        return found

    def samples(self, window: Window, length_ns: int, most: int) -> list[tuple[Window, Counts]]:
        """As `rollups.kept_samples`; asked anew when the window has moved on or something was pruned."""
        minutes = -(-length_ns // MINUTE_NS)
        key = (window.since_ns or 0, window.until_ns or 0, minutes, most)
        with self._lock:
            if key not in self._samples:
                if len(self._samples) >= _QUESTIONS:
                    self._samples.clear()
                self._samples[key] = kept_samples(self._reader, window, length_ns, most)
            return self._samples[key]

    def _forget(self) -> None:
        self._seen, self._changes = NEVER, 0
        self._starts += 1
        self._store, self._prunes = 0, 0
        self._first_ns, self._last_ns = 0, -1
        self._minutes: dict[int, Block] = {}
        self._begin: int | None = None  # the first minute that is kept; all that follow are, too
        self._least = 0  # what is before it had too many counts
        self._numbers: dict[Identity, int] = {}
        self._samples.clear()
        self._older.clear()
        # The last minute in which spans may arrive that are put to the spans that are held, and to anything.
        self._expires, self._ends = 0, 0
        self._held = 0, 0  # minutes whose spans are held: the first, and the first that is not any more
        self._rows: dict[int, list[pa.Table]] = {}
        self._links: dict[int, list[pa.Table]] = {}
        self._shapes: pl.DataFrame | None = None
        self._meaning: tuple[int, Meaning] | None = None  # of so many of these, which only become more

    def _look(self, since: int, until_ns: int | None) -> Look | None:
        news = self._news()
        if news is None:
            return None
        if self._is_over(news):
            if self._seen != NEVER:
                self._forget()
                news = self._news()
            if news is None or news.arrived_ns is None:
                return None
            self._start(news, news.arrived_ns)
        elif news.arrived_ns is not None:
            self._take(news, news.arrived_ns)
        end = self._last_ns + 1 if until_ns is None else until_ns
        if until_ns is None and end <= since * MINUTE_NS:  # nothing is there, and what is kept stays
            return self._seen_from(since, {}, news)
        length = max(-(-end // MINUTE_NS) - since, 0)
        if since + length > self._limit() or 0 < end - since * MINUTE_NS < MINUTE_NS:
            return None
        begin = since - length if length <= MOST_MINUTES else since + length - _RECENT
        begin = max(begin, self._least)
        self._begins.append(begin)
        self._extend(begin, news)
        self._drop()
        assert self._begin is not None
        return self._seen_from(self._begin, dict(self._minutes), news)

    def _seen_from(self, begin: int, minutes: dict[int, Block], news: News) -> Look:
        return Look(
            (self._starts, self._changes, news.resources),
            begin,
            self._first_ns,
            self._last_ns,
            minutes,
            self._groups(news.resources),
        )

    def _is_over(self, news: News) -> bool:
        # Whether it is another store, or too much has happened to go on with what is kept.
        other = news.store != self._store or news.prunes != self._prunes
        late = (news.arrived_ns or 0) // MINUTE_NS > min(self._expires, self._ends)
        shapes = 0 if self._shapes is None else len(self._shapes)
        return self._seen == NEVER or other or late or news.spans > MOST_HELD or shapes > _MOST_SHAPES

    def _news(self) -> News | None:
        # None: a store of a release that does not know some of this.
        if self._knows is None:
            self._knows = bool(self._reader.sql(KNOWS_SQL)["knows"][0].as_py())
        if not self._knows:
            return None
        least = 2**62 // MINUTE_NS if self._begin is None else self._begin - 1
        return news_of(self._reader.sql(news_sql(self._seen, self._held, (least, self._limit()))))

    def _limit(self) -> int:
        # The first minute that nothing is kept of: clocks may be wrong by years.
        return self._ends + 2 * MOST_MINUTES

    def _start(self, news: News, arrived_ns: int) -> None:
        self._store, self._prunes, self._seen = news.store, news.prunes, arrived_ns
        self._first_ns, self._last_ns = news.starts()
        minute = self._seen // MINUTE_NS
        begin, end = minute - _HELD_BEFORE, minute + 2
        self._expires, self._ends = minute + _PATIENCE, minute + MOST_MINUTES
        spans = self._reader.sql(held_sql((begin, end), arrived_ns))["spans"][0].as_py()
        if spans <= MOST_HELD:
            self._held, self._expires = (begin, end), end
            self._hold(self._held, NEVER, spans)

    def _take(self, news: News, arrived_ns: int) -> None:
        """What arrived after ``seen``: minutes that it touches are counted again."""
        self._changes += 1
        first_ns, last_ns = news.starts()
        for window in [one for one in self._older if _touches(one, first_ns, last_ns)]:
            del self._older[window]
        self._first_ns, self._last_ns = min(self._first_ns, first_ns), max(self._last_ns, last_ns)
        before, self._seen = self._seen, arrived_ns
        touched: set[int] = set()
        if news.held:
            touched |= self._hold(self._held, before, news.held, links=news.links > 0)
        touched |= {minute + step for minute in news.elsewhere for step in (-1, 0, 1)}
        if self._begin is not None:
            self._count(minute for minute in touched if minute >= self._begin)
        self._advance()

    def _advance(self) -> None:
        """Hold the minutes around the one in which the last span arrived; let go of others, or of all."""
        (_, end), minute = self._held, self._seen // MINUTE_NS
        if not end:
            return
        if minute + 2 > end:
            self._held, self._expires = (minute - _HELD_BEFORE, minute + 2), minute + 2
            self._hold((end, minute + 2), NEVER)
        if sum(table.num_rows for tables in self._rows.values() for table in tables) > MOST_HELD:
            self._held, self._expires = (0, 0), minute + _PATIENCE
        for held in (self._rows, self._links):
            for each in [each for each in held if not self._held[0] <= each < self._held[1]]:
                del held[each]
            for each, tables in held.items():
                if len(tables) > _TABLES:
                    held[each] = [pa.concat_tables(tables).combine_chunks()]

    def _hold(
        self, minutes: tuple[int, int], after_ns: int, expected: int | None = None, *, links: bool = True
    ) -> set[int]:
        """Read the spans of some minutes that arrived since; the minutes whose counts they change."""
        since, until = (minute * MINUTE_NS for minute in minutes)
        within = arrived_within(after_ns, self._seen)
        if links:
            rows = self._reader.sql(arrived_links_sql(since, until, within))
            for minute, part in _by_minute(rows).items():
                self._links.setdefault(minute, []).append(part)
        found = shaped_spans(self._reader, since, until, within)
        if expected is not None and found.spans.num_rows != expected:
            raise _StaleError
        new = _by_minute(self._with_known_shapes(found))
        for minute, part in new.items():
            self._rows.setdefault(minute, []).append(part)
        touched = set(new)
        for minute, part in new.items():
            traces = self._related(np.unique(_keys([part])))
            touched |= {beside for beside in (minute - 1, minute + 1) if self._may_count(beside, traces)}
        return touched

    def _related(self, traces: IntArray) -> IntArray:
        """The keys of traces, and those of what is linked with them: their calls have a side there."""
        links = [table for tables in self._links.values() for table in tables]
        if not links:
            return traces
        here, there = _keys(links), _keys(links, "linked_trace_id")
        return np.concatenate([traces, here[np.isin(there, traces)], there[np.isin(here, traces)]])

    def _may_count(self, minute: int, traces: IntArray) -> bool:
        # A call counts where a span of its trace starts. Of minutes that are not held nobody knows which do.
        if not self._held[0] <= minute < self._held[1]:
            return True
        return minute in self._rows and bool(np.isin(_keys(self._rows[minute]), traces).any())

    def _with_known_shapes(self, found: Shaped) -> pa.Table:
        """The spans with the numbers that their shapes have here."""
        here = pl.from_arrow(found.shapes)
        assert isinstance(here, pl.DataFrame)
        here = here.drop("shape")
        known = here.clear() if self._shapes is None else self._shapes
        self._shapes = pl.concat([known, here]).unique(maintain_order=True)
        numbered = self._shapes.with_row_index("number")
        number = here.join(numbered, on=here.columns, how="left", nulls_equal=True, maintain_order="left")
        place = number["number"].to_numpy().astype(np.int64)
        column = pa.array(place[found.spans["shape"].to_numpy()])
        return found.spans.select(list(SHAPED_IDS)).append_column("shape", column)

    def _count(self, minutes: Iterable[int]) -> None:
        """Count these minutes anew, as of what has been seen."""
        wanted, (begin, end) = set(minutes), self._held
        near = {minute for minute in wanted if begin < minute < end - 1}
        for first, last in neighbours(near):
            self._put(first, last, self._counted_from_held(first, last))
        far = wanted - near
        for first, last in neighbours(far):
            for piece in pieces_of(self._reader, _window(first, last)):
                shaped, links = spans_of(self._reader, piece, arrived_by(self._seen))
                found = counts_in(shaped, links, piece, by_minute=True)
                self._put((piece.since_ns or 0) // MINUTE_NS, (piece.until_ns or 0) // MINUTE_NS - 1, found)
                self._bound()
        if far:
            self._check_pruned()
        self._bound()

    def _bound(self) -> None:
        """Let go of the first minutes where all together have too many counts; the last one stays."""
        held, newest = 0, max(self._minutes, default=0)
        for minute in sorted(self._minutes, reverse=True):
            held += len(self._minutes[minute].keys)
            if held > MOST_COUNTS and minute < newest:
                self._keep_from(minute + 1)
                return

    def _keep_from(self, least: int) -> None:
        self._least = max(self._least, least)
        self._minutes = {each: block for each, block in self._minutes.items() if each >= self._least}
        if self._begin is not None:
            self._begin = max(self._begin, self._least)

    def _counted_from_held(self, first: int, last: int) -> Counted:
        minutes = range(first - 1, last + 2)
        tables = [table for minute in minutes for table in self._rows.get(minute, ())]
        links = [table for minute in minutes for table in self._links.get(minute, ())]
        if not tables or self._shapes is None:
            return nothing_counted()
        shaped = Shaped(pa.concat_tables(tables), self._shapes.to_arrow())
        if self._meaning is None or self._meaning[0] != len(self._shapes):
            self._meaning = len(self._shapes), meaning_of(shaped.shapes)
        return counts_in(
            shaped,
            pa.concat_tables(links) if links else None,
            _window(first, last),
            by_minute=True,
            meaning=self._meaning[1],
        )

    def _put(self, first: int, last: int, found: Counted) -> None:
        """What was counted of the minutes from ``first`` to ``last`` takes the place of what is kept."""
        for minute in range(first, last + 1):
            self._minutes.pop(minute, None)
        numbers = np.array([self._number(row) for row in found.groups.rows()], np.int64)
        keys = _renumbered(found.keys, numbers)
        exemplars = found.exemplars._replace(group=numbers[found.exemplars.group])
        for i, minute in enumerate(found.periods.tolist()):
            cells, noted = slice(*found.cells[i : i + 2]), slice(*found.noted[i : i + 2])
            self._minutes[minute] = Block(keys[cells], found.counts[cells], exemplars.rows(noted))

    def _number(self, identity: Identity) -> int:
        return self._numbers.setdefault(identity, len(self._numbers))

    def _groups(self, resources: int) -> Groups:
        key = (self._starts, len(self._numbers), resources)
        if self._named is None or self._named[0] != key:
            self._named = key, shown(self._reader, Groups.of(self._numbers))
        return self._named[1]

    def _extend(self, begin: int, news: News) -> None:
        """Keep the minutes from ``begin`` on: those that are missing come from blocks where there are any."""
        if self._begin is not None and begin >= self._begin:
            return
        end = self._begin
        if end is None:
            end = min(self._last_ns // MINUTE_NS + 1, self._limit())
        left = set(range(begin, end))
        if news.cursor_ns:
            left = self._read(begin, end, news.cursor_ns)
        self._count(minute for minute in left if minute >= self._least)
        self._begin = max(begin, self._least)

    def _read(self, begin: int, end: int, cursor_ns: int) -> set[int]:
        """Take the blocks of the minutes in [begin, end); those minutes that spans must answer.

        A block may know more than has been seen, but not of a minute that nothing touches after the cursor.
        """
        blocks, left = minutes_of(self._reader, begin, end, cursor_ns)
        size = 0
        for block in sorted(blocks, reverse=True):
            size += block.bytes
            if size > MOST_BYTES:
                self._keep_from(block.start_ns // MINUTE_NS + 1)
                break
        blocks = [block for block in blocks if block.start_ns >= self._least * MINUTE_NS]
        if not blocks:
            return left
        numbers = np.array([self._number(row) for row in groups_of(self._reader).rows()], np.int64)
        try:
            for part in contents(self._reader, blocks):
                read = {start // MINUTE_NS: _in_numbers(block, numbers) for start, block in part.items()}
                self._minutes.update(read)
        except GoneError as error:
            raise _StaleError from error
        return left

    def _check_pruned(self) -> None:
        if self._reader.sql(kept.PRUNES_SQL)["prunes"][0].as_py() != self._prunes:
            raise _StaleError

    def _drop(self) -> None:
        """Let go of what nobody asks for any more."""
        begin = min(self._begins)
        if self._begin is not None and begin > self._begin:
            self._begin = begin
            self._minutes = {each: block for each, block in self._minutes.items() if each >= begin}


def _touches(window: Window, first_ns: int, last_ns: int) -> bool:
    # Whether spans that start from one moment to another may change the counts of a window.
    wide = window.in_context()
    return last_ns >= (wide.since_ns or 0) and (wide.until_ns is None or first_ns < wide.until_ns)


def _window(first: int, last: int) -> Window:
    return Window(first * MINUTE_NS, (last + 1) * MINUTE_NS)


def _by_minute(table: pa.Table) -> dict[int, pa.Table]:
    # The rows of each minute, by their ``start_ns``.
    minutes = table["start_ns"].to_numpy() // MINUTE_NS
    distinct = np.unique(minutes).tolist()
    if len(distinct) == 1:
        return {distinct[0]: table}
    return {minute: table.filter(pa.array(minutes == minute)) for minute in distinct}


def _keys(tables: Sequence[pa.Table], name: str = "trace_id") -> IntArray:
    # Half of the trace ids: a few others may be among those that are alike.
    column = pa.chunked_array([chunk for table in tables for chunk in table[name].chunks], pa.binary())
    half: IntArray = trace_ids(column).view(np.int64)[:, 1]
    return half


def _renumbered(keys: IntArray, numbers: IntArray) -> IntArray:
    found: IntArray = (numbers[keys >> GROUP_SHIFT] << GROUP_SHIFT) | (keys & LOW)
    return found


def _in_numbers(block: Block, numbers: IntArray) -> Block:
    exemplars = block.exemplars._replace(group=numbers[block.exemplars.group])
    return Block(_renumbered(block.keys, numbers), block.counts, exemplars)
