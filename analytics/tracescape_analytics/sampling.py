"""How many calls a stored span stands for.

A span that was kept with probability p stands for 1 / p spans. Counts of calls are made of two parts that add
up exactly, both whole numbers: how many there are, and how many more they stand for, in units of 2^-16, for
each span rounded by itself. So the sums do not depend on order, grouping or roll-ups, and where nothing is
sampled there is no second part. A span stands for at most `MOST` spans.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from tracescape_storage.sampling import COUNT, PATTERN

IntArray = np.ndarray[Any, np.dtype[np.int64]]

UNIT_BITS: Final = 16
UNIT: Final = 1 << UNIT_BITS
MOST: Final = 1 << 24

_NUMBERS: Final = 1 << 56
_DIGITS: Final = 14
_SAID: Final = re.compile(PATTERN)


def digits_of(trace_state: str | None) -> str | None:
    """The digits of the threshold that a W3C ``tracestate`` holds; None for none."""
    found = _SAID.search(trace_state) if trace_state else None
    return found[1] if found else None


def said_by(trace_state: str | None, adjusted_count: int | None) -> str | None:
    """What a span says about sampling, as ``storage.sampling.SAID`` has it."""
    digits = digits_of(trace_state)
    if digits or adjusted_count is None or adjusted_count <= 1:
        return digits
    return f"{COUNT}{adjusted_count}"


def extra_of(said: str | None) -> int:
    """How many more spans than itself one that says this stands for, in units: a threshold or a count."""
    if not said:
        return 0
    if said.startswith(COUNT):
        return (min(int(said.removeprefix(COUNT)), MOST) - 1) * UNIT
    digits = said
    rejected = int(digits.ljust(_DIGITS, "0"), 16)
    kept = _NUMBERS - rejected
    return min((2 * UNIT * rejected + kept) // (2 * kept), (MOST - 1) * UNIT)


def whole(units: IntArray) -> IntArray:
    """Numbers in units as whole ones, the nearest; int64."""
    return np.asarray((units + UNIT // 2) >> UNIT_BITS)
