"""The collector: OTLP in over gRPC and HTTP, a store behind it, questions answered over HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, Unpack

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from tracescape.behind import Behind, L, Lane
from tracescape.closing import Closing
from tracescape.files import FileLane, Files
from tracescape.guard import LOCAL_NAMES, HostGuard, KeyGuard
from tracescape.page import ask_routes
from tracescape.settings import Given, Settings
from tracescape.trimming import trimming
from tracescape.uploading import uploaded
from tracescape.web import WebServer, client_gone
from tracescape_analytics.jaeger import jaeger_routes
from tracescape_ingest.access import Access, Keys
from tracescape_ingest.address import is_loopback, listen, parse_address
from tracescape_ingest.grpc_server import GrpcReceiver
from tracescape_ingest.http_receiver import OPEN_PATHS, health_route, otlp_routes, ready_route
from tracescape_ingest.reception import Reception
from tracescape_ingest.signals import PATHS
from tracescape_render.web import page_paths, page_routes
from tracescape_storage.duckdb_file import DuckDBReader
from tracescape_storage.limits import DEFAULT_MEMORY_MIB
from tracescape_storage.query_guard import Asking
from tracescape_storage.reader import Reader
from tracescape_storage.retention import Limits

_log = logging.getLogger(__name__)

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class _Stores:
    """What the page asks: the tenants' stores."""

    def __init__(self, lanes: Mapping[str, Lane], closing: Callable[[], bool]) -> None:
        self._lanes = lanes
        self._closing = closing

    def reader(self, tenant: str, asking: Asking | None) -> Reader:
        """See `tracescape.page.routes.Stores`."""
        return self._lanes[tenant].asked(asking)

    def catch_up(self, tenant: str) -> None:
        """See `tracescape.page.routes.Stores`."""
        self._lanes[tenant].catch_up()

    def closing(self) -> bool:
        """See `tracescape.page.routes.Stores`."""
        return self._closing()


class Serving(Closing, Generic[L]):
    """The ports of a running collector, in front of whatever keeps what they take.

    Args:
        behind: what keeps it; closed with this, also where this cannot be made.
        settings: see there.
        keys: who may send and ask as which tenant; without them everybody as the only one.

    Raises:
        PortInUseError: an address is taken. Nothing stays open.
    """

    def __init__(self, behind: Behind[L], settings: Settings, keys: Keys | None) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(behind.close)
            self.lanes = behind.lanes
            self._behind = behind
            self._queries = settings.queries
            self._closing = False
            undo.callback(trimming().close)
            access = Access({tenant: lane.intake for tenant, lane in self.lanes.items()}, keys)
            listener = listen(settings.http)
            undo.callback(listener.close)
            reception = Reception(access, max_message_bytes=settings.max_message_bytes)
            undo.callback(reception.close)
            tls = settings.tls
            names = None if tls or keys else LOCAL_NAMES | {parse_address(settings.http)[0].lower()}
            self._web = WebServer(listener, self._application(reception, names, settings.cors_origins), tls)
            undo.callback(self._web.stop)
            self._receiver = GrpcReceiver(settings.grpc, reception, tls=tls)
            undo.callback(self._receiver.stop)
            scheme = "http" if tls is None else "https"
            self.http_url = f"{scheme}://{_bound(listener)}"
            self.grpc_endpoint = (
                f"{scheme}://{_reachable(parse_address(settings.grpc)[0])}:{self._receiver.port}"
            )
            undo.callback(behind.announce(self.http_url))
            _warn_of_strangers((settings.grpc, settings.http), tls=tls is not None, keys=keys is not None)
            self._undo = undo.pop_all()

    def reader(self, tenant: str | None = None) -> Reader:
        """A reader that sees everything that was acknowledged before; the first tenant's by default."""
        return (self.lanes[tenant] if tenant else next(iter(self.lanes.values()))).reader()

    @property
    def asked_by(self) -> str:
        """What to type for an answer."""
        return f"tracescape explore {self.http_url}"

    def _asked(self, tenant: str) -> Reader:
        self.lanes[tenant].catch_up()
        return self.lanes[tenant].asked(None)

    def close(self) -> None:
        """Refuse what is new, store what was accepted, close the stores. Idempotent."""
        self._closing = True
        self._undo.close()

    def _application(
        self, reception: Reception, names: frozenset[str] | None, cors_origins: Sequence[str]
    ) -> Starlette:
        """Every path but those of OTLP, health and the page's own files needs a key where there are keys,
        whoever adds it here."""
        routes = [
            *self._behind.routes(self._queries),
            *page_routes(),
            *ask_routes(_Stores(self.lanes, lambda: self._closing), self._queries),
            *jaeger_routes(lambda request: self._asked(request.state.tenant), uploaded),
            *otlp_routes(reception),
            health_route(lambda: not self._closing),
            ready_route(lambda: "shutting down" if self._closing else self._behind.unready()),
        ]
        guards = [
            Middleware(
                HostGuard, names=names, write_only=OPEN_PATHS, cors_paths=PATHS, cors_origins=cors_origins
            ),
            Middleware(KeyGuard, tenant_of=reception.access.tenant_of, open_paths=OPEN_PATHS | page_paths()),
        ]
        return Starlette(routes=routes, middleware=guards, exception_handlers={ClientDisconnect: client_gone})


class Collector(Serving[FileLane]):
    """A running collector before store files; use it as a context manager.

    Args:
        db: the store file; made when it does not exist. With keys: each tenant's stands beside it.
        limits: how much each store keeps, its journal included.
        memory_mib: what the database of each store may take, for questions and commits together.
        given: see `Settings`.

    Raises:
        StoreError: the file cannot be the store.
        PortInUseError: an address is taken. Nothing stays open after either.
        KeysError: the file of keys cannot be used.
    """

    def __init__(
        self,
        db: Path,
        *,
        limits: Limits = Limits(),  # noqa: B008  # a NamedTuple: nobody can change it
        memory_mib: int = DEFAULT_MEMORY_MIB,
        **given: Unpack[Given],
    ) -> None:
        settings = Settings(**given)
        keys = settings.keys()
        files = Files(
            db,
            keys,
            observe_s=settings.observe_s,
            limits=limits,
            memory_mib=memory_mib,
            ready=settings.ready,
        )
        super().__init__(files, settings, keys)
        self.store = next(iter(self.lanes.values())).store

    def reader(self, tenant: str | None = None) -> DuckDBReader:
        """See `Serving.reader`."""
        return (self.lanes[tenant] if tenant else next(iter(self.lanes.values()))).reader()


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
