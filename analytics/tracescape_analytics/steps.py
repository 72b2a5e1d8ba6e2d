"""Steps of time that people read without counting."""

from __future__ import annotations

from typing import Final

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

_SECONDS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_STEPS_NS: Final = (
    *(factor * 10**power for power in range(9) for factor in (1, 2, 5)),
    *(seconds * SECOND_NS for seconds in _SECONDS),
)


def step_for(span_ns: int, most: int) -> int:
    """The smallest such step of which at most ``most`` cover ``span_ns``; whole days where none does."""
    least = max(-(-span_ns // most), 1)
    return next((step for step in _STEPS_NS if step >= least), -(-least // DAY_NS) * DAY_NS)
