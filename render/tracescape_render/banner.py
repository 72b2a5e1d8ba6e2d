"""What the banner over the past says: which moment, or which two, in as many words as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracescape_render.strip import clock_words
from tracescape_render.text import duration


def past_words(at_ns: int, now_ns: int | None, *more: str) -> list[str]:
    """That it is the past and which, the longest text first; ``more`` is left out from its end."""
    moments = dict.fromkeys((clock_words(at_ns, now_ns), clock_words(at_ns)))
    longest = next(iter(moments))
    texts = [_line("PAST   " + longest, *more[:count]) for count in range(len(more), 0, -1)]
    return [*texts, *(f"PAST   {moment}" for moment in moments), clock_words(at_ns).partition(" ")[2]]


def both_words(one_ns: int, other_ns: int, *more: str) -> list[str]:
    """Which two moments are told, the earlier first, the longest text first."""
    early, late = (clock_words(at_ns) for at_ns in sorted((one_ns, other_ns)))
    day, _, clock = late.partition(" ")
    short = f"{early} → {clock}" if early.startswith(day) else f"{early} → {late}"
    texts = [_line(f"PAST   {short}", *more[:count]) for count in range(len(more), -1, -1)]
    return [*texts, f"{early.partition(' ')[2]} → {clock}"]


def fitting(texts: Sequence[str], room: float, width_of: Callable[[str], float]) -> str:
    """The first text that is no wider than ``room``; if none is, as much of the last as fits."""
    for text in texts:
        if width_of(text) <= room:
            return text
    shown = texts[-1]
    while len(shown) > 1 and width_of(f"{shown}…") > room:
        shown = shown[: max(1, min(len(shown) - 1, int(len(shown) * room / width_of(f"{shown}…"))))]
    return f"{shown.rstrip()}…"


def length_words(ns: float) -> str:
    """How long a window is, in whole hours, minutes or seconds where it is so many: ``5 min``."""
    for unit, size in (("h", 3_600_000_000_000), ("min", 60_000_000_000)):
        if ns >= size and not ns % size:
            return f"{ns // size:.0f} {unit}"
    return duration(ns)


def _line(*parts: str) -> str:
    return "   ·   ".join(part for part in parts if part)
