"""How much of a large world a browser draws: the window's rules, for whoever looks from elsewhere.

The browser knows where its camera is, and so what it comes near to; the rest is decided here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tracescape_render.arcs import FAINTEST
from tracescape_render.detail import Detail, Groups, detailed, groups_of
from tracescape_render.levels import CLOSES, LEFT, OPENS, SEEN_FROM
from tracescape_render.renderer import Budget, profile_of
from tracescape_render.scene import Scene
from tracescape_render.web.tables import Table, Values

#: The key of a group: one of its services; of a quarter, with this before it.
_QUARTER: Final = "\0"
#: Whoever draws slowly gets half as much, so many times at most.
_MOST_HALVES: Final = 3


class Sight(NamedTuple):
    """Who looks, and at what.

    Attributes:
        renderer: the name of what draws, which decides how much is drawn.
        less: how often that is halved, for those who turn out to be slower than their name.
        opened: keys of groups that are to be open, the first soonest; kept: services to be drawn themselves.
    """

    renderer: str
    less: int = 0
    opened: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class Level(NamedTuple):
    """What is drawn of a scene, and the groups that it may collapse into."""

    detail: Detail
    groups: Groups

    @property
    def collapsed(self) -> bool:
        """Whether anybody stands inside of something else."""
        return bool((self.detail.group >= 0).any())


def level_of(scene: Scene, sight: Sight | None) -> Level | None:
    """What ``sight`` sees of ``scene``; None where that is all of it."""
    if sight is None:
        return None
    budget = budget_of(sight)
    if len(scene.services) <= budget.bodies:
        return None
    groups = groups_of(scene, budget)
    number = {name: row for row, name in enumerate(scene.services)}
    kept = [number[name] for name in dict.fromkeys(sight.kept) if name in number]
    wanted = [group for key in sight.opened if (group := _group_of(key, groups, number)) is not None]
    return Level(detailed(scene, budget, wanted, groups, np.array(kept, np.int64)), groups)


def budget_of(sight: Sight) -> Budget:
    """How much is drawn for ``sight`` at most."""
    budget, halves = profile_of(sight.renderer).budget, min(sight.less, _MOST_HALVES)
    return Budget(budget.bodies >> halves, budget.arcs >> halves)


def rules() -> dict[str, float]:
    """When groups open and close, as `Levels` does it, for those who know where they stand."""
    return {"opens": OPENS, "closes": CLOSES, "left": LEFT, "seen_from": SEEN_FROM}


def note_of(level: Level) -> str:
    """What is hidden, in a line."""
    detail = level.detail
    shown = int((detail.scene.arc_seen >= FAINTEST).sum())
    ways = "ways between them" if detail.note else "connections"
    hidden = f"the strongest {shown:,} of {detail.ways:,} {ways} are drawn" if shown < detail.ways else ""
    return " · ".join(part for part in (detail.note, hidden) if part)


def groups_table(level: Level, scene: Scene) -> Table:
    """A row a group: its key, where it is, whether it is open."""
    groups = level.groups
    opened = np.zeros(len(groups.sizes), np.uint8)
    opened[list(level.detail.opened)] = 1
    columns: dict[str, Values] = {
        "centre": groups.centres.astype(np.float32),
        "reach": groups.reach.astype(np.float32),
        "open": opened,
    }
    keys = _keys(groups, scene)
    return Table(columns, {"key": keys}, keys=keys)


def everybody(level: Level, scene: Scene) -> Table:
    """A row a service: where it stands, and which drawn body stands for it."""
    columns: dict[str, Values] = {"position": scene.positions, "body": level.detail.body.astype(np.int32)}
    return Table(columns, {"service": scene.services}, keys=scene.services)


def _keys(groups: Groups, scene: Scene) -> list[str]:
    islands = len(groups.quarter)
    first = np.unique(groups.island, return_index=True)[1]
    keys = [scene.services[row] for row in first.tolist()]
    if len(groups.sizes) > islands:
        leading = np.unique(groups.quarter, return_index=True)[1]
        keys += [_QUARTER + keys[island] for island in leading.tolist()]
    return keys


def _group_of(key: str, groups: Groups, number: dict[str, int]) -> int | None:
    """The group that a service is in, by whichever of its members it is called."""
    quarter = key.startswith(_QUARTER)
    row = number.get(key.removeprefix(_QUARTER))
    if row is None:
        return None
    island = int(groups.island[row])
    group = int(groups.quarter[island]) if quarter else island
    return group if group >= 0 else None
