"""What faults do to one request.

Chance of its own decides about faults, so that whatever a fault does not touch goes as it would without it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from tracescape.shop.faults import Fault

#: slow-dependency: so many times as long; and of what writes rows, this share waits for a lock so long.
SLOWER: Final = 8.0
LOCKED: Final = 0.12
LOCK_MS: Final = 1_900.0
_LOCKING: Final = ("UPDATE", "INSERT")
#: cpu, bad-host: own work takes so many times as long.
BUSY: Final = 5.0
#: bad-version: this share of what the new version is asked fails.
BROKEN: Final = 0.5
#: retry-storm: the callee fails this share of its requests and works so many times as long; the caller tries
#: so often.
REFUSED: Final = 0.4
CROWDED: Final = 2.0
ATTEMPTS: Final = 4
#: cold-cache: this share of questions is in vain.
COLD: Final = 0.95
#: n-plus-one: so many rows, and each takes this share of what the query takes.
ROWS: Final = 12
ROW_SHARE: Final = 0.3
#: slow-edge: each way takes so much longer, and this share of packets is sent again after so long.
DELAY_MS: Final = 25.0
RESENT: Final = 0.03
RESEND_MS: Final = 200.0
_SPREAD: Final = 0.4


class Trouble:
    """The faults that a request meets, and chance to decide about them."""

    def __init__(self, faults: Iterable[Fault] = (), chance: random.Random | None = None) -> None:
        self.chance = chance or random.Random(0)
        self._places: dict[str, set[str]] = defaultdict(set)
        for fault in faults:
            self._places[fault.kind].add(fault.where)
        self._any = bool(self._places)
        self._crowded = {edge.partition("/")[2] for edge in self._places.get("retry-storm", ())}

    def _at(self, kind: str, where: str) -> bool:
        return self._any and where in self._places.get(kind, ())

    def _falls(self, share: float) -> bool:
        return self.chance.random() < share

    def slowness(self, service: str, host: str) -> float:
        """How many times as long a service's own work takes on a host."""
        if not self._any:
            return 1.0
        busy = self._at("cpu", service) or self._at("bad-host", host)
        return (BUSY if busy else 1.0) * (CROWDED if service in self._crowded else 1.0)

    def dependency_ms(self, host: str, operation: str, usual_ms: float) -> float:
        """How long a dependency takes that usually takes ``usual_ms``."""
        if not self._at("slow-dependency", host):
            return usual_ms
        locked = operation in _LOCKING and self._falls(LOCKED)
        return LOCK_MS if locked else usual_ms * SLOWER

    def delay_ms(self, caller: str, callee: str) -> float:
        """How much longer one way between two services takes."""
        if not self._at("slow-edge", f"{caller}/{callee}"):
            return 0.0
        return DELAY_MS * self.chance.lognormvariate(0.0, _SPREAD) + RESEND_MS * self._falls(RESENT)

    def upgraded(self, service: str) -> bool:
        """Whether a new version runs on half of a service."""
        return self._at("bad-version", service)

    def breaks(self, service: str, *, newest: bool) -> bool:
        """Whether a request to a service, to its newest version or not, meets its bug."""
        return newest and self._at("bad-version", service) and self._falls(BROKEN)

    def refuses(self, service: str) -> bool:
        """Whether a service fails under its load."""
        return service in self._crowded and self._falls(REFUSED)

    def attempts(self, caller: str, callee: str) -> int:
        """How often a caller tries."""
        return ATTEMPTS if self._at("retry-storm", f"{caller}/{callee}") else 1

    def lost(self, consumer: str) -> bool:
        """Whether a consumer takes no messages."""
        return self._at("lost-consumer", consumer)

    def misses(self, cache: str) -> bool:
        """Whether a cache does not have what it usually would."""
        return self._at("cold-cache", cache) and self._falls(COLD)

    def rows_alone(self, service: str) -> int:
        """How many rows a service asks for one by one after a query."""
        return ROWS if self._at("n-plus-one", service) else 0
