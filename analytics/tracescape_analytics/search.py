"""Which spans, which traces: pages of a search, and a word about why one found nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from tracescape_analytics.errors import near, unknown_operation, unknown_service
from tracescape_storage.attribute_keys import has_key, known_keys
from tracescape_storage.conditions import literal
from tracescape_storage.filters import Comparison, Filter, comparisons, required_values
from tracescape_storage.local_time import readable_time
from tracescape_storage.readable import SPAN_COLUMNS
from tracescape_storage.reader import Reader
from tracescape_storage.search import Question, search_spans, search_traces

_NAMES: Final = 10_000
_CHECKED_KEYS: Final = 5


@dataclass(frozen=True)
class Found:
    """One page of a search.

    ``rows`` is a frame with a row a span or a row a trace, in order; ``after`` goes into the next search with
    the same filter and order, and is None on the last page; ``hint`` says what might be wrong where nothing
    was found at all, and is None elsewhere.
    """

    rows: pl.DataFrame
    after: str | None
    hint: str | None = None

    def __len__(self) -> int:
        return self.rows.height

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.rows.iter_rows(named=True)

    def __repr__(self) -> str:
        if self.hint is not None:
            return f"<Found nothing: {self.hint}>"
        more = "" if self.after is None else "\nmore: search again with after=….after"
        return f"{self.rows}{more}"


def search(reader: Reader, question: Question, *, spans: bool) -> Found:
    """Matching spans, or the traces that have one.

    Spans: `SPAN_COLUMNS` and ``attributes`` (JSON text). Traces: ``trace_id, root_service, root_operation``
    (text), ``start_ns, duration_ns, spans, errors`` (Int64), ``services`` (list of text).

    Raises:
        UnknownServiceError, UnknownOperationError: nothing was found, and the filter wants a service or an
            operation that the store does not have.
        ValueError: the question is no question.
    """
    page = (search_spans if spans else search_traces)(reader, question)
    rows = pl.DataFrame(page.rows)
    if rows.height or question.after is not None:
        return Found(rows, page.after)
    return Found(rows, None, nothing_found(reader, question))


def nothing_found(reader: Reader, question: Question) -> str:
    """Why a question finds nothing, for people: which key no span has, or what the store holds.

    Raises:
        UnknownServiceError, UnknownOperationError: the store has none of a name; the near ones are listed.
    """
    _check_names(reader, question.where)
    return _hint(reader, question)


def _check_names(reader: Reader, where: Filter) -> None:
    services = required_values(where, "service")
    known = _names(reader, "service", "true") if services else []
    for service in services:
        if service not in known:
            raise unknown_service(service, known)
    of_service = f"service = {literal(services[0])}" if len(services) == 1 else "true"
    operations = required_values(where, "operation")
    known = _names(reader, "operation", of_service) if operations else []
    for operation in operations:
        if operation not in known:
            raise unknown_operation(operation, services[0] if len(services) == 1 else None, known)


def _names(reader: Reader, column: str, condition: str) -> list[str]:
    found = reader.sql(f"SELECT DISTINCT {column} AS name FROM spans WHERE {condition} LIMIT {_NAMES}")
    names: list[str] = found["name"].to_pylist()
    return names


def _hint(reader: Reader, question: Question) -> str:
    extent = reader.extent()
    if not extent.spans:
        return f"{reader.location} holds no spans yet"
    columns = reader.attribute_columns()
    for comparison in _first_of_each_key(question.where):
        if not has_key(reader, comparison.field, columns):
            return _unknown_key(reader, comparison, columns)
    first, last = readable_time(extent.first_start_ns), readable_time(extent.last_start_ns)
    held = f"{extent.spans:,} spans from {first} to {last}"
    windowed = question.since_ns is not None or question.until_ns is not None
    return f"no match{' in the window' if windowed else ''}; {reader.location} holds {held}"


def _first_of_each_key(where: Filter) -> list[Comparison]:
    unlike = {(found.owner, found.key): found for found in comparisons(where) if found.owner}
    return list(unlike.values())[:_CHECKED_KEYS]


def _unknown_key(reader: Reader, comparison: Comparison, columns: Mapping[str, str]) -> str:
    keys = known_keys(reader, comparison.owner, columns)
    if comparison.owner in ("any", "span"):
        keys |= set(SPAN_COLUMNS)
    close = near(comparison.key, keys)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"no span has a value of {comparison.field}{meant}"
