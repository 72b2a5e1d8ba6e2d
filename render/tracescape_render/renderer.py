"""What the renderer can carry: its name decides how much is drawn, and with which effects."""

from __future__ import annotations

from typing import Final, NamedTuple

_SOFTWARE: Final = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader", "basic render")
UNKNOWN: Final = "unknown"


class Budget(NamedTuple):
    """How many bodies and connections are drawn at most; what is more is drawn as islands."""

    bodies: int
    arcs: int


_STILL: Final = Budget(6_000, 24_000)
#: What the processor can prepare, labels and picking included; no card was at hand to try.
_CARD: Final = Budget(12_000, 48_000)


class Profile(NamedTuple):
    """What a renderer can carry.

    Attributes:
        renderer: the name that it gives itself, as OpenGL's ``GL_RENDERER``.
        software: it draws on the processor.
        budget: how much is drawn at most; still: in a picture, which nobody waits for many times a second.
        tubes: so many connections are round, the others are lines.
        lights: how many requests are on their way at most.
        smooth: edges are smooth while things move; in what stands still they always are.
    """

    renderer: str
    software: bool
    budget: Budget
    still: Budget
    tubes: int
    lights: int
    smooth: bool


def profile_of(renderer: str) -> Profile:
    """The profile of the renderer of that name. One that nobody knows is taken for software."""
    lower = renderer.lower()
    software = not lower or lower == UNKNOWN or any(word in lower for word in _SOFTWARE)
    if software:
        return Profile(renderer, True, Budget(2_000, 8_000), _STILL, tubes=160, lights=2_000, smooth=False)
    return Profile(
        renderer,
        False,
        Budget(12_000, 48_000),
        Budget(12_000, 48_000),
        tubes=4_000,
        lights=12_000,
        smooth=True,
    )


def renderer_named(capabilities: str) -> str:
    """The renderer's name in what VTK reports about a window, "unknown" if it says nothing."""
    for line in capabilities.splitlines():
        title, _, name = line.partition(":")
        if "renderer string" in title and name.strip():
            return name.strip()
    return UNKNOWN
