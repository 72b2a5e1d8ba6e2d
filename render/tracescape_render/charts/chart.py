"""What a chart function gives: a picture, the same in words, and where it can go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tracescape_render.errors import RenderError


@dataclass(frozen=True, repr=False)
class Chart:
    """A picture that shows itself in a notebook and can be saved.

    Attributes:
        svg: a whole SVG document, also fit to stand inside HTML. It follows a light or dark page.
        text: what it shows, in words; what it left out is said there too.
    """

    svg: str
    text: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to ``path``, which ends in ``.svg``, and return it; the file is whole or absent.

        Raises:
            RenderError: it is another kind of file, or it cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise RenderError(f"{target.name} is no SVG file; a chart is saved as .svg")
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            draft.write_text(self.svg, encoding="utf-8")
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise RenderError(f"{target} cannot be written: {error.strerror or error}") from error
        return target

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg}</div>'

    def _repr_svg_(self) -> str:
        return self.svg
