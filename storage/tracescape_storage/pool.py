"""Cursors of one database that questions borrow: what a cursor needs is set once, not for every question."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from tracescape_storage.bounded_functions import bound
from tracescape_storage.query_guard import Shares, shares_of

#: So many wait for the next question; more are closed when theirs ends.
_KEPT: Final = 8


class Cursor:
    """A cursor, what questions may take of its database, and which functions are bounded on it already."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, shares: Shares) -> None:
        self.connection = connection
        self.shares = shares
        self._bounded: set[str] = set()
        connection.execute(f"SET operator_memory_limit = '{shares.pinned}B'")

    def bound(self, names: frozenset[str]) -> None:
        """See `bounded_functions.bound`."""
        bound(self.connection, names - self._bounded)
        self._bounded |= names


class Pool:
    """Cursors of a database; safe to use from several threads. Closing it leaves the connection open.

    Args:
        connection: the database.
        reopened: gives it anew when DuckDB has declared it invalid, after `move`; None where nobody can.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        reopened: Callable[[], duckdb.DuckDBPyConnection] | None = None,
    ) -> None:
        self._connection = connection
        self._reopened = reopened
        self._lock = threading.Lock()
        self._free: list[Cursor] = []
        self._lent: set[duckdb.DuckDBPyConnection] = set()
        self._came_back = threading.Condition(self._lock)
        self._shares: Shares | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it lends no more."""
        return self._closed

    @contextmanager
    def lent(self) -> Iterator[Cursor]:
        """A cursor inside a transaction that reads. After an exception nobody gets the same one again."""
        cursor, connection = self._begun()
        whole = False
        try:
            yield cursor
            cursor.connection.execute("COMMIT")
            whole = True
        finally:
            self._take_back(cursor, connection, whole=whole)

    def drain(self) -> None:
        """Close the cursors that are not lent."""
        with self._lock:
            while self._free:
                self._free.pop().connection.close()

    def move(self, connection: duckdb.DuckDBPyConnection) -> None:
        """From now on, lend cursors of another connection."""
        self._connection = connection
        self.drain()

    def close(self) -> None:
        """Close the cursors, those that are lent when they come back. Idempotent."""
        with self._lock:
            self._closed = True
        self.drain()

    def stop(self, patience_s: float) -> None:
        """Close it, and end the questions that are being asked; wait so long at most until they have."""
        self.close()
        deadline = time.monotonic() + patience_s
        with self._came_back:
            while self._lent and time.monotonic() < deadline:
                for connection in self._lent:
                    connection.interrupt()
                self._came_back.wait(0.05)

    def _begun(self) -> tuple[Cursor, duckdb.DuckDBPyConnection]:
        """A cursor whose transaction has begun, and of which connection it is."""
        try:
            return self._begin(self._connection)
        except duckdb.FatalException:
            if self._reopened is None:
                raise
        return self._begin(self._reopened())

    def _begin(self, connection: duckdb.DuckDBPyConnection) -> tuple[Cursor, duckdb.DuckDBPyConnection]:
        with self._lock:  # so that nobody closes the connection meanwhile without knowing of this cursor
            if self._closed:
                raise duckdb.ConnectionException("the store is closed")
            # The connection itself is not asked: it may be writing, and refuses a second call meanwhile.
            kept = self._free.pop() if self._free else None
            own = connection.cursor() if kept is None else kept.connection
            self._lent.add(own)
        try:
            cursor = kept or self._dressed(own)
            own.execute("BEGIN TRANSACTION READ ONLY")
        except BaseException:
            self._end(own)
            raise
        return cursor, connection

    def _dressed(self, own: duckdb.DuckDBPyConnection) -> Cursor:
        self._shares = self._shares or shares_of(own)
        return Cursor(own, self._shares)

    def _take_back(self, cursor: Cursor, connection: duckdb.DuckDBPyConnection, *, whole: bool) -> None:
        with self._came_back:
            has_room = not self._closed and len(self._free) < _KEPT
            if whole and has_room and connection is self._connection:
                self._lent.discard(cursor.connection)
                self._free.append(cursor)
                return
        self._end(cursor.connection)

    def _end(self, own: duckdb.DuckDBPyConnection) -> None:
        own.close()
        with self._came_back:
            self._lent.discard(own)
            self._came_back.notify_all()
