"""Comparing a million spans with a million others over 50 attributes, from the file.

The peer is what a person with a data frame would write: Polars, counting every attribute's values on both
sides of the same rows, read from the same file through our own reader. It makes no intervals, tests, numbers
or pairs.

    python benches/compare.py [--spans 2000000] [--store FILE]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import many_spans
import measure
import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.compare import Selection, compare
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.filters import Field
from tracescape_storage.reader import Reader
from tracescape_storage.schema import SPANS

ATTRIBUTES: Final = 50
#: How many values the added attributes have: flags, versions, hosts, routes, customers.
VALUES: Final = (2, 5, 20, 100, 1000, 5000)
_SELECTED: Final = Field("span", "app.0") == "value-0"


def batches(spans: int) -> Iterator[dict[str, pa.Table]]:
    """`many_spans` with more attributes; the first splits the spans in half, the second goes with it."""
    random = np.random.default_rng(11)
    for tables in many_spans.batches(spans):
        table = tables["spans"]
        own = len(table.column_names) - len([name for name in table.column_names if name in SPANS.names])
        side = random.integers(0, 2, table.num_rows)
        for number in range(ATTRIBUTES - own):
            size = VALUES[number % len(VALUES)]
            values = side if number == 0 else random.integers(0, size, table.num_rows)
            if number == 1:
                values = np.where(random.random(table.num_rows) < 0.3, side, values)
            names = pa.array([f"value-{value}" for value in range(size)])
            coded = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), names)
            table = table.append_column(f"app.{number}", coded)
        yield {**tables, "spans": table}


def ours(reader: Reader) -> object:
    """Everything that `store.compare` gives."""
    return compare(reader, Selection(where=_SELECTED))


def counted_by_hand(reader: Reader) -> object:
    """Counts alone, of every column, by Polars."""
    columns = list(reader.attribute_columns())
    names = ", ".join(f'"{name}"' for name in ["service", "operation", "kind", "status", *columns])
    frame = pl.from_arrow(reader.sql(f"SELECT {names} FROM spans"))
    assert isinstance(frame, pl.DataFrame)
    sided = frame.with_columns(selected=pl.col("app.0") == "value-0")
    return [sided.group_by(name).agg(a=pl.col("selected").sum(), n=pl.len()) for name in frame.columns]


def main() -> None:
    """Make the store, unless one is given that is there; time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--store", type=Path, help="kept, and used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.store or Path(folder) / "compare.db"
        if not path.exists():
            store = DuckDBStore(path)
            for tables in batches(options.spans):
                store.append(tables)
            store.close()
        reader = open_reader(path)
        spans = reader.extent().spans
        timings = measure.in_turn(
            {"tracescape": lambda: ours(reader), "counts alone, Polars": lambda: counted_by_hand(reader)}
        )
        measure.report("compare half of the spans with the other half", "spans", spans, timings)
        print(f"  {timings[0].median:.2f} s for {spans:,} spans and {ATTRIBUTES} attributes (target: 3 s)")
        reader.close()


if __name__ == "__main__":
    main()
