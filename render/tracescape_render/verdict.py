"""What a diagnosis says about a scene: where the first cause is, who suffers from it, and by which way.

Where nobody is proved to be at fault, the first suspect may be told, as what it is. What that is worth was
measured (``benches/root_cause/suspects.py``, docs/scene.md): so much must speak against it.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_render.palette import ABSENT, DEGRADED, FAILING
from tracescape_render.text import LABEL_LENGTH, display_name, duration, share

if TYPE_CHECKING:
    from tracescape_analytics.root_cause import Diagnosis

IntArray = NDArray[np.int64]

SICK: Final = (DEGRADED, FAILING, ABSENT)
_NOBODY: Final = -1
#: A suspect that is not proved is told if what speaks most against it is no more probable by chance (there
#: are some hundred such measures), if a doubling is certain, as of causes, and if so many traces show it.
SUSPECT_P_VALUE: Final = 1e-4
SUSPECT_SCORE: Final = 1.0
SUSPECT_TRACES: Final = 3


class Graph(NamedTuple):
    """Bodies and calls as far as causes go. ``answers`` says whether a body has spans of its own.

    ``names`` are what ``services`` are called for people.
    """

    services: Sequence[str]
    names: Sequence[str]
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
        over: until when it was at fault, in words, where that is past and it is well again; else empty.
    """

    name: str
    reason: str
    body: int
    arc: int | None
    ends: list[int]
    victims: IntArray
    links: IntArray
    over: str = ""


class Suspect(NamedTuple):
    """The first suspect of a diagnosis that names nobody.

    Attributes:
        name, reason: what it is called and what speaks against it, short and safe to show.
        body: who it is.
    """

    name: str
    reason: str
    body: int


def leading(found: Diagnosis) -> pl.DataFrame:
    """The rows of a diagnosis that a scene tells: its causes; else the first suspect, if much speaks for it.

    Columns of ``CAUSE_SCHEMA``; a suspect is not ``named``. In a time that was looked for because it stands
    out there is none: something always stands out a little.
    """
    if len(found.causes) or found.found:
        return found.causes
    return found.suspects.head(1).filter(
        pl.col("p_value") <= SUSPECT_P_VALUE,
        pl.col("score") >= SUSPECT_SCORE,
        pl.col("traces") >= SUSPECT_TRACES,
    )


def named(causes: pl.DataFrame | None) -> pl.DataFrame | None:
    """The causes among what `leading` gives."""
    if causes is None or "named" not in causes.columns:
        return causes
    return causes.filter("named")


def first_suspect(causes: pl.DataFrame | None, graph: Graph) -> Suspect | None:
    """The first row of what `leading` gives, if it is no cause; None if it is not in the scene."""
    if causes is None or causes.is_empty():
        return None
    row = causes.row(0, named=True)
    service = str(row["service"])
    if row.get("named", True) or service not in graph.services:
        return None
    body = graph.services.index(service)
    return Suspect(display_name(graph.names[body], 2 * LABEL_LENGTH), reason(row), body)


def first_cause(causes: pl.DataFrame | None, graph: Graph) -> Cause | None:
    """The first row of what `leading` gives; None if there is none, if it is a suspect, or not in the scene.

    ``over_ns``, if the row has it, is when it was over.

    A connection is at fault if the calls are, of one caller to one callee, and the callee has spans of its
    own: a database is known by the calls to it alone, so what is wrong with them is wrong with it.
    """
    if causes is None or causes.is_empty():
        return None
    row = causes.row(0, named=True)
    if not row.get("named", True):
        return None
    number = {name: i for i, name in enumerate(graph.services)}
    body = number.get(str(row["service"]), _NOBODY)
    if body == _NOBODY:
        return None
    arc = _arc(row, number, graph)
    ends = [body] if arc is None else [int(graph.source[arc]), int(graph.target[arc])]
    name = " → ".join(graph.names[end] for end in ends)
    start = ends[0]
    victims, links = _sufferers(start, graph, upstream=True)
    if arc is not None and graph.state[start] in SICK:
        victims, links = [start, *victims], [arc, *links]
    if not victims:
        victims, links = _sufferers(start if arc is None else int(graph.target[arc]), graph, upstream=False)
    sick = np.isin(graph.state[ends], SICK).any()
    over, why = "" if sick else _over(row), reason(row)
    if sick and row.get("over_ns"):
        why = f"{why} · until {_clock(row['over_ns'])}"
    return Cause(
        display_name(name, 2 * LABEL_LENGTH),
        why,
        body,
        arc,
        ends,
        np.array(victims, np.int64),
        np.array(links, np.int64),
        over,
    )


def reason(row: dict[str, Any]) -> str:
    """What is wrong in a few words: the kind of cause, and its strongest number before and now.

    Of who behaves differently, what it does more or less often.
    """
    kind, item = str(row["kind"]), row.get("item")
    what = display_name(kind.removesuffix(" to it").removesuffix(" from it"), LABEL_LENGTH) + ": "
    if item is not None and kind in _OF_ITEMS:
        what += f"{_short(str(item))} "
    for name, unit, written in (
        ("ns", " a trace (geometric mean)", duration),
        ("share", _of_what(kind), _share),
        ("times", " a request", _times),
    ):
        before, after = row.get(f"before_{name}"), row.get(f"after_{name}")
        if before is not None and after is not None:
            return f"{what}{written(before)} → {written(after)}{unit}"
    return what.rstrip(": ")


def _over(row: dict[str, Any]) -> str:
    """What was wrong and until when; empty where it is not over."""
    if not row.get("over_ns"):
        return ""
    kind, before, after = str(row["kind"]), row.get("before_ns"), row.get("after_ns")
    slower = before is not None and after is not None and after > before
    failed = "error" in kind or "fail" in kind
    what = "was slow" if slower else "failed" if failed else "was at fault"
    return f"{what} until {_clock(row['over_ns'])}"


def _clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(round(at_ns / 1e9)))


#: Kinds of which `item` says what is done more or less often.
_OF_ITEMS: Final = ("changed behaviour", "more calls")
#: A remote procedure, of which the last part is its name.
_PROCEDURE: Final = re.compile(r"/?[\w.$-]+/(\w+)")


def _short(item: str) -> str:
    procedure = _PROCEDURE.fullmatch(item)
    return display_name(procedure[1] if procedure else item, LABEL_LENGTH)


def _of_what(kind: str) -> str:
    if "error" in kind or "fail" in kind:
        return " of traces"
    return " taken in time" if "messages" in kind else " of requests"


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
