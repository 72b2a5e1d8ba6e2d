"""How many spans a second: closed loops of several clients, ours beside the peers in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from load import Load, Sent, send, warm
from servers import Floor, NotInstalledError, Phoenix, Rotel, Server, Tracescape, running

_SETTLE_S: Final = 120.0
_QUIET_S: Final = 0.5
_PHOENIX_SPANS: Final = 8_192
_PHOENIX_S: Final = 40.0


@dataclass(frozen=True)
class Measured:
    """One contestant, one round. ``seconds`` lasts until everything acknowledged has settled."""

    name: str
    sent: Sent
    spans: int
    seconds: float
    settled_s: float
    server_cpu_s: float
    peak_rss: int
    problems: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        return self.spans / self.seconds


def measure(kind: type[Server], load: Load) -> Measured:
    """A fresh ``kind``, warmed up, under ``load``."""
    with running(kind) as server:
        slow = isinstance(server, Phoenix)  # a warm-up must not leave it work for minutes
        before = warm(server.address, 64 if slow else load.spans).spans
        settle(server, before)
        used = server.usage().cpu_s
        sent = send(server.address, load)
        settled = settle(server, before + sent.spans)
        usage = server.usage()
        problems = verify(server, sent, before) if isinstance(server, Tracescape) else []
    spans = sent.spans if settled is None else settled.stored - before
    ended = sent.began + sent.seconds
    last = ended if settled is None else max(ended, settled.at)
    return Measured(
        kind.name,
        sent,
        spans,
        last - sent.began,
        last - ended,
        usage.cpu_s - used,
        usage.peak_rss,
        tuple(problems),
    )


@dataclass(frozen=True)
class Settled:
    """How many spans were stored, and when the last work for them ended."""

    stored: int
    at: float


def settle(server: Server, spans: int) -> Settled | None:
    """Wait until ``server`` holds ``spans`` and works no more; None for one that holds nothing."""
    patience = _PHOENIX_S if isinstance(server, Phoenix) else _SETTLE_S
    until = time.monotonic() + patience
    stored = server.stored()
    if stored is None:
        return None
    while stored < spans and time.monotonic() < until:
        time.sleep(0.05)
        stored = server.stored() or 0
    quiet_since, used = time.monotonic(), server.usage().cpu_s
    while (now := time.monotonic()) < min(until, quiet_since + _QUIET_S):
        time.sleep(0.05)
        if server.usage().cpu_s - used > 0.2 * (time.monotonic() - quiet_since) + 0.02:
            quiet_since, used = now, server.usage().cpu_s
    return Settled(stored, quiet_since)


def verify(server: Tracescape, sent: Sent, before: int) -> list[str]:
    """What is wrong with what ``server`` holds: everything acknowledged must be there, nothing twice."""
    problems = [f"{reason} ({times}×)" for reason, times in sent.failed.items()]
    stored, distinct = server.stored(), server.distinct()
    unanswered = sum(map(len, sent.unanswered)) * sent.load.spans
    if stored != distinct:
        problems.append(f"{stored - distinct:,} spans are stored twice")
    if not before + sent.spans <= stored <= before + sent.spans + unanswered:
        problems.append(f"{before + sent.spans:,} spans were acknowledged, {stored:,} are stored")
    if unanswered:
        problems.append(f"{unanswered:,} spans were never answered")
        if lost := server.lost(sent.keys()):
            problems.append(f"{lost:,} acknowledged spans are lost")
    return problems


def compare(load: Load, rounds: int, peer_s: float, phoenix: bool) -> list[str]:
    """Print a table of ``load`` for everyone, and return what was wrong with ours."""
    contestants: list[tuple[type[Server], Load]] = [
        (Tracescape, load),
        (Rotel, replace(load, seconds=peer_s)),
        (Floor, replace(load, seconds=min(peer_s, 5))),
    ]
    found: dict[str, list[Measured]] = {}
    missing: dict[str, str] = {}
    for number in range(rounds):
        for kind, what in contestants:
            attempt(kind, what, found, missing)
        if phoenix and number == 0:
            few = max(load.clients, _PHOENIX_SPANS // load.spans)
            slow = replace(load, in_flight=1, requests=few, seconds=20, patience_s=20)
            attempt(Phoenix, slow, found, missing)
    print_table(load, found, missing)
    return [problem for each in found.get(Tracescape.name, []) for problem in each.problems]


def attempt(
    kind: type[Server], load: Load, found: dict[str, list[Measured]], missing: dict[str, str]
) -> None:
    """Measure ``kind``, or note why not."""
    try:
        found.setdefault(kind.name, []).append(measure(kind, load))
    except (NotInstalledError, RuntimeError) as error:
        if kind is Tracescape:
            raise
        found.pop(kind.name, None)
        missing[kind.name] = str(error).strip()


def print_table(load: Load, found: dict[str, list[Measured]], missing: dict[str, str]) -> None:
    """A line each."""
    mine = found[Tracescape.name]
    ours = statistics.median(each.rate for each in mine)
    print(
        f"\nreceive over gRPC: {load.spans:,} spans a request, {load.clients} clients × {load.in_flight} in"
        f" flight, {load.seconds:g} s, median of {len(mine)}"
    )
    print(
        f"  {'':<27}{'spans/s':>10}{'noise':>7}{'ours is':>10}{'CPU s per 1M spans':>20}"
        f"{'ack p50':>10}{'p99':>8}{'refused':>9}{'peak RSS':>10}{'settled in':>11}"
    )
    print(f"  {'':<54}{'server  client':>20}{'ms':>10}{'ms':>8}{'':>9}{'MiB':>10}{'s':>11}")
    for name, rounds in found.items():
        rates = [each.rate for each in rounds]
        rate = statistics.median(rates)
        ratio = "" if rounds is mine else f"{ours / rate:,.2f}×" if rate else "∞"
        million = [max(each.spans, 1) / 1e6 for each in rounds]
        print(
            f"  {name:<27}{rate:>10,.0f}{f'± {(max(rates) - min(rates)) / 2 / rate if rate else 0:.0%}':>7}"
            f"{ratio:>10}"
            f"{middle(each.server_cpu_s / m for each, m in zip(rounds, million, strict=True)):>12,.2f}"
            f"{middle(each.sent.cpu_s / m for each, m in zip(rounds, million, strict=True)):>8,.2f}"
            f"{middle(each.sent.latency_ms(0.5) for each in rounds):>10,.1f}"
            f"{middle(each.sent.latency_ms(0.99) for each in rounds):>8,.1f}"
            f"{sum(each.sent.refused for each in rounds):>9,}"
            f"{max(each.peak_rss for each in rounds) >> 20:>10,}"
            f"{middle(each.settled_s for each in rounds):>11.2f}",
            flush=True,
        )
    for name, reason in missing.items():
        print(f"  {name:<27}not measured: {reason}", flush=True)


def middle(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)
