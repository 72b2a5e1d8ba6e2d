"""A store of many spans that look like something: minutes of the demo's shop, again and again, rolled up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
import pyarrow as pa

from support.shop_rows import shop_rows
from tracescape.shop import Fault, ShopConfig
from tracescape_analytics.upkeep import Upkeep
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.rollups import HOUR_NS, LONGEST_WAIT_NS, MINUTE_NS
from tracescape_storage.schema import PROMOTED, SPANS, TABLES

BEGIN_NS: Final = 497_000 * HOUR_NS
HOURS: Final = 10
#: The shop is simulated for so long, and what it did is repeated.
MINUTES: Final = 10
MOST_PER_S: Final = 17.5
_SPANS_A_REQUEST: Final = 16


def filled(path: Path, spans: int) -> None:
    """Make a store of about so many spans, in `HOURS` hours, with its counts by minute."""
    rate = min(spans / (HOURS * 3_600 * _SPANS_A_REQUEST), MOST_PER_S)
    config = ShopConfig(rate_per_s=rate, faults=(Fault("slow-dependency", "inventory-db", 480, 600),))
    rows = _stored(shop_rows(config, BEGIN_NS, BEGIN_NS + MINUTES * MINUTE_NS).spans())
    tiles = HOURS * 60 // MINUTES
    thick = max(round(spans / tiles / rows.num_rows), 1)
    store = DuckDBStore(path)
    for tile in range(tiles):
        for layer in range(thick):
            tables = {"spans": _moved(rows, tile * MINUTES * MINUTE_NS, tile * thick + layer)}
            if not tile + layer:
                tables["resources"] = _resources(rows)
            store.append(tables)
    keep(store, BEGIN_NS + (HOURS + 1) * HOUR_NS)
    store.close()


def keep(store: DuckDBStore, now_ns: int) -> None:
    """Count what has settled by minute and hour."""
    upkeep = Upkeep(store)
    for step in range(3):
        upkeep.step(now_ns + step * (LONGEST_WAIT_NS + HOUR_NS))
    upkeep.close()


def _stored(table: pa.Table) -> pa.Table:
    table = table.rename_columns([PROMOTED[n][0] if n in PROMOTED else n for n in table.column_names])
    for field in SPANS:
        if field.name not in table.column_names:
            empty = {"attributes": "{}", "scope_id": 1}.get(field.name, None if field.nullable else 0)
            table = table.append_column(field, pa.array([empty] * table.num_rows, field.type))
    own = [name for name in table.column_names if name not in SPANS.names]
    return table.select([*SPANS.names, *(n for n in own if table[n].null_count < table.num_rows)])


def _moved(table: pa.Table, by_ns: int, number: int) -> pa.Table:
    ids = np.frombuffer(b"".join(table["trace_id"].to_pylist()), np.uint8).reshape(-1, 16).copy()
    ids[:, :4] ^= np.frombuffer(number.to_bytes(4, "big"), np.uint8)
    columns = {
        "trace_id": pa.array([row.tobytes() for row in ids], pa.binary()),
        "start_ns": pa.array(table["start_ns"].to_numpy() + by_ns),
    }
    for name, column in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return table


def _resources(table: pa.Table) -> pa.Table:
    pairs = table.select(["resource_id", "service"]).to_pylist()
    found = {row["resource_id"]: row["service"] for row in pairs}
    rows = [
        {"resource_id": n, "service": name, "version": "1.0", "attributes": "{}", "dropped_attributes": 0}
        for n, name in found.items()
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["resources"])
