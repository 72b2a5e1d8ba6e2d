"""Spans in the order in which a store got them: what a tail reads.

Tables of spans are only appended to, by one writer, so the row number says what is new, whatever start it
has. Row numbers stay as they are while nothing is taken out of the table; maintenance that takes old rows
out may number the rest anew. So a place is remembered by the ids of its row as well, and looked up by these
when another row has its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.conditions import condition_sql
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import Filter, check_size
from tracescape_storage.readable import attribute_columns, selected
from tracescape_storage.reader import Reader

#: So many rows come at once; the rest is read right after.
MAX_ROWS: Final = 5_000
_REMEMBERED: Final = 64


class _Place(NamedTuple):
    row: int
    trace_id: str
    span_id: int


class Arrivals:
    """What arrives in a store from now on.

    Args:
        reader: the store.
        where: a condition on spans.
        columns: of `readable.span_column`.

    Raises:
        ValueError: the filter is out of bounds, or a column is unknown.
        StoreError: the store does not answer.
    """

    def __init__(self, reader: Reader, where: Filter, columns: Sequence[str]) -> None:
        check_size(where)
        self._reader = reader
        self._where = where
        self._columns = list(columns)
        # The last rows that were seen, the newest at the end: some of them outlive what is taken out.
        self._places: deque[_Place] = deque(maxlen=_REMEMBERED)
        newest = reader.sql(f"SELECT {_PLACE} FROM spans WHERE rowid = (SELECT max(rowid) FROM spans)")
        self._remember(newest)

    def next(self) -> tuple[pa.Table, bool]:
        """The matching spans that are new since the last call, and whether more are there already.

        Nothing comes twice and nothing is left out: an exception changes nothing, the next call tries again.

        Raises:
            StoreError: the store does not answer; or everything that was seen has been taken out of it.
        """
        found = self._read()
        if self._places and not _is(found.slice(0, 1), self._places[-1]):
            self._find_again()
            found = self._read()
        last = self._places[-1].row if self._places else -1
        fresh = found.filter(pc.greater(found["_row"], last))
        more = fresh.num_rows > MAX_ROWS
        fresh = fresh.slice(0, MAX_ROWS)
        self._remember(fresh.slice(max(0, fresh.num_rows - _REMEMBERED)))
        return fresh.filter(fresh["_match"]).select(self._columns), more

    def _read(self) -> pa.Table:
        """The row seen last, the matching ones after it, and the newest whether it matches or not."""
        columns = attribute_columns(self._reader)
        matching = f"coalesce({condition_sql(self._where, columns)}, false)"
        last = self._places[-1].row if self._places else -1
        ends = f"rowid = {last} OR rowid = (SELECT max(rowid) FROM spans)"
        return self._reader.sql(
            f"SELECT {selected(self._columns, columns)}, {_PLACE}, {matching} AS _match FROM spans"
            f" WHERE rowid >= {last} AND ({ends} OR {matching})"
            f" ORDER BY rowid LIMIT {MAX_ROWS + 2}"
        )

    def _remember(self, rows: pa.Table) -> None:
        for place in rows.select(["_row", "_trace", "_span"]).to_pylist():
            self._places.append(_Place(*place.values()))

    def _find_again(self) -> None:
        """Set the place to where the newest row is that was seen and is still there."""
        known = " OR ".join(
            f"(trace_id = from_hex('{trace_id}') AND span_id = {span_id})"
            for _, trace_id, span_id in self._places
        )
        there = self._reader.sql(f"SELECT {_PLACE} FROM spans WHERE {known} ORDER BY rowid")
        if not there.num_rows:
            raise StoreError(
                f"{self._reader.location} no longer holds what was seen last, so what is new cannot be told."
                " Start again."
            )
        self._places.clear()
        self._remember(there.slice(max(0, there.num_rows - _REMEMBERED)))


_PLACE: Final = "rowid AS _row, lower(hex(trace_id)) AS _trace, span_id AS _span"


def _is(row: pa.Table, place: _Place) -> bool:
    (found,) = row.select(["_row", "_trace", "_span"]).to_pylist() or [{}]
    return tuple(found.values()) == place
