"""Which islands are open: those that somebody came near to or clicked, until the camera goes away again."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.detail import Detail, detailed, groups_of
from tracescape_render.renderer import Budget
from tracescape_render.scene import Scene

#: A group opens when the camera is nearer than so many times its plate's reach, and closes when it is farther
#: than so many times; between the two it stays as it is, so that nothing flickers.
OPENS: Final = 5.0
CLOSES: Final = 7.0
#: What was opened from afar closes when the camera is so many times as far away as then.
LEFT: Final = 1.5
#: Marks have their own size for who is so near to them, and grow with the distance,
SEEN_FROM: Final = 50.0
#: in steps of so many times.
_STEP: Final = 1.5


class Levels:
    """A scene, and what is drawn of it.

    Attributes:
        whole: the scene.
        detail: how that is put together; scene: what is drawn of it, with marks for where the camera is.
    """

    def __init__(
        self,
        whole: Scene,
        budget: Budget,
        before: Levels | None = None,
        kept: NDArray[np.int64] | None = None,
    ) -> None:
        """``before`` is what was shown until now: what was open there stays open. ``kept`` as `detailed`."""
        self._kept = kept
        self.whole = whole
        self.budget = budget
        self._groups = groups_of(whole, budget)
        self._near: list[int] = []
        self._asked: dict[int, float] = {}  # group: the distance at which it closes
        if before is not None:
            self._near = [group for old in before._near if (group := self._same(before, old)) is not None]
            for old, limit in before._asked.items():
                if (group := self._same(before, old)) is not None:
                    self._asked[group] = limit
        self._size: float = whole.size if before is None else min(before._size, whole.size)
        self._show(self._detailed())

    def is_group(self, body: int) -> bool:
        """Whether a drawn body stands for several services."""
        return bool(self.detail.group[body] >= 0)

    def open(self, body: int, camera: tuple[float, float, float]) -> bool:
        """Draw the members of the group that ``body`` is; whether anything changed.

        It stays open until the camera, which is at ``camera`` now, has gone away.
        """
        group = int(self.detail.group[body])
        return group >= 0 and self._ask(group, camera)

    def reveal(self, service: int, camera: tuple[float, float, float]) -> bool:
        """Draw a service of the whole scene itself, opening what it is in; whether anything changed."""
        if not self.is_group(int(self.detail.body[service])):
            return False
        return self._ask(int(self._groups.island[service]), camera)

    def approach(self, camera: tuple[float, float, float]) -> bool:
        """Open what the camera is near to, and close what it has left; whether anything changed."""
        if not len(self.whole.positions):
            return False
        away = self._away(camera)
        asked = {group: limit for group, limit in self._asked.items() if away[group] <= limit}
        still = np.zeros(len(away), bool)
        still[self._near] = True
        reach = self._groups.reach
        near = np.flatnonzero((away < OPENS * reach) | (still & (away < CLOSES * reach)))
        nearest_first = near[np.argsort(away[near], kind="stable")].tolist()
        resized = self._resized(float(away.min()))
        if asked.keys() == self._asked.keys() and set(nearest_first) == set(self._near):
            self._show(self.detail)
            return resized
        self._asked, self._near = asked, nearest_first
        return self._changed() or resized

    def _resized(self, nearest: float) -> bool:
        """Let marks have the size that is seen well from ``nearest``; whether that is another one."""
        size = min(max(nearest / SEEN_FROM, 1.0), self.whole.size)
        outermost = size == self.whole.size != self._size
        if not outermost and 1 / _STEP < size / self._size < _STEP:
            return False
        self._size = size
        return True

    def _ask(self, group: int, camera: tuple[float, float, float]) -> bool:
        away = float(self._away(camera)[group])
        limit = max(LEFT * away, CLOSES * float(self._groups.reach[group]))
        self._asked = {group: limit, **{other: far for other, far in self._asked.items() if other != group}}
        return self._changed()

    def _changed(self) -> bool:
        before = self.detail.opened
        self._show(self._detailed())
        return self.detail.opened != before

    def _show(self, detail: Detail) -> None:
        self.detail: Detail = detail
        same = detail.scene.size == self._size
        self.scene: Scene = detail.scene if same else dataclasses.replace(detail.scene, size=self._size)

    def _detailed(self) -> Detail:
        return detailed(self.whole, self.budget, [*self._asked, *self._near], self._groups, self._kept)

    def _away(self, camera: tuple[float, float, float]) -> NDArray[np.float64]:
        """How far the camera is from the middle of each group, (g,)."""
        across = self._groups.centres - np.array(camera[:2])
        away: NDArray[np.float64] = np.sqrt((across**2).sum(axis=1) + camera[2] ** 2)
        return away

    def _same(self, before: Levels, group: int) -> int | None:
        """The group here that has the first service which ``group`` had before, None if that is gone."""
        islands = len(before._groups.quarter)
        of = before._groups.island
        members = of == group if group < islands else before._groups.quarter[of] == group
        name = before.whole.services[int(np.argmax(members))]
        if name not in self._numbers:
            return None
        island = int(self._groups.island[self._numbers[name]])
        quarter = int(self._groups.quarter[island])
        return island if group < islands else quarter if quarter >= 0 else None

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.whole.services)}
