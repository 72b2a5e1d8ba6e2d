"""What counts as now in a live store, where a clock may be wrong by years."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tracescape.times import format_time

if TYPE_CHECKING:
    from tracescape.store import Store

_MINUTE_NS: Final = 60_000_000_000
#: Senders' clocks may be ahead by so much: a span that starts later is not what happens now.
AHEAD_NS: Final = 10 * _MINUTE_NS


class Horizon(NamedTuple):
    """``until_ns`` ends what counts as now, epoch ns; None where all that is stored does.

    ``last_ns`` is the last start that does, ``beyond_ns`` the last of all.
    """

    until_ns: int | None
    last_ns: int
    beyond_ns: int

    @property
    def note(self) -> str:
        """That something is left out; empty where nothing is."""
        if self.until_ns is None:
            return ""
        return f"spans dated up to {format_time(self.beyond_ns)} are not counted as now"


def horizon(store: Store) -> Horizon:
    """Of a live store: what starts more than ``AHEAD_NS`` from now is not now. A file has no now."""
    last = store.extent().last_start_ns
    now = time.time_ns()
    if not store.live or last <= now + AHEAD_NS:
        return Horizon(None, last, last)
    found = store.reader.sql(f"SELECT max(start_ns) AS last FROM spans WHERE start_ns < {now}")
    inside = found["last"][0].as_py()
    return Horizon(now, now if inside is None else inside, last)
