"""What people read of a few spans, put together here: ids as hex text, words for codes, all attributes.

`readable.SPAN_COLUMNS` and `ddl.whole_attributes` say the same in SQL, for any number of rows; for a page of
them, to plan that takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.attributes import encode_value
from tracescape_storage.ddl import quoted
from tracescape_storage.filters import KINDS, STATUSES
from tracescape_storage.schema import ARRIVED, SPANS, TRACE_KEY

#: Whoever asks for columns of their own besides begins the names so: no attribute with a column does.
MARK: Final = "#"
_READ_BEFORE: Final = "@"
_NO_ATTRIBUTES: Final = frozenset({*SPANS.names, ARRIVED, TRACE_KEY})

#: Columns of ``spans`` that `readable_spans` needs.
RAW: Final = (
    *("trace_id", "span_id", "parent_span_id", "service", "operation", "kind", "status", "status_message"),
    *("start_ns", "duration_ns"),
)


def whole_sql(carried: Collection[str] = ()) -> str:
    """A select list over ``spans`` of all that `put_together` needs, whatever attributes have columns by now.

    Those that are ``carried`` come from the table ``_page``, as `carried_sql` has them: they are many bytes,
    and should not be read twice.
    """
    left = ", ".join(quoted(key) for key in carried)
    own = [f"_page.{quoted(_READ_BEFORE + key)}" for key in carried]
    return ", ".join([f"spans.* EXCLUDE ({left})" if left else "spans.*", *own])


def carried_sql(keys: Collection[str]) -> list[str]:
    """Columns of a select list: of attributes that are read already."""
    return [f"{quoted(key)} AS {quoted(_READ_BEFORE + key)}" for key in keys]


def put_together(table: pa.Table) -> pa.Table:
    """``table`` with whole ``attributes`` in place of their parts."""
    names = [name for name in table.column_names if not name.startswith(MARK)]
    own = [name for name in names if name not in _NO_ATTRIBUTES]
    texts = table["attributes"].to_pylist()
    for name in own:
        key = f'"{name.removeprefix(_READ_BEFORE)}":'
        for row, text in enumerate(_encoded(table[name])):
            if text is not None:
                comma = "" if texts[row] == "{}" else ","
                texts[row] = f"{texts[row][:-1]}{comma}{key}{text}}}"
    place = table.column_names.index("attributes")
    table = table.set_column(place, "attributes", pa.array(texts, pa.string()))
    return table.drop_columns(own)


def readable_spans(table: pa.Table) -> pa.Table:
    """Columns `RAW` as `readable.SPAN_COLUMNS` has them, the others as they are."""
    parents = [text if text.strip("0") else "" for text in _hex(table["parent_span_id"])]
    made: dict[str, Any] = {
        "trace_id": pa.array([each.hex() for each in table["trace_id"].to_pylist()], pa.string()),
        "span_id": pa.array(_hex(table["span_id"]), pa.string()),
        "parent_span_id": pa.array(parents, pa.string()),
        "kind": _words(table["kind"], KINDS),
        "status": _words(table["status"], STATUSES),
    }
    columns = {name: made.get(name, table[name]) for name in table.column_names}
    return pa.table({**columns, "end_ns": pc.add(table["start_ns"], table["duration_ns"])})


def _hex(ids: pa.ChunkedArray) -> list[str]:
    return [f"{number & (1 << 64) - 1:016x}" for number in ids.to_pylist()]


def _words(codes: pa.ChunkedArray, words: tuple[str, ...]) -> pa.Array:
    known = dict(enumerate(words))
    return pa.array([known.get(code, str(code)) for code in codes.to_pylist()], pa.string())


def _encoded(column: pa.ChunkedArray) -> list[str | None]:
    """The JSON text of each value, None for null. Equal floats may differ in their sign."""
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value is None else encode_value(value) for value in values]
    texts = {value: None if value is None else encode_value(value) for value in set(values)}
    return [texts[value] for value in values]
