"""Rows of scanned requests as columns, one value at a time: defines ``tracescape_native.span_columns``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracescape_native import otlp_traces as scan
from tracescape_native.otlp_traces import Scanned
from tracescape_native.span_columns import NUMBERS, WORDS


@dataclass
class Columns:
    """A list a column, texts as bytes or None, integers as int or None."""

    trace_ids: list[bytes] = field(default_factory=list)
    words: dict[int, list[int]] = field(default_factory=lambda: {column: [] for column in WORDS})
    numbers: dict[int, list[int]] = field(default_factory=lambda: {column: [] for column in NUMBERS})
    groups: list[tuple[int, int]] = field(default_factory=list)
    texts: dict[int, list[bytes | None]] = field(default_factory=dict)
    integers: dict[int, list[int | None]] = field(default_factory=dict)
    attributes: list[bytes] = field(default_factory=list)

    def add(
        self,
        data: bytes,
        scanned: Scanned,
        rows: list[int],
        resources: list[int],
        scopes: list[int],
        text_places: tuple[int, ...],
        integer_places: tuple[int, ...],
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
                if numbers[place] >= 0:
                    _, start, length = scanned.texts[numbers[place]].tolist()
                    value = data[start : start + length]
                self.texts.setdefault(place, []).append(value)
            for place in integer_places:
                is_set = numbers[scan.SET] >> (place - scan.PROMOTED) & 1
                self.integers.setdefault(place, []).append(numbers[place] if is_set else None)
            start, length = numbers[scan.ATTRIBUTES], numbers[scan.ATTRIBUTES + 1]
            self.attributes.append(heap[start : start + length])
