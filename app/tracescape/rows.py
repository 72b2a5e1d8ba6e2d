"""Rows of a store as frames: spans, log records, data points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, overload

import polars as pl
import pyarrow as pa

from tracescape.times import When, Window
from tracescape_analytics.asking import Where, filter_of
from tracescape_analytics.frames import Form, formed
from tracescape_storage.reader import Reader
from tracescape_storage.row_sql import log_rows_sql, metric_rows_sql, span_rows_sql

Rows: TypeAlias = pl.DataFrame | pl.LazyFrame | pa.RecordBatchReader


class _Asked(Protocol):
    """What a store has to offer."""

    _reader: Reader

    def _windows(self, since: When, until: When, baseline: When) -> tuple[Window, tuple[int, int] | None]: ...


class RowFrames:
    """The methods of a store that give rows. Columns are those of docs/columns.md.

    ``form`` is ``"frame"`` (Polars), ``"lazy"`` (a lazy one) or ``"arrow"``: a reader of record
    batches that come from the store as they are taken.
    Rows come in the order in which they arrived. A wrong column or filter raises ``ValueError`` that lists
    what comes near.
    """

    @overload
    def spans(
        self: _Asked,
        where: Where = None,
        *,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["frame"] = "frame",
    ) -> pl.DataFrame: ...

    @overload
    def spans(
        self: _Asked,
        where: Where = None,
        *,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["lazy"],
    ) -> pl.LazyFrame: ...

    @overload
    def spans(
        self: _Asked,
        where: Where = None,
        *,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["arrow"],
    ) -> pa.RecordBatchReader: ...

    def spans(
        self: _Asked,
        where: Where = None,
        *,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Form = "frame",
    ) -> Rows:
        """Spans that start in the window and match the filter.

        Columns, where none are named: the identifying ones, times, all ``attributes`` as JSON text. Others
        are ``resource_attributes`` and any attribute by its key, with the type of its values: ``KEY`` is the
        span's or its resource's, ``span.KEY``, ``resource.KEY`` and ``scope.KEY`` say whose, ``event.KEY`` is
        a list of those of its events.
        """
        window, _ = self._windows(since, until, None)
        query = span_rows_sql(self._reader, columns, where=filter_of(where), window=window, limit=limit)
        return formed(self._reader, query, form)

    @overload
    def logs(
        self: _Asked,
        contains: str | None = None,
        *,
        service: str | None = None,
        trace_id: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["frame"] = "frame",
    ) -> pl.DataFrame: ...

    @overload
    def logs(
        self: _Asked,
        contains: str | None = None,
        *,
        service: str | None = None,
        trace_id: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["lazy"],
    ) -> pl.LazyFrame: ...

    @overload
    def logs(
        self: _Asked,
        contains: str | None = None,
        *,
        service: str | None = None,
        trace_id: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["arrow"],
    ) -> pa.RecordBatchReader: ...

    def logs(
        self: _Asked,
        contains: str | None = None,
        *,
        service: str | None = None,
        trace_id: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Form = "frame",
    ) -> Rows:
        """Log records of the window; ``contains`` is a part of the body, upper and lower case as written."""
        window, _ = self._windows(since, until, None)
        query = log_rows_sql(
            columns, service=service, trace_id=trace_id, contains=contains, window=window, limit=limit
        )
        return formed(self._reader, query, form)

    @overload
    def metrics(
        self: _Asked,
        name: str | None = None,
        *,
        service: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["frame"] = "frame",
    ) -> pl.DataFrame: ...

    @overload
    def metrics(
        self: _Asked,
        name: str | None = None,
        *,
        service: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["lazy"],
    ) -> pl.LazyFrame: ...

    @overload
    def metrics(
        self: _Asked,
        name: str | None = None,
        *,
        service: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Literal["arrow"],
    ) -> pa.RecordBatchReader: ...

    def metrics(
        self: _Asked,
        name: str | None = None,
        *,
        service: str | None = None,
        since: When = None,
        until: When = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        form: Form = "frame",
    ) -> Rows:
        """Data points of the window, of one metric if ``name`` is given."""
        window, _ = self._windows(since, until, None)
        query = metric_rows_sql(columns, name=name, service=service, window=window, limit=limit)
        return formed(self._reader, query, form)
