"""A store in one DuckDB file: the writer that a collector holds, and the reader of a closed file."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from tracescape_storage import compaction, ddl, positions, rollups
from tracescape_storage.attribute_columns import (
    ATTRIBUTE_COLUMNS_SQL,
    Sampler,
    duckdb_type,
    is_free,
)
from tracescape_storage.errors import StoreError, StoreFullError, UnstorableError
from tracescape_storage.journal import holds_more
from tracescape_storage.limits import DEFAULT_MEMORY_MIB
from tracescape_storage.pool import Pool
from tracescape_storage.query import LOCKED_DOWN, select_batches, select_table
from tracescape_storage.query_guard import Asking
from tracescape_storage.schema import ARRIVED, CONTENT_KEYS, SCHEMA_VERSION, SPANS, TABLES, TRACE_KEY
from tracescape_storage.sql_reader import SqlReader
from tracescape_storage.trace_keys import trace_keys
from tracescape_storage.unopened import LockedStoreError, check_whole, open_error

_log = logging.getLogger(__name__)

#: Refuse while a refusal is still clean: DuckDB needs room for its log and for a checkpoint. Less than the
#: journal's reserve, so that what that took last can still settle.
DEFAULT_RESERVE_BYTES: Final = 32 << 20

#: Questions fill it with what they read; with 1 GB a collector took 1.9 GB.
#: Checkpoints at the default 16 MB stall commits for seconds; see docs/decisions.
_WRITER_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "wal_autocheckpoint": "128MB",
}


#: So long questions that still run may keep a database that is to be opened anew.
_REOPEN_S: Final = 5.0
_ARRIVING: Final = tuple(name for name in TABLES if name not in CONTENT_KEYS)
_USED_SQL: Final = "SELECT used_blocks * block_size FROM pragma_database_size()"
_ARRIVALS_SQL: Final = (
    f"SELECT {ARRIVED}, sum(n)::BIGINT FROM ("
    + " UNION ALL ".join(f"SELECT {ARRIVED}, count(*) AS n FROM {name} GROUP BY 1" for name in _ARRIVING)
    + ") GROUP BY 1 ORDER BY 1"
)


class Position(NamedTuple):
    """How far a journal is in the store: all records up to ``sequence``, and ``rows`` items of the next."""

    sequence: int
    rows: int


#: A question that is being asked while the store is closed is ended; so long that may take.
_PATIENCE_S: Final = 10.0
#: Whoever takes rows of a file of their own may take their time.
_STREAM_S: Final = 24 * 3600.0


class DuckDBReader(SqlReader):
    """Questions on an open DuckDB connection, which closing it closes, or on a writer's, which stays open.

    Args:
        database: the connection, or the writer's pool of cursors.
        location: see `Reader.location`.
        live: see `Reader.live`.
        indexed: whether the store says which commits have spans of a trace; see `ddl.TRACE_INDEX`.
        full_sql: see `SqlReader.full_sql`.
        writer: the store, where this is its own reader.
        asking: what all that is read belongs to, where that may be called off.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection | Pool,
        location: str,
        *,
        live: bool,
        indexed: bool = False,
        full_sql: str = "",
        writer: DuckDBStore | None = None,
        asking: Asking | None = None,
    ) -> None:
        self._writer = writer
        self._asking = asking
        self.location = location
        self.live = live
        self.indexed = indexed
        self.full_sql = full_sql
        self._own = None if isinstance(database, Pool) else database
        self._pool = database if isinstance(database, Pool) else Pool(database)

    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`."""
        return select_table(self._pool, query, guard=None if self._asking is None else self._asking.guard())

    def stream(self, query: str) -> pa.RecordBatchReader:
        """See `Reader.stream`."""
        return select_batches(self._pool, query, time_limit_s=_STREAM_S)

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        """See `Reader.keep_positions`."""
        if self._writer is None:
            return False
        self._writer.keep_positions(stands, anew=anew)
        return True

    def attribute_columns(self) -> dict[str, str]:
        """See `Reader.attribute_columns`."""
        return super().attribute_columns() if self._writer is None else dict(self._writer.attribute_columns)

    def journal_state(self) -> tuple[Position, int]:
        """`DuckDBStore.position` and `DuckDBStore.seed`."""
        with self._pool.lent() as cursor:
            return _journal_state(cursor.connection)

    def close(self) -> None:
        """See `Reader.close`."""
        if self._own is not None:
            self._pool.stop(_PATIENCE_S)
            _shut(self._own, lambda: self._pool.stop(0.02))


class DuckDBStore:
    """The one writer of a store file. `append` may be called from one thread at a time.

    Args:
        path: the file; made, with its schema, when it does not exist.
        reserve_bytes: free disk below which `append` refuses.
        memory_mib: what DuckDB may take, for questions and commits together.

    Attributes:
        position: the journal's part that is stored; (-1, 0) for none.
        seed: a secret of this store, for hashes that senders must not be able to aim at.
        pool: cursors for questions, whatever becomes of the connection.
        attribute_columns: attributes of spans that have columns, and their DuckDB types; it is replaced when
            one is added, never changed.

    Raises:
        StoreError: the file is no store, is a newer store, or cannot be written.
        LockedStoreError: another process holds it.
    """

    def __init__(
        self,
        path: Path,
        *,
        reserve_bytes: int = DEFAULT_RESERVE_BYTES,
        memory_mib: int = DEFAULT_MEMORY_MIB,
    ) -> None:
        self.path = path
        self._memory_mib = memory_mib
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._closed = False
        _claim(path)
        try:
            self._connection = _connect(path, memory_mib=memory_mib)
        except BaseException:
            _release(path)
            raise
        try:
            _prepare(self._connection, path)
            self._known = {name: self._ids(key, name) for name, key in CONTENT_KEYS.items()}
            self.position, self.seed = _journal_state(self._connection)
            self.attribute_columns = _attribute_columns(self._connection)
            self._sampler = Sampler()
            self._arrived_ns = _last_arrival(self._connection)
            self.pool = Pool(self._connection, self._valid)
        except BaseException as error:
            self._connection.close()
            _release(path)
            if isinstance(error, duckdb.Error):
                raise open_error(path, error) from error
            raise

    def append(self, *batches: Mapping[str, pa.Table], position: Position | None = None) -> None:
        """Add tables in one transaction; on return they are on disk, on an exception nothing is stored.

        Args:
            batches: tables by their names, any of `schema.TABLES`; text columns may be dictionary-coded.
                Spans may have columns of attributes besides; the store adds those that it lacks. Copies of
                rows of another store may have `schema.ARRIVED`, no earlier than what is stored.
                ``resources`` and ``scopes`` may repeat rows that the store has: the first is kept.
            position: how far the journal is settled with this; see `position`.

        Raises:
            StoreFullError: too little free disk; nothing was stored, sending again later is right.
            UnstorableError: the store does not take this content; nothing was stored.
            StoreError: the write failed; nothing was stored.
        """
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            self._check_room()
            fresh, known = self._without_known(batches)
            try:
                self._make_columns(fresh)
                self._insert(fresh, position)
            except duckdb.Error as error:
                self._recover()
                if not self._has_reached(position):
                    raise _write_error(self.path, error) from error
            self.position = position or self.position
            for key, ids in known.items():
                self._known[key] |= ids
            self._sample(fresh)

    def used_bytes(self) -> int:
        """What the rows occupy on disk, the log included; the file may have free room besides."""
        (row,) = self._connection.cursor().execute(_USED_SQL).fetchall()
        wal = self.path.with_name(self.path.name + ".wal")
        return int(row[0]) + (wal.stat().st_size if wal.exists() else 0)

    def arrivals(self) -> list[tuple[int, int]]:
        """When rows arrived (epoch ns, ascending) and how many of all tables did then."""
        return self._connection.cursor().execute(_ARRIVALS_SQL).fetchall()

    def prune(self, before_ns: int) -> int:
        """Delete what arrived before ``before_ns``; how many spans went.

        Raises:
            StoreError: the write failed; nothing was deleted.
        """
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            try:
                spans, rows = self._delete_before(before_ns)
                if rows:
                    self._connection.execute("CHECKPOINT")
            except duckdb.Error as error:
                self._recover()
                raise _write_error(self.path, error) from error
            return spans

    def compact(
        self, progress: Callable[[int, int], None] = lambda *_: None, *, settled_s: float = 0.0
    ) -> int:
        """Give room back to the file system if more than half of the file is free; how many bytes went.

        Commits and questions go on between slices of rows; see `compaction`. What a question holds that
        began before stays.

        Args:
            progress: called with the rows so far and in all.
            settled_s: rows that came later than so many seconds ago stay where they are: who follows what
                arrives is perhaps in the middle of them.

        Raises:
            StoreError: the write failed; everything is stored as before.
        """
        before = room = compaction.room_of(self._connection.cursor())
        until = time.time_ns() - round(settled_s * 1e9)
        # DuckDB puts what describes a table where it has room for that: first once, then after everything.
        for until_ns in (None, until, None):
            if room.is_worth_it:
                self._rewrite(compaction.slices_of(self._connection.cursor(), until_ns), progress)
                room = compaction.room_of(self._connection.cursor())
        return before.total - room.total

    def _rewrite(self, parts: Sequence[compaction.Slice], progress: Callable[[int, int], None]) -> None:
        total, done, folded = sum(part.rows for part in parts), 0, 0
        for part in parts:
            self._write(lambda connection, part=part: compaction.rewrite(connection, part))  # type: ignore[misc]  # mypy knows no lambda with a default
            done += part.rows
            if done - folded >= compaction.SLICE_ROWS or done == total:
                self.fold()
                folded = done
            progress(done, total)

    def fold(self) -> None:
        """Fold the log into the file. Raises `StoreError` if that failed; nothing was changed."""
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            try:
                self._connection.execute("CHECKPOINT")
            except duckdb.Error as error:
                self._recover()
                raise _write_error(self.path, error) from error

    def note_pruned(self, rows: Sequence[Mapping[str, int]]) -> None:
        """Take over what another store has pruned, for a copy of it: rows of ``tracescape_pruned``."""
        for row in rows:
            values = [row["arrived_before_ns"], row["spans"], row["last_start_ns"]]
            self._connection.execute("INSERT INTO tracescape_pruned VALUES ($1, $2, $3)", values)

    def touch_rollups(self, minutes: Iterable[int], cursor_ns: int, now_ns: int) -> None:
        """See `rollups.touch`. Raises `StoreError` if the write failed; nothing was changed."""
        self._write(lambda connection: rollups.touch(connection, minutes, cursor_ns, now_ns))

    def put_rollups(self, rolled: rollups.Rolled) -> bool:
        """See `rollups.put`. Raises `StoreError` if the write failed; nothing was changed."""
        return bool(self._write(lambda connection: rollups.put(connection, rolled)))

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> None:
        """See `positions.keep` and `positions.table_of`. Raises `StoreError`; then nothing was changed."""
        table = positions.table_of(stands)
        self._write(lambda connection: positions.keep(connection, table, anew=anew))

    def _write(self, change: Callable[[duckdb.DuckDBPyConnection], object]) -> object:
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            try:
                self._connection.execute("BEGIN")
                result = change(self._connection)
                self._connection.execute("COMMIT")
            except duckdb.Error as error:
                self._recover()
                raise _write_error(self.path, error) from error
            except BaseException:
                self._recover()
                raise
            return result

    def _delete_before(self, before_ns: int) -> tuple[int, int]:
        """How many spans, and rows of all tables, were deleted."""
        connection = self._connection
        connection.execute("BEGIN")
        last = f"SELECT count(*), max(start_ns) FROM spans WHERE {ARRIVED} < {before_ns}"
        (row,) = connection.execute(last).fetchall()
        spans, last_start_ns = row
        rollups.touch_pruned(connection, before_ns)
        rows = 0
        for name in _ARRIVING:
            (row,) = connection.execute(f"DELETE FROM {name} WHERE {ARRIVED} < {before_ns}").fetchall()
            rows += row[0]
        connection.execute(f"DELETE FROM {ddl.TRACE_ARRIVALS} WHERE {ARRIVED} < {before_ns}")
        if spans:
            values = [before_ns, spans, last_start_ns]
            connection.execute("INSERT INTO tracescape_pruned VALUES ($1, $2, $3)", values)
        connection.execute("COMMIT")
        return spans, rows

    @property
    def journal_folder(self) -> Path:
        """Where the journal of this store belongs."""
        return journal_folder(self.path)

    def reader(self, asking: Asking | None = None) -> DuckDBReader:
        """A reader inside this process; it sees every commit as soon as `append` returns."""
        return DuckDBReader(self.pool, str(self.path), live=True, indexed=True, writer=self, asking=asking)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The one that writes; it is another one after a failure that made DuckDB give up the database."""
        return self._connection

    def close(self) -> None:
        """End the questions that are asked, fold the log into the file and release it. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.pool.close()
                _shut(self._connection, lambda: self.pool.stop(0.02))
                _release(self.path)

    def _without_known(
        self, batches: Sequence[Mapping[str, pa.Table]]
    ) -> tuple[list[tuple[str, pa.Table]], dict[str, set[int]]]:
        """The tables that have rows, resources and scopes without those that are stored; and their ids."""
        fresh = []
        added: dict[str, set[int]] = {name: set() for name in CONTENT_KEYS}
        for batch in batches:
            for name, table in batch.items():
                if name in CONTENT_KEYS:
                    table = _unseen(table, CONTENT_KEYS[name], self._known[name], added[name])
                if table.num_rows:
                    fresh.append((name, table))
        return fresh, added

    def _make_columns(self, tables: list[tuple[str, pa.Table]]) -> None:
        """Add the columns of attributes that ``tables`` bring along."""
        new: dict[str, str] = {}
        for name, table in tables:
            for field in table.schema if name == "spans" else ():
                known = field.name in SPANS.names or field.name in self.attribute_columns
                if not known and field.name != ARRIVED:
                    new[field.name] = duckdb_type(field)
        self._add_columns(new)

    def _sample(self, tables: list[tuple[str, pa.Table]]) -> None:
        """Give columns to attributes that many spans have; it is no harm if that fails."""
        for name, table in tables:
            if name == "spans":
                new = self._sampler.look(table["attributes"], self.attribute_columns)
                try:
                    self._add_columns(new)
                except duckdb.Error as error:
                    self._recover()
                    _log.warning("attributes of %s cannot have columns: %s", self.path, error)

    def _add_columns(self, new: Mapping[str, str]) -> None:
        if not new:
            return
        columns = dict(self.attribute_columns)
        for key, kind in new.items():
            if not is_free(key, columns):
                raise UnstorableError(f"the attribute {key!r} cannot have a column")
            columns[key] = kind
        self._connection.execute("BEGIN")
        for key, kind in new.items():
            for statement in ddl.add_column(key, kind):
                self._connection.execute(statement)
        for view in ddl.span_views(columns):
            self._connection.execute(view)
        self._connection.execute("COMMIT")
        self.attribute_columns = columns

    def _insert(self, tables: list[tuple[str, pa.Table]], position: Position | None) -> None:
        connection = self._connection
        arrived = max(self._arrived_ns + 1, time.time_ns())
        connection.execute("BEGIN")
        for name, table in tables:
            if "trace_id" in table.column_names:
                table = table.append_column(TRACE_KEY, trace_keys(table["trace_id"]))
            connection.register("incoming", table)
            own = None if ARRIVED in table.column_names else arrived
            connection.execute(ddl.insert_statement(name, "incoming", own))
            if name == "spans":
                connection.execute(ddl.index_statement("incoming", own))
            connection.unregister("incoming")
        if position is not None:
            connection.execute("UPDATE tracescape_journal SET sequence = $1, rows = $2", list(position))
        connection.execute("COMMIT")
        self._arrived_ns = arrived

    def _recover(self) -> None:
        """After a failed write: roll back; if DuckDB declared the database invalid, open it anew."""
        try:
            self._connection.execute("ROLLBACK")
            self._connection.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            return  # the failure had already ended the transaction
        except duckdb.Error:
            self._reopen()

    def _valid(self) -> duckdb.DuckDBPyConnection:
        """The connection, opened anew if DuckDB declared the database invalid."""
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            self._recover()
            return self._connection

    def _reopen(self) -> None:
        _log.warning("%s is opened anew: DuckDB gave it up after an error", self.path)
        _shut(self._connection, lambda: time.sleep(0.02))
        give_up = time.monotonic() + _REOPEN_S
        while True:
            self.pool.drain()
            self._connection = _connect(self.path, memory_mib=self._memory_mib)
            try:
                self._connection.execute("SELECT 1").fetchall()
                break
            except duckdb.FatalException:
                # A question that runs still holds the old one, which this process then gets again.
                self._connection.close()
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
        self.pool.move(self._connection)

    def _has_reached(self, position: Position | None) -> bool:
        """Whether a commit that failed is in the store after all: perhaps only its end went wrong."""
        if position is None or position == self.position:
            return False
        try:
            return _journal_state(self._connection)[0] == position
        except duckdb.Error as error:
            raise StoreError(f"{self.path} cannot be read after a failed write: {error}") from error

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < self._reserve_bytes:
            raise StoreFullError(
                f"The disk of {self.path} is full: {free >> 20} MiB free, {self._reserve_bytes >> 20} MiB are"
                " kept in reserve. Free some space; clients that retry lose nothing."
            )

    def _ids(self, column: str, table: str) -> set[int]:
        return {row[0] for row in self._connection.execute(f"SELECT {column} FROM {table}").fetchall()}


def journal_folder(path: Path) -> Path:
    """Where the journal of the store at ``path`` is: beside the file itself, whatever links lead to it."""
    file = path.resolve()
    return file.with_name(file.name + ".journal")


def unsettled(reader: DuckDBReader, path: Path) -> bool:
    """Whether the journal beside a closed file holds accepted requests that the file has not.

    Raises:
        StoreError: the journal is that of another store, or cannot be read.
    """
    position, seed = reader.journal_state()
    return holds_more(journal_folder(path), settled=position.sequence, seed=seed)


def open_reader(path: Path) -> DuckDBReader:
    """A closed store file, read-only. Raises as `DuckDBStore` does, and when there is no such file."""
    if not _is_there(path):
        raise StoreError(f"There is no store at {path}. Make one with: tracescape serve --db {path}")
    connection = _connect(path)
    try:
        check_whole(connection, path)
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    full_sql = "" if _has_full_view(connection) else ddl.full_sql(_attribute_columns(connection))
    indexed = _has_trace_index(connection)
    return DuckDBReader(connection, str(path), live=False, indexed=indexed, full_sql=full_sql)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(f"{str(path)[:80]} is no file that can be opened: {error.strerror}.") from error


#: DuckDB keeps other processes out, but hands the same process the same database again.
_held: Final[set[Path]] = set()
_held_lock: Final = threading.Lock()


def _claim(path: Path) -> None:
    with _held_lock:
        if path.resolve() in _held:
            raise LockedStoreError(f"This process already holds {path}. Use what it opened.")
        _held.add(path.resolve())


def _release(path: Path) -> None:
    with _held_lock:
        _held.discard(path.resolve())


def _connect(path: Path, *, memory_mib: int | None = None) -> duckdb.DuckDBPyConnection:
    """Open the file, for reading alone where ``memory_mib`` is None."""
    settings = dict(LOCKED_DOWN)
    if memory_mib is not None:
        settings |= {**_WRITER_SETTINGS, "memory_limit": f"{memory_mib}MiB"}
    try:
        return duckdb.connect(path, read_only=memory_mib is None, config=settings)
    except duckdb.Error as error:
        raise open_error(path, error) from error


def _shut(connection: duckdb.DuckDBPyConnection, meanwhile: Callable[[], None]) -> None:
    """Close it. DuckDB refuses while a cursor of it runs anything, be it what watches a question."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.close()
            return
        except duckdb.ResourceInUseException:
            if time.monotonic() > give_up:
                raise
            meanwhile()


def _prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables:
        _check_version(connection, path)
    connection.execute("BEGIN")
    for statement in [*([] if tables else ddl.statements()), *rollups.STATEMENTS, *positions.STATEMENTS]:
        connection.execute(statement)
    if not _has_full_view(connection):  # the file is of an older release
        for view in ddl.span_views(_attribute_columns(connection)):
            connection.execute(view)
    rollups.migrate(connection)
    if not _has_trace_index(connection):
        for statement in ddl.TRACE_INDEX:
            connection.execute(statement)
    connection.execute("COMMIT")


def _has_trace_index(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute(ddl.TRACE_INDEX_THERE).fetchall())


def _has_full_view(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute(ddl.FULL_VIEW_THERE).fetchall())


def _attribute_columns(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    return dict(connection.execute(ATTRIBUTE_COLUMNS_SQL).fetchall())


def _last_arrival(connection: duckdb.DuckDBPyConnection) -> int:
    """0 without any; whole row groups tell it without being read."""
    tables = " UNION ALL ".join(f"SELECT max({ARRIVED}) AS arrived FROM {name}" for name in _ARRIVING)
    (row,) = connection.execute(f"SELECT max(arrived) FROM ({tables})").fetchall()
    return row[0] or 0


def _journal_state(connection: duckdb.DuckDBPyConnection) -> tuple[Position, int]:
    (row,) = connection.execute("SELECT sequence, rows, seed FROM tracescape_journal").fetchall()
    return Position(row[0], row[1]), row[2]


def _check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        rows = connection.execute("SELECT max(version) FROM tracescape_store").fetchall()
    except duckdb.CatalogException:
        raise StoreError(
            f"{path} is a DuckDB database, but not a Tracescape store. Name another file."
        ) from None
    version = rows[0][0]
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} has store version {version}; this Tracescape reads version {SCHEMA_VERSION}."
            " Open it with the release that wrote it."
        )


def _unseen(table: pa.Table, key: str, known: set[int], added: set[int]) -> pa.Table:
    """The first row of each id that is neither known nor added yet; they are added."""
    keep = []
    for index, value in enumerate(table[key].to_pylist()):
        if value not in known and value not in added:
            added.add(value)
            keep.append(index)
    return table.take(pa.array(keep, pa.int64())) if len(keep) < table.num_rows else table


#: What the rows are to blame for, and not the disk, the memory or another process.
_CONTENT_ERRORS: Final = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.InternalError,
    duckdb.NotSupportedError,
    duckdb.ProgrammingError,
)
_FULL: Final = re.compile(r"no space left|disk full|not enough space|file too large|quota exceeded", re.I)


def _write_error(path: Path, error: duckdb.Error) -> StoreError:
    text = str(error).splitlines()[0]
    if _FULL.search(str(error)):
        return StoreFullError(
            f"The disk of {path} is full: {text} Free some space; clients that retry lose nothing."
        )
    kind = UnstorableError if isinstance(error, _CONTENT_ERRORS) else StoreError
    return kind(f"Writing to {path} failed: {text}")
