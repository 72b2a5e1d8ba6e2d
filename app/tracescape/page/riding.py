"""A request's way through the world, as the page replays it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracescape.page.documents import Document, moment
from tracescape_render.riding import names_of
from tracescape_render.riding_words import says, subtitle, title
from tracescape_render.route import NEVER, route_of
from tracescape_render.text import duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tracescape_analytics.replay import Replay
    from tracescape_render.route import Route

#: Calls of one request that are told; the first ones, and all that it waits for.
MOST_LEGS: Final = 1_500
#: Moments of one request at which it is said what happens; of more, as many, evenly chosen.
MOST_MOMENTS: Final = 400


def ridden(replay: Replay) -> Document:
    """Who is touched when, the ways between them, the calls on those: ns from the start, null for never.

    And in words what happens and what each does: pairs of the moment from which on that is so, and the words.
    """
    route = route_of(replay)
    start = replay.start_ns

    def since(ns: NDArray[np.int64]) -> list[int | None]:
        return [None if value == NEVER else value - start for value in ns.tolist()]

    first, failed = np.full((2, len(route.names)), NEVER, np.int64)
    np.minimum.at(first, route.ends[route.way].ravel(), np.repeat(replay.legs["start_ns"].to_numpy(), 2))
    np.minimum.at(first, route.node, replay.spans["start_ns"].to_numpy())
    bad = replay.spans["failed"].to_numpy()
    np.minimum.at(failed, route.node[bad], replay.spans["end_ns"].to_numpy()[bad])
    failed = np.minimum(failed, route.broken_ns)
    critical = route.critical_ns[:, 0] < route.critical_ns[:, 1]
    kept = np.sort(np.argsort(~critical, kind="stable")[:MOST_LEGS])
    legs = replay.legs[kept]
    happens, doing = _words(route)
    return {
        "trace_id": replay.trace_id,
        "start_ns": moment(start),
        "end_ns": moment(replay.end_ns),
        "length_ns": replay.end_ns - start,
        "telling_ns": route.telling() - start,
        "title": title(route),
        "outcome": _outcome(replay),
        "says": happens,
        "nodes": [
            {"service": name, "from_ns": begun, "failed_ns": ended, "says": said}
            for name, begun, ended, said in zip(route.names, since(first), since(failed), doing, strict=True)
        ],
        "ways": [
            {"source": route.names[source], "target": route.names[target], "lit_ns": lit}
            for (source, target), lit in zip(route.ends.tolist(), map(since, route.lit_ns), strict=True)
        ],
        "legs": [
            {
                "way": int(way),
                "leg": leg["leg"],
                "at_ns": leg["start_ns"] - start,
                "for_ns": leg["end_ns"] - leg["start_ns"],
                "failed": leg["failed"],
                "critical": bool(waits),
            }
            for way, leg, waits in zip(
                route.way[kept], legs.iter_rows(named=True), critical[kept], strict=True
            )
        ],
        "all_legs": replay.legs.height,
    }


def _outcome(replay: Replay) -> str:
    """How the request ends for whoever sent it."""
    begin, end = replay.root_ns
    root = replay.spans.filter(parent=-1, start_ns=begin, end_ns=end)
    ends = "fails" if root["failed"].any() else "is answered"
    return f"{ends} after {duration(end - begin)}"


def _words(route: Route) -> tuple[list[list[object]], list[list[list[object]]]]:
    """What happens, and what each node does, whenever that is something else than before."""
    names = names_of(route)
    happens: list[list[object]] = []
    doing: list[list[list[object]]] = [[] for _ in names]
    for at_ns in _steps(route.replay):
        now = route.at(at_ns)
        _say(happens, at_ns - route.replay.start_ns, _timeless(route, says(route, names, now), at_ns))
        for node, told in enumerate(doing):
            _say(told, at_ns - route.replay.start_ns, subtitle(route, names, now, node))
    return happens, doing


def _say(told: list[list[object]], at_ns: int, words: str) -> None:
    if words != (told[-1][1] if told else ""):
        told.append([at_ns, words])


def _steps(replay: Replay) -> list[int]:
    """The moments at which anything begins or ends; not all of very many."""
    frames = (replay.spans, replay.legs)
    ends = [frame[side].to_numpy() for frame in frames for side in ("start_ns", "end_ns")]
    moments = np.unique(np.concatenate([*ends, np.array([replay.start_ns, replay.end_ns])]))
    few = np.linspace(0, len(moments) - 1, min(len(moments), MOST_MOMENTS))
    chosen: list[int] = moments[np.unique(few.astype(np.int64))].tolist()
    return chosen


def _timeless(route: Route, sentence: str, at_ns: int) -> str:
    """Without how far it is, which the page counts itself."""
    begin, end = route.replay.root_ns
    return sentence.replace(f", at {duration(at_ns - begin)} of {duration(end - begin)}", "", 1)
