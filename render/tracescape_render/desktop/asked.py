"""What a window asks about what it shows, on other threads, and what it was told so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from tracescape_render.asking import Asker
from tracescape_render.charts.chart import Chart
from tracescape_render.snapshot import Details, Index, Questions, Snapshot

#: Details and names are asked for again this seldom while things change.
_DETAILS_EVERY_S: Final = 5.0
_INDEX_EVERY_S: Final = 30.0


class Asked:
    """``questions`` answers about a snapshot that names nobody of its own. Not thread-safe.

    Attributes:
        known: what is known of the service that was asked about last; None while it is on its way.
        index: names, of whatever was shown when they were asked for.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._details: Asker[tuple[str, int | None, Questions], Details] = Asker(
            lambda wish: wish[2].details(wish[0]), "details"
        )
        self._names: Asker[Questions, Index] = Asker(lambda asked: asked.index(), "names")
        self._traces: Asker[str, Chart] = Asker(questions.trace, "traces")
        self._details_at = self._index_at = 0.0
        self._trace: str | None = None
        self.known: Details | None = None
        self.index = Index()

    def details(self, service: str, snapshot: Snapshot) -> None:
        """Ask about a service in what is shown."""
        self._details_at = time.monotonic()
        self._details.want((service, snapshot.at_ns, snapshot.questions or self._questions))

    def names(self, snapshot: Snapshot) -> None:
        """Ask for the names of what is shown."""
        self._index_at = time.monotonic()
        self._names.want(snapshot.questions or self._questions)

    def trace(self, trace_id: str) -> None:
        """Ask for a trace's waterfall."""
        self._trace = trace_id
        self._traces.want(trace_id)

    def give_up(self) -> None:
        """Nobody waits for a waterfall any more."""
        self._traces.forget()

    def forget(self) -> None:
        """Nobody is selected."""
        self.known = None
        self._details.forget()

    def another_time(self) -> None:
        """What was told is of another time: everything is asked anew when it is next renewed."""
        self.known, self._details_at, self._index_at = None, 0.0, 0.0

    def renew(self, service: str | None, snapshot: Snapshot) -> None:
        """Ask again what was asked too long ago, about ``service`` if one is selected."""
        now = time.monotonic()
        if service is not None and now - self._details_at > _DETAILS_EVERY_S:
            self.details(service, snapshot)
        if now - self._index_at > _INDEX_EVERY_S:
            self.names(snapshot)

    def take_details(self, service: str | None, snapshot: Snapshot) -> Iterator[Details | Exception]:
        """What came about ``service`` as it is in ``snapshot``; answers about others are dropped."""
        for (name, at_ns, _), details in self._details.take():
            if name != service or at_ns != snapshot.at_ns:
                continue  # somebody else is selected by now, or another time is shown
            if isinstance(details, Details):
                self.known = details
            yield details

    def take_names(self) -> None:
        """Know the names that came."""
        for _, index in self._names.take():
            if isinstance(index, Index):
                self.index = index

    def take_traces(self) -> list[tuple[str, Chart | Exception]]:
        """The trace that was asked for last, by its id, if it came."""
        return [came for came in self._traces.take() if came[0] == self._trace]

    def stop(self) -> None:
        """Ask no more. What is under way is not waited for long."""
        for asker in (self._details, self._names, self._traces):
            asker.stop()
