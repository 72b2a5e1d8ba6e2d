"""All attributes of a few spans as JSON text, put together here.

`ddl.whole_attributes` says the same in SQL, for any number of rows; for a page of them, to plan that takes
longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from tracescape_storage.attributes import encode_value
from tracescape_storage.ddl import quoted

_MARK: Final = "@"  # no column that is asked for begins so


def parts_sql(columns: Mapping[str, str]) -> str:
    """A select list over ``spans`` of all that `put_together` needs."""
    own = (f"{quoted(key)} AS {quoted(_MARK + key)}" for key in columns)
    return ", ".join(["attributes", *own])


def put_together(table: pa.Table) -> pa.Table:
    """``table`` with whole ``attributes`` in place of their parts."""
    own = {name: table[name].to_pylist() for name in table.column_names if name.startswith(_MARK)}
    texts = table["attributes"].to_pylist()
    for name, values in own.items():
        key = f'"{name.removeprefix(_MARK)}":'
        for row, value in enumerate(values):
            if value is not None:
                comma = "" if texts[row] == "{}" else ","
                texts[row] = f"{texts[row][:-1]}{comma}{key}{encode_value(value)}}}"
    place = table.column_names.index("attributes")
    table = table.set_column(place, "attributes", pa.array(texts, pa.string()))
    return table.drop_columns(list(own))
