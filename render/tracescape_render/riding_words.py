"""What is said of a request at a moment: one sentence, and a few words a node. Names are hostile: `text`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tracescape_render.palette import DEGRADED, FAILING, HEALTHY, IDLE
from tracescape_render.route import HOLDS, WAITS, WORKS, Route, RouteMoment
from tracescape_render.text import display_name, duration

#: What signs and lines mean while a request is ridden.
LEGEND: Final = (
    "━ critical path so far",
    "╍ still to come",
    "• works",
    "⋮ waits",
    "✕ error happened here",
    "╌✕ does not come back",
    "─ other calls",
    "dim: not on its way",
)
#: What the colours of bodies mean then, by the state whose they are; and where there is little room.
STATE_LEGEND: Final = {
    HEALTHY: ("reached", "reached"),
    DEGRADED: ("gave no answer", "silent"),
    FAILING: ("failed", "failed"),
    IDLE: ("not reached yet", "not yet"),
}
_OPERATION: Final = 40
_NAMED: Final = 3


def facts(route: Route, missing: Sequence[str] = ()) -> str:
    """What the request is, and what of it cannot be seen."""
    replay = route.replay
    parts = [
        f"trace {replay.trace_id[:8]}…",
        title(route),
        f"{duration(replay.root_ns[1] - replay.root_ns[0])}",
    ]
    parts.append(f"{len(replay.spans):,} span{'s' if len(replay.spans) > 1 else ''}")
    if replay.fragments:
        parts.append(
            f"{replay.fragments:,} of them without their parent: not sent yet, lost, or no longer stored"
        )
    if missing:
        parts.append(f"not in this world: {_some(missing)}")
    return " · ".join(parts)


def title(route: Route) -> str:
    """Service and operation of the main root."""
    replay = route.replay
    path = replay.critical.span
    row = int(path[0]) if len(path) else 0
    parents = replay.spans["parent"]
    while parents[row] >= 0:
        row = int(parents[row])
    return _called(route, row)


def says(route: Route, names: Sequence[str], moment: RouteMoment) -> str:
    """One sentence: what went wrong so far, and what happens: who works or waits for whom, since when."""
    replay, at = route.replay, moment.frame.at_ns
    begin, end = replay.root_ns
    wrong = _wrong(route, names, moment)
    said = _main(route, names, moment, brief=bool(wrong))
    if begin <= at < end:
        said += f", at {duration(at - begin)} of {duration(end - begin)}"
    return f"{wrong} · {said}" if wrong else said


def subtitle(route: Route, names: Sequence[str], moment: RouteMoment, node: int) -> str:
    """What a node does, in a few words; empty for one that the request is not at."""
    doing = int(moment.doing[node])
    said = ""
    if doing == WORKS:
        said = "works"
    elif doing == HOLDS:
        said = "holds a message" if route.queues[node] else "is asked"
    elif doing == WAITS:
        target = int(moment.waits_for[node])
        said = f"waits for {_name(names, target)}" if target >= 0 else "waits"
    if moment.origin[node]:
        return " · ".join(part for part in ("✕ error here", said) if part)
    if moment.failed[node]:
        return " · ".join(part for part in ("✕ failed", said) if part)
    callers = route.ends[moment.lost & (route.ends[:, 1] == node), 0]
    if len(callers):
        return " · ".join(part for part in (f"no answer to {_name(names, int(callers[0]))}", said) if part)
    return said


def _main(route: Route, names: Sequence[str], moment: RouteMoment, *, brief: bool) -> str:
    replay, at = route.replay, moment.frame.at_ns
    begin, end = replay.root_ns
    if moment.frame.critical >= 0:
        here = _name(names, moment.critical)
        doing = "" if brief else f" ({_operation(route, moment.frame.critical)})"
        if moment.awaited >= 0 and moment.awaited != moment.critical:
            return f"{here} waits for {_name(names, moment.awaited)}{doing}"
        callers = [int(node) for node in (moment.waits_for == moment.critical).nonzero()[0]]
        for_whom = f" for {_name(names, callers[0])}" if callers else ""
        return f"{here} works{for_whom}{doing}"
    if at < begin:
        return "the request has not begun"
    if at >= replay.end_ns:
        return f"all is over after {duration(replay.end_ns - min(begin, replay.start_ns))}"
    at_it = np.isin(moment.doing, (WORKS, WAITS)) & route.sends
    active = np.flatnonzero(at_it if at_it.any() else moment.doing == HOLDS).tolist()
    who = _some([_name(names, node) for node in active]) if active else "nobody"
    goes_on = "goes" if len(active) < 2 else "go"
    return f"answered after {duration(end - begin)}; {who} {goes_on} on, nobody waits for that"


def _wrong(route: Route, names: Sequence[str], moment: RouteMoment) -> str:
    """The first error and where it happened; who was given up on, after how long."""
    nodes = [int(node) for node in moment.origin.nonzero()[0]]
    lost = moment.lost.nonzero()[0]
    given_up, who = "", -1
    if len(lost):
        way = int(lost[np.argmin(route.lost_ns[lost, 1])])
        who, whom = route.ends[way].tolist()
        asked, given = route.lost_ns[way].tolist()
        given_up = f"{_name(names, who)} gave up on {_name(names, whom)} after {duration(given - asked)}"
    if not nodes or who in nodes:
        return given_up
    first = min(nodes, key=lambda node: int(route.broken_ns[node]))
    when = duration(int(route.broken_ns[first]) - route.replay.start_ns)
    more = f" and in {len(nodes) - 1} more" if len(nodes) > 1 else ""
    return f"error in {_name(names, first)} at {when}{more}" + (f", {given_up}" if given_up else "")


def _called(route: Route, span: int) -> str:
    service = route.replay.spans["service"][span]
    return display_name(f"{service} {route.replay.spans['operation'][span]}", 60)


def _operation(route: Route, span: int) -> str:
    return display_name(route.replay.spans["operation"][span], _OPERATION)


def _name(names: Sequence[str], node: int) -> str:
    return display_name(names[node])


def _some(names: Sequence[str]) -> str:
    shown = [display_name(name) for name in names[:_NAMED]]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shown) + more
