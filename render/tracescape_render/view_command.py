"""A view as a command line, and back: what reproduces what somebody sees."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Final

from tracescape_render.camera import View
from tracescape_render.focus import Focus
from tracescape_render.inside.asked import Seen
from tracescape_render.palette import DARK, Theme

_DIGITS: Final = 18


def view_command(
    command: Sequence[str], view: View | None, focus: Focus | None, selected: str | None, theme: Theme
) -> str:
    """The command, quoted for a shell: ``command`` is its beginning, such as ``tracescape explore FILE``."""
    words = list(command)
    if focus is not None:
        words.append(f"--focus={focus.service}")
        words += [] if focus.hops is None else [f"--hops={focus.hops}"]
        words += [] if focus.direction == "both" else [f"--direction={focus.direction}"]
    if selected is not None and (focus is None or selected != focus.service):
        words.append(f"--select={selected}")
    if theme.name != DARK.name:
        words.append(f"--theme={theme.name}")
    if view is not None:
        words.append(f"--view={written_view(view)}")
    return shlex.join(words)


def written_view(view: View) -> str:
    """Six numbers: where the camera stands, what it looks at."""
    return ",".join(f"{value:.6g}" for point in view for value in point)


def written_part(seen: Seen) -> str:
    """From when to when of a trace, ns after its beginning, and from lane to lane of its wall."""
    return ",".join(str(value) for value in seen[:4])


def parsed_part(text: str, span: str = "") -> Seen:
    """What `written_part` wrote; lanes may be left out. Raises ``ValueError`` that says what it should be."""
    parts = text.split(",")
    numbers = [int(part) for part in parts if part.strip().lstrip("-").isdecimal() and len(part) <= _DIGITS]
    if len(numbers) != len(parts) or len(parts) not in (2, 4) or numbers[1] <= numbers[0]:
        raise ValueError(
            f"{text[:80]!r} is no part of a trace; write from when to when of it in nanoseconds, and from"
            " lane to lane if you like: 120000000,450000000,0,28. The key k in the window writes it."
        )
    first, last, low, high = [*numbers, 0, 0][:4]
    return Seen(first, last, low, high, span)


def parsed_view(text: str) -> View:
    """What `written_view` wrote. Raises ``ValueError`` that says what it should be."""
    try:
        x, y, z, fx, fy, fz = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = fx = fy = fz = math.nan
    numbers = (x, y, z, fx, fy, fz)
    if not all(math.isfinite(value) and abs(value) < 1e7 for value in numbers) or numbers[:3] == numbers[3:]:
        raise ValueError(
            f"{text[:80]!r} is no view; write six numbers, x,y,z,x,y,z: where the camera stands and what it"
            " looks at. The key k in the window copies the command for what is seen."
        )
    return View((x, y, z), (fx, fy, fz))
