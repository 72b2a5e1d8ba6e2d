"""What a store keeps of a minute or an hour of counts, as few bytes that are read and added up fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tracescape_analytics.counts import Exemplars, IntArray, greatest, together
from tracescape_native.packing import packed, unpacked
from tracescape_native.tally import sums_by_key

_HEAD: Final = 16
_ID_BYTES: Final = 16


class Block(NamedTuple):
    """Keys and counts as in `Counts`, and exemplars, of groups that the store has numbered.

    Written: how many keys and exemplars there are (int64); the steps between keys, the counts, the steps
    between ``2 * group + failed`` of the exemplars and their durations (``packing``); their trace ids.
    """

    keys: IntArray
    counts: IntArray
    exemplars: Exemplars

    def written(self) -> bytes:
        """The bytes that `read` reads."""
        order, best = np.argsort(self.keys), greatest(self.exemplars)
        keys, slots = self.keys[order], best.group * 2 + best.failed
        numbers = [np.diff(keys, prepend=0), self.counts[order], np.diff(slots, prepend=0), best.duration_ns]
        head = np.array([len(keys), len(slots)], np.int64)
        return head.tobytes() + packed(np.concatenate(numbers)) + best.trace_id.tobytes()

    @classmethod
    def read(cls, content: Any) -> Block:
        """The block of any buffer of bytes. Raises ``ValueError`` if that is none."""
        data = np.frombuffer(content, np.uint8)
        cells, noted = data[:_HEAD].view(np.int64).tolist()
        numbers, _ = unpacked(data[_HEAD:], 2 * (cells + noted))
        slots = np.cumsum(numbers[2 * cells : 2 * cells + noted])
        ids = data[len(data) - _ID_BYTES * noted :].reshape(-1, _ID_BYTES)
        exemplars = Exemplars(slots >> 1, (slots & 1).astype(np.bool_), numbers[2 * cells + noted :], ids)
        return cls(np.cumsum(numbers[:cells]), numbers[cells : 2 * cells], exemplars)


def sum_of(blocks: Sequence[Block]) -> Block:
    """All of them together; at least one."""
    keys = np.concatenate([block.keys for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    exemplars = greatest(together([block.exemplars for block in blocks]))
    return Block(*sums_by_key(keys, counts), exemplars)
