"""The dictionary of columns as a test reads it."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "columns.md"


def documented(title: str) -> list[str]:
    """The columns that the table of one section of docs/columns.md has, in order; its title begins so."""
    (section,) = [part for part in _PAGE.read_text().split("\n## ") if part.startswith(f"`{title}")]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
