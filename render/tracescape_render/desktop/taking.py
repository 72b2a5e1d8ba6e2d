"""What somebody takes along from a window: a command, what is told, a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from tracescape_render.desktop.told import tip_text
from tracescape_render.errors import RenderError
from tracescape_render.picture import save_window
from tracescape_render.view_command import view_command

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class Taking:
    """Onto the clipboard, or into the working folder."""

    def __init__(self, window: Desktop) -> None:
        self._window = window

    def command(self) -> str:
        """The command line that shows what is seen now."""
        window = self._window
        words = [*(window.snapshot.command or window.start.command), *window.visiting.words()]
        if window.snapshot.both is not None and window.time.split:
            words.append("--split")
        if window.world.stereo:
            words.append("--stereo")
        place = window.going.place
        if place.trace is not None and not any(word.startswith("--trace") for word in words):
            words.append(f"--trace={place.trace}")
        return view_command(words, window.world.view, window.choice.focus, window.selected, window.theme)

    def copy_command(self) -> None:
        """Put it on the clipboard."""
        QGuiApplication.clipboard().setText(self.command())
        self._window.say("copied: the command that reproduces this view")

    def copy_told(self) -> None:
        """Put on the clipboard what is told of what is under the pointer, else of what is selected."""
        window = self._window
        text = window.world.tip
        if not text and window.selected in window.scene.services:
            body = window.scene.services.index(window.selected)
            text = tip_text(window.scene, body, window.asked.index)
        if not text:
            window.say("nothing to copy: point at a service, or select one")
            return
        QGuiApplication.clipboard().setText(text)
        window.say(f"copied: {text.splitlines()[0]}")

    def save_picture(self) -> None:
        """Write a PNG of the world into the working folder."""
        path = Path.cwd() / f"tracescape-{time.strftime('%Y%m%d-%H%M%S')}.png"
        try:
            self._window.say(f"saved {save_window(self._window.world.canvas.render_window, path)}")
        except RenderError as error:
            self._window.say(str(error))
