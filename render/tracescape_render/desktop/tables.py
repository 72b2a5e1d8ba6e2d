"""Frames as tables: sorted by a click on a column, copied with Ctrl-C."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from tracescape_render.desktop.style import state_colour
from tracescape_render.palette import SEVERITY, Theme, state_codes
from tracescape_render.text import display_name, duration

_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_SORT: Final = Qt.ItemDataRole.UserRole
_HIDDEN: Final = ("slowest_trace", "failed_trace", "negative_network", "delay_p50_ns", "network_p50_ns")
Index = QModelIndex | QPersistentModelIndex


class FrameModel(QAbstractTableModel):
    """A frame for Qt: written for people, sorted by value."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._names: list[str] = []
        self._columns: list[list[Any]] = []
        self._theme = theme

    def use(self, frame: pl.DataFrame, theme: Theme) -> None:
        """Show this frame from now on."""
        self.beginResetModel()
        self._theme = theme
        self._names = [name for name in frame.columns if name not in _HIDDEN]
        self._columns = [frame[name].to_list() for name in self._names]
        self.endResetModel()

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        return self._columns[self._names.index(name)] if name in self._names else []

    def rowCount(self, parent: Index | None = None) -> int:  # noqa: N802 - Qt's name
        """How many rows."""
        return len(self._columns[0]) if self._columns and (parent is None or not parent.isValid()) else 0

    def columnCount(self, parent: Index | None = None) -> int:  # noqa: N802 - Qt's name
        """How many columns."""
        return len(self._names) if parent is None or not parent.isValid() else 0

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Column names as people say them."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._names[section].removesuffix("_ns").replace("_", " ")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _LEFT if any(isinstance(each, str) for each in self._columns[section][:1]) else _RIGHT
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell: its text, its alignment, its colour, or what it is sorted by."""
        name, value = self._names[index.column()], self._columns[index.column()][index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(name, value)
        if role == _SORT:
            return _sort_key(name, value)
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return _RIGHT
        if role == Qt.ItemDataRole.ForegroundRole and name == "state":
            (code,) = state_codes([value])
            return QColor(state_colour(self._theme, int(code)))
        return None


class Table(QTableView):
    """A sortable table. ``keys`` are the columns whose value in the chosen row is gone to."""

    def __init__(self, theme: Theme, key: str, on_choose: Callable[[str], object]) -> None:
        super().__init__()
        self._key, self._on_choose = key, on_choose
        self._model = FrameModel(theme)
        self._sorted = QSortFilterProxyModel()
        self._sorted.setSourceModel(self._model)
        self._sorted.setSortRole(_SORT)
        self.setModel(self._sorted)
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # in the frame's order
        self.setSortingEnabled(True)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(27)
        self.horizontalHeader().setHighlightSections(False)
        self.clicked.connect(self._chosen)
        self.activated.connect(self._chosen)
        self._sized = False

    def use(self, frame: pl.DataFrame, theme: Theme) -> None:
        """Show another frame, in the order that was chosen."""
        chosen = {index.row() for index in self.selectionModel().selectedRows()}
        keys = [self._key_at(row) for row in chosen]
        self._model.use(frame, theme)
        for name in keys:
            self.mark(name)
        if not self._sized and self._model.rowCount():
            self._sized = True
            self._fit()

    def mark(self, name: str | None) -> None:
        """Select the rows of a service."""
        self.clearSelection()
        found = (
            [] if name is None else [i for i, key in enumerate(self._model.column(self._key)) if key == name]
        )
        for row in found[:1]:
            index = self._sorted.mapFromSource(self._model.index(row, 0))
            self.selectRow(index.row())

    def shown(self) -> list[list[str]]:
        """All cells as they stand, row by row."""
        rows, columns = self._sorted.rowCount(), self._sorted.columnCount()
        return [
            [str(self._sorted.index(row, column).data() or "") for column in range(columns)]
            for row in range(rows)
        ]

    def copied(self) -> str:
        """The selected rows, else all, as text with tabs and a header."""
        chosen = sorted({index.row() for index in self.selectionModel().selectedRows()})
        cells = self.shown()
        names = [
            str(self._model.headerData(i, Qt.Orientation.Horizontal))
            for i in range(self._model.columnCount())
        ]
        rows = [cells[row] for row in chosen] if chosen else cells
        return "\n".join("\t".join(row) for row in [names, *rows])

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Ctrl-C copies; letters are the window's keys."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.copied())
        elif event.text().strip() and event.key() != Qt.Key.Key_Return:
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _fit(self) -> None:
        header = self.horizontalHeader()
        header.setResizeContentsPrecision(60)
        self.resizeColumnsToContents()
        for column in range(self._model.columnCount()):
            header.resizeSection(column, max(74, min(header.sectionSize(column) + 18, 340)))
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(False)

    def _key_at(self, row: int) -> str:
        source = self._sorted.mapToSource(self._sorted.index(row, 0))
        return str(self._model.column(self._key)[source.row()])

    def _chosen(self, index: QModelIndex) -> None:
        self._on_choose(self._key_at(index.row()))


def cell_text(name: str, value: Any) -> str:
    """A value for people: durations in their unit, thousands apart, names on one line."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if name.endswith("_ns"):
        return duration(float(value))
    if isinstance(value, int | float):
        return f"{value:,}"
    return display_name(value, 200)


def _sort_key(name: str, value: Any) -> Any:
    if name == "state":
        (code,) = state_codes([value])
        return int(SEVERITY[code])
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return -1.0
    return str(value).casefold()[:200] if isinstance(value, str) else float(value)


def arranged(frame: pl.DataFrame, first: Sequence[str]) -> pl.DataFrame:
    """``frame`` with the columns ``first`` in front, the sick rows first, then the busy ones."""
    there = [name for name in first if name in frame.columns]
    severity = pl.Series("severity", SEVERITY[state_codes(frame["state"].to_list())])
    ordered = frame.with_columns(severity).sort("severity", "calls", descending=True).drop("severity")
    return ordered.select([*there, *(name for name in frame.columns if name not in there)])
