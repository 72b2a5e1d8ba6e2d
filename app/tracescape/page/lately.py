"""What is wrong now, for everybody who looks at one store: asked for seldom, and once for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tracescape.watching import Watch
from tracescape_render.verdict import leading

if TYPE_CHECKING:
    import polars as pl

    from tracescape.answers import Diagnosis
    from tracescape.store import Store, Topology

#: An answer is told again for so long, and for as many times as long as it took.
_EVERY_S: Final = 10.0
_TIMES: Final = 10.0


class LatelyCauses:
    """`Watch` for many viewers, on any thread; ``store`` stays open for as long as this is used."""

    def __init__(self, store: Store) -> None:
        self._watch = Watch(store)
        self._asking = threading.Lock()
        self._found: Diagnosis | None = None
        self._due = 0.0

    def found(self, topology: Callable[[], Topology]) -> Diagnosis | None:
        """What broke in ``topology``, which is asked for if it is time; None where nothing is to compare."""
        with self._asking:
            if time.monotonic() >= self._due:
                began = time.monotonic()
                self._found = self._watch.diagnosis(topology())
                took = time.monotonic() - began
                self._due = time.monotonic() + max(_EVERY_S, took * _TIMES)
            return self._found

    def known(self) -> pl.DataFrame | None:
        """The causes that were found last, at once."""
        found = self._found
        return None if found is None else leading(found)
