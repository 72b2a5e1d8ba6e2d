"""The colour law, in one place: what each state looks like, everywhere.

Green healthy, amber degraded, red failing, grey idle; a hatched void, black on dark ground and empty on light
ground, should be there and is not. White (ink, on light ground) is for hover and selection only. Never colour
alone: the unhealthy wear rings, one for degraded, two for failing, and what is absent is hatched. The first
cause of what is wrong has a colour that nothing else has, and a shaft of light that nothing else has either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

RGB = tuple[int, int, int]

#: States in the order of their codes; a scene's ``state`` array indexes this.
STATES: Final = ("healthy", "degraded", "failing", "idle", "absent")
HEALTHY, DEGRADED, FAILING, IDLE, ABSENT = range(len(STATES))

#: How bad a state is: the larger, the more it matters. Same order as `STATES`.
SEVERITY: Final[NDArray[np.int64]] = np.array([1, 3, 4, 0, 2])


@dataclass(frozen=True)
class Theme:
    """Everything that has a colour, as RGB from 0 to 255.

    Attributes:
        states: bodies by state, in the order of `STATES`.
        marks: what says the state beside the body (rings, hatching, rims, words), in the same order.
        cause: the beacon on the first cause, and the way from its victims to it.
        cause_ink: words on a ground of ``cause``.
        ground: below and above; plate, grid, stem: the world's floor.
        arc: connections; light: requests on them; glows: lights add to what is behind them (on dark ground).
        selection: hover and selection, nothing else.
        text, text_quiet, label_ground: words, less important words, what words stand on.
        past, past_ink: parchment, which no state has, for what says that it is the past, and words on it.
        fading: what recedes does so by its share of being seen to this power: the smaller, the less.
    """

    name: str
    states: tuple[RGB, RGB, RGB, RGB, RGB]
    marks: tuple[RGB, RGB, RGB, RGB, RGB]
    cause: RGB
    cause_ink: RGB
    ground: tuple[RGB, RGB]
    plate: RGB
    grid: RGB
    stem: RGB
    arc: RGB
    light: RGB
    glows: bool
    selection: RGB
    text: RGB
    text_quiet: RGB
    label_ground: RGB
    past: RGB = (222, 196, 146)
    past_ink: RGB = (14, 10, 4)
    fading: float = 1.0


DARK: Final = Theme(
    name="dark",
    states=((56, 196, 142), (255, 178, 56), (255, 62, 72), (128, 138, 158), (8, 9, 14)),
    marks=((44, 128, 108), (255, 178, 56), (255, 62, 72), (86, 97, 120), (226, 233, 248)),
    cause=(255, 76, 178),
    cause_ink=(24, 2, 16),
    ground=((3, 5, 11), (19, 28, 56)),
    plate=(17, 25, 50),
    grid=(30, 44, 84),
    stem=(52, 70, 124),
    arc=(96, 132, 220),
    light=(206, 226, 255),
    glows=True,
    selection=(255, 255, 255),
    text=(230, 237, 255),
    text_quiet=(143, 163, 214),
    label_ground=(8, 11, 26),
)
LIGHT: Final = Theme(
    name="light",
    states=((22, 150, 104), (240, 150, 0), (214, 22, 44), (132, 140, 156), (240, 242, 247)),
    marks=((120, 176, 156), (198, 112, 0), (200, 14, 38), (160, 168, 182), (14, 16, 24)),
    cause=(196, 0, 122),
    cause_ink=(255, 255, 255),
    ground=((226, 231, 240), (250, 251, 253)),
    plate=(255, 255, 255),
    grid=(198, 206, 222),
    stem=(176, 186, 206),
    arc=(92, 112, 164),
    light=(38, 62, 132),
    glows=False,
    selection=(10, 20, 60),
    text=(22, 28, 44),
    text_quiet=(84, 96, 122),
    label_ground=(255, 255, 255),
    past=(122, 88, 34),
    past_ink=(255, 255, 255),
    fading=0.55,  # on white there is less between a colour and nothing
)
#: States lie between blue and yellow and differ in lightness: what red-green deficiencies leave.
COLOUR_BLIND: Final = Theme(
    name="colour-blind",
    states=((74, 128, 208), (250, 226, 112), (236, 108, 18), (122, 126, 134), (8, 9, 14)),
    marks=((60, 96, 150), (250, 226, 112), (236, 108, 18), (88, 94, 106), (240, 243, 250)),
    cause=(255, 255, 255),
    cause_ink=(12, 14, 22),
    ground=((3, 5, 11), (22, 26, 38)),
    plate=(22, 26, 38),
    grid=(40, 46, 62),
    stem=(64, 72, 92),
    arc=(120, 130, 152),
    light=(214, 222, 236),
    glows=True,
    selection=(120, 255, 236),
    text=(234, 238, 246),
    text_quiet=(156, 166, 188),
    label_ground=(8, 10, 18),
)
#: States in charts, uint8 (5, 3).
STATE_COLOURS: Final[NDArray[np.uint8]] = np.array(DARK.states, np.uint8)
THEMES: Final = {theme.name: theme for theme in (DARK, LIGHT, COLOUR_BLIND)}


def theme(name: str) -> Theme:
    """The theme of that name. Raises ``ValueError`` that lists them."""
    if name not in THEMES:
        raise ValueError(f"there is no theme {name!r}: {', '.join(THEMES)}")
    return THEMES[name]


def in_the_past(theme: Theme) -> Theme:
    """The same on another ground: what is past must not look like now. States keep their colours."""
    below, above = theme.ground
    if theme.glows:
        return replace(
            theme,
            ground=(_towards(below, (70, 46, 16), 0.35), _towards(above, (104, 72, 30), 0.62)),
            plate=_towards(theme.plate, (86, 62, 30), 0.55),
            grid=_towards(theme.grid, (128, 96, 52), 0.6),
        )
    return replace(
        theme,
        ground=(_towards(below, (222, 196, 150), 0.7), _towards(above, (240, 222, 186), 0.7)),
        plate=_towards(theme.plate, (252, 244, 228), 0.8),
        grid=_towards(theme.grid, (190, 164, 120), 0.6),
    )


def _towards(colour: RGB, other: RGB, part: float) -> RGB:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def state_codes(names: list[str | None]) -> NDArray[np.int64]:
    """Codes of state names, shape (n,); an unknown name counts as idle."""
    known = {name: code for code, name in enumerate(STATES)}
    return np.array([known.get(name or "", IDLE) for name in names], np.int64)


#: Services in charts: the muted scheme of Paul Tol (told apart with any of the common colour deficiencies),
#: without its green and its rose, which states mean; then a grey for those that are left over.
SERVICE_COLOURS: Final = (
    "#332288",
    "#88ccee",
    "#44aa99",
    "#882255",
    "#ddcc77",
    "#aa4499",
    "#999933",
    "#9aa0ab",
)
#: On a dark page, where that indigo could not be seen.
SERVICE_COLOURS_DARK: Final = ("#5b4bdb", *SERVICE_COLOURS[1:])
#: Few to many, on a light and on a dark ground.
DENSITY_LIGHT: Final = ("#dbe7f6", "#b5cfec", "#86b1de", "#5790ce", "#3370b8", "#1d5093", "#0d3166")
DENSITY_DARK: Final = ("#22375f", "#28477a", "#2c5794", "#3b74b8", "#5c97d3", "#92bfe8", "#d2e7fb")
#: Charts on paper and on a dark page: ground, ink, quiet ink, lines, errors.
CHART_LIGHT: Final = ("#ffffff", "#171b26", "#5a6273", "#dfe3ea", "#cc1f33")
CHART_DARK: Final = ("#11151f", "#e9edf6", "#9aa5bb", "#2b3346", "#ff6b76")
