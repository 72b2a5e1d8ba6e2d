"""Attributes of spans with columns of their own in the table ``spans``.

The column bears the attribute's key as its name and takes values of one type; what is of another type, and
the attributes of all other keys, stay in the JSON text of ``attributes``. A column is searched and grouped
many times faster than text, and takes a fraction of its bytes. Keys that `schema.PROMOTED` names have columns
as soon as they occur. Others get one once enough spans have them: rows that are stored by then keep the
attribute as text, so whoever reads an attribute looks into both.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from tracescape_storage.schema import ARRIVED, INTEGER_PROMOTED, PROMOTED, SPANS_FULL, TRACE_KEY

#: The DuckDB types that a column of attributes can have, and what Arrow calls them.
ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
}
_DUCKDB_TYPES: Final = {arrow: name for name, arrow in ARROW_TYPES.items()}

#: Keys that have columns as soon as they occur, and their types.
WELL_KNOWN: Final[dict[str, str]] = {
    key: "BIGINT" if column in INTEGER_PROMOTED else "VARCHAR"
    for column, keys in PROMOTED.items()
    for key in keys
}

#: Unused columns cost too: about 25 ns a span each.
MAX_OTHERS: Final = 40
_SHARE: Final = 0.02
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]{0,63}")
#: SQL names are alike whatever their case, and a key must not look like a column that means something else.
_TAKEN: Final = frozenset(SPANS_FULL.names) | {
    *("end_ns", "start_time", "resource", "scope", "rowid", ARRIVED, TRACE_KEY),
}
_SMALLEST: Final = -(2**63)


def type_of(value: object) -> str | None:
    """The type of the column that would take this value; None if it can only be text.

    Mirrors the compiled decoder: the smallest integer, -0.0 and what is not finite stay text.
    """
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if _SMALLEST < value < 2**63 else None
    if isinstance(value, str):
        return "VARCHAR"
    if isinstance(value, float):
        plain = value - value == 0 and str(value) != "-0.0"
        return "DOUBLE" if plain else None
    return None


def split(attributes: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of ``attributes`` goes into ``columns`` (key to DuckDB type), and what is left."""
    taken: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for key, value in attributes.items():
        (taken if key in columns and columns[key] == type_of(value) else left)[key] = value
    return taken, left


def duckdb_type(field: pa.Field) -> str:
    """The type of the column that takes this column of a table of spans."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return _DUCKDB_TYPES[kind]


class Sampler:
    """Looks at a few of the spans that are stored, and tells which keys deserve columns.

    Once it has enough samples it proposes those keys that at least 2 % had, the most frequent first, and
    begins anew.

    Args:
        samples: how many are enough; about as many are taken of each table.
    """

    def __init__(self, samples: int = 256) -> None:
        self._seen: Counter[tuple[str, str]] = Counter()
        self._enough = samples
        self._samples = 0

    def look(self, texts: pa.ChunkedArray, columns: Mapping[str, str]) -> dict[str, str]:
        """Sample the texts of ``attributes``; keys that should become columns, with their types."""
        room = MAX_OTHERS - sum(key not in WELL_KNOWN for key in columns)
        if room <= 0 or not len(texts):
            return {}
        step = max(len(texts) // self._enough, 1)
        sample = texts.take(pa.array(range(0, len(texts), step)))
        for text in sample.to_pylist():
            self._samples += 1
            if text != "{}":
                self._seen.update(_typed_keys(text))
        if self._samples < self._enough:
            return {}
        least = _SHARE * self._samples
        proposed: dict[str, str] = {}
        for (key, kind), count in self._seen.most_common():
            fits = key not in WELL_KNOWN and is_free(key, [*columns, *proposed])
            if fits and count >= least and len(proposed) < room:
                proposed[key] = kind
        self._seen.clear()
        self._samples = 0
        return proposed


def is_free(key: str, columns: Iterable[str]) -> bool:
    """Whether a column beside ``columns`` can bear this name."""
    lower = key.lower()
    return (
        _KEY.fullmatch(key) is not None
        and lower not in _TAKEN
        and all(lower != column.lower() for column in columns)
    )


def _typed_keys(text: str) -> Iterable[tuple[str, str]]:
    for key, value in json.loads(text).items():
        kind = type_of(value)
        if kind is not None:
            yield key, kind


#: The columns and their types, in the order in which they were added: a table of its own, since DuckDB takes
#: milliseconds to look through its catalog.
#: Tells one set of columns from another.
COLUMNS: Final = "(SELECT coalesce(bit_xor(hash(key, type)), 0) FROM tracescape_attribute_columns)"
ATTRIBUTE_COLUMNS_SQL: Final = "SELECT key, type FROM tracescape_attribute_columns ORDER BY rowid"
