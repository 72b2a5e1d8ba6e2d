"""Rows of scanned requests as columns, one value at a time: defines ``tracescape_native.span_columns``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tracescape_native import otlp_traces as scan
from tracescape_native.otlp_traces import Scanned
from tracescape_native.span_columns import NUMBERS, WORDS


@dataclass
class Columns:
    """A list a column, texts as bytes or None, other columns of attributes as their 64 bits or None."""

    trace_ids: list[bytes] = field(default_factory=list)
    words: dict[int, list[int]] = field(default_factory=lambda: {column: [] for column in WORDS})
    numbers: dict[int, list[int]] = field(default_factory=lambda: {column: [] for column in NUMBERS})
    groups: list[tuple[int, int]] = field(default_factory=list)
    texts: dict[int, list[bytes | None]] = field(default_factory=dict)
    wide: dict[int, list[int | None]] = field(default_factory=dict)
    attributes: list[bytes] = field(default_factory=list)

    def add(
        self,
        data: bytes,
        scanned: Scanned,
        rows: list[int],
        resources: list[int],
        scopes: list[int],
        text_places: Sequence[int],
        wide_places: Sequence[int],
    ) -> None:
        heap = scanned.heap.tobytes()
        for row in rows:
            words, numbers = scanned.words[row].tolist(), scanned.numbers[row].tolist()
            self.trace_ids.append(scanned.words[row, :2].tobytes())
            for column in WORDS:
                self.words[column].append(words[column])
            for column in NUMBERS:
                self.numbers[column].append(numbers[column])
            self.groups.append((resources[numbers[scan.RESOURCE]], scopes[numbers[scan.SCOPE]]))
            for place in text_places:
                value = None
                if place < len(numbers) and numbers[place] >= 0:
                    _, start, length = scanned.texts[numbers[place]].tolist()
                    value = data[start : start + length]
                self.texts.setdefault(place, []).append(value)
            for place in wide_places:
                low, high = numbers[place : place + 2] if place < len(numbers) else (0, -(2**31))
                bits = high * 2**32 + low % 2**32
                self.wide.setdefault(place, []).append(None if bits == scan.MISSING else bits)
            start, length = numbers[scan.ATTRIBUTES], numbers[scan.ATTRIBUTES + 1]
            self.attributes.append(heap[start : start + length])
