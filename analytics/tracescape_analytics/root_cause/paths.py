"""Two critical paths side by side, for people: where one trace lost its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tracescape_analytics.words import counted, readable_duration

#: Of longer paths, the steps that differ most are shown, and what lies between is counted.
SHOWN_STEPS: Final = 8

Row = dict[str, Any]


def path_lines(rows: Sequence[Row]) -> list[str]:
    """A line a step of ``side_by_side``, in order, and one for both sums; an arrow marks the largest change.

    Of more than ``SHOWN_STEPS``, so many are shown: those that differ most. A line says how many of the
    others there are in between, and what they took.
    """
    if not rows:
        return []
    by_change = sorted(range(len(rows)), key=lambda at: (-_change(rows[at]), at))
    shown = set(by_change[:SHOWN_STEPS])
    lines, hidden = [], list[Row]()
    for at, row in enumerate(rows):
        if at not in shown:
            hidden.append(row)
            continue
        lines += _elided(hidden)
        hidden = []
        lines.append(_step_line(row) + "  ◀" * (at == by_change[0]))
    lines += _elided(hidden)
    return [*lines, _line(*_sums(rows), "in all")]


def _step_line(row: Row) -> str:
    return _line(row["typical_ns"], row["bad_ns"], _place(row))


def _change(row: Row) -> int:
    return abs(int(row["bad_ns"]) - int(row["typical_ns"]))


def _place(row: Row) -> str:
    place = f"{row['service']} → {row['target']}" if row["target"] else row["service"]
    return f"{place} ({row['operation']})"


def _elided(rows: Sequence[Row]) -> list[str]:
    # One step takes no more room than to say that it is left out.
    if len(rows) <= 1:
        return [_step_line(row) for row in rows]
    return [_line(*_sums(rows), f"… {counted(len(rows), 'step')} more")]


def _sums(rows: Sequence[Row]) -> tuple[int, int]:
    return sum(row["typical_ns"] for row in rows), sum(row["bad_ns"] for row in rows)


def _line(typical_ns: int, bad_ns: int, what: str) -> str:
    before, after = (readable_duration(ns) if ns else "–" for ns in (typical_ns, bad_ns))
    return f"     {before:>8} → {after:>8}  {what}"
