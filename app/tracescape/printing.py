"""Frames in the terminal: as a table for people, as JSON lines, CSV or Parquet for programs.

What was sent by strangers is printed here: control characters are shown, never sent to the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracescape.times import format_duration, format_time

SHOWN_ROWS: Final = 50
_WIDTH: Final = 200
_LONGEST: Final = 400
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
#: Columns that are not broken over lines.
_WHOLE: Final = ("start", "duration", "time")
_QUANTILE: Final = re.compile(r"p\d+_ns")
_DOCUMENTS: Final = ("attributes", "resource_attributes", "metadata")


def print_table(frame: pl.DataFrame, console: Console) -> None:
    """The first rows as a table, as wide as the terminal; elsewhere as wide as it needs to be, up to 200."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    numeric = [kind.is_numeric() for kind in frame.dtypes]
    for name, right in zip(frame.columns, numeric, strict=True):
        whole = name in _WHOLE or name.endswith("_id")
        table.add_column(
            Text(visible(name)), justify="right" if right else "left", overflow="fold", no_wrap=whole
        )
    for row in frame.head(SHOWN_ROWS).iter_rows():
        table.add_row(*(Text(_cell(value)) for value in row))
    if not console.is_terminal:
        console = Console(file=console.file, width=_WIDTH, highlight=False)
    console.print(table, soft_wrap=False)


def print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """A JSON object a line; attributes are objects by the rules of docs/columns.md."""
    for row in rows:
        sys.stdout.write(json_line(row))


def json_line(row: Mapping[str, Any]) -> str:
    """One row as JSON, with its line end."""
    plain = {name: _document(value) if name in _DOCUMENTS else value for name, value in row.items()}
    text = json.dumps(plain, default=_plain, ensure_ascii=False)
    # What JSON lets pass, terminals may obey; these stand inside of texts only.
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def print_csv(frame: pl.DataFrame) -> None:
    """Comma-separated, with a header; lists as JSON, bytes as hex."""
    sys.stdout.write(flat(frame).write_csv())


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """One file, compressed. Raises ``OSError`` where it cannot be written."""
    frame.write_parquet(path)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` without lists, structures and bytes: as text."""
    columns = []
    for column in frame:
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            texts = [None if value is None else _flat(value) for value in column.to_list()]
            column = pl.Series(column.name, texts, dtype=pl.String)
        columns.append(column)
    return pl.DataFrame(columns)


def visible(text: str) -> str:
    """``text`` on one line, with control characters as ``\\x1b``."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def for_people(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as local time, durations with a unit, under names without ``_ns``; the rest as it is."""
    return frame.with_columns(
        *(
            pl.Series(name, [_readable(name, value) for value in frame[name]], dtype=pl.String)
            for name in frame.columns
            if name.endswith("_ns")
        )
    ).rename({name: name.removesuffix("_ns") for name in frame.columns if name.endswith("_ns")})


def _readable(name: str, ns: int | None) -> str | None:
    if ns is None:
        return None
    return format_duration(ns) if name == "duration_ns" or _QUANTILE.fullmatch(name) else format_time(ns)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    text = visible(value.hex() if isinstance(value, bytes) else str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _flat(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _document(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
