"""Over time: a timeline with marks, and the world as it was at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl

import tracescape_analytics.marks
import tracescape_analytics.timeline
from tracescape.answers import Frame
from tracescape.moment import WIDTH, Moment
from tracescape.patience import patiently
from tracescape.times import When, parse_duration

if TYPE_CHECKING:
    from tracescape.store import Store


class TimeTravel:
    """The methods of a store that go through time."""

    @patiently("drawing the timeline")
    def timeline(
        self,
        since: When = None,
        until: When = None,
        step: str | int | None = None,
        service: str | None = None,
        most: int = tracescape_analytics.timeline.USUAL,
    ) -> pl.DataFrame:
        """Rate, errors, latency of everything by step of time, and of one ``service`` (or database, …).

        ``step`` is ``"5m"`` or ns; without it one is chosen that gives at most ``most`` of them. Read from
        the counts that a collector keeps by minute. See docs/time.md; `marks` says where something happened.
        """
        store = cast("Store", self)
        window = store.window(since, until)
        found = tracescape_analytics.timeline.timeline(
            store.reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            step_ns=parse_duration(step) if isinstance(step, str) else step,
            service=service,
            most=most,
        )
        return Frame(found)

    @patiently("looking for what happened")
    def marks(self, since: When = None, until: When = None, changes: bool = True) -> pl.DataFrame:
        """Where a timeline is marked: changes as `diagnose` sees them, deployments, absences and gaps.

        Changes are looked for among spans, which may take seconds: without ``changes`` they are left out.
        """
        store = cast("Store", self)
        window = store.window(since, until)
        found = tracescape_analytics.marks.marks(
            store.reader, since_ns=window.since_ns, until_ns=window.until_ns, changes=changes
        )
        return Frame(found)

    def at(self, moment: When, width: str | int = WIDTH) -> Moment:
        """The world as it was at ``moment``: what started in the ``width`` before it, judged by its past.

        A moment in whole minutes is answered from the counts that a collector keeps, any other reads the
        spans of the minutes that it cuts.

        Raises:
            ValueError: ``moment`` is no time, or the width is none. A moment of which nothing is stored is
                no error: `Moment.note` says why it is empty.
        """
        store = cast("Store", self)
        _, until = store.window(None, moment)
        length = parse_duration(width) if isinstance(width, str) else width
        if until is None:
            raise ValueError("at which moment? Write 15m, 2026-11-22T10:15 or epoch nanoseconds")
        if length <= 0:
            raise ValueError(f"a moment of width {width!r} holds nothing")
        return Moment(store, max(until - length, 0), until)
