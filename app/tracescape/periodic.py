"""What a collector does for its stores now and then, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)


class Periodic:
    """Runs ``steps`` every ``interval_s`` seconds until it is closed; closing waits for a step.

    A step that fails is logged and comes again: nobody would notice that the thread had ended.

    Args:
        name: of the thread, and in the log.
        steps: each is run whatever became of the others.
        interval_s: between two rounds.
        at_once: whether the first round waits for no interval.
    """

    def __init__(
        self, name: str, steps: Sequence[Callable[[], object]], *, interval_s: float, at_once: bool
    ) -> None:
        self._name = name
        self._steps = steps
        self._interval_s = interval_s
        self._at_once = at_once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tracescape-{name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it. Idempotent."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        if not self._at_once and self._ended.wait(self._interval_s):
            return
        while True:
            for step in self._steps:
                try:
                    step()
                except Exception as error:
                    reason = f"{type(error).__name__}: {error}"
                    _log.warning("%s failed, trying again later: %s", self._name, reason)
            if self._ended.wait(self._interval_s):
                return
