"""A window with nothing but a wall in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from tracescape_render.desktop.pieces import Elided
from tracescape_render.desktop.style import style_sheet
from tracescape_render.desktop.wall_page import LONE_WALL_KEYS, WallPage
from tracescape_render.inside.asked import InsideAnswer, InsideWish
from tracescape_render.inside.standing import standing
from tracescape_render.palette import THEMES, Theme

_FRAME_MS: Final = 33


class WallWindow(QWidget):
    """Shows ``answer``; ``ask`` is asked for others. Closed by ``q``, Esc, or the button that leads out."""

    def __init__(
        self,
        wish: InsideWish,
        answer: InsideAnswer,
        ask: Callable[[InsideWish], InsideAnswer],
        theme: Theme,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self._opening = wish, answer
        self.theme, self.closed = theme, False
        self.setObjectName("window")
        self.setWindowTitle(f"Tracescape · trace {answer.traces[-1].trace_id}")
        self.resize(*size)
        self.setStyleSheet(style_sheet(theme))
        self._said = Elided("")
        self.page = WallPage(theme, ask, say=self._said.setText, on_out=self.close)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.page, 1)
        whole.addWidget(self._said)
        self._help = QLabel(LONE_WALL_KEYS, self)
        self._help.setObjectName("help")
        self._help.setTextFormat(Qt.TextFormat.PlainText)
        self._help.hide()
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.page.tick)

    def begin(self) -> None:
        """Show the wall, once the window is on the screen."""
        wish, answer = self._opening
        self.page.show_answer(wish, answer, standing(answer.walls, answer.pairs))
        self._clock.start(_FRAME_MS)
        self.page.tick()

    def on_screen(self) -> bool:
        """Whether Qt has given VTK a place to draw."""
        canvas = self.page.view.canvas
        return canvas.isValid() and bool(canvas.render_window.GetReadyForRendering())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keys of the wall, and a few of the window."""
        handler = self.page.handler(event) or {
            "q": self.close,
            "?": self._toggle_help,
            "t": self._next_theme,
        }.get(event.text())
        if handler is None and event.key() == Qt.Key.Key_Escape:
            handler = self._toggle_help if self._help.isVisible() else self.close
        if handler is None:
            event.ignore()
        else:
            handler()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Free everything."""
        if not self.closed:
            self.closed = True
            self._clock.stop()
            self.hide()
            self.page.close_all()

    def _toggle_help(self) -> None:
        self._help.setVisible(not self._help.isVisible())
        self._help.adjustSize()
        self._help.move(self.rect().center() - self._help.rect().center())
        self._help.raise_()

    def _next_theme(self) -> None:
        themes = list(THEMES.values())
        self.theme = themes[(themes.index(self.theme) + 1) % len(themes)]
        self.setStyleSheet(style_sheet(self.theme))
        self.page.use(self.theme)
