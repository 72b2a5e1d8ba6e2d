"""Who may ask a collector over HTTP: keeps strangers' web pages away, and clients without a key."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tracescape_ingest.access import UnauthenticatedError

LOCAL_NAMES = frozenset({"localhost"})
_STRANGER = "This address answers its own clients only (Host or Origin is a stranger's)."


def is_trusted(host: str | None, origin: str | None, names: frozenset[str] | None = LOCAL_NAMES) -> bool:
    """Whether a request comes from a client of this collector, not from a page of somebody else's.

    A page that rebinds its DNS name to this address still sends that name as ``Host``; so only IP literals
    and known ``names`` pass (None: any name). Any page sends its ``Origin``; so that must be the collector's
    own.
    """
    if host is None:
        return False
    hostname = _hostname(f"//{host}")
    if hostname is None or not (names is None or hostname in names or _is_ip(hostname)):
        return False
    return origin is None or origin.lower() in {f"http://{host.lower()}", f"https://{host.lower()}"}


class HostGuard:
    """ASGI middleware that answers 403 to what `is_trusted` does not let pass.

    Args:
        app: what is guarded.
        names: the names under which this collector is asked; None where something else, a key or a
            certificate, keeps a rebound name out.
        write_only: paths that take any ``Host``: exporters reach a collector under names that it cannot know,
            and nothing can be read there. A page's ``Origin`` is refused there as well.
        cors_paths: paths that pages of ``cors_origins`` may send to; the origin ``*`` is every one.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: frozenset[str] | None = LOCAL_NAMES,
        write_only: frozenset[str] = frozenset(),
        cors_paths: frozenset[str] = frozenset(),
        cors_origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._names = names
        self._write_only = write_only
        self._cors_paths = cors_paths
        self._cors_origins = frozenset(cors_origins)
        self._cors = CORSMiddleware(
            app,
            allow_origins=list(cors_origins),
            allow_methods=["POST"],
            allow_headers=["*"],
            # A browser's beacons always claim credentials. There are none here that a page could borrow.
            allow_credentials=True,
            allow_private_network=True,
            expose_headers=["Retry-After"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        written = origin is None and scope["path"] in self._write_only
        if origin is not None and scope["path"] in self._cors_paths and self._is_allowed(origin):
            await self._cors(scope, receive, send)
        elif written or is_trusted(host, origin, self._names):
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 403, _STRANGER)

    def _is_allowed(self, origin: str) -> bool:
        return origin in self._cors_origins or "*" in self._cors_origins


class KeyGuard:
    """ASGI middleware that answers 401 to requests without a known key, and notes whose the others are.

    The tenant is in ``request.state.tenant``. Paths in ``open_paths`` see to themselves.
    """

    def __init__(
        self, app: ASGIApp, tenant_of: Callable[[Mapping[str, str]], str], open_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._tenant_of = tenant_of
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] in {"http", "websocket"} and scope["path"] not in self._open_paths:
            try:
                tenant = self._tenant_of(Headers(scope=scope))
            except UnauthenticatedError as error:
                await _refuse(scope, receive, send, 401, str(error))
                return
            scope.setdefault("state", {})["tenant"] = tenant
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    await JSONResponse({"error": message}, status, headers)(scope, receive, send)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_ip(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True
