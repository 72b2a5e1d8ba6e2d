"""What is asked: windows and baselines, frozen before any method sees a span.

A case is a window of a fault and the services at fault; a quiet window has none. Times are epoch ns, windows
``[since, until)``. Nothing here looks at spans but at their starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MINUTE_NS: Final = 60_000_000_000
#: What follows a fault is no baseline for so long.
MARGIN_NS: Final = 5 * MINUTE_NS

Interval = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """``truth`` is empty for a quiet window; ``baseline`` holds intervals in order of time.

    ``truth`` and ``fault`` are for scoring alone.
    """

    name: str
    window: Interval
    baseline: tuple[Interval, ...]
    truth: frozenset[str] = frozenset()
    fault: str = ""


def without(interval: Interval, taken: Sequence[Interval]) -> list[Interval]:
    """What of ``interval`` none of ``taken`` covers."""
    left: list[Interval] = []
    begin, end = interval
    for since, until in sorted(taken):
        if since > begin:
            left.append((begin, min(since, end)))
        begin = max(begin, until)
        if begin >= end:
            break
    if begin < end:
        left.append((begin, end))
    return [(since, until) for since, until in left if since < until]


def fault_cases(faults: Sequence[dict[str, object]], day: Interval) -> list[Case]:
    """A case a fault, against everything that is outside of all faults and the margins after them."""
    quiet = tuple(quiet_time(faults, day))
    return [
        Case(
            name=f"{fault['service']} {fault['fault']} @{_int(fault['start_ns']) // 10**9}",
            window=(_int(fault["start_ns"]), _int(fault["end_ns"])),
            baseline=quiet,
            truth=frozenset({str(fault["service"])}),
            fault=str(fault["fault"]),
        )
        for fault in faults
    ]


def quiet_time(faults: Sequence[dict[str, object]], day: Interval) -> list[Interval]:
    """The day without faults and the margin after each."""
    return without(day, [(_int(each["start_ns"]), _int(each["end_ns"]) + MARGIN_NS) for each in faults])


def quiet_cases(quiet: Sequence[Interval], length_ns: int) -> list[Case]:
    """Windows of ``length_ns`` side by side in quiet time, each against all other quiet time."""
    windows = [
        (since + i * length_ns, since + (i + 1) * length_ns)
        for since, until in quiet
        for i in range((until - since) // length_ns)
    ]
    return [
        Case(
            f"quiet @{window[0] // 10**9}",
            window,
            tuple(piece for q in quiet for piece in without(q, [window])),
        )
        for window in windows
    ]


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
