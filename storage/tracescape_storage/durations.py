"""Durations as people write them, in nanoseconds."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|d)")
_LIMIT_NS: Final = 2**63 - 1
_MAX_TEXT: Final = 100


def parse_duration(text: str) -> int:
    """Nanoseconds of ``"90s"``, ``"1.5h"``, ``"1h30m"``. Raises ``ValueError`` with an example."""
    stripped = text.strip().lower() if len(text) <= _MAX_TEXT else ""
    parts = list(_DURATION.finditer(stripped))
    if not parts or "".join(part[0] for part in parts).replace(" ", "") != stripped.replace(" ", ""):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is no duration; write 200ms, 15m, 1h30m or 7d")
    total = sum(round(Fraction(part[1]) * _UNITS[part[2]]) for part in parts)
    if total > _LIMIT_NS:
        raise ValueError(f"{text!r} is longer than 292 years")
    return total
