"""What ends a query: its time is up, it takes too much memory, or nobody waits for it any more.

DuckDB has one memory for everything that has a store open. A commit that finds none left can cost the
whole database, so questions have to give way first. What sorts and joins hold can go to disk; what
aggregates such as ``list`` gather cannot, and what expressions make is not even counted. So while
questions run, the counted part that stays, the room on disk and the process itself are looked at fifty
times a second, and the question that runs longest is ended when one of them goes beyond its share.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import duckdb

from tracescape_storage.errors import QueryError

_POLL_S: Final = 0.02
#: So long the thread that watches waits for the next query.
_LINGER_S: Final = 2.0
#: Of DuckDB's memory limit: what one question may pin, and what all may hold that cannot go to disk.
_PINNED_SHARE: Final = 16
_GATHERED_SHARE: Final = 4
#: Of the disk that DuckDB may use for what does not fit; commits need the rest.
_SPILLED: Final = 0.75
#: How much the process may grow beyond DuckDB's limit while one question runs.
_UNCOUNTED_BYTES: Final = 768 << 20

_MEMORY: Final = (
    "The query needs more memory than questions have here. Narrow it by start_ns, gather less (list,"
    " string_agg and exact quantiles hold all their input), or ask several times."
)
_CALLED_OFF: Final = "The query was called off."
_BUFFERS: Final = "('BASE_TABLE', 'HASH_TABLE', 'ORDER_BY', 'COLUMN_DATA', 'IN_MEMORY_TABLE', 'WINDOW')"
_HELD_SQL: Final = f"""
SELECT coalesce(sum(memory_usage_bytes) FILTER (tag NOT IN {_BUFFERS}), 0)::BIGINT,
       coalesce(sum(temporary_storage_bytes), 0)::BIGINT
FROM duckdb_memory()
"""
_LIMITS_SQL: Final = """
SELECT parse_formatted_bytes(current_setting('memory_limit')),
       coalesce(try(parse_formatted_bytes(current_setting('max_temp_directory_size'))), 0)
"""


class Shares(NamedTuple):
    """Bytes that questions may take: one may pin, all gather and spill, the process grow by."""

    pinned: int
    gathered: float
    spilled: float
    grown: float


def shares_of(connection: duckdb.DuckDBPyConnection) -> Shares:
    """What the limits of a database leave to questions."""
    limit, spill = _row(connection, _LIMITS_SQL)
    return Shares(
        limit // _PINNED_SHARE, limit / _GATHERED_SHARE, (spill or limit) * _SPILLED, limit + _UNCOUNTED_BYTES
    )


class Guard:
    """Watches one query; it may be called off from any thread.

    Attributes:
        reason: why the query was ended, for the person who asked; None while nothing has ended it.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, time_limit_s: float) -> None:
        self.reason: str | None = None
        self._time_limit_s = time_limit_s
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._probing = threading.Lock()
        self._probe: duckdb.DuckDBPyConnection | None = None

    def call_off(self) -> None:
        """End the query, now or as soon as it begins."""
        self._end_for(_CALLED_OFF)

    @contextmanager
    def over(self, cursor: duckdb.DuckDBPyConnection, shares: Shares) -> Iterator[None]:
        """Watch what ``cursor`` runs inside the block."""
        self._cursor = cursor
        self._shares = shares
        self._deadline = time.monotonic() + self._time_limit_s
        self._before = resident_bytes()
        _watch.add(self)
        try:
            yield
        finally:
            _watch.remove(self)
            with self._probing:
                self._cursor = None
                if self._probe is not None:
                    self._probe.close()
                    self._probe = None

    def look(self, *, first: bool) -> None:
        """Find out whether the query must end; that which began ``first`` answers for the memory."""
        if time.monotonic() > self._deadline:
            self._end_for(_too_long(self._time_limit_s))
        elif self.reason is None and first:
            with self._probing:
                if self._cursor is not None and (probe := self._probe_of(self._cursor)) is not None:
                    self._end_for(_excess(probe, self._shares, resident_bytes() - self._before))

    def interrupt(self) -> None:
        """Interrupt the query if it must end. Again and again: between two of its steps it is forgotten."""
        if self.reason is not None and self._cursor is not None:
            with suppress(duckdb.ConnectionException):
                self._cursor.interrupt()

    def _probe_of(self, cursor: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection | None:
        # None of a database that was closed meanwhile: the query itself will say so.
        with suppress(duckdb.ConnectionException):
            self._probe = self._probe or cursor.cursor()
        return self._probe

    def _end_for(self, reason: str | None) -> None:
        """The first reason stays, whoever finds another."""
        with self._lock:
            self.reason = self.reason or reason


class Asking:
    """One question of several queries, each with its time limit: called off together, from any thread.

    ``before`` is called before each query: it may wait until the store has what that ought to see.
    """

    def __init__(self, time_limit_s: float, before: Callable[[], object] = lambda: None) -> None:
        self._before = before
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._guard: Guard | None = None
        self._off = False

    def guard(self) -> Guard:
        """What watches its next query. Raises `QueryError` once the question is called off."""
        self._before()
        guard = Guard(self._time_limit_s)
        with self._lock:
            if self._off:  # a query that is short would be over before it is interrupted
                raise QueryError(_CALLED_OFF)
            self._guard = guard
        return guard

    def call_off(self) -> None:
        """End the query that runs, and those that would follow. Idempotent."""
        with self._lock:
            self._off = True
            if self._guard is not None:
                self._guard.call_off()


class _Watch:
    """One thread that looks at all running queries. It is there while there are some, and a while longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guards: list[Guard] = []  # the one that began first at the front
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._guards)

    def add(self, guard: Guard) -> None:
        """Look at ``guard`` from now on."""
        with self._lock:
            self._guards.append(guard)
            if self._thread is None or not self._thread.is_alive():  # a fork has none of its parent's
                self._thread = threading.Thread(target=self._run, name="query-guard", daemon=True)
                self._thread.start()

    def remove(self, guard: Guard) -> None:
        """From now on ``guard`` interrupts nothing: the cursor may become somebody else's."""
        with self._lock:
            self._guards.remove(guard)

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(_POLL_S)
            with self._lock:
                watched = list(self._guards)
                if watched:
                    last = time.monotonic()
                elif time.monotonic() > last + _LINGER_S:
                    self._thread = None
                    return
            for guard in watched:
                guard.look(first=guard is watched[0])
            with self._lock:
                for guard in self._guards:
                    guard.interrupt()


_watch: Final = _Watch()


def running() -> int:
    """How many queries this process runs."""
    return len(_watch)


def _too_long(time_limit_s: float) -> str:
    return f"The query ran longer than {time_limit_s:g} s. Narrow it by start_ns, or ask for less."


def _excess(probe: duckdb.DuckDBPyConnection, shares: Shares, grown: int) -> str | None:
    if grown > shares.grown:
        return _MEMORY
    try:
        gathered, spilled = _row(probe, _HELD_SQL)
    except duckdb.OutOfMemoryException:
        return _MEMORY
    except duckdb.Error:
        return None  # the query itself will say what is wrong with the database
    if gathered > shares.gathered:
        return _MEMORY
    if spilled > shares.spilled:
        return "The query sorts or joins more than there is room for. Narrow it by start_ns."
    return None


def _row(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, int]:
    (row,) = cursor.execute(sql).fetchall()
    return row[0], row[1]


def resident_bytes() -> int:
    """What this process has in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
    except OSError:
        return 0
