"""Proof that an acknowledgement follows an ``fsync``: the collector's system calls, seen by ``strace``.

First requests one at a time: between reading each of them and answering it there is a write to the store's
files and, after that, a completed ``fsync`` or ``fdatasync``. Then several clients at once: many requests
share one sync, and still every answer leaves after a sync that began when its request had been read.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load import Load, send, warm
from servers import Tracescape
from template import Template
from throughput import verify

_ONE_BY_ONE: Final = 10
_TOGETHER: Final = Load(spans=512, clients=8, in_flight=1, seconds=120, requests=80)
_READS: Final = frozenset({"read", "recvmsg", "recvfrom", "readv"})
_WRITES: Final = frozenset({"write", "pwrite64", "writev", "pwritev"})
_SENDS: Final = frozenset({"sendmsg", "sendto"})
_SYNCS: Final = frozenset({"fsync", "fdatasync", "msync", "sync_file_range"})
_CALLS: Final = _READS | _WRITES | _SENDS | _SYNCS
_REQUEST_BYTES: Final = 1_000  # that frames of HTTP/2's own stay below
_ANSWER_BYTES: Final = 45
_LINE: Final = re.compile(
    r"(?P<pid>\d+) +(?P<at>[\d.]+) (?:<\.\.\. )?(?P<call>\w+)(?:\((?P<file>-?\d+(?:<.*?>)?)| resumed)"
)
_RESULT: Final = re.compile(r"= (-?\d+)(?: |$)")


@dataclass(frozen=True)
class Call:
    """A system call: when it began and ended, on which file, and what it returned."""

    name: str
    file: str
    began: float
    ended: float
    result: int

    @property
    def on_socket(self) -> bool:
        return "TCP" in self.file or "socket:" in self.file


def main() -> int:
    """Print the proof; 1 if it fails."""
    strace = shutil.which("strace")
    if strace is None:
        print("\nfsync: not measured: install with: apt-get install strace")
        return 0
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tracescape-bench-") as name:
        trace = Path(name) / "trace"
        wanted = ",".join(sorted(_CALLS))
        prefix = (
            strace,
            "-f",
            "--seccomp-bpf",
            "-ttt",
            "-T",
            "-yy",
            "-s",
            "0",
            "-e",
            f"trace={wanted}",
            "-o",
            str(trace),
        )
        folder = Path(name) / "store"
        folder.mkdir()
        try:
            server = Tracescape(folder, prefix=prefix)
        except RuntimeError as error:
            print(f"\nfsync: not measured: {error}")
            return 0
        with server:
            before = warm(server.address, 512).spans
            time.sleep(1)
            problems += _one_by_one(server, trace, folder)
            before += _ONE_BY_ONE * 512
            problems += _together(server, trace, before)
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


def _one_by_one(server: Tracescape, trace: Path, folder: Path) -> list[str]:
    problems: list[str] = []
    for number in range(_ONE_BY_ONE):
        start = trace.stat().st_size
        sent = send(server.address, Load(spans=512, clients=1, in_flight=1, seconds=60, requests=1))
        time.sleep(0.3)
        calls = list(_calls(trace, start))
        reads = [call for call in calls if call.name in _READS and _is_request(call)]
        if not sent.spans or not reads:
            return [*problems, "no request is seen in the trace"]
        connection = reads[0].file
        answers = [call for call in calls if _is_answer(call) and call.file == connection]
        received, answered = reads[-1].ended, answers[-1].began if answers else 0.0
        between = [call for call in calls if received <= call.began and call.ended <= answered]
        steps = [call for call in between if str(folder) in call.file or call.name in _SYNCS]
        writes = [call for call in steps if call.name in _WRITES and call.result > 0]
        syncs = [call for call in steps if call.name in _SYNCS and call.result == 0]
        if number == 0:
            print("\nfsync: one request, as the kernel saw it")
            for call in _shortened([reads[-1], *steps, answers[-1]] if answers else [reads[-1], *steps]):
                print(f"  {1e3 * (call.began - received):>9.3f} ms  {_named(call, folder)}")
        if not writes or not syncs or syncs[-1].began < writes[-1].ended:
            problems.append(f"request {number + 1} was answered without a sync after its write")
    if not problems:
        print(
            f"  {_ONE_BY_ONE} of {_ONE_BY_ONE} requests, one at a time: read → write → sync → answer",
            flush=True,
        )
    return problems


def _together(server: Tracescape, trace: Path, before: int) -> list[str]:
    start = trace.stat().st_size
    sent = send(server.address, _TOGETHER)
    time.sleep(0.5)
    calls = sorted(_calls(trace, start), key=lambda call: call.began)
    problems = verify(server, sent, before)
    syncs = [call for call in calls if call.name in _SYNCS and not call.result]
    spans = [(received, answer.began) for received, answer in _exchanges(calls, Template(512).nbytes)]
    early = sum(
        not any(received <= sync.began and sync.ended <= answered for sync in syncs)
        for received, answered in spans
    )
    acknowledged = sum(map(len, sent.acknowledged))
    if early:
        problems.append(f"{early} answers left without a sync since their request was read")
    if len(spans) != acknowledged:
        problems.append(f"{acknowledged} requests were acknowledged, the trace shows {len(spans)}")
    kinds = Counter(call.name for call in syncs)
    print(
        f"  {_TOGETHER.clients} clients at once: {acknowledged} requests acknowledged,"
        f" {len(syncs)} syncs ({', '.join(f'{times} {name}' for name, times in kinds.items())});"
        f" {len(spans) - early} of {len(spans)} answers left after a sync"
        f" that began when their request had been read",
        flush=True,
    )
    return problems


def _exchanges(calls: list[Call], request_bytes: int) -> Iterator[tuple[float, Call]]:
    """When each request was read in full, and its answer, where a connection carries one at a time.

    HTTP/2 has frames of its own to send meanwhile; the answer is the last of what was sent before the
    connection read the next request.
    """
    read: dict[str, int] = {}
    received: dict[str, float] = {}
    answer: dict[str, Call] = {}
    for call in calls:
        if _is_request(call) and call.name in _READS:
            if call.file in answer:
                yield received.pop(call.file), answer.pop(call.file)
                read[call.file] = 0
            read[call.file] = read.get(call.file, 0) + call.result
            if read[call.file] >= request_bytes - _REQUEST_BYTES:
                received[call.file] = call.ended
        elif _is_answer(call) and call.file in received:
            answer[call.file] = call
    for connection, last in answer.items():
        yield received[connection], last


def _calls(trace: Path, start: int) -> Iterator[Call]:
    """The calls that the trace holds from byte ``start`` on, in the order of their ends."""
    with trace.open("rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    begun: dict[str, tuple[float, str, str]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match["call"] not in _CALLS:
            continue
        pid, at, name = match["pid"], float(match["at"]), match["call"]
        if line.endswith("<unfinished ...>"):
            begun[pid] = (at, name, match["file"] or "")
            continue
        result = _RESULT.search(line)
        if match["file"] is None:
            if pid not in begun:
                continue
            began, name, on = begun.pop(pid)
            ended = at
        else:
            began, on = at, match["file"]
            took = line.rpartition("<")[2].rstrip(">")
            ended = at + (float(took) if took.replace(".", "").isdigit() else 0.0)
        yield Call(name, on, began, ended, int(result[1]) if result else -1)


def _is_request(call: Call) -> bool:
    return call.on_socket and call.result > _REQUEST_BYTES


def _is_answer(call: Call) -> bool:
    return call.name in _SENDS and call.on_socket and call.result > _ANSWER_BYTES


def _named(call: Call, folder: Path) -> str:
    file = re.sub(r"^-?\d+<(.*)>$", r"\1", call.file).replace(f"{folder}/", "")
    return f"{call.name}({file}) = {call.result}"


def _shortened(calls: list[Call]) -> list[Call]:
    """The first and last few, where there are many."""
    return calls if len(calls) <= 14 else calls[:7] + calls[-7:]


if __name__ == "__main__":
    sys.exit(main())
