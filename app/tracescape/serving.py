"""Which collector `tracescape serve` means: before a file, or before ClickHouse."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from tracescape.behind import Lane
from tracescape.collector import Collector, Serving
from tracescape.settings import Settings
from tracescape_storage.clickhouse.address import is_clickhouse
from tracescape_storage.retention import Limits

#: Options of a store file alone, by the names of their parameters.
OF_FILES: Final = {
    "db": "--db",
    "keep": "--keep",
    "max_gib": "--max-gib",
    "memory_mib": "--memory-mib",
}


class FileSettings(NamedTuple):
    """What only one before files takes; see `Collector`."""

    db: Path
    limits: Limits
    memory_mib: int


def collector_for(
    store: str | None, settings: Settings, files: FileSettings, given: Collection[str]
) -> Serving[Lane]:
    """A running collector before ``store``: an address of ClickHouse, a file, or None for ``files.db``.

    Args:
        given: the parameters of `OF_FILES` that somebody typed.

    Raises:
        ValueError: one of them does not go with ``store``.
    """
    if store is None:
        return Collector(**files._asdict(), **settings._asdict())
    if not is_clickhouse(store):
        if "db" in given:
            raise ValueError("--db and --store both name a store: write one of them")
        return Collector(**files._replace(db=Path(store))._asdict(), **settings._asdict())
    if given:
        names = " and ".join(OF_FILES[name] for name in given)
        raise ValueError(
            f"{names} is for a store file. How long and how much ClickHouse keeps is said there, by a TTL:"
            " docs/scaling.md"
        )
    from tracescape.warehouse import WarehouseCollector

    return WarehouseCollector(store, **settings._asdict())
