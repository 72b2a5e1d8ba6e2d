"""What has been accepted lately, so that a request that is sent again counts once.

A client whose acknowledgement got lost sends the same bytes again; a forwarder may put the same spans into
other requests. So both are recognised: whole requests by XXH3-128 of their bytes, spans by 64 bits of their
ids and 64 bits of their own and their resource's encoded bytes. Nothing is forgotten for 15 minutes, unless
there is more than memory is given to: then the oldest goes first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np

Pairs = np.ndarray[Any, np.dtype[np.int64]]

DEFAULT_KEEP_S: Final = 15 * 60.0
#: Spans that are certainly remembered, however fast they come: 16 bytes each at a load of at most one half.
DEFAULT_SPANS: Final = 4 << 20
DEFAULT_REQUESTS: Final = 1 << 20
_FIRST_SLOTS: Final = 1 << 12

#: Verdicts, as `tracescape_native.recent` gives them.
NEW: Final = 0
SEEN: Final = 1
SAME_IDENTITY: Final = 2  # and other content


class Recent:
    """Fingerprints, int64 pairs, in two generations; for one thread at a time.

    Args:
        entries: how many a generation holds at most; between one and two generations are remembered.
        kernels: gives `tracescape_native.recent` once that is compiled. Until then NumPy and a dictionary
            do the same, slowly: a collector that has just been installed need not wait.
        keep_s: a generation that is older than this makes room for the next.
    """

    def __init__(
        self,
        entries: int,
        kernels: Callable[[], ModuleType | None] = lambda: None,
        *,
        keep_s: float = DEFAULT_KEEP_S,
    ) -> None:
        self._kernels_of = kernels
        self._kernels: Any = None
        self._entries = entries
        self._keep_s = keep_s
        self._begin_generation()
        self._older = self._newer
        self._slow = _Slow()
        self._pending = _Pending()

    def judge(self, fingerprints: Pairs) -> tuple[Pairs, int]:
        """Which of ``fingerprints``, shape (n, 2), are known; what is not becomes pending.

        Returns verdicts (`NEW`, `SEEN`, `SAME_IDENTITY`) and how many are not `SEEN`.
        """
        if self._kernels is None and (kernels := self._kernels_of()) is not None:
            self._kernels = kernels
            self.add(self._slow.all())
            self._slow = _Slow()
        if self._kernels is None:
            verdicts = self._slow.judge(fingerprints, self._pending.pairs)
        else:
            table = self._pending.table(len(fingerprints))
            verdicts, _ = self._kernels.judge(fingerprints, self._newer, self._older, table)
        new = fingerprints[verdicts != SEEN]
        self._pending.pairs += [new]
        return verdicts, len(new)

    def keep_pending(self) -> None:
        """What was judged since the last call is accepted: remember it."""
        for pairs in self._pending.pairs:
            self.add(pairs)
        self.drop_pending()

    def drop_pending(self) -> None:
        """What was judged since the last call is refused: it may come again."""
        self._pending = _Pending()

    def add(self, fingerprints: Pairs) -> None:
        """Remember ``fingerprints``, shape (n, 2)."""
        if self._kernels is None:
            self._slow.add(fingerprints)
            return
        for begin in range(0, len(fingerprints), self._entries):
            part = fingerprints[begin : begin + self._entries]
            full = self._count + len(part) > self._entries
            if full or time.monotonic() - self._began >= self._keep_s:
                self._older = self._newer
                self._begin_generation()
            self._newer = _with_room(self._kernels, self._newer, self._count + len(part))
            self._kernels.enter(self._newer, part)
            self._count += len(part)

    def _begin_generation(self) -> None:
        self._newer = np.zeros(2 * _FIRST_SLOTS, np.int64)
        self._count = 0
        self._began = time.monotonic()


class _Pending:
    """What is judged but not accepted yet, and a table of it for the kernel."""

    def __init__(self) -> None:
        self.pairs: list[Pairs] = []
        self._table = np.zeros(2 * _FIRST_SLOTS, np.int64)

    def table(self, more: int) -> Pairs:
        """The table, with room for ``more``."""
        from tracescape_native import recent

        self._table = _with_room(recent, self._table, sum(map(len, self.pairs)) + more)
        return self._table


class _Slow:
    """The same memory without kernels, without a bound: it serves for the seconds that they take."""

    def __init__(self) -> None:
        self._parts: list[Pairs] = []
        self._known: set[tuple[int, int]] = set()
        self._identities: set[int] = set()

    def add(self, pairs: Pairs) -> None:
        self._parts.append(pairs)
        self._known.update(map(tuple, pairs.tolist()))
        self._identities.update(pairs[:, 0].tolist())

    def all(self) -> Pairs:
        return np.concatenate([np.empty((0, 2), np.int64), *self._parts])

    def judge(self, fingerprints: Pairs, pending: list[Pairs]) -> Pairs:
        known, identities = set(self._known), set(self._identities)
        for part in pending:
            known.update(map(tuple, part.tolist()))
            identities.update(part[:, 0].tolist())
        verdicts = np.empty(len(fingerprints), np.int64)
        for row, pair in enumerate(map(tuple, fingerprints.tolist())):
            verdicts[row] = SEEN if pair in known else SAME_IDENTITY if pair[0] in identities else NEW
            known.add(pair)
            identities.add(pair[0])
        return verdicts


def _with_room(kernels: Any, table: Pairs, entries: int) -> Pairs:
    slots = wanted = len(table) // 2
    while 2 * (entries + 1) > wanted:
        wanted *= 2
    return kernels.with_slots(table, wanted) if wanted > slots else table


def request_fingerprint(digest: bytes) -> Pairs:
    """The fingerprint of a whole request, shape (1, 2), from its 16-byte digest."""
    return np.frombuffer(digest, np.int64).reshape(1, 2)
