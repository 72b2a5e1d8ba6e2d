"""What is told of what is under the pointer, and of what is hidden."""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_render.effects import WORDS
from tracescape_render.scene import Scene
from tracescape_render.snapshot import Index
from tracescape_render.text import display_name

_OPERATIONS: Final = 4
_VERSIONS: Final = 4


def tip_text(scene: Scene, body: int, index: Index) -> str:
    """Numbers, versions and the busiest operations of a body, a line each."""
    service, lines = scene.services[body], [scene.tooltips[body]]
    versions = index.versions.get(service, ())
    if versions:
        lines.append("versions  " + ", ".join(display_name(version) for version in versions[:_VERSIONS]))
    mine = index.operations.filter(pl.col("service") == service).sort("calls", descending=True)
    lines += [
        f"{row['calls']:,}×  {display_name(row['operation'], 48)}"
        for row in mine.head(_OPERATIONS).iter_rows(named=True)
    ]
    if mine.height > _OPERATIONS:
        lines.append(f"and {mine.height - _OPERATIONS:,} more operations")
    return "\n".join(lines)


def hidden_words(shown: Scene, whole: Scene, level: int) -> str:
    """How much of ``whole`` is not shown, and which effects are off; empty for nothing."""
    words = []
    if len(shown.services) < len(whole.services):
        hidden, there = len(whole.services) - len(shown.services), len(whole.services)
        words.append(f"{hidden:,} of {there:,} services hidden  (0 shows all)")
    if level:
        words.append(WORDS[level])
    return " · ".join(words)
