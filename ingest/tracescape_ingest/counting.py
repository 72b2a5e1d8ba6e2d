"""What an intake has done since it began: counted where it happens, read by whoever wants to know."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: Upper bounds of the buckets of durations, in seconds; one more is open.
DURATION_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_KEPT_COMMITS: Final = 64


@dataclass
class Durations:
    """A histogram over `DURATION_BOUNDS_S`."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS_S) + 1))
    count: int = 0
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.buckets[bisect_left(DURATION_BOUNDS_S, seconds)] += 1
        self.count += 1
        self.total_s += seconds


class Commit(NamedTuple):
    """One transaction of the store: when it began and ended in epoch nanoseconds, and what went in."""

    start_ns: int
    end_ns: int
    requests: int
    items: int


class Counts(NamedTuple):
    """A reading. Counters are by signal; ``commits`` are those since the last reading, the newest ones."""

    accepted: dict[str, int]
    rejected: dict[str, int]
    refused: dict[str, int]
    duplicates: dict[str, int]
    received_bytes: dict[str, int]
    acknowledged: Durations
    settled: Durations
    commits: list[Commit]


class Counting:
    """Counters of one intake; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted = Counter[str]()
        self._rejected = Counter[str]()
        self._refused = Counter[str]()
        self._duplicates = Counter[str]()
        self._bytes = Counter[str]()
        self._acknowledged = Durations()
        self._settled = Durations()
        self._commits: deque[Commit] = deque(maxlen=_KEPT_COMMITS)

    def received(self, signal: str, nbytes: int, *, rejected: int) -> None:
        """A request has been decoded."""
        with self._lock:
            self._bytes[signal] += nbytes
            self._rejected[signal] += rejected

    def acknowledged(self, signal: str, items: int, seconds: float) -> None:
        """A request is durable, so long after it was decoded."""
        with self._lock:
            self._accepted[signal] += items
            self._acknowledged.add(seconds)

    def refused(self, signal: str) -> None:
        """A request is to be sent again: it was not admitted, too slow, or could not be written."""
        with self._lock:
            self._refused[signal] += 1

    def left_out(self, signal: str, items: int) -> None:
        """Items that had been accepted before."""
        with self._lock:
            self._duplicates[signal] += items

    def committed(self, commit: Commit) -> None:
        """The store has taken a group."""
        with self._lock:
            self._settled.add((commit.end_ns - commit.start_ns) / 1e9)
            self._commits.append(commit)

    def read(self) -> Counts:
        """Everything since the beginning, and the commits since the last reading."""
        with self._lock:
            commits = list(self._commits)
            self._commits.clear()
            return Counts(
                dict(self._accepted),
                dict(self._rejected),
                dict(self._refused),
                dict(self._duplicates),
                dict(self._bytes),
                _copy(self._acknowledged),
                _copy(self._settled),
                commits,
            )


def _copy(durations: Durations) -> Durations:
    return Durations(list(durations.buckets), durations.count, durations.total_s)
