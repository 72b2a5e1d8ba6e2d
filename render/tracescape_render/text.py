"""Names and numbers as a scene shows them. Names come from telemetry and are hostile until they pass here."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

LABEL_LENGTH: Final = 28
TOOLTIP_LENGTH: Final = 80


class Lines(Sequence[str]):
    """``count`` texts, each written by ``write`` when it is read: of 100,000 bodies few are looked at."""

    def __init__(self, count: int, write: Callable[[int], str]) -> None:
        self._numbers = range(count)
        self._write = write

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._write(number) for number in self._numbers[index]]
        return self._write(self._numbers[index])

    def __iter__(self) -> Iterator[str]:
        return map(self._write, self._numbers)


def short_names(names: Sequence[str], whole: Sequence[bool]) -> list[str]:
    """Names without the address after their ``@``, where the rest tells them apart.

    A database is ``postgresql orders@db-1:5432``: of one such who would not know. Those that are ``whole``,
    services, are called as they call themselves.
    """
    heads = [
        name if kept else name.partition("@")[0] or name for name, kept in zip(names, whole, strict=True)
    ]
    alike = Counter(heads)
    return [head if alike[head] == 1 else name for name, head in zip(names, heads, strict=True)]


def display_name(name: object, length: int = LABEL_LENGTH) -> str:
    """``name`` on one line, without what a screen cannot show, at most ``length`` characters."""
    text = str(name)[: 4 * length]
    if text.isascii() and text.isprintable():
        shown = text
    else:
        shown = "".join(
            " " if character.isspace() else character for character in text if _visible(character)
        )
    shown = " ".join(shown.split())
    if not shown:
        return "(no name)"
    return shown if len(shown) <= length else shown[: length - 1].rstrip() + "…"


def duration(ns: float | None) -> str:
    """Nanoseconds in the unit a person would use; a dash for none."""
    if ns is None or not math.isfinite(ns) or ns < 0:
        return "–"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            value = ns / size
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.3g} {unit}"
    return f"{ns:.0f} ns"


def state_words(state: object, calls: float | None) -> str:
    """A state as people read it: who is idle may have calls, but too few to tell how they went."""
    return "idle: too few calls to judge" if state == "idle" and calls else str(state)


def rate(per_second: float) -> str:
    """Calls a second, or a minute when they are few."""
    if not math.isfinite(per_second) or per_second < 0:
        return "–"
    if per_second >= 1 or per_second == 0:
        return f"{per_second:,.3g}/s" if per_second < 1_000 else f"{per_second:,.0f}/s"
    return f"{per_second * 60:.2g}/min"


def share(part: float, whole: float) -> str:
    """Per cent, with a decimal when that matters."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def _visible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] not in "CM" or character == "\u0301"
