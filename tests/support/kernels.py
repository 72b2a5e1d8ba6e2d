"""Machine code of the kernels, made before the tests begin.

In a fresh checkout nothing is compiled. Workers that begin at the same time would each compile the same
kernels, and so would the commands that tests start.
"""

from __future__ import annotations

import subprocess
import sys

from support.processes import ENVIRONMENT

#: Side by side, as they have few kernels in common: the way into a store, what is asked of it, and its world.
_RUN = (
    "from tracescape_ingest.fast_spans import FastSpans; FastSpans(0).compile()",
    "from tracescape_analytics.warm_up import warm_up; warm_up()",
    "from support.scenes import crowd as of; from tracescape_render import build_scene as build;"
    "build(*of(60), seconds=1)",
)


def compile_kernels() -> None:
    """Have the kernels in Numba's cache, whether they are there or not.

    Raises:
        RuntimeError: a kernel does not compile; stderr has the reason.
    """
    running = [subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT) for code in _RUN]
    failed = [process.args for process in running if process.wait()]
    if failed:
        raise RuntimeError(f"this ended with an error: {failed}")
