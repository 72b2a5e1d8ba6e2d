"""An X server of our own, and the programs that act on it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_numbers = itertools.count()


def need(program: str, package: str) -> str:
    """The program's path; without it a test fails and says what to install."""
    found = shutil.which(program)
    assert found, f"{program} is missing: apt-get install -y {package}"
    return found


@contextmanager
def x_server() -> Iterator[str]:
    """Xvfb on a display of this process alone, whose name this yields."""
    reading, writing = os.pipe()
    command = [
        need("Xvfb", "xvfb"),
        # Servers that look for a free number at the same time can take the same one.
        f":{100 + (os.getpid() * 8 + next(_numbers) % 8) % 60_000}",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        "1700x1000x24",
        "-nolisten",
        "tcp",
        "-noreset",  # or it is away for a moment each time its last client has left
        "-r",  # a busy machine that is late to see a key go up must not repeat it
    ]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


def xdotool(display: str, *arguments: str) -> str:
    """Run xdotool on ``display``; what it printed, empty if it failed."""
    command = [need("xdotool", "xdotool"), *arguments]
    environment = {**os.environ, "DISPLAY": display}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else ""
