"""What a window is told of the past of a store: its timeline, and the world as it was at a moment."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import polars as pl

from tracescape.changed import Changed
from tracescape.horizon import horizon
from tracescape.moment import WIDTH
from tracescape.places import Places
from tracescape.time_shown import moment_words
from tracescape.times import format_time, parse_duration
from tracescape_analytics.errors import UnknownServiceError
from tracescape_render.snapshot import LineWish, MomentWish, Snapshot
from tracescape_render.strip import LINE_SCHEMA, MARK_SCHEMA, Line

if TYPE_CHECKING:
    from tracescape.places import Positions
    from tracescape.store import Store, Topology
    from tracescape_render import Scene

_MINUTE_NS: Final = 60 * 1_000_000_000
#: In a store of less time than this, a moment looks back on a minute: five would be much of all there is.
_SHORT_NS: Final = 60 * _MINUTE_NS


_NOTHING: Final = "Nothing is stored of this moment"


class Past:
    """Answers about ``store``, on any thread; ``target`` is how a command line names it.

    ``width`` is how long a moment looks back, else 5 minutes, and one in a store of less than an hour.
    """

    def __init__(self, store: Store, target: str | None = None, width: str | None = None) -> None:
        self._store = store
        self._target = target or store.location
        self._width = width
        self.places = Places(store)
        self._other: tuple[tuple[int, int], Topology, str | None] | None = None  # what was compared with last
        self._changed = Changed(store)

    def width_ns(self) -> int:
        """How long a moment looks back."""
        if self._width is not None:
            return parse_duration(self._width)
        extent = self._store.extent()
        short = extent.spans > 0 and horizon(self._store).last_ns - extent.first_start_ns < _SHORT_NS
        return _MINUTE_NS if short else parse_duration(WIDTH)

    def line(self, wish: LineWish) -> Line:
        """The timeline, as `Store.timeline` and `Store.marks` have it."""
        extent = self._store.extent()
        if not extent.spans:
            return Line(selected=wish.service)
        stored = extent.first_start_ns, max(horizon(self._store).last_ns, extent.first_start_ns) + 1
        since, until = wish.range_ns or stored
        since, until = max(since, stored[0]), min(until, stored[1])
        if until <= since:  # pruned meanwhile
            since, until = stored
        if wish.marks:
            marks = self._store.marks(since, until).select(list(MARK_SCHEMA))
            if (since, until) == stored:
                self._changed.knows(marks)
            return Line(since, until, stored, marks=marks)
        return Line(since, until, stored, self._steps(since, until, wish.service), selected=wish.service)

    def moment(self, wish: MomentWish) -> tuple[Topology, Snapshot]:
        """What the core says of the time before a moment, and how it looks."""
        from tracescape.view import explore_command, snapshot_of
        from tracescape.watching import Watch

        width = self.width_ns()
        moment = self._store.at(wish.at_ns, width)
        usual = self._changed.usual(moment.since_ns, moment.until_ns, look=wish.causes)
        topology = moment.topology(None if usual is None else (usual[1] - width, usual[1]))
        causes = None
        if wish.causes:
            watch = Watch(self._store, given=True, usual=usual)
            causes = watch.causes(topology)
            over = self._changed.over(moment.since_ns, moment.until_ns, look=True)
            if causes is not None and over is not None:
                causes = causes.with_columns(over_ns=pl.lit(over, pl.Int64))
            topology = watch.completed(topology)
        with self.places as positions:
            shown = snapshot_of(topology, self._store, positions, causes, settled=bool(positions))
            both = self._both(topology, wish, width, positions)
        beside = "" if usual is None else f"beside {format_time(usual[1])}, before it changed · "
        scene = dataclasses.replace(shown.scene, caption=f"the past · {beside}{shown.scene.caption}")
        if not topology.spans:
            scene = dataclasses.replace(scene, headline=_NOTHING, caption=f"the past · {moment.note}")
        width = moment.until_ns - moment.since_ns
        words = moment_words(wish.at_ns, width, against_ns=wish.against_ns)
        return topology, dataclasses.replace(
            shown,
            scene=scene,
            at_ns=wish.at_ns,
            width_ns=width,
            reasoned=wish.causes,
            against_ns=wish.against_ns,
            both=both,
            command=explore_command(self._target, words),
        )

    def other(self, wish: MomentWish) -> Topology | None:
        """What a moment that was asked for last is compared with; None for none."""
        other = self._other
        return None if other is None or other[0][0] != wish.against_ns else other[1]

    def _both(self, topology: Topology, wish: MomentWish, width: int, positions: Positions) -> Scene | None:
        """The two moments in one world, the earlier before the later; None without another one."""
        from tracescape_render.contrast import contrasted

        if wish.against_ns is None or wish.against_ns == wish.at_ns:
            return None
        if self._other is None or self._other[0] != (wish.against_ns, width):
            moment = self._store.at(wish.against_ns, width)
            self._other = (wish.against_ns, width), moment.topology(), moment.note
        _, other, note = self._other
        sides = (topology, other) if wish.at_ns < wish.against_ns else (other, topology)
        found = sides[0].compare(sides[1])
        both = contrasted(
            found.nodes,
            found.edges,
            before=found.before,
            after=found.after,
            positions=positions,
            location=self._store.location,
        )
        if topology.spans == 0:
            note = self._store.at(wish.at_ns, width).note
        return both if note is None else dataclasses.replace(both, caption=f"{note} · {both.caption}")

    def _steps(self, since: int, until: int, service: str | None) -> pl.DataFrame:
        columns = list(LINE_SCHEMA)
        try:
            return self._store.timeline(since, until, service=service).select(columns)
        except UnknownServiceError:  # it was not called in this stretch of time
            return self._store.timeline(since, until).select(columns)
