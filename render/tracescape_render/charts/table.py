"""A frame as an HTML table for people: durations with units, times as clocks, shares as bars."""

from __future__ import annotations

from html import escape
from typing import Final

import polars as pl

from tracescape_render.charts.axes import local
from tracescape_render.text import display_name, duration

MOST_ROWS: Final = 20
MOST_COLUMNS: Final = 24

_CELL_LENGTH: Final = 56
_HOVER_LENGTH: Final = 300
#: Columns that hold moments; all others that end in ``_ns`` are durations.
_MOMENTS: Final = frozenset({"start_ns", "end_ns", "time_ns"})
_SHARES: Final = frozenset({"share", "error_rate"})
_BAR: Final = 64
_QUIET: Final = 'style="opacity:.65"'


def table(frame: pl.DataFrame, *, caption: str = "", note: str = "", rows: int = MOST_ROWS) -> str:
    """The first rows of a frame; what is left out is said below, beside ``note``.

    Exact values are hover texts. The page's own colours are used, so that it fits a light or a dark one.
    """
    columns = frame.columns[:MOST_COLUMNS]
    shown = frame.select(columns).head(rows)
    sides = {name: _side(frame, name) for name in columns}
    head = "".join(_heading(name, str(frame.schema[name]), sides[name]) for name in columns)
    body = "".join(
        "<tr>" + "".join(_cell(name, value, row, sides[name]) for name, value in row.items()) + "</tr>"
        for row in shown.iter_rows(named=True)
    )
    above = f"<div>{escape(caption)}</div>" if caption else ""
    below = " · ".join(filter(None, [_extent(frame, len(shown), len(columns)), note]))
    return (
        f'<div class="ts-table" style="overflow-x:auto">{above}<table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table><div {_QUIET}>{escape(below)}</div></div>"
    )


def _heading(name: str, kind: str, side: str) -> str:
    return f'<th style="text-align:{side}" title="{escape(kind)}">{_safe(name, 40)}</th>'


def _side(frame: pl.DataFrame, name: str) -> str:
    return "right" if frame.schema[name].is_numeric() and name not in _MOMENTS else "left"


def _extent(frame: pl.DataFrame, rows: int, columns: int) -> str:
    some = f"{rows:,} of " if rows < len(frame) else ""
    words = f"{some}{len(frame):,} row{'s' * (len(frame) != 1)}"
    return words if columns == frame.width else f"{words}, {columns} of {frame.width:,} columns"


def _cell(name: str, value: object, row: dict[str, object], side: str) -> str:
    if value is None:
        return f'<td style="text-align:{side};opacity:.65">–</td>'
    if isinstance(value, bool):
        return _td("left", "yes" if value else "no")
    if isinstance(value, int) and name in _MOMENTS and 0 <= value < 2**63:
        return _td("left", f"{local(value):%Y-%m-%d %H:%M:%S}.{value // 1_000_000 % 1_000:03}", f"{value} ns")
    if isinstance(value, int | float) and (name.endswith("_ns") or "_ns_" in name):
        return _td("right", f"{'−' * (value < 0)}{duration(abs(value))}", f"{value} ns")
    if isinstance(value, float):
        return _share(value) if name in _SHARES else _td("right", f"{value:,.4g}", repr(value))
    if isinstance(value, int):
        return _td("right", f"{value:,}")
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    indent = row.get("depth") if name == "operation" else None
    return _td("left", display_name(text, _CELL_LENGTH), text, indent if isinstance(indent, int) else 0)


def _td(side: str, text: str, hover: str = "", depth: int = 0) -> str:
    title = f' title="{_safe(hover, _HOVER_LENGTH)}"' if hover and hover != text else ""
    indent = f";padding-left:{0.5 + min(depth, 20):.3g}em" if depth else ""
    return f'<td style="text-align:{side};white-space:nowrap{indent}"{title}>{escape(text)}</td>'


def _share(value: float) -> str:
    width = round(_BAR * min(max(value, 0.0), 1.0)) if value == value else 0
    bar = (
        f'<span style="display:inline-block;width:{width}px;height:.7em;margin-left:.5em;'
        f'background:currentColor;opacity:.45"></span><span style="display:inline-block;'
        f'width:{_BAR - width}px"></span>'
    )
    return f'<td style="text-align:right;white-space:nowrap" title="{value!r}">{100 * value:.1f} %{bar}</td>'


def _safe(text: str, length: int) -> str:
    return escape(display_name(text, length))
