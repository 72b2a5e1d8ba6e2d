"""Searching on the server: a page at a time, as `tracescape_storage.search` does in DuckDB's words.

The tables do not tell when a row arrived, so nothing pins what counts: a page begins after the last row of
the one before, and what arrives meanwhile is on the pages to which it belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa

from tracescape_storage.clickhouse.columns import Source, span_id
from tracescape_storage.clickhouse.literals import Bound, instant, literal, number
from tracescape_storage.clickhouse.whole import ATTRIBUTES, with_texts
from tracescape_storage.clickhouse.windows import Window, from_the_end
from tracescape_storage.cursors import Place
from tracescape_storage.filters import Filter
from tracescape_storage.reader import Extent
from tracescape_storage.search import (
    FOUND_SPAN,
    MAX_SPANS,
    MAX_TRACES,
    Page,
    Question,
    cursor_after,
    resumed,
)
from tracescape_storage.whole_attributes import RAW, readable_spans

#: So many matching spans for each trace of the page are looked at before all are.
_SPANS_A_TRACE: Final = 64
#: So many more traces than a page has are taken at once: some may be on pages before it.
_MORE_TRACES: Final = 100
_KEYS: Final = {"newest": "toUnixTimestamp64Nano(Timestamp)", "slowest": "toInt64(Duration)"}
_RAW_KEYS: Final = {"newest": "Timestamp", "slowest": "Duration"}
#: Tells rows of one id apart: a span that was sent twice, or two that share an id.
_ROW: Final = (
    "reinterpretAsInt64(cityHash64(SpanName, ServiceName, SpanKind, ParentSpanId, Timestamp, Duration))"
)

Asking = Callable[[str, Bound], pa.Table]


class Searcher(NamedTuple):
    """How to ask: ``ask`` runs a statement, ``matching`` puts a filter into words, ``spans`` is the table,
    ``extent`` tells what there is.
    """

    ask: Asking
    matching: Callable[[Filter, Bound], str]
    spans: Source
    extent: Callable[[], Extent]

    def find_spans(self, question: Question) -> Page:
        """See `search.search_spans`."""
        asked, place = resumed(question, "spans", MAX_SPANS)
        found: list[tuple[int, str, int, int]] = []
        for window in self._windows(asked, place):
            found += self._some_spans(asked, place, window, asked.limit + 1 - len(found))
            if len(found) > asked.limit:
                break
        places, after = found[: asked.limit], None
        if len(found) > asked.limit:
            key, trace, span, row = places[-1]
            after = cursor_after(asked, "spans", Place(0, key, (trace, span, row)))
        return Page(self._whole(places, _window_of(asked, [place[0] for place in places])), after)

    def _some_spans(
        self, asked: Question, place: Place | None, window: Window, most: int
    ) -> list[tuple[int, str, int, int]]:
        bound = Bound()
        conditions = self._conditions(asked, window, bound)
        if place is not None:
            conditions.append(_after_span(asked, place))
        number_of_span = span_id("SpanId")
        found = self.ask(
            f"SELECT {_KEYS[asked.order]} AS key, TraceId AS trace, {number_of_span} AS span, {_ROW} AS row"
            f" FROM {self.spans.origin} WHERE {' AND '.join(conditions)}"
            f" ORDER BY {_RAW_KEYS[asked.order]} DESC, TraceId DESC, span DESC, row DESC"
            f" LIMIT {most}",
            bound,
        )
        return [tuple(row.values()) for row in found.to_pylist()]

    def _windows(self, asked: Question, place: Place | None) -> Iterator[Window]:
        """The windows in which to look, one after the other, until the page is full."""
        whole = Window(asked.since_ns, asked.until_ns)
        if asked.order != "newest":
            return iter([whole])
        if place is not None:
            # The last place of a page is in its window.
            whole = Window(whole.since_ns, place.key + 1)
        return from_the_end(whole, self.extent(), asked.limit, self._last_before)

    def _last_before(self, window: Window) -> int | None:
        """The last start before a window in which nothing is; None where something is, or nothing before."""
        there = " AND ".join(window.conditions()) or "true"
        if self.ask(f"SELECT 1 AS n FROM {self.spans.origin} WHERE {there} LIMIT 1", Bound()).num_rows:
            return None
        assert window.since_ns is not None
        found = self.ask(
            "SELECT if(count() = 0, NULL, toUnixTimestamp64Nano(max(Timestamp))) AS last"
            f" FROM {self.spans.origin} WHERE Timestamp < {instant(window.since_ns)}",
            Bound(),
        )
        held: int | None = found["last"][0].as_py()
        return held

    def _whole(self, places: list[tuple[int, str, int, int]], window: Window) -> pa.Table:
        """The spans at these places, all in the window, in their order, with all that is read of them."""
        columns = {**{name: self.spans.columns[name] for name in RAW}, "attributes": ATTRIBUTES}
        listed = ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())
        traces = ", ".join(literal(trace) for trace in dict.fromkeys(place[1] for place in places)) or "''"
        ids = ", ".join(
            literal(f"{span & (1 << 64) - 1:016x}") for span in dict.fromkeys(place[2] for place in places)
        )
        rows = self.ask(
            f"SELECT {listed}, {_ROW} AS `#row` FROM {self.spans.origin}"
            f" WHERE {' AND '.join([*window.conditions(), f'TraceId IN ({traces})'])}"
            f" AND SpanId IN ({ids or literal('')})",
            Bound(),
        )
        where = {
            (trace.hex(), span, row): at
            for at, (trace, span, row) in enumerate(
                zip(*(_listed(rows, name) for name in ("trace_id", "span_id", "#row")), strict=True)
            )
        }
        order = [where[place[1:]] for place in places if place[1:] in where]
        chosen = binary_ids(rows).drop_columns(["#row"]).take(pa.array(order, pa.int64()))
        return readable_spans(with_texts(chosen)).select(list(FOUND_SPAN))

    def find_traces(self, question: Question) -> tuple[list[str], str | None]:
        """The hex ids of a page of traces, in order, and what `Question.after` is for the next."""
        asked, place = resumed(question, "traces", MAX_TRACES)
        if asked.order == "newest":
            rows = self._newest_traces(asked, place)
        else:
            few = self._few_traces(asked) if place is None else None
            rows = self._traces(asked, place, Window(asked.since_ns, asked.until_ns)) if few is None else few
        page = rows[: asked.limit]
        after = None
        if len(rows) > asked.limit:
            trace, key = page[-1]
            after = cursor_after(asked, "traces", Place(0, key, (trace,)))
        return [trace for trace, _ in page], after

    def _newest_traces(self, asked: Question, place: Place | None) -> list[tuple[str, int]]:
        """Window by window from the end. A trace is where its last matching span is: met again, it was there
        already, on this page or on one before."""
        found: dict[str, int] = {}
        passed: set[str] = set()
        for window in self._windows(asked, place):
            below = place
            while True:
                most = asked.limit + 1 + (_MORE_TRACES if passed or below is not None else 0)
                rows = self._traces(asked, below, window, most)
                new = {trace: key for trace, key in rows if trace not in found and trace not in passed}
                passed |= self._on_pages_before(asked, place, list(new))
                found.update((trace, key) for trace, key in new.items() if trace not in passed)
                if len(found) > asked.limit:
                    return list(found.items())[: asked.limit + 1]
                if len(rows) < most:
                    break
                below = Place(0, rows[-1][1], (rows[-1][0],))
        return list(found.items())

    def _on_pages_before(self, asked: Question, place: Place | None, traces: list[str]) -> set[str]:
        """Those of the traces that have a matching span where the pages before this one were."""
        if place is None or not traces:
            return set()
        bound, (last,), at = Bound(), place.ties, instant(place.key)
        window = Window(asked.since_ns, asked.until_ns)
        found = self.ask(
            f"SELECT DISTINCT TraceId AS trace FROM {self.spans.origin}"
            f" WHERE {' AND '.join(self._conditions(asked, window, bound))}"
            f" AND (Timestamp > {at} OR (Timestamp = {at} AND TraceId >= {literal(last)}))"
            f" AND TraceId IN ({', '.join(map(literal, traces))})",
            bound,
        )
        return set(found["trace"].to_pylist())

    def _few_traces(self, asked: Question) -> list[tuple[str, int]] | None:
        """From the first of the matching spans, where these decide it; else None."""
        bound, enough = Bound(), asked.limit * _SPANS_A_TRACE
        conditions = self._conditions(asked, Window(asked.since_ns, asked.until_ns), bound)
        found = self.ask(
            f"SELECT TraceId AS trace, {_KEYS[asked.order]} AS key FROM {self.spans.origin}"
            f" WHERE {' AND '.join(conditions)} ORDER BY {_RAW_KEYS[asked.order]} DESC LIMIT {enough}",
            bound,
        )
        first: dict[str, int] = {}
        for trace, key in zip(_listed(found, "trace"), _listed(found, "key"), strict=True):
            first.setdefault(trace, key)
        if found.num_rows == enough:  # of the spans at the lowest place, some may be missing
            lowest = found["key"][enough - 1].as_py()
            first = {trace: key for trace, key in first.items() if key > lowest}
            if len(first) <= asked.limit:
                return None
        return sorted(first.items(), key=lambda row: (row[1], row[0]), reverse=True)

    def _traces(
        self, asked: Question, place: Place | None, window: Window, most: int | None = None
    ) -> list[tuple[str, int]]:
        """Traces and the greatest key of their matching spans in a window, after a place."""
        bound, having = Bound(), ""
        if place is not None:
            (trace,) = place.ties
            at = number(place.key)
            having = f" HAVING key < {at} OR (key = {at} AND trace < {literal(trace)})"
        found = self.ask(
            f"SELECT TraceId AS trace, max({_KEYS[asked.order]}) AS key FROM {self.spans.origin}"
            f" WHERE {' AND '.join(self._conditions(asked, window, bound))} GROUP BY TraceId{having}"
            f" ORDER BY key DESC, trace DESC LIMIT {most or asked.limit + 1}",
            bound,
        )
        return list(zip(_listed(found, "trace"), _listed(found, "key"), strict=True))

    def _conditions(self, asked: Question, window: Window, bound: Bound) -> list[str]:
        return [self.matching(asked.where, bound), *window.conditions()]


def binary_ids(table: pa.Table) -> pa.Table:
    """``table`` with its ids of traces as the bytes that they are, whatever Arrow was told."""
    for name in ("trace_id", "linked_trace_id"):
        at = table.schema.get_field_index(name)
        if at >= 0:
            table = table.set_column(at, name, table.column(at).cast(pa.binary()))
    return table


def _listed(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = (binary_ids(table) if name == "trace_id" else table)[name].to_pylist()
    return values


def _window_of(asked: Question, keys: list[int]) -> Window:
    """Where spans with these keys are."""
    if asked.order == "newest" and keys:
        return Window(keys[-1], keys[0] + 1)
    return Window(asked.since_ns, asked.until_ns)


def _after_span(asked: Question, place: Place) -> str:
    trace, span, row = place.ties
    key, at = _KEYS[asked.order], number(place.key)
    mine = span_id("SpanId")
    later = (
        f"(TraceId < {literal(trace)} OR (TraceId = {literal(trace)} AND ({mine} < {number(span)}"
        f" OR ({mine} = {number(span)} AND {_ROW} < {number(row)}))))"
    )
    return f"({key} < {at} OR ({key} = {at} AND {later}))"
