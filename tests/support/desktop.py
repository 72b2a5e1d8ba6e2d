"""A window in a process of its own on an X server, and hands to use it with.

Keys and clicks wait in the X server and in Qt, sentences (`Running.ask`) do not: on a busy machine a sentence
would overtake the key that was pressed before it. So hands press one key more, which says that all before it
was handled.
"""

from __future__ import annotations

import ast
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from support.display import need

#: A key that no window uses.
_MARK = "F12"

#: Runs the lines that it is sent on the thread that draws, between two events, and says what they gave.
#: Widgets have their places then: who hides makes room a little later, and a place told before is wrong.
DRIVER = """
import queue, sys, threading
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QGuiApplication

lines = queue.SimpleQueue()

def read():
    for line in sys.stdin:
        lines.put(line)

def say(*words):
    print(*words, flush=True)

def obey(names):
    while not lines.empty():
        line = lines.get()
        QCoreApplication.sendPostedEvents()
        try:
            try:
                answer = eval(line, names)
            except SyntaxError:
                answer = exec(line, names)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
            say("!", repr(answer))
        else:
            say("=", repr(answer))

def drive(window):
    class Marks(QObject):
        def eventFilter(self, watched, event):
            pressed = event.type() == QEvent.Type.KeyPress
            ours = (pressed or event.type() == QEvent.Type.KeyRelease) and event.key() == Qt.Key.Key_F12
            if ours and pressed:
                say("handled")
            return ours
    from tracescape_render.desktop import status
    status._SAID_FOR_S = float("inf")  # what is said stays until somebody has had the time to read it
    marks = Marks(window)
    window.windowHandle().installEventFilter(marks)
    def rests():
        return window.world._flight is None and window.world._settling is None
    def at(name):
        x, y = window.world.stage.on_screen(window.world.stage.body_of(name, reveal=False))
        where = window.world.canvas.mapToGlobal(QPoint(round(x), window.world.stage.size[1] - 1 - round(y)))
        return where.x(), where.y()
    def clipboard():
        return QGuiApplication.clipboard().text()
    names = {**globals(), "window": window, "at": at, "clipboard": clipboard, "rests": rests}
    timer = QTimer(window)
    timer.timeout.connect(lambda: obey(names))
    timer.start(5)
    threading.Thread(target=read, daemon=True).start()
    say("ready")
"""


class Running:
    """The process that runs ``script``, which calls ``drive`` of `DRIVER` once its window is there."""

    def __init__(self, script: str, display: str, folder: Path) -> None:
        path = folder / "window.py"
        path.write_text(DRIVER + script, encoding="utf-8")
        self._environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", str(path)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._handled: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._handle: int | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End the process, if it has not ended itself."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def until(self, begin: str, seconds: float = 90.0) -> str:
        """The next line that begins so."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._new.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                line = ""
            assert line, f"no {begin!r} came:\n" + "".join(self.lines)
            if line.startswith(begin):
                return line.strip()

    def ask(self, expression: str) -> Any:
        """What an expression gives in the window's process; None for a statement."""
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        while True:
            line = self.until("")
            assert not line.startswith("!"), line
            if line.startswith("= "):
                return ast.literal_eval(line[2:])

    def wait(self, expression: str, seconds: float = 60.0) -> Any:
        """Ask again and again until the answer is true."""
        deadline = time.monotonic() + seconds
        while not (answer := self.ask(expression)):
            assert time.monotonic() < deadline, f"{expression} stayed {answer!r}"
            time.sleep(0.03)
        return answer

    def click(self, name: str, button: int = 1) -> None:
        """Click a service with the real pointer."""
        self.point(name)
        self.xdotool("click", str(button))

    def point(self, name: str) -> None:
        """Move the real pointer onto a service, once the picture rests: a panel that closes widens it."""
        where = self.wait(f"rests() and at({name!r})")
        self.xdotool("mousemove", *map(str, where))

    def move(self, x: int, y: int) -> None:
        """Move the real pointer to a place of the screen from another one.

        Qt sees only the last of moves that come at once, and none that ends where the pointer was.
        """
        self.xdotool("mousemove", "5", "5")
        self.xdotool("mousemove", str(x), str(y))

    def key(self, *names: str) -> None:
        """Press keys, one after the other."""
        self.xdotool("key", *names)

    def write(self, text: str) -> None:
        """Press the keys of a text."""
        self.xdotool("type", "--args", "1", text)

    def last_key(self, name: str) -> None:
        """Press a key that ends the window, which will not say that it has handled it."""
        self._hands("key", name)

    def xdotool(self, *arguments: str) -> None:
        """What a person's hands do. When this returns, the window has handled it."""
        self._hands(*arguments, "key", _MARK)
        assert self._handled.get(timeout=60), "it ended:\n" + "".join(self.lines)

    def _hands(self, *arguments: str) -> None:
        if self._handle is None:
            self._handle = self.ask("int(window.winId())")
        # Without a window manager nobody else says whose the keys are: whose window is under the pointer.
        command = [need("xdotool", "xdotool"), "windowfocus", str(self._handle), *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line == "handled\n":
                self._handled.put(True)
            else:
                self._new.put(line)
        self._handled.put(False)
        self._new.put("")
