"""A tail gives everything that arrives, once, in its order, however late and however much of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from naive.search import SearchedSpan
from support.otlp import batch, span
from support.searchable import ColumnedReader, columned_reader
from tracescape_analytics.tail import SpanTail, TraceTail
from tracescape_storage import arrivals
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import EVERYTHING, field


def spans(*starts: int, trace: bytes = b"t" * 16, service: str = "app") -> list[SearchedSpan]:
    return [SearchedSpan(trace, start + 1, start=start, service=service) for start in starts]


@pytest.fixture
def reader() -> Iterator[ColumnedReader]:
    opened = columned_reader({}, spans(100, 200))
    yield opened
    opened.close()


def starts(tail: SpanTail, count: int) -> list[int]:
    return [row["start_ns"] for row in itertools.islice(tail, count)]


def test_what_was_there_before_is_not_told_and_late_spans_are(reader: ColumnedReader) -> None:
    tail = SpanTail(reader, EVERYTHING, poll_s=0.01)
    reader.add(spans(300, 5))
    reader.add(spans(1))
    assert starts(tail, 3) == [300, 5, 1]


def test_from_an_empty_store_on() -> None:
    reader = columned_reader({})
    tail = SpanTail(reader, EVERYTHING, poll_s=0.01)
    reader.add(spans(7))
    assert starts(tail, 1) == [7]
    reader.close()


def test_what_does_not_match_is_passed_over(reader: ColumnedReader) -> None:
    tail = SpanTail(reader, field("service") == "new", columns=["start_ns", "service"], poll_s=0.01)
    reader.add(spans(1, 2))
    reader.add(spans(3, service="new"))
    assert next(tail) == {"start_ns": 3, "service": "new"}


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_more_than_a_page_at_once(reader: ColumnedReader, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(arrivals, "MAX_ROWS", page)
    tail = SpanTail(reader, field("start_ns") != 12, poll_s=0.01)
    reader.add(spans(*range(10, 15)))
    reader.add(spans(*range(15, 17)))
    assert starts(tail, 3) == [10, 11, 13]
    reader.add(spans(17))
    assert starts(tail, 4) == [14, 15, 16, 17]
    assert tail._arrivals.next() == ([], False)


def test_an_error_loses_nothing(reader: ColumnedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    tail = SpanTail(reader, EVERYTHING, poll_s=0.01)
    reader.add(spans(1, 2))
    answer = type(reader).sql
    calls = itertools.count()

    def failing(self: ColumnedReader, query: str) -> pa.Table:
        if next(calls) % 2:
            raise StoreError("gone")
        return answer(self, query)

    monkeypatch.setattr(ColumnedReader, "sql", failing)
    for _ in range(3):
        with pytest.raises(StoreError, match="gone"):
            next(tail)
    monkeypatch.undo()
    assert starts(tail, 2) == [1, 2]


def test_while_others_write_and_old_ones_are_pruned(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    tail = SpanTail(store.reader(), EVERYTHING, poll_s=0.01, columns=["start_ns"])

    def write() -> None:
        for number in range(60):
            store.append(batch(*(span(start=number * 10 + i, end=10_000) for i in range(10))))
            if number % 20 == 19:
                store.prune(store.arrivals()[-5][0])

    writer = threading.Thread(target=write)
    told = []
    writer.start()
    while told[-1:] != [599]:
        told.append(next(tail)["start_ns"])
    writer.join()
    store.append(batch(span(start=600, end=10_000)))
    while told[-1:] != [600]:  # whatever came twice would come before it
        told.append(next(tail)["start_ns"])
    assert len(told) == len(set(told)), "nothing twice"
    assert told == sorted(told), "in the order of arrival"
    assert set(range(601)) - set(told) <= set(range(550)), "only what was pruned before it was looked at"
    store.close()


def test_traces_are_told_once_and_whole(reader: ColumnedReader) -> None:
    tail = TraceTail(reader, field("service") == "cart", poll_s=0.01, settle_s=0.05)
    reader.add(spans(10, trace=b"a" * 16, service="cart"))
    reader.add(spans(5, trace=b"a" * 16, service="web"))
    reader.add(spans(6, trace=b"b" * 16, service="web"))
    first = next(tail)
    assert (first["trace_id"], first["spans"], first["services"]) == (b"a".hex() * 16, 2, ["cart", "web"])
    reader.add(spans(11, trace=b"a" * 16, service="cart"))
    reader.add(spans(12, trace=b"c" * 16, service="cart"))
    assert next(tail)["trace_id"] == b"c".hex() * 16


def test_a_closed_file_and_nonsense_are_refused_at_once(reader: ColumnedReader) -> None:
    closed = DuckDBReader(reader.connection.cursor(), "x.db", live=False)
    with pytest.raises(StoreError, match="closed file"):
        SpanTail(closed, EVERYTHING)
    closed.close()
    with pytest.raises(ValueError, match="did you mean service"):
        SpanTail(reader, EVERYTHING, columns=["servce"])
    with pytest.raises(ValueError, match="poll_s"):
        TraceTail(reader, EVERYTHING, poll_s=0)
