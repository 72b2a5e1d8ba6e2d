"""What is new in a request: everything that was accepted before is left out of it, and counted."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Final

import numpy as np

from tracescape_ingest.accepting import Accepted, Signal
from tracescape_ingest.counting import Counting
from tracescape_ingest.duplicates import (
    DEFAULT_REQUESTS,
    DEFAULT_SPANS,
    SAME_IDENTITY,
    SEEN,
    Recent,
    request_fingerprint,
)
from tracescape_storage.journal import Known

_log = logging.getLogger(__name__)

#: The numbers of signals, as the journal and the fingerprints of requests have them.
KINDS: Final = {Signal.TRACES: 1, Signal.LOGS: 2, Signal.METRICS: 3}
_REMEMBERED_AT_ONCE: Final = 1 << 18
_SAY_EVERY_S: Final = 30.0


class Seldom:
    """Logs each kind of thing at most every half minute; for one thread at a time."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at: dict[str, float] = {}

    def say(self, what: str, message: str, level: int = logging.ERROR) -> None:
        """Log ``message`` unless something of the kind ``what`` was logged just now."""
        now = time.monotonic()
        if now - self._said_at.get(what, -_SAY_EVERY_S) >= _SAY_EVERY_S:
            self._said_at[what] = now
            self._log.log(level, "%s", message)


class Sieve:
    """Remembers what was accepted lately, requests and spans; for one thread at a time.

    What `new_of` lets through is pending until `keep` (it is stored) or `drop` (it is not, and may come
    again). Pending content counts as seen. `count` goes before `keep`: then nobody who was answered finds
    what was left out of their request uncounted.

    Args:
        kernels: see `Recent`.
        counting: where what is left out is counted.
    """

    def __init__(self, kernels: Callable[[], ModuleType | None], counting: Counting) -> None:
        self._counting = counting
        self._requests = Recent(DEFAULT_REQUESTS, kernels)
        self._spans = Recent(DEFAULT_SPANS, kernels)
        self._left_out = Counter[str]()
        self._seldom = Seldom(_log)

    def new_of(self, request: Accepted) -> Accepted | None:
        """What is new of ``request``; None where nothing is, or nothing was in it."""
        _, new = self._requests.judge(request_fingerprint(KINDS[request.signal], request.digest))
        if not new or not len(request.content):
            self._left_out[request.signal] += len(request.content)
            return None
        if not len(request.fingerprints):
            return request
        verdicts, new = self._spans.judge(request.fingerprints)
        if other := int((verdicts == SAME_IDENTITY).sum()):
            self._seldom.say(
                "ids",
                f"{other} spans have ids that were stored with other content before; both are kept",
                logging.WARNING,
            )
        if new < len(verdicts):
            self._left_out[request.signal] += len(verdicts) - new
            request = request.keep(verdicts != SEEN)
        return request if new else None

    def count(self) -> None:
        """What is pending is stored, and what was left out beside it had been."""
        for signal, items in self._left_out.items():
            self._counting.left_out(signal, items)
        self._left_out.clear()

    def keep(self) -> None:
        """What is pending is stored."""
        try:
            self._requests.keep_pending()
            self._spans.keep_pending()
        except Exception:  # it is durable: forgetting it is the lesser harm
            _log.exception("what was accepted just now may be accepted a second time")

    def drop(self) -> None:
        """What is pending is not stored."""
        self._left_out.clear()
        self._requests.drop_pending()
        self._spans.drop_pending()

    def learn(self, known: Iterable[Known]) -> None:
        """Remember what an earlier process accepted, a part at a time."""
        requests: list[Any] = []
        spans: list[Any] = []
        count = 0
        for each in known:
            requests.append(request_fingerprint(each.kind, each.digest))
            spans.append(each.fingerprints)
            count += 1 + len(each.fingerprints)
            if count >= _REMEMBERED_AT_ONCE:
                self._remember(requests, spans)
                count = 0
        self._remember(requests, spans)

    def _remember(self, requests: list[Any], spans: list[Any]) -> None:
        if requests:
            self._requests.add(np.concatenate(requests))
            self._spans.add(np.concatenate(spans))
            requests.clear()
            spans.clear()
