"""Where services stand in the world, so that it looks the same tomorrow and to everybody who looks.

One table, ``tracescape_positions``: a row a service. Who places a service first has placed it, until the
whole world is laid out anew. A store that lacks the table gets it when it is opened for writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.errors import UnstorableError

POSITIONS: Final = pa.schema(
    [
        pa.field("service", pa.string(), nullable=False),
        pa.field("x", pa.float64(), nullable=False),
        pa.field("y", pa.float64(), nullable=False),
        pa.field("z", pa.float64(), nullable=False),
        pa.field("island", pa.int64(), nullable=False),  # the same for all that stand together
    ]
)
STATEMENTS: Final = (
    "CREATE TABLE IF NOT EXISTS tracescape_positions (service VARCHAR NOT NULL, x DOUBLE NOT NULL,"
    " y DOUBLE NOT NULL, z DOUBLE NOT NULL, island BIGINT NOT NULL)",
)
THERE_SQL: Final = "SELECT 1 AS there FROM duckdb_tables() WHERE table_name = 'tracescape_positions'"
READ_SQL: Final = "SELECT * FROM tracescape_positions ORDER BY service"

#: A store keeps no more, so that a client cannot fill it with names.
MOST_SERVICES: Final = 200_000
MOST_NAME_BYTES: Final = 4_096
_MOST_ISLAND: Final = 2**53  # what is exact as a double in JSON


def table_of(stands: Mapping[str, Sequence[float]]) -> pa.Table:
    """A table of `POSITIONS` from ``service: (x, y, z, island)``.

    Raises:
        UnstorableError: a place is no such four numbers, or a name is too long. The message names it.
    """
    rows: list[tuple[str, float, float, float, int]] = []
    for service, stand in stands.items():
        if _utf8_bytes(service) > MOST_NAME_BYTES:
            raise UnstorableError(f"A service's name has more than {MOST_NAME_BYTES:,} bytes.")
        if not (isinstance(stand, list | tuple) and len(stand) == 4 and all(map(_is_place, stand))):
            raise UnstorableError(
                f"The place of {service[:80]!r} is not x, y, z and the number of an island."
            )
        x, y, z, island = stand
        if not (float(island).is_integer() and abs(island) <= _MOST_ISLAND):
            raise UnstorableError(f"The island of {service[:80]!r} is no whole number.")
        rows.append((service, float(x), float(y), float(z), int(island)))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    arrays = [pa.array(column, field.type) for column, field in zip(columns, POSITIONS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=POSITIONS)


def keep(connection: duckdb.DuckDBPyConnection, table: pa.Table, *, anew: bool) -> None:
    """Inside a transaction: add those of a table of `POSITIONS` that have no place yet.

    ``anew`` forgets all others before.

    Raises:
        UnstorableError: that would be more than `MOST_SERVICES`.
    """
    if anew:
        connection.execute("DELETE FROM tracescape_positions")
    connection.register("new_positions", table)
    try:
        connection.execute(
            "INSERT INTO tracescape_positions BY NAME SELECT * FROM new_positions"
            " WHERE service NOT IN (SELECT service FROM tracescape_positions)"
        )
    finally:
        connection.unregister("new_positions")
    (row,) = connection.execute("SELECT count(*) FROM tracescape_positions").fetchall()
    if row[0] > MOST_SERVICES:
        raise UnstorableError(f"A store keeps the places of {MOST_SERVICES:,} services; these are more.")


def stands_of(table: pa.Table) -> dict[str, tuple[float, ...]]:
    """``service: (x, y, z, island)`` of a table of `POSITIONS`."""
    finite = [pc.is_finite(table[axis]) for axis in ("x", "y", "z")]
    sound = table.filter(pc.and_(pc.and_(finite[0], finite[1]), finite[2]))
    names: Iterable[str] = sound["service"].to_pylist()
    numbers = zip(*(sound[column].to_pylist() for column in ("x", "y", "z", "island")), strict=True)
    return dict(zip(names, numbers, strict=True))


def _utf8_bytes(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        raise UnstorableError(f"The name {name[:80]!r} is no text that UTF-8 can write.") from None


def _is_place(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return abs(number) <= _MOST_ISLAND  # which NaN is not
