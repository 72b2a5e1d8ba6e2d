"""The few numbers that somebody chose. benches/root_cause/choices.py says what they are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Choices:
    """``standard_errors``: a shift is certain as far as it exceeds so many of its standard errors (2: 95 %).

    ``missing``: how much a call that no longer happens speaks against the callee, next to the caller.
    A cause is named if something that speaks for it is a discovery at a rate of ``false_discoveries`` among
    all channels, seen in ``least_traces`` traces, and what is certain in sum is ``least`` (log2: 1 is a
    doubling).
    """

    standard_errors: float = 2.0
    missing: float = 0.5
    false_discoveries: float = 0.01
    least_traces: int = 5
    least: float = 1.0


DEFAULT: Final = Choices()
