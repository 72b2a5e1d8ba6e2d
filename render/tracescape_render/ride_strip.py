"""A request's own timeline as data: which piece of the critical path is where, errors, times."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.riding import names_of
from tracescape_render.route import Route
from tracescape_render.tempo import Tempo
from tracescape_render.text import display_name, duration

#: Pieces that are narrower are one with those beside them: nobody could see them.
_NARROWEST: Final = 0.0015
_MOST_ERRORS: Final = 400

IntArray = NDArray[np.int64]


class Piece(NamedTuple):
    """A part of the critical path: from ``begin`` to ``end`` (0 to 1), in which node, and how it is told."""

    begin: float
    end: float
    node: int
    name: str
    text: str


class Fault(NamedTuple):
    """An error: where in the strip, and how it is told."""

    at: float
    text: str


def pieces_of(route: Route, tempo: Tempo) -> list[Piece]:
    """The critical path in pieces of one node each, in order of time."""
    path = route.replay.critical
    if not len(path.span):
        return []
    node = route.node[path.span]
    first = np.flatnonzero(np.concatenate([[True], node[1:] != node[:-1]]))
    last = np.append(first[1:], len(node)) - 1
    names, begin_ns = names_of(route), route.replay.start_ns
    found: list[Piece] = []
    shares = tempo.shares_of(np.concatenate([path.start[first], path.end[last]]))
    starts, ends = np.split(shares, 2)
    for number, (low, high) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if found and high - found[-1].begin < _NARROWEST:
            found[-1] = found[-1]._replace(end=high)
            continue
        start, end = int(path.start[first[number]]), int(path.end[last[number]])
        here = int(node[first[number]])
        name = display_name(names[here])
        operation = display_name(route.replay.spans["operation"][int(path.span[first[number]])], 60)
        text = f"{name} · {operation}\nfrom {duration(start - begin_ns)} on, for {duration(end - start)}"
        found.append(Piece(low, high, here, name, text))
    return found


def faults_of(route: Route, tempo: Tempo) -> list[Fault]:
    """Errors, where they become known."""
    spans = route.replay.spans
    failed = np.flatnonzero(spans["failed"].to_numpy())
    end = spans["end_ns"].to_numpy()[failed]
    order = np.argsort(end, kind="stable")[:_MOST_ERRORS]
    shares = tempo.shares_of(end[order]).tolist()
    found = []
    for share, number in zip(shares, order.tolist(), strict=True):
        row = int(failed[number])
        name = display_name(f"{spans['service'][row]} {spans['operation'][row]}", 80)
        found.append(
            Fault(share, f"✕ {name}\nerror, known after {duration(end[number] - route.replay.start_ns)}")
        )
    return found


def ticks_of(tempo: Tempo, most: int) -> list[tuple[float, str]]:
    """Round times since the beginning, at most about ``most``, no two on top of each other."""
    first, last = tempo.range_ns
    if most < 1 or last <= first:
        return []
    found: list[tuple[float, str]] = []
    shares = np.linspace(0.0, 1.0, most + 1)
    for share in shares[:-1].tolist():
        since = tempo.at(share) - first
        rounded = _rounded(since)
        place = tempo.share_of(first + rounded)
        if not found or place - found[-1][0] > 0.7 / most:
            found.append((place, duration(rounded) if rounded else "0"))
    return found


def told_at(route: Route, tempo: Tempo, pieces: list[Piece], faults: list[Fault], share: float) -> str:
    """What is told of a spot of the strip."""
    since = duration(tempo.at(share) - route.replay.start_ns)
    lines = [f"{since} after the beginning"]
    lines += [piece.text for piece in pieces if piece.begin <= share < piece.end]
    near = [fault for fault in faults if abs(fault.at - share) < 0.006]
    return "\n".join([*lines, *(fault.text for fault in near[-3:])])


def _rounded(ns: int) -> int:
    """To two digits that are easily read."""
    if ns <= 0:
        return 0
    unit = int(10 ** max(len(str(ns)) - 2, 0))
    return round(ns / unit) * unit
