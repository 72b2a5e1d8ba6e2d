"""Mutated requests through the compiled scan, where every byte out of bounds is a fault.

Each message ends where a page ends that nobody may touch the next one of; so does the memory that the scan
writes text to, exactly as much as it is promised. Run as a script it goes on as long as it is told:

    python tests/native/fuzz_scan.py --seconds 600
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import sys
import time
from pathlib import Path
from random import Random

import numpy as np

from support.decoders import COLUMNS
from tracescape_storage.attribute_columns import WELL_KNOWN

_PAGE = mmap.PAGESIZE
_PROT_NONE = 0
_CORPUS = Path(__file__).parent.parent / "data" / "otlp_corpus"


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

    def last(self, count: int) -> np.ndarray:
        """The ``count`` bytes before the guard, and not one more."""
        return self._bytes[len(self._bytes) - count :]


def corpus(random: Random) -> list[bytes]:
    """What is mutated: real and odd messages, and what earlier runs found interesting."""
    from support.otlp import request, span
    from support.wild_otlp import wild_request

    real = [
        request(*(span(attributes={"a": [1, {"b": "c"}], "d": 1.5, "http.method": "GET", "n": n})
                  for n in range(3))).SerializeToString()
    ]  # fmt: skip
    saved = [path.read_bytes() for path in sorted(_CORPUS.glob("*.bin"))]
    return real + saved + [wild_request(random, oddness) for oddness in (0.0, 0.0, 0.02, 0.2) * 25]


class Fuzzer:
    """Scans messages in guarded memory, by the very steps of `Scanner.scan`."""

    def __init__(self, largest: int) -> None:
        from tracescape_ingest.fast_spans import FastSpans

        self._scanner = FastSpans(7, lambda: WELL_KNOWN | COLUMNS)._scanning.scanner
        self._data = Guarded(largest)
        self._heap, self._part_heap = Guarded(8 * largest + 4096), Guarded(8 * largest + 4096)

    def scan(self, message: bytes) -> int:
        """A status; a fault of the process where a byte beyond is touched."""
        from tracescape_native import otlp_traces
        from tracescape_native.json_text import SLACK

        data = self._data.last(len(message))
        data[:] = np.frombuffer(message, np.uint8)
        room = 6 * len(message) + 4 * SLACK
        heap, part_heap = self._heap.last(room), self._part_heap.last(room)
        scanner = self._scanner
        rows = otlp_traces._rows(len(message) // 30 + 1, len(message) + 1, scanner._width)
        data = otlp_traces.read_only(data)
        status = scanner._run(data, len(data), len(data), rows, heap, part_heap)
        if status == 0:
            found = scanner._results(rows, part_heap)
            assert len(found.words) <= rows.span_room
            assert int(found.numbers[:, 10:12].sum(axis=1).max(initial=0)) <= room
        return status


def fuzz(seconds: float, seed: int) -> int:
    """Scan mutants until the time is over; how many there were."""
    from support.wild_otlp import mutated

    random = Random(seed)
    messages = [message for message in corpus(random) if message]
    fuzzer = Fuzzer(4 * max(map(len, messages)) + 4096)
    for message in messages:
        fuzzer.scan(message)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(200):
            mutant = mutated(random, random.choice(messages))
            if fuzzer.scan(mutant) == 0 and random.random() < 0.01:
                messages[random.randrange(len(messages))] = mutant[: 4 * _PAGE]  # go on from here
        count += 200
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    root = Path(__file__).parent.parent.parent
    sys.path[:0] = [str(root / folder) for folder in ("ingest", "storage", "native", "tests")]
    print(f"seed {arguments.seed}: {fuzz(arguments.seconds, arguments.seed)} messages, no fault")


if __name__ == "__main__":
    main()
