"""``GET /ask/tail``: what arrives, a JSON object a line, for as long as somebody looks.

A line is ``{"rows": […], "skipped": n}``; one without rows says that the connection lives.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tracescape.page.asked import Asked
from tracescape.page.routes import HEADERS, Stores, is_own, refusal, refused
from tracescape_storage.errors import StoreError
from tracescape_storage.limits import DEFAULT_TIME_LIMIT_S
from tracescape_storage.query_guard import Asking

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

_MOST: Final = 16
_EVERY_S: Final = 0.5
_ALIVE_S: Final = 10.0
#: Nobody reads more of it; the rest is counted.
_MOST_ROWS: Final = 100
_SHOWN: Final = (
    *("trace_id", "span_id", "service", "operation", "kind", "status", "duration_ns"),
    *("root_service", "root_operation", "spans", "errors"),
)


class Tailing:
    """The endpoint, and how many look on."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._looking = 0

    async def answer(self, request: Request) -> Response:
        """Begin a tail."""
        if not is_own(request):
            return refusal("Another site's page may not ask here.", 403)
        if self._looking >= _MOST:
            return refusal(f"{_MOST} browsers look on already. Close one of them.", 503)
        self._looking += 1
        basket = _Basket(self._stores, request.state.tenant)
        try:
            asked = Asked(request.query_params, ("where", "traces"))
            await asyncio.to_thread(basket.begin, asked.text("where"), traces=asked.flag("traces"))
        except Exception as error:  # a sentence, as for every question
            self._end(basket)
            return refused(error)
        return _Lines(self._lines(basket), lambda: self._end(basket))

    async def _lines(self, basket: _Basket) -> AsyncIterator[bytes]:
        quiet_s = math.inf  # so that the first line comes at once
        while not self._stores.closing():
            told = basket.taken()
            if told["rows"] or told.get("error") or quiet_s >= _ALIVE_S:
                yield json.dumps(told, ensure_ascii=False).encode() + b"\n"
                quiet_s = 0.0
            if told.get("error"):
                return
            await asyncio.sleep(_EVERY_S)
            quiet_s += _EVERY_S

    def _end(self, basket: _Basket) -> None:
        basket.close()
        self._looking -= 1


class _Lines(StreamingResponse):
    """A stream that ends what stands behind it, also if nobody was there for its first line."""

    def __init__(self, lines: AsyncIterator[bytes], end: Callable[[], None]) -> None:
        super().__init__(lines, headers=HEADERS, media_type="application/x-ndjson")
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


class _Basket:
    """A thread that waits for what arrives, and what of it nobody has taken yet."""

    def __init__(self, stores: Stores, tenant: str) -> None:
        self._stores = stores
        self._tenant = tenant
        self._asking = Asking(DEFAULT_TIME_LIMIT_S, before=lambda: stores.catch_up(tenant))
        self._lock = threading.Lock()
        self._rows: list[dict[str, Any]] = []
        self._skipped = 0
        self._error: str | None = None
        self._closed = False

    def begin(self, where: str | None, *, traces: bool) -> None:
        """Look from now on. Raises as `Store.tail`."""
        from tracescape.store import Store

        arriving = Store(self._stores.reader(self._tenant, self._asking)).tail(where, traces=traces)
        threading.Thread(target=self._fill, args=(arriving,), name="page-tail", daemon=True).start()

    def taken(self) -> dict[str, Any]:
        """What has arrived since the last call."""
        with self._lock:
            told: dict[str, Any] = {"rows": self._rows, "skipped": self._skipped}
            self._rows, self._skipped = [], 0
            return told if self._error is None else {**told, "error": self._error}

    def close(self) -> None:
        """Look no more: the query that runs is ended, or the next one as it begins."""
        self._closed = True
        self._asking.call_off()

    def _fill(self, arriving: Iterator[dict[str, Any]]) -> None:
        try:
            for row in arriving:
                if self._closed:
                    return
                self._put(
                    {name: row[name] for name in _SHOWN if name in row} | {"start_ns": str(row["start_ns"])}
                )
        except StoreError as error:
            self._error = str(error)
        except Exception:  # on a thread of its own nobody else would tell the browser
            self._error = "The collector failed to look on; its log says why."
            _log.exception("a tail failed")

    def _put(self, row: dict[str, Any]) -> None:
        with self._lock:
            if len(self._rows) < _MOST_ROWS:
                self._rows.append(row)
            else:
                self._skipped += 1
