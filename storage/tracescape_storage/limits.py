"""What a store and its questions may take unless told otherwise. Loads no library."""

from __future__ import annotations

from typing import Final, NamedTuple

DEFAULT_MEMORY_MIB: Final = 512
DEFAULT_TIME_LIMIT_S: Final = 60.0


class QueryLimits(NamedTuple):
    """What a collector allows: seconds and rows a question, questions at a time, how long one may wait."""

    time_s: float = DEFAULT_TIME_LIMIT_S
    rows: int = 100_000_000
    running: int = 8
    threads: int = 4  # of those, how many compute at a time; the others wait for their clients
    waiting: int = 32
    wait_s: float = 5.0
