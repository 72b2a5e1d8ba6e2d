"""Serves what ``render/web`` was built into: a page that holds no data, and so needs no key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BUILT: Final = Path(__file__).parent / "built"
#: A file's place: the page is at the root, what it loads beside it under a path of its own.
_PREFIX: Final = "/page/"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: Nothing from elsewhere, nothing inline, and no text that becomes markup: whatever a name is, it is a text.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        *(f"{what} 'none'" for what in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def page_routes() -> list[Route]:
    """A route for the page, and one for each file that it loads."""
    return [_route(path, file) for path, file in _files().items()]


def page_paths() -> frozenset[str]:
    """The paths of `page_routes`."""
    return frozenset(_files())


def _files() -> dict[str, Path]:
    loaded = sorted(file for file in (BUILT / "page").iterdir() if file.suffix in _TYPES)
    return {"/": BUILT / "index.html"} | {f"{_PREFIX}{file.name}": file for file in loaded}


def _route(path: str, file: Path) -> Route:
    async def serve(request: Request) -> Response:
        # Read anew: whoever works on the page builds it and loads it again.
        body = file.read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        headers = {**HEADERS, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=_TYPES[file.suffix])

    return Route(path, serve, methods=["GET", "HEAD"])
