"""SVG written by hand: shapes and texts in order, escaped, with widths of text that are never too small."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from tracescape_render.charts.style import STYLE

WIDTH: Final = 960.0
MARGIN: Final = 14.0
#: Heights of a line of text of each size.
SIZES: Final = {"head": 15.0, "": 12.0, "small": 11.0}

_NARROW: Final = frozenset("iljtfrI.,:;|!'()[]/ ")
_WIDE: Final = frozenset("mwMW@%…—→")

Anchor = Literal["start", "middle", "end"]


class Drawing:
    """Collects shapes; `finished` gives the document. ``bottom`` is where the next thing may begin."""

    def __init__(self) -> None:
        self.bottom = MARGIN
        self._parts: list[str] = []

    def rect(
        self, x: float, y: float, width: float, height: float, style: str, title: str | None = None
    ) -> None:
        """A rectangle of CSS classes ``style``, with a hover text."""
        box = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._add(f'<rect class="{style}" {box}', "rect", title)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line."""
        self._add(f'<path class="{style}" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"', "path", None)

    def circle(self, x: float, y: float, radius: float, style: str, title: str | None = None) -> None:
        """A circle, with a hover text."""
        at = f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"'
        self._add(f'<circle class="{style}" {at}', "circle", title)

    def curve(self, points: list[tuple[float, float]], width: float, style: str, title: str) -> None:
        """A line of some width through points, level at each; its hover text is easy to hit."""
        path = f"M{_n(points[0][0])} {_n(points[0][1])}"
        for (x1, y1), (x2, y2) in pairwise(points):
            half = (x1 + x2) / 2
            path += f"C{_n(half)} {_n(y1)} {_n(half)} {_n(y2)} {_n(x2)} {_n(y2)}"
        self._add(f'<path class="{style}" stroke-width="{_n(width)}" d="{path}"', "path", None)
        self._add(f'<path class="hit" d="{path}"', "path", title)

    def triangle(self, tip: tuple[float, float], base: tuple[float, float], half: float, style: str) -> None:
        """The head of a level arrow."""
        corners = f"{_n(tip[0])} {_n(tip[1])}L{_n(base[0])} {_n(base[1] - half)}V{_n(base[1] + half)}z"
        self._add(f'<path class="{style}" d="M{corners}"', "path", None)

    def marks(self, places: list[tuple[float, float]], size: float = 4.0) -> None:
        """Diamonds around the places: errors, wherever they are shown."""
        if places:
            side = _n(size)
            shape = f"l{side} {side}l-{side} {side}l-{side} -{side}z"
            path = "".join(f"M{_n(x)} {_n(y - size)}{shape}" for x, y in places)
            self._add(f'<path class="mark" pointer-events="none" d="{path}"', "path", None)

    def text(self, x: float, y: float, text: str, style: str = "", anchor: Anchor = "start") -> None:
        """A line of text whose base stands at ``y``."""
        attributes = f' class="{style}"' if style else ""
        if anchor != "start":
            attributes += f' text-anchor="{anchor}"'
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}"{attributes}>{escape(text)}</text>')

    def heading(self, title: str, *lines: str) -> None:
        """The title and quiet lines below it, each cut to the width of the drawing."""
        room = WIDTH - 2 * MARGIN
        self.bottom += SIZES["head"]
        self.text(MARGIN, self.bottom, fitted(title, room, "head"), "head")
        for line in lines:
            self.bottom += 17
            self.text(MARGIN, self.bottom, fitted(line, room), "quiet")
        self.bottom += 8

    def notes(self, lines: list[str]) -> None:
        """Sentences at the foot, over as many lines as they take."""
        for row in wrapped(" ".join(lines), WIDTH - 2 * MARGIN):
            self.bottom += 16
            self.text(MARGIN, self.bottom, row, "quiet small")
        self.bottom += 4 * bool(lines)

    def legend(self, entries: list[tuple[str, str]]) -> None:
        """(CSS classes, name) a piece, in lines that do not leave the drawing; `mark` is drawn as a mark."""
        x, self.bottom = MARGIN, self.bottom + 18
        for style, name in entries:
            shown = fitted(name, 190, "small")
            width = 15 + text_width(shown, "small") + 16
            if x + width > WIDTH - MARGIN and x > MARGIN:
                x, self.bottom = MARGIN, self.bottom + 17
            if style == "mark":
                self.marks([(x + 5, self.bottom - 4)])
            else:
                height = 3 if style == "path" else 9
                self.rect(x, self.bottom - 4 - height / 2, 10, height, style)
            self.text(x + 15, self.bottom, shown, "small")
            x += width
        self.bottom += 4

    def finished(self, label: str, description: str) -> str:
        """The document; ``label`` and ``description`` are what a screen reader says."""
        height = _n(self.bottom + MARGIN)
        width = _n(WIDTH)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ts-chart" role="img" width="{width}"'
            f' height="{height}" viewBox="0 0 {width} {height}" aria-label={quoteattr(label)}>'
            f"<desc>{escape(description)}</desc><style>{STYLE}</style>"
            f'<rect class="ground" width="{width}" height="{height}" rx="6"/>'
            f"{''.join(self._parts)}</svg>"
        )

    def _add(self, opening: str, name: str, title: str | None) -> None:
        inside = "/>" if title is None else f"><title>{escape(title)}</title></{name}>"
        self._parts.append(opening + inside)


def text_width(text: str, style: str = "") -> float:
    """How wide a text may become in any of the fonts that could be used: an upper bound."""
    units = 0.0
    for character in text:
        if character in _NARROW:
            units += 0.42
        elif character in _WIDE or unicodedata.east_asian_width(character) in "WF":
            units += 1.03
        else:
            units += 0.72 if character.isupper() else 0.645
    return units * SIZES[style] * (1.08 if style == "head" else 1.0)


def fitted(text: str, room: float, style: str = "") -> str:
    """``text``, cut with an ellipsis so that it takes no more than ``room``; empty if nothing fits."""
    if text_width(text, style) <= room:
        return text
    kept = text
    while kept and text_width(kept + "…", style) > room:
        kept = kept[: min(len(kept) - 1, max(1, int(len(kept) * room / text_width(kept, style))))]
        if len(kept) == 1 and text_width(kept + "…", style) > room:
            return ""
    return kept.rstrip() + "…" if kept else ""


def wrapped(text: str, room: float) -> list[str]:
    """``text`` of the small size in lines of at most ``room``."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, "small") <= room:
            lines[-1] = longer
        else:
            lines.append(fitted(word, room, "small"))
    return lines


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
