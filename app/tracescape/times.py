"""What people write for a time, as epoch nanoseconds; what programs hold, as text for people."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from tracescape_storage.durations import parse_duration
from tracescape_storage.local_time import in_local_zone, readable_time

__all__ = [
    "When",
    "Window",
    "format_duration",
    "format_time",
    "parse_duration",
    "parse_when",
    "to_ns",
]

#: ``"15m"`` (back from the reference), ISO text, a datetime (naive = local time) or epoch nanoseconds.
When: TypeAlias = str | int | datetime | None

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT_NS: Final = 2**63 - 1


class Window(NamedTuple):
    """``[since_ns, until_ns)`` by span start; None leaves a side open."""

    since_ns: int | None
    until_ns: int | None


def parse_when(when: When, *, reference_ns: int) -> int | None:
    """Epoch nanoseconds of ``when``; a duration counts back from ``reference_ns``.

    Raises ``ValueError`` that says what can be written.
    """
    if when is None:
        return None
    if isinstance(when, datetime):
        return to_ns(when)
    if not isinstance(when, str):
        return _checked(_whole(when))
    if when.strip().lower() == "now":
        return reference_ns
    if re.fullmatch(r"\d{16,19}", when.strip()):
        return _checked(int(when))
    try:
        return reference_ns - parse_duration(when)
    except ValueError:
        pass
    try:
        return to_ns(datetime.fromisoformat(when.strip()))
    except ValueError:
        raise _no_time(when) from None


def to_ns(moment: datetime) -> int:
    """Epoch nanoseconds, exactly; a naive datetime is local time."""
    delta = in_local_zone(moment).astimezone(UTC) - _EPOCH
    return _checked((delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000)


def format_time(ns: int) -> str:
    """Local time to the second, with the date."""
    return readable_time(ns)


def format_duration(ns: float) -> str:
    """Three significant digits and a unit: ``1.25 ms``, ``3.4 s``, ``2 min 5 s``."""
    if ns < 1_000:
        return f"{ns:.0f} ns"
    for unit, size in (("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        if ns < size * (1_000 if unit != "s" else 120):
            return f"{ns / size:.3g} {unit}"
    seconds = round(ns / 1e9)
    if seconds < 7_200:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"


def _whole(when: object) -> int:
    # Any kind of whole number, NumPy's too.
    try:
        return operator.index(when)  # type: ignore[arg-type]  # what has no index is an error
    except TypeError:
        raise _no_time(when) from None


def _no_time(when: object) -> ValueError:
    return ValueError(
        f"{when!r:.80} is no time; write 15m, 2026-11-22T10:15, 2026-11-22T10:15:00Z or epoch nanoseconds"
    )


def _checked(ns: int) -> int:
    if not 0 <= ns <= _LIMIT_NS:
        raise ValueError(f"{ns} is no time in epoch nanoseconds (0 to {_LIMIT_NS})")
    return ns
