"""Whether a store elsewhere answers, told within a bounded time to whoever asks how often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

#: Many may ask: so long an answer is good.
_KEPT_S: Final = 1.0


class Probe:
    """Asks in a thread of its own, one question at a time.

    Args:
        ask: gives the reason why not, or ``""``; may take its time, and must end some day.
        within_s: how long that may take; a store that has not answered by then does not answer.
    """

    def __init__(self, ask: Callable[[], str], *, within_s: float) -> None:
        self._ask = ask
        self._within_s = within_s
        self._changed = threading.Condition()
        self._asking = False
        self._known = ""
        self._at = float("-inf")  # when that was told

    def reason(self) -> str:
        """Why the store does not answer now, or ``""``."""
        begin = time.monotonic()
        with self._changed:
            if self._at >= begin - _KEPT_S:
                return self._known
            if not self._asking:
                self._asking = True
                threading.Thread(target=self._look, name="tracescape-probe", daemon=True).start()
            if self._changed.wait_for(lambda: self._at >= begin, self._within_s):
                return self._known
            return f"the store has not answered within {self._within_s:g} s"

    def _look(self) -> None:
        try:
            found = self._ask()
        except Exception as error:  # whatever it is, it did not answer
            found = f"{type(error).__name__}: {error}"
        with self._changed:
            self._known, self._at, self._asking = found, time.monotonic(), False
            self._changed.notify_all()
