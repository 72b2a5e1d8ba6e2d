"""Gives memory that nobody uses back to the system.

A collector allocates in many threads and frees in others, so glibc keeps what was free in every one of its
arenas: beside 500 MiB in use, as much again was seen. Arrow's pool keeps its pages, too.
"""

from __future__ import annotations

import ctypes
from typing import Final

import pyarrow as pa

from tracescape.periodic import Periodic
from tracescape_storage.query_guard import resident_bytes

DEFAULT_INTERVAL_S: Final = 1.0
#: How much the process grows before it is looked for what is free: that takes tens of milliseconds.
GROWTH_BYTES: Final = 64 << 20


def trimming(*, interval_s: float = DEFAULT_INTERVAL_S) -> Periodic:
    """Trims this process every ``interval_s`` seconds in which it has grown, until it is closed."""
    return Periodic("trim", [Trimmer().step], interval_s=interval_s, at_once=False)


class Trimmer:
    """Remembers how large the process was when it was trimmed last."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        self._floor = 0

    def step(self) -> bool:
        """Trim, if the process has grown by `GROWTH_BYTES` since; whether it was."""
        if resident_bytes() < self._floor + GROWTH_BYTES:
            return False
        pa.default_memory_pool().release_unused()
        if self._trim is not None:
            self._trim(0)
        self._floor = resident_bytes()
        return True
