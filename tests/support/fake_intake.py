"""An intake that keeps what receivers hand it, for signals whose storing is not what a test is about."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from tracescape_ingest.intake import Outcome, Signal


@dataclass
class FakeIntake:
    """Answers every request with ``outcome``, when ``gate`` is open."""

    outcome: Outcome = field(default_factory=lambda: Outcome(1, 0, ""))
    taken: list[tuple[Signal, bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    is_pressed: bool = False
    refusals: list[Signal] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def submit(self, signal: Signal, data: bytes) -> Future[Outcome]:
        self.taken.append((signal, data))
        answer: Future[Outcome] = Future()

        def settle() -> None:
            self.gate.wait()
            answer.set_result(self.outcome)

        self.entered.set()
        threading.Thread(target=settle, daemon=True).start()
        return answer

    def refused(self, signal: Signal) -> None:
        self.refusals.append(signal)
