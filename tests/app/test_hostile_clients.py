"""Clients that are many, slow, silent or malicious: a collector in a process of its own goes on serving."""

import gzip
import json
import os
import re
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from support.certificates import make_certificates
from support.endings import without_bindings_list
from support.otlp import request, span
from tracescape_ingest.grpc_server import SERVICE
from tracescape_ingest.http_receiver import JSON, PROTOBUF

MIB = 1 << 20


class Served:
    """`tracescape serve` on free ports, with the time limits of slow clients cut short."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        code = (
            "import tracescape.web as web, tracescape_ingest.http_receiver as http;"
            "web._HEAD_S = 1.0; web._REQUEST_S = 2.0; http._CHUNK_S = 1.0; web._UNREAD_S = 2.0;"
            "from tracescape.cli import main; main()"
        )
        self.errors = (folder / "stderr.txt").open("w+")  # a pipe that nobody reads would fill up
        options = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--db", str(folder / "t.db"), *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(4)]
        found = [re.search(r"://(\S+):(\d+)", line) for line in lines[:2]]
        self.grpc, self.http = (("127.0.0.1", int(match[2])) for match in found if match)
        self.memory = psutil.Process(self.process.pid).memory_info

    def sockets(self, address: tuple[str, int], count: int, stack: ExitStack) -> list[socket.socket]:
        return [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(count)]

    def still_serves(self) -> None:
        """Both ports take a good request, and answer within a moment."""
        good = request(span()).SerializeToString()
        with grpc.insecure_channel(f"{self.grpc[0]}:{self.grpc[1]}") as channel:
            assert channel.unary_unary(f"/{SERVICE}/Export")(good, timeout=10, wait_for_ready=True) == b""
        answer = httpx.post(self.url("/v1/traces"), content=good, headers={"content-type": PROTOBUF})
        assert answer.status_code == 200

    def url(self, path: str) -> str:
        return f"http://{self.http[0]}:{self.http[1]}{path}"

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        with self.errors:
            self.errors.seek(0)
            return self.process.returncode, self.errors.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    running = Served(tmp_path_factory.mktemp("hostile"))
    running.still_serves()
    yield running
    code, error = running.end()
    assert code == 0
    assert "Traceback" not in error
    assert len(error.splitlines()) < 20, "strangers do not fill the log"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call_headers(stream: int, *more: tuple[str, str]) -> bytes:
    """The beginning of an Export call."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/{SERVICE}/Export"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields
    )
    return frame(1, 4, stream, block)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")


def closed_by_peer(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_a_thousand_idle_channels(served: Served) -> None:
    before = served.memory().rss
    address = f"{served.grpc[0]}:{served.grpc[1]}"
    with ExitStack() as stack:
        idle = served.sockets(served.grpc, 1000, stack)
        for connection in idle:
            connection.sendall(PREFACE)
        served.still_serves()
        for number in range(10):  # real channels, each with a connection of its own
            options = [("grpc.use_local_subchannel_pool", 1), ("number", number)]
            channel = stack.enter_context(grpc.insecure_channel(address, options=options))
            grpc.channel_ready_future(channel).result(10)
        served.still_serves()
        assert served.memory().rss - before < 200 * MIB


def test_a_thousand_idle_sockets_on_the_http_port_are_closed_in_time(served: Served) -> None:
    with ExitStack() as stack:
        idle = served.sockets(served.http, 1000, stack)
        served.still_serves()
        assert all(closed_by_peer(connection, 10) for connection in idle)
    served.still_serves()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/tra",
        b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: 100\r\n\r\nabc",
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_half_a_request_is_not_waited_for(served: Served, begun: bytes) -> None:
    with ExitStack() as stack:
        halves = served.sockets(served.http, 50, stack)
        for connection in halves:
            connection.sendall(begun)
        served.still_serves()
        if b"/v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type" in begun:
            assert b" 408 " in halves[0].recv(100)
        assert all(closed_by_peer(connection, 10) for connection in halves)
    served.still_serves()


def test_an_answer_that_nobody_reads_is_not_held_for_ever(served: Served) -> None:
    body = json.dumps({"sql": "select range, 'some text' from range(100000000)"}).encode()
    head = f"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as stack:
        before = served.memory().rss
        readers = served.sockets(served.http, 5, stack)
        for connection in readers:
            connection.sendall(head + body)
        time.sleep(3)
        assert served.memory().rss - before < 300 * MIB
        assert all(closed_by_peer(connection, 5) for connection in readers)
    served.still_serves()


def test_bytes_that_trickle_do_not_buy_time(served: Served) -> None:
    with ExitStack() as stack:
        (connection,) = served.sockets(served.http, 1, stack)
        begin = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe
            for letter in b"POST /v1/traces HTTP/1.1\r\nX: " + b"x" * 100:
                connection.sendall(bytes([letter]))
                time.sleep(0.1)
        assert time.monotonic() - begin < 5


def test_messages_that_never_end_hold_no_thread(served: Served) -> None:
    """Far more unfinished calls than there are threads, or seats for slow messages."""
    with ExitStack() as stack:
        for connection in served.sockets(served.grpc, 10, stack):
            calls = b"".join(
                call_headers(stream)
                + frame(0, 0, stream, b"\x00" + struct.pack(">I", 50 * MIB) + b"\n\x05half")
                for stream in range(1, 81, 2)
            )
            connection.sendall(PREFACE + calls)
        time.sleep(0.3)
        served.still_serves()
        served.still_serves()


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_garbage(served: Served, port: str) -> None:
    address = getattr(served, port)
    pieces = [
        os.urandom(4096),
        b"\x00" * 4096,
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
        PREFACE + os.urandom(4096),
        PREFACE + frame(1, 4, 1, os.urandom(500)),
        PREFACE + call_headers(1) + frame(0, 1, 1, b"\x07\xff\xff\xff\xff" + os.urandom(100)),
        PREFACE + call_headers(1) + frame(0, 1, 1, b"\x00\xff\xff\xff\xff" + os.urandom(100)),
        PREFACE + frame(4, 0, 0, b"\x00\x04\xff\xff\xff\xff") * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(100),
    ]
    for piece in pieces:
        with ExitStack() as stack:
            for connection in served.sockets(address, 5, stack):
                try:
                    connection.sendall(piece)
                except OSError:
                    continue  # it was thrown out in the middle
    served.still_serves()


def test_clients_that_hang_up_before_their_answer_are_no_event(served: Served) -> None:
    """The fixture looks at the log: an answer that reaches nobody is not a failure."""
    messages = [b"\x00\x00\x00\x00\x02\xff\xff", b"\x00\xff\xff\xff\xff", b"\x00\x00\x00\x00\x00"]
    for number in range(50):
        for message in messages:
            with socket.create_connection(served.grpc, timeout=10) as connection:
                if number % 3 == 0:  # with a reset
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(PREFACE + call_headers(1) + frame(0, 1, 1, message))
                time.sleep(0.002 * (number % 2))
    served.still_serves()


def bomb(mib: int) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(MIB)
    return b"".join(squeezer.compress(zeros) for _ in range(mib)) + squeezer.flush()


def test_zip_bombs_are_not_unfolded_on_either_port(served: Served) -> None:
    before = served.memory().rss
    packed = bomb(1024)
    for kind in (PROTOBUF, JSON):
        headers = {"content-type": kind, "content-encoding": "gzip"}
        assert httpx.post(served.url("/v1/traces"), content=packed, headers=headers).status_code == 413
    with socket.create_connection(served.grpc, timeout=10) as connection:
        connection.sendall(PREFACE + call_headers(1, ("grpc-encoding", "gzip")))
        message = b"\x01" + struct.pack(">I", len(packed)) + packed
        for start in range(0, len(message), 16_000):
            end = start + 16_000 >= len(message)
            connection.sendall(frame(0, 1 if end else 0, 1, message[start : start + 16_000]))
            time.sleep(0.002)  # the window opens again meanwhile
        answer = b""
        while b"grpc-status" not in answer:
            answer += connection.recv(65536)
        assert b"\x0bgrpc-status\x018" in answer, "RESOURCE_EXHAUSTED"
    served.still_serves()
    assert served.memory().rss - before < 400 * MIB


def test_a_hundred_megabytes_at_once_are_refused(served: Served) -> None:
    large = bytes(100_000_000)
    options = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(f"{served.grpc[0]}:{served.grpc[1]}", options=options) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(f"/{SERVICE}/Export")(large, timeout=30)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    answer = httpx.post(
        served.url("/v1/traces"), content=large, headers={"content-type": PROTOBUF}, timeout=30
    )
    assert answer.status_code == 413
    chunked = (large[:MIB] for _ in range(100))
    answer = httpx.post(
        served.url("/v1/traces"), content=chunked, headers={"content-type": PROTOBUF}, timeout=30
    )
    assert answer.status_code == 413
    served.still_serves()


def nested(depth: int) -> bytes:
    """An AnyValue in arrays, encoded from the inside, since no library writes that deep."""
    value = b"\x18\x01"
    for _ in range(depth):
        for tag in (b"\x0a", b"\x2a"):
            value = tag + varint(len(value)) + value
    attribute = b"\x0a\x01k\x12" + varint(len(value)) + value
    data = b"\x4a" + varint(len(attribute)) + attribute
    for tag in (b"\x12", b"\x12", b"\x0a"):  # a span, its scope, its resource
        data = tag + varint(len(data)) + data
    return data


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def test_values_that_nest_without_end(served: Served) -> None:
    document = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":'
    deep = b'{"arrayValue":{"values":[' * 20_000 + b"{}" + b"]}}" * 20_000
    answer = httpx.post(
        served.url("/v1/traces"), content=document + deep + b"}]}}]}", headers={"content-type": JSON}
    )
    assert answer.status_code == 400
    for depth in (10, 60, 5_000):
        answer = httpx.post(
            served.url("/v1/traces"), content=nested(depth), headers={"content-type": PROTOBUF}
        )
        assert answer.status_code in {200, 400}
    query = json.dumps({"sql": "select " + "(" * 50_000 + "1" + ")" * 50_000})
    assert httpx.post(served.url("/query"), content=query).status_code == 400
    served.still_serves()


def test_calls_that_are_taken_back_as_fast_as_they_are_made(served: Served) -> None:
    """What is known as rapid reset. Others may be told to come again meanwhile, which all exporters do."""
    before = served.memory().rss
    with ExitStack() as stack:
        (connection,) = served.sockets(served.grpc, 1, stack)
        connection.sendall(PREFACE + frame(4, 1, 0, b""))
        for first in range(1, 200_000, 400):
            connection.sendall(
                b"".join(
                    call_headers(stream) + frame(3, 0, stream, struct.pack(">I", 8))
                    for stream in range(first, first + 400, 2)
                )
            )
        address = f"{served.grpc[0]}:{served.grpc[1]}"
        channel = stack.enter_context(grpc.insecure_channel(address))
        export = channel.unary_unary(f"/{SERVICE}/Export")
        answered = 0
        while answered < 5:  # one that comes through is followed by others that are sent back
            code = export.future(b"", timeout=30).code()
            assert code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
            answered = answered + 1 if code is grpc.StatusCode.OK else 0
            time.sleep(0.1)
    served.still_serves()
    assert served.memory().rss < before + 200 * MIB


def test_silence_and_garbage_on_ports_with_tls(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    running = Served(tmp_path, "--tls-cert", str(files.cert), "--tls-key", str(files.key))
    try:
        with ExitStack() as stack:
            for address in (running.grpc, running.http):
                for connection in running.sockets(address, 100, stack):
                    connection.sendall(os.urandom(10))
                running.sockets(address, 100, stack)
                for connection in running.sockets(address, 10, stack):
                    connection.sendall(PREFACE)
            good = request(span()).SerializeToString()
            credentials = grpc.ssl_channel_credentials(files.ca.read_bytes())
            address = f"{running.grpc[0]}:{running.grpc[1]}"
            channel = stack.enter_context(grpc.secure_channel(address, credentials))
            assert channel.unary_unary(f"/{SERVICE}/Export")(good, timeout=10) == b""
            answer = httpx.post(
                f"https://{running.http[0]}:{running.http[1]}/v1/traces",
                content=gzip.compress(good),
                headers={"content-type": PROTOBUF, "content-encoding": "gzip"},
                verify=ssl.create_default_context(cafile=files.ca),
            )
            assert answer.status_code == 200
    finally:
        code, error = running.end()
    assert code == 0
    assert "Traceback" not in error
    assert len(without_bindings_list(error).splitlines()) < 20, error
