"""The line at the foot: where the data comes from, how old it is, what is hidden, how fast frames come."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtWidgets import QFrame, QHBoxLayout

from tracescape_render.desktop.pieces import Elided, restyle, words
from tracescape_render.snapshot import Snapshot
from tracescape_render.strip import clock_words
from tracescape_render.text import display_name

_SAID_FOR_S: Final = 6.0


class StatusLine(QFrame):
    """Everything that has to be said without being in the way."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("status")
        self.setFixedHeight(26)
        self._source, self._said = words(""), Elided("")
        self._age, self._hidden, self._speed = words(""), words(""), words("")
        line = QHBoxLayout(self)
        line.setContentsMargins(14, 0, 14, 0)
        line.setSpacing(22)
        line.addWidget(self._source)
        line.addWidget(self._age)
        line.addWidget(self._said, 1)
        line.addWidget(self._hidden)
        line.addWidget(self._speed)
        self._said_at = 0.0

    def say(self, text: str) -> None:
        """Tell something that passes."""
        self._said.setText(display_name(text, 300))
        self._said_at = time.monotonic()

    def tell(self, snapshot: Snapshot, trouble: str, hidden: str, speed: str) -> None:
        """How things are now; ``trouble`` is why nothing new comes, empty if all is well."""
        origin = display_name(snapshot.origin, 60)
        self._source.setText(trouble or _source(snapshot, origin))
        if self._source.property("warning") != bool(trouble):
            self._source.setProperty("warning", bool(trouble))
            restyle(self._source)
        self._age.setText(_age(snapshot))
        self._hidden.setText(hidden)
        self._speed.setText(speed)
        if self._said.text() and time.monotonic() - self._said_at > _SAID_FOR_S:
            self._said.setText("")

    def texts(self) -> list[str]:
        """All that is written here."""
        return [each.text() for each in (self._source, self._age, self._said, self._hidden, self._speed)]


def _source(snapshot: Snapshot, origin: str) -> str:
    if snapshot.at_ns is not None:
        return f"the past of {origin}"
    return f"live from {origin}" if snapshot.live else origin


def _age(snapshot: Snapshot) -> str:
    if snapshot.at_ns is not None:
        return f"as of {clock_words(snapshot.at_ns)}"
    if snapshot.newest_ns is None:
        return "no spans yet"
    seconds = time.time() - snapshot.newest_ns / 1e9
    if not snapshot.live or seconds < -60:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(snapshot.newest_ns / 1e9))
        return f"newest span {moment}"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"newest span {seconds / size:.0f} {unit} ago"
    return f"newest span {max(seconds, 0):.0f} s ago"
