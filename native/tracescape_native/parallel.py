"""Running a kernel over ranges of traces on all cores.

Plain threads, because the kernels release the GIL: Numba's own threading layers want either a library that
may be missing, or (`workqueue`) abort the process when two threads ask at once. Here any thread may ask at
any time, also after a fork.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

import numpy as np

from tracescape_native.memory import INTERPRETED
from tracescape_native.sorting import IntArray

_RANGES_A_CORE: Final = 4  # a core that is late takes fewer ranges
_WORTH_A_THREAD: Final = 20_000  # spans; handing over a range costs as much as a few hundred spans

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(cores(), thread_name_prefix="tracescape-kernel")
        return _pool


def _forget() -> None:
    # Threads do not survive a fork, and the lock may be held in the parent at that moment.
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def ranges_of(offsets: IntArray) -> list[tuple[int, int]]:
    """Ranges of traces of about as many spans each; trace ``t`` has ``offsets[t]:offsets[t + 1]``.

    One range for few spans, else a few for each core. They cover all traces, in order; none is empty.
    """
    traces, spans = len(offsets) - 1, int(offsets[-1])
    parts = min(_RANGES_A_CORE * cores(), spans // _WORTH_A_THREAD)
    if parts <= 1 or INTERPRETED:
        return [(0, traces)]
    cuts = np.searchsorted(offsets, [spans * i // parts for i in range(1, parts)])
    edges = np.unique(np.concatenate([[0], cuts, [traces]])).tolist()
    return list(itertools.pairwise(edges))


def workers_for(spans: int) -> list[tuple[int, int]]:
    """A range for each core, fewer for few spans: for work that is not divided beforehand, see `run_all`."""
    parts = 1 if INTERPRETED else max(1, min(cores(), spans // _WORTH_A_THREAD))
    return [(i, i + 1) for i in range(parts)]


def run_all(kernel: Callable[[int, int], None], ranges: list[tuple[int, int]]) -> None:
    """Call ``kernel(begin, end)`` for each range, at the same time where there are several.

    Returns when all are done; raises what one of them raised. Not to be called from inside one.
    """
    if len(ranges) == 1:
        kernel(*ranges[0])
        return
    pending = [_threads().submit(kernel, *one) for one in ranges]
    wait(pending)
    for future in pending:
        future.result()
