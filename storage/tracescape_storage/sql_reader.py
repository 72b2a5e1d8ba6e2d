"""The read side over anything that runs a ``SELECT``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pyarrow as pa

from tracescape_storage.attribute_columns import ATTRIBUTE_COLUMNS_SQL
from tracescape_storage.conditions import condition_sql
from tracescape_storage.filters import Filter
from tracescape_storage.known_shapes import KnownShapes
from tracescape_storage.namespaces import NAMESPACES_SQL, Naming, naming_of, with_namespaces
from tracescape_storage.news import NEVER
from tracescape_storage.positions import READ_SQL, THERE_SQL, stands_of
from tracescape_storage.reader import Extent
from tracescape_storage.sampling import sampled_sql
from tracescape_storage.schema import ARRIVED
from tracescape_storage.select import (
    EXTENT_SQL,
    SpansQuery,
    dictionary_coded,
    extent_of,
    links_sql,
    shaped_sql,
    shapes_sql,
    spans_query,
    traces_condition,
)


class SqlReader(ABC):
    """The `Reader` protocol over anything that runs a ``SELECT``; subclasses say how and where."""

    location: str
    live: bool
    #: Whether the store has `ddl.TRACE_ARRIVALS`.
    indexed: bool = True
    #: What stands for the view ``spans_full`` where that lacks columns; see `ddl.full_sql`.
    full_sql: str = ""
    # What a store tells that nobody writes to stays true.
    _extent: Extent | None = None
    _columns: dict[str, str] | None = None
    # What `attribute_columns.COLUMNS` told, before they were asked for, and they.
    _columns_told: tuple[int, Mapping[str, str]] | None = None
    # Whether a span says how many it stands for, of those that arrived up to then.
    _sampled: tuple[bool, int] | None = None
    # Names of services, the shapes that were met while these were theirs, and of which resources.
    _named: tuple[Naming, KnownShapes, int] | None = None

    @abstractmethod
    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`."""

    def lasting(self, query: str) -> pa.Table:
        """As `sql`; of a store that nobody writes to each is asked once: keep to few, with small answers."""
        if self.live:
            return self.sql(query)
        kept = self.__dict__.setdefault("_lasting", {})
        if query not in kept:
            kept[query] = self.sql(query)
        found: pa.Table = kept[query]
        return found

    def holding(self) -> AbstractContextManager[None]:
        """See `Reader.holding`: a database has its rows at hand."""
        return nullcontext()

    @abstractmethod
    def stream(self, query: str) -> pa.RecordBatchReader:
        """See `Reader.stream`."""

    def extent(self) -> Extent:
        """See `Reader.extent`."""
        if self._extent is None or self.live:
            self._extent = extent_of(self.sql(EXTENT_SQL))
        return self._extent

    def spans(
        self,
        columns: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        trace_ids: Sequence[bytes] | None = None,
        service: str | None = None,
    ) -> pa.Table:
        """See `Reader.spans`."""
        query = spans_query(
            columns,
            since_ns=since_ns,
            until_ns=until_ns,
            trace_ids=trace_ids,
            service=service,
            indexed=self.indexed,
        )
        coded = self._coded(query) if query.coded and trace_ids is None else None
        return dictionary_coded(self._of_full(query.sql()) if coded is None else coded)

    def of_traces(self, trace_ids: Sequence[bytes]) -> str:
        """See `Reader.of_traces`."""
        return traces_condition(trace_ids, indexed=self.indexed)

    def condition(self, where: Filter) -> str:
        """See `Reader.condition`."""
        return condition_sql(where, self.attribute_columns())

    def _coded(self, query: SpansQuery) -> pa.Table | None:
        """The answer with its texts coded by the database; None where that does not pay or does not go."""
        (names,) = self._of_full(query.names_sql()).to_pylist()
        arrived_ns = names.pop(ARRIVED)
        sql = None if arrived_ns is None else query.coded_sql(names, arrived_ns)
        return None if sql is None else self._of_full(sql)

    def _of_full(self, query: str, shared: Sequence[str] = ()) -> pa.Table:
        return self.sql(with_namespaces(query, shared, self.full_sql))

    def shaped_spans(
        self, *, since_ns: int | None = None, until_ns: int | None = None, where: str = ""
    ) -> tuple[pa.Table, pa.Table]:
        """Spans as `select.SHAPED_IDS` and the ``shape`` of each, and the shapes with their `SHAPE_COLUMNS`
        and `SAMPLING`.

        ``shape`` is the row of the shape in the second table (int64), ``service`` is a full name: see
        `select.shaped_sql` and `namespaces`.
        """
        while True:
            found, columns = self._shaped_spans({"since_ns": since_ns, "until_ns": until_ns, "where": where})
            # Of what had arrived before, no span has an attribute that was not looked at; nor else, if no
            # more attributes have columns by now.
            if not self.live or ARRIVED in where or columns == self.attribute_columns():
                return found

    def _shaped_spans(self, asked: Mapping[str, Any]) -> tuple[tuple[pa.Table, pa.Table], Mapping[str, str]]:
        # Beside what is asked for, the attributes that were looked at.
        from tracescape_native.tally import distinct  # brings along Numba: a collector should be ready before

        naming, known, sampled, columns = self._naming()
        query = shaped_sql(**asked, columns=columns, sampled=sampled)
        spans = self._of_full(query, naming.shared)
        numbers, first = distinct(spans["shape"].to_numpy().view(np.int64))
        met = spans.select(["shape", "start_ns", "span_id"]).take(pa.array(first))

        def read(condition: str) -> pa.Table:
            both = " AND ".join(filter(None, [asked["where"], condition]))
            query = shapes_sql(**{**asked, "where": both}, columns=columns, sampled=sampled)
            return _with_full_names(self._of_full(query, naming.shared), dict(naming.full))

        shape = spans.schema.get_field_index("shape")
        return (spans.set_column(shape, "shape", pa.array(numbers)), known.of(met, read)), columns

    def _naming(self) -> tuple[Naming, KnownShapes, bool, Mapping[str, str]]:
        # Names of services change with resources only, of which none ever goes. Whether spans are sampled is
        # asked of what is new; once a span said so, that is known.
        named, (found, until_ns) = self._named, self._sampled or (False, NEVER)
        columns: Mapping[str, str] = self.attribute_columns() if self._columns is None else self._columns
        if named is None or self.live:
            row, columns = self._state(until_ns)
            found, until_ns = found or row["found"], row["arrived_ns"] or until_ns
            self._sampled = found, until_ns
            if named is None or named[2] != row["resources"]:
                naming = naming_of(self.sql(NAMESPACES_SQL))
                known = KnownShapes() if named is None or named[0] != naming else named[1]
                named = self._named = naming, known, row["resources"]
        return named[0], named[1], found, columns

    def _state(self, after_ns: int) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        # The row of `sampled_sql`, and the attributes that have columns: those that it was asked with.
        told = self._columns_told
        while True:
            columns = self.attribute_columns() if told is None else told[1]
            (row,) = self._of_full(sampled_sql(after_ns, columns)).to_pylist()
            if told is not None and row["columns"] == told[0]:
                return row, columns
            told = self._columns_told = row["columns"], self.attribute_columns()

    def attribute_columns(self) -> dict[str, str]:
        """See `Reader.attribute_columns`."""
        if self._columns is None or self.live:
            found = self.sql(ATTRIBUTE_COLUMNS_SQL)
            self._columns = dict(zip(found["key"].to_pylist(), found["type"].to_pylist(), strict=True))
        return self._columns

    def positions(self) -> dict[str, tuple[float, ...]]:
        """See `Reader.positions`."""
        return stands_of(self.sql(READ_SQL)) if self.sql(THERE_SQL).num_rows else {}

    @abstractmethod
    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        """See `Reader.keep_positions`."""

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        """See `Reader.links`."""
        return self.sql(links_sql(since_ns=since_ns, until_ns=until_ns))

    @abstractmethod
    def close(self) -> None:
        """See `Reader.close`."""


def _with_full_names(shapes: pa.Table, full: Mapping[str, str]) -> pa.Table:
    if not full:
        return shapes
    services = [full.get(name, name) for name in shapes["service"].to_pylist()]
    place = shapes.schema.get_field_index("service")
    return shapes.set_column(place, shapes.schema.field(place), pa.array(services, pa.string()))
