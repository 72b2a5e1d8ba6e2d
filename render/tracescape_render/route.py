"""A request's way through a topology, moment by moment: who works, who waits, what is under way, what is lit.

Made from a replay alone, so that it can be asserted without a scene: a renderer puts it on one with `riding`.
Nodes and ways are numbered from 0 in the order of ``names`` and ``ends``; times are epoch nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_analytics.replay import Frame, Replay

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

#: What a node does at a moment; `RouteMoment.doing` has these codes. ``holds``: a call is with something that
#: sends no spans, or a message is in a queue. ``paused``: it was called, and will be again.
DOING: Final = ("not yet", "works", "waits", "holds", "paused", "over")
NOT_YET, WORKS, WAITS, HOLDS, PAUSED, OVER = range(len(DOING))
NEVER: Final = np.iinfo(np.int64).max
#: So many calls under way are drawn at most; those on the critical path are never left out.
MOST_TRAVELLERS: Final = 1_500
_MOST_STEPS: Final = 20_000


class Travellers(NamedTuple):
    """Calls that are under way, or have just arrived, a row each.

    ``leg`` (int64): row of `Replay.legs`; ``way`` (int64); ``place`` (float64): 0 at the source, 1 at the
    target; ``fade`` (float64): 1 while under way, then falling to 0; ``back`` (bool): it is an answer;
    ``critical`` (bool): the request waits for it; ``failed`` (bool): an error, of an answer on its way back.
    """

    leg: IntArray
    way: IntArray
    place: FloatArray
    fade: FloatArray
    back: BoolArray
    critical: BoolArray
    failed: BoolArray


class RouteMoment(NamedTuple):
    """Everything that is drawn of a request at one moment; k nodes, w ways.

    Attributes:
        frame: what the replay says.
        doing: codes of `DOING`, int64 (k,).
        waits_for: for which other node a node waits, int64 (k,), -1 for none.
        failed: whether a span of the node has ended with an error by now, bool (k,); origin: with one that
            no span below it had before, bool (k,): where it happened.
        critical: the node whose span is on the critical path, -1 outside of the request.
        awaited: where that span's call is, if one is under way: a node, else -1.
        reach: how far the critical path has come along each way, float64 (w,), from 0 to 1.
        busy: whether a call is on the way or at its target, bool (w,).
        seen: whether any call of the way has begun, bool (w,).
        broken: whether a call of the way has failed by now, bool (w,); lost: has not come back.
        travellers: what moves.
    """

    frame: Frame
    doing: IntArray
    waits_for: IntArray
    failed: BoolArray
    origin: BoolArray
    critical: int
    awaited: int
    reach: FloatArray
    busy: BoolArray
    seen: BoolArray
    broken: BoolArray
    lost: BoolArray
    travellers: Travellers


@dataclass(frozen=True, eq=False)
class Route:
    """What a request touches, and when.

    Attributes:
        replay: what it was made from.
        names: the nodes, as the topology calls them.
        ends: source and target of each way, int64 (w, 2).
        sends: which nodes have spans of their own, bool (k,); queues: which get messages, bool (k,).
        node: of each span, int64 (n,); way: of each leg, int64 (l,).
        critical_ns: when a leg is on the critical path, int64 (l, 2): from, until; equal for never.
        lit_ns: when the critical path first enters a way, and when it has come to its end, int64 (w, 2);
            `NEVER` where it never does.
    """

    replay: Replay
    names: list[str]
    ends: IntArray
    sends: BoolArray
    queues: BoolArray
    node: IntArray
    way: IntArray
    critical_ns: IntArray
    lit_ns: IntArray
    _leg: _Legs
    _node: _Times
    _way: _Times

    @property
    def critical_ways(self) -> BoolArray:
        """Which ways the critical path goes, bool (w,)."""
        found: BoolArray = self.lit_ns[:, 0] < NEVER
        return found

    @property
    def broken_ns(self) -> IntArray:
        """When an error happened in each node, int64 (k,); `NEVER` where none did."""
        return self._node.broken

    @property
    def lost_ns(self) -> IntArray:
        """When the first call of each way that did not come back was made and given up, int64 (w, 2);
        `NEVER` where all did.
        """
        return np.column_stack([self._way.last, self._way.broken])

    def at(self, at_ns: int, linger_ns: int = 0) -> RouteMoment:
        """The moment ``at_ns``; what arrived less than ``linger_ns`` ago is still seen, fading."""
        frame = self.replay.at(at_ns)
        leg, legs = self._leg, frame.legs
        owners = leg.owner[legs]
        on_wire = np.zeros(len(self.node), bool)
        on_wire[owners[owners >= 0]] = True
        running = frame.running
        waits = (frame.waits_for >= 0) | on_wire[running]
        here = self.node[running]
        doing = self._resting(at_ns)
        doing[here[waits]] = WAITS
        doing[here[~waits]] = WORKS
        held = legs[leg.holder[legs] >= 0]
        still = leg.holder[held]
        doing[still[~self.sends[still]]] = HOLDS
        asked = self.ends[self.way[legs], 0]
        doing[asked[~self.sends[asked] & (doing[asked] != HOLDS) & leg.asks[legs]]] = WAITS
        critical = int(self.node[frame.critical]) if frame.critical >= 0 else -1
        gone = at_ns - self.lit_ns[:, 0]
        length = self.lit_ns[:, 1] - self.lit_ns[:, 0]
        reach = np.where(gone < 0, 0.0, np.where(length <= 0, 1.0, gone / np.maximum(length, 1)))
        busy = np.zeros(len(self.ends), bool)
        busy[self.way[legs]] = True
        return RouteMoment(
            frame,
            doing,
            self._awaited(frame, doing),
            self._node.failed <= at_ns,
            self._node.broken <= at_ns,
            critical,
            self._where(frame),
            np.minimum(reach, 1.0),
            busy,
            self._way.first <= at_ns,
            self._way.failed <= at_ns,
            self._way.broken <= at_ns,
            self._travellers(frame, linger_ns),
        )

    def moments(self) -> IntArray:
        """When an error becomes known, ascending, epoch ns."""
        spans = self.replay.spans.filter(pl.col("failed"))
        return np.sort(spans["end_ns"].to_numpy())

    def telling(self) -> int:
        """The moment that says most in one picture: where an error happened, else in the longest work.

        That is the middle of the piece of the critical path that is longest, or just after the first error.
        """
        path = self.replay.critical
        origins = self._node.broken[self._node.broken < NEVER]
        if len(origins):
            return int(min(origins.min(), self.replay.end_ns))
        if not len(path.start):
            return (self.replay.start_ns + self.replay.end_ns) // 2
        longest = int(np.argmax(path.end - path.start))
        return int(path.start[longest] + path.end[longest]) // 2

    def _resting(self, at_ns: int) -> IntArray:
        """What nodes do that do nothing."""
        doing = np.full(len(self.names), PAUSED, np.int64)
        doing[self._node.first > at_ns] = NOT_YET
        doing[self._node.last <= at_ns] = OVER
        return doing

    def _awaited(self, frame: Frame, doing: IntArray) -> IntArray:
        """For whom each node waits: of several that its spans wait for, the one on the critical path."""
        found = np.full(len(self.names), -1, np.int64)
        sources, targets = [], []
        pairs = frame.waits_for >= 0
        sources.append(self.node[frame.running[pairs]])
        targets.append(self.node[frame.waits_for[pairs]])
        legs = frame.legs[self._leg.owner[frame.legs] >= 0]
        legs = np.concatenate([legs, frame.legs[self._leg.asks[frame.legs]]])
        sources.append(self.ends[self.way[legs], 0])
        targets.append(self.ends[self.way[legs], 1])
        source, target = np.concatenate(sources), np.concatenate(targets)
        other = source != target
        found[source[other][::-1]] = target[other][::-1]  # the first of several is written last
        for here, there in self._chain(frame):
            found[here] = there
        found[doing != WAITS] = -1
        return found

    def _chain(self, frame: Frame) -> list[tuple[int, int]]:
        """Who waits for whom along the critical path: pairs of nodes, from the inside out."""
        pairs = []
        awaited = self._where(frame)
        span = frame.critical
        if span >= 0 and awaited >= 0 and awaited != self.node[span]:
            pairs.append((int(self.node[span]), awaited))
        parent, steps = self._leg.parent, 0
        while span >= 0 and parent[span] >= 0 and steps < _MOST_STEPS:
            above = int(parent[span])
            if self.node[above] != self.node[span]:
                pairs.append((int(self.node[above]), int(self.node[span])))
            span, steps = above, steps + 1
        return pairs

    def _where(self, frame: Frame) -> int:
        """The node that a call of the critical span goes to or comes from, -1 where it works itself."""
        if frame.critical < 0:
            return -1
        calls = frame.legs[self._leg.owner[frame.legs] == frame.critical]
        return int(self.ends[self.way[calls[0]], 1]) if len(calls) else -1

    def _travellers(self, frame: Frame, linger_ns: int) -> Travellers:
        leg = self._leg
        at = frame.at_ns
        moves = leg.moves[frame.legs]
        legs, place = frame.legs[moves], frame.place[moves]
        fade = np.ones(len(legs))
        if linger_ns > 0:
            low = np.searchsorted(leg.ended, at - linger_ns, "right")
            gone = leg.by_end[low : np.searchsorted(leg.ended, at, "right")]
            legs = np.concatenate([legs, gone])
            place = np.concatenate([place, leg.arrives[gone]])
            fade = np.concatenate([fade, 1.0 - (at - leg.until[gone]) / linger_ns])
        lit = self.critical_ns[legs]
        critical = lit[:, 0] < lit[:, 1]
        if len(legs) > MOST_TRAVELLERS:
            chosen = np.lexsort((-fade, ~critical))[:MOST_TRAVELLERS]
            legs, place, fade, critical = legs[chosen], place[chosen], fade[chosen], critical[chosen]
        back = leg.back[legs]
        return Travellers(legs, self.way[legs], place, fade, back, critical, leg.failed[legs] & back)


class _Legs(NamedTuple):
    # Of each leg. ``owner``: the span that waits for it on the wire, -1; ``holder``: the node that has it
    # without a span; ``asks``: its source waits for it though it sends no spans; ``moves``: it is seen to.
    # ``by_end``: those that move, by ``ended``. ``parent`` is of spans.
    owner: IntArray
    holder: IntArray
    asks: BoolArray
    moves: BoolArray
    back: BoolArray
    failed: BoolArray
    until: IntArray
    arrives: FloatArray
    by_end: IntArray
    ended: IntArray
    parent: IntArray


class _Times(NamedTuple):
    # Of nodes or ways, `NEVER` for never: first begin, last end (nodes) or when the call was made that is the
    # first not to come back (ways), first known error, and when an error happened there (nodes) or a call was
    # known not to come back (ways).
    first: IntArray
    last: IntArray
    failed: IntArray
    broken: IntArray


def route_of(replay: Replay) -> Route:
    """The way of a request. O(spans + legs)."""
    spans, legs = replay.spans, replay.legs
    names, node, source, target = _numbered(spans["service"], legs["source"], legs["target"])
    key = source * len(names) + target
    pairs, way = np.unique(key, return_inverse=True)
    way = way.astype(np.int64)
    ends = np.column_stack([pairs // max(len(names), 1), pairs % max(len(names), 1)]).astype(np.int64)
    sends = np.zeros(len(names), bool)
    sends[node] = True
    start, end = spans["start_ns"].to_numpy(), spans["end_ns"].to_numpy()
    begin, until, span = (legs[name].to_numpy() for name in ("start_ns", "end_ns", "span"))
    parent, failed = spans["parent"].to_numpy(), spans["failed"].to_numpy()
    kind = legs["leg"].to_numpy()
    of = _legs(legs, kind, parent, sends, source, target)
    critical = _critical(replay, np.where(np.isin(kind, ("request", "response")), parent[span], span))
    first, last = np.full((2, len(names)), NEVER, np.int64)
    last[:] = -NEVER
    there = np.isin(kind, ("work", "away")) | ((kind == "message") & ~sends[target])
    for nodes, low, high in (
        (node, start, end),
        (source, begin, until),
        (target[there], begin[there], until[there]),
    ):
        np.minimum.at(first, nodes, low)
        np.maximum.at(last, nodes, high)
    bad = legs["failed"].to_numpy()
    away = bad & (kind == "away")
    blamed = node.copy()
    blamed[span[away]] = target[away]  # what sends no spans cannot say so itself
    origins = _origins(parent, failed)
    known = _earliest(len(names), np.append(node[failed], target[away]), np.append(end[failed], until[away]))
    on_nodes = _Times(first, last, known, _earliest(len(names), blamed[origins], end[origins]))
    lost = _lost(kind, span)
    on_ways = _Times(
        _earliest(len(ends), way, begin),
        _asked(len(ends), way, span, kind, begin, until, lost),
        _earliest(len(ends), way[bad], end[span[bad]]),
        _earliest(len(ends), way[lost], until[lost]),
    )
    lit = _lit(len(ends), way, kind, until, critical)
    queues = ~sends
    queues[np.setdiff1d(np.arange(len(names)), target[kind == "message"])] = False
    return Route(replay, names, ends, sends, queues, node, way, critical, lit, of, on_nodes, on_ways)


def _numbered(service: pl.Series, *sides: pl.Series) -> tuple[list[str], IntArray, IntArray, IntArray]:
    """The distinct names, those with spans first, and the numbers of each series."""
    names = pl.concat([service, *sides]).unique(maintain_order=True)
    known = pl.DataFrame({"name": names, "number": pl.Series(range(len(names)), dtype=pl.Int64)})
    numbers = [
        pl.DataFrame({"name": side}).join(known, on="name", how="left", maintain_order="left")["number"]
        for side in (service, *sides)
    ]
    node, source, target = (np.asarray(number.to_numpy(), np.int64) for number in numbers)
    return names.to_list(), node, source, target


def _legs(
    legs: pl.DataFrame,
    kind: NDArray[np.object_],
    parent: IntArray,
    sends: BoolArray,
    source: IntArray,
    target: IntArray,
) -> _Legs:
    span, until = legs["span"].to_numpy(), legs["end_ns"].to_numpy()
    there = np.isin(kind, ("request", "response"))
    away, message = kind == "away", kind == "message"
    owner = np.where(there, parent[span], np.where(away, span, -1)) if len(span) else span
    holder = np.where(
        away | (message & ~sends[target]), target, np.where(message & ~sends[source], source, -1)
    )
    moves = there | message
    arrives = np.where(kind == "response", 0.0, 1.0)
    by_end = np.flatnonzero(moves)[np.argsort(until[moves], kind="stable")]
    waits = (kind == "work") & ~sends[source] & ~np.isin(source, target)
    failed = legs["failed"].to_numpy()
    return _Legs(
        owner,
        holder,
        waits,
        moves,
        kind == "response",
        failed,
        until,
        arrives,
        by_end,
        until[by_end],
        parent,
    )


def _critical(replay: Replay, owner: IntArray) -> IntArray:
    """When each leg is on the critical path: while a span below its owner is. A subtree is entered once."""
    path, parent = replay.critical, replay.spans["parent"].to_list()
    enter: list[int] = [NEVER] * len(parent)
    leave = [-1] * len(parent)
    for span, start, end in zip(path.span.tolist(), path.start.tolist(), path.end.tolist(), strict=True):
        enter[span], leave[span] = min(enter[span], start), max(leave[span], end)
    for span in range(len(parent) - 1, 0, -1):  # children stand after their parents
        above = parent[span]
        if above >= 0 and leave[span] >= 0:
            enter[above], leave[above] = min(enter[above], enter[span]), max(leave[above], leave[span])
    low, high = np.array(enter, np.int64)[owner], np.array(leave, np.int64)[owner]
    begin = np.maximum(replay.legs["start_ns"].to_numpy(), low)
    until = np.minimum(replay.legs["end_ns"].to_numpy(), high)
    return np.column_stack([begin, np.maximum(until, begin)])


def _lit(
    ways: int, way: IntArray, kind: NDArray[np.object_], until: IntArray, critical: IntArray
) -> IntArray:
    """When the critical path enters each way, and comes to its end: at once where nobody saw it go."""
    on = critical[:, 0] < critical[:, 1]
    travels = np.isin(kind, ("request", "message"))
    arrives = on & (~travels | (critical[:, 1] == until))
    end = np.where(travels, critical[:, 1], critical[:, 0])
    first = _earliest(ways, way[on], critical[on, 0])
    full = _earliest(ways, way[arrives], end[arrives])
    return np.column_stack([first, full])


def _lost(kind: NDArray[np.object_], span: IntArray) -> BoolArray:
    """Work whose answer does not come back: the call was seen to go, and none to return."""
    gone, came = span[kind == "request"], span[kind == "response"]
    lost: BoolArray = (kind == "work") & np.isin(span, gone) & ~np.isin(span, came)
    return lost


def _asked(
    ways: int,
    way: IntArray,
    span: IntArray,
    kind: NDArray[np.object_],
    begin: IntArray,
    until: IntArray,
    lost: BoolArray,
) -> IntArray:
    """When the call was made that is the first of each way not to come back; `NEVER` where all do."""
    found, made = np.full(ways, NEVER, np.int64), np.zeros(int(span.max(initial=-1)) + 1, np.int64)
    gone = np.flatnonzero(kind == "request")
    made[span[gone]] = begin[gone]
    rows = np.flatnonzero(lost)
    rows = rows[np.argsort(-until[rows], kind="stable")]
    found[way[rows]] = made[span[rows]]  # the first is written last
    return found


def _origins(parent: IntArray, failed: BoolArray) -> IntArray:
    """The failed spans that have no failed span below them."""
    bad = np.flatnonzero(failed).tolist()
    above_bad: set[int] = set()
    for span in bad:
        up = int(parent[span])
        while up >= 0 and up not in above_bad:
            above_bad.add(up)
            up = int(parent[up])
    return np.array([span for span in bad if span not in above_bad], np.int64)


def _earliest(count: int, number: IntArray, moment: IntArray) -> IntArray:
    found = np.full(count, NEVER, np.int64)
    np.minimum.at(found, number, moment)
    return found
