"""Reads a world's bytes as docs/web.md says, value by value."""

from __future__ import annotations

import json
import struct
from typing import Any

_KINDS = {"f4": "f", "f8": "d", "i2": "h", "i4": "i", "u1": "B", "u4": "I"}
#: A world: what is said about it, and its tables as rows a column.
World = dict[str, Any]


def read(message: bytes, base: World | None = None) -> World:
    """The world that ``message`` tells, which may be what changed since ``base``."""
    magic, version, length = struct.unpack_from("<4sII", message)
    assert (magic, version) == (b"TSCW", 1)
    told = json.loads(message[12 : 12 + length].decode())
    data = message[12 + length :]
    known: World = {}
    if told["base"] is not None:
        assert base is not None
        assert base["version"] == told["base"]
        known = base["tables"]
    tables = {name: _table(each, known.get(name), data) for name, each in told["tables"].items()}
    return {"version": told["version"], "about": told["about"], "tables": tables}


def _table(told: dict[str, Any], before: dict[str, list[Any]] | None, data: bytes) -> dict[str, list[Any]]:
    order = list(range(told["rows"]))
    if "order" in told:
        order = [row for (row,) in _rows({"type": "i4", "width": 1, **told["order"]}, data)]
    found: dict[str, list[Any]] = {}
    for name, values in (before or {}).items():
        found[name] = [None if row < 0 else values[row] for row in order]
    for name, column in told["columns"].items():
        values = _rows(column, data)
        places: Any = range(len(values))
        if "rows" in column:
            places = [row for (row,) in _rows({"type": "u4", "width": 1, **column["rows"]}, data)]
        _put(found, name, places, values, told["rows"])
    for name, texts in told["texts"].items():
        _put(found, name, texts.get("rows", range(len(texts["values"]))), texts["values"], told["rows"])
    return found


def _put(found: dict[str, list[Any]], name: str, places: Any, values: list[Any], rows: int) -> None:
    column = found.setdefault(name, [None] * rows)
    for place, value in zip(places, values, strict=True):
        column[place] = value


def _rows(column: dict[str, Any], data: bytes) -> list[tuple[Any, ...]]:
    kind, width = _KINDS[column["type"]], column["width"]
    assert column["at"] % 8 == 0
    values = struct.unpack_from(f"<{column['count']}{kind}", data, column["at"])
    return [values[at : at + width] for at in range(0, len(values), width)]
