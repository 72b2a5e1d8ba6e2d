"""What is written over a wall: names on spans where there is room, notes, the axis, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

from tracescape_render.banner import fitting
from tracescape_render.camera import Matrix, to_screen
from tracescape_render.charts.axes import offset_ticks
from tracescape_render.inside.bodies import Bodies
from tracescape_render.inside.room import WIDTH, WORKING, Points, Room
from tracescape_render.inside.shapes import service_colours
from tracescape_render.inside.standing import ERRORS, LEVELS, WARNINGS, Standing
from tracescape_render.inside.told import caption, change_words, length_of, told_change, told_changes
from tracescape_render.labels import Rect
from tracescape_render.lettering import BOLD, PADDING, colour, fit, measure, text_actor, text_size, width_of
from tracescape_render.palette import DEGRADED, FAILING, HEALTHY, RGB, SERVICE_COLOURS, Theme
from tracescape_render.text import display_name, duration

POOL: Final = 72
_TICKS: Final = 9
_LETTERS: Final = 13
#: So many bodies, the most important, are asked whether they have room for a name.
_ASKED: Final = 260
_NOTES_ASKED: Final = 60
#: Of so many crowds, the largest, the number is written.
_CROWDS: Final = 12
_GAP: Final = 6.0
#: Over and under a name, pixels: rows are narrow.
_TIGHT: Final = 2.0
#: Names are read from their span's beginning on: so many pixels of it are where they are.
_READ: Final = 120.0
#: A name may be cut where its span is at least so wide, pixels.
_CUT_FROM: Final = 90.0
_LINE: Final = 18
_HEADLINE_LETTERS: Final = (22, 14)
#: The legend takes so much of a window's height at most.
_LEGEND_SHARE: Final = 0.15
_LEGEND: Final = "▇ works    ▁ waits    ━ critical path"

Size = tuple[int, int]


class Label(NamedTuple):
    """A text at a place, pixels; ``ink`` is what it is written in."""

    text: str
    rect: Rect
    ink: RGB


class Writing:
    """The text actors of a wall. They are made once; a text that stays keeps its actor."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._free = [text_actor(_LETTERS) for _ in range(POOL)]
        self._style = self._free[0].GetTextProperty()
        self._writers: dict[tuple[str, RGB], list[vtkTextActor]] = {}
        self._sizes: dict[str, tuple[float, float]] = {}
        self._name = text_actor(14, face=BOLD)
        self._headline = text_actor(_HEADLINE_LETTERS[0], face=BOLD)
        self._caption = text_actor(13)
        self._ticks = [text_actor(12) for _ in range(2 * _TICKS)]
        self._strips = [text_actor(11, face=BOLD) for _ in LEVELS]
        self._titles = [text_actor(13, face=BOLD) for _ in range(2)]
        self._legend = [text_actor(13) for _ in range(3 + len(SERVICE_COLOURS))]
        self._told = "", ""
        self.shown = True
        self.labels: list[Label] = []
        self._name.SetInput("TRACESCAPE · inside a trace")
        for actor in (*self._free, *self._ticks, *self._strips, *self._titles, *self._legend):
            actor.SetVisibility(False)
        for actor in self._ticks:
            actor.GetTextProperty().SetJustificationToCentered()
        for actor in (
            *self._free,
            *self._ticks,
            *self._strips,
            *self._titles,
            *self._legend,
            self._name,
            self._headline,
            self._caption,
        ):
            renderer.AddViewProp(actor)

    @property
    def legend(self) -> list[tuple[str, Rect]]:
        """What the legend says, and where."""
        shown = [actor for actor in self._legend if actor.GetVisibility()]
        return [(actor.GetInput() or "", Rect(*actor.GetPosition(), *_far(actor))) for actor in shown]

    def use(self, wall: Standing, drawn: Bodies, room: Room, theme: Theme, *, whole: bool) -> None:
        """Write about this from now on."""
        self._wall, self._drawn, self._room, self._theme = wall, drawn, room, theme
        self._told = wall.headline, caption(wall, drawn, whole)
        colour(self._name, theme.text_quiet)
        failed = bool(wall.failed.any())
        colour(self._headline, theme.marks[FAILING] if failed else theme.text, theme.ground[1], 0.7)
        colour(self._caption, theme.text_quiet, theme.ground[1], 0.7)
        self._write_legend()
        self._changes, self._order = self._by_importance()

    def place(self, projection: Matrix, size: Size) -> None:
        """Put everything where it belongs for a camera and a window; nothing over another."""
        taken = self._place_display(size)
        taken += self._place_ticks(projection, size, taken)
        taken += self._place_strips(projection, size)
        taken += self._place_titles(projection, size)
        self.labels = []
        if self.shown:
            self.labels = self._span_labels(projection, size, taken)
            taken += [label.rect for label in self.labels]
            self.labels += self._note_labels(projection, size, taken)
        self._write(self.labels)

    def _by_importance(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        drawn, wall = self._drawn, self._wall
        alone = drawn.span >= 0
        span = np.maximum(drawn.span, 0)
        changed = alone & np.isin(span, told_changes(wall))
        width = drawn.right - drawn.left
        self._urgent = alone & (changed | drawn.ill | drawn.void)
        weight = width + 4.0 * changed + 2.0 * (drawn.ill & alone) + 1.5 * drawn.void + 0.6 * drawn.critical
        sizes = np.sort(drawn.count[~alone])[-_CROWDS:]
        least = max(int(sizes[0]), 2) if len(sizes) else 2
        weight = np.where(alone, weight, np.where(drawn.count >= least, 0.2 * width, -1.0))
        order = np.argsort(-weight, kind="stable")[:_ASKED]
        return changed, order[weight[order] >= 0.0]

    def _span_labels(self, projection: Matrix, size: Size, taken: list[Rect]) -> list[Label]:
        drawn, room, order = self._drawn, self._room, self._order
        row = drawn.row[order]
        y, z = room.y(row), room.z(row) + 0.5 * WORKING * room.pitch
        left, lw = to_screen(_points(room.x(drawn.left[order]), y, z), projection, size)
        right, rw = to_screen(_points(room.x(drawn.right[order]), y, z), projection, size)
        after, before = self._free_beside(order)
        free, _ = to_screen(_points(room.x(after), y, z), projection, size)
        free_left, _ = to_screen(_points(room.x(before), y, z), projection, size)
        placing = _Placing(size, taken)
        labels: list[Label] = []
        for number, body in enumerate(order.tolist()):
            if lw[number] <= 0 or rw[number] <= 0 or len(labels) >= POOL - 16:
                continue
            text = self._label_of(body)
            if not text:
                continue
            begin, end = max(left[number, 0], 0.0), min(right[number, 0], float(size[0]))
            middle = float(
                np.interp(
                    begin + 0.5 * _READ,
                    [left[number, 0], right[number, 0]],
                    [left[number, 1], right[number, 1]],
                )
            )
            room_after = free[number, 0] if after[number] < 1.0 else float(size[0])
            found = self._fitted(placing, text, begin, end, middle, room_after, free_left[number, 0])
            if found is None and self._urgent[body]:
                found = self._over(placing, text, begin, middle)
            if found is not None:
                labels.append(Label(*found, self._ink_of(body)))
        return labels

    def _free_beside(self, order: NDArray[np.int64]) -> tuple[Points, Points]:
        """Until where it is free to the right of each body, and from where to the left, in shares."""
        drawn = self._drawn
        count = len(drawn.row)
        after, before = np.ones(count), np.zeros(count)
        same = drawn.row[1:] == drawn.row[:-1]
        after[:-1][same] = drawn.left[1:][same]
        before[1:][same] = drawn.right[:-1][same]
        return after[order], before[order]

    def _fitted(
        self,
        placing: _Placing,
        text: str,
        begin: float,
        end: float,
        middle: float,
        free: float,
        before: float,
    ) -> tuple[str, Rect] | None:
        """On the span, cut if need be, or beside it; None where there is no room."""
        wide, high = self._size_of(text)
        bottom = middle - high / 2
        if wide <= end - begin - 2:
            return placing.taken_at(text, Rect(begin + 2, bottom, begin + 2 + wide, bottom + high))
        beside = Rect(end + _GAP, bottom, end + _GAP + wide, bottom + high)
        if beside.right <= free and (found := placing.taken_at(text, beside)):
            return found
        ahead = Rect(begin - _GAP - wide, bottom, begin - _GAP, bottom + high)
        if ahead.left >= before and (found := placing.taken_at(text, ahead)):
            return found
        if end - begin >= _CUT_FROM:
            keep = int(len(text) * (end - begin - 12) / wide)
            cut = text[: max(keep - 1, 1)].rstrip() + "…"
            wide, high = self._size_of(cut)
            return placing.taken_at(cut, Rect(begin + 2, bottom, begin + 2 + wide, bottom + high))
        return None

    def _over(self, placing: _Placing, text: str, begin: float, middle: float) -> tuple[str, Rect] | None:
        """What must be told may stand over others: above or below its span."""
        wide, high = self._size_of(text)
        for up in (1.0, -1.0, 2.0, -2.0):
            bottom = middle + up * high - high / 2
            if found := placing.taken_at(text, Rect(begin, bottom, begin + wide, bottom + high)):
                return found
        return None

    def _note_labels(self, projection: Matrix, size: Size, taken: list[Rect]) -> list[Label]:
        drawn, room, wall, theme = self._drawn, self._room, self._wall, self._theme
        pins = np.flatnonzero(np.isin(drawn.pins.level, room.levels))[: 4 * _NOTES_ASKED]
        if not len(pins):
            return []
        yz = np.array([room.strip(level) for level in drawn.pins.level[pins].tolist()])
        xy, w = to_screen(_points(room.x(drawn.pins.at[pins]), yz[:, 0], yz[:, 1]), projection, size)
        placing = _Placing(size, taken)
        labels: list[Label] = []
        for number, pin in enumerate(pins.tolist()[:_NOTES_ASKED]):
            if w[number] <= 0 or len(labels) >= 16:
                continue
            level, count = int(drawn.pins.level[pin]), int(drawn.pins.number[pin])
            text = display_name(wall.note_texts["text"][int(drawn.pins.note[pin])] or "", 46)
            text = text if count == 1 else f"{count:,}×  {text}"
            following = np.flatnonzero((drawn.pins.level[pins] == level) & (xy[:, 0] > xy[number, 0] + 1))
            free = float(xy[following, 0].min()) - 8 if len(following) else float(size[0])
            wide, high = self._size_of(text)
            x, bottom = xy[number, 0] + 11, xy[number, 1] - high / 2
            right = Rect(x, bottom, x + wide, bottom + high)
            left = Rect(x - 22 - wide, bottom, x - 22, bottom + high)
            past = np.flatnonzero((drawn.pins.level[pins] == level) & (xy[:, 0] < xy[number, 0] - 1))
            behind = float(xy[past, 0].max()) + 8 if len(past) else 0.0
            found = placing.taken_at(text, right) if right.right <= free else None
            if found is None and left.left >= behind:
                found = placing.taken_at(text, left)
            if found is not None:
                ink = {ERRORS: theme.marks[FAILING], WARNINGS: theme.marks[DEGRADED]}
                labels.append(Label(*found, ink.get(level, theme.text_quiet)))
        return labels

    def _label_of(self, body: int) -> str:
        drawn, wall = self._drawn, self._wall
        span = int(drawn.span[body])
        if span < 0:
            count, failed = int(drawn.count[body]), int(drawn.failed[body])
            broken = f", ✕ {failed:,}" if failed else ""
            return f"{count:,} spans{broken}" if count > 1 else ""
        text = f"{wall.name(span, 44)}  {duration(length_of(wall, span))}"
        if drawn.ill[body]:
            text = f"✕ {text}"
        different = change_words(wall, span)
        return f"{text}   {different}" if different else text

    def _ink_of(self, body: int) -> RGB:
        drawn, wall, theme = self._drawn, self._wall, self._theme
        span = int(drawn.span[body])
        if span >= 0 and self._changes[body]:
            return {
                "slower": theme.marks[DEGRADED],
                "fails": theme.marks[FAILING],
                "faster": theme.states[HEALTHY],
                "works": theme.states[HEALTHY],
            }.get(told_change(wall, span), theme.text)
        if drawn.ill[body] and span >= 0:
            red, green, blue = (0.6 * np.array(theme.marks[FAILING]) + 0.4 * np.array(theme.text)).astype(int)
            return int(red), int(green), int(blue)
        if drawn.critical[body] or drawn.void[body]:
            return theme.text
        return theme.text_quiet

    def _write(self, labels: Sequence[Label]) -> None:
        """Moving a text is cheap, drawing one is not."""
        wanted: dict[tuple[str, RGB], int] = {}
        for label in labels:
            key = (label.text, label.ink)
            wanted[key] = wanted.get(key, 0) + 1
        for key, actors in list(self._writers.items()):
            while len(actors) > wanted.get(key, 0):
                actor = actors.pop()
                actor.SetVisibility(False)
                self._free.append(actor)
            if not actors:
                del self._writers[key]
        used: dict[tuple[str, RGB], int] = {}
        for label in labels:
            key = (label.text, label.ink)
            actors = self._writers.setdefault(key, [])
            number = used.get(key, 0)
            used[key] = number + 1
            if number == len(actors):
                actor = self._free.pop()
                actor.SetInput(label.text)
                colour(actor, label.ink, self._theme.label_ground, 0.55)
                actor.SetVisibility(True)
                actors.append(actor)
            actors[number].SetPosition(label.rect.left + PADDING, label.rect.bottom + _TIGHT)

    def _size_of(self, text: str) -> tuple[float, float]:
        if text not in self._sizes:
            if len(self._sizes) > 5_000:
                self._sizes.clear()
            wide, high = text_size(text, self._style)
            self._sizes[text] = wide, high - 2 * (PADDING - _TIGHT)
        return self._sizes[text]

    def _place_display(self, size: Size) -> list[Rect]:
        width, height = size
        fit(self._headline, self._told[0], width - 34, _HEADLINE_LETTERS)
        for actor, text in zip((self._headline, self._caption), self._told, strict=True):
            write = partial(width_of, actor.GetTextProperty())
            shown = "\n".join(fitting([line], width - 34, write) for line in text.split("\n"))
            if actor.GetInput() != shown:
                actor.SetInput(shown)
        self._name.SetPosition(22, height - 28)
        self._headline.SetPosition(21, height - 58)
        lines = (self._caption.GetInput() or "").count("\n") + 1
        self._caption.SetPosition(22, height - 62 - _LINE * lines)
        x, y = 22.0, 12.0
        for actor in self._legend:
            wide = measure(actor)[0]
            there = bool(actor.GetInput()) and wide <= width - 32
            if there and x + wide > width - 10:
                x, y = 22.0, y + 20.0
            there = there and y <= _LEGEND_SHARE * height
            actor.SetVisibility(there)
            if there:
                actor.SetPosition(x, y)
                x += wide + 10
        wide = max(measure(actor)[0] for actor in (self._headline, self._caption, self._name)) + 30
        return [Rect(0, height - 68 - _LINE * lines, min(wide, width), height), Rect(0, 0, width, y + 20)]

    def _place_ticks(self, projection: Matrix, size: Size, taken: list[Rect]) -> list[Rect]:
        """At the foot of the wall, those that have room."""
        rects: list[Rect] = []
        ticks = [(at, text) for at, _, text in ticks_of(self._drawn)][: len(self._ticks)]
        x = self._room.x(np.array([at for at, _ in ticks]))
        foot = _points(x, np.zeros(len(x)), np.full(len(x), -0.35))
        xy, w = to_screen(foot, projection, size)
        for number, actor in enumerate(self._ticks):
            actor.SetVisibility(False)
            if number >= len(ticks) or w[number] <= 0:
                continue
            colour(actor, self._theme.text_quiet, self._theme.ground[1], 0.0)
            actor.SetInput(ticks[number][1])
            wide, high = measure(actor)
            left, top = xy[number, 0] - wide / 2, xy[number, 1]
            rect = Rect(left, top - high, left + wide, top)
            if rect.within(size) and not any(rect.overlaps(other) for other in [*taken, *rects]):
                actor.SetPosition(xy[number, 0], rect.bottom + PADDING)
                actor.SetVisibility(True)
                rects.append(rect)
        return rects

    def _place_strips(self, projection: Matrix, size: Size) -> list[Rect]:
        rects = []
        for actor in self._strips:
            actor.SetVisibility(False)
        for actor, level in zip(self._strips, self._room.levels, strict=False):
            count = int((self._wall.notes.level == level).sum())
            actor.SetInput(f"{LEVELS[level].upper()} {count:,}")
            colour(actor, self._theme.text_quiet, self._theme.ground[1], 0.0)
            y, z = self._room.strip(level)
            xy, w = to_screen(np.array([[-WIDTH / 2, y, z]], np.float32), projection, size)
            wide, high = measure(actor)
            left = max(float(xy[0, 0]) - wide - 6, 4.0)
            rect = Rect(left, xy[0, 1] - high / 2, left + wide, xy[0, 1] + high / 2)
            if w[0] > 0 and rect.within(size):
                actor.SetPosition(rect.left + PADDING, rect.bottom + PADDING)
                actor.SetVisibility(True)
                rects.append(rect)
        return rects

    def _place_titles(self, projection: Matrix, size: Size) -> list[Rect]:
        """Over each of two traces which it is."""
        rects: list[Rect] = []
        for number, actor in enumerate(self._titles):
            actor.SetVisibility(False)
            if len(self._wall.blocks) < 2:
                continue
            block, reach = self._wall.blocks[number], self._drawn.reach
            row = (block.first_lane + block.lanes - reach.low) / self._drawn.lanes_a_row
            if not 0 <= row <= self._room.rows + 2:
                continue
            which = "BESIDE" if number == 0 else "THIS ONE"
            actor.SetInput(f"{which}  {block.title}  ·  {block.trace_id[:8]}…")
            colour(actor, self._theme.text if number else self._theme.text_quiet)
            place = np.array(
                [[-WIDTH / 2, row * self._room.pitch * 0.5, (row + 0.15) * self._room.pitch]], np.float32
            )
            xy, w = to_screen(place, projection, size)
            wide, high = measure(actor)
            rect = Rect(xy[0, 0], xy[0, 1], xy[0, 0] + wide, xy[0, 1] + high)
            if w[0] > 0:
                actor.SetPosition(rect.left + PADDING, rect.bottom + PADDING)
                actor.SetVisibility(True)
                rects.append(rect)
        return rects

    def _write_legend(self) -> None:
        wall, theme = self._wall, self._theme
        plain, ill, missing, *services = self._legend
        plain.SetInput(_LEGEND)
        colour(plain, theme.text_quiet)
        ill.SetInput("✕ error" if wall.failed.any() else "")
        colour(ill, theme.marks[FAILING])
        missing.SetInput("▨ missing span" if wall.void.any() else "")
        colour(missing, theme.text)
        colours = service_colours(theme)
        for number, actor in enumerate(services):
            actor.SetInput("")
            if number < len(wall.legend):
                slot, name = wall.legend[number]
                actor.SetInput(f"■ {name}")
                red, green, blue = (0.7 * colours[slot] + 0.3 * np.array(theme.text)).astype(int).tolist()
                colour(actor, (red, green, blue))


class _Placing:
    """Places that are taken; what comes later goes elsewhere."""

    def __init__(self, size: Size, taken: Sequence[Rect]) -> None:
        self._size = size
        self._taken = np.zeros((len(taken) + POOL, 4))
        self._taken[: len(taken)] = np.array(taken).reshape(-1, 4)
        self._count = len(taken)

    def taken_at(self, text: str, rect: Rect) -> tuple[str, Rect] | None:
        """The same, where it is free and in the window; it is taken from now on."""
        there = self._taken[: self._count]
        if not rect.within(self._size):
            return None
        met = (there[:, 0] < rect.right) & (rect.left < there[:, 2])
        met &= (there[:, 1] < rect.top) & (rect.bottom < there[:, 3])
        if met.any():
            return None
        self._taken[self._count] = rect
        self._count += 1
        return text, rect


def ticks_of(drawn: Bodies) -> list[tuple[float, int, str]]:
    """Share of the range, ns and words of the ticks of time."""
    reach = drawn.reach
    first, last = int(np.ceil(reach.first)), int(np.floor(reach.last))
    found = offset_ticks(first, max(last, first + 1), _TICKS)
    return [((at - reach.first) / reach.length, at, text) for at, text in found]


def _far(actor: vtkTextActor) -> tuple[float, float]:
    (left, bottom), (wide, high) = actor.GetPosition(), measure(actor)
    return left + wide - PADDING, bottom + high - PADDING


def _points(x: Points, y: Points, z: Points) -> NDArray[np.float32]:
    return np.column_stack([x, y, z]).astype(np.float32)
