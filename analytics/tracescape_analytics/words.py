"""Numbers as people read them."""

from __future__ import annotations


def readable_duration(duration_ns: int) -> str:
    """A duration for people, in the unit that suits it."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if duration_ns >= size:
            value = duration_ns / size
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.3g} {unit}"
    return f"{duration_ns} ns"


def counted(number: int, noun: str) -> str:
    """``1 span``, ``2 spans``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
