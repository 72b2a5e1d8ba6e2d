"""The panel beside a wall: one span with all that it has, to be read and copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from tracescape_analytics.trace_details import SpanDetail
from tracescape_render.charts.axes import signed
from tracescape_render.desktop.pieces import Elided, Row, button, clear, words
from tracescape_render.text import TOOLTIP_LENGTH, display_name

_WIDTH: Final = 360
#: So many rows of a kind are shown; ``c`` copies them all.
_ROWS: Final = 200
_VALUE_LENGTH: Final = 2_000


class SpanPanel(QFrame):
    """``on_span`` goes to a span by its row, ``on_copy`` copies everything, ``on_close`` selects nothing."""

    def __init__(
        self,
        on_span: Callable[[int], object],
        on_copy: Callable[[], object],
        on_close: Callable[[], object],
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setFixedWidth(_WIDTH)
        self._on_span, self._on_copy, self._on_close = on_span, on_copy, on_close
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        body = QWidget()
        body.setObjectName("panelBody")
        self._body = QVBoxLayout(body)
        self._body.setContentsMargins(16, 12, 16, 16)
        self._body.setSpacing(4)
        scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def tell(
        self, told: str, near: list[tuple[str, int, str]], detail: SpanDetail | None, trouble: str = ""
    ) -> None:
        """``told`` is what the wall says of the span; ``near`` spans (what, row, name); then the rest."""
        clear(self._body)
        title, _, facts = told.partition("\n")
        line = QHBoxLayout()
        line.addWidget(Elided(title, role="title"), 1)
        line.addWidget(button("copy", "copy everything of this span  (c)", self._on_copy))
        line.addWidget(button("×", "close (Esc)", self._on_close))
        self._body.addLayout(line)
        self._body.addWidget(_text(facts))
        for what, span, name in near:
            row = QHBoxLayout()
            row.addWidget(words(what, quiet=True))
            row.addWidget(Row(name, _calling(self._on_span, span)), 1)
            self._body.addLayout(row)
        if trouble:
            self._body.addWidget(words(trouble, quiet=True, wrap=True))
        elif detail is None:
            self._body.addWidget(words("asking for more …", quiet=True))
        else:
            self._details(detail)
        self._body.addStretch(1)

    def texts(self) -> list[str]:
        """All that is written here."""
        labels = [each.text() for each in self.findChildren(QLabel) if not each.isHidden()]
        return labels + [each.words() for each in self.findChildren(Row) if not each.isHidden()]

    def _details(self, detail: SpanDetail) -> None:
        status = f"{detail.status}: {detail.status_message}" if detail.status_message else detail.status
        ids = {"span_id": detail.span_id, "parent_span_id": detail.parent_span_id or "none"}
        self._section("SPAN", {**ids, "kind": detail.kind, "status": status})
        self._section("ATTRIBUTES", detail.attributes)
        for event in detail.events[:_ROWS]:
            title = f"EVENT {display_name(event['name'], 60)}"
            self._section(title, {"after": _after(detail, event), **event["attributes"]})
        for log in detail.logs[:_ROWS]:
            title = f"LOG {log.get('severity') or ''}".strip()
            self._section(title, {"after": _after(detail, log), "body": log.get("body"), **log["attributes"]})
        for link in detail.links[:_ROWS]:
            other = {"trace": link["linked_trace_id"], "span": link["linked_span_id"]}
            self._section("LINK", {**other, **link["attributes"]})
        scope = {"scope": detail.scope} if detail.scope else {}
        self._section("RESOURCE", {**detail.resource, **scope})

    def _section(self, title: str, values: dict[str, Any]) -> None:
        if not values:
            return
        self._body.addSpacing(8)
        self._body.addWidget(words(title, role="section"))
        for name, value in list(values.items())[:_ROWS]:
            self._body.addWidget(words(display_name(name, TOOLTIP_LENGTH), quiet=True))
            self._body.addWidget(_text(display_name(value, _VALUE_LENGTH)))
        if len(values) > _ROWS:
            self._body.addWidget(words(f"and {len(values) - _ROWS:,} more: c copies all", quiet=True))


def _after(detail: SpanDetail, note: dict[str, Any]) -> str:
    """When it was, counted from the beginning of the span as that was sent."""
    return signed(int(note["time_ns"]) - detail.start_ns)


def _text(text: str) -> QLabel:
    """Plain text that can be marked and copied; a long word is broken."""
    label = words(_breakable(text), wrap=True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return label


def _breakable(text: str) -> str:
    """Lets Qt break words that are longer than a line, after every 40 letters."""
    return " ".join(
        "\u200b".join(word[i : i + 40] for i in range(0, len(word), 40)) if len(word) > 40 else word
        for word in text.split(" ")
    )


def _calling(do: Callable[[int], object], span: int) -> Callable[[], object]:
    return lambda: do(span)
