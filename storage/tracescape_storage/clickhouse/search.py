"""Searching on the server: a page at a time, as `tracescape_storage.search` does in DuckDB's words.

The tables do not tell when a row arrived, so nothing pins what counts: a page begins after the last row of
the one before, and what arrives meanwhile is on the pages to which it belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pyarrow as pa

from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.columns import Source, span_id
from tracescape_storage.clickhouse.literals import Bound, instant, literal, number
from tracescape_storage.cursors import Place
from tracescape_storage.filters import Filter
from tracescape_storage.search import (
    FOUND_SPAN,
    MAX_SPANS,
    MAX_TRACES,
    Page,
    Question,
    cursor_after,
    resumed,
)
from tracescape_storage.whole_attributes import RAW, put_together, readable_spans

#: So many matching spans for each trace of the page are looked at before all are.
_SPANS_A_TRACE: Final = 64
_KEYS: Final = {"newest": "toUnixTimestamp64Nano(Timestamp)", "slowest": "toInt64(Duration)"}
_RAW_KEYS: Final = {"newest": "Timestamp", "slowest": "Duration"}
#: Tells rows of one id apart: a span that was sent twice, or two that share an id.
_ROW: Final = (
    "reinterpretAsInt64(cityHash64(SpanName, ServiceName, SpanKind, ParentSpanId, Timestamp, Duration))"
)

Asking = Callable[[str, Bound], pa.Table]


class Searcher(NamedTuple):
    """How to ask: ``ask`` runs a statement, ``matching`` puts a filter into words, ``spans`` is the table."""

    ask: Asking
    matching: Callable[[Filter, Bound], str]
    spans: Source

    def find_spans(self, question: Question) -> Page:
        """See `search.search_spans`."""
        asked, place = resumed(question, "spans", MAX_SPANS)
        bound = Bound()
        conditions = self._conditions(asked, bound)
        if place is not None:
            conditions.append(_after_span(asked, place))
        number_of_span = span_id("SpanId")
        found = self.ask(
            f"SELECT {_KEYS[asked.order]} AS key, TraceId AS trace, {number_of_span} AS span, {_ROW} AS row"
            f" FROM {self.spans.origin} WHERE {' AND '.join(conditions)}"
            f" ORDER BY {_RAW_KEYS[asked.order]} DESC, TraceId DESC, span DESC, row DESC"
            f" LIMIT {asked.limit + 1}",
            bound,
        )
        places = [tuple(row.values()) for row in found.slice(0, asked.limit).to_pylist()]
        after = None
        if found.num_rows > asked.limit:
            key, trace, span, row = places[-1]
            after = cursor_after(asked, "spans", Place(0, key, (trace, span, row)))
        return Page(self._whole(places), after)

    def _whole(self, places: list[tuple[int, str, int, int]]) -> pa.Table:
        """The spans at these places, in their order, with all that is read of them."""
        columns = {name: self.spans.columns[name] for name in (*RAW, "attributes", *WELL_KNOWN)}
        listed = ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())
        traces = ", ".join(literal(trace) for trace in dict.fromkeys(place[1] for place in places)) or "''"
        ids = ", ".join(
            literal(f"{span & (1 << 64) - 1:016x}") for span in dict.fromkeys(place[2] for place in places)
        )
        rows = self.ask(
            f"SELECT {listed}, {_ROW} AS `#row` FROM {self.spans.origin}"
            f" WHERE TraceId IN ({traces}) AND SpanId IN ({ids or literal('')})",
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
        whole = put_together(chosen).select([*RAW, "attributes"])
        return readable_spans(whole).select(list(FOUND_SPAN))

    def find_traces(self, question: Question) -> tuple[list[str], str | None]:
        """The hex ids of a page of traces, in order, and what `Question.after` is for the next."""
        asked, place = resumed(question, "traces", MAX_TRACES)
        rows = self._few_traces(asked) if place is None else None
        if rows is None:
            rows = self._traces(asked, place)
        page = rows[: asked.limit]
        after = None
        if len(rows) > asked.limit:
            trace, key = page[-1]
            after = cursor_after(asked, "traces", Place(0, key, (trace,)))
        return [trace for trace, _ in page], after

    def _few_traces(self, asked: Question) -> list[tuple[str, int]] | None:
        """From the first of the matching spans, where these decide it; else None."""
        bound, enough = Bound(), asked.limit * _SPANS_A_TRACE
        found = self.ask(
            f"SELECT TraceId AS trace, {_KEYS[asked.order]} AS key FROM {self.spans.origin}"
            f" WHERE {' AND '.join(self._conditions(asked, bound))}"
            f" ORDER BY {_RAW_KEYS[asked.order]} DESC LIMIT {enough}",
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

    def _traces(self, asked: Question, place: Place | None) -> list[tuple[str, int]]:
        bound, having = Bound(), ""
        if place is not None:
            (trace,) = place.ties
            at = number(place.key)
            having = f" HAVING key < {at} OR (key = {at} AND trace < {literal(trace)})"
        found = self.ask(
            f"SELECT TraceId AS trace, max({_KEYS[asked.order]}) AS key FROM {self.spans.origin}"
            f" WHERE {' AND '.join(self._conditions(asked, bound))} GROUP BY TraceId{having}"
            f" ORDER BY key DESC, trace DESC LIMIT {asked.limit + 1}",
            bound,
        )
        return list(zip(_listed(found, "trace"), _listed(found, "key"), strict=True))

    def _conditions(self, asked: Question, bound: Bound) -> list[str]:
        found = [self.matching(asked.where, bound)]
        if asked.since_ns is not None:
            found.append(f"Timestamp >= {instant(asked.since_ns)}")
        if asked.until_ns is not None:
            found.append(f"Timestamp < {instant(asked.until_ns)}")
        return found


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


def _after_span(asked: Question, place: Place) -> str:
    trace, span, row = place.ties
    key, at = _KEYS[asked.order], number(place.key)
    mine = span_id("SpanId")
    later = (
        f"(TraceId < {literal(trace)} OR (TraceId = {literal(trace)} AND ({mine} < {number(span)}"
        f" OR ({mine} = {number(span)} AND {_ROW} < {number(row)}))))"
    )
    return f"({key} < {at} OR ({key} = {at} AND {later}))"
