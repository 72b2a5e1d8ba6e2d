"""The colour law, in one place: what each state looks like, everywhere.

Green healthy, amber degraded, red failing, grey idle, black with a bright rim = should be there and is not.
White is for hover and selection only. Never colour alone: the unhealthy wear rings, one for degraded, two
for failing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: States in the order of their codes; a scene's ``state`` array indexes this.
STATES: Final = ("healthy", "degraded", "failing", "idle", "absent")
HEALTHY, DEGRADED, FAILING, IDLE, ABSENT = range(len(STATES))

#: RGB a state, uint8, shape (5, 3).
STATE_COLOURS: Final[NDArray[np.uint8]] = np.array(
    [[56, 196, 142], [255, 178, 56], [255, 62, 72], [128, 138, 158], [8, 9, 14]], np.uint8
)
RIM_COLOURS: Final[NDArray[np.uint8]] = np.array(
    [[38, 112, 98], [255, 178, 56], [255, 62, 72], [72, 82, 104], [214, 222, 240]], np.uint8
)

#: How bad a state is: the larger, the more it matters. Same order as `STATES`.
SEVERITY: Final[NDArray[np.int64]] = np.array([1, 3, 4, 0, 2])

BACKGROUND: Final = ("#03050b", "#131c38")  # below, above
GRID: Final = (30, 44, 84)
PLATE: Final = (17, 25, 50)
STEM: Final = (52, 70, 124)
ARC: Final = (96, 132, 220)
LIGHT: Final = (206, 226, 255)
SELECTION: Final = (255, 255, 255)
TEXT: Final = (0.90, 0.93, 1.0)
TEXT_QUIET: Final = (0.56, 0.64, 0.84)
LABEL_GROUND: Final = (0.03, 0.045, 0.10)


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
