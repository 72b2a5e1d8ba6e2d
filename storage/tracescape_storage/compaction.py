"""Room that a file does not need goes back to the file system, while the store is open and read.

DuckDB gives back what is free at a file's end and nothing else, so one block in use there keeps all the free
ones before it. Here rows are written anew, the oldest first: new rows take the first free blocks, and what
they leave behind is free. Each slice is a transaction of DuckDB's own, on the file as it is. So a process
that is killed at any moment leaves all of it or nothing; nothing is swapped, no second file is needed, and
readers keep what they see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import duckdb

from tracescape_storage.schema import ARRIVED

#: Fewer free bytes than that are not worth the work.
WORTH_BYTES: Final = 32 << 20
#: So many rows are written anew in one transaction, at least: whole row groups, in a second or so.
SLICE_ROWS: Final = 250_000
_ROOM_SQL: Final = "SELECT total_blocks, used_blocks, block_size FROM pragma_database_size()"
_TABLES_SQL: Final = (
    "SELECT table_name, bool_or(column_name = $1) FROM duckdb_columns()"
    " JOIN duckdb_tables() USING (database_name, schema_name, table_name)"
    " WHERE NOT duckdb_tables.internal AND NOT duckdb_tables.temporary GROUP BY 1 ORDER BY 1"
)


class Room(NamedTuple):
    """What a file has and what of it is in use, in bytes."""

    total: int
    used: int

    @property
    def is_worth_it(self) -> bool:
        """Whether more than half of the file is free."""
        return self.total - self.used > max(self.used, WORTH_BYTES)


class Slice(NamedTuple):
    """Rows of a table that are written anew together: those with arrivals in (after, until], or all."""

    table: str
    rows: int
    after: int | None = None
    until: int | None = None


def room_of(connection: duckdb.DuckDBPyConnection) -> Room:
    """The room of the file, as of the last checkpoint."""
    (row,) = connection.execute(_ROOM_SQL).fetchall()
    return Room(row[0] * row[2], row[1] * row[2])


def slices_of(connection: duckdb.DuckDBPyConnection, before_ns: int | None) -> list[Slice]:
    """What is to be written anew: all that arrived before ``before_ns``, then the tables without arrivals.

    None for those alone: they are small, and what describes them often is all that stands at a file's end.
    """
    tables = connection.execute(_TABLES_SQL, [ARRIVED]).fetchall()
    found: list[Slice] = []
    for table in (name for name, arrives in tables if arrives and before_ns is not None):
        counts = (
            f"SELECT {ARRIVED}, count(*) FROM {table} WHERE {ARRIVED} < {before_ns} GROUP BY 1 ORDER BY 1"
        )
        ranges = ranges_of(connection.execute(counts).fetchall(), SLICE_ROWS)
        found += [Slice(table, rows, after, until) for after, until, rows in ranges]
    for table in (name for name, arrives in tables if not arrives):
        (row,) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        found.append(Slice(table, row[0]))
    return [each for each in found if each.rows]


def ranges_of(arrivals: Iterable[tuple[int, int]], at_once: int) -> Iterator[tuple[int, int, int]]:
    """Ranges (after, until] with ``at_once`` rows or more each, the last with what is left; and how many.

    ``arrivals`` are times, ascending, and how many rows arrived then.
    """
    after, rows, until = -1, 0, -1
    for until, count in arrivals:
        rows += count
        if rows >= at_once:
            yield after, until, rows
            after, rows = until, 0
    if rows:
        yield after, until, rows


def rewrite(connection: duckdb.DuckDBPyConnection, part: Slice) -> None:
    """Write the rows of ``part`` anew, behind all others and in their order; inside the caller's transaction.

    Their old blocks are free after the next checkpoint, unless a reader still sees them.
    """
    (row,) = connection.execute(f"SELECT max(rowid) FROM {part.table}").fetchall()
    old = f"rowid <= {row[0]}"  # so that the new ones do not count
    if part.until is not None:
        old += f" AND {ARRIVED} > {part.after} AND {ARRIVED} <= {part.until}"
    connection.execute(f"INSERT INTO {part.table} SELECT * FROM {part.table} WHERE {old}")
    connection.execute(f"DELETE FROM {part.table} WHERE {old}")
