"""As much of ClickHouse's HTTP as clients need, over chdb; it fails when it is told to."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "se/cret"


class Server(ThreadingHTTPServer):
    """``breaks``: answers of more bytes end in their middle. ``refuses``: an error for each question.

    ``asked`` are the questions, with what they were sent along with.
    """

    daemon_threads = True
    breaks: int | None = None
    refuses: tuple[int, str] | None = None

    def __init__(self, path: str) -> None:
        import chdb

        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()
        self.connection: Any = chdb.connect(path)


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        given = {
            key: values[0]
            for key, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }
        query = given.pop("query", "") or body
        if self._password() != PASSWORD:
            self._fail(
                516, "default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)", 403
            )
            return
        with self.server.lock:
            self.server.asked.append((query, given))
            refused = self.server.refuses
            if refused is not None and "system." not in query:
                self._fail(*refused, 500)
                return
            bound = {key[6:]: value for key, value in given.items() if key.startswith("param_")}
            try:
                found = self.server.connection.query(
                    query, given.get("default_format", "TabSeparated"), params=bound
                )
                answer = bytes(found.bytes())
            except Exception as error:
                code = re.search(r"Code: (\d+)", str(error))
                self._fail(int(code[1]) if code else 1, str(error), 500)
                return
        self._answer(answer)

    do_GET = do_POST  # noqa: N815 - the name is http.server's

    def _password(self) -> str:
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            return base64.b64decode(encoded).decode().partition(":")[2]
        return self.headers.get("x-clickhouse-key", "")

    def _answer(self, answer: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.send_header("x-clickhouse-timezone", "UTC")
        self.end_headers()
        if self.server.breaks is not None and len(answer) > self.server.breaks:
            self.wfile.write(answer[: self.server.breaks])
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(answer)

    def _fail(self, code: int, words: str, status: int) -> None:
        text = words if words.startswith("Code") else f"Code: {code}. DB::Exception: {words}"
        text = f"{text} (version 26.9.2.1 (official build))".encode()
        self.send_response(status)
        self.send_header("x-clickhouse-exception-code", str(code))
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(path: str) -> Iterator[tuple[Server, str]]:
    """The server over the folder, and its address without a scheme and a database."""
    server = Server(path)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.connection.close()
