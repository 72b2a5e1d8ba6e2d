"""Who is measured: each a process of its own on loopback, with its costs read from ``/proc``.

The peers are not installed with Tracescape. Put them into an environment of their own and name its folder in
``TRACESCAPE_BENCH_PEERS`` (several: separated as in ``PATH``), or have their scripts on the ``PATH``::

    python -m venv peers && peers/bin/pip install rotel arize-phoenix
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

import tracescape as ts

PEERS: Final = "TRACESCAPE_BENCH_PEERS"
#: The collector's own spans are in its store too.
FROM_CLIENTS: Final = "service <> 'tracescape'"
_TICK: Final = os.sysconf("SC_CLK_TCK")
_HERE: Final = Path(__file__).parent
#: Phoenix listens for gRPC on every interface and has no option for it; this starts it on loopback only.
_PHOENIX: Final = """
import grpc, sys
from phoenix.server.main import main
make = grpc.aio.server
def on_loopback(*arguments, **options):
    server = make(*arguments, **options)
    bind = server.add_insecure_port
    server.add_insecure_port = lambda address: bind(address.replace("[::]", "127.0.0.1"))
    return server
grpc.aio.server = on_loopback
sys.argv = ["phoenix", "serve"]
main()
"""


class NotInstalledError(Exception):
    """The peer is not here; the message says how to get it."""


@dataclass(frozen=True)
class Usage:
    """What a process and its children have used so far."""

    cpu_s: float
    peak_rss: int
    rss: int


class Server(ABC):
    """A process that listens for OTLP/gRPC at `address`; a context manager."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.http_port = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.start()

    def start(self) -> None:
        """Start the process and wait until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
            )
        try:
            self._await_listening(120)
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    def environment(self) -> dict[str, str]:
        """What is added to the environment."""
        return {}

    def stored(self) -> int | None:
        """How many spans it holds; None for one that holds none."""
        return None

    def usage(self) -> Usage:
        """CPU and memory of the process and its children."""
        return usage(self.process.pid)

    def kill(self) -> None:
        """``kill -9``."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def _await_listening(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen:\n{self.log.read_text()[-2000:]}")


class Tracescape(Server):
    """Ours: durable in a store file before it answers."""

    name = "Tracescape, durable"

    def __init__(self, folder: Path, *, db: Path | None = None, prefix: tuple[str, ...] = ()) -> None:
        self._prefix = prefix  # a tool that runs it, such as a tracer
        self.db = db or folder / "bench.db"
        super().__init__(folder)

    def command(self) -> list[str]:
        grpc, http = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.http_port}"
        main = "from tracescape.cli import main; main()"
        serve = ["serve", "--db", str(self.db), "--grpc", grpc, "--http", http]
        return [*self._prefix, sys.executable, "-c", main, *serve]

    def _signal(self, number: signal.Signals) -> None:
        for pid in _tree(self.process.pid)[1 if self._prefix else 0 :]:  # a tracer ends with what it runs
            os.kill(pid, number)

    @property
    def http(self) -> str:
        """Where questions are answered."""
        return f"127.0.0.1:{self.http_port}"

    def stored(self) -> int:
        with ts.connect(self.http) as store:
            return int(store.sql(f"select count(*) as n from spans where {FROM_CLIENTS}").item())

    def distinct(self) -> int:
        """How many different spans it holds, asked in slices so that no answer needs much memory."""
        with ts.connect(self.http) as store:
            slices = -(-store.extent().spans // 4_000_000) or 1
            sql = f"select count(distinct (trace_id, span_id)) as n from spans where {FROM_CLIENTS}"
            sql += " and abs(span_id % {}) = {}"
            return sum(int(store.sql(sql.format(slices, each)).item()) for each in range(slices))

    def lost(self, keys: npt.NDArray[np.int64]) -> int:
        """How many of these span ids it does not hold."""
        slices = -(-len(keys) // 4_000_000) or 1
        lost = 0
        with ts.connect(self.http) as store:
            for each in range(slices):
                held = store.reader.sql(f"select span_id from spans where abs(span_id % {slices}) = {each}")
                wanted = keys[np.abs(np.fmod(keys, slices)) == each]
                lost += int(np.count_nonzero(~np.isin(wanted, held.column(0).to_numpy())))
        return lost


class Rotel(Server):
    """A collector in Rust that receives and throws away."""

    name = "Rotel, thrown away"

    def command(self) -> list[str]:
        return [
            str(_rotel()),
            "start",
            "--exporter=blackhole",
            f"--otlp-grpc-endpoint={self.address}",
            f"--otlp-http-endpoint=127.0.0.1:{self.http_port}",
            f"--pid-file={self.folder / 'rotel.pid'}",
            f"--log-file={self.folder / 'rotel.log'}",
        ]


class Phoenix(Server):
    """Python over SQLite; answers before it has stored."""

    name = "Phoenix, SQLite"

    def command(self) -> list[str]:
        return [str(_installed("phoenix", "arize-phoenix").with_name("python")), "-c", _PHOENIX]

    def environment(self) -> dict[str, str]:
        return {
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.http_port),
            "PHOENIX_GRPC_PORT": str(self.port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_AGENTS_DISABLE_WEB_ACCESS": "true",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }

    def stored(self) -> int:
        uri = f"file:{self.folder / 'phoenix.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            (found,) = database.execute("select count(*) from spans").fetchone()
            return int(found)


class Floor(Server):
    """What Python can reach at all: grpcio hands over bytes, nobody looks at them."""

    name = "grpcio, bytes thrown away"

    def command(self) -> list[str]:
        return [sys.executable, str(_HERE / "discard.py"), self.address]


@contextlib.contextmanager
def running(kind: type[Server]) -> Iterator[Server]:
    """A fresh one in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tracescape-bench-") as folder, kind(Path(folder)) as server:
        yield server


def usage(pid: int) -> Usage:
    """CPU and memory of ``pid`` and its children, those that have ended included."""
    cpu, peak, rss = 0, 0, 0
    for process in _tree(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:  # it has just ended
            continue
        cpu += sum(map(int, fields[11:15]))
        peak += _kib(status, "VmHWM") << 10
        rss += _kib(status, "VmRSS") << 10
    return Usage(cpu / _TICK, peak, rss)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _tree(pid: int) -> list[int]:
    found = [pid]
    for process in found:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def _kib(status: str, key: str) -> int:
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith(key)), 0)


def _installed(script: str, package: str) -> Path:
    folders = os.environ.get(PEERS, "").split(os.pathsep)
    path = os.pathsep.join([*(str(Path(folder) / "bin") for folder in folders if folder), os.environ["PATH"]])
    found = shutil.which(script, path=path)
    if found is None:
        raise NotInstalledError(
            f"install with: python -m venv peers && peers/bin/pip install {package}; then set {PEERS}=peers"
        )
    return Path(found)


def _rotel() -> Path:
    """The agent, which the package keeps among its modules."""
    for folder in filter(None, os.environ.get(PEERS, "").split(os.pathsep)):
        for agent in Path(folder).glob("lib/python*/site-packages/rotel/rotel-agent"):
            return agent
    return _installed("rotel-agent", "rotel")
