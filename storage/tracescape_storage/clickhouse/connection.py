"""One ClickHouse, asked one read-only question at a time: bounded, cancelled when it is closed, in words."""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from tracescape_storage.clickhouse.address import Address
from tracescape_storage.errors import QueryError, StoreError, UnreachableError
from tracescape_storage.limits import DEFAULT_TIME_LIMIT_S

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_CONNECT_S: Final = 5
_LOGGERS: Final = ("clickhouse_connect", "urllib3.connectionpool")
_AUTHENTICATION, _NO_TABLE, _NO_DATABASE, _NO_COLUMN, _DENIED = 516, 60, 81, 47, 497
_TIME, _MEMORY = (159, 160), (241,)
_MANY: Final = (158, 307, 396)
_NOT_ALLOWED: Final = (164, 452)
_MOST_WORDS: Final = 300
_TRAILER: Final = re.compile(r"\s*\(version .*$", re.DOTALL)
_HEADER: Final = re.compile(r"^.*DB::Exception:\s*", re.DOTALL)
_CLOSED: Final = "The store was closed before the question was answered. Open it again, and ask again."
#: What is left of a folder that was begun and never filled.
_OF_CHDB: Final = frozenset({"data", "status", "store", "tmp"})
#: What chdb says when it cannot open a folder; why not is on its stderr alone.
_UNOPENED: Final = "Error initializing EmbeddedServer"
_EXTRA: Final = "{} ClickHouse takes one more package: pip install 'tracescape[clickhouse]' ({})"


class TooManyRowsError(QueryError):
    """The answer has more rows than `Limits` has."""


class Limits(NamedTuple):
    """What one question may take: seconds, rows of its answer, and bytes of the server's memory."""

    time_s: float = DEFAULT_TIME_LIMIT_S
    rows: int = 20_000_000
    memory_bytes: int = 4 << 30


class Connection:
    """Questions to one ClickHouse; safe to use from several threads.

    Raises `StoreError` when nothing answers, the password is wrong, or the database is not there.
    """

    def __init__(self, address: Address, limits: Limits | None = None) -> None:
        self.address = address
        self.limits = limits or Limits()
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._embedded = threading.RLock() if address.path else None
        self._closed = False
        self._client = client_of(address)
        if self._embedded is not None:  # a process that ends with several of these open waits for ever
            atexit.register(self.close)
        try:
            self._settings = self._allowed()
        except BaseException:
            self.close()
            raise

    def table(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """All rows of one ``SELECT``; text columns that are low in cardinality are dictionary-coded.

        Args:
            sql: with ``{name:Type}`` for each of ``parameters``.

        Raises:
            QueryError: the server refuses it, or it takes more than `Limits`.
            StoreError: the server is gone.
        """
        with self.batches(sql, parameters) as (schema, batches):
            return pa.Table.from_batches(list(batches), schema)

    @contextmanager
    def batches(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The same as it arrives: the schema, and the batches. Leaving the block ends the question."""
        with self._asking() as settings, _translated(self):
            if self._embedded is not None:
                with self._embedded:
                    found = self._client.query_arrow(sql, parameters=_plain(parameters), settings=settings)
                yield found.schema, iter(found.to_batches())
                return
            with self._client.query_arrow_stream(
                sql, parameters=_plain(parameters), settings=settings
            ) as stream:
                batches = iter(stream)
                first = next(batches, None)
                if first is None:  # nothing at all: only a whole answer says what its columns are
                    found = self._client.query_arrow(
                        f"SELECT * FROM ({sql}) LIMIT 0", parameters=_plain(parameters), settings=settings
                    )
                    yield found.schema, iter(found.to_batches())
                    return
                yield first.schema, _chained(self, first, batches)

    def close(self) -> None:
        """End what is being asked and let the connection go. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        if running and self._embedded is None:
            ids = ", ".join(f"'{each}'" for each in running)
            with suppress(Exception):  # who may not end questions lets them run into their limit
                self._client.command(f"KILL QUERY WHERE query_id IN ({ids}) ASYNC")
        self._client.close()
        atexit.unregister(self.close)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @contextmanager
    def _asking(self) -> Iterator[dict[str, Any]]:
        if self._closed:
            raise StoreError(_CLOSED)
        query_id = f"tracescape-{uuid.uuid4()}"
        with self._lock:
            self._running.add(query_id)
        try:
            yield self._settings if self._embedded is not None else {**self._settings, "query_id": query_id}
        finally:
            with self._lock:
                self._running.discard(query_id)

    def _allowed(self) -> dict[str, Any]:
        """The settings that go with each question: none where the user's profile lets none be changed."""
        limits = self.limits
        form = {
            "output_format_arrow_low_cardinality_as_dictionary": 1,
            "output_format_json_escape_forward_slashes": 0,
            "output_format_json_quote_64bit_integers": 0,
            "join_use_nulls": 0,
        }
        bounds = {
            "max_execution_time": round(limits.time_s),
            "max_result_rows": limits.rows,
            "result_overflow_mode": "throw",
            "max_memory_usage": limits.memory_bytes,
        }
        with _translated(self):
            known = self._client.command("SELECT value FROM system.settings WHERE name = 'readonly'")
        if str(known) == "1":
            return {}
        cancel = {} if self._embedded is not None else {"cancel_http_readonly_queries_on_client_close": 1}
        return {**form, **bounds, **cancel, **({"readonly": 2} if str(known) == "0" else {})}


def client_of(address: Address, *, writing: bool = False, timeout_s: int | None = None) -> Client:
    """The driver's client, for one thread. Raises `StoreError`.

    Args:
        address: of what is asked; for ``writing`` its database and its folder may be missing yet.
        writing: whether it is to make and fill tables.
        timeout_s: how long an answer may take; the driver's own time without.
    """
    doing = "Writing to" if writing else "Reading from"
    try:
        import clickhouse_connect
    except ImportError as error:
        raise StoreError(_EXTRA.format(doing, error)) from None
    for name in _LOGGERS:  # what they tell is told by the errors that are raised
        logging.getLogger(name).setLevel(logging.CRITICAL)
    options: dict[str, Any] = {} if writing else {"database": address.database}
    try:
        if address.path:
            _check_folder(Path(address.path), writing=writing)
            return clickhouse_connect.get_client(interface="chdb", path=address.path, **options)
        if timeout_s is not None:
            options["send_receive_timeout"] = timeout_s
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            interface="https" if address.secure else "http",
            connect_timeout=_CONNECT_S,
            autogenerate_session_id=False,
            client_name="tracescape",
            query_limit=0,
            **options,
        )
    except StoreError:
        raise
    except ImportError:
        raise StoreError(f"{doing} a folder takes one more package: pip install chdb") from None
    except Exception as error:  # what the driver, urllib3 and chdb raise has no common root
        raise said(error, address) from error


def _check_folder(folder: Path, *, writing: bool) -> None:
    if writing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder {folder} cannot be made: {error.strerror or error}") from error
        others = {each.name for each in folder.iterdir()} - _OF_CHDB
        if others and not (folder / "metadata").is_dir():
            raise StoreError(
                f"{folder} holds other things, such as {min(others)}: name an empty folder, or one that is"
                " not there."
            )
    elif not folder.is_dir():
        raise StoreError(f"There is no folder {folder}.")
    elif not (folder / "metadata").is_dir():  # else chdb would begin one there
        raise StoreError(f"There is no ClickHouse in the folder {folder}: it has no folder 'metadata'.")
    holder = _holder(folder / "status")
    if holder:
        raise StoreError(
            f"{folder} cannot be opened: {holder} holds it. One process reads or writes a folder at"
            " a time; a server lets many."
        )


def _holder(status: Path) -> str:
    """Which other process has the folder open, in words; ``""`` where none has.

    chdb would find that out too, and say it on this process's stderr alone.
    """
    try:
        import fcntl  # where there is none, there is no chdb

        with status.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held = re.search(r"PID: *(\d+)", file.read())
                number = int(held[1]) if held else 0
                return "" if number == os.getpid() else f"process {number}"
    except (ImportError, OSError):  # nobody has opened it yet, or chdb has to tell
        pass
    return ""


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    try:
        yield
    except (StoreError, GeneratorExit):
        raise
    except Exception as error:  # what the driver, urllib3 and Arrow raise has no common root
        if connection.closed:
            raise StoreError(_CLOSED) from error
        raise said(error, connection.address) from error


def _chained(
    connection: Connection, first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        yield first
        rows += first.num_rows
        for batch in rest:
            rows += batch.num_rows
            yield batch
    except GeneratorExit:
        raise
    except Exception as error:  # as above
        if connection.closed:
            raise StoreError(_CLOSED) from error
        if _code(error) is not None:
            raise said(error, connection.address) from error
        raise UnreachableError(
            f"The answer of {connection.address.location} broke off after {rows:,} rows: the server ended, or"
            " the connection to it. Ask again."
        ) from error


def said(error: Exception, address: Address) -> StoreError:
    """What a driver's error means to a person, in one sentence or two, without the password."""
    code, where = _code(error), address.location
    words = words_of(error, address)
    if address.path and _UNOPENED in str(error):
        return StoreError(
            f"{where} cannot be opened: it is damaged, not ours to write, or another process holds it. What"
            " ClickHouse itself says of it is above."
        )
    if address.path and isinstance(error, OSError):
        return StoreError(f"{where} cannot be opened: {error.strerror or error}")
    if code in (_AUTHENTICATION, 193, 194):
        return StoreError(f"{where} does not let {address.user!r} in: the name or the password is wrong.")
    if code == _NO_DATABASE:
        how = "as ?database=NAME" if address.path else "at the end of the address"
        return StoreError(f"{where} has no database {address.database}. Name it {how}.")
    if code in _TIME:
        return QueryError("The question took longer than it may. Narrow it by start_ns, or ask for less.")
    if code in _MEMORY:
        return QueryError("The query needs more memory than it may take. Narrow it by start_ns.")
    if code in _MANY:
        return TooManyRowsError(
            "The answer has more rows than are taken at once. Narrow it by time, or add a LIMIT."
        )
    if code in _NOT_ALLOWED:
        return QueryError(f"Questions are read-only here: {words}")
    if code == _DENIED:
        return StoreError(f"{where} does not let {address.user!r} read this: {words}")
    if code is not None:
        return QueryError(words)
    return UnreachableError(f"No ClickHouse answers at {where} ({_reason(error, address)}).")


def _reason(error: Exception, address: Address) -> str:
    text = str(error)
    if "refused" in text:
        return "nothing listens there"
    if "resolve" in text or "Name or service" in text or "getaddrinfo" in text:
        return "there is no such host"
    if "CERTIFICATE" in text or "certificate" in text:
        return "its certificate is not trusted"
    if "timed out" in text or "timeout" in text.lower():
        return "it did not answer in time"
    if address.port in (9000, 9440):
        return "9000 speaks ClickHouse's own protocol; questions go to its HTTP port, 8123, with TLS 8443"
    return "what answers there is no ClickHouse, or it broke off"


def _code(error: Exception) -> int | None:
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    found = re.search(r"\bCode:\s*(\d+)", str(error))
    return int(found[1]) if found else None


def words_of(error: Exception, address: Address) -> str:
    """What the server said of an error, without its version and ours; of one that it was told, that one."""
    text = _TRAILER.sub("", _HEADER.sub("", str(error))).strip()
    text = " ".join(text.split())
    if address.password:
        text = text.replace(address.password, "…")
    return text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + "…"


def _plain(parameters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(parameters) if parameters else None
