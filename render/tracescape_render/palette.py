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
