"""What a diagnosis says about a scene: where the first cause is, who suffers from it, and by which way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_render.palette import ABSENT, DEGRADED, FAILING
from tracescape_render.text import LABEL_LENGTH, display_name, duration, share

IntArray = NDArray[np.int64]

SICK: Final = (DEGRADED, FAILING, ABSENT)
_NOBODY: Final = -1


class Graph(NamedTuple):
    """Bodies and calls as far as causes go. ``answers`` says whether a body has spans of its own."""

    services: Sequence[str]
    answers: NDArray[np.bool_]
    state: IntArray
    source: IntArray
    target: IntArray
    calls: NDArray[np.float64]


class Cause(NamedTuple):
    """The first cause of a diagnosis.

    Attributes:
        name, reason: what it is called and what is wrong with it, short and safe to show.
        body: the one at fault; where a connection is, the end of it that the diagnosis names.
        arc: the connection at fault, None for a body; ends: what it joins, or the body.
        victims: the unhealthy bodies that suffer from it, nearest first.
        links: the arcs by which they do.
    """

    name: str
    reason: str
    body: int
    arc: int | None
    ends: list[int]
    victims: IntArray
    links: IntArray


def first_cause(causes: pl.DataFrame | None, graph: Graph) -> Cause | None:
    """The first of ``store.diagnose().causes``; None if there is none, or if it is not in the scene.

    A connection is at fault if the calls are, of one caller to one callee, and the callee has spans of its
    own: a database is known by the calls to it alone, so what is wrong with them is wrong with it.
    """
    if causes is None or causes.is_empty():
        return None
    row = causes.row(0, named=True)
    number = {name: i for i, name in enumerate(graph.services)}
    body = number.get(str(row["service"]), _NOBODY)
    if body == _NOBODY:
        return None
    arc = _arc(row, number, graph)
    name = str(row["service"]) if arc is None else f"{row['source']} → {row['target']}"
    start = body if arc is None else int(graph.source[arc])
    victims, links = _sufferers(start, graph, upstream=True)
    if arc is not None and graph.state[start] in SICK:
        victims, links = [start, *victims], [arc, *links]
    if not victims:
        victims, links = _sufferers(start if arc is None else int(graph.target[arc]), graph, upstream=False)
    return Cause(
        display_name(name, 2 * LABEL_LENGTH),
        reason(row),
        body,
        arc,
        [body] if arc is None else [int(graph.source[arc]), int(graph.target[arc])],
        np.array(victims, np.int64),
        np.array(links, np.int64),
    )


def reason(row: dict[str, Any]) -> str:
    """What is wrong in a few words: the kind of cause, and its strongest number before and now."""
    kind = display_name(str(row["kind"]).removesuffix(" to it").removesuffix(" from it"), LABEL_LENGTH)
    for name, unit, written in (
        ("ns", "", duration),
        ("share", " of traces" if "error" in kind or "fail" in kind else " of requests", _share),
        ("times", " a request", _times),
    ):
        before, after = row.get(f"before_{name}"), row.get(f"after_{name}")
        if before is not None and after is not None:
            return f"{kind}: {written(before)} → {written(after)}{unit}"
    return kind


def _share(value: float) -> str:
    return share(value, 1.0)


def _times(value: float) -> str:
    return f"{value:.2g}×"


def _arc(row: dict[str, Any], number: dict[str, int], graph: Graph) -> int | None:
    if "calls" not in str(row["kind"]) or "more" in str(row["kind"]):
        return None
    ends = [number.get(str(row[side]), _NOBODY) for side in ("source", "target")]
    if _NOBODY in ends or not graph.answers[ends[1]]:
        return None
    between = np.flatnonzero((graph.source == ends[0]) & (graph.target == ends[1]))
    return int(between[np.argmax(graph.calls[between])]) if len(between) else None


def _sufferers(start: int, graph: Graph, *, upstream: bool) -> tuple[list[int], list[int]]:
    """The unhealthy that reach ``start`` (or are reached) through the unhealthy, and the arcs that do it.

    What has no spans of its own, a queue for one, lets trouble through without looking unwell.
    """
    near, far = (graph.target, graph.source) if upstream else (graph.source, graph.target)
    strongest_first = np.argsort(-graph.calls, kind="stable")
    sick = np.isin(graph.state, SICK)
    ways: dict[int, list[int]] = {}
    for arc in strongest_first[(sick | ~graph.answers)[far[strongest_first]]].tolist():
        ways.setdefault(int(near[arc]), []).append(arc)
    found: dict[int, int] = {}
    queue = deque([start])
    while queue:
        for arc in ways.get(queue.popleft(), []):
            other = int(far[arc])
            if other != start and other not in found:
                found[other] = arc
                queue.append(other)
    sufferers = [body for body in found if sick[body]]
    links: dict[int, None] = {}
    for body in sufferers:
        while body != start and found[body] not in links:
            links[found[body]] = None
            body = int(near[found[body]])
    return sufferers, list(links)
