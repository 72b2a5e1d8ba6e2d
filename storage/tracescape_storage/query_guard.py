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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import duckdb

_POLL_S: Final = 0.02
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


class _Shares(NamedTuple):
    """Bytes that questions may take."""

    gathered: float
    spilled: float
    grown: float


class Guard:
    """Watches one query; it may be called off from any thread.

    Attributes:
        reason: why the query was ended, for the person who asked; None while nothing has ended it.
    """

    #: Those that watch, the one that began first at the front.
    _watching: ClassVar[list[Guard]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, time_limit_s: float) -> None:
        self.reason: str | None = None
        self._time_limit_s = time_limit_s
        self._ended = threading.Event()

    def call_off(self) -> None:
        """End the query, now or as soon as it begins."""
        self._end_for("The query was called off.")

    @contextmanager
    def over(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Watch what ``cursor`` runs inside the block."""
        limit, spill = _row(cursor, _LIMITS_SQL)
        cursor.execute(f"SET operator_memory_limit = '{limit // _PINNED_SHARE}B'")
        shares = _Shares(limit / _GATHERED_SHARE, (spill or limit) * _SPILLED, limit + _UNCOUNTED_BYTES)
        watch = threading.Thread(target=self._watch, args=(cursor, shares), name="query-guard", daemon=True)
        with self._lock:
            self._watching.append(self)
        watch.start()
        try:
            yield
        finally:
            self._ended.set()
            with self._lock:
                self._watching.remove(self)
            watch.join()  # the cursor must not be interrupted once it is somebody else's

    def _watch(self, cursor: duckdb.DuckDBPyConnection, shares: _Shares) -> None:
        deadline = time.monotonic() + self._time_limit_s
        before = _process_bytes()
        probe: duckdb.DuckDBPyConnection | None = None
        while not self._ended.wait(_POLL_S):
            if time.monotonic() > deadline:
                self._end_for(_too_long(self._time_limit_s))
            elif self.reason is None and self._is_first():
                probe = probe or cursor.cursor()
                self._end_for(_excess(probe, shares, _process_bytes() - before))
            if self.reason is not None:
                # Again and again: an interruption between two steps of a query is forgotten.
                cursor.interrupt()
        if probe is not None:
            probe.close()

    def _end_for(self, reason: str | None) -> None:
        """The first reason stays, whoever finds another."""
        with self._lock:
            self.reason = self.reason or reason

    def _is_first(self) -> bool:
        with self._lock:
            return bool(self._watching) and self._watching[0] is self


def _too_long(time_limit_s: float) -> str:
    return f"The query ran longer than {time_limit_s:g} s. Narrow it by start_ns, or ask for less."


def _excess(probe: duckdb.DuckDBPyConnection, shares: _Shares, grown: int) -> str | None:
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


def _process_bytes() -> int:
    """The resident memory of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
    except OSError:
        return 0
