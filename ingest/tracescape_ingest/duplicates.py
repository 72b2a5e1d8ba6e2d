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
#: Spans that are certainly remembered, however fast they come: 16 bytes each, in tables of at most 64 MiB.
DEFAULT_SPANS: Final = 3 << 20
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
        kernels: gives `tracescape_native.recent` once that is compiled. Until then NumPy does the same,
            slowly: a collector that has just been installed need not wait.
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
        self._kernels: ModuleType | None = None
        self._entries = entries
        self._keep_s = keep_s
        self._older = self._table()
        self._newer = self._table()
        self._began = time.monotonic()
        self._pending = self._table()
        self._judged: list[Pairs] = []

    def judge(self, fingerprints: Pairs) -> tuple[Pairs, int]:
        """Which of ``fingerprints``, shape (n, 2), are known; what is not becomes pending.

        Returns verdicts (`NEW`, `SEEN`, `SAME_IDENTITY`) and how many are not `SEEN`.
        """
        if self._kernels is None and (kernels := self._kernels_of()) is not None:
            self._use(kernels)
        verdicts = self._newer.judge(fingerprints, self._older, self._pending)
        new = fingerprints[verdicts != SEEN]
        self._judged.append(new)
        return verdicts, len(new)

    def keep_pending(self) -> None:
        """What was judged since the last call is accepted: remember it."""
        judged = self._judged
        self.drop_pending()
        for pairs in judged:
            self.add(pairs)

    def drop_pending(self) -> None:
        """What was judged since the last call is refused: it may come again."""
        self._judged = []
        self._pending = self._table()

    def add(self, fingerprints: Pairs) -> None:
        """Remember ``fingerprints``, shape (n, 2)."""
        for begin in range(0, len(fingerprints), self._entries):
            part = fingerprints[begin : begin + self._entries]
            full = self._newer.count + len(part) > self._entries
            if full or time.monotonic() - self._began >= self._keep_s:
                self._older, self._newer = self._newer, self._table(self._newer.count if full else 0)
                self._began = time.monotonic()
            self._newer.add(part)

    def _use(self, kernels: ModuleType) -> None:
        slow = self._older, self._newer, self._pending
        self._kernels = kernels
        self._older, self._newer, self._pending = (self._table(table.count, table.pairs()) for table in slow)

    def _table(self, expected: int = 0, pairs: Pairs | None = None) -> _Hashed | _Sorted:
        table = _Sorted() if self._kernels is None else _Hashed(self._kernels, expected)
        if pairs is not None:
            table.add(pairs)
        return table


class _Hashed:
    """A table of the kernels, which grows."""

    def __init__(self, kernels: Any, expected: int = 0) -> None:
        self._kernels = kernels
        self.count = 0
        self._words = np.zeros(2 * _slots(expected), np.int64)

    def add(self, pairs: Pairs) -> None:
        self._make_room(len(pairs))
        self._kernels.enter(self._words, pairs)
        self.count += len(pairs)

    def judge(self, fingerprints: Pairs, older: Any, pending: Any) -> Pairs:
        """Verdicts; what is not seen goes into ``pending``."""
        pending._make_room(len(fingerprints))
        verdicts: Pairs
        verdicts, new = self._kernels.judge(fingerprints, self._words, older._words, pending._words)
        pending.count += new
        return verdicts

    def pairs(self) -> Pairs:
        """What it holds, shape (n, 2)."""
        pairs: Pairs = self._words.reshape(-1, 2)
        held: Pairs = pairs[(pairs != 0).any(axis=1)]
        return held

    def _make_room(self, more: int) -> None:
        slots = _slots(self.count + more)
        if 2 * slots > len(self._words):
            self._words = self._kernels.with_slots(self._words, slots)


def _slots(entries: int) -> int:
    """A power of two, at most three quarters of it taken: half would cost twice the memory for 1 % time."""
    return int(max(_FIRST_SLOTS, 1 << (-(-4 * entries // 3) - 1).bit_length()))


class _Sorted:
    """The same without kernels: sorted runs, the longer ones first, merged when they are alike."""

    def __init__(self) -> None:
        self.count = 0
        self._runs: list[Pairs] = []

    def add(self, pairs: Pairs) -> None:
        self.count += len(pairs)
        run = _sorted(pairs)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = _sorted(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)

    def judge(self, fingerprints: Pairs, older: Any, pending: Any) -> Pairs:
        """Verdicts; what is not seen goes into ``pending``."""
        verdicts = np.full(len(fingerprints), NEW, np.int64)
        for run in (*self._runs, *older._runs, *pending._runs):
            _look(run, fingerprints, verdicts)
        if len(np.unique(fingerprints[:, 0])) < len(fingerprints):
            _look_at_earlier(fingerprints, verdicts)
        pending.add(fingerprints[verdicts != SEEN])
        return verdicts

    def pairs(self) -> Pairs:
        """What it holds, shape (n, 2)."""
        return np.concatenate([np.empty((0, 2), np.int64), *self._runs])


def _sorted(pairs: Pairs) -> Pairs:
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def _look(run: Pairs, fingerprints: Pairs, verdicts: Pairs) -> None:
    begins = np.searchsorted(run[:, 0], fingerprints[:, 0], "left")
    ends = np.searchsorted(run[:, 0], fingerprints[:, 0], "right")
    for row in np.flatnonzero(begins < ends):
        if (run[begins[row] : ends[row], 1] == fingerprints[row, 1]).any():
            verdicts[row] = SEEN
        elif verdicts[row] == NEW:
            verdicts[row] = SAME_IDENTITY


def _look_at_earlier(fingerprints: Pairs, verdicts: Pairs) -> None:
    """Where a request has the same ids twice."""
    contents: dict[int, set[int]] = {}
    for row, (identity, content) in enumerate(fingerprints.tolist()):
        earlier = contents.setdefault(identity, set())
        if content in earlier:
            verdicts[row] = SEEN
        elif earlier and verdicts[row] == NEW:
            verdicts[row] = SAME_IDENTITY
        earlier.add(content)


def request_fingerprint(kind: int, digest: bytes) -> Pairs:
    """The fingerprint of a whole request, shape (1, 2), from its signal and its 16-byte digest."""
    pair = np.frombuffer(digest, np.int64).reshape(1, 2).copy()
    pair[0, 0] ^= kind
    return pair
