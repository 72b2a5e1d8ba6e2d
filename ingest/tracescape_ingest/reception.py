"""What the receivers of one collector share: who may send, how much is in hand, and who decodes it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tracescape_ingest.access import Access, Takes
from tracescape_ingest.bounds import DEFAULT_MAX_HELD_BYTES, Budget, Hold
from tracescape_ingest.intake import Outcome, Signal
from tracescape_ingest.refusal import Refusal, refusal_of
from tracescape_ingest.signals import complaint_of
from tracescape_storage.errors import StoreError

_log = logging.getLogger(__name__)

DEFAULT_MAX_MESSAGE_BYTES: Final = 64 << 20
_SAY_EVERY_S: Final = 30.0
_SAYINGS: Final = 64
_PATIENCE_S: Final = 1.0

#: Decodes and hands over a request; the hold is for what it needs beyond the bytes that came.
Submit = Callable[[Hold], Future[Outcome]]


class Reception:
    """Between the receivers and the intakes.

    Args:
        access: whose request goes where.
        max_message_bytes: a larger request is refused, before and after it is unfolded.
        max_held_bytes: the bound over all requests between arrival and answer, on both ports.
    """

    def __init__(
        self,
        access: Access,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        max_held_bytes: int = DEFAULT_MAX_HELD_BYTES,
    ) -> None:
        self.access = access
        self.max_message_bytes = max_message_bytes
        self.budget = Budget(max_held_bytes)
        # Decoding takes a processor and several times the memory of its request: as many at once as pay off.
        self._decoders = ThreadPoolExecutor(
            min(4, os.cpu_count() or 1), thread_name_prefix="tracescape-decode"
        )
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._sayings = Sayings()

    async def outcome(self, signal: Signal, submit: Submit, hold: Hold) -> Outcome:
        """Run ``submit`` on a decoding thread and wait until what it took is durable.

        What ``hold`` holds goes along and is released then. A caller that is cancelled, since its client went
        away, ends neither the work nor the hold.
        """
        task = asyncio.ensure_future(self._through(submit, hold.moved()))
        self._tasks.add(task)
        task.add_done_callback(self._settled)
        outcome = await asyncio.shield(task)
        if complaint := complaint_of(signal, outcome):
            self._sayings.say(logging.WARNING, complaint)
        return outcome

    async def patience(self, intake: Takes) -> None:
        """Wait while ``intake`` catches up, for a moment at most.

        A client that waits a little is served sooner than one that is told to come back in a second, and no
        thread waits for it.
        """
        pause_s, end = 0.01, time.monotonic() + _PATIENCE_S
        while intake.is_pressed and time.monotonic() < end:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.1)

    def refusal(self, error: Exception) -> Refusal:
        """The answer to ``error``; what the sender cannot mend is logged, once for all who meet it."""
        refusal = refusal_of(error)
        if isinstance(error, StoreError):
            self._sayings.say(logging.ERROR, str(error))
        elif refusal.status == 500:
            _log.error("a request failed", exc_info=error)
        elif refusal.status == 401:
            self._sayings.say(logging.WARNING, "a request without a known API key was refused")
        return refusal

    def close(self) -> None:
        """End the decoding threads. Idempotent."""
        self._decoders.shutdown()

    def _settled(self, task: asyncio.Task[Outcome]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here for a caller that went away; asyncio would log it as forgotten

    async def _through(self, submit: Submit, hold: Hold) -> Outcome:
        try:
            submitted = await asyncio.get_running_loop().run_in_executor(self._decoders, submit, hold)
            return await asyncio.wrap_future(submitted)
        finally:
            hold.release()


class Sayings:
    """Logs each text seldom: every retry of every client meets the same failure."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def say(self, level: int, text: str) -> None:
        """Log ``text`` unless it was logged just now."""
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(text, -_SAY_EVERY_S) < _SAY_EVERY_S:
                return
            if len(self._said) >= _SAYINGS:
                self._said.clear()
            self._said[text] = now
        _log.log(level, "%s", text)
