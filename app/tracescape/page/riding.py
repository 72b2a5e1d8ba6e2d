"""A request's way through the world, as the page replays it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracescape.page.documents import Document, moment
from tracescape_render.route import NEVER, route_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tracescape_analytics.replay import Replay

#: Calls of one request that are told; the first ones, and all that it waits for.
MOST_LEGS: Final = 1_500


def ridden(replay: Replay) -> Document:
    """Who is touched when, the ways between them, the calls on those: ns from the start, null for never."""
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
    return {
        "trace_id": replay.trace_id,
        "start_ns": moment(start),
        "end_ns": moment(replay.end_ns),
        "length_ns": replay.end_ns - start,
        "telling_ns": route.telling() - start,
        "nodes": [
            {"service": name, "from_ns": begun, "failed_ns": ended}
            for name, begun, ended in zip(route.names, since(first), since(failed), strict=True)
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
