"""What everybody sees who looks at one store now: asked once for all of them, and what is kept is used."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from tracescape.page.world import Worlds
from tracescape.view import recent
from tracescape.watching import Watch
from tracescape_render.verdict import leading

if TYPE_CHECKING:
    import polars as pl

    from tracescape.answers import Diagnosis
    from tracescape.store import Store, Topology

#: An answer is told again for so long, and for as many times as long as it took.
_EVERY_S: Final = 10.0
_TIMES: Final = 10.0
_MINUTE_NS: Final = 60 * 1_000_000_000


class Present:
    """The last minutes of a store for many viewers, on any thread; ``store`` stays open meanwhile.

    What is asked here is not called off when one of them leaves.

    Attributes:
        worlds: what they see in three dimensions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watch = Watch(store)
        self.worlds = Worlds(store)
        self._asking = threading.Lock()
        self._found: Diagnosis | None = None
        self._due = 0.0

    def topology(self, since_ns: int) -> Topology:
        """The topology from the minute of ``since_ns`` on: of whole minutes, only what is new is read."""
        return self._store.topology(since_ns // _MINUTE_NS * _MINUTE_NS)

    def causes(self) -> Diagnosis | None:
        """What broke lately, asked for again if it is time; None where there is nothing to compare."""
        with self._asking:
            if time.monotonic() >= self._due:
                began = time.monotonic()
                self._found = self._watch.diagnosis(recent(self._store))
                took = time.monotonic() - began
                self._due = time.monotonic() + max(_EVERY_S, took * _TIMES)
            return self._found

    def known_causes(self) -> pl.DataFrame | None:
        """The causes that were found last, at once."""
        found = self._found
        return None if found is None else leading(found)
