"""How the benches time: several rounds, ours and the peer's in turn, medians with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of each round."""

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def noise(self) -> float:
        """Spread of the rounds around the median: (max - min) / median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def in_turn(contestants: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> list[Timing]:
    """Warm each up once, then time them in turn, so that a slow minute hits all alike."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return [Timing(name, taken) for name, taken in seconds.items()]


def report(title: str, unit: str, amount: int, timings: list[Timing]) -> None:
    """A line each: rate, noise, and how many times the first one's rate is of it."""
    print(f"\n{title} ({amount:,} {unit}, median of {len(timings[0].seconds)} rounds)")
    ours = timings[0].median
    for timing in timings:
        ratio = "" if timing is timings[0] else f"   ours is {timing.median / ours:.2f}× as fast"
        rate = amount / timing.median
        print(f"  {timing.name:<52}{rate:>12,.0f} {unit}/s  ± {timing.noise / 2:4.0%}{ratio}")
