"""What the receivers of one collector share: who may send, how much is in hand, and who decodes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tracescape_ingest.access import Access, Takes
from tracescape_ingest.bounds import DEFAULT_MAX_HELD_BYTES, Budget, Hold
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.intake import Outcome, Signal
from tracescape_ingest.limits import DEFAULT_MAX_MESSAGE_BYTES
from tracescape_ingest.refusal import Refusal, refusal_of
from tracescape_ingest.signals import complaint_of
from tracescape_storage.errors import StoreError

_log = logging.getLogger(__name__)

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
        self._letters: dict[asyncio.AbstractEventLoop, Letters] = {}
        self._sayings = Sayings()

    @contextlib.contextmanager
    def holding(self, signal: Signal, intake: Takes) -> Iterator[Hold]:
        """A hold for one request to ``intake``, where it is counted if it is to be sent again."""
        try:
            with self.budget.hold() as hold:
                yield hold
        except Exception as error:
            if refusal_of(error).retry:
                intake.refused(signal)
            raise

    async def outcome(self, signal: Signal, submit: Submit, hold: Hold) -> Outcome:
        """Run ``submit`` on a decoding thread and wait until what it took is durable.

        What ``hold`` holds goes along and is released then. A caller that is cancelled, since its client went
        away, ends neither the work nor the hold.
        """
        loop = asyncio.get_running_loop()
        letters = self._letters.setdefault(loop, Letters(loop))
        answer: asyncio.Future[Outcome] = loop.create_future()
        mine = hold.moved()

        def done(submitted: Future[Outcome]) -> None:
            mine.release()
            letters.post(answer, submitted)

        def work() -> None:
            try:
                submitted = submit(mine)
            except BaseException as error:  # whoever waits has to hear of it, whatever it is
                submitted = Future()
                submitted.set_exception(error)
            submitted.add_done_callback(done)

        try:
            self._decoders.submit(work)
        except RuntimeError:
            mine.release()
            raise OverloadError("the collector is shutting down") from None
        outcome = await answer
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


class Letters:
    """Brings outcomes from other threads to those who wait on an event loop, all that there are at once.

    Many requests become durable in the same moment; to wake the loop for each costs more than the rest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._posted: deque[tuple[asyncio.Future[Outcome], Future[Outcome]]] = deque()
        self._due = False

    def post(self, answer: asyncio.Future[Outcome], outcome: Future[Outcome]) -> None:
        """Settle ``answer`` as ``outcome`` is; from any thread."""
        self._posted.append((answer, outcome))
        if not self._due:
            self._due = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited with it
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._due = False  # before the first is taken: who posts from now on is seen, or calls again
        while self._posted:
            answer, outcome = self._posted.popleft()
            if answer.done():
                continue  # the client went away
            if error := outcome.exception():
                answer.set_exception(error)
            else:
                answer.set_result(outcome.result())


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
