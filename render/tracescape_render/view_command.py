"""A view as a command line, and back: what reproduces what somebody sees."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import Final

from tracescape_render.camera import View
from tracescape_render.focus import Focus
from tracescape_render.inside.asked import Seen
from tracescape_render.palette import DARK, Theme

_TIME: Final = r"(-?\d{1,18}(?:\.\d{1,3})?)"
_PART: Final = re.compile(rf"{_TIME},{_TIME}(?:,(-?\d{{1,18}}),(-?\d{{1,18}}))?", re.ASCII)


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
    """Six numbers: where the camera stands, what it looks at, to less than any pixel."""
    return ",".join(f"{value:.9g}" for point in view for value in point)


def written_part(seen: Seen) -> str:
    """From when to when of a trace, ns after its beginning, and from lane to lane of its wall."""
    first, last = (f"{value:.3f}".rstrip("0").rstrip(".") for value in (seen.first, seen.last))
    return f"{first},{last},{seen.low},{seen.high}"


def parsed_part(text: str) -> Seen:
    """What `written_part` wrote; lanes may be left out. Raises ``ValueError`` that says what it should be."""
    found = _PART.fullmatch(text.replace(" ", ""))
    first, last = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if found is None or last <= first:
        raise ValueError(
            f"{text[:80]!r} is no part of a trace; write from when to when of it in nanoseconds, and from"
            " lane to lane if you like: 120000000,450000000,0,28. The key k in the window writes it."
        )
    return Seen(first, last, int(found[3] or 0), int(found[4] or 0))


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
