"""Spans in the order in which a store got them: what a tail reads.

Each commit stamps its rows with a time of arrival later than that of every commit before, whatever start a
span has. So what is new is what arrived after the last commit that was looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from tracescape_storage.conditions import condition_sql
from tracescape_storage.filters import Filter, check_size
from tracescape_storage.readable import selected
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ARRIVED

#: So many rows come at once; the rest is read right after.
MAX_ROWS: Final = 5_000
_LAST_SQL: Final = f"SELECT coalesce(max({ARRIVED}), 0) AS last FROM spans"


class Arrivals:
    """What arrives in a store from now on.

    Args:
        reader: the store.
        where: a condition on spans.
        columns: of `readable.selected`.

    Raises:
        ValueError: the filter is out of bounds, or a column is unknown.
        StoreError: the store does not answer.
    """

    def __init__(self, reader: Reader, where: Filter, columns: Sequence[str]) -> None:
        check_size(where)
        selected(columns, reader.attribute_columns())
        self._reader = reader
        self._where = where
        self._columns = list(dict.fromkeys(columns))
        # Everything up to this commit was given, and of the next one the rows up to this number.
        self._commit = self._last()
        self._row: int | None = None

    def next(self) -> tuple[list[dict[str, Any]], bool]:
        """The matching spans that are new since the last call, and whether more are there already.

        Nothing comes twice and nothing is left out: an exception changes nothing, the next call tries again.

        Raises:
            StoreError: the store does not answer.
        """
        # A commit is seen whole or not at all, so all that arrived by then is there to be read.
        last = self._last()
        if last <= self._commit and self._row is None:
            return [], False
        found = self._read(last)
        more = found.num_rows > MAX_ROWS
        found = found.slice(0, MAX_ROWS)
        if more:
            self._commit = found["_commit"][MAX_ROWS - 1].as_py()
            self._row = found["_row"][MAX_ROWS - 1].as_py()
        else:
            self._commit, self._row = last, None
        return found.select(self._columns).to_pylist(), more

    def _last(self) -> int:
        return int(self._reader.sql(_LAST_SQL)["last"][0].as_py())

    def _read(self, last: int) -> pa.Table:
        columns = self._reader.attribute_columns()
        after = f"{ARRIVED} > {self._commit}"
        if self._row is not None:
            after = f"{ARRIVED} >= {self._commit} AND ({after} OR rowid > {self._row})"
        return self._reader.sql(
            f"SELECT {selected(self._columns, columns)}, {ARRIVED} AS _commit, rowid AS _row FROM spans"
            f" WHERE {after} AND {ARRIVED} <= {last} AND {condition_sql(self._where, columns)}"
            f" ORDER BY {ARRIVED}, rowid LIMIT {MAX_ROWS + 1}"
        )
