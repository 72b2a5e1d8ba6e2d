"""The read side over anything that runs a ``SELECT``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from tracescape_storage.attribute_columns import ATTRIBUTE_COLUMNS_SQL
from tracescape_storage.reader import Extent
from tracescape_storage.schema import ARRIVED
from tracescape_storage.select import (
    EXTENT_SQL,
    SpansQuery,
    dictionary_coded,
    extent_of,
    links_sql,
    spans_query,
)


class SqlReader(ABC):
    """The `Reader` protocol over anything that runs a ``SELECT``; subclasses say how and where."""

    location: str
    live: bool

    @abstractmethod
    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`."""

    def extent(self) -> Extent:
        """See `Reader.extent`."""
        return extent_of(self.sql(EXTENT_SQL))

    def spans(
        self,
        columns: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        trace_id: bytes | None = None,
        service: str | None = None,
    ) -> pa.Table:
        """See `Reader.spans`."""
        query = spans_query(columns, since_ns=since_ns, until_ns=until_ns, trace_id=trace_id, service=service)
        coded = self._coded(query) if query.coded and trace_id is None else None
        return dictionary_coded(self.sql(query.sql()) if coded is None else coded)

    def _coded(self, query: SpansQuery) -> pa.Table | None:
        """The answer with its texts coded by the database; None where that does not pay or does not go."""
        (names,) = self.sql(query.names_sql()).to_pylist()
        arrived_ns = names.pop(ARRIVED)
        sql = None if arrived_ns is None else query.coded_sql(names, arrived_ns)
        return None if sql is None else self.sql(sql)

    def attribute_columns(self) -> dict[str, str]:
        """See `Reader.attribute_columns`."""
        found = self.sql(ATTRIBUTE_COLUMNS_SQL)
        return dict(zip(found["key"].to_pylist(), found["type"].to_pylist(), strict=True))

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        """See `Reader.links`."""
        return self.sql(links_sql(since_ns=since_ns, until_ns=until_ns))

    @abstractmethod
    def close(self) -> None:
        """See `Reader.close`."""
