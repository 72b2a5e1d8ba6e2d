"""The one event loop that every gRPC server of a process runs on.

gRPC's asyncio side has one poller a process, which wakes every loop that ever used it; with a second loop the
two take each other's wake-ups and log errors. So there is one, in a thread of its own, for good.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on that loop and wait for it. Not to be called on the loop itself."""
    return asyncio.run_coroutine_threadsafe(work, _running()).result()


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="tracescape-grpc", daemon=True).start()
        return _loop
