"""What a chart drew, read back from its SVG: boxes of shapes and texts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

from tracescape_render.charts.drawing import SIZES, text_width

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    style: str
    text: str = ""

    @property
    def width(self) -> float:
        return self.right - self.left


class Drawn:
    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.width, self.height = (float(value) for value in self.root.attrib["viewBox"].split()[2:])
        self.rects = [_rect(element) for element in self.root.iter(f"{SVG}rect")]
        self.texts = [_text(element) for element in self.root.iter(f"{SVG}text")]
        self.titles = [element.text or "" for element in self.root.iter(f"{SVG}title")]
        self.marks = sum(
            element.attrib["d"].count("M")
            for element in self.root.iter(f"{SVG}path")
            if element.attrib["class"] == "mark"
        )

    def styled(self, style: str) -> list[Box]:
        return [box for box in self.rects if style in box.style.split()]

    def check(self) -> None:
        """Everything is inside the view, and no text stands on another."""
        for box in self.rects + self.texts:
            assert box.left >= -0.2 and box.top >= -0.2, box
            assert box.right <= self.width + 0.2 and box.bottom <= self.height + 0.2, box
        by_line: dict[float, list[Box]] = {}
        for box in self.texts:
            by_line.setdefault(box.bottom, []).append(box)
        for boxes in by_line.values():
            for one, other in pairwise(sorted(boxes, key=lambda box: box.left)):
                assert one.right <= other.left + 0.2, (one, other)
        lines = sorted(by_line)
        assert all(lower - upper >= 4 for upper, lower in pairwise(lines)), "lines of text nearly touch"


def _rect(element: ElementTree.Element) -> Box:
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    title = element.find(f"{SVG}title")
    return Box(
        x,
        y,
        x + float(element.attrib["width"]),
        y + float(element.attrib["height"]),
        element.get("class", ""),
        "" if title is None else title.text or "",
    )


def _text(element: ElementTree.Element) -> Box:
    style = element.get("class", "")
    size = next((name for name in ("head", "small") if name in style.split()), "")
    text, x, y = element.text or "", float(element.attrib["x"]), float(element.attrib["y"])
    width = text_width(text, size)
    shift = {"start": 0.0, "middle": width / 2, "end": width}[element.get("text-anchor", "start")]
    return Box(x - shift, y - SIZES[size], x - shift + width, y, style, text)
