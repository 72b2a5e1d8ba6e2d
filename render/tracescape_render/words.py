"""What is written over a scene: the headline, labels, the flag on the cause, islands, the legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

from tracescape_render.banner import fitting
from tracescape_render.camera import VIEW_ANGLE, to_screen
from tracescape_render.labels import Rect, arrange
from tracescape_render.leaders import Leaders, leader_lines
from tracescape_render.lettering import BOLD, PADDING, colour, fit, measure, text_actor, text_size, width_of
from tracescape_render.palette import ABSENT, DEGRADED, FAILING, HEALTHY, IDLE, RGB, STATES, Theme
from tracescape_render.scene import (
    GROUP,
    KINDS,
    Scene,
    beacon_rings,
    suspect_ring,
    top_of_beacon,
    top_of_suspect,
)
from tracescape_render.verdict import SICK

LABEL_POOL: Final = 80
#: In a world of more than these, the well are named only as far as the sick leave room under this number.
_ALL_NAMED: Final = 40
_NAMED: Final = 26
#: In a world of more than these, labels are names alone.
_ALL_NUMBERED: Final = 600
_ISLANDS_NAMED: Final = 24
#: Bodies that a label tries not to cover: the largest on the screen.
_MINDED: Final = 1_500
#: A picture of fewer pixels across is told in fewer words.
_NARROW: Final = 900
_SHAFT_STEPS: Final = 10
#: Priorities that differ by less are about the same: those of one state, see `scene.priorities`.
_AS_MUCH: Final = 4.0
_SHAPE_SIGNS: Final = ("● service", "▮ database", "▬ queue", "◆ external", "▼ entry", "◓ island")
_STATE_SIGNS: Final = {HEALTHY: "●", DEGRADED: "◎", FAILING: "◉", ABSENT: "◍"}
_RIM_SIGN: Final = "◡ an island's rim: its sick"
_CONTRAST_SIGNS: Final = (
    "in a shell: grew, its core is what was",
    "in a cage: shrank from that",
    "with rays: appeared",
    "hatched: vanished",
    "pale: the same",
)
_CAUSE_SIGN: Final = "┃ likely cause"
_OVER_SIGN: Final = "┃ was the likely cause"
_SUSPECT_SIGN: Final = "┆ suspect, not proved"
#: A suspect's flag looks for room in steps of so many pixels.
_FLAG_STEP: Final = 14.0
_MARGIN: Final = 26.0
_BETWEEN: Final = "    "
_IDLE_WORDS: Final = "idle: too few calls to judge"
#: The letters of a flag's name and reason, in points: on the cause, and smaller on a mere suspect.
_CAUSE_LETTERS: Final = (20, 16)
_SUSPECT_LETTERS: Final = (15, 13)
#: A label's, and where two moments stand beside each other, with half of the room each.
_LABEL_LETTERS: Final = (15, 12)
#: The headline's, as long as it is short, and where it has to be small to fit.
_HEADLINE_LETTERS: Final = (25, 14)

Matrix = NDArray[np.float64]
Size = tuple[int, int]


class _Mark(NamedTuple):
    """What has a flag: its name, where it stands and how far its rings reach, where the flag is."""

    name: str
    place: NDArray[np.float32]
    reach: float
    top: NDArray[np.float32]
    body: int | None


def _mark_of(scene: Scene) -> _Mark | None:
    """The cause, else the suspect."""
    if scene.cause is not None and scene.beacon is not None:
        body = scene.cause.body if scene.cause.arc is None else None
        return _Mark(scene.cause.name, scene.beacon, beacon_rings(scene)[-1], top_of_beacon(scene), body)
    if scene.suspect is not None:
        body = scene.suspect.body
        place = scene.positions[body]
        return _Mark(scene.suspect.name, place, suspect_ring(scene), top_of_suspect(scene), body)
    return None


class Words:
    """The text actors of a renderer. They are made once; scenes and cameras only move and rewrite them."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._free = [text_actor(_LABEL_LETTERS[0]) for _ in range(LABEL_POOL)]
        self._label_style = self._free[0].GetTextProperty()
        self._writers: dict[int, vtkTextActor] = {}  # body: the actor that writes its label
        self._always: frozenset[int] = frozenset()
        self._state_words: Mapping[int, tuple[str, str]] = {}
        self._short: frozenset[int] = frozenset()  # bodies that have no room for their second line
        self._sizes: dict[str, tuple[float, float]] = {}
        self._name = text_actor(14, face=BOLD)
        self._headline = text_actor(_HEADLINE_LETTERS[0], face=BOLD)
        self._told = "", ""
        self._signs: list[str] = []
        self._why = ""
        self._caption = text_actor(14)
        self._banner = text_actor(16, face=BOLD)
        self._proclaimed: list[str] = []
        self._tooltip = text_actor(15)
        self._flag = text_actor(20, face=BOLD)
        self._reason = text_actor(16)
        self._islands = [text_actor(13) for _ in range(_ISLANDS_NAMED)]
        self._legend = [text_actor(14) for _ in range(len(STATES) + 2)]
        self.rects: dict[int, Rect] = {}
        self.flag_rect: Rect | None = None
        self.island_rects: dict[int, Rect] = {}
        self.leaders: NDArray[np.float64] = np.zeros((0, 2, 2))
        self.circles: NDArray[np.float64] = np.zeros((0, 3))  # where bodies are: x, y, radius in pixels
        self._leaders = Leaders()
        self.shown = True
        self.leaning = 0.0  # so many pixels to both sides are left free, for `lean`
        self._standing: list[tuple[vtkTextActor, float, float, float]] = []
        self._led: list[float] = []
        self._kept_labels: dict[str, int] | None = None  # by service: where its label was a moment ago
        self._kept_islands: dict[int, int] | None = None
        self._named_islands: list[str] = []
        self._kept_flag: dict[int, int] | None = None
        self._mark: _Mark | None = None
        self._name.SetInput("TRACESCAPE")
        self._tooltip.GetTextProperty().SetLineSpacing(1.25)
        hidden = [*self._free, *self._islands, self._flag, self._reason, self._tooltip, self._banner]
        for actor in hidden:
            actor.SetVisibility(False)
        for actor in [*self._free, *self._islands, self._flag, self._reason, self._banner]:
            actor.GetTextProperty().SetJustificationToCentered()
        renderer.AddViewProp(self._leaders.actor)  # first, so that words are over it
        for actor in [self._name, self._headline, self._caption, *self._legend, *hidden]:
            renderer.AddViewProp(actor)

    def use(
        self,
        scene: Scene,
        theme: Theme,
        note: str = "",
        always: frozenset[int] = frozenset(),
        legend: Sequence[str] = (),
        states: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:
        """Write about ``scene`` from now on, in the colours of ``theme``; ``note`` follows the caption.

        Bodies that are ``always`` told have their second line in any world; ``legend``, the most important
        first, stands instead of the legend of shapes, and ``states`` says what colours of states mean there,
        in full and where there is little room.
        """
        if self._named_islands != list(scene.island_names):
            self._named_islands, self._kept_islands = list(scene.island_names), None
        self._scene, self._theme = scene, theme
        self._always = always
        self._state_words = states or {IDLE: (_IDLE_WORDS, STATES[IDLE])}
        self._short = frozenset()
        self._sizes = {}
        self.rects = {}
        self._write_labels()  # every label of the old scene goes
        for actor in self._free:
            actor.GetTextProperty().SetFontSize(_LABEL_LETTERS[scene.halves])
        self._told = scene.headline, " · ".join(part for part in (scene.caption, note) if part)
        for actor, text in zip((self._headline, self._caption), self._told, strict=True):
            actor.SetInput(text)
        colour(self._name, theme.text_quiet)
        sick = np.flatnonzero(np.bincount(scene.state, minlength=len(STATES))[list(SICK)])
        calm = theme.text if not len(sick) else theme.marks[SICK[int(sick[-1])]]
        alarming = scene.cause is not None and not scene.cause.over
        colour(self._headline, theme.cause if alarming else calm, theme.ground[1], 0.75)
        colour(self._caption, theme.text_quiet, theme.ground[1], 0.75)
        colour(self._banner, theme.past_ink, theme.past, 1.0)
        colour(self._tooltip, theme.text, theme.label_ground, 0.88)
        self._leaders.colour(theme.text_quiet)
        for actor, name in zip(self._islands, scene.island_names, strict=False):
            actor.SetInput(name.upper())
            colour(actor, theme.text_quiet)
        self._mark = _mark_of(scene)
        self._write_flag()
        self._write_legend(legend)

    @property
    def legend(self) -> list[tuple[str, Rect]]:
        """What the legend says, and where."""
        shown = [actor for actor in self._legend if actor.GetVisibility() and actor.GetInput()]
        return [(actor.GetInput() or "", _rect_of(actor)) for actor in shown]

    def told(self, body: int) -> str | None:
        """What is written at a body, None where nothing is."""
        writer = self._writers.get(body)
        return None if writer is None else writer.GetInput()

    def forget(self) -> None:
        """What is seen next is seen from elsewhere: labels stand where it is best, wherever they were."""
        self._kept_labels = self._kept_islands = self._kept_flag = None

    def retell(self, scene: Scene, headline: str, ink: RGB) -> None:
        """The same bodies, told anew: labels that have changed are written anew when they are placed."""
        before, self._scene = self._scene, scene
        self._told = headline, self._told[1]
        self._headline.SetInput(headline)
        colour(self._headline, ink, self._theme.ground[1], 0.75)
        for body in list(self._writers):
            same = before.subtitles[body] == scene.subtitles[body] and before.state[body] == scene.state[body]
            if not same:
                self._write(self._writers[body], body)

    def _write_flag(self) -> None:
        """Large and bright on the cause; on a suspect, or where it is over, small and quiet."""
        scene, theme = self._scene, self._theme
        cause, suspect = scene.cause, scene.suspect
        letters = _CAUSE_LETTERS if cause is not None and not cause.over else _SUSPECT_LETTERS
        for actor, size in zip((self._flag, self._reason), letters, strict=True):
            actor.GetTextProperty().SetFontSize(size)
        if cause is not None and cause.over:
            colour(self._flag, theme.text, theme.label_ground, 0.88)
            colour(self._reason, theme.text_quiet, theme.label_ground, 0.88)
            self._why = f" {cause.over} \n {cause.reason} "
        elif cause is not None:
            colour(self._flag, theme.cause_ink, theme.cause, 1.0)
            colour(self._reason, theme.text, theme.label_ground, 0.88)
            self._why = f" likely cause · {cause.reason} "
        elif suspect is not None:
            colour(self._flag, theme.text, theme.label_ground, 0.88)
            colour(self._reason, theme.text_quiet, theme.label_ground, 0.88)
            self._why = f" suspect, not proved \n {suspect.reason} "

    def proclaim(self, texts: Sequence[str]) -> None:
        """A banner in the middle above: the first of ``texts`` for which there is room; none of none."""
        self._proclaimed = list(texts)

    def say(self, text: str) -> None:
        """Put a line under the headline: the caption, or what is wrong."""
        self._told = self._told[0], text
        self._caption.SetInput(text)

    def tell(self, text: str | None, size: Size) -> None:
        """Numbers in the upper right corner, or none."""
        self._tooltip.SetVisibility(text is not None)
        if text is not None:
            self._tooltip.SetInput(text)
        self._place_tooltip(size)

    def place(self, projection: Matrix, size: Size) -> None:
        """Put everything where it belongs for a camera and a window; the sick first, nothing over another."""
        taken = self._place_display(size)
        self.rects, self.island_rects, self.flag_rect = {}, {}, None
        self.leaders = np.zeros((0, 2, 2))
        if len(self._scene.positions):
            self.flag_rect = self._placed_flag(projection, size, taken)
        if self.flag_rect is not None:
            taken = [*taken, self.flag_rect, *self._covered(projection, size)]
        if self.shown and len(self._scene.positions):
            self.rects = self._arranged(projection, size, taken)
            self.island_rects = self._arranged_islands(projection, size, [*taken, *self.rects.values()])
        for actor in (self._flag, self._reason):
            actor.SetVisibility(self.flag_rect is not None)
        for number, actor in enumerate(self._islands):
            rect = self.island_rects.get(number)
            actor.SetVisibility(rect is not None)
            if rect is not None:
                actor.SetPosition((rect.left + rect.right) / 2, rect.bottom + PADDING)
        if self.flag_rect is not None and self._scene.suspect is not None and self._mark is not None:
            top, _ = to_screen(self._mark.top[None], projection, size)
            line = leader_lines({0: self.flag_rect}, top, np.zeros(1))
            self.leaders = np.concatenate([self.leaders, line])
        self._leaders.draw(self.leaders)
        self._write_labels()
        self._place_tooltip(size)
        if self.leaning:
            self._note_depths(projection, size)

    def lean(self, across: Callable[[float], float] | None) -> None:
        """Move what is written at a place of the world by so many pixels, from its depth; back for None.

        What names nobody stays: the headline, the legend. Only where there is room for it, see ``leaning``.
        """
        for actor, x, y, depth in self._standing:
            actor.SetPosition(x + (0.0 if across is None else across(depth)), y)
        if across is not None and self._led:
            by = np.array([[across(depth), 0.0] for depth in self._led])
            self._leaders.draw(self.leaders + by[:, None, :])

    def _note_depths(self, projection: Matrix, size: Size) -> None:
        """What is written where, and how far away whom it names is."""
        actors = [(self._writers[body], self._scene.positions[body]) for body in self.rects]
        fronts = {number: _front(self._scene.plates[number]) for number in self.island_rects}
        actors += [(self._islands[number], front) for number, front in fronts.items()]
        if self.flag_rect is not None and self._mark is not None:
            actors += [(self._flag, self._mark.top), (self._reason, self._mark.top)]
        places = np.array([place for _, place in actors], np.float32).reshape(-1, 3)
        depths = to_screen(places, projection, size)[1].tolist()
        self._standing = [
            (actor, *actor.GetPosition(), depth) for (actor, _), depth in zip(actors, depths, strict=True)
        ]
        boxes = [*self.rects.values(), *([] if self.flag_rect is None else [self.flag_rect])]
        of_boxes = [*depths[: len(self.rects)], *depths[-1:]]
        self._led = [of_boxes[_box_at(boxes, line[0])] for line in self.leaders]

    def _place_display(self, size: Size) -> list[Rect]:
        """The head-up display; the places that it takes."""
        width, height = size
        fit(self._headline, self._told[0], width - 40, _HEADLINE_LETTERS)
        self._write_told(width)
        low = self._place_legend(width)
        self._name.SetPosition(26, height - 32)
        self._headline.SetPosition(25, height - 66)
        self._caption.SetPosition(26, height - 90)
        wide = max(measure(actor)[0] for actor in (self._headline, self._caption, self._name)) + 30
        taken = [Rect(0, height - 98, min(wide, width), height), Rect(0, 0, min(low, width), 56)]
        return [*taken, *self._placed_banner(size)]

    def _write_told(self, width: int) -> None:
        """Headline and caption, as much of them as fits."""
        for actor, text in zip((self._headline, self._caption), self._told, strict=True):
            style = actor.GetTextProperty()
            shown = fitting([text], width - 36, partial(width_of, style))
            if actor.GetInput() != shown:
                actor.SetInput(shown)

    def _placed_banner(self, size: Size) -> list[Rect]:
        self._banner.SetVisibility(bool(self._proclaimed))
        if not self._proclaimed:
            return []
        width, height = size
        style = self._banner.GetTextProperty()
        room = width - 2 * measure(self._name)[0] - 60
        text = fitting(self._proclaimed, room - width_of(style, "    "), partial(width_of, style))
        self._banner.SetInput(f"  {text}  ")
        wide, high = measure(self._banner)
        self._banner.SetPosition(width / 2, height - high - 4)
        return [Rect((width - wide) / 2, height - high - 8, (width + wide) / 2, height)]

    def _placed_flag(self, projection: Matrix, size: Size, taken: list[Rect]) -> Rect | None:
        """At the top of the shaft; where that is out of the picture, as near to it as can be."""
        mark = self._mark
        if mark is None:
            return None
        shaft = np.stack([mark.place, mark.top])
        xy, w = to_screen(shaft, projection, size)
        if w[0] <= 0:
            return None
        top = xy[1] if w[1] > 0 else xy[0]
        left_of, right_of = (xy[:, 0] < 0).all(), (xy[:, 0] > size[0]).all()
        name = mark.name
        self._flag.SetInput(f" ◀ {name} " if left_of else f" {name} ▶ " if right_of else f" {name} ")
        write = partial(width_of, self._reason.GetTextProperty())
        self._reason.SetInput(
            "\n".join(fitting([line], size[0] - 8, write) for line in self._why.split("\n"))
        )
        flag, reason = measure(self._flag), measure(self._reason)
        wide, high = max(flag[0], reason[0]) + 2 * self.leaning, flag[1] + reason[1]
        left = float(np.clip(top[0] - wide / 2, 4, max(4, size[0] - wide - 4)))
        bottom = float(np.clip(top[1], 60, max(60, size[1] - high - 4)))
        rect = Rect(left, bottom, left + wide, bottom + high)
        for other in taken:
            if rect.overlaps(other) and other.bottom > size[1] / 2:
                bottom = other.bottom - high - 4
                rect = Rect(left, bottom, left + wide, bottom + high)
        if self._scene.cause is None:
            rect = self._beside(top, rect, projection, size, taken)
        middle = (rect.left + rect.right) / 2
        self._reason.SetPosition(middle, rect.bottom + PADDING)
        self._flag.SetPosition(middle, rect.bottom + reason[1] + PADDING - 3)
        return rect

    def _beside(
        self, top: NDArray[np.float64], rect: Rect, projection: Matrix, size: Size, taken: list[Rect]
    ) -> Rect:
        """Near ``top`` where it covers the fewest bodies: it is low, and others stand around it."""
        scene = self._scene
        xy, w = to_screen(scene.positions, projection, size)
        reach = np.minimum(_on_screen(scene, w, size[1]), 200.0)
        bodies = np.column_stack([xy, reach])[w > 0]
        place = arrange(
            top[None],
            np.array([_FLAG_STEP]),
            [(rect.right - rect.left, rect.top - rect.bottom)],
            [0],
            size,
            [*taken, *self._covered(projection, size)],
            obstacles=bodies,
            urgent=1,
            kept=self._kept_flag,
        )
        self._kept_flag = place.places
        return place.rects.get(0, rect)

    def _covered(self, projection: Matrix, size: Size) -> list[Rect]:
        """What the mark covers: its rings, and its shaft in steps, since that may lean on the screen."""
        mark = self._mark
        assert mark is not None
        sides = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
        xy, w = to_screen((mark.place + mark.reach * sides).astype(np.float32), projection, size)
        steps = np.linspace(mark.place, mark.top, _SHAFT_STEPS + 1)
        shaft, depth = to_screen(steps.astype(np.float32), projection, size)
        if (w <= 0).any() or (depth <= 0).any():
            return []
        pieces = [xy, *(shaft[i : i + 2] for i in range(_SHAFT_STEPS))]
        corners = [(*piece.min(axis=0).tolist(), *piece.max(axis=0).tolist()) for piece in pieces]
        return [Rect(left - 3, bottom, right + 3, top) for left, bottom, right, top in corners]

    def _arranged(self, projection: Matrix, size: Size, taken: list[Rect]) -> dict[int, Rect]:
        scene = self._scene
        xy, w = to_screen(scene.positions, projection, size)
        width, height = size
        clearance = _on_screen(scene, w, height)
        rings = 1.3 if scene.halves else 1.6
        clearance = np.where(np.isin(scene.state, SICK), rings, 1.0) * clearance
        seen = (w > 0) & (xy[:, 0] > 0) & (xy[:, 0] < width) & (xy[:, 1] > 0) & (xy[:, 1] < height)
        if self._mark is not None and self._mark.body is not None:
            seen[self._mark.body] = False  # the flag names it
        there = self._kept_labels or {}
        named = np.array([service in there for service in scene.services], np.bool_)
        # Of those that matter about as much, those that are named stay so; else by how much they matter.
        order = np.lexsort(
            (-1.0 / np.maximum(w, 1e-9), -scene.priority, ~named, -np.floor(scene.priority / _AS_MUCH))
        )
        wanted = order[seen[order]][: 4 * LABEL_POOL]
        minded = np.flatnonzero(w > 0)
        minded = minded[np.argsort(-clearance[minded], kind="stable")[:_MINDED]]
        self.circles = circles = np.column_stack([xy, np.minimum(clearance, 200.0)])
        sick = minded[np.isin(scene.state[minded], SICK)]
        suffering = 0 if scene.cause is None else len(scene.cause.victims)
        placing = partial(
            arrange,
            circles[wanted, :2],
            circles[wanted, 2],
            order=range(len(wanted)),
            frame=size,
            taken=taken,
            most=self._most(),
            urgent=suffering,
            # Covering one of the sick is as bad as three others.
            obstacles=circles[np.concatenate([minded, sick, sick])],
            kept=None
            if self._kept_labels is None
            else {
                index: there[scene.services[body]]
                for index, body in enumerate(wanted.tolist())
                if scene.services[body] in there
            },
            # Where everybody is there twice, a label beside another's body tells of the wrong one.
            rivals=circles[minded] if scene.halves else None,
        )
        short, self._short = self._short, frozenset()
        placed = placing(sizes=self._sizes_of(wanted))
        if scene.halves:
            left_out = set(wanted.tolist()) - set(wanted[list(placed.rects)].tolist())
            self._short = frozenset(body for body in left_out if scene.subtitles[body])
        if self._short:  # who has no room for numbers has a name
            placed = placing(sizes=self._sizes_of(wanted))
        for body in (short ^ self._short) & self._writers.keys():
            self._write(self._writers[body], body)
        rects = {int(wanted[index]): rect for index, rect in placed.rects.items()}
        self._kept_labels = {scene.services[wanted[index]]: place for index, place in placed.places.items()}
        self.leaders = leader_lines(rects, xy, np.minimum(clearance, 200.0))
        return rects

    def _most(self) -> int:
        """How many labels: in a large world those who suffer and some others; the sick come first."""
        if len(self._scene.state) <= _ALL_NAMED:
            return LABEL_POOL
        if self._always:
            return min(len(self._always) + _NAMED // 2, LABEL_POOL)
        if self._scene.cause is not None:
            return min(len(self._scene.cause.victims) + _NAMED // 2, LABEL_POOL)
        sick = int(np.isin(self._scene.state, SICK).sum())
        return int(np.clip(sick, _NAMED, LABEL_POOL // 2))

    def _arranged_islands(self, projection: Matrix, size: Size, taken: list[Rect]) -> dict[int, Rect]:
        names = self._scene.island_names[:_ISLANDS_NAMED]
        ground = np.array([_front(plate) for plate in self._scene.plates[: len(names)]], np.float32)
        xy, w = to_screen(ground, projection, size)
        visible = [i for i, name in enumerate(names) if name and w[i] > 0]
        sizes = [self._roomy(measure(actor)) for actor in self._islands[: len(names)]]
        nothing, reach, kept = np.zeros((0, 3)), np.full(len(xy), 5.0), self._kept_islands
        found = arrange(xy, reach, sizes, visible, size, taken, obstacles=nothing, kept=kept)
        self._kept_islands = found.places
        return found.rects

    def _write_labels(self) -> None:
        """A body keeps its text actor while it has a label: moving a text is cheap, drawing one is not."""
        for body in self._writers.keys() - self.rects.keys():
            actor = self._writers.pop(body)
            actor.SetVisibility(False)
            self._free.append(actor)
        for body, rect in self.rects.items():
            if body not in self._writers:
                self._writers[body] = self._free.pop()
                self._write(self._writers[body], body)
            self._writers[body].SetPosition((rect.left + rect.right) / 2, rect.bottom + PADDING)

    def _roomy(self, size: tuple[float, float]) -> tuple[float, float]:
        return size[0] + 2 * self.leaning, size[1]

    def _sizes_of(self, bodies: NDArray[np.intp]) -> list[tuple[float, float]]:
        return [self._roomy(self._size_of(self._label(body))) for body in bodies.tolist()]

    def _size_of(self, text: str) -> tuple[float, float]:
        if text not in self._sizes:
            self._sizes[text] = text_size(text, self._label_style)
        return self._sizes[text]

    def _label(self, body: int) -> str:
        """The name, and numbers for the sick; in a large world with a cause for those who suffer from it."""
        scene = self._scene
        told = body in self._always or (scene.cause is not None and body in scene.cause.victims)
        most = _ALL_NAMED if scene.cause is not None else _ALL_NUMBERED
        aside = not told and (len(scene.state) > most or bool(self._always))
        if aside or body in self._short or not scene.subtitles[body]:
            return scene.labels[body]
        return f"{scene.labels[body]}\n{scene.subtitles[body]}"

    def _write(self, actor: vtkTextActor, body: int) -> None:
        scene, theme = self._scene, self._theme
        actor.SetInput(self._label(body))
        if scene.state[body] in SICK:
            mark, ink = (np.array(theme.marks[scene.state[body]]), np.array(theme.text))
            mixed = (0.6 * mark + 0.4 * ink).astype(int).tolist()
            colour(actor, (mixed[0], mixed[1], mixed[2]), theme.label_ground, 0.72)
        else:
            quiet = scene.seen[body] < 1.0 or len(scene.state) > _ALL_NAMED
            colour(actor, theme.text_quiet if quiet else theme.text, theme.label_ground, 0.5)
        actor.SetVisibility(True)

    def _place_tooltip(self, size: Size) -> None:
        width, height = size
        text_width, text_height = measure(self._tooltip)
        self._tooltip.SetPosition(width - text_width - 28, height - text_height - 28)

    def _write_legend(self, instead: Sequence[str]) -> None:
        theme = self._theme
        first, *states, shapes = self._legend
        suspected = _SUSPECT_SIGN if self._scene.suspect is not None else ""
        cause = self._scene.cause
        sign = _OVER_SIGN if cause is not None and cause.over else _CAUSE_SIGN
        first.SetInput(sign if cause is not None else suspected)
        colour(first, theme.cause if cause is not None and not cause.over else theme.text_quiet)
        for code, actor in enumerate(states):
            colour(actor, theme.states[code] if code in (HEALTHY, IDLE) else theme.marks[code])
        grouped = bool((self._scene.shape == GROUP).any())
        rim = [_RIM_SIGN] if np.isin(self._scene.state, SICK).any() else []
        signs = _CONTRAST_SIGNS if self._scene.contrast is not None else _SHAPE_SIGNS[: len(KINDS) + grouped]
        self._signs = [*(instead or [*signs, *rim])]
        colour(shapes, theme.text_quiet)

    def _place_legend(self, width: int) -> float:
        """States in a line, signs in one below; as many as there is room for. How far they reach."""
        first, *states, signs = self._legend
        for code, actor in enumerate(states):
            words = self._state_words.get(code, (STATES[code], STATES[code]))
            actor.SetInput(f"{_STATE_SIGNS.get(code, '●')} {words[width < _NARROW]}")
        met = set(self._scene.state.tolist())
        x = width + 1.0
        for shown in (states, [states[code] for code in sorted(met)], []):
            if x <= width:
                break
            x = _MARGIN
            for actor in [first, *states]:
                there = (actor is first or actor in shown) and bool(actor.GetInput())
                actor.SetVisibility(there)
                actor.SetPosition(x, 32)
                x += measure(actor)[0] + 14 if there else 0.0
        style, texts = signs.GetTextProperty(), self._signs
        while texts and width_of(style, _BETWEEN.join(texts)) > width - 2 * _MARGIN:
            texts = texts[:-1]
        signs.SetInput(_BETWEEN.join(texts))
        signs.SetVisibility(bool(texts))
        signs.SetPosition(_MARGIN, 10)
        return float(max(x, measure(signs)[0] + 30 if texts else 0.0))


def _front(plate: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where an island's name stands on the ground."""
    return np.append(plate[np.argmin(plate[:, 1])], np.float32(0.0))


def _box_at(boxes: Sequence[Rect], point: NDArray[np.float64]) -> int:
    """The box that ``point`` is on the edge of."""
    edges = np.array(boxes)
    return int(np.abs(np.clip(point, edges[:, :2], edges[:, 2:]) - point).sum(axis=1).argmin())


def _rect_of(actor: vtkTextActor) -> Rect:
    (left, bottom), (wide, high) = actor.GetPosition(), measure(actor)
    return Rect(left, bottom, left + wide - PADDING, bottom + high - PADDING)


def _on_screen(scene: Scene, depth: NDArray[np.float64], height: int) -> NDArray[np.float64]:
    """The radii of bodies in pixels, by their depth (n,)."""
    slope = np.tan(np.radians(VIEW_ANGLE / 2))
    radii: NDArray[np.float64] = scene.radii / np.maximum(depth, 1e-9) / slope * height / 2
    return radii
