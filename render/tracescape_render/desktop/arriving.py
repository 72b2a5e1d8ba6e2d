"""Whether more of a trace may still come, and how often to ask for it."""

from __future__ import annotations

from typing import Final

from tracescape_render.snapshot import Snapshot

#: A trace that may still be under way is asked for again this seldom,
_AGAIN_S: Final = 2.0
#: as long as its last span ended less than so long before the newest of all.
_ARRIVES_NS: Final = 60_000_000_000
_LARGE: Final = 10_000


def may_arrive(snapshot: Snapshot, end_ns: int) -> bool:
    """Whether spans of a trace that ends at ``end_ns``, as far as is known, may still be on their way."""
    newest = snapshot.newest_ns
    return snapshot.live and newest is not None and newest - end_ns < _ARRIVES_NS


def pause(spans: int) -> float:
    """Seconds until a trace of so many spans is asked for again: a large one takes long to read."""
    return _AGAIN_S * max(1.0, spans / _LARGE)
