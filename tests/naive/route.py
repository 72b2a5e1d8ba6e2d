"""Who works, waits and holds, and what is lit, span by span and leg by leg: defines `render.route`."""

from __future__ import annotations

from tracescape_analytics.replay import Replay

Leg = dict[str, object]


def below(replay: Replay, span: int, ancestor: int) -> bool:
    """Whether ``span`` is ``ancestor`` or under it."""
    parents = replay.spans["parent"].to_list()
    while span >= 0 and span != ancestor:
        span = parents[span]
    return span == ancestor


def owner(replay: Replay, leg: Leg) -> int:
    """The span on whose behalf something is under way: of a call the caller's."""
    span = int(leg["span"])  # type: ignore[call-overload]
    return replay.spans["parent"].to_list()[span] if leg["leg"] in ("request", "response") else span


def doing(replay: Replay, name: str, at: int) -> str:
    """What a node does, in the words of `route.DOING`."""
    spans = list(replay.spans.iter_rows(named=True))
    legs = list(replay.legs.iter_rows(named=True))
    now = [leg for leg in legs if leg["start_ns"] <= at < leg["end_ns"]]
    frame = replay.at(at)
    states = set()
    for span, child in zip(frame.running.tolist(), frame.waits_for.tolist(), strict=True):
        if spans[span]["service"] != name:
            continue
        on_wire = any(
            leg["leg"] in ("request", "response", "away") and owner(replay, leg) == span for leg in now
        )
        states.add("waits" if child >= 0 or on_wire else "works")
    if states:
        return "works" if "works" in states else "waits"
    if all(span["service"] != name for span in spans):
        senders = {span["service"] for span in spans}
        for leg in now:
            here = leg["target"] if leg["target"] == name else None
            if leg["leg"] == "message" and leg["source"] == name and leg["target"] in senders:
                here = name
            if leg["leg"] in ("away", "message") and here == name:
                return "holds"
        targets = {leg["target"] for leg in legs}
        if name not in targets and any(leg["leg"] == "work" and leg["source"] == name for leg in now):
            return "waits"
    times = [(span["start_ns"], span["end_ns"]) for span in spans if span["service"] == name]
    senders = {span["service"] for span in spans}
    for leg in legs:
        stays = leg["leg"] in ("work", "away") or (leg["leg"] == "message" and leg["target"] not in senders)
        if leg["source"] == name or (leg["target"] == name and stays):
            times.append((leg["start_ns"], leg["end_ns"]))
    if all(start > at for start, _ in times):
        return "not yet"
    return "over" if all(end <= at for _, end in times) else "paused"


def reached(replay: Replay, source: str, target: str, at: int) -> bool:
    """Whether the critical path has entered the way by ``at``."""
    for leg in replay.legs.filter(source=source, target=target).iter_rows(named=True):
        for moment in range(leg["start_ns"], min(leg["end_ns"], at + 1)):
            critical = replay.at(moment).critical
            if critical >= 0 and below(replay, critical, owner(replay, leg)):
                return True
    return False
