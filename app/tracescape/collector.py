"""The collector: OTLP in over gRPC and HTTP, a store file behind it, questions answered over HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from tracescape.closing import Closing
from tracescape.defaults import DEFAULT_GRPC, DEFAULT_HTTP
from tracescape.guard import LOCAL_NAMES, HostGuard, KeyGuard
from tracescape.keeping import keeping
from tracescape.page import ask_routes
from tracescape.rolling import Rolling
from tracescape.trimming import trimming
from tracescape.uploading import uploaded
from tracescape.web import WebServer, client_gone
from tracescape_analytics.jaeger import jaeger_routes
from tracescape_ingest.access import DEFAULT_TENANT, Access, Keys, read_keys, store_of
from tracescape_ingest.address import is_loopback, listen, parse_address
from tracescape_ingest.grpc_server import GrpcReceiver
from tracescape_ingest.http_receiver import OPEN_PATHS, health_route, otlp_routes
from tracescape_ingest.intake import Intake
from tracescape_ingest.limits import DEFAULT_MAX_MESSAGE_BYTES
from tracescape_ingest.reception import Reception
from tracescape_ingest.self_observation import SelfObservation
from tracescape_ingest.signals import PATHS
from tracescape_ingest.tls import Tls
from tracescape_render.web import page_paths, page_routes
from tracescape_storage.discovery import announce, withdraw
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore
from tracescape_storage.http_api import positions_routes, query_routes
from tracescape_storage.limits import DEFAULT_MEMORY_MIB, QueryLimits
from tracescape_storage.query_guard import Asking
from tracescape_storage.retention import Limits

_log = logging.getLogger(__name__)

#: Less than the journal keeps free: what has been accepted must still fit into the store when no more is.
SETTLE_RESERVE_BYTES: Final = 16 << 20
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Lane(NamedTuple):
    """What stands behind one tenant."""

    store: DuckDBStore
    intake: Intake


class _Stores:
    """What the page asks: the tenants' stores."""

    def __init__(self, lanes: Mapping[str, Lane], closing: Callable[[], bool]) -> None:
        self._lanes = lanes
        self._closing = closing

    def reader(self, tenant: str, asking: Asking | None) -> DuckDBReader:
        """See `tracescape.page.routes.Stores`."""
        reader = self._lanes[tenant].store.reader(asking)
        reader.location = "this collector"  # whoever reads it in a browser need not know the file
        return reader

    def catch_up(self, tenant: str) -> None:
        """See `tracescape.page.routes.Stores`."""
        self._lanes[tenant].intake.catch_up()

    def closing(self) -> bool:
        """See `tracescape.page.routes.Stores`."""
        return self._closing()


class Collector(Closing):
    """A running collector; use it as a context manager.

    Args:
        db: the store file; made when it does not exist. With keys: each tenant's stands beside it.
        grpc, http: ``host:port`` to listen at; port 0 takes a free one.
        tls: certificates for both ports; without them connections are plain.
        api_keys: the file of keys (see `tracescape_ingest.access`); without it everybody may send and ask.
        cors_origins: origins whose web pages may send.
        max_message_bytes: a larger request is refused.
        observe_s: how often it reports about itself into each store; 0 = never.
        limits: how much each store keeps, its journal included.
        queries: what questions may take.
        memory_mib: what the database of each store may take, for questions and commits together.
        ready: called from another thread when the compiled decoder serves.

    Raises:
        StoreError: the file cannot be the store.
        PortInUseError: an address is taken. Nothing stays open after either.
        KeysError: the file of keys cannot be used.
    """

    def __init__(
        self,
        db: Path,
        *,
        grpc: str = DEFAULT_GRPC,
        http: str = DEFAULT_HTTP,
        tls: Tls | None = None,
        api_keys: Path | None = None,
        cors_origins: Sequence[str] = (),
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        observe_s: float = 0.0,
        limits: Limits = Limits(),  # noqa: B008  # a NamedTuple: nobody can change it
        queries: QueryLimits = QueryLimits(),  # noqa: B008  # as above
        memory_mib: int = DEFAULT_MEMORY_MIB,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        keys = None if api_keys is None else read_keys(api_keys)
        with contextlib.ExitStack() as undo:
            self.lanes: dict[str, Lane] = {}
            for number, (tenant, path) in enumerate(_files(db.absolute(), keys).items()):
                self.lanes[tenant] = _lane(
                    path, undo, observe_s, memory_mib, limits.journal_bytes, None if number else ready
                )
            self.store = next(iter(self.lanes.values())).store
            undo.callback(keeping((lane.store for lane in self.lanes.values()), limits).close)
            undo.callback(Rolling(lane.store for lane in self.lanes.values()).close)
            undo.callback(trimming().close)
            access = Access({tenant: lane.intake for tenant, lane in self.lanes.items()}, keys)
            listener = listen(http)
            undo.callback(listener.close)
            reception = Reception(access, max_message_bytes=max_message_bytes)
            undo.callback(reception.close)
            self._closing = False
            self._queries = queries
            names = None if tls or keys else LOCAL_NAMES | {parse_address(http)[0].lower()}
            self._web = WebServer(listener, self._application(reception, names, cors_origins), tls)
            undo.callback(self._web.stop)
            self._receiver = GrpcReceiver(grpc, reception, tls=tls)
            undo.callback(self._receiver.stop)
            scheme = "http" if tls is None else "https"
            self.http_url = f"{scheme}://{_bound(listener)}"
            self.grpc_endpoint = f"{scheme}://{_reachable(parse_address(grpc)[0])}:{self._receiver.port}"
            for lane in self.lanes.values():
                announce(lane.store.path, self.http_url)
                undo.callback(withdraw, lane.store.path)
            _warn_of_strangers((grpc, http), tls=tls is not None, keys=keys is not None)
            self._undo = undo.pop_all()

    def reader(self, tenant: str | None = None) -> DuckDBReader:
        """A reader that sees everything that was acknowledged before; the first tenant's by default."""
        lane = self.lanes[tenant] if tenant else next(iter(self.lanes.values()))
        return lane.intake.reader()

    def _asked(self, tenant: str) -> DuckDBReader:
        self.lanes[tenant].intake.catch_up()
        return self.lanes[tenant].store.reader()

    def close(self) -> None:
        """Refuse what is new, store what was accepted, close the files. Idempotent."""
        self._closing = True
        self._undo.close()

    def _application(
        self, reception: Reception, names: frozenset[str] | None, cors_origins: Sequence[str]
    ) -> Starlette:
        """Every path but those of OTLP, health and the page's own files needs a key where there are keys,
        whoever adds it here."""
        routes = [
            *query_routes(
                lambda request: self.lanes[request.state.tenant].store.pool,
                settle=lambda request: self.lanes[request.state.tenant].intake.catch_up(),
                limits=self._queries,
            ),
            *positions_routes(lambda request: self.lanes[request.state.tenant].store),
            *page_routes(),
            *ask_routes(_Stores(self.lanes, lambda: self._closing), self._queries),
            *jaeger_routes(lambda request: self._asked(request.state.tenant), uploaded),
            *otlp_routes(reception),
            health_route(lambda: not self._closing),
        ]
        guards = [
            Middleware(
                HostGuard, names=names, write_only=OPEN_PATHS, cors_paths=PATHS, cors_origins=cors_origins
            ),
            Middleware(KeyGuard, tenant_of=reception.access.tenant_of, open_paths=OPEN_PATHS | page_paths()),
        ]
        return Starlette(routes=routes, middleware=guards, exception_handlers={ClientDisconnect: client_gone})


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
) -> Lane:
    store = DuckDBStore(path, reserve_bytes=SETTLE_RESERVE_BYTES, memory_mib=memory_mib)
    undo.callback(store.close)
    intake = Intake(store, kept_bytes=kept_bytes, ready=ready)
    undo.callback(intake.close)
    if observe_s:
        undo.callback(SelfObservation(intake, interval_s=observe_s).close)
    return Lane(store, intake)


def _warn_of_strangers(addresses: Sequence[str], *, tls: bool, keys: bool) -> None:
    """Say once what an address beyond loopback lacks."""
    if all(is_loopback(address) for address in addresses) or (tls and keys):
        return
    missing = " and ".join(name for name, there in (("--api-keys", keys), ("--tls-cert", tls)) if not there)
    _log.warning("listening beyond this machine without %s: anybody who reaches it can use it", missing)


def _bound(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    """The host as a client on this machine writes it."""
    bare = _WILDCARDS.get(host, host)
    return f"[{bare}]" if ":" in bare else bare
