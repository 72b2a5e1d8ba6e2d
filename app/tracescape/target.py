"""What a person means by a store: a file, or the address of a collector or of ClickHouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape.store import Store


def open_target(text: str) -> Store:
    """A store for what a person typed: an existing file, else an address if it looks like one."""
    from tracescape.store import connect
    from tracescape.store import open as open_store

    if not text:
        raise StoreError("No store is named. Write a store file, HOST:PORT or clickhouse://….")
    if _exists(text):
        return open_store(text)
    host, separator, port = text.rpartition(":")
    looks_like_address = "://" in text or (separator and port.isdigit() and "/" not in host)
    return connect(text) if looks_like_address else open_store(text)


def _exists(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long a name, a NUL, a home of nobody
        return False
