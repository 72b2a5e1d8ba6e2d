"""Store files behind a collector, one a tenant, and their upkeep."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from starlette.routing import Route

from tracescape.keeping import keeping
from tracescape.rolling import Rolling
from tracescape_ingest.access import DEFAULT_TENANT, Keys, store_of
from tracescape_ingest.intake import Intake
from tracescape_ingest.self_observation import SelfObservation
from tracescape_storage.discovery import announce, withdraw
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore
from tracescape_storage.http_api import positions_routes, query_routes
from tracescape_storage.limits import QueryLimits
from tracescape_storage.query_guard import Asking
from tracescape_storage.retention import Limits

#: Less than the journal keeps free: what has been accepted must still fit into the store when no more is.
SETTLE_RESERVE_BYTES: Final = 16 << 20


class FileLane(NamedTuple):
    """A tenant's file; see `tracescape.behind.Lane`."""

    store: DuckDBStore
    intake: Intake

    @property
    def location(self) -> str:
        """See `Lane.location`."""
        return str(self.store.path)

    def reader(self) -> DuckDBReader:
        """See `Lane.reader`."""
        return self.intake.reader()

    def asked(self, asking: Asking | None) -> DuckDBReader:
        """See `Lane.asked`."""
        reader = self.store.reader(asking)
        reader.location = "this collector"  # whoever reads it in a browser need not know the file
        return reader

    def catch_up(self) -> None:
        """See `Lane.catch_up`."""
        self.intake.catch_up()


class Files:
    """The files of all tenants; see `tracescape.behind.Behind`. Arguments and errors: see `Collector`."""

    def __init__(
        self,
        db: Path,
        keys: Keys | None,
        *,
        observe_s: float,
        limits: Limits,
        memory_mib: int,
        ready: Callable[[], None],
    ) -> None:
        with contextlib.ExitStack() as undo:
            self.lanes: dict[str, FileLane] = {}
            for number, (tenant, path) in enumerate(_files(db.absolute(), keys).items()):
                self.lanes[tenant] = _lane(
                    path, undo, observe_s, memory_mib, limits.journal_bytes, None if number else ready
                )
            undo.callback(keeping((lane.store for lane in self.lanes.values()), limits).close)
            undo.callback(Rolling(lane.store for lane in self.lanes.values()).close)
            self._undo = undo.pop_all()

    def routes(self, queries: QueryLimits) -> list[Route]:
        """See `Behind.routes`."""
        return [
            *query_routes(
                lambda request: self.lanes[request.state.tenant].store.pool,
                settle=lambda request: self.lanes[request.state.tenant].catch_up(),
                limits=queries,
            ),
            *positions_routes(lambda request: self.lanes[request.state.tenant].store),
        ]

    def unready(self) -> str:
        """See `Behind.unready`: what is sent goes into the journal, whatever befalls the file."""
        return ""

    def announce(self, url: str) -> Callable[[], None]:
        """See `Behind.announce`."""
        with contextlib.ExitStack() as undo:
            for lane in self.lanes.values():
                announce(lane.store.path, url)
                undo.callback(withdraw, lane.store.path)
            return undo.pop_all().close

    def close(self) -> None:
        """See `Behind.close`."""
        self._undo.close()


def _files(db: Path, keys: Keys | None) -> dict[str, Path]:
    """The store file of each tenant."""
    if keys is None:
        return {DEFAULT_TENANT: db}
    return {tenant: store_of(db, tenant) for tenant in sorted(set(keys.values()))}


def _lane(
    path: Path,
    undo: contextlib.ExitStack,
    observe_s: float,
    memory_mib: int,
    kept_bytes: int,
    ready: Callable[[], None] | None,
) -> FileLane:
    store = DuckDBStore(path, reserve_bytes=SETTLE_RESERVE_BYTES, memory_mib=memory_mib)
    undo.callback(store.close)
    intake = Intake(store, kept_bytes=kept_bytes, ready=ready)
    undo.callback(intake.close)
    if observe_s:
        undo.callback(SelfObservation(intake, interval_s=observe_s).close)
    return FileLane(store, intake)
