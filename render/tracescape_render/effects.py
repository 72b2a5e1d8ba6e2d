"""What a window gives up, and in which order, when a frame takes too long."""

from __future__ import annotations

from collections import deque
from typing import Final

#: A frame that takes longer makes moving a torment, s.
BUDGET_S: Final = 0.1
_FRAMES: Final = 9
_FAST_FRAMES: Final = 90
#: Levels, each with what was given up by then.
WORDS: Final = ("", "lights off: frames took too long", "lights off, less detail: frames took too long")
FULL: Final = 0
STILL: Final = 1
SPARE: Final = 2


class Effects:
    """Watches how long frames take: first the lights go, then detail; what is fast for long comes back.

    Each time something had to go again, it takes twice as many fast frames until it is tried once more.
    """

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        self._frames: deque[float] = deque(maxlen=_FRAMES)
        self.level = FULL
        self._fast = 0
        self._patience = _FAST_FRAMES

    def saw(self, seconds: float) -> bool:
        """A frame took ``seconds``; whether something has to go now, or comes back."""
        self._frames.append(seconds)
        self._fast = self._fast + 1 if seconds < self._budget_s / 2 else 0
        if len(self._frames) == _FRAMES and self.frame_s > self._budget_s and self.level < SPARE:
            self.level += 1
        elif self.level > FULL and self._fast >= self._patience:
            self.level -= 1
            self._patience *= 2
        else:
            return False
        self._fast = 0
        self._frames.clear()
        return True

    def reset(self) -> None:
        """Everything again: what is shown has changed."""
        self._frames.clear()
        self._fast = 0
        self.level = FULL

    @property
    def frame_s(self) -> float:
        """What a frame takes at present, the median; 0 before the first."""
        return sorted(self._frames)[len(self._frames) // 2] if self._frames else 0.0
