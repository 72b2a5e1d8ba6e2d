"""The panel beside the world: one service's numbers, why it is as it is, and what to open next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import polars as pl
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from tracescape_render.desktop.pieces import Elided, Row, button, clear, number, words
from tracescape_render.desktop.plots import Plot
from tracescape_render.desktop.style import state_colour
from tracescape_render.palette import FAILING, STATES, Theme, state_codes
from tracescape_render.snapshot import Details, Exemplar, Figures, Snapshot
from tracescape_render.strip import clock_words
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, rate, share, state_words

_WIDEST: Final = 380
_NARROWEST: Final = 300
_SHARE: Final = 0.28
_ROWS: Final = 8
_SIGNS: Final = {"healthy": "●", "degraded": "◎", "failing": "◉", "idle": "○", "absent": "◍"}


class Panel(QFrame):
    """``on_service`` goes to a service, ``on_trace`` opens a trace, ``on_ride`` rides it, and ``on_inside``
    steps inside of it, beside another one or (empty) alone; ``on_close`` selects nothing.
    """

    def __init__(
        self,
        on_service: Callable[[str], object],
        on_trace: Callable[[str], object],
        on_close: Callable[[], object],
        on_ride: Callable[[str], object] | None = None,
        on_inside: Callable[[str, str], object] | None = None,
    ) -> None:
        super().__init__()
        self._on_ride, self._on_inside = on_ride, on_inside
        self.setObjectName("panel")
        self.setFixedWidth(_WIDEST)
        self._on_service, self._on_trace, self._on_close = on_service, on_trace, on_close
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        body = QWidget()
        body.setObjectName("panelBody")
        self._body = QVBoxLayout(body)
        self._body.setContentsMargins(18, 14, 18, 18)
        self._body.setSpacing(5)
        self._scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._scroll)
        self.service: str | None = None

    def fit(self, window_width: int) -> None:
        """Leave most of a narrow window to the world."""
        self.setFixedWidth(min(max(round(window_width * _SHARE), _NARROWEST), _WIDEST))

    def tell(
        self,
        service: str,
        snapshot: Snapshot,
        theme: Theme,
        details: Details | None = None,
        trouble: str = "",
    ) -> None:
        """Show what is known of a service; without ``details`` those are still on their way."""
        same = service == self.service
        place = self._scroll.verticalScrollBar().value() if same else 0
        self.service = service
        clear(self._body)
        row = _row_of(snapshot, service)
        self._head(service, row, theme)
        self._say(snapshot, service, theme)
        if details is not None and details.reason:
            self._body.addWidget(words(display_name(details.reason, 300), wrap=True))
        self._figures(row, snapshot, details)
        if trouble:
            self._body.addWidget(words(trouble, quiet=True, wrap=True))
        elif details is None:
            self._body.addWidget(words("asking for more …", quiet=True))
        else:
            self._plots(details, theme)
            self._operations(details)
        self._edges("CALLED BY", snapshot.edges, "target", "source", service)
        self._edges("CALLS", snapshot.edges, "source", "target", service)
        if details is not None:
            self._versions(details)
            self._traces(details.traces)
        self._body.addStretch(1)
        self._scroll.verticalScrollBar().setValue(place)

    def texts(self) -> list[str]:
        """All that is written here, for tests and for those who read by ear."""
        from PySide6.QtWidgets import QLabel

        labels = [each.text() for each in self.findChildren(QLabel) if not each.isHidden()]
        return labels + [each.words() for each in self.findChildren(Row) if not each.isHidden()]

    def _head(self, service: str, row: dict[str, Any], theme: Theme) -> None:
        line = QHBoxLayout()
        line.addWidget(Elided(display_name(service, TOOLTIP_LENGTH), role="title"), 1)
        line.addWidget(button("×", "close (Esc)", self._on_close))
        self._body.addLayout(line)
        state = str(row.get("state") or "gone")
        said = state_words(state, row.get("calls"))
        sign = words(f"{_SIGNS.get(state, '○')} {said}  ·  {row.get('kind') or 'not in this window'}")
        (code,) = state_codes([state])
        sign.setStyleSheet(f"color: {state_colour(theme, int(code)).name()}")
        self._body.addWidget(sign)

    def _say(self, snapshot: Snapshot, service: str, theme: Theme) -> None:
        """The diagnosis, to whom it concerns: the cause and those that suffer from it."""
        cause, scene = snapshot.scene.cause, snapshot.scene
        suspect = scene.suspect
        if suspect is not None and scene.services[suspect.body] == service and snapshot.sentence:
            self._quote("Suspect, not proved. " + snapshot.sentence, "suspicion")
            self._example(snapshot)
        if cause is None or not snapshot.sentence:
            return
        concerned = [scene.services[body] for body in [cause.body, *cause.ends, *cause.victims.tolist()]]
        if service not in concerned:
            return
        suffers = service not in concerned[: 1 + len(cause.ends)]
        prefix = f"Suffers from {cause.name}. " if suffers else "Likely cause. "
        if cause.over:
            prefix = f"Suffered from {cause.name}. " if suffers else f"{cause.over.capitalize()}. "
        self._quote(prefix + snapshot.sentence, "suspicion" if cause.over else "sentence")
        self._example(snapshot)

    def _example(self, snapshot: Snapshot) -> None:
        """The bad trace that the diagnosis shows, and the typical one that it compares it with."""
        typical, bad = snapshot.pair
        if not bad:
            return
        line = QHBoxLayout()
        line.addWidget(words("a bad trace", quiet=True))
        for do, sign, what in (
            (self._on_ride, "▸ ride", "ride it through the world"),
            (self._inside_alone, "▤ inside", "step inside of it"),
        ):
            if do is not None:
                line.addWidget(button(sign, what, _calling(do, bad)))
        on_inside = self._on_inside
        if on_inside is not None and typical:
            what = "step inside, beside the typical one that the diagnosis compares it with"
            line.addWidget(button("▤ beside typical", what, lambda: on_inside(bad, typical)))
        line.addStretch(1)
        self._body.addLayout(line)

    @property
    def _inside_alone(self) -> Callable[[str], object] | None:
        on_inside = self._on_inside
        return None if on_inside is None else lambda trace_id: on_inside(trace_id, "")

    def _quote(self, sentence: str, style: str) -> None:
        told = words(display_name(sentence, 600), wrap=True)
        told.setObjectName(style)
        self._body.addSpacing(4)
        self._body.addWidget(told)

    def _figures(self, row: dict[str, Any], snapshot: Snapshot, details: Details | None) -> None:
        now = (
            details.now
            if details is not None and details.now is not None
            else _figures_of(row, snapshot.seconds)
        )
        before = details.before if details is not None else None
        when = "now" if snapshot.at_ns is None else "then"
        other = "before"
        if snapshot.against_ns is not None:
            other = clock_words(snapshot.against_ns).partition(" ")[2]
        heads = ("", when, other, "") if before is not None else ("", when)
        grid = _grid(self._body, "", heads)
        for place, (name, written) in enumerate(
            (
                ("rate_per_s", rate),
                ("error_rate", _percent),
                ("p50_ns", duration),
                ("p95_ns", duration),
                ("p99_ns", duration),
            ),
            start=1,
        ):
            here = getattr(now, name)
            there = getattr(before, name) if before is not None else None
            label = {"rate_per_s": "rate", "error_rate": "errors"}.get(name, name.removesuffix("_ns"))
            grid.addWidget(words(label, quiet=True), place, 0)
            grid.addWidget(number(_written(here, written)), place, 1)
            if before is not None:
                grid.addWidget(number(_written(there, written), quiet=True), place, 2)
                grid.addWidget(number(_change(here, there), quiet=True), place, 3)

    def _plots(self, details: Details, theme: Theme) -> None:
        if details.steps.is_empty():
            return
        ink, line = QColor(*theme.text_quiet), QColor(*theme.grid)
        arc, red = QColor(*theme.arc), state_colour(theme, FAILING)
        column = {name: details.steps[name].to_list() for name in details.steps.columns}
        quiet = QColor(arc)
        quiet.setAlpha(130)
        self._section("OVER THE WINDOW")
        self._body.addWidget(Plot("requests", [(column["rate_per_s"], arc)], rate, ink, line))
        self._body.addWidget(Plot("errors", [(column["error_rate"], red)], _percent, ink, line))
        both = [(column["p95_ns"], arc), (column["p50_ns"], quiet)]
        self._body.addWidget(Plot("duration p95, p50", both, duration, ink, line))

    def _operations(self, details: Details) -> None:
        if details.operations.is_empty():
            return
        grid = _grid(self._body, "OPERATIONS", ("", "calls", "errors", "p95"))
        rows = details.operations.head(_ROWS).iter_rows(named=True)
        for place, row in enumerate(rows, start=1):
            grid.addWidget(Elided(display_name(row["operation"], 200)), place, 0)
            _numbers(grid, place, row["calls"], row["errors"], row["p95_ns"])
        self._more(details.operations.height)

    def _edges(self, title: str, edges: pl.DataFrame, side: str, other: str, service: str) -> None:
        found = edges.filter(pl.col(side) == service)
        if found.is_empty():
            return
        found = found.sort("calls", descending=True)
        grid = _grid(self._body, title, ("", "calls", "errors", "p95"))
        for place, row in enumerate(found.head(_ROWS).iter_rows(named=True), start=1):
            name = str(row[other])
            slow = row.get("client_p95_ns")
            grid.addWidget(Row(display_name(name, 200), _calling(self._on_service, name)), place, 0)
            _numbers(
                grid, place, row["calls"], row["errors"], row.get("server_p95_ns") if slow is None else slow
            )
        self._more(found.height)

    def _versions(self, details: Details) -> None:
        if details.versions:
            self._section("VERSIONS")
            shown = ", ".join(display_name(version) for version in details.versions[:_ROWS])
            more = f" and {len(details.versions) - _ROWS} more" if len(details.versions) > _ROWS else ""
            self._body.addWidget(words(shown + more, wrap=True))

    def _traces(self, traces: Iterable[Exemplar]) -> None:
        found = list(traces)
        if not found:
            return
        grid = _grid(self._body, "TRACES TO OPEN", ("", "", "takes"))
        for place, trace in enumerate(found, start=1):
            grid.addWidget(words(trace.why, quiet=True), place, 1)
            label = display_name(trace.name or trace.trace_id, 200)
            grid.addWidget(Row(label, _calling(self._on_trace, trace.trace_id)), place, 0)
            grid.addWidget(number(duration(trace.duration_ns)), place, 2)
            if self._on_ride is not None:
                ride = button("▸", "ride it through the world", _calling(self._on_ride, trace.trace_id))
                ride.setProperty("play", True)
                ride.setAccessibleName(f"ride {label}")
                grid.addWidget(ride, place, 3)
            if self._inside_alone is not None:
                enter = button("▤", "step inside of it", _calling(self._inside_alone, trace.trace_id))
                enter.setProperty("play", True)
                enter.setAccessibleName(f"step inside {label}")
                grid.addWidget(enter, place, 4)

    def _section(self, title: str) -> None:
        self._body.addSpacing(12)
        self._body.addWidget(words(title, role="section"))

    def _more(self, count: int) -> None:
        if count > _ROWS:
            self._body.addWidget(words(f"and {count - _ROWS:,} more", quiet=True))


def _grid(body: QVBoxLayout, title: str, heads: tuple[str, ...]) -> QGridLayout:
    body.addSpacing(12)
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(0, 1)
    for column, head in enumerate(heads):
        label = words(title if column == 0 else head, role="section" if column == 0 else None, quiet=True)
        if column:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        grid.addWidget(label, 0, column)
    body.addLayout(grid)
    return grid


def _numbers(grid: QGridLayout, place: int, calls: int, errors: int, p95_ns: float | None) -> None:
    grid.addWidget(number(f"{calls or 0:,}"), place, 1)
    grid.addWidget(number(share(errors or 0, calls or 0) if errors else "–", quiet=not errors), place, 2)
    grid.addWidget(number(duration(p95_ns)), place, 3)


def _row_of(snapshot: Snapshot, service: str) -> dict[str, Any]:
    rows = snapshot.nodes.filter(pl.col("service") == service)
    row = rows.row(0, named=True) if rows.height else {}
    both = snapshot.both
    if both is not None and service in both.services:  # what it is beside the other moment
        row = {**row, "state": STATES[both.state[both.services.index(service)]]}
    return row


def _figures_of(row: dict[str, Any], seconds: float) -> Figures:
    """What the frame of the world says, until the store has said more."""
    calls = row.get("calls") or 0
    failed = (row.get("errors") or 0) / calls if calls else None
    return Figures(
        calls / seconds if seconds > 0 else None,
        failed,
        row.get("p50_ns"),
        row.get("p95_ns"),
        row.get("p99_ns"),
    )


def _written(value: float | None, written: Callable[[float], str]) -> str:
    return "–" if value is None or not math.isfinite(value) else written(value)


def _percent(value: float) -> str:
    return share(value, 1.0)


def _change(now: float | None, before: float | None) -> str:
    """How many times as much it has become, where that says something."""
    known = now is not None and before is not None and math.isfinite(now) and math.isfinite(before)
    if not known or not before or now is None:
        return ""
    times = now / before
    return "" if 0.8 < times < 1.25 else f"×{times:.2g}" if times < 100 else "×>100"


def _calling(do: Callable[[str], object], name: str) -> Callable[[], object]:
    return lambda: do(name)
