"""Comparing some spans with others: what a store offers for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import polars as pl

import tracescape_analytics.compare
from tracescape.answers import Frame, comparison_html
from tracescape.patience import patiently
from tracescape.times import When, Window, parse_duration
from tracescape_analytics.asking import Where, filter_of
from tracescape_analytics.compare import Cell, Selection
from tracescape_analytics.compare.ranking import Score
from tracescape_storage.filters import Filter, Value
from tracescape_storage.reader import Reader

Selected: TypeAlias = Selection | Where


class _Asked(Protocol):
    """What a store has to offer."""

    _reader: Reader

    def _windows(self, since: When, until: When, baseline: When) -> tuple[Window, tuple[int, int] | None]: ...


class Comparing:
    """The methods of a store that compare."""

    def select(
        self: _Asked,
        where: Where = None,
        *,
        service: str | None = None,
        operation: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        min_duration: str | int | None = None,
        max_duration: str | int | None = None,
        attributes: Mapping[str, Value] | None = None,
        since: When = None,
        until: When = None,
        slowest: float | None = None,
        cells: pl.DataFrame | None = None,
    ) -> Selection:
        """Spans to compare: chosen as by `search`, and of those the ``slowest`` share, or ``cells``.

        ``slowest=0.01`` is the slowest hundredth. ``cells`` are rows of a frame that `latency` gave: a cloud
        picked on the heat map (`Latencies.pick` says the same of what was asked there).

        Raises:
            ValueError: a value, the window, the share or the frame is wrong.
        """
        condition = filter_of(
            where,
            service=service,
            operation=operation,
            kind=kind,
            status=status,
            min_duration=min_duration,
            max_duration=max_duration,
            attributes=attributes,
        )
        window, _ = self._windows(since, until, None)
        return Selection(condition, window.since_ns, window.until_ns, slowest, _cells(cells))

    @patiently("comparing")
    def compare(
        self: _Asked, selection: Selected, baseline: Selected = None, *, score: Score = "divergence"
    ) -> Comparison:
        """What is different about some spans: every attribute of span, resource, scope and event.

        ``selection`` and ``baseline`` are what `select` gives, or a filter as text. Without a baseline, the
        rest of the selection's window is compared, within the service, operation and kind that it names. A
        window, or all that a service, operation or kind did in one, is compared with the same length of time
        just before. ``score`` orders attributes: ``divergence`` (ours, in bits),
        or as ``sentry`` or ``grafana`` do. See docs/compare.md.

        Raises:
            ValueError: there is nothing to compare with; the message says what to name.
            StoreError: one side has no spans.
        """
        found = tracescape_analytics.compare.compare(
            self._reader,
            selection if isinstance(selection, Selection) else Selection(filter_of(selection)),
            baseline if isinstance(baseline, Selection | None) else Selection(filter_of(baseline)),
            score=score,
        )
        values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        frames = {name: Frame(value) for name, value in values.items() if isinstance(value, pl.DataFrame)}
        return Comparison(**{**values, **frames})


class Latencies(Frame):
    """What `Store.latency` gives: a row a cell of the heat map, and a way to pick some of them."""

    _asked: tuple[Filter, Window] | None = None

    def filter(self, *predicates: Any, **constraints: Any) -> Latencies:
        """As Polars does; what was asked stays known."""
        found = Latencies(super().filter(*predicates, **constraints))
        found._asked = self._asked
        return found

    def pick(
        self,
        *predicates: Any,
        min_duration: str | int | None = None,
        max_duration: str | int | None = None,
    ) -> Selection:
        """The spans of some cells, for `Store.compare`: a cloud on the heat map.

        Args:
            predicates: as ``filter`` takes them, such as ``pl.col("errors") > 0``.
            min_duration: cells that reach above it, ``"200ms"`` or ns; spans below it in the same cell count.
            max_duration: cells that begin below it, likewise.

        Raises:
            ValueError: no cell is like that, or nobody knows what this frame was made by.
        """
        if self._asked is None:
            raise ValueError(
                "pick from what store.latency() gave, or give these rows to store.select(cells=)"
            )
        where, window = self._asked
        least, most = (_ns(each) for each in (min_duration, max_duration))
        bounds = [] if least is None else [pl.col("high_ns") > least]
        bounds += [] if most is None else [pl.col("low_ns") < most]
        picked = self.filter(pl.lit(value=True), *predicates, *bounds)
        if picked.is_empty():
            raise ValueError(f"none of the {len(self):,} cells is like that; ts.plot shows where they are")
        return Selection(where, window.since_ns, window.until_ns, cells=_cells(picked))


def latencies(cells: pl.DataFrame, where: Filter, window: Window) -> Latencies:
    """Cells that know what was asked."""
    found = Latencies(cells)
    found._asked = where, window
    return found


def _ns(duration: str | int | None) -> int | None:
    return parse_duration(duration) if isinstance(duration, str) else duration


def _cells(cells: pl.DataFrame | None) -> tuple[Cell, ...]:
    if cells is None:
        return ()
    missing = [name for name in Cell._fields if name not in cells.columns]
    if missing or cells.is_empty():
        lacks = f"lacks {', '.join(missing)}" if missing else "has no rows"
        raise ValueError(f"cells are rows of the frame that store.latency() gives; this one {lacks}")
    return tuple(Cell(*row) for row in cells.select(Cell._fields).iter_rows())


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison(tracescape_analytics.compare.Comparison):
    """What is different, in sentences, and as frames: `attributes`, `values`, `numbers`, `pairs`."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return comparison_html(self)
