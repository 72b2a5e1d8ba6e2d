"""How large the large cases are: plain Python (`NUMBA_DISABLE_JIT=1`) is a hundred times slower."""

from __future__ import annotations

from tracescape_native.memory import INTERPRETED


def sized(compiled: int, interpreted: int | None = None) -> int:
    """``compiled``, or where kernels are not compiled a fiftieth (or ``interpreted``)."""
    if not INTERPRETED:
        return compiled
    return compiled // 50 if interpreted is None else interpreted
