"""Keeps strangers' web pages away from a collector that listens on loopback."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL_NAMES = frozenset({"localhost"})


def is_trusted(host: str | None, origin: str | None, names: frozenset[str] = LOCAL_NAMES) -> bool:
    """Whether a request comes from a client of this collector, not from a page of somebody else's.

    A page that rebinds its DNS name to this address still sends that name as ``Host``; so only IP literals
    and known ``names`` pass. Any page sends its ``Origin``; so that must be the collector's own.
    """
    if host is None:
        return False
    hostname = _hostname(f"//{host}")
    if hostname is None or not (hostname in names or _is_ip(hostname)):
        return False
    return origin is None or origin.lower() in {f"http://{host.lower()}", f"https://{host.lower()}"}


class HostGuard:
    """ASGI middleware that answers 403 to what `is_trusted` does not let pass.

    Paths in ``write_only`` take any ``Host``: exporters reach a collector under names that it cannot know,
    and nothing can be read there. A page's ``Origin`` is refused there as well.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: frozenset[str] = LOCAL_NAMES,
        write_only: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._names = names
        self._write_only = write_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
            host, origin = headers.get(b"host"), headers.get(b"origin")
            written = scope["path"] in self._write_only and origin is None
            if not written and not is_trusted(host, origin, self._names):
                message = "This address answers its own clients only (Host or Origin is a stranger's)."
                await JSONResponse({"error": message}, status_code=403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


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
