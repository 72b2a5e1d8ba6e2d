"""A real window on a real X server: clicks, keys, a source that fails and recovers, and the end of it all."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.display import need
from tracescape_render import RenderError, open_window
from tracescape_render.scene import Scene

SCRIPT = """
import sys, time
from support.scenes import SHOP_EDGES, SHOP_NODES, edges, nodes
from tracescape_render import RenderError, build_scene, open_window

asked = 0

def source():
    global asked
    asked += bool(places)  # a slow machine asks more than once before all is set up
    if asked in (3, 4):
        raise ConnectionError("the collector went away")
    shown = SHOP_NODES if asked < 6 else SHOP_NODES.vstack(nodes(("late", "service", 9, "healthy")))
    return build_scene(shown, SHOP_EDGES, seconds=60.0, caption=f"answer {asked}", positions=places)

def say(*words):
    print(*words, flush=True)

def ready(window):
    places.update(zip(window.stage.scene.services, map(tuple, window.stage.scene.positions.tolist())))
    for body, name in enumerate(window.stage.scene.services):
        x, y = window.stage.on_screen(body)
        say("at", name, round(x), window.stage.size[1] - 1 - round(y))
    said = window.stage.say
    window.stage.say = lambda text: (said(text), say("said", text))
    shown = window.stage.show
    window.stage.show = lambda scene, **options: (shown(scene, **options), say("shown", len(scene.services)))
    moved = window.stage.look
    window.stage.look = lambda view: (moved(view), say("looked", *(round(c, 3) for c in view.position)))
    say("ready")

places = {}
try:
    open_window(source, refresh_s=0.3, title="tracescape test", size=(1000, 700),
                on_select=lambda name: say("selected", name), on_ready=ready)
except RenderError as error:
    say("refused", error)
    sys.exit(1)
say("closed")
"""


class Running:
    """The window in a process of its own, and hands to use it with."""

    def __init__(self, display: str, folder: Path) -> None:
        (folder / "window.py").write_text(SCRIPT)
        self._environment = {
            **os.environ,
            "DISPLAY": display,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", str(folder / "window.py")],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self.lines: list[str] = []

    def begin(self) -> None:
        """Wait until the first picture is drawn."""
        self.until("ready")
        self.window = self._find()
        self.places = {
            words[1]: (int(words[2]), int(words[3]))
            for words in (line.split() for line in self.lines if line.startswith("at "))
        }

    def close(self) -> None:
        """End the process, if it has not ended itself."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def until(self, pattern: str, seconds: float = 60.0) -> str:
        """The next line that matches."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            assert line, f"the window ended without {pattern!r}:\n" + "".join(self.lines)
            self.lines.append(line)
            if re.match(pattern, line):
                return line.strip()
        raise AssertionError(f"no {pattern!r} in:\n" + "".join(self.lines))

    def click(self, name: str) -> None:
        x, y = self.places[name]
        self._do("mousemove", "--window", self.window, str(x), str(y))
        self._do("click", "1")

    def key(self, name: str) -> None:
        self._do("key", "--window", self.window, name)

    def drag(self) -> None:
        self._do("mousemove", "--window", self.window, "500", "600", "mousedown", "1")
        self._do("mousemove", "--window", self.window, "620", "600", "mouseup", "1")

    def _find(self) -> str:
        """The window's id. The X server may know it a moment after the process does."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self._do("search", "--name", "^tracescape test$", expect=None).split()
            if found:
                return found[-1]
            time.sleep(0.1)
        raise AssertionError("the X server knows no such window")

    def _do(self, *arguments: str, expect: int | None = 0) -> str:
        command = [need("xdotool", "xdotool"), *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert expect is None or done.returncode == expect, done.stderr
        return done.stdout


@pytest.fixture
def running(display: str, tmp_path: Path) -> Iterator[Running]:
    with contextlib.closing(Running(display, tmp_path)) as window:
        window.begin()
        yield window


def test_a_click_selects_the_service_under_it_and_escape_lets_go(running: Running) -> None:
    for name in ("cart", "checkout", "postgresql", "user"):
        running.click(name)
        assert running.until("selected") == f"selected {name}"
    running.key("Escape")
    assert running.until("selected") == "selected None"


def test_a_drag_turns_the_world_and_selects_nothing(running: Running) -> None:
    running.drag()
    running.key("f")
    running.until("looked")
    assert not [line for line in running.lines if line.startswith("selected")]


def test_keys_fly_and_f_comes_back(running: Running) -> None:
    def position(key: str) -> tuple[float, ...]:
        running.key(key)
        return tuple(map(float, running.until("looked").split()[1:]))

    home = position("f")
    ahead = position("w")
    assert ahead[1] > home[1] + 1, "w moves into the picture"
    assert position("s") == pytest.approx(home, abs=0.01)
    assert position("d")[0] > home[0] + 1
    assert position("f") == pytest.approx(home, abs=0.01)


def test_n_goes_to_the_worst(running: Running) -> None:
    running.key("n")
    assert running.until("selected") == "selected checkout"
    running.until("looked")


def test_a_source_that_fails_is_said_and_recovers_with_what_is_new(running: Running) -> None:
    assert "the collector went away – trying again" in running.until("said")
    assert running.until("shown 10")
    running.click("cart")
    assert running.until("selected") == "selected cart", "bodies kept their places"


def test_p_saves_a_picture(running: Running, tmp_path: Path) -> None:
    running.key("p")
    saved = Path(running.until("said saved").removeprefix("said saved "))
    assert saved.parent == tmp_path
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_q_closes_and_the_process_ends_without_a_word(running: Running) -> None:
    running.key("q")
    running.until("closed")
    rest, _ = running.process.communicate(timeout=20)
    assert running.process.returncode == 0
    assert rest == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_in_order(running: Running, number: int) -> None:
    running.process.send_signal(number)
    running.until("closed")
    rest, _ = running.process.communicate(timeout=20)
    assert (running.process.returncode, rest) == (0, "")


def raises_if_asked() -> Scene:
    raise AssertionError("nothing is asked before there is a display")


@pytest.mark.parametrize(
    ("display_variable", "words"),
    [(None, "There is no display .*--screenshot"), (":4711", "display :4711 does not answer.*--screenshot")],
)
def test_no_display_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, display_variable: str | None, words: str
) -> None:
    if display_variable is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", display_variable)
    opening: Callable[[], None] = lambda: open_window(raises_if_asked)  # noqa: E731
    with pytest.raises(RenderError, match=words):
        opening()
