"""The read side over anything that runs a ``SELECT``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from tracescape_storage.attribute_columns import attribute_columns_sql
from tracescape_storage.reader import Extent
from tracescape_storage.select import EXTENT_SQL, dictionary_coded, extent_of, links_sql, spans_sql


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
        query = spans_sql(columns, since_ns=since_ns, until_ns=until_ns, trace_id=trace_id, service=service)
        return dictionary_coded(self.sql(query))

    def attribute_columns(self) -> dict[str, str]:
        """See `Reader.attribute_columns`."""
        found = self.sql(attribute_columns_sql())
        return dict(zip(found["key"].to_pylist(), found["type"].to_pylist(), strict=True))

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        """See `Reader.links`."""
        return self.sql(links_sql(since_ns=since_ns, until_ns=until_ns))

    @abstractmethod
    def close(self) -> None:
        """See `Reader.close`."""
