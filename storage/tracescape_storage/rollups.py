"""Where a store keeps counts by minute and by hour, so that long windows need not scan spans.

Three tables say together what every minute holds, at any moment and in any one snapshot:

* ``tracescape_rollups``: *blocks*, each of a minute or an hour (``width_ns``) from ``start_ns`` on. Who packs
  its ``content``, of so many ``bytes``, knows what it means; it is cut into parts, a row each, see `cut`.
  Groups in it are numbers in ``tracescape_rollup_groups``, which only grows.
* ``tracescape_rollup_pending``: minutes whose blocks are out of date or not there yet, and since when; where
  a block was made in vain, from when on the next one may do.
* ``tracescape_rollup_state``: ``cursor_ns``; spans that arrived later are in no block, and the minutes that
  they touch are not pending yet. ``version`` is what the blocks count: those of older versions are not read,
  and when a store is opened for writing those that would be different now become pending, see `migrate`.

A span touches the minute that it starts in and both its neighbours. A minute that has no block, is not
pending and is touched by nothing later holds no spans. Pruning makes the minutes that it touches pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from tracescape_storage.sampling import MAY_SAY
from tracescape_storage.schema import ARRIVED
from tracescape_storage.select import alive

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
#: 2: sampled spans count for those that were not kept. Stores of version 1 do not say theirs. 3: databases
#: are told apart by their addresses; hosts of URLs, models, tools and counts that attributes tell are known.
#: 4: blocks have a size, and parts; they count as before.
VERSION: Final = 4
#: Of an older version: which spans count otherwise now, over ``spans_full``.
_CHANGED: Final[dict[int | None, str]] = {
    2: "kind IN (1, 3) AND coalesce(url_host, gen_ai_provider, gen_ai_model, gen_ai_agent, gen_ai_tool,"
    " CASE WHEN db_system IS NOT NULL THEN server_address END) IS NOT NULL OR adjusted_count > 1",
}
_CHANGED[None] = f"{MAY_SAY} OR {_CHANGED[2]}"
_CHANGED[3] = "false"
#: What a block is taken for that an older version made: to read all only to learn how long they are is dear.
_USUAL_BYTES: Final = 1 << 20
#: Longer values lie outside of a table's own pages: what was written lately is in memory until the next
#: checkpoint, counted as if questions had gathered it, and who reads one reads the 2,047 around it.
_PART_BYTES: Final = 4_000
_FIRST: Final = "coalesce(part, 0) = 0"
#: A minute whose block became out of date waits so long at most before the next one is made.
LONGEST_WAIT_NS: Final = 5 * MINUTE_NS

BLOCKS: Final = pa.schema(
    [
        pa.field("start_ns", pa.int64()),
        pa.field("width_ns", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("content", pa.binary()),
    ]
)
GROUPS: Final = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("role", pa.int8()),
        pa.field("connection", pa.int8()),
        pa.field("source_kind", pa.int8()),
        pa.field("source", pa.string()),
        pa.field("target_kind", pa.int8()),
        pa.field("target", pa.string()),
    ]
)

#: A block is packed already, and read alone: compressed with its neighbours, hours take four times as long.
STATEMENTS: Final = (
    "CREATE TABLE IF NOT EXISTS tracescape_rollups (start_ns BIGINT NOT NULL, width_ns BIGINT NOT NULL,"
    " content BLOB USING COMPRESSION uncompressed)",
    "CREATE TABLE IF NOT EXISTS tracescape_rollup_groups (number BIGINT, role TINYINT, connection TINYINT,"
    " source_kind TINYINT, source VARCHAR, target_kind TINYINT, target VARCHAR)",
    "CREATE TABLE IF NOT EXISTS tracescape_rollup_pending (minute BIGINT NOT NULL, since_ns BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tracescape_rollup_state (cursor_ns BIGINT NOT NULL, version INTEGER)",
    "ALTER TABLE tracescape_rollup_state ADD COLUMN IF NOT EXISTS version INTEGER",
    "ALTER TABLE tracescape_rollups ADD COLUMN IF NOT EXISTS bytes BIGINT",
    "ALTER TABLE tracescape_rollups ADD COLUMN IF NOT EXISTS part INTEGER",
    f"INSERT INTO tracescape_rollup_state SELECT 0, {VERSION}"
    " WHERE NOT EXISTS (FROM tracescape_rollup_state)",
)

CURSOR_SQL: Final = f"SELECT cursor_ns FROM tracescape_rollup_state WHERE version = {VERSION}"
LAST_ARRIVAL_SQL: Final = f"SELECT max({ARRIVED}) AS arrived_ns FROM spans"
GROUPS_SQL: Final = "SELECT * FROM tracescape_rollup_groups ORDER BY number"
PRUNES_SQL: Final = "SELECT count(*) AS prunes FROM tracescape_pruned"
HOURS_SQL: Final = (
    f"SELECT DISTINCT start_ns // {HOUR_NS} AS hour FROM tracescape_rollups WHERE width_ns = {MINUTE_NS}"
    f" EXCEPT SELECT start_ns // {HOUR_NS} FROM tracescape_rollups WHERE width_ns = {HOUR_NS}"
)
PENDING_SQL: Final = "SELECT minute, since_ns FROM tracescape_rollup_pending ORDER BY minute"


def _touched_by(condition: str, table: str = "spans") -> str:
    # The minutes are few, the spans are many: those are told apart before each becomes three.
    minutes = f"SELECT DISTINCT start_ns // {MINUTE_NS} AS minute FROM {table} WHERE {condition}"
    steps = "(VALUES (-1), (0), (1)) AS steps(step)"
    return f"SELECT DISTINCT minute + step AS minute FROM ({minutes}), {steps}"


def new_sql(after_ns: int) -> str:
    """``SELECT`` of how many ``spans`` arrived later than ``after_ns``, and when the last one did."""
    return f"SELECT count(*) AS spans, max({ARRIVED}) AS arrived_ns FROM spans WHERE {ARRIVED} > {after_ns}"


def touched_sql(after_ns: int, until_ns: int) -> str:
    """``SELECT`` of the minutes that spans touch which arrived in (after_ns, until_ns]."""
    return _touched_by(f"{ARRIVED} > {after_ns} AND {ARRIVED} <= {until_ns}")


def arrived_by(arrived_ns: int) -> str:
    """The condition that a row had arrived by then."""
    return f"{ARRIVED} <= {arrived_ns}"


_SIZED: Final = f"start_ns, width_ns, coalesce(bytes, {_USUAL_BYTES}) AS bytes"


def raw_sql(cursor_ns: int) -> str:
    """``SELECT`` of each ``minute`` that spans must answer, as `blocks_sql` takes them."""
    newer = _touched_by(f"{ARRIVED} > {cursor_ns}")
    return f"SELECT minute FROM tracescape_rollup_pending UNION {newer}"


def _listed(minutes: Sequence[int]) -> str:
    if not minutes:
        return "SELECT 0::BIGINT AS minute WHERE false"
    return f"SELECT unnest([{', '.join(map(str, minutes))}])::BIGINT AS minute"


def blocks_sql(
    since_ns: int,
    until_ns: int,
    cursor_ns: int,
    *,
    longest_ns: int = HOUR_NS,
    raw_minutes: Sequence[int] | None = None,
) -> str:
    """``SELECT`` of the blocks, and of the minutes that spans must answer, that make up [since_ns, until_ns).

    A row has ``start_ns``, ``width_ns`` and ``bytes``; one of width 0 is such a minute, which lies in the
    window at least in part. ``cursor_ns`` is one read before: a later one only makes blocks more up to date.
    No block is longer than ``longest_ns``. ``raw_minutes`` is what `raw_sql` gave, of a store that nobody
    writes to: it need not be looked for again.
    """
    raw = raw_sql(cursor_ns) if raw_minutes is None else _listed(raw_minutes)
    inside = f"start_ns >= {since_ns} AND start_ns + width_ns <= {until_ns}"
    cut = [time // MINUTE_NS for time in (since_ns, until_ns) if time % MINUTE_NS]
    cut_minutes = "".join(f" OR start_ns = {minute * MINUTE_NS}" for minute in cut)
    return f"""
        WITH raw AS MATERIALIZED ({raw}),
        hours AS MATERIALIZED (
            SELECT {_SIZED} FROM tracescape_rollups WHERE width_ns = {HOUR_NS} AND {inside} AND {_FIRST}
            AND width_ns <= {longest_ns} AND start_ns // {HOUR_NS} NOT IN (SELECT minute // 60 FROM raw)),
        minutes AS (
            SELECT {_SIZED} FROM tracescape_rollups WHERE width_ns = {MINUTE_NS} AND {inside} AND {_FIRST}
            AND start_ns // {MINUTE_NS} NOT IN (FROM raw)
            AND start_ns // {HOUR_NS} NOT IN (SELECT start_ns // {HOUR_NS} FROM hours)),
        cut AS (
            SELECT start_ns FROM tracescape_rollups
            WHERE width_ns = {MINUTE_NS} AND (false{cut_minutes})
            UNION
            SELECT minute * {MINUTE_NS} FROM raw
            WHERE minute >= {since_ns // MINUTE_NS} AND minute * {MINUTE_NS} < {until_ns})
        FROM hours UNION ALL FROM minutes UNION ALL SELECT start_ns, 0, 0 FROM cut"""


def minutes_sql(first: int, end: int, cursor_ns: int) -> str:
    """``SELECT`` of the minutes in [first, end), since the epoch, that have spans; columns of `blocks_sql`.

    One of width 0 has no block: spans must answer. So it is where one arrived after ``cursor_ns``, which was
    read before.
    """
    raw = raw_sql(cursor_ns)
    inside = f"start_ns >= {first * MINUTE_NS} AND start_ns < {end * MINUTE_NS}"
    return f"""
        WITH raw AS MATERIALIZED ({raw})
        SELECT {_SIZED} FROM tracescape_rollups
        WHERE width_ns = {MINUTE_NS} AND {inside} AND {_FIRST} AND start_ns // {MINUTE_NS} NOT IN (FROM raw)
        UNION ALL SELECT minute * {MINUTE_NS}, 0, 0 FROM raw WHERE minute >= {first} AND minute < {end}"""


def contents_sql(blocks: Iterable[tuple[int, int]]) -> str:
    """``SELECT`` of the parts of blocks by their start and width, of those that are there, in any order.

    A row has ``start_ns``, ``width_ns``, ``part`` and ``content``. What a block holds is nearly all that the
    table consists of, and read for those that are wanted only: of one width, in stretches of time. DuckDB
    reads all that lie near those of a list.
    """
    starts: dict[int, list[int]] = {}
    for start_ns, width_ns in blocks:
        starts.setdefault(width_ns, []).append(start_ns)
    wanted = [f"width_ns = {width} AND ({_stretches(of, width)})" for width, of in starts.items()]
    select = "SELECT start_ns, width_ns, coalesce(part, 0) AS part, content FROM tracescape_rollups WHERE "
    return " UNION ALL ".join(select + each for each in wanted or ["false"])


def _stretches(starts: Iterable[int], width_ns: int) -> str:
    found: list[tuple[int, int]] = []
    for start in sorted(starts):
        if found and start == found[-1][1]:
            found[-1] = found[-1][0], start + width_ns
        else:
            found.append((start, start + width_ns))
    return " OR ".join(f"start_ns >= {begin} AND start_ns < {end}" for begin, end in found)


def read_sql(minute: int) -> str:
    """``SELECT`` of how many ``spans`` of a minute and its neighbours are `select.alive` in the minute."""
    begin, end = minute * MINUTE_NS, (minute + 1) * MINUTE_NS
    return (
        f"SELECT count(*) AS spans FROM spans WHERE start_ns >= {begin - MINUTE_NS}"
        f" AND start_ns < {end + MINUTE_NS} AND {alive(begin, end)}"
    )


def starts_sql(since_ns: int, until_ns: int, width_ns: int) -> str:
    """``SELECT`` of the ``start_ns, width_ns, bytes`` of the blocks of one width that lie in
    [since_ns, until_ns), in order."""
    return (
        f"SELECT {_SIZED} FROM tracescape_rollups WHERE width_ns = {width_ns} AND {_FIRST}"
        f" AND start_ns >= {since_ns} AND start_ns + width_ns <= {until_ns} ORDER BY start_ns"
    )


def sizes_sql(first: int, last: int) -> str:
    """``SELECT`` of how many spans start in each minute from ``first`` to ``last``."""
    return (
        f"SELECT start_ns // {MINUTE_NS} AS minute, count(*) AS spans FROM spans"
        f" WHERE start_ns >= {first * MINUTE_NS} AND start_ns < {(last + 1) * MINUTE_NS} GROUP BY 1"
    )


def pending_sql(hour: int) -> str:
    """``SELECT`` of how many ``minutes`` of an hour (by number since the epoch) are pending."""
    return f"SELECT count(*) AS minutes FROM tracescape_rollup_pending WHERE minute // 60 = {hour}"


def cut(start_ns: int, width_ns: int, content: bytes) -> list[dict[str, object]]:
    """The rows of a block, columns of `BLOCKS`."""
    whole = {"start_ns": start_ns, "width_ns": width_ns, "bytes": len(content)}
    firsts = range(0, len(content), _PART_BYTES)
    return [
        {**whole, "part": part, "content": content[first : first + _PART_BYTES]}
        for part, first in enumerate(firsts)
    ]


class Rolled(NamedTuple):
    """What a store takes over at once.

    ``blocks`` has the columns of `BLOCKS`; ``groups`` those of `GROUPS`, only new ones. ``minutes`` are no
    longer pending. ``prunes`` is how often the store had been pruned when the spans were read.
    """

    blocks: pa.Table
    groups: pa.Table
    minutes: Sequence[int]
    prunes: int


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Inside a transaction: minutes that an older version counted otherwise become pending."""
    (row,) = connection.execute("SELECT version FROM tracescape_rollup_state").fetchall()
    if row[0] == VERSION:
        return
    _make_pending(connection, _touched_by(_CHANGED[row[0]], "spans_full"), 0)
    connection.execute(f"UPDATE tracescape_rollup_state SET version = {VERSION}")


def touch(connection: duckdb.DuckDBPyConnection, minutes: Iterable[int], cursor_ns: int, now_ns: int) -> None:
    """Inside a transaction: minutes become pending, their blocks go; the cursor moves."""
    connection.register("touched_minutes", pa.table({"minute": pa.array(list(minutes), pa.int64())}))
    _make_pending(connection, "SELECT minute FROM touched_minutes", now_ns)
    connection.unregister("touched_minutes")
    connection.execute("UPDATE tracescape_rollup_state SET cursor_ns = $1", [cursor_ns])


def touch_pruned(connection: duckdb.DuckDBPyConnection, before_ns: int) -> None:
    """Inside a transaction that deletes what arrived before ``before_ns``, and before it does."""
    _make_pending(connection, _touched_by(f"{ARRIVED} < {before_ns}"), 0)


def _make_pending(connection: duckdb.DuckDBPyConnection, minutes: str, now_ns: int) -> None:
    # Each span that comes late ends a block: the longer it took, the longer the next one will take.
    late = f"greatest(({now_ns} - (minute + 2) * {MINUTE_NS}) // 4, 0)"
    connection.execute(
        f"INSERT INTO tracescape_rollup_pending SELECT minute, {now_ns} + CASE WHEN minute IN"
        f" (SELECT start_ns // {MINUTE_NS} FROM tracescape_rollups WHERE width_ns = {MINUTE_NS})"
        f" THEN least({late}, {LONGEST_WAIT_NS}) ELSE 0 END FROM ({minutes})"
        " WHERE minute NOT IN (SELECT minute FROM tracescape_rollup_pending)"
    )
    connection.execute(
        "DELETE FROM tracescape_rollups WHERE CASE WHEN width_ns ="
        f" {MINUTE_NS} THEN start_ns // {MINUTE_NS} IN (SELECT minute FROM tracescape_rollup_pending)"
        f" ELSE start_ns // {HOUR_NS} IN (SELECT minute // 60 FROM tracescape_rollup_pending) END"
    )


def put(connection: duckdb.DuckDBPyConnection, rolled: Rolled) -> bool:
    """Inside a transaction: take over blocks; False, and nothing is changed, if it was pruned meanwhile."""
    (row,) = connection.execute(PRUNES_SQL).fetchall()
    if row[0] != rolled.prunes:
        return False
    for name, table in (("tracescape_rollup_groups", rolled.groups), ("tracescape_rollups", rolled.blocks)):
        connection.register("rolled_rows", table)
        connection.execute(f"INSERT INTO {name} BY NAME FROM rolled_rows")
        connection.unregister("rolled_rows")
    connection.register("rolled_minutes", pa.table({"minute": pa.array(rolled.minutes, pa.int64())}))
    connection.execute("DELETE FROM tracescape_rollup_pending WHERE minute IN (FROM rolled_minutes)")
    connection.unregister("rolled_minutes")
    return True
