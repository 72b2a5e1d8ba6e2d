"""Two critical paths side by side, for people: where one trace lost its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tracescape_analytics.words import counted, readable_duration

#: Of longer paths, the steps that differ most are shown, and what lies between is counted.
SHOWN_STEPS: Final = 8

#: The two traces, in the order of ``spent``.
SIDES: Final = ("typical", "bad")

Row = dict[str, Any]


def path_lines(rows: Sequence[Row]) -> list[str]:
    """A line a step of ``side_by_side``, in order, and one for both sums; an arrow marks the largest change.

    Of more than ``SHOWN_STEPS``, so many are shown: those that differ most. A line says how many of the
    others there are in between, and what they took.
    """
    if not rows:
        return []
    most = max(rows, key=change)
    lines = []
    for group in shown_steps(rows, SHOWN_STEPS):
        what = place_of(group[0]) if len(group) == 1 else f"… {counted(len(group), 'step')} more"
        lines.append(_line(*spent(group), what) + "  ◀" * (most in group))
    return [*lines, _line(*spent(rows), "in all")]


def shown_steps(rows: Sequence[Row], most: int) -> list[list[Row]]:
    """Rows in order, each alone if it is among the ``most`` that differ most; what lies between is a group.

    One step that lies between stands alone, too: to say that it is left out takes no less room.
    """
    shown = set(sorted(range(len(rows)), key=lambda at: (-change(rows[at]), at))[:most])
    groups: list[list[Row]] = []
    for at, row in enumerate(rows):
        if at and at not in shown and at - 1 not in shown:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def change(row: Row) -> int:
    """By how much the two traces differ in a step, in ns."""
    return abs(int(row["bad_ns"]) - int(row["typical_ns"]))


def place_of(row: Row, told: Callable[[str], str] = str) -> str:
    """What a step is, in words; ``told`` makes names fit to be shown."""
    service, operation = told(row["service"]), told(row["operation"])
    return f"{service} → {told(row['target'])} ({operation})" if row["target"] else f"{service} ({operation})"


def spent(rows: Sequence[Row]) -> tuple[int, int]:
    """What steps take together in the typical and in the bad trace, in ns."""
    return sum(row["typical_ns"] for row in rows), sum(row["bad_ns"] for row in rows)


def _line(typical_ns: int, bad_ns: int, what: str) -> str:
    before, after = (readable_duration(ns) if ns else "–" for ns in (typical_ns, bad_ns))
    return f"     {before:>8} → {after:>8}  {what}"
