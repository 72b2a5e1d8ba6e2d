"""Receiving over gRPC until it is durable, beside peers: throughput, latency, overload.

``python benches/ingest.py`` compares throughput, ``--latency`` and ``--overload`` measure those instead;
``--full`` runs everything on the whole matrix, ``--short`` a taste of it. Who the peers are and how they get
here is in ``servers.py``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from latency import capacity, latencies
from load import Load
from overload import overload
from template import self_check
from throughput import compare

from tracescape_ingest.fast_spans import FastSpans

SOME = [(512, 1), (512, 16), (4096, 4)]
ALL = [(spans, clients) for spans in (512, 4096) for clients in (1, 4, 16)]


def main() -> int:
    """Print what was asked for; 1 if an acknowledged span was lost, or any was stored twice."""
    options = _options()
    self_check()
    FastSpans(1).compile()  # into the cache: nobody should measure the slower decoder that serves meanwhile
    problems: list[str] = []
    seconds, rounds = options.sustained, options.rounds
    base = Load(in_flight=options.in_flight, processes=options.processes, seconds=seconds)
    cells = options.cell or (ALL if options.full else SOME)
    if options.short:
        base, cells, seconds, rounds = replace(base, seconds=3), [(512, 4)], 3, 1
    chosen = options.latency or options.overload
    if not chosen or options.full or options.short:
        for number, (spans, clients) in enumerate(cells):
            load = replace(base, spans=spans, clients=clients)
            phoenix = options.phoenix and (number == 0 or options.full) and not options.short
            problems += compare(load, rounds, min(seconds, options.peer_seconds), phoenix)
    if chosen or options.full or options.short:
        load = replace(base, spans=512, clients=16)
        maximum = options.maximum or capacity(replace(load, seconds=min(seconds, 10)))
        if options.latency or options.full or options.short:
            problems += latencies(maximum, load)
        if options.overload or options.full:
            problems += overload(maximum, replace(load, seconds=options.overload_seconds))
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--sustained", type=float, default=10, metavar="S", help="seconds of load (60 for the real thing)")
    add("--peer-seconds", type=float, default=10, metavar="S", help="at most so long for a peer")
    add("--rounds", type=int, default=3, help="of each contestant, in turn")
    add("--cell", type=_cell, action="append", metavar="SPANS×CLIENTS", help="such as 512x4; repeatable")
    add("--in-flight", type=int, default=2, metavar="N", help="requests a client keeps under way")
    add("--processes", type=int, default=2, metavar="N", help="that the clients share")
    add("--no-phoenix", dest="phoenix", action="store_false", help="leave the slow peer out")
    add("--latency", action="store_true", help="acknowledgement at 10 %%, freshness at 50 %% of the maximum")
    add("--overload", action="store_true", help="twice the maximum")
    add("--overload-seconds", type=float, default=60, metavar="S")
    add("--maximum", type=float, metavar="SPANS/S", help="known already; otherwise measured first")
    add("--full", action="store_true", help="the whole matrix, latency and overload")
    add("--short", action="store_true", help="seconds instead of minutes")
    return parser.parse_args()


def _cell(text: str) -> tuple[int, int]:
    spans, _, clients = text.replace("×", "x").partition("x")
    return int(spans), int(clients)


if __name__ == "__main__":
    sys.exit(main())
