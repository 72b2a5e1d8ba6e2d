"""Where an axis of time has its ticks, and what stands there."""

from __future__ import annotations

from datetime import datetime

from tracescape_analytics.steps import DAY_NS, SECOND_NS, step_for
from tracescape_render.text import duration


def offset_ticks(first_ns: int, last_ns: int, most: int) -> list[tuple[int, str]]:
    """(offset, text) of ticks within [first, last]; 0 is one of them if it is inside."""
    step = step_for(max(last_ns - first_ns, 1), most)
    begin = -(-first_ns // step) * step
    return [(at, signed(at)) for at in range(begin, last_ns + 1, step)]


def signed(offset_ns: int) -> str:
    """An offset for people: ``0``, ``50 ms``, ``−3 µs``."""
    if offset_ns == 0:
        return "0"
    return f"−{duration(-offset_ns)}" if offset_ns < 0 else duration(offset_ns)


def clock_ticks(since_ns: int, until_ns: int, most: int) -> list[tuple[int, str]]:
    """(epoch ns, local time) of ticks within [since, until]; offsets where the window is too short for it."""
    if until_ns - since_ns < 2 * SECOND_NS:
        ticks = offset_ticks(0, until_ns - since_ns, most)
        return [(since_ns + at, f"+{text}" if at else text) for at, text in ticks]
    step = step_for(until_ns - since_ns, most)
    shift = local(since_ns).utcoffset()
    ahead = 0 if shift is None else int(shift.total_seconds()) * SECOND_NS
    begin = -(-(since_ns + ahead) // step) * step - ahead
    form = "%b %d" if step >= DAY_NS else "%H:%M" if step >= 60 * SECOND_NS else "%H:%M:%S"
    return [(at, local(at).strftime(form)) for at in range(begin, until_ns + 1, step)]


def local(epoch_ns: int) -> datetime:
    """The moment in local time."""
    return datetime.fromtimestamp(epoch_ns // SECOND_NS).astimezone()


def moment(epoch_ns: int) -> str:
    """Local date and time to the second."""
    return local(epoch_ns).strftime("%Y-%m-%d %H:%M:%S")
