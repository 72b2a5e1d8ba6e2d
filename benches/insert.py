"""What DuckDB charges for spans: CPU time a row by rows a commit and by the form of the attributes.

The figures behind docs/decisions/0002 and 0004. Rows have the store's columns and ten attributes. CPU is this
process's, commit and the checkpoint afterwards together.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from tracescape_storage import ddl
from tracescape_storage.attribute_columns import duckdb_type
from tracescape_storage.schema import SPANS

ROWS = 368_640  # three row groups
SIZES = (5_000, 20_000, 122_880, 125_000)
FORMS = {"text": "*", "VARIANT": "* REPLACE (attributes::JSON::VARIANT AS attributes)", "columns": "*"}


def main() -> None:
    """Print a line for each size and form."""
    random = np.random.default_rng(0)
    print(f"\ninsert into DuckDB ({ROWS:,} rows, one run each)")
    for size in SIZES:
        for form, columns in FORMS.items():
            batches = [_batch(random, size, form == "columns") for _ in range(min(4, ROWS // size))]
            print(
                f"  {size:>8,} rows a commit, attributes as {form:<8}"
                + _measured(batches, size, form, columns)
            )


def _measured(batches: list[pa.Table], size: int, form: str, columns: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "insert.db"
        connection = duckdb.connect(path, config={"wal_autocheckpoint": "1GB"})
        for statement in ddl.statements():
            connection.execute(statement)
        if form == "VARIANT":
            connection.execute("DROP VIEW spans_v")
            connection.execute("DROP VIEW spans_full")
            connection.execute("ALTER TABLE spans ALTER attributes TYPE VARIANT")
        for field in batches[0].schema if form == "columns" else ():
            if field.name not in SPANS.names:
                connection.execute(f'ALTER TABLE spans ADD COLUMN "{field.name}" {duckdb_type(field)}')
        count = max(ROWS // size, 1)
        cpu, began = time.process_time(), time.perf_counter()
        for number in range(count):
            connection.register("incoming", batches[number % len(batches)])
            connection.execute(f"INSERT INTO spans BY NAME SELECT {columns}, 1 AS arrived_ns FROM incoming")
        wall = time.perf_counter() - began
        connection.execute("CHECKPOINT")
        cpu = time.process_time() - cpu
        rows = count * size
        connection.close()
        size_bytes = path.stat().st_size / rows
    return f" {cpu / rows * 1e6:6.2f} µs CPU a row {rows / wall:>10,.0f} rows/s {size_bytes:6.0f} bytes a row"


def _batch(random: np.random.Generator, size: int, columned: bool) -> pa.Table:
    def codes(names: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(random.integers(0, len(names), size).astype(np.int32), names)

    attributes = [_attributes(random) for _ in range(size)]
    columns: dict[str, pa.Array] = {}
    for key in attributes[0] if columned else ():
        values = pa.array([each[key] for each in attributes])
        columns[key] = values.dictionary_encode() if pa.types.is_string(values.type) else values
    for field in SPANS:
        if field.name == "trace_id":
            columns[field.name] = pa.array([random.bytes(16) for _ in range(size)])
        elif field.name == "attributes":
            columns[field.name] = pa.array(["{}" if columned else json.dumps(each) for each in attributes])
        elif pa.types.is_string(field.type):
            names = [f"{field.name} {number}" for number in range(40)]
            columns[field.name] = pa.nulls(size, pa.string()) if field.nullable else codes(names)
        elif field.name in {"span_id", "parent_span_id"}:
            columns[field.name] = pa.array(random.integers(-(2**63), 2**63 - 1, size))
        else:
            columns[field.name] = pa.array(random.integers(0, 5, size)).cast(field.type)
    columns["start_ns"] = pa.array(1_760_000_000_000_000_000 + np.arange(size) * 1_000)
    return pa.table(columns)


def _attributes(random: np.random.Generator) -> dict[str, object]:
    values: dict[str, object] = {f"app.attribute.{key}": f"value {random.integers(97)}" for key in range(7)}
    values["app.user"] = f"user-{random.integers(100_000)}"
    return values | {"http.request.method": "GET", "http.response.status_code": 200}


if __name__ == "__main__":
    main()
