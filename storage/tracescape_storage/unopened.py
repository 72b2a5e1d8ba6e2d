"""Why a file is not opened as a store, in words: it is looked at once DuckDB has refused it.

Only then: who closes any handle of a file gives up the locks that this process has on it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import duckdb

from tracescape_storage.errors import StoreError

_KINDS: Final = {
    b"SQLite format 3\0": "a SQLite database",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
}
#: DuckDB's own mark, after a checksum.
_MARK: Final = (8, b"DUCK")
_DAMAGED: Final = re.compile(r"read enough bytes|checksum|corrupt", re.IGNORECASE)
_BACKUP: Final = "Open a backup of it instead."


class LockedStoreError(StoreError):
    """Another process holds the file."""


def open_error(path: Path, error: duckdb.Error) -> StoreError:
    """What `path` is instead of a store that can be opened, and what to do."""
    text = str(error).splitlines()[0]
    if isinstance(error, duckdb.ConnectionException):
        return LockedStoreError(f"This process already holds {path}. Use what it opened.")
    if "lock on file" in text:
        holder = re.search(r"\(PID (\d+)\)", str(error))
        who = f"process {holder[1]}" if holder else "another process"
        return LockedStoreError(
            f"{who.capitalize()} holds {path}. End it, or ask its collector with: tracescape explore URL"
        )
    try:
        return StoreError(f"{path} {_what_it_is(path, text)}")
    except OSError as refused:
        return StoreError(f"{path} cannot be read ({refused.strerror}). Let this user read it, or copy it.")


def damaged(error: Exception) -> bool:
    """Whether DuckDB says that a file is not what it wrote."""
    return isinstance(error, duckdb.Error) and _DAMAGED.search(str(error)) is not None


def check_whole(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raises `StoreError` where the file has not even room for the blocks in use: reading them would fail.

    Blocks that are free at its end DuckDB counts, and cuts off itself. A file with a log beside it is not
    looked at: what the log has may be counted as blocks already.
    """
    if path.with_name(path.name + ".wal").exists():
        return
    (row,) = connection.execute("SELECT used_blocks * block_size FROM pragma_database_size()").fetchall()
    if path.stat().st_size < row[0]:
        raise StoreError(f"{path} is cut off: {row[0] - path.stat().st_size:,} bytes are missing. {_BACKUP}")


def _what_it_is(path: Path, text: str) -> str:
    if path.is_dir():
        return "is a folder. Name the store file in it."
    if not path.parent.is_dir():
        return f"cannot be made: the folder {path.parent} does not exist. Make it, or name another file."
    if not path.exists():
        return f"cannot be made: {text}"
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        return "is empty, not a Tracescape store. Remove it, or name another file."
    if start[_MARK[0] :][: len(_MARK[1])] == _MARK[1]:
        if _DAMAGED.search(text):
            return f"is cut off or damaged ({text}). {_BACKUP}"
        return f"cannot be opened: {text}"
    kind = next((f"{name}, " for begin, name in _KINDS.items() if start.startswith(begin)), "")
    return f"is {kind}not a Tracescape store. Name another file."
