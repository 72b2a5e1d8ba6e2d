"""Asking without waiting: threads that ask, and answers that wait to be taken by the thread that draws."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Feed(Generic[Answer]):
    """Asks a source again and again on a thread of its own; the latest answer waits to be taken.

    ``refresh_s`` is the least time between two questions; it grows to what a question takes, so that at most
    half of a core's time goes there. None asks once, and `again` once more.
    """

    def __init__(self, source: Callable[[], Answer], refresh_s: float | None) -> None:
        self._source = source
        self._refresh_s = refresh_s
        self._stopped = False
        self._wake = threading.Event()
        self._latest: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tracescape-scenes", daemon=True)

    def first(self) -> Answer:
        """The first answer; its failure is the caller's."""
        answer = self._source()
        self._thread.start()
        return answer

    def again(self) -> None:
        """Ask now, or as soon as what is being asked is answered."""
        self._wake.set()

    def take(self) -> Answer | Exception | None:
        """The newest answer since the last call, or None."""
        newest: Answer | Exception | None = None
        while not self._latest.empty():
            newest = self._latest.get_nowait()
        return newest

    def stop(self) -> None:
        """Ask no more. An answer that is under way is not waited for long."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        pause = self._refresh_s
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopped:
                return
            began = time.monotonic()
            try:
                self._latest.put(self._source())
            except Exception as error:  # whatever it is, it belongs on the screen
                self._latest.put(error)
            if self._refresh_s is not None:
                pause = max(self._refresh_s, time.monotonic() - began)


class Asker(Generic[Key, Answer]):
    """Asks one thing at a time on a thread of its own. A newer wish replaces one that still waits."""

    def __init__(self, ask: Callable[[Key], Answer], name: str) -> None:
        self._ask = ask
        self._changed = threading.Condition()
        self._wanted: list[Key] = []
        self._stopped = False
        self._answers: queue.SimpleQueue[tuple[Key, Answer | Exception]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"tracescape-{name}", daemon=True)
        self._thread.start()

    def want(self, key: Key) -> None:
        """Ask for ``key`` as soon as what is under way is done."""
        with self._changed:
            self._wanted = [key]
            self._changed.notify()

    def forget(self) -> None:
        """Nobody waits any more for what has not been asked yet."""
        with self._changed:
            self._wanted = []

    def take(self) -> list[tuple[Key, Answer | Exception]]:
        """What was answered since the last call, in order. Who wants something else by now drops it."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get_nowait())
        return found

    def stop(self) -> None:
        """Ask no more. An answer that is under way is not waited for long."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._wanted and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                key = self._wanted.pop()
            try:
                self._answers.put((key, self._ask(key)))
            except Exception as error:  # whatever it is, it belongs on the screen
                self._answers.put((key, error))
