"""What a window gives up, and in which order, when a frame takes too long."""

from __future__ import annotations

from collections import deque
from typing import Final

#: A frame that takes longer makes moving a torment, s.
BUDGET_S: Final = 0.1
_FRAMES: Final = 9
#: Levels, each with what was given up by then.
WORDS: Final = ("", "lights off: frames took too long", "lights off, faint connections hidden")
FULL: Final = 0
STILL: Final = 1
SPARE: Final = 2


class Effects:
    """Watches how long frames take: first the lights go, then detail. What is gone stays so until `reset`."""

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        self._frames: deque[float] = deque(maxlen=_FRAMES)
        self.level = FULL

    def saw(self, seconds: float) -> bool:
        """A frame took ``seconds``; whether something has to go now."""
        self._frames.append(seconds)
        slow = len(self._frames) == _FRAMES and sorted(self._frames)[_FRAMES // 2] > self._budget_s
        if not slow or self.level == SPARE:
            return False
        self.level += 1
        self._frames.clear()
        return True

    def reset(self) -> None:
        """Everything again: what is shown has changed."""
        self._frames.clear()
        self.level = FULL

    @property
    def frame_s(self) -> float:
        """What a frame takes at present, the median; 0 before the first."""
        return sorted(self._frames)[len(self._frames) // 2] if self._frames else 0.0
