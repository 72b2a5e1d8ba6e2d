"""Searching spans and traces: one page of an answer at a time, of a fixed set of rows.

Spans are ordered by start or duration, ties by their ids. A trace stands where its newest start or longest
duration among its *matching* spans stands, ties by its id. The first page pins the rows that count (those
that have arrived by then), and where the next one begins is all of the last row's place in that order. So
pages together have every match once, however many are alike and whatever arrives meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import pyarrow as pa

from tracescape_storage.conditions import CONTENTS, Among, among_subquery, condition_sql
from tracescape_storage.cursors import Place, read_cursor, write_cursor
from tracescape_storage.filters import EVERYTHING, Filter, check_size, comparisons
from tracescape_storage.readable import SPAN_COLUMNS
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ARRIVED
from tracescape_storage.whole_attributes import (
    MARK,
    RAW,
    carried_sql,
    put_together,
    readable_spans,
    whole_sql,
)

Order: TypeAlias = Literal["newest", "slowest"]

MAX_SPANS: Final = 10_000
MAX_TRACES: Final = 1_000
#: So many ids of resources or scopes are named in a query.
_MAX_IDS: Final = 200
_KEYS: Final[dict[Order, str]] = {"newest": "start_ns", "slowest": "duration_ns"}
#: So many matching spans for each trace of the page are looked at before all are.
_SPANS_A_TRACE: Final = 64

#: Owners of attributes that may have columns.
_OF_SPANS: Final = ("any", "span")
_ROW: Final = f"{MARK}row"
_PINNED: Final = f"{MARK}pinned"
#: The last commit that counts.
_EVER: Final = 2**63 - 1

#: The columns of a found span.
FOUND_SPAN: Final = (*SPAN_COLUMNS, "attributes")


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Attributes:
        where: a condition on spans.
        since_ns, until_ns: the window by span start; None leaves a side open. With ``after`` it is that of
            the first page, whatever stands here: a window that moves with the clock would lose rows.
        order: newest or slowest first.
        limit: rows of one page.
        after: where the page begins: what the page before it gave; None for the first.
    """

    where: Filter = EVERYTHING
    since_ns: int | None = None
    until_ns: int | None = None
    order: Order = "newest"
    limit: int = 20
    after: str | None = None


class Page(NamedTuple):
    """Rows in order, and what `Question.after` is for those that follow; None: there are no more."""

    rows: pa.Table
    after: str | None


def search_spans(reader: Reader, question: Question) -> Page:
    """Matching spans: columns `FOUND_SPAN`, typed as docs/columns.md has them.

    Raises:
        ValueError: the question is no question, or its cursor is of another one.
        StoreError: the store cannot answer.
    """
    if (ask := getattr(reader, "search_spans", None)) is not None:
        answer: Page = ask(question)
        return answer
    asked, place = resumed(question, "spans", MAX_SPANS)
    columns = _columns(reader, asked.where)
    key = _KEYS[asked.order]
    conditions = _conditions(reader, asked, columns, place)
    if place is not None:
        trace, span, row = place.ties
        conditions.append(f"{key} <= {place.key}")
        conditions.append(
            f"({key} < {place.key} OR trace_id < from_hex('{trace}') OR (trace_id = from_hex('{trace}')"
            f" AND (span_id < {span} OR (span_id = {span} AND rowid < {row}))))"
        )
    order = f"ORDER BY spans.{key} DESC, spans.trace_id DESC, spans.span_id DESC, spans.rowid DESC"
    # The rows of the page first, by few columns: the others are read for these alone. What the filter reads
    # comes along, for a column of many different texts is what takes longest to read.
    carried = {each.key for each in comparisons(asked.where) if each.owner in _OF_SPANS} & set(columns)
    chosen = ", ".join([f'rowid AS "{_ROW}"', *carried_sql(carried)])
    page = f"SELECT {chosen} FROM spans WHERE {' AND '.join(conditions)} {order} LIMIT {asked.limit + 1}"
    found = reader.sql(
        f'SELECT {whole_sql(carried)}, "{_ROW}", {_pinned(reader)}'
        f' FROM spans JOIN ({page}) AS _page ON spans.rowid = _page."{_ROW}" {order}'
    )
    after = None
    if found.num_rows > asked.limit:
        last = found.slice(asked.limit - 1, 1).to_pylist()[0]
        pinned = last[_PINNED] if place is None else place.pinned
        ties = (last["trace_id"].hex(), last["span_id"], last[_ROW])
        after = cursor_after(asked, "spans", Place(pinned, last[key], ties))
    rows = readable_spans(put_together(found.slice(0, asked.limit)).select([*RAW, "attributes"]))
    return Page(rows.select(list(FOUND_SPAN)), after)


def search_traces(reader: Reader, question: Question) -> Page:
    """Traces with a matching span, whole: the columns of `summaries_sql`. Raises as `search_spans` does."""
    if (ask := getattr(reader, "search_traces", None)) is not None:
        answer: Page = ask(question)
        return answer
    asked, place = resumed(question, "traces", MAX_TRACES)
    columns = _columns(reader, asked.where)
    found = _few_traces(reader, asked, columns) if place is None else None
    if found is None:
        found = _traces(reader, asked, columns, place)
    rows = found.rows[: asked.limit]
    after = None
    if len(found.rows) > asked.limit:
        trace, key = rows[-1]
        after = cursor_after(asked, "traces", Place(found.pinned, key, (trace,)))
    return Page(reader.sql(summaries_sql(reader, [trace for trace, _ in rows])), after)


def summaries_sql(reader: Reader, trace_ids: list[str]) -> str:
    """``SELECT`` of a row for each trace (hex ids), in the order given.

    ``trace_id, root_service, root_operation`` (text), ``start_ns, duration_ns`` (from the first start to the
    last end), ``spans, errors`` (spans with that status; copies count once), ``services`` (sorted names).
    The root is the longest span without a parent, else the longest whose parent is missing, else the first.
    """
    ids = ", ".join(f"from_hex('{trace}')" for trace in trace_ids)
    wanted = reader.of_traces([bytes.fromhex(trace) for trace in trace_ids])
    order = f"list_position([{ids}], trace_id)" if trace_ids else "1"
    best = "ORDER BY rank, CASE WHEN rank < 2 THEN -duration_ns END, start_ns, span_id < 0, span_id"
    return f"""
    WITH own AS (
        SELECT DISTINCT trace_id, span_id, parent_span_id, start_ns, duration_ns, service, operation,
            kind, status, resource_id
        FROM spans WHERE {wanted}
    ), ranked AS (
        SELECT *, CASE WHEN parent_span_id = 0 THEN 0
            WHEN (trace_id, parent_span_id) NOT IN (SELECT (trace_id, span_id) FROM own) THEN 1
            ELSE 2 END AS rank
        FROM own
    )
    SELECT lower(hex(trace_id)) AS trace_id,
        first(service {best}) AS root_service, first(operation {best}) AS root_operation,
        min(start_ns) AS start_ns, max(start_ns + duration_ns) - min(start_ns) AS duration_ns,
        count(*) AS spans, count(*) FILTER (status = 2) AS errors,
        list_sort(list(DISTINCT service)) AS services
    FROM ranked GROUP BY ranked.trace_id ORDER BY {order}
    """


class _Traces(NamedTuple):
    rows: list[tuple[str, int]]  # hex id and place, in order; one more than the limit if there are more
    pinned: int


def _few_traces(reader: Reader, asked: Question, columns: Mapping[str, str]) -> _Traces | None:
    """The first page from the first of the matching spans, where these decide it; else None."""
    key = _KEYS[asked.order]
    enough = asked.limit * _SPANS_A_TRACE
    found = reader.sql(
        f"SELECT lower(hex(trace_id)) AS trace_id, {key} AS _key, {_pinned(reader)}"
        f" FROM spans WHERE {' AND '.join(_conditions(reader, asked, columns, None))}"
        f" ORDER BY {key} DESC LIMIT {enough}"
    )
    if not found.num_rows:
        return _Traces([], 0)
    first: dict[str, int] = {}
    for trace, value in zip(found["trace_id"].to_pylist(), found["_key"].to_pylist(), strict=True):
        first.setdefault(trace, value)
    lowest = found["_key"][found.num_rows - 1].as_py()
    if found.num_rows == enough:
        # Of the spans at the lowest place, some may be missing.
        first = {trace: value for trace, value in first.items() if value > lowest}
        if len(first) <= asked.limit:
            return None
    rows = sorted(first.items(), key=lambda row: (row[1], row[0]), reverse=True)
    return _Traces(rows[: asked.limit + 1], found[_PINNED][0].as_py())


def _traces(reader: Reader, asked: Question, columns: Mapping[str, str], place: Place | None) -> _Traces:
    key = _KEYS[asked.order]
    having = ""
    if place is not None:
        (trace,) = place.ties
        at = f"max({key})"
        having = f" HAVING {at} < {place.key} OR ({at} = {place.key} AND trace_id < from_hex('{trace}'))"
    conditions = " AND ".join(_conditions(reader, asked, columns, place))
    found = reader.sql(
        f"SELECT lower(hex(trace_id)) AS id, max({key}) AS _key, {_pinned(reader)}"
        f" FROM spans WHERE {conditions} GROUP BY trace_id{having}"
        f" ORDER BY max({key}) DESC, trace_id DESC LIMIT {asked.limit + 1}"
    )
    pinned = found[_PINNED][0].as_py() if found.num_rows else 0
    rows = list(zip(found["id"].to_pylist(), found["_key"].to_pylist(), strict=True))
    return _Traces(rows, pinned if place is None else place.pinned)


def window_conditions(since_ns: int | None, until_ns: int | None, column: str = "start_ns") -> list[str]:
    """SQL for ``[since_ns, until_ns)``."""
    conditions = [] if since_ns is None else [f"{column} >= {int(since_ns)}"]
    return conditions if until_ns is None else [*conditions, f"{column} < {int(until_ns)}"]


def _columns(reader: Reader, where: Filter) -> Mapping[str, str]:
    """Which attributes have columns, if the filter is about any: to know it takes a question of its own."""
    asks = any(each.owner in _OF_SPANS for each in comparisons(where))
    return reader.attribute_columns() if asks else {}


def _conditions(
    reader: Reader, asked: Question, columns: Mapping[str, str], place: Place | None
) -> list[str]:
    pinned = [] if place is None else [f"{ARRIVED} <= {place.pinned}"]
    window = window_conditions(asked.since_ns, asked.until_ns)
    return [*window, *pinned, condition_sql(asked.where, columns, _looked_up(reader))]


def _pinned(reader: Reader) -> str:
    """The arrivals that count: those so far. Nothing arrives at what nobody writes to."""
    pinned = f"(SELECT max({ARRIVED}) FROM spans)" if reader.live else str(_EVER)
    return f'{pinned} AS "{_PINNED}"'


def _looked_up(reader: Reader) -> Among:
    """Resources and scopes are few: with their ids at hand, the database skips whole row groups."""

    @cache
    def among(key: str, condition: str) -> str:
        found = reader.sql(f"SELECT {key} FROM {CONTENTS[key]} WHERE {condition} LIMIT {_MAX_IDS + 1}")
        ids = found[key].to_pylist()
        if len(ids) > _MAX_IDS:
            return among_subquery(key, condition)
        return f"{key} IN ({', '.join(map(str, ids))})" if ids else "false"

    return among


def resumed(question: Question, what: str, most: int) -> tuple[Question, Place | None]:
    """The question, checked, with the window of its first page; and where to go on."""
    if question.order not in _KEYS:
        raise ValueError(f"there is no order {question.order!r}; it is newest or slowest")
    if not 1 <= question.limit <= most:
        raise ValueError(
            f"limit is {question.limit}; a page has 1 to {most:,} {what}: ask for pages with after="
        )
    check_size(question.where)
    if question.after is None:
        return question, None
    cursor = read_cursor(question.after, _identity(question, what), ties=3 if what == "spans" else 1)
    return replace(question, since_ns=cursor.since_ns, until_ns=cursor.until_ns), cursor.place


def cursor_after(asked: Question, what: str, place: Place) -> str:
    """What `Question.after` is for what follows ``place``."""
    return write_cursor(_identity(asked, what), asked.since_ns, asked.until_ns, place)


def _identity(question: Question, what: str) -> tuple[Any, ...]:
    """What must be the same on every page."""
    return what, question.order, str(question.where)
