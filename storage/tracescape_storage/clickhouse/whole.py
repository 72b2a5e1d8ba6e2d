"""All attributes of a few spans as JSON text, put together here.

`columns.json_of` says the same on the server, for any number of rows, beside a column for each well-known
key. For a trace or a page, to plan thirty columns takes the server longer than all the rest.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.attributes import AttributeValue, encode_attributes

#: What stands for the column ``attributes`` of ``spans`` in a question whose answer `with_texts` takes.
ATTRIBUTES: Final = "SpanAttributes"
_NUMBERS: Final = frozenset(key for key, kind in WELL_KNOWN.items() if kind == "BIGINT")
_NUMBER: Final = re.compile(r"[+-]?0*[0-9]{1,19}", re.ASCII)


def with_texts(table: pa.Table) -> pa.Table:
    """``table`` with its column ``attributes``, maps of texts, as JSON texts."""
    texts = [
        encode_attributes({key: _typed(key, value) for key, value in pairs})
        for pairs in table["attributes"].to_pylist()
    ]
    place = table.column_names.index("attributes")
    return table.set_column(place, "attributes", pa.array(texts, pa.string()))


def _typed(key: str, value: str) -> AttributeValue:
    """A number where conventions give the key one and the value reads so."""
    if key in _NUMBERS and _NUMBER.fullmatch(value) and -(2**63) <= (number := int(value)) < 2**63:
        return number
    return value
