"""Tables as bytes that a browser reads without copying, whole or as what changed since others.

A message is ``TSCW``, a version (uint32), the length of a JSON text (uint32), that text in UTF-8, filled
up with spaces to a multiple of eight bytes, and arrays, little-endian, each at a multiple of eight from where
they begin. The text says what there is::

    {"version": "…", "base": null, "about": {…}, "tables": {"bodies": {"rows": 3,
        "columns": {"radius": {"type": "f4", "width": 1, "at": 0, "count": 3}},
        "texts": {"name": {"values": ["a", "b", "c"]}}}}}

With a ``base``, tables are that version's, changed: ``order`` (``{"at", "count"}``, int32) says which of its
rows each row was, -1 for none; without it, rows are the same. A column that is left out stays as it is.
``rows`` beside a column's values, ``{"at", "count"}`` of uint32, or of texts a list, says which they are;
without, they are all.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"TSCW"
FORMAT: Final = 1
_ALIGNED: Final = 8
_HEAD: Final = struct.Struct("<4sII")

Values: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equally many rows.

    Attributes:
        columns: arrays (rows,) or (rows, width) of a numeric dtype.
        texts: columns of text.
        keys: what a row is known by in another version of the table; None where rows have no identity.
    """

    columns: Mapping[str, Values]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    keys: Sequence[object] | None = None

    @property
    def rows(self) -> int:
        """How many."""
        return max((len(values) for values in (*self.columns.values(), *self.texts.values())), default=0)


@dataclass(frozen=True, eq=False)
class Tables:
    """Several tables, and whatever else is to be said ``about`` them, as JSON has it."""

    about: Mapping[str, object]
    tables: Mapping[str, Table]

    @cached_property
    def version(self) -> str:
        """What is the same has the same version."""
        return hashlib.blake2b(self._written("", None), digest_size=12).hexdigest()

    def whole(self) -> bytes:
        """All of it."""
        return self._written(self.version, None)

    def since(self, base: Tables) -> bytes:
        """What changed since ``base``; all of it where that is not longer."""
        changed = self._written(self.version, base)
        whole = self.whole()
        return changed if len(changed) < len(whole) else whole

    def _written(self, version: str, base: Tables | None) -> bytes:
        blocks = _Blocks()
        tables = {}
        for name, table in self.tables.items():
            if base is None or name not in base.tables:
                tables[name] = _whole(table, blocks)
            else:
                tables[name] = _changed(base.tables[name], table, blocks)
        told = {
            "version": version,
            "base": None if base is None else base.version,
            "about": self.about,
            "tables": tables,
        }
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        written = text.encode("utf-8", "replace")
        written += b" " * (-(_HEAD.size + len(written)) % _ALIGNED)
        return b"".join([_HEAD.pack(MAGIC, FORMAT, len(written)), written, *blocks.written])


class _Blocks:
    """The arrays of a message, one after the other."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self._at = 0

    def put(self, values: Values) -> dict[str, int]:
        """Where ``values`` are."""
        written = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        written += b"\0" * (-len(written) % _ALIGNED)
        place = {"at": self._at, "count": int(values.size)}
        self.written.append(written)
        self._at += len(written)
        return place


def _column(values: Values, blocks: _Blocks) -> dict[str, object]:
    width = 1 if values.ndim == 1 else values.shape[1]
    return {"type": values.dtype.str[1:], "width": width, **blocks.put(values)}


def _whole(table: Table, blocks: _Blocks) -> dict[str, object]:
    return {
        "rows": table.rows,
        "columns": {name: _column(values, blocks) for name, values in table.columns.items()},
        "texts": {name: {"values": list(values)} for name, values in table.texts.items()},
    }


def _changed(base: Table, table: Table, blocks: _Blocks) -> dict[str, object]:
    told: dict[str, Any] = {"rows": table.rows, "columns": {}, "texts": {}}
    order = _order(base, table)
    if order is not None:
        told["order"] = blocks.put(order)
    for name, values in table.columns.items():
        rows = _other_rows(base.columns.get(name), values, order)
        if len(rows) == 0:
            continue
        column = told["columns"][name] = _column(
            values[rows] if 2 * len(rows) < len(values) else values, blocks
        )
        if 2 * len(rows) < len(values):
            column["rows"] = blocks.put(rows.astype(np.uint32))
    for name, texts in table.texts.items():
        places = _other_texts(base.texts.get(name), texts, order)
        if places:
            told["texts"][name] = {"rows": places, "values": [texts[place] for place in places]}
    return told


def _order(base: Table, table: Table) -> NDArray[np.int32] | None:
    """Which row of ``base`` each row was, -1 for none; None where all are the same."""
    if base.keys is None or table.keys is None:
        return None if base.rows == table.rows else np.full(table.rows, -1, np.int32)
    if list(base.keys) == list(table.keys):
        return None
    places = {key: place for place, key in enumerate(base.keys)}
    return np.array([places.get(key, -1) for key in table.keys], np.int32)


def _other_rows(before: Values | None, values: Values, order: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """The rows whose bytes are not those that were there."""
    if before is None or before.dtype != values.dtype or before.shape[1:] != values.shape[1:]:
        return np.arange(len(values))
    if order is None:
        return np.flatnonzero(_differ(before, values))
    other = order < 0
    stays = np.flatnonzero(~other)
    other[stays] = _differ(before[order[stays]], values[stays])
    return np.flatnonzero(other)


def _differ(one: Values, other: Values) -> NDArray[np.bool_]:
    if not len(one):
        return np.zeros(0, np.bool_)
    raw = [np.ascontiguousarray(each).view(np.uint8).reshape(len(each), -1) for each in (one, other)]
    differs: NDArray[np.bool_] = (raw[0] != raw[1]).any(axis=1)
    return differs


def _other_texts(
    before: Sequence[str] | None, texts: Sequence[str], order: NDArray[np.int32] | None
) -> list[int]:
    if before is None:
        return list(range(len(texts)))
    was = range(len(texts)) if order is None else order.tolist()
    return [
        place
        for place, (old, text) in enumerate(zip(was, texts, strict=True))
        if old < 0 or before[old] != text
    ]
