"""``GET /ask/…``: the questions of the page, each in a thread, and called off when its browser leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive

from tracescape.page.asked import Asked
from tracescape_storage.errors import StoreError, UnreachableError
from tracescape_storage.limits import QueryLimits
from tracescape_storage.local_time import in_zone
from tracescape_storage.query_guard import Asking

if TYPE_CHECKING:
    from tracescape.page.present import Present
    from tracescape.store import Store
    from tracescape_storage.reader import Reader

_log = logging.getLogger(__name__)

PREFIX: Final = "/ask"
#: The header that names the time zone of who asks: sentences with times in them are in that.
ZONE: Final = "time-zone"
#: Questions that compute at a time, and those that may wait for their turn.
_RUNNING: Final = 4
_WAITING: Final = 64
_RETRY_AFTER_S: Final = "1"
#: So often it is looked whether the collector ends.
_LOOK_S: Final = 0.5
#: A page that something else opened may not ask, even where it could not read the answer.
_OUR_OWN: Final = frozenset({None, "same-origin", "none"})
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BUSY: Final = "Too many questions are waiting. Ask again in a moment."
_FAILED: Final = "The collector failed to answer; its log says why."


class Stores(Protocol):
    """The stores behind a collector, by tenant."""

    def reader(self, tenant: str, asking: Asking | None) -> Reader:
        """A reader whose queries belong to ``asking``."""
        ...

    def catch_up(self, tenant: str) -> None:
        """Wait until readers see what was acknowledged."""
        ...

    def closing(self) -> bool:
        """Whether the collector ends: then nobody is answered any more."""
        ...


def ask_routes(stores: Stores, limits: QueryLimits) -> list[Route]:
    """The routes for the collector's HTTP application; ``limits`` say how long a question may take."""
    from tracescape.page.tailing import Tailing

    asking = _Endpoint(stores, limits)
    return [
        Route(f"{PREFIX}/tail", Tailing(stores).answer, methods=["GET"]),
        Route(f"{PREFIX}/{{question}}", asking.answer, methods=["GET"]),
    ]


def document(content: object, status: int = 200, **headers: str) -> Response:
    """JSON that no cache keeps."""
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body.encode("utf-8", "replace"), status, {**HEADERS, **headers}, "application/json")


def _raw(content: bytes) -> Response:
    return Response(content, headers=HEADERS, media_type="application/octet-stream")


def refusal(message: str, status: int, **headers: str) -> Response:
    """One sentence on what is wrong."""
    return document({"error": message}, status, **headers)


def is_own(request: Request) -> bool:
    """Whether a browser says that a page of this origin asks, or it is no browser."""
    return request.headers.get("sec-fetch-site") in _OUR_OWN


class _Endpoint:
    """The threads that questions run on, and what is known of each tenant between them."""

    def __init__(self, stores: Stores, limits: QueryLimits) -> None:
        self._stores = stores
        self._limits = limits
        self._threads = ThreadPoolExecutor(_RUNNING, thread_name_prefix="page")
        self._waiting = 0
        self._present: dict[str, Present] = {}

    async def answer(self, request: Request) -> Response:
        """Answer one question."""
        if not is_own(request):
            return refusal("Another site's page may not ask here.", 403)
        if self._waiting >= _RUNNING + _WAITING:
            return refusal(_BUSY, 503, **{"Retry-After": _RETRY_AFTER_S})
        asking = Asking(self._limits.time_s)
        self._waiting += 1
        try:
            return await self._unless_gone(request, asking)
        finally:
            self._waiting -= 1

    async def _unless_gone(self, request: Request, asking: Asking) -> Response:
        """The answer, from a thread; it is called off if the browser leaves before, or the collector ends."""
        gone = asyncio.create_task(_disconnected(request.receive))
        working = asyncio.get_running_loop().run_in_executor(self._threads, self._answered, request, asking)
        either: set[asyncio.Future[Any]] = {working, gone}
        try:
            while not (working.done() or gone.done() or self._stores.closing()):
                await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                asking.call_off()
                if working.cancel():  # it had not begun
                    return refusal("Nobody waits for this any more.", 503)
            return await working
        finally:
            asking.call_off()  # also where this itself is cancelled
            gone.cancel()

    def _answered(self, request: Request, asking: Asking) -> Response:
        from tracescape.page.questions import QUESTIONS  # brings along Polars: a collector starts without

        name = request.path_params["question"]
        question = QUESTIONS.get(name)
        if question is None:
            return refusal(f"There is no question {name!r:.80}; there are {', '.join(QUESTIONS)}, tail.", 404)
        try:
            asked = Asked(request.query_params, question.parameters)
            tenant = request.state.tenant
            self._stores.catch_up(tenant)
            store = self._store(tenant, asking)
            with in_zone(request.headers.get(ZONE)):
                answer = question.answer(store, asked, self._present_of(tenant))
            return _raw(answer) if isinstance(answer, bytes) else document(answer)
        except Exception as error:  # whatever it is, the page goes on
            return refused(error)

    def _store(self, tenant: str, asking: Asking | None) -> Store:
        from tracescape.store import Store

        return Store(self._stores.reader(tenant, asking))

    def _present_of(self, tenant: str) -> Present:
        from tracescape.page.present import Present

        if tenant not in self._present:
            self._present[tenant] = Present(self._store(tenant, None))
        return self._present[tenant]


def refused(error: Exception) -> Response:
    """What the page is told of ``error``; what nobody expected goes into the log."""
    from tracescape_analytics.errors import UnknownTraceError

    if isinstance(error, UnknownTraceError):
        return refusal(str(error), 404)
    if isinstance(error, UnreachableError):
        return refusal(str(error), 503, **{"Retry-After": _RETRY_AFTER_S})
    if isinstance(error, ValueError | StoreError):
        return refusal(str(error), 400)
    _log.error("a question of the page failed", exc_info=error)
    return refusal(_FAILED, 500)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
