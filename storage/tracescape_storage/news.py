"""What became different in a store since it was asked last: one row, for those who keep what they counted."""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa

from tracescape_storage.namespaces import RESOURCES
from tracescape_storage.rollups import MINUTE_NS, VERSION
from tracescape_storage.schema import ARRIVED

#: Whether a store has all that is asked of it here, and of its blocks: one of an older release may not.
KNOWS_SQL: Final = (
    "SELECT count(*) = 2 AS knows FROM duckdb_columns() WHERE (table_name, column_name) IN"
    " (('tracescape_rollup_state', 'version'), ('tracescape_rollups', 'part'))"
)
#: Before the first arrival.
NEVER: Final = -1


class News(NamedTuple):
    """What is true of a store, and of the spans that arrived after the moment that was asked for.

    Of those: ``spans``, how many they are; ``arrived_ns``, when the last one did, ``first_start_ns`` and
    ``last_start_ns``, None without any; ``held``, how many start in minutes that are held; ``elsewhere``,
    those minutes of others that are kept, since the epoch; ``links``, how many links arrived.

    Of the store: ``store``, when the first of all its spans arrived, tells one from another; ``resources``
    tells one set of resources from another; ``prunes`` is how often it was pruned; ``cursor_ns`` is that of
    its blocks, 0 for none, see `rollups`.
    """

    spans: int
    arrived_ns: int | None
    first_start_ns: int | None
    last_start_ns: int | None
    held: int
    links: int
    elsewhere: list[int]
    store: int
    resources: int
    prunes: int
    cursor_ns: int

    def starts(self) -> tuple[int, int]:
        """The first and the last start of those that arrived, if any did."""
        return self.first_start_ns or 0, self.last_start_ns or 0


def news_sql(after_ns: int, held: tuple[int, int], kept: tuple[int, int]) -> str:
    """``SELECT`` of the row of `news_of`: what arrived after ``after_ns``.

    ``held`` and ``kept`` are minutes, the first and the first that is none any more; see `News`.
    """
    inside, known = _within(held), _within(kept)
    minutes = f"DISTINCT start_ns // {MINUTE_NS}"
    return f"""
        SELECT new.*,
            (SELECT count(*) FROM links WHERE {ARRIVED} > {after_ns}) AS links,
            (SELECT coalesce(min({ARRIVED}), 0) FROM spans) AS store,
            {RESOURCES} AS resources,
            (SELECT count(*) FROM tracescape_pruned) AS prunes,
            (SELECT max(cursor_ns) FROM tracescape_rollup_state WHERE version = {VERSION}) AS cursor_ns
        FROM (SELECT count(*) AS spans, max({ARRIVED}) AS arrived_ns,
                min(start_ns) AS first_start_ns, max(start_ns) AS last_start_ns,
                count(*) FILTER ({inside}) AS held,
                list({minutes}) FILTER (NOT ({inside}) AND {known}) AS elsewhere
            FROM spans WHERE {ARRIVED} > {after_ns}) new"""


def _within(minutes: tuple[int, int]) -> str:
    return f"start_ns >= {minutes[0] * MINUTE_NS} AND start_ns < {minutes[1] * MINUTE_NS}"


def held_sql(minutes: tuple[int, int], arrived_ns: int) -> str:
    """``SELECT`` of how many ``spans`` start in the minutes from one to before the other that had arrived."""
    return f"SELECT count(*) AS spans FROM spans WHERE {_within(minutes)} AND {ARRIVED} <= {arrived_ns}"


def news_of(table: pa.Table) -> News:
    """The row of `news_sql`."""
    (row,) = table.to_pylist()
    row["elsewhere"] = row["elsewhere"] or []
    row["cursor_ns"] = row["cursor_ns"] or 0
    return News(**row)


def arrived_within(after_ns: int, until_ns: int) -> str:
    """The condition that a row arrived in (after_ns, until_ns]."""
    return f"{ARRIVED} > {after_ns} AND {ARRIVED} <= {until_ns}"
