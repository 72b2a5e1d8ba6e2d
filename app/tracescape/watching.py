"""What broke in what a view shows, and goes on being said for as long as it lasts."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from tracescape.answers import Frame
from tracescape.horizon import horizon
from tracescape_render.phantoms import with_phantoms
from tracescape_render.verdict import leading

if TYPE_CHECKING:
    import polars as pl

    from tracescape.answers import Diagnosis
    from tracescape.store import Store, Topology

_log = logging.getLogger(__name__)
_MINUTE_NS: Final = 60 * 1_000_000_000
#: What a live view looks for causes in: an incident that has just begun must not drown in the time before.
_WINDOW_NS: Final = 2 * _MINUTE_NS
_BASELINE_NS: Final = 6 * _WINDOW_NS
#: So long ago it may have begun, when one begins to look: each is tried until a cause is found.
_AGES_NS: Final = tuple(minutes * _MINUTE_NS for minutes in (8, 16, 32, 64, 128, 256, 512, 1024, 1440))
#: A topology that begins so recently is a live one.
_LIVE_NS: Final = 10 * _MINUTE_NS
_SICK: Final = ("failing", "degraded", "absent")
#: Causes, which are dear, are asked for this seldom, and take up no more than this share of time.
_EVERY_S: Final = 10.0
_SHARE: Final = 0.1


class Watch:
    """Causes of what ``store`` goes through, for one view, which asks from one thread.

    In a live view the last minutes are compared with those before, but for a time of the same length between
    them, in which what goes on now may have begun: with part of it in both, nothing would differ. An incident
    that lasts would soon be compared with itself; so it is compared with the time before it began, until it
    is over. Who begins to look in the middle of one, where something is sick for no cause of the last
    minutes, compares with ever earlier times.

    ``given`` says that somebody chose the window, ``usual`` the time that it is compared with: by default
    what was just before it.
    """

    def __init__(self, store: Store, *, given: bool = False, usual: tuple[int, int] | None = None) -> None:
        self._store = store
        self._given, self._usual = given, usual
        self._before: tuple[int, int] | None = None  # the time before the incident that was found
        self._causes: pl.DataFrame | None = None
        self._absent: pl.DataFrame | None = None
        self._due = 0.0
        self._asking: threading.Thread | None = None

    def latest(self, topology: Topology) -> pl.DataFrame | None:
        """The newest `causes` that are known, at once; None before the first.

        When their time has come they are asked for again, on a thread of its own. Of a file, which nobody
        asks a second time, they are waited for.
        """
        if time.monotonic() >= self._due and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(
                target=self._ask, args=(topology,), name="tracescape-causes", daemon=True
            )
            self._asking.start()
            if not self._store.live:
                self._asking.join()
        return self._causes

    def _ask(self, topology: Topology) -> None:
        began = time.monotonic()
        try:
            self._causes = self.causes(topology)
        except Exception as error:  # whatever it is, what was known is known until it goes well again
            _log.warning("causes could not be asked for: %s", error)
        now = time.monotonic()
        self._due = now + max(_EVERY_S, (now - began) / _SHARE)

    def causes(self, topology: Topology) -> pl.DataFrame | None:
        """What broke in what ``topology`` shows, or a suspect: see `leading`.

        None where there is nothing to compare it with.
        """
        found = self.diagnosis(topology)
        return None if found is None else leading(found)

    def diagnosis(self, topology: Topology) -> Diagnosis | None:
        """As `causes`, with all that is known of them."""
        if not topology.spans:
            return None
        try:
            return self._found(topology)
        except ValueError:
            return None

    def completed(self, topology: Topology) -> Topology:
        """``topology`` with those that a chosen window lacks, as far as `causes` has found them.

        A topology looks back no farther than its own length, and a day where the store keeps its counts. What
        has been gone for longer than that is known from the time that the diagnosis compares with.
        """
        nodes, edges = with_phantoms(topology.nodes, topology.edges, self._causes, self._absent)
        return dataclasses.replace(topology, nodes=Frame(nodes), edges=Frame(edges))

    def _found(self, topology: Topology) -> Diagnosis:
        if self._given:
            since, until = topology.since_ns, topology.until_ns
            found = self._store.diagnose(since, until, self._usual)
            self._absent = self._store.absence(since, until, found.baseline[0][0])
            return found
        if self._store.live and topology.since_ns >= time.time_ns() - _LIVE_NS:
            return self._lately(topology)
        return self._store.diagnose()

    def _lately(self, topology: Topology) -> Diagnosis:
        since, until = time.time_ns() - _WINDOW_NS, horizon(self._store).until_ns
        if self._before is not None:
            lasting = self._store.diagnose(since, until, self._before)
            if len(lasting.causes):
                return lasting
            self._before = None
        new = self._store.diagnose(since, until, self._apart(since))
        if len(new.causes):
            self._before = new.baseline[0]
            return new
        if not topology.nodes["state"].is_in(_SICK).any():
            return new
        return self._begun_earlier(since, until) or new

    def _apart(self, since: int) -> tuple[int, int] | None:
        # What a window is compared with; None, what is just before, where no more is stored.
        first, end = self._store.extent().first_start_ns, since - _WINDOW_NS
        return (max(end - _BASELINE_NS, first), end) if end - _MINUTE_NS >= first else None

    def _begun_earlier(self, since: int, now: int | None) -> Diagnosis | None:
        first = self._store.extent().first_start_ns
        for age in _AGES_NS:
            until = since + _WINDOW_NS - age
            if until - _MINUTE_NS < first:
                break
            before = max(until - _BASELINE_NS, first), until
            found = self._store.diagnose(since, now, before)
            if len(found.causes):
                self._before = before
                return found
        return None
