"""The collector: OTLP/gRPC in, one store file behind it, questions answered over HTTP."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from tracescape.closing import Closing
from tracescape.guard import LOCAL_NAMES, HostGuard
from tracescape_ingest.address import listen, parse_address
from tracescape_ingest.group_commit import GroupCommit
from tracescape_ingest.grpc_server import TraceReceiver
from tracescape_ingest.http_receiver import PATH, otlp_routes
from tracescape_ingest.intake import Intake
from tracescape_storage.discovery import announce, withdraw
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.http_api import query_routes

DEFAULT_GRPC: Final = "127.0.0.1:4317"
DEFAULT_HTTP: Final = "127.0.0.1:4318"
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Collector(Closing):
    """A running collector; use it as a context manager.

    Args:
        db: the store file; made when it does not exist.
        grpc, http: ``host:port`` to listen at; port 0 takes a free one.

    Raises:
        StoreError: the file cannot be the store.
        PortInUseError: an address is taken. Nothing stays open after either.
    """

    def __init__(self, db: Path, *, grpc: str = DEFAULT_GRPC, http: str = DEFAULT_HTTP) -> None:
        with contextlib.ExitStack() as undo:
            self.store = DuckDBStore(db.absolute())
            undo.callback(self.store.close)
            listener = listen(http)
            undo.callback(listener.close)
            self._commits = GroupCommit(self.store.append)
            undo.callback(self._commits.close)
            intake = Intake(self._commits)
            self._receiver = TraceReceiver(grpc, intake)
            undo.callback(self._receiver.stop)
            self._web = _WebServer(listener, _application(self.store, intake, http))
            undo.callback(self._web.stop)
            self.http_url = _url(listener)
            self.grpc_endpoint = f"http://{_reachable(parse_address(grpc)[0])}:{self._receiver.port}"
            announce(self.store.path, self.http_url)
            undo.callback(withdraw, self.store.path)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Refuse what is new, store what was accepted, close the file. Idempotent."""
        self._undo.close()


class _WebServer:
    """uvicorn in a thread of its own on a socket that is already bound."""

    def __init__(self, listener: socket.socket, application: Starlette) -> None:
        config = uvicorn.Config(application, log_level="warning", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="tracescape-http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)


def _application(store: DuckDBStore, intake: Intake, http: str) -> Starlette:
    names = LOCAL_NAMES | {parse_address(http)[0].lower()}
    guard = Middleware(HostGuard, names=names, write_only=frozenset({PATH}))
    routes = [*query_routes(lambda: store.connection), *otlp_routes(intake)]
    return Starlette(routes=routes, middleware=[guard])


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    """The host as a client on this machine writes it."""
    bare = _WILDCARDS.get(host, host)
    return f"[{bare}]" if ":" in bare else bare
