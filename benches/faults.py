"""What an acknowledgement is worth: ``kill -9`` and SIGTERM under load, and a disk that fills up.

After each restart every span that was acknowledged before the kill is there, and no span is there twice
although clients sent again what they got no answer for. They know what was acknowledged by request numbers,
from which follow the ids (`template.ids_of`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from load import Load, Running, Sent, send, warm
from servers import Tracescape
from throughput import settle

_ROOM_MIB = 192
_BALLAST_MIB = 96
_MOST_LOADS = 40


def main() -> int:
    """Print what happened; 1 if an acknowledged span was lost, or any was stored twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often it is killed")
    parser.add_argument("--ends", type=int, default=2, help="how often it is asked to end")
    parser.add_argument("--spans", type=int, default=512, help="a request")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--no-disk", dest="disk", action="store_false", help="leave the full disk out")
    options = parser.parse_args()
    load = Load(spans=options.spans, clients=options.clients, seconds=4, patience_s=60)
    problems = ended(options.rounds, load, Tracescape.kill, "kill -9")
    problems += ended(options.ends, load, Tracescape.stop, "SIGTERM")
    if options.disk:
        for by_others in (False, True):
            problems += disk_full(replace(load, seconds=2, patience_s=2), by_others=by_others)
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


def ended(rounds: int, load: Load, end: Callable[[Tracescape], None], how: str) -> list[str]:
    """End a collector ``rounds`` times at a moment nobody chose, and return what was wrong."""
    if not rounds:
        return []
    print(f"\n{how} under load ({load.clients} clients, {load.spans} spans a request)", flush=True)
    problems: list[str] = []
    acknowledged: list[npt.NDArray[np.int64]] = []
    with _folder() as folder, Tracescape(folder) as server:
        for number in range(rounds):
            under_way = Running(server.address, replace(load, first_client=number * load.workers))
            time.sleep(0.5 + random.random() * (load.seconds - 1))
            begin = time.monotonic()
            end(server)
            if how == "SIGTERM" and server.process.returncode:
                problems.append(f"{how} {number + 1}: the exit code is {server.process.returncode}")
            server.start()
            ready = time.monotonic() - begin
            sent = under_way.finish()
            acknowledged.append(sent.keys())
            found = wrong(server, np.concatenate(acknowledged))
            found += [f"{reason} ({times}×)" for reason, times in sent.failed.items()]
            print(
                f"  {number + 1}: ended and listens again after {ready:.1f} s;"
                f" {sent.spans:,} spans acknowledged around it, {sent.refused} requests sent again;"
                f" {server.stored():,} stored; {'; '.join(found) or 'none lost, none twice'}",
                flush=True,
            )
            problems += [f"{how} {number + 1}: {problem}" for problem in found]
    return problems


def wrong(server: Tracescape, keys: npt.NDArray[np.int64]) -> list[str]:
    """What is wrong with the store, given what was acknowledged."""
    settled = settle(server, len(keys))
    assert settled is not None
    problems = []
    if lost := server.lost(keys):
        problems.append(f"{lost:,} of {len(keys):,} acknowledged spans are lost")
    if twice := server.stored() - server.distinct():
        problems.append(f"{twice:,} spans are stored twice")
    return problems


def disk_full(load: Load, *, by_others: bool) -> list[str]:
    """Fill a small disk, make room again, and return what was wrong.

    It fills with spans, or ``by_others``: to its last byte, all at once, in the midst of the load.
    """
    print(f"\na disk that {'others fill to the last byte' if by_others else 'fills with spans'}", flush=True)
    with _small_disk() as disk:
        if disk is None:
            print("  not measured: mounting a small disk needs root and Linux", flush=True)
            return []
        ballast = disk / "ballast"
        if not by_others:
            ballast.write_bytes(bytes(_BALLAST_MIB << 20))
        problems: list[str] = []
        with _folder() as folder, Tracescape(folder, db=disk / "bench.db") as server:
            warm(server.address)
            sent = []
            if by_others:
                under_way = Running(server.address, load)
                time.sleep(load.seconds / 2)
                _fill(ballast)
                sent.append(under_way.finish())
            sent += _until_full(server, replace(load, first_client=len(sent) * load.workers))
            print(f"  until it is full: {_said(sent)}", flush=True)
            if server.process.poll() is not None:
                return [*problems, "the collector ended:\n" + server.log.read_text()[-1000:]]
            if sent[-1].spans:
                problems.append("the disk never filled up")
            ballast.unlink()
            again = replace(
                load, first_client=len(sent) * load.workers, seconds=60, requests=8, patience_s=60
            )
            sent.append(send(server.address, again))
            print(f"  with room again: {_said(sent[-1:])}", flush=True)
            if not sent[-1].spans:
                problems.append("nothing is accepted after room was made")
            problems += [f"with room again: {problem}" for problem in wrong(server, _keys(sent))]
            server.kill()
            server.start()
            problems += [f"after a restart: {problem}" for problem in wrong(server, _keys(sent))]
    print(f"  {'; '.join(problems) or 'none lost, none twice, also after kill -9'}", flush=True)
    return problems


def _until_full(server: Tracescape, load: Load) -> list[Sent]:
    """One load after the other until nothing of one is acknowledged any more."""
    sent: list[Sent] = []
    while len(sent) < _MOST_LOADS and server.process.poll() is None:
        first = load.first_client + len(sent) * load.workers
        sent.append(send(server.address, replace(load, first_client=first)))
        if not sent[-1].spans:
            break
    return sent


def _fill(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(1 << 20)):
            pass


def _keys(sent: list[Sent]) -> npt.NDArray[np.int64]:
    return np.concatenate([each.keys() for each in sent])


def _said(sent: list[Sent]) -> str:
    failed = {reason for each in sent for reason in each.failed}
    return (
        f"{sum(each.spans for each in sent):,} spans acknowledged,"
        f" {sum(each.refused for each in sent):,} refusals,"
        f" {sum(len(numbers) for each in sent for numbers in each.unanswered):,} requests given up"
        + "".join(f"; {reason}" for reason in failed)
    )


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tracescape-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _small_disk() -> Iterator[Path | None]:
    """A disk of `_ROOM_MIB` in memory, or None where it cannot be mounted."""
    with _folder() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM_MIB}m", "tmpfs", str(folder)]
        try:
            mounted = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
        except FileNotFoundError:
            mounted = False
        if not mounted:
            yield None
            return
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main())
