"""The HTTP server of a collector: uvicorn in a thread of its own, patient with nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any, Final

import h11
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tracescape_ingest.tls import Tls

_HEAD_S: Final = 10.0
_REQUEST_S: Final = 75.0
_UNREAD_S: Final = 60.0
#: Longer than any exporter's interval, so that connections are kept and not lost between two batches.
_KEEP_ALIVE_S: Final = 75
_MAX_CONNECTIONS: Final = 4096


class WebServer:
    """``application`` on a socket that is already bound, with or without TLS."""

    def __init__(self, listener: socket.socket, application: ASGIApp, tls: Tls | None = None) -> None:
        config = uvicorn.Config(
            application,
            http=PatientProtocol,
            ws="none",
            # Strangers' garbage is no event; failures of ours are errors.
            log_level="error",
            lifespan="off",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
            limit_concurrency=_MAX_CONNECTIONS,
            **({} if tls is None else tls.uvicorn_options()),
        )
        logging.getLogger("uvicorn.error").addFilter(_is_failure)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="tracescape-http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no new requests, finish those in flight, and end. Idempotent."""
        self._server.should_exit = True
        self._thread.join(timeout=15)


def _is_failure(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn tells of a failure: an answer that is broken off on purpose is none."""
    return record.getMessage() != "ASGI callable returned without completing response."


async def client_gone(_request: Request, _error: Exception) -> Response:
    """What a client that broke off in the middle of its request is told; nobody reads it."""
    return Response(status_code=400)


class PatientProtocol(H11Protocol):
    """Closes connections whose client owes bytes, or does not take the ones that it asked for, for too long.

    uvicorn times a kept connection between two requests, but not a client that says nothing at all, or never
    finishes a request that it began.
    """

    _unread: asyncio.TimerHandle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _within: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Start the clock."""
        # asyncio does so itself only for sockets that say their protocol, which a bound one does not. Without
        # it, the body of each answer on a kept connection waits 40 ms for the acknowledgement of its head.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._expect(_HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._expect(None)
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Set the clock by what the client owes after what it has sent."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._expect(_REQUEST_S)
        elif state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect(_HEAD_S)
        else:  # a whole request, or none: then uvicorn's own clock of kept connections runs
            self._expect(None)

    def pause_writing(self) -> None:
        """The client does not keep up: from now on it has some time to."""
        super().pause_writing()
        self._stop_waiting()
        self._unread = self.loop.call_later(_UNREAD_S, self._give_up)

    def resume_writing(self) -> None:
        """The client has read again."""
        self._stop_waiting()
        super().resume_writing()

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect(self, within: float | None) -> None:
        """What is owed is due ``within`` seconds from when it began to be owed."""
        if within == self._within:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._within = within
        self._deadline = None if within is None else self.loop.call_later(within, self._give_up)

    def _give_up(self) -> None:
        transport: Any = self.transport
        # A client that does not read either would keep a mere close waiting.
        transport.abort()
