"""ClickHouse's HTTP interface, as much of it as clients here use, in front of chdb; and what can befall it.

There is no server on PyPI. This is the same engine behind as much of its protocol, so that what happens
between the two ends of a connection can be made to happen.
"""

from __future__ import annotations

import base64
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code:\s*(\d+)")


class Server:
    """Runs on a port of its own.

    Attributes:
        before, after: called with the SQL of an insert, before it is run and before it is answered; the
            first with ``CREATE`` as well. What they raise cuts the connection; a text that they return is
            answered as the server's exception.
        refuses: the server's exception for each question, those about its own tables (``system``) aside.
        breaks: answers of more bytes end in their middle.
        password: what a client has to show.
        inserts: what each insert was sent along with; asked: the questions, likewise.
    """

    refuses: str | None = None
    breaks: int | None = None
    password: str = ""

    def __init__(self, folder: Path) -> None:
        chdb = pytest.importorskip("chdb")
        folder.mkdir(parents=True, exist_ok=True)
        self._engine = chdb.connect(str(folder))
        self._lock = threading.Lock()
        self.before: Callable[[str], str | None] = lambda sql: None
        self.after: Callable[[str], str | None] = lambda sql: None
        self.inserts: list[dict[str, str]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])
        self._listens = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def address(self, database: str = "default", user: str = "") -> str:
        return f"clickhouse://{user}127.0.0.1:{self.port}/{database}"

    def run(self, sql: str, form: str = "TabSeparated", parameters: dict[str, str] | None = None) -> bytes:
        with self._lock:
            return bytes(self._engine.query(sql, form, params=parameters or {}).bytes())

    def count(self, table: str) -> int:
        return int(self.run(f"SELECT count() FROM {table}"))

    def insert(self, sql: str, data: bytes, settings: dict[str, str]) -> None:
        self.inserts.append(settings)
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            head, form = _FORMAT.split(sql)[0], _FORMAT.search(sql)
            assert form is not None
            clause = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
            self.run(f"{head} FROM INFILE '{file.name}' SETTINGS {clause} FORMAT {form[1]}")

    def stop(self) -> None:
        """Listen no more; connections that are there end with their next question."""
        self._listens = False
        self._http.shutdown()
        self._http.server_close()

    def close(self) -> None:
        self.stop()
        self._engine.close()


class _CutError(Exception):
    pass


def cut(sql: str) -> str | None:
    """Ends the connection without an answer."""
    raise _CutError


def once(what: Callable[[str], str | None], times: int = 1) -> Callable[[str], str | None]:
    """Does so, and then no more."""
    left = [times]

    def do(sql: str) -> str | None:
        if not left[0]:
            return None
        left[0] -= 1
        return what(sql)

    return do


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._send(200, b"Ok.\n")

        def do_POST(self) -> None:
            if not server._listens:
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            if server.password and not self._knows(server.password):
                words = "Code: 516. DB::Exception: default: Authentication failed (AUTHENTICATION_FAILED)"
                self._fail(words, 403)
                return
            try:
                self._send(200, self._answer(asked, body))
            except _CutError:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            except RuntimeError as error:
                self._fail(str(error))

        def _answer(self, asked: dict[str, str], body: bytes) -> bytes:
            sql = asked.pop("query", "")
            if sql.startswith("INSERT"):
                self._befall(server.before, sql)
                settings = {name: value for name, value in asked.items() if name in _INSERTING}
                server.insert(sql, body, settings)
                self._befall(server.after, sql)
                return b""
            sql = (sql + "\n" + body.decode()).strip()
            if sql.startswith("CREATE"):
                self._befall(server.before, sql)
            server.asked.append((sql, asked))
            if server.refuses is not None and "system." not in sql:
                raise RuntimeError(server.refuses)
            form = _FORMAT.search(sql)
            parameters = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
            return server.run(_FORMAT.sub("", sql), form[1] if form else "TabSeparated", parameters)

        def _befall(self, what: Callable[[str], str | None], sql: str) -> None:
            if (exception := what(sql)) is not None:
                raise RuntimeError(exception)

        def _knows(self, password: str) -> bool:
            basic = self.headers.get("Authorization", "").removeprefix("Basic ")
            shown = base64.b64decode(basic).decode().rpartition(":")[2] if basic else ""
            return password in (shown, self.headers.get("X-ClickHouse-Key"))

        def _fail(self, text: str, status: int = 500) -> None:
            code = _CODE.search(text)
            text = text if "(version" in text else f"{text} (version 26.9.2.1 (official build))"
            self._send(status, text.encode(), **{"X-ClickHouse-Exception-Code": code[1] if code else "1002"})

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            whole = server.breaks is None or len(body) <= server.breaks
            self.wfile.write(body if whole else body[: server.breaks])
            if not whole:
                self.close_connection = True

    return Handler


_INSERTING = frozenset(
    {
        "insert_deduplicate",
        "insert_deduplication_token",
        "deduplicate_blocks_in_dependent_materialized_views",
        "async_insert",
    }
)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server over an empty folder."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()
