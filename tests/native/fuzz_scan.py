"""Mutated requests through the compiled scan, where every byte out of bounds is a fault.

Each message ends where a page ends that nobody may touch the next one of; so does everything that the scan
writes to, exactly as much as it is promised. A sample is compared with what the reference decoder makes of
it. Run as a script it goes on as long as it is told:

    python tests/native/fuzz_scan.py --seconds 600
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

_ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(_ROOT / folder) for folder in ("ingest", "storage", "native", "tests")]

from support.decoders import COLUMNS, assert_same  # noqa: E402  # the paths come first
from support.otlp import request, span  # noqa: E402
from support.wild_otlp import mutated, wild_request  # noqa: E402
from tracescape_ingest.fast_spans import FastSpans  # noqa: E402
from tracescape_native import otlp_traces  # noqa: E402
from tracescape_native.json_text import SLACK  # noqa: E402
from tracescape_native.otlp_attributes import AHEAD  # noqa: E402
from tracescape_native.otlp_traces import Scanned, Scanner  # noqa: E402
from tracescape_storage.attribute_columns import WELL_KNOWN  # noqa: E402

Array = np.ndarray[Any, Any]

_PAGE = mmap.PAGESIZE
_PROT_NONE = 0
_CORPUS = _ROOT / "tests" / "data" / "otlp_corpus"
#: How many mutants are looked at more closely.
_CLOSELY = 0.01


class Guarded:
    """Memory that ends at a page which cannot be read or written."""

    def __init__(self, room: int) -> None:
        size = -(-room // _PAGE) * _PAGE
        self._map = mmap.mmap(-1, size + _PAGE)
        self._bytes = np.frombuffer(self._map, np.uint8)[:size]
        libc = ctypes.CDLL(None, use_errno=True)
        after = ctypes.c_void_p(self._bytes.ctypes.data + size)
        if libc.mprotect(after, ctypes.c_size_t(_PAGE), _PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")

    def last(self, count: int) -> Array:
        """The ``count`` bytes before the guard, and not one more."""
        return self._bytes[len(self._bytes) - count :]

    def array(self, like: Array, rows: int) -> Array:
        """``rows`` of an array like that before the guard."""
        shape = (rows, *like.shape[1:])
        found = self.last(int(np.prod(shape)) * like.itemsize).view(like.dtype)
        return found.reshape(shape)


def corpus(random: Random) -> list[bytes]:
    """What is mutated: real and odd messages, and what earlier runs found interesting."""
    real = [
        request(*(span(attributes={"a": [1, {"b": "c"}], "d": 1.5, "http.method": "GET", "n": n})
                  for n in range(3))).SerializeToString()
    ]  # fmt: skip
    saved = [path.read_bytes() for path in sorted(_CORPUS.glob("*.bin"))]
    return real + saved + [wild_request(random, oddness) for oddness in (0.0, 0.0, 0.02, 0.2) * 25]


class _Scanning(NamedTuple):
    """A scanner whose memory is guarded, and memory for its rows."""

    scanner: Scanner
    rows: dict[str, Guarded]


class Fuzzer:
    """Scans messages in guarded memory, by the very steps of `Scanner.scan`.

    ``scanners`` know all attributes with columns, or only some and are to tell of the others.
    """

    def __init__(self, largest: int, random: Random) -> None:
        self._largest = largest
        self._data = Guarded(largest + AHEAD)
        self._heap, self._part_heap = Guarded(8 * largest + 4096), Guarded(8 * largest + 4096)
        known = [WELL_KNOWN | COLUMNS, COLUMNS, {}]
        known += [dict(random.sample(sorted(WELL_KNOWN.items()), len(WELL_KNOWN) // 2)) for _ in range(3)]
        self._scanners = [self._scanning(columns) for columns in known]

    def scan(self, message: bytes, number: int = 0, ahead: Sequence[int] = b"") -> Scanned | None:
        """What a scanner finds, None for nothing; a fault of the process where a byte beyond is touched.

        ``ahead`` are the bytes behind the message that may be read.
        """
        scanner, guards = self._scanners[number % len(self._scanners)]
        limit = len(message) + len(ahead)
        data = self._data.last(limit)
        data[: len(message)] = np.frombuffer(message, np.uint8)
        data[len(message) :] = np.frombuffer(bytes(ahead), np.uint8)
        room = 6 * len(message) + 4 * SLACK
        heap, part_heap = self._heap.last(room), self._part_heap.last(room)
        rows = self._rows(scanner, guards, len(message))
        status = scanner._run(otlp_traces.read_only(data), len(message), limit, rows, heap, part_heap)
        if status:
            return None
        found = scanner._results(rows, part_heap)
        assert len(found.words) <= rows.span_room
        assert int(found.numbers[:, 10:12].sum(axis=1).max(initial=0)) <= room
        return found._replace(heap=heap[: len(found.heap)].copy())

    def compare(self, message: bytes, random: Random) -> None:
        """What stands behind a message makes no difference, and the reference decoder gives the same."""
        number = random.randrange(len(self._scanners))
        bare = self.scan(message, number)
        for ahead in (bytes(AHEAD), random.randbytes(AHEAD)):
            found = self.scan(message, number, ahead)
            assert (bare is None) == (found is None)
            if bare is not None and found is not None:
                for one, other in zip(bare[1:], found[1:], strict=True):
                    np.testing.assert_array_equal(one, other)
        assert_same(message)

    def _scanning(self, columns: dict[str, str]) -> _Scanning:
        scanner = FastSpans(7, lambda: columns)._scanning.scanner
        scratch = scanner._scratch
        for name in ("keys", "key_texts", "table", "span", "counts", "rejected"):
            array = getattr(scratch, name)
            guarded = Guarded(array.nbytes).array(array, len(array))
            guarded[...] = array
            setattr(scratch, name, guarded)
        scanner._keys = Guarded(scanner._keys.nbytes).array(scanner._keys, len(scanner._keys))
        scanner._keys[...] = FastSpans(7, lambda: columns)._scanning.scanner._keys
        rows = otlp_traces._rows(self._largest // 30 + 1, self._largest + 1, scanner._width)
        guards = {name: Guarded(getattr(rows, name).nbytes) for name in rows._fields[2:]}
        return _Scanning(scanner, guards)

    def _rows(self, scanner: Scanner, guards: dict[str, Guarded], length: int) -> Any:
        # As otlp_traces._rows makes them, with just the room that a message of this length needs.
        likes = otlp_traces._rows(1, 1, scanner._width)
        span_room, room = length // 30 + 1, length + 1
        sizes = dict.fromkeys(guards, room) | {"words": span_room + 1, "numbers": span_room + 1}
        arrays = {name: guard.array(getattr(likes, name), sizes[name]) for name, guard in guards.items()}
        return otlp_traces._Rows(span_room, room, **arrays)


def fuzz(seconds: float, seed: int) -> int:
    """Scan mutants until the time is over; how many there were."""
    random = Random(seed)
    messages = [message for message in corpus(random) if message]
    fuzzer = Fuzzer(4 * max(map(len, messages)) + 4096, random)
    for message in messages:
        fuzzer.compare(message, random)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(200):
            mutant = mutated(random, random.choice(messages))
            ahead = random.randbytes(AHEAD) if number % 2 else b""
            found = fuzzer.scan(mutant, number // 2, ahead)
            if random.random() < _CLOSELY:
                fuzzer.compare(mutant, random)
                if found is not None:
                    messages[random.randrange(len(messages))] = mutant[: 4 * _PAGE]  # go on from here
        count += 200
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}: {fuzz(arguments.seconds, arguments.seed)} messages, no fault")


if __name__ == "__main__":
    main()
