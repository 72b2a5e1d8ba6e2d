"""The world as of a moment: a view of a store that knows nothing of what came later."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import polars as pl

import tracescape_analytics.deployments
from tracescape.answers import Diagnosis, Frame
from tracescape.times import When, format_time
from tracescape_analytics.health import DEFAULT, Thresholds

if TYPE_CHECKING:
    from tracescape.store import Store, Topology

#: What a moment looks back on unless it is told: as much as a live view.
WIDTH: Final = "5m"


@dataclasses.dataclass(frozen=True, repr=False)
class Moment:
    """What a store says of [since_ns, until_ns), the time that ends at a moment. Made by `Store.at`.

    The window ends at the moment, and is compared with what was before it: around the moment, states would
    know what came later. Every answer is that of the store's own method for that window. Spans count by when
    they started, also those that arrived late.
    """

    store: Store
    since_ns: int
    until_ns: int

    def topology(
        self,
        baseline: When | tuple[When, When] = None,
        thresholds: Thresholds = DEFAULT,
        environment: str | None = None,
    ) -> Topology:
        """As `Store.topology`."""
        return self.store.topology(self.since_ns, self.until_ns, baseline, thresholds, environment)

    def health(
        self, baseline: When = None, thresholds: Thresholds = DEFAULT, environment: str | None = None
    ) -> pl.DataFrame:
        """As `Store.health`."""
        return self.store.health(self.since_ns, self.until_ns, baseline, thresholds, environment)

    def services(
        self, baseline: When = None, thresholds: Thresholds = DEFAULT, environment: str | None = None
    ) -> pl.DataFrame:
        """As `Store.services`."""
        return self.store.services(self.since_ns, self.until_ns, baseline, thresholds, environment)

    def red(
        self,
        service: str | None = None,
        by: str = "service",
        step: str | int | None = None,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """As `Store.red`."""
        return self.store.red(service, self.since_ns, self.until_ns, by, step, environment)

    def absence(
        self, baseline: When = None, thresholds: Thresholds = DEFAULT, environment: str | None = None
    ) -> pl.DataFrame:
        """As `Store.absence`: reads spans."""
        return self.store.absence(self.since_ns, self.until_ns, baseline, thresholds, environment)

    def diagnose(self, baseline: When | tuple[When, When] = None) -> Diagnosis:
        """As `Store.diagnose`: reads spans, of the window and of six times as much before it."""
        return self.store.diagnose(self.since_ns, self.until_ns, baseline)

    def versions(self) -> pl.DataFrame:
        """Which versions of what sent spans: ``service, version, spans, first_ns``; see docs/columns.md."""
        return Frame(
            tracescape_analytics.deployments.versions(self.store.reader, self.since_ns, self.until_ns)
        )

    @property
    def note(self) -> str | None:
        """Why there is nothing to see; None where spans are stored of that time."""
        since, until = self.since_ns, self.until_ns
        first, last, inside = _around(self.store, since, until)
        if inside:
            return None
        window = f"from {format_time(since)} to {format_time(until)}"
        if first is None and last is None:
            return f"{self.store.location} holds no spans yet"
        if last is None:
            assert first is not None
            return f"nothing is stored {window}: the first span starts {format_time(first)}{_pruned(self)}"
        if first is None:
            return f"nothing is stored {window}: the last span starts {format_time(last)}"
        return (
            f"nothing is stored {window}, a gap: spans before it start until {format_time(last)}, "
            f"those after it from {format_time(first)} on"
        )

    def __repr__(self) -> str:
        """From when to when, and what there is."""
        window = f"{format_time(self.since_ns)} – {format_time(self.until_ns)}"
        note = self.note
        return f"<Moment {window} of {self.store.location}{': ' + note if note else ''}>"


def _around(store: Store, since_ns: int, until_ns: int) -> tuple[int | None, int | None, bool]:
    # The first start from the end of a window on, the last one before its begin, and whether one is inside.
    found = store.reader.sql(
        f"SELECT (SELECT min(start_ns) FROM spans WHERE start_ns >= {until_ns}) AS first,"
        f" (SELECT max(start_ns) FROM spans WHERE start_ns < {since_ns}) AS last,"
        f" EXISTS (FROM spans WHERE start_ns >= {since_ns} AND start_ns < {until_ns}) AS inside"
    ).to_pylist()[0]
    return found["first"], found["last"], found["inside"]


def _pruned(moment: Moment) -> str:
    found = moment.store.reader.sql("SELECT max(last_start_ns) AS until FROM tracescape_pruned")
    until = found["until"][0].as_py()
    if until is None or until < moment.since_ns:
        return ""
    return f"; what was before has been pruned, up to {format_time(until)}"
