"""Finding a name by what somebody half remembers of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

_BREAKS: Final = frozenset("-_./ :{}()[]→")
#: Of a name that somebody sent, only so much is looked at.
_LOOKED_AT: Final = 200
_TRACE_DIGITS: Final = 32
_HEX: Final = "0123456789abcdef"


class Hit(NamedTuple):
    """Something found: a service, or an operation of one (empty: the service itself), or a trace.

    A trace is to be ridden, or to be stepped ``inside`` of.
    """

    service: str
    operation: str
    trace: str = ""
    inside: bool = False


def score(query: str, name: str) -> float | None:
    """How well ``name`` matches: the larger the better, None if not all characters come in that order.

    Whole names, beginnings, beginnings of words and runs count more; long names less.
    """
    wanted, text = "".join(query.lower().split()), name[:_LOOKED_AT].lower()
    if not wanted:
        return 0.0
    place = text.find(wanted)
    if place >= 0:
        bonus = (
            40.0 if text == wanted else 25.0 if place == 0 else 15.0 if text[place - 1] in _BREAKS else 8.0
        )
        return 2.0 * len(wanted) + bonus - 0.02 * len(text)
    total, at, run = 0.0, 0, False
    for character in wanted:
        found = text.find(character, at)
        if found < 0:
            return None
        run = found == at and at > 0
        total += 1.5 if run else 1.2 if found == 0 or text[found - 1] in _BREAKS else 0.3
        total -= 0.05 * (found - at)
        at = found + 1
    return total - 0.02 * len(text)


def ranked(query: str, names: Iterable[Hit], most: int = 12) -> list[Hit]:
    """The best hits, services before operations that match as well; at most ``most``.

    What is a trace's id finds that before all: to ride it, and to step inside.
    """
    digits = query.strip().lower().replace("-", "")
    is_id = len(digits) == _TRACE_DIGITS and not digits.strip(_HEX)
    traces = [Hit("", "", digits, inside) for inside in (False, True)] if is_id else []
    found = []
    for number, hit in enumerate(names):
        value = score(query, hit.operation or hit.service)
        if value is None and hit.operation:
            both = score(query, f"{hit.service} {hit.operation}")
            value = None if both is None else both - 3.0
        if value is not None:
            found.append((-(value + (0.0 if hit.operation else 2.0)), number, hit))
    return [*traces, *(hit for _, _, hit in sorted(found)[:most])]
